//! What can go wrong between a path and its store.

use std::error::Error;
use std::io;
use std::sync::Arc;

use raceline_types::{Diagnostic, ErrorKind};
use thiserror::Error;

use crate::store::{METADATA_HOSTS, NoContact};

/// A path that cannot be used, a store that does not answer, files that are not there.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// A path that says nothing that can be looked for.
    #[error("`{path}` is not a usable path: {reason}")]
    BadPath {
        /// As the user wrote it.
        path: String,
        /// Why.
        reason: String,
    },
    /// A scheme that no store answers to.
    #[error("`{path}` has the unknown scheme `{scheme}`")]
    Scheme {
        /// As the user wrote it.
        path: String,
        /// The scheme.
        scheme: String,
    },
    /// A storage option that no store knows.
    #[error("unknown storage option `{name}`")]
    StorageOption {
        /// The option.
        name: String,
        /// Options that are spelt alike.
        nearest: Vec<&'static str>,
    },
    /// Storage options or environment from which no store can be made.
    #[error("cannot set up the store of `{path}`")]
    Setup {
        /// As the user wrote it.
        path: String,
        /// What the store says.
        source: Box<object_store::Error>,
    },
    /// No such file or folder.
    #[error("no such file or folder: `{uri}`")]
    Missing {
        /// What was looked for.
        uri: Arc<str>,
    },
    /// No such bucket.
    #[error("no such bucket: `{bucket}`")]
    NoBucket {
        /// The bucket.
        bucket: String,
        /// Where it was looked for.
        endpoint: Arc<str>,
    },
    /// A pattern that nothing fits.
    #[error("no file matches `{pattern}`")]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// A folder without the files that were asked for.
    #[error("{}", no_files(.extensions, .paths))]
    NoFiles {
        /// Where it was looked.
        paths: Vec<String>,
        /// Extensions that were asked for; empty for any.
        extensions: Vec<String>,
        /// Extensions of the files that are there.
        found: Vec<String>,
    },
    /// Folders that do not fit the columns that were named for them.
    #[error(
        "the folders of `{path}` do not fit the partitioning: they are `{}`, and its columns `{}`",
        found.join("`, `"),
        names.join("`, `")
    )]
    Folders {
        /// The file.
        path: String,
        /// Its folders, or the columns that they name.
        found: Vec<String>,
        /// The columns; one that is passed over is empty.
        names: Vec<String>,
    },
    /// Access was refused.
    #[error("access to `{uri}` was refused")]
    Denied {
        /// What was asked for.
        uri: Arc<str>,
        /// Whether a service refused (and not this machine's file system).
        remote: bool,
        /// What the store says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// No credentials were given and none could be found.
    #[error("no credentials for `{uri}`")]
    NoCredentials {
        /// What was asked for.
        uri: Arc<str>,
        /// The last place looked at.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A service that does not answer.
    #[error("cannot reach `{endpoint}`")]
    Unreachable {
        /// The service.
        endpoint: Arc<str>,
        /// What the network says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Reading, listing or writing failed otherwise.
    #[error("cannot {verb} `{uri}`")]
    Io {
        /// What was read or written.
        uri: Arc<str>,
        /// `read` or `write`.
        verb: &'static str,
        /// What the store says.
        source: Box<dyn Error + Send + Sync>,
    },
}

fn no_files(extensions: &[String], paths: &[String]) -> String {
    let places: Vec<_> = paths.iter().map(|path| format!("`{path}`")).collect();
    let places = places.join(", ");
    if extensions.is_empty() {
        return format!("no files under {places}");
    }
    let wanted: Vec<_> = extensions.iter().map(|one| format!("`{one}`")).collect();
    format!("no files with extension {} under {places}", wanted.join(" or "))
}

impl Diagnostic for ConnectError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::BadPath { .. }
            | Self::Scheme { .. }
            | Self::StorageOption { .. }
            | Self::Setup { .. }
            | Self::Folders { .. }
            | Self::NoFiles { .. } => ErrorKind::Plan,
            Self::Missing { .. } | Self::NoBucket { .. } | Self::NoMatch { .. } => {
                ErrorKind::NotFound
            }
            Self::Denied { .. } | Self::NoCredentials { .. } => ErrorKind::PermissionDenied,
            Self::Unreachable { .. } | Self::Io { .. } => ErrorKind::Source,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Io { verb: "write", .. } => Some(
                "run again: files that were staged do not become visible before all of them are \
                 written"
                    .into(),
            ),
            Self::BadPath { .. } | Self::Setup { .. } | Self::Missing { .. } | Self::Io { .. } => {
                None
            }
            Self::Scheme { .. } => Some("use a local path, `file://…` or `s3://bucket/…`".into()),
            Self::StorageOption { nearest, .. } if nearest.is_empty() => Some(
                "options of `s3://` are `endpoint`, `region`, `access_key_id`, \
                 `secret_access_key`, `session_token`, `anonymous`, `allow_http`"
                    .into(),
            ),
            Self::StorageOption { nearest, .. } => {
                Some(format!("did you mean `{}`?", nearest.join("`, `")))
            }
            Self::NoBucket { endpoint, .. } => Some(format!(
                "it was looked for at `{endpoint}`; another endpoint or region is set by \
                 `storage_options={{\"endpoint\": …, \"region\": …}}` or `AWS_ENDPOINT_URL` and \
                 `AWS_REGION`"
            )),
            Self::Folders { .. } => Some(
                "set `base_dir` to the folder below which the partitions begin, or name as many \
                 columns as there are folders"
                    .into(),
            ),
            Self::NoMatch { .. } => Some(
                "`*` and `?` stay inside one folder, `**` crosses folders; a name's own `*`, `?` \
                 or `[` is written `[*]`, `[?]` or `[[]`"
                    .into(),
            ),
            Self::NoFiles { found, .. } if found.is_empty() => Some(
                "the folder is empty, or all it holds starts with `_` or `.`, which is skipped"
                    .into(),
            ),
            Self::NoFiles { found, .. } => {
                Some(format!("there are files with {}", found.join(", ")))
            }
            Self::Denied { remote: true, .. } => Some(
                "check `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` (or \
                 `storage_options=`), and that they may list, read and write there"
                    .into(),
            ),
            Self::Denied { remote: false, .. } => {
                Some("check the owner and mode of the file and of the folders above it".into())
            }
            Self::NoCredentials { .. } => Some(
                "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or pass \
                 `storage_options={\"access_key_id\": …, \"secret_access_key\": …}`, or \
                 `{\"anonymous\": \"true\"}` for a public bucket"
                    .into(),
            ),
            Self::Unreachable { .. } => Some(
                "check the network and the endpoint: `storage_options={\"endpoint\": …}` or \
                 `AWS_ENDPOINT_URL`"
                    .into(),
            ),
        }
    }
}

