//! Record batches as blocks of bytes: messages of Arrow's IPC format, their buffers compressed
//! with LZ4 where that makes them smaller.
//!
//! A block holds one batch and all dictionaries that it needs. The schema is not on disk: who
//! writes knows it.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};

use super::compact::compact;

/// A decoder looks at a message without a body once something follows it.
const TAIL: [u8; 8] = [0; 8];

/// How batches of one schema are written and read.
#[derive(Debug)]
pub(super) struct BatchCodec {
    schema: SchemaRef,
    plain: IpcWriteOptions,
    compressed: IpcWriteOptions,
    has_dictionaries: bool,
    /// The message that tells a decoder the schema.
    schema_message: Buffer,
}

impl BatchCodec {
    /// A codec for batches of `schema`.
    ///
    /// # Errors
    /// When the format has no place for such columns.
    pub(super) fn new(schema: &SchemaRef) -> Result<Self, ArrowError> {
        let plain = IpcWriteOptions::default();
        let compressed = plain.clone().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
        let mut tracker = DictionaryTracker::new(false);
        let message = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
            schema,
            &mut tracker,
            &plain,
        );
        let mut bytes = Vec::new();
        write_message(&mut bytes, message, &plain)?;
        Ok(Self {
            schema: Arc::clone(schema),
            plain,
            compressed,
            has_dictionaries: !tracker.dict_id().is_empty(),
            schema_message: Buffer::from_vec(bytes),
        })
    }

    /// Schema of all batches.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// `batch` as a block; its buffers are compressed where that is asked for and makes them
    /// smaller.
    ///
    /// # Errors
    /// When the batch has other columns than the schema, or Arrow cannot encode them.
    pub(super) fn encode(
        &self,
        batch: &RecordBatch,
        is_compressed: bool,
        context: &mut IpcWriteContext,
    ) -> Result<Vec<u8>, ArrowError> {
        let options = if is_compressed { &self.compressed } else { &self.plain };
        let columns = batch.columns().iter().map(compact).collect::<Result<_, _>>()?;
        let batch = with_rows(&self.schema, columns, batch.num_rows())?;
        let generator = IpcDataGenerator::default();
        let mut tracker = DictionaryTracker::new(false);
        if self.has_dictionaries {
            // It gives the dictionaries the numbers by which the decoder knows them.
            generator.schema_to_bytes_with_dictionary_tracker(&self.schema, &mut tracker, options);
        }
        context.set_reserve_scratch(true);
        let (dictionaries, rows) = generator.encode(&batch, &mut tracker, options, context)?;
        let mut block = Vec::with_capacity(rows.ipc_message.len() + rows.arrow_data.len() + 64);
        for message in dictionaries.into_iter().chain([rows]) {
            write_message(&mut block, message, options)?;
        }
        block.extend_from_slice(&TAIL);
        Ok(block)
    }

    /// What reads blocks.
    ///
    /// # Errors
    /// When Arrow cannot decode the schema that it encoded.
    pub(super) fn decoder(&self) -> Result<BatchDecoder, ArrowError> {
        let mut decoder = StreamDecoder::new();
        decoder.decode(&mut self.schema_message.clone())?;
        Ok(BatchDecoder { decoder, schema: Arc::clone(&self.schema) })
    }
}

/// Reads blocks, one after the other.
#[derive(Debug)]
pub(super) struct BatchDecoder {
    decoder: StreamDecoder,
    schema: SchemaRef,
}

impl BatchDecoder {
    /// The batch in a block.
    ///
    /// # Errors
    /// When the block was not written by a codec of the same schema.
    pub(super) fn decode(&mut self, block: Vec<u8>) -> Result<RecordBatch, ArrowError> {
        let batch = self.decoder.decode(&mut Buffer::from_vec(block))?;
        let batch = batch.ok_or_else(|| ArrowError::IpcError("a block without a batch".into()))?;
        let (_, columns, rows) = batch.into_parts();
        with_rows(&self.schema, columns, rows)
    }
}

/// A batch of these columns, which may be none.
pub(super) fn with_rows(
    schema: &SchemaRef,
    columns: Vec<arrow::array::ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}
