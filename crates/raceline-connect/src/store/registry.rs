//! The stores of a session.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use tokio::runtime::Handle;
use url::Url;

use super::glob::Glob;
use super::location::{Location, Remote};
use super::s3::S3Settings;
use crate::error::{ConnectError, Target};

const LOCAL_URL: &str = "file://";

/// The stores that a session has opened. Each bucket is opened once for equal settings.
///
/// Requests run on the I/O runtime, whoever makes them.
pub struct Stores {
    io: Handle,
    entries: Mutex<Vec<Arc<Entry>>>,
}

/// One store.
struct Entry {
    /// Key under which others find it.
    url: Url,
    key: Arc<str>,
    /// What people call it: `s3://bucket`; empty for local files.
    name: String,
    store: Arc<dyn ObjectStore>,
    uploads: Option<Arc<dyn MultipartStore>>,
    /// Bucket and endpoint.
    remote: Option<(Arc<str>, Arc<str>)>,
    settings: Option<S3Settings>,
}

/// A user's path and the store that it is in.
#[derive(Clone)]
pub struct Located {
    /// Key of the store: `s3://bucket`, `file://`.
    pub store_url: Arc<str>,
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// The file or folder inside the store; of a pattern, the folder above its first wildcard.
    pub path: Path,
    /// The whole URI, for people; without the wildcards of a pattern.
    pub uri: Arc<str>,
    pub(crate) glob: Option<Glob>,
    pub(crate) uploads: Option<Arc<dyn MultipartStore>>,
    entry: Arc<Entry>,
}

impl Located {
    /// Whether the path was a pattern.
    #[must_use]
    pub fn is_glob(&self) -> bool {
        self.glob.is_some()
    }

    /// Whether the path is in the local file system.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.entry.is_local()
    }

    /// The whole URI of another path of the same store.
    pub(crate) fn uri_of(&self, path: &Path) -> Arc<str> {
        self.entry.uri(path.as_ref())
    }

    /// What errors at `path` are told with.
    pub(crate) fn target(&self, path: &Path) -> Target {
        Target::read(self.uri_of(path), self.entry.remote.clone())
    }
}

impl fmt::Debug for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Located").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Entry {
    fn is_local(&self) -> bool {
        self.name.is_empty()
    }

    fn uri(&self, path: &str) -> Arc<str> {
        format!("{}/{path}", self.name).into()
    }

    /// A store that this process made or was given; it has no endpoint.
    fn in_process(url: Url, name: &str, store: Arc<dyn ObjectStore>) -> Self {
        Self {
            key: url.as_str().trim_end_matches('/').into(),
            url,
            name: name.to_owned(),
            store,
            uploads: None,
            remote: None,
            settings: None,
        }
    }
}

impl Stores {
    /// Stores whose network requests run on `io`. The local file system is always among them.
    ///
    /// # Panics
    /// Never: the URL of the local file system is a constant.
    #[must_use]
    pub fn new(io: Handle) -> Self {
        let url = Url::parse("file:///").expect("the URL is a constant");
        let mut local = Entry::in_process(url, "", Arc::new(LocalFileSystem::new()));
        local.key = LOCAL_URL.into();
        Self { io, entries: Mutex::new(vec![Arc::new(local)]) }
    }

