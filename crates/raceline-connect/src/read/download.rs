//! The bytes behind the URIs of a column.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{self, BoxFuture, FutureExt};
use futures::stream::{self, StreamExt};
use object_store::ObjectStoreExt;
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpRequestBody, SpawnedReqwestConnector,
};
use raceline_exec::{BatchShape, Emit, Operator, PoolShape};
use raceline_plan::DownloadSpec;
use raceline_types::{Batch, Failure, InternalError, Resources};

use super::error::ReadError;
use crate::store::Stores;

/// Requests of a batch that are under way at once.
const REQUESTS_AT_ONCE: usize = 32;
/// Batches at once.
const BATCHES_AT_ONCE: usize = 4;
/// Bytes behind which a piece of a batch is handed on.
const PIECE_BYTES: usize = 8 << 20;
/// A column's offsets are 32 bits wide.
const FILE_BYTES_MAX: usize = i32::MAX as usize - PIECE_BYTES;
/// Waits before a request to a web server that failed is made again.
const WAITS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// Fetches what the URIs of a column name: local files, objects of stores, and what web servers
/// have. What cannot be fetched, and a row without a URI, gives null.
///
/// Rows keep their order; a batch comes in pieces of about 8 MiB. The work takes no CPU token, as
/// it waits.
pub struct DownloadOperator {
    spec: Arc<DownloadSpec>,
    stores: Arc<Stores>,
    web: HttpClient,
}

impl DownloadOperator {
    /// Fetches what `spec` says by means of `stores`.
    ///
    /// # Errors
    /// When no client for web servers can be made.
    pub fn new(stores: Arc<Stores>, spec: Arc<DownloadSpec>) -> Result<Self, Failure> {
        let options = ClientOptions::new().with_allow_http(true);
        let connector = SpawnedReqwestConnector::new(stores.io().clone());
        let web = connector
            .connect(&options)
            .map_err(|error| InternalError::caused_by("a client for web servers", error))?;
        Ok(Self { spec, stores, web })
    }

    /// Schema of the output for an input of `schema`.
    ///
    /// # Errors
    /// When the column of URIs is not there, or is none of text.
    pub fn output_schema(schema: &Schema, spec: &DownloadSpec) -> Result<SchemaRef, ReadError> {
        let Ok(uris) = schema.field_with_name(&spec.uris) else {
            let known = schema.fields().iter().map(|field| field.name().clone()).collect();
            return Err(ReadError::ColumnNotFound { column: spec.uris.clone(), known });
        };
        let is_text = match uris.data_type() {
            DataType::Null => true,
            DataType::Dictionary(_, values) => values.is_string(),
            other => other.is_string(),
        };
        if !is_text {
            let data_type = uris.data_type().clone();
            return Err(ReadError::NotUris { column: spec.uris.clone(), data_type });
        }
        let field = Arc::new(Field::new(&spec.output, DataType::Binary, true));
        let mut fields = schema.fields().to_vec();
        match schema.index_of(&spec.output) {
            Ok(position) => fields[position] = field,
            Err(_) => fields.push(field),
        }
        Ok(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
    }

    /// What the URI of a row names; `None` where there is none.
    fn fetched<'a>(&'a self, uri: Option<&'a str>) -> BoxFuture<'a, Option<Bytes>> {
        match uri {
            Some(uri) => self.fetch(uri).boxed(),
            None => future::ready(None).boxed(),
        }
    }

    /// What `uri` names; `None` when it cannot be fetched.
    async fn fetch(&self, uri: &str) -> Option<Bytes> {
        if uri.starts_with("http://") || uri.starts_with("https://") {
            for wait in WAITS {
                match self.of_web(uri).await {
                    Answer::Bytes(bytes) => return Some(bytes),
                    Answer::Never => return None,
                    Answer::NotNow => tokio::time::sleep(wait).await,
                }
            }
            return match self.of_web(uri).await {
                Answer::Bytes(bytes) => Some(bytes),
                Answer::Never | Answer::NotNow => None,
            };
        }
        let located = self.stores.resolve(uri, &self.spec.storage_options).ok()?;
        located.store.get(&located.path).await.ok()?.bytes().await.ok()
    }

    async fn of_web(&self, uri: &str) -> Answer {
        let Ok(request) = http::Request::get(uri).body(HttpRequestBody::empty()) else {
            return Answer::Never;
        };
        let Ok(response) = self.web.execute(request).await else { return Answer::NotNow };
        let status = response.status();
        if status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS {
            return Answer::NotNow;
        }
        if !status.is_success() {
            return Answer::Never;
        }
        match response.into_body().bytes().await {
            Ok(bytes) => Answer::Bytes(bytes),
            Err(_) => Answer::NotNow,
        }
    }

    /// The rows of `batch` from `start` on that have been fetched, with their bytes.
    fn piece(
        &self,
        batch: &RecordBatch,
        start: usize,
        column: ArrayRef,
    ) -> Result<RecordBatch, Failure> {
        let schema = Self::output_schema(batch.schema_ref(), &self.spec)?;
        let rows = batch.slice(start, column.len());
        let mut columns = rows.columns().to_vec();
        match batch.schema_ref().index_of(&self.spec.output) {
            Ok(position) => columns[position] = column,
            Err(_) => columns.push(column),
        }
        RecordBatch::try_new(schema, columns)
            .map_err(|error| InternalError::caused_by("a column of bytes", error).into())
    }
}

/// What a web server says.
enum Answer {
    Bytes(Bytes),
    /// It would say the same again.
    Never,
    /// It may say something else later.
    NotNow,
}

#[async_trait]
impl Operator for DownloadOperator {
    fn name(&self) -> Arc<str> {
        self.spec.to_string().into()
    }

