//! The first bytes of a file, decompressed.

use std::sync::Arc;

use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::error::DataFusionError;
use futures::StreamExt;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};

/// The start of a file.
pub(super) struct Head {
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether they are the whole file.
    pub(super) is_whole: bool,
}

/// Reads at most `bytes_max` bytes of the file as it is stored and decompresses them, to at most
/// as many.
pub(super) async fn read_head(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    compression: FileCompressionType,
    bytes_max: u64,
) -> Result<Head, DataFusionError> {
    let mut is_whole = meta.size <= bytes_max;
    if meta.size == 0 {
        return Ok(Head { bytes: Vec::new(), is_whole });
    }
    let range = GetRange::Bounded(0..meta.size.min(bytes_max));
    let options = GetOptions { range: Some(range), ..GetOptions::default() };
    let stored = store.get_opts(&meta.location, options).await?.into_stream();
    let stored = stored.map(|chunk| chunk.map_err(DataFusionError::from)).boxed();
    let mut plain = compression.convert_stream(stored)?;
    let mut bytes = Vec::new();
    let most = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    while let Some(chunk) = plain.next().await {
        if bytes.len() >= most {
            is_whole = false;
            break;
        }
        match chunk {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            // A compressed stream that is cut ends in an error.
            Err(_) if !is_whole && compression.is_compressed() && !bytes.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(Head { bytes, is_whole })
}