/// Where an operation went: what the errors of a store are told with.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The file, folder or object.
    pub(crate) uri: Arc<str>,
    /// Bucket and endpoint, for a remote store.
    pub(crate) remote: Option<(Arc<str>, Arc<str>)>,
    /// What was done there: `read` or `write`.
    pub(crate) verb: &'static str,
}

impl Target {
    /// Something at `uri` that is read.
    pub(crate) fn read(uri: Arc<str>, remote: Option<(Arc<str>, Arc<str>)>) -> Self {
        Self { uri, remote, verb: "read" }
    }

    /// The same, when it is written.
    pub(crate) fn written(self) -> Self {
        Self { verb: "write", ..self }
    }

    /// The typed error for what a store said about this target.
    pub(crate) fn error(&self, error: object_store::Error) -> ConnectError {
        let uri = Arc::clone(&self.uri);
        let remote = self.remote.is_some();
        if let Some(contact) = find_cause::<NoContact>(&error) {
            return match (&self.remote, contact.is_metadata_service()) {
                (Some((_, endpoint)), false) => ConnectError::Unreachable {
                    endpoint: Arc::clone(endpoint),
                    source: Box::new(error),
                },
                _ => ConnectError::NoCredentials { uri, source: Box::new(error) },
            };
        }
        // A failed listing has no kind of its own: only its text tells what the service said.
        let text = error.to_string();
        if let Some((bucket, endpoint)) = &self.remote
            && text.contains("NoSuchBucket")
        {
            let endpoint = Arc::clone(endpoint);
            return ConnectError::NoBucket { bucket: bucket.to_string(), endpoint };
        }
        if remote && METADATA_HOSTS.iter().any(|host| text.contains(host)) {
            return ConnectError::NoCredentials { uri, source: Box::new(error) };
        }
        let refused = ["status code: 401", "status code: 403"];
        if remote && refused.iter().any(|status| text.contains(status)) {
            return ConnectError::Denied { uri, remote, source: Box::new(error) };
        }
        match error {
            object_store::Error::NotFound { .. } => ConnectError::Missing { uri },
            error @ (object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. }) => {
                ConnectError::Denied { uri, remote, source: Box::new(error) }
            }
            error => match find_cause::<io::Error>(&error).map(io::Error::kind) {
                Some(io::ErrorKind::PermissionDenied) => {
                    ConnectError::Denied { uri, remote, source: Box::new(error) }
                }
                Some(io::ErrorKind::NotFound) => ConnectError::Missing { uri },
                _ => ConnectError::Io { uri, verb: self.verb, source: Box::new(error) },
            },
        }
    }

    /// The typed error for what the local file system said about this target.
    pub(crate) fn io_error(&self, error: io::Error) -> ConnectError {
        let uri = Arc::clone(&self.uri);
        match error.kind() {
            io::ErrorKind::NotFound => ConnectError::Missing { uri },
            io::ErrorKind::PermissionDenied => {
                ConnectError::Denied { uri, remote: false, source: Box::new(error) }
            }
            _ => ConnectError::Io { uri, verb: self.verb, source: Box::new(error) },
        }
    }
}

/// The first `E` in the chain of causes of `error`.
pub(crate) fn find_cause<'a, E: Error + 'static>(
    error: &'a (dyn Error + 'static),
) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