    fn pool(&self) -> PoolShape {
        let concurrency_max = Some(BATCHES_AT_ONCE);
        PoolShape { resources: Resources::default(), concurrency_max, workers: None }
    }

    fn input(&self) -> BatchShape {
        BatchShape::AsIs
    }

    async fn run(&self, input: Batch, out: &mut dyn Emit) -> Result<(), Failure> {
        // Also finds a column that is not there.
        let empty = Self::output_schema(input.data.schema_ref(), &self.spec)?;
        let uris =
            input.data.column_by_name(&self.spec.uris).map(|uris| cast(uris, &DataType::Utf8));
        let Some(Ok(uris)) = uris else {
            return Err(InternalError::new("a column of URIs is not text").into());
        };
        let uris: &StringArray = uris.as_string::<i32>();
        if uris.is_empty() {
            return out.emit(Batch::new(RecordBatch::new_empty(empty), input.origin)).await;
        }
        let fetches: Vec<_> = uris.iter().map(|uri| self.fetched(uri)).collect();
        let mut contents = stream::iter(fetches).buffered(REQUESTS_AT_ONCE);
        let (mut start, mut bytes, mut builder) = (0, 0, BinaryBuilder::new());
        for row in 0..uris.len() {
            let content = contents.next().await.flatten();
            if let Some(content) = &content {
                if content.len() > FILE_BYTES_MAX {
                    let (uri, bytes_max) = (uris.value(row).into(), FILE_BYTES_MAX);
                    return Err(ReadError::FileTooLarge { uri, bytes_max }.into());
                }
                bytes += content.len();
            }
            builder.append_option(content);
            if bytes >= PIECE_BYTES || row + 1 == uris.len() {
                let piece = self.piece(&input.data, start, Arc::new(builder.finish()))?;
                // The rows of a piece are those of the input in order.
                let origin = input.slice(start, row + 1 - start).origin;
                out.emit(Batch::new(piece, origin)).await?;
                (start, bytes) = (row + 1, 0);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for DownloadOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spec, stores: _, web: _ } = self;
        f.debug_struct("DownloadOperator").field("spec", spec).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use raceline_types::Diagnostic;

    use super::*;

    fn refused(uris: &str, data_type: DataType) -> ReadError {
        let schema = Schema::new(vec![Field::new("uri", data_type, true)]);
        let (uris, output) = (uris.to_owned(), "bytes".to_owned());
        let spec = DownloadSpec { uris, output, storage_options: BTreeMap::new() };
        DownloadOperator::output_schema(&schema, &spec).unwrap_err()
    }

    #[test]
    fn a_column_that_holds_no_uris_is_named() {
        let error = refused("uri", DataType::Int64);
        assert_eq!(error.to_string(), "cannot download column `uri` of type `Int64`");
        assert_eq!(error.hint().as_deref(), Some("it must hold URIs or paths, as strings"));
        let error = refused("url", DataType::Utf8);
        assert_eq!(error.hint().as_deref(), Some("did you mean `uri`?"));
    }
}
