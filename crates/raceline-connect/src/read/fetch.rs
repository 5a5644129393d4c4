//! Brings bytes of files here: whole small files side by side, large ones piece by piece.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_compression::tokio::bufread::{BzDecoder, GzipDecoder, ZstdDecoder};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use raceline_plan::FileSplit;
use raceline_types::{Failure, InternalError};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

use super::codec::Codec;
use super::error::ReadError;
use crate::error::Target;
use crate::store::Stores;

/// Files of a split that are fetched at once.
const FILES_AT_ONCE: usize = 8;
/// Bytes of one request for a piece of a large file.
const PIECE_BYTES: u64 = 8 << 20;
/// Bytes of one request behind the end of a range, where a line is expected to end soon.
const TAIL_BYTES: u64 = 256 << 10;
/// Pieces of a file that are fetched ahead.
const PIECES_AHEAD: usize = 2;
/// Decompressed bytes handed on at once.
const DECODED_BYTES: usize = 256 << 10;

/// Bytes of a file in order, each item a piece.
pub(super) type ByteStream = BoxStream<'static, Result<Bytes, Failure>>;

/// A file in its store.
struct Source {
    store: Arc<dyn ObjectStore>,
    path: Path,
    uri: Arc<str>,
    stores: Arc<Stores>,
    store_url: Arc<str>,
}

impl Source {
    fn open(stores: &Arc<Stores>, file: &FileSplit) -> Result<Self, Failure> {
        let store = stores.get(&file.store_url).ok_or_else(|| {
            InternalError::new(format!("the store `{}` was never opened", file.store_url))
        })?;
        let uri = Arc::clone(&file.uri);
        let path = Path::parse(&*file.location).map_err(|error| {
            Target::read(Arc::clone(&uri), None)
                .error(object_store::Error::InvalidPath { source: error })
        })?;
        let store_url = Arc::clone(&file.store_url);
        Ok(Self { store, path, uri, stores: Arc::clone(stores), store_url })
    }

    fn failure(&self, error: object_store::Error) -> Failure {
        Failure::from(self.stores.explain(&self.store_url, &self.uri, error)).at_uri(&self.uri)
    }

    async fn range(&self, range: Range<u64>) -> Result<Bytes, Failure> {
        let fetched = self.store.get_range(&self.path, range).await;
        fetched.map_err(|error| self.failure(error))
    }

    async fn whole(&self) -> Result<Bytes, Failure> {
        let fetched = async { self.store.get(&self.path).await?.bytes().await }.await;
        fetched.map_err(|error| self.failure(error))
    }
}

/// The whole content of each of `files`, in order, fetched side by side; decompressed by name
/// when `decompress`.
///
/// # Errors
/// [`ReadError::FileTooLarge`] for content of more than `bytes_max` bytes, before it is fetched
/// or, of a compressed file, as soon as there are so many.
pub(super) fn contents(
    stores: &Arc<Stores>,
    files: &[FileSplit],
    (decompress, bytes_max): (bool, usize),
) -> BoxStream<'static, Result<Bytes, Failure>> {
    let stores = Arc::clone(stores);
    stream::iter(files.to_vec())
        .map(move |file| {
            let stores = Arc::clone(&stores);
            async move {
                if usize::try_from(file.size_bytes).map_or(true, |bytes| bytes > bytes_max) {
                    return Err(too_large(&file, bytes_max));
                }
                if !decompress || Codec::of(&file.location).is_none() {
                    return Source::open(&stores, &file)?.whole().await;
                }
                let mut stream = bytes_of(&stores, &file)?;
                let mut whole = Vec::new();
                while let Some(piece) = stream.try_next().await? {
                    if whole.len() + piece.len() > bytes_max {
                        return Err(too_large(&file, bytes_max));
                    }
                    whole.extend_from_slice(&piece);
                }
                Ok(whole.into())
            }
        })
        .buffered(FILES_AT_ONCE)
        .boxed()
}

fn too_large(file: &FileSplit, bytes_max: usize) -> Failure {
    let uri = Arc::clone(&file.uri);
    Failure::from(ReadError::FileTooLarge { uri, bytes_max }).at_uri(&file.uri)
}

