//! What is fetched for each row.

use std::collections::BTreeMap;
use std::fmt;

/// A new or replaced column of the bytes behind the URIs of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadSpec {
    /// The column of URIs and paths: text.
    pub uris: String,
    /// Name of the column of bytes. A replaced column keeps its position, a new one goes last.
    pub output: String,
    /// Credentials and endpoints, by the names of the connector.
    pub storage_options: BTreeMap<String, String>,
}

impl fmt::Display for DownloadSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Download({} = {})", self.output, self.uris)
    }
}