    /// Adds a store of the user's own: paths under `url` (`memory://name`) then mean it. A later
    /// one under the same URL takes the earlier one's place.
    ///
    /// # Errors
    /// [`ConnectError::BadPath`] when `url` has no scheme and authority.
    pub fn register<S>(&self, url: &str, store: Arc<S>) -> Result<(), ConnectError>
    where
        S: ObjectStore + MultipartStore,
    {
        let bad = |reason: String| ConnectError::BadPath { path: url.to_owned(), reason };
        let parsed = Url::parse(url).map_err(|error| bad(error.to_string()))?;
        let host = parsed.host_str().ok_or_else(|| bad("it names no authority".to_owned()))?;
        let name = format!("{}://{host}", parsed.scheme());
        let uploads: Arc<dyn MultipartStore> = Arc::<S>::clone(&store);
        let mut entry = Entry::in_process(parsed, &name, store);
        entry.key = name.as_str().into();
        entry.uploads = Some(uploads);
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|old| *old.key != *name);
        entries.push(Arc::new(entry));
        Ok(())
    }

    /// Finds the store of `path`, and opens it when it is the first of its settings.
    ///
    /// Nothing is asked of a network. The environment (`AWS_…`) is read here; `storage_options`
    /// win over it.
    ///
    /// # Errors
    /// A path, scheme or option that means nothing, or settings that fit no store.
    pub fn resolve(
        &self,
        path: &str,
        storage_options: &BTreeMap<String, String>,
    ) -> Result<Located, ConnectError> {
        let location = Location::parse(path)?;
        let entry = match &location.remote {
            None => self.entry(LOCAL_URL),
            Some(Remote { scheme, host }) if scheme == "s3" => {
                Some(self.bucket(path, host, storage_options)?)
            }
            Some(Remote { scheme, host }) => self.entry(&format!("{scheme}://{host}")),
        };
        let entry = entry.ok_or_else(|| ConnectError::Scheme {
            path: path.to_owned(),
            scheme: location.remote.map(|remote| remote.scheme).unwrap_or_default(),
        })?;
        Ok(Located {
            store_url: Arc::clone(&entry.key),
            store: Arc::clone(&entry.store),
            uri: entry.uri(location.path.as_ref()),
            path: location.path,
            glob: location.glob,
            uploads: entry.uploads.clone(),
            entry,
        })
    }

    /// The store under `store_url`, when it has been opened.
    #[must_use]
    pub fn get(&self, store_url: &str) -> Option<Arc<dyn ObjectStore>> {
        self.entry(store_url).map(|entry| Arc::clone(&entry.store))
    }

    /// All stores opened so far, with the URLs under which other systems should find them.
    #[must_use]
    pub fn all(&self) -> Vec<(Url, Arc<dyn ObjectStore>)> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().map(|entry| (entry.url.clone(), Arc::clone(&entry.store))).collect()
    }

    /// The typed error for what the store under `store_url` said about `uri`.
    #[must_use]
    pub fn explain(
        &self,
        store_url: &str,
        uri: &Arc<str>,
        error: object_store::Error,
    ) -> ConnectError {
        let remote = self.entry(store_url).and_then(|entry| entry.remote.clone());
        Target::read(Arc::clone(uri), remote).error(error)
    }

    /// The runtime for I/O, blocking calls included.
    pub(crate) fn io(&self) -> &Handle {
        &self.io
    }

    fn entry(&self, key: &str) -> Option<Arc<Entry>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().find(|entry| *entry.key == *key).map(Arc::clone)
    }

    fn bucket(
        &self,
        path: &str,
        bucket: &str,
        options: &BTreeMap<String, String>,
    ) -> Result<Arc<Entry>, ConnectError> {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let settings = S3Settings::new(environment, options)?;
        let name = format!("s3://{bucket}");
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let same_bucket: Vec<_> = entries.iter().filter(|entry| entry.name == name).collect();
        if let Some(entry) =
            same_bucket.iter().find(|entry| entry.settings.as_ref() == Some(&settings))
        {
            return Ok(Arc::clone(entry));
        }
        // The same bucket name at another endpoint, or seen with other credentials, is another
        // store and needs another key.
        let key = match same_bucket.len() {
            0 => name.clone(),
            others => format!("s3-{}://{bucket}", others + 1),
        };
        let url = Url::parse(&key).map_err(|error| ConnectError::BadPath {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let store = settings.open(bucket, &self.io).map_err(|source| ConnectError::Setup {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let store = Arc::new(store);
        let entry = Arc::new(Entry {
            url,
            key: key.as_str().into(),
            name,
            store: Arc::<object_store::aws::AmazonS3>::clone(&store),
            uploads: Some(store),
            remote: Some((bucket.into(), settings.endpoint_name().into())),
            settings: Some(settings),
        });
        entries.push(Arc::clone(&entry));
        Ok(entry)
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_list().entries(entries.iter().map(|entry| &entry.key)).finish()
    }
}
