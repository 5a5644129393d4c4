//! The objects of one JSON file as batches.
//!
//! `DataFusion`'s own source of JSON passes over keys that no column has. This one can refuse
//! them, so that nothing is lost without a word.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::array::{RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use arrow::json::reader::Decoder;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::error::DataFusionError;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::{GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};

/// Bytes of a local file that are decoded at once.
const PIECE_BYTES: usize = 256 << 10;

/// A file of JSON objects: one after the other, or in one array.
pub(super) struct ObjectFile {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) meta: ObjectMeta,
    pub(super) compression: FileCompressionType,
    /// Whether the file is one array.
    pub(super) is_array: bool,
    /// The columns to read.
    pub(super) columns: SchemaRef,
    /// Columns with one value each, which come behind those of the file.
    pub(super) constants: Vec<(String, Option<String>)>,
    /// The columns that are known to stand in the file and are not read, when a key that no
    /// column has is an error.
    pub(super) strict: Option<Vec<FieldRef>>,
}

impl ObjectFile {
    /// The rows, `batch_rows` a batch, in the order of the file.
    ///
    /// # Errors
    /// The store's; [`ArrowError::JsonError`] for what is not JSON, for values that do not fit
    /// their column and, when the file is read strictly, for keys without a column.
    pub(super) async fn batches(
        &self,
        batch_rows: usize,
    ) -> Result<BoxStream<'static, Result<RecordBatch, DataFusionError>>, DataFusionError> {
        let passed_over = self.strict.iter().flatten().cloned();
        let read: Vec<_> = self.columns.fields().iter().cloned().chain(passed_over).collect();
        let decoder = ReaderBuilder::new(Arc::new(Schema::new(read)))
            .with_batch_size(batch_rows)
            .with_strict_mode(self.strict.is_some())
            .build_decoder()?;
        let reading = Reading {
            pieces: self.pieces().await?,
            array: self.is_array.then(ArrayItems::default),
            decoder,
            piece: Vec::new(),
            decoded: 0,
        };
        let shape =
            Shape { columns: self.columns.fields().len(), constants: self.constants.clone() };
        let batches = stream::try_unfold(reading, |mut reading| async move {
            let batch = reading.next_batch().await?;
            Ok(batch.map(|batch| (batch, reading)))
        });
        Ok(batches
            .and_then(move |batch| {
                let complete = shape.complete(&batch);
                async move { Ok(complete?) }
            })
            .boxed())
    }

    /// The content, decompressed.
    async fn pieces(
        &self,
    ) -> Result<BoxStream<'static, Result<Vec<u8>, DataFusionError>>, DataFusionError> {
        let stored = self.store.get(&self.meta.location).await?;
        let stored = match stored.payload {
            GetResultPayload::File(file, _) => {
                let mut content = self.compression.convert_read(file)?;
                let read = move || {
                    let mut piece = vec![0; PIECE_BYTES];
                    match content.read(&mut piece) {
                        Ok(0) => None,
                        Ok(bytes) => {
                            piece.truncate(bytes);
                            Some(Ok(piece))
                        }
                        Err(error) => Some(Err(DataFusionError::from(error))),
                    }
                };
                return Ok(stream::iter(std::iter::from_fn(read)).boxed());
            }
            GetResultPayload::Stream(stored) => stored,
        };
        let stored = stored.map_err(DataFusionError::from).boxed();
        Ok(self.compression.convert_stream(stored)?.map_ok(Into::into).boxed())
    }
}

/// A file on its way through the decoder.
struct Reading {
    pieces: BoxStream<'static, Result<Vec<u8>, DataFusionError>>,
    array: Option<ArrayItems>,
    decoder: Decoder,
    piece: Vec<u8>,
    /// Bytes of `piece` that the decoder has taken.
    decoded: usize,
}

impl Reading {
    async fn next_batch(&mut self) -> Result<Option<RecordBatch>, DataFusionError> {
        loop {
            if self.decoded == self.piece.len() {
                let Some(mut piece) = self.pieces.try_next().await? else { break };
                if let Some(array) = &mut self.array {
                    array.unwrap(&mut piece)?;
                }
                (self.piece, self.decoded) = (piece, 0);
            }
            let taken = self.decoder.decode(&self.piece[self.decoded..])?;
            self.decoded += taken;
            if self.decoded < self.piece.len() {
                return Ok(self.decoder.flush()?);
            }
        }
        if let Some(array) = &self.array {
            array.finish()?;
        }
        Ok(self.decoder.flush()?)
    }
}

/// Turns one array into its items, by blanks in place of its brackets and commas.
#[derive(Default)]
struct ArrayItems {
    /// Brackets that are open.
    depth: usize,
    at: At,
}

/// What the next byte of an array is part of.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Structure,
    Text,
    /// A character behind a backslash.
    Escaped,
    /// What comes behind the array.
    End,
}

impl ArrayItems {
    fn unwrap(&mut self, piece: &mut [u8]) -> Result<(), ArrowError> {
        for byte in piece {
            self.at = match (self.at, *byte) {
                (At::Structure, b'"') | (At::Escaped, _) => At::Text,
                (At::Structure, _) => self.structure(byte),
                (At::Text, b'"') => At::Structure,
                (At::Text, b'\\') => At::Escaped,
                (At::Text, _) => At::Text,
                (At::End, blank) if blank.is_ascii_whitespace() => At::End,
                (At::End, _) => {
                    return Err(ArrowError::JsonError("something comes behind its array".into()));
                }
            };
        }
        Ok(())
    }

    fn structure(&mut self, byte: &mut u8) -> At {
        match *byte {
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        let is_end = *byte == b']' && self.depth == 0;
        if is_end || (matches!(*byte, b'[' | b',') && self.depth == 1) {
            *byte = b' ';
        }
        if is_end { At::End } else { At::Structure }
    }

    fn finish(&self) -> Result<(), ArrowError> {
        if self.at == At::End {
            return Ok(());
        }
        Err(ArrowError::JsonError("its array does not end".into()))
    }
}

/// The columns of a batch as a scan hands it on.
struct Shape {
    /// Columns of the file; those that were decoded behind them are dropped.
    columns: usize,
    constants: Vec<(String, Option<String>)>,
}

impl Shape {
    fn complete(&self, decoded: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let rows = decoded.num_rows();
        let schema = decoded.schema();
        let mut fields: Vec<FieldRef> = schema.fields()[..self.columns].to_vec();
        let mut columns: Vec<ArrayRef> = decoded.columns()[..self.columns].to_vec();
        for (name, value) in &self.constants {
            fields.push(Arc::new(Field::new(name, DataType::Utf8, true)));
            columns.push(match value {
                Some(value) => Arc::new(StringArray::new_repeated(value, rows)),
                None => new_null_array(&DataType::Utf8, rows),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
    }
}
