//! Fails fast when a service was never reached.
//!
//! A client that has spoken with its service retries for a long time, which is right for a
//! service that is busy. A service that never answered is most likely a wrong endpoint: the
//! second failure to connect is final, so that the user is told within seconds.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    SpawnedReqwestConnector,
};
use thiserror::Error;
use tokio::runtime::Handle;

/// Addresses at which clouds tell a machine its own credentials.
pub(crate) const METADATA_HOSTS: [&str; 2] = ["169.254.169.254", "169.254.170.2"];

/// No connection to a service was ever made.
#[derive(Debug, Error)]
#[error("no answer from `{host}`")]
pub(crate) struct NoContact {
    host: String,
    source: HttpError,
}

impl NoContact {
    /// Whether the service is the one that tells a cloud machine its credentials.
    pub(crate) fn is_metadata_service(&self) -> bool {
        METADATA_HOSTS.contains(&self.host.as_str())
    }
}

/// Makes clients whose requests run on the I/O runtime and that give up on a service which
/// never answers.
#[derive(Debug)]
pub(super) struct Connector {
    inner: SpawnedReqwestConnector,
}

impl Connector {
    pub(super) fn new(io: Handle) -> Self {
        Self { inner: SpawnedReqwestConnector::new(io) }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = self.inner.connect(options)?;
        Ok(HttpClient::new(FirstContact {
            client,
            reached: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }))
    }
}

#[derive(Debug)]
struct FirstContact {
    client: HttpClient,
    reached: AtomicBool,
    failed: AtomicBool,
}

#[async_trait]
impl HttpService for FirstContact {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let error = match self.client.execute(request).await {
            Ok(response) => {
                self.reached.store(true, Ordering::Relaxed);
                return Ok(response);
            }
            Err(error) => error,
        };
        let no_connection = matches!(error.kind(), HttpErrorKind::Connect | HttpErrorKind::Timeout);
        if !no_connection || self.reached.load(Ordering::Relaxed) {
            return Err(error);
        }
        // The first failure is retried: a connection can break by chance.
        if !self.failed.swap(true, Ordering::Relaxed) {
            return Err(error);
        }
        Err(HttpError::new(HttpErrorKind::Unknown, NoContact { host, source: error }))
    }
}