/// The bytes of `file`, decompressed by its name. Of a file with a range: from one byte before
/// the range (unless it starts the file) to the end of the file; whoever reads it stops.
pub(super) fn bytes_of(stores: &Arc<Stores>, file: &FileSplit) -> Result<ByteStream, Failure> {
    let source = Arc::new(Source::open(stores, file)?);
    let uri = Arc::clone(&file.uri);
    let pieces = stream::iter(pieces(file))
        .map(move |range| {
            let source = Arc::clone(&source);
            async move { source.range(range).await }
        })
        .buffered(PIECES_AHEAD);
    Ok(match Codec::of(&file.location) {
        None => pieces.boxed(),
        Some(codec) => decompressed(codec, uri, pieces.boxed()),
    })
}

fn pieces(file: &FileSplit) -> impl Iterator<Item = Range<u64>> + Send + use<> {
    let size = file.size_bytes;
    let (start, end) = match &file.range {
        None => (0, size),
        Some(range) => (range.start.saturating_sub(1), range.end.min(size)),
    };
    let body = cut(start..end, PIECE_BYTES);
    body.chain(cut(end..size, TAIL_BYTES))
}

fn cut(range: Range<u64>, piece_bytes: u64) -> impl Iterator<Item = Range<u64>> + Send {
    let mut position = range.start;
    std::iter::from_fn(move || {
        let piece = position..(position + piece_bytes).min(range.end);
        position = piece.end;
        (!piece.is_empty()).then_some(piece)
    })
}

fn decompressed(codec: Codec, uri: Arc<str>, bytes: ByteStream) -> ByteStream {
    // A failure of the store travels through the decoder inside an `io::Error`.
    let bytes = bytes.map_err(|failure| io::Error::other(Carried(failure)));
    let reader = StreamReader::new(bytes);
    let decoder: Box<dyn AsyncRead + Send + Unpin> = match codec {
        Codec::Gzip => {
            let mut decoder = GzipDecoder::new(reader);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        Codec::Zstd => {
            let mut decoder = ZstdDecoder::new(reader);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        Codec::Bzip2 => {
            let mut decoder = BzDecoder::new(reader);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
    };
    stream::try_unfold((decoder, uri), move |(mut decoder, uri)| async move {
        let mut buffer = vec![0; DECODED_BYTES];
        match decoder.read(&mut buffer).await {
            Ok(0) => Ok(None),
            Ok(count) => {
                buffer.truncate(count);
                Ok(Some((Bytes::from(buffer), (decoder, uri))))
            }
            Err(error) => Err(decode_failure(codec, &uri, error)),
        }
    })
    .boxed()
}

fn decode_failure(codec: Codec, uri: &Arc<str>, error: io::Error) -> Failure {
    if let Some(carried) = error.get_ref().and_then(|inner| inner.downcast_ref::<Carried>()) {
        return carried.0.clone();
    }
    let codec = codec.name();
    Failure::from(ReadError::Compressed { uri: Arc::clone(uri), codec, source: Box::new(error) })
        .at_uri(uri)
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Carried(Failure);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write as _;

    use object_store::PutPayload;
    use object_store::memory::InMemory;
    use tokio::runtime::Handle;

    use super::*;

    #[tokio::test]
    async fn decompression_stops_at_the_limit() {
        let stores = Arc::new(Stores::new(Handle::current()));
        stores.register("memory://test", Arc::new(InMemory::new())).unwrap();
        let located = stores.resolve("memory://test/a.gz", &BTreeMap::new()).unwrap();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(&vec![0; 1 << 20]).unwrap();
        let packed = packed.finish().unwrap();
        let file = FileSplit {
            uri: "memory://test/a.gz".into(),
            store_url: Arc::clone(&located.store_url),
            location: "a.gz".into(),
            size_bytes: packed.len() as u64,
            modified_ms: 0,
            range: None,
            partition_values: Vec::new(),
        };
        located.store.put(&located.path, PutPayload::from(packed)).await.unwrap();
        let read = async |bytes_max| {
            contents(&stores, std::slice::from_ref(&file), (true, bytes_max)).try_next().await
        };
        assert_eq!(read(1 << 20).await.unwrap().unwrap().len(), 1 << 20);
        let failure = read((1 << 20) - 1).await.unwrap_err();
        assert_eq!(failure.to_string(), "`memory://test/a.gz` is larger than 1048575 bytes");
    }
}
