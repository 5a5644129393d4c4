//! Encodes runs of rows. A run is encoded by itself, so that several are encoded side by side;
//! a file is its runs one behind the other.

use std::io;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv;
use arrow::datatypes::SchemaRef;
use arrow::json::writer::{LineDelimited, WriterBuilder};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions,
    compute_leaves,
};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, Encoding, GzipLevel, LogicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;
use raceline_plan::WriteFormat;

use super::dictionary::dictionaries_pay;
use super::error::WriteError;
use super::fit::format_name;

/// How a write encodes.
pub(super) struct Encoder {
    schema: SchemaRef,
    format: &'static str,
    how: How,
}

enum How {
    Parquet { compression: Compression, stored: Box<SchemaDescriptor> },
    Csv,
    Json,
}

/// A run of rows, encoded.
pub(super) enum Encoded {
    /// The column chunks of one row group.
    RowGroup(Vec<ArrowColumnChunk>),
    /// Lines.
    Lines(Vec<u8>),
}

/// A file that runs are added to.
pub(super) struct FileEncoder {
    format: &'static str,
    parquet: Option<SerializedFileWriter<Vec<u8>>>,
}

impl Encoder {
    /// An encoder of rows of `schema`.
    ///
    /// # Errors
    /// An unknown compression, or a schema that the format cannot hold.
    pub(super) fn new(format: &WriteFormat, schema: SchemaRef) -> Result<Self, WriteError> {
        let how = match format {
            WriteFormat::Csv => How::Csv,
            WriteFormat::Json => How::Json,
            WriteFormat::Parquet { compression, row_group_rows: _ } => {
                let compression = parse_compression(compression)?;
                let stored = ArrowSchemaConverter::new().convert(&schema).map_err(parquet_error)?;
                How::Parquet { compression, stored: Box::new(stored) }
            }
        };
        Ok(Self { schema, format: format_name(format), how })
    }

    /// Starts a file.
    pub(super) fn file(&self) -> Result<FileEncoder, WriteError> {
        let parquet = match &self.how {
            How::Csv | How::Json => None,
            // How columns are encoded is a matter of each row group.
            How::Parquet { compression, stored } => {
                let writer = self.writer(Vec::new(), properties(stored, *compression, &[]));
                Some(writer.map_err(parquet_error)?.0)
            }
        };
        Ok(FileEncoder { format: self.format, parquet })
    }

    /// Encodes a run; `first` says that it starts its file. Uses the CPU for as long as it
    /// takes.
    pub(super) fn encode(&self, rows: &[RecordBatch], first: bool) -> Result<Encoded, WriteError> {
        let text_error = |source| WriteError::Encode { format: self.format, source };
        match &self.how {
            How::Parquet { compression, stored } => {
                let properties = properties(stored, *compression, &dictionaries_pay(stored, rows));
                self.row_group(properties, rows).map(Encoded::RowGroup).map_err(parquet_error)
            }
            How::Csv => {
                let mut writer = csv::WriterBuilder::new().with_header(first).build(Vec::new());
                rows.iter()
                    .try_for_each(|batch| writer.write(batch))
                    .map_err(|error| text_error(Box::new(error)))?;
                Ok(Encoded::Lines(writer.into_inner()))
            }
            How::Json => {
                let mut writer = WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .build::<_, LineDelimited>(Vec::new());
                rows.iter()
                    .try_for_each(|batch| writer.write(batch))
                    .and_then(|()| writer.finish())
                    .map_err(|error| text_error(Box::new(error)))?;
                Ok(Encoded::Lines(writer.into_inner()))
            }
        }
    }

    fn writer<W: io::Write + Send>(
        &self,
        to: W,
        properties: WriterProperties,
    ) -> Result<(SerializedFileWriter<W>, ArrowRowGroupWriterFactory), ParquetError> {
        let options = ArrowWriterOptions::new().with_properties(properties);
        ArrowWriter::try_new_with_options(to, Arc::clone(&self.schema), options)
            .and_then(ArrowWriter::into_serialized_writer)
    }

    fn row_group(
        &self,
        properties: WriterProperties,
        rows: &[RecordBatch],
    ) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        let (_, factory) = self.writer(io::sink(), properties)?;
        // The number of a row group matters to encryption only.
        let mut writers = factory.create_column_writers(0)?;
        for batch in rows {
            let mut leaf_writers = writers.iter_mut();
            for (field, column) in self.schema.fields().iter().zip(batch.columns()) {
                for leaf in compute_leaves(field, column)? {
                    let writer = leaf_writers.next().ok_or_else(|| {
                        ParquetError::General("more leaves than column writers".to_owned())
                    })?;
                    writer.write(&leaf)?;
                }
            }
        }
        writers.into_iter().map(ArrowColumnWriter::close).collect()
    }
}

impl Encoded {
    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Lines(bytes) => bytes.capacity(),
            Self::RowGroup(columns) => {
                let bytes: u64 = columns.iter().map(|column| column.close().bytes_written).sum();
                usize::try_from(bytes).unwrap_or(usize::MAX)
            }
        }
    }
}

impl FileEncoder {
    /// Adds a run; the bytes that it makes of the file come back.
    pub(super) fn append(&mut self, run: Encoded) -> Result<Vec<u8>, WriteError> {
        let run_bytes = run.bytes();
        match (run, &mut self.parquet) {
            (Encoded::Lines(bytes), _) => Ok(bytes),
            (Encoded::RowGroup(columns), Some(writer)) => {
                let append = || -> Result<(), ParquetError> {
                    // Columns move from one to the other, so that they are never there twice.
                    writer.inner_mut().reserve_exact(run_bytes);
                    let mut group = writer.next_row_group()?;
                    for column in columns {
                        column.append_to_row_group(&mut group)?;
                    }
                    group.close().map(drop)
                };
                append().map_err(parquet_error)?;
                Ok(std::mem::take(writer.inner_mut()))
            }
            (Encoded::RowGroup(_), None) => Err(WriteError::Encode {
                format: self.format,
                source: "a row group came to a file of lines".into(),
            }),
        }
    }

    /// Ends the file; its last bytes come back.
    pub(super) fn finish(self) -> Result<Vec<u8>, WriteError> {
        let Some(mut writer) = self.parquet else { return Ok(Vec::new()) };
        writer.finish().map_err(parquet_error)?;
        Ok(std::mem::take(writer.inner_mut()))
    }
}

/// How columns are encoded. Lists of bytes (pictures, say) have values that are many and of all
/// kinds: differences are cheaper to write than a dictionary and no larger. Other columns have a
/// dictionary, as far as `dictionaries` does not say for theirs that it does not pay.
fn properties(
    stored: &SchemaDescriptor,
    compression: Compression,
    dictionaries: &[bool],
) -> WriterProperties {
    let mut builder = WriterProperties::builder().set_compression(compression);
    for (at, column) in stored.columns().iter().enumerate() {
        let is_byte = matches!(
            column.logical_type_ref(),
            Some(LogicalType::Integer(integer)) if integer.bit_width == 8
        );
        let path = || column.path().clone();
        if is_byte && column.max_rep_level() > 0 {
            builder = builder
                .set_column_dictionary_enabled(path(), false)
                .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED);
        } else if dictionaries.get(at) == Some(&false) {
            builder = builder.set_column_dictionary_enabled(path(), false);
        }
    }
    builder.build()
}

fn parquet_error(source: ParquetError) -> WriteError {
    WriteError::Encode { format: "Parquet", source: Box::new(source) }
}

/// Checks what can be checked of `format` before there are rows.
pub(super) fn check_format(format: &WriteFormat) -> Result<(), WriteError> {
    match format {
        WriteFormat::Parquet { compression, .. } => parse_compression(compression).map(drop),
        WriteFormat::Csv | WriteFormat::Json => Ok(()),
    }
}

fn parse_compression(name: &str) -> Result<Compression, WriteError> {
    match name.to_ascii_lowercase().as_str() {
        "snappy" => Ok(Compression::SNAPPY),
        "zstd" => Ok(Compression::ZSTD(ZstdLevel::default())),
        "gzip" => Ok(Compression::GZIP(GzipLevel::default())),
        "lz4" => Ok(Compression::LZ4_RAW),
        "none" | "uncompressed" => Ok(Compression::UNCOMPRESSED),
        _ => Err(WriteError::Compression { name: name.to_owned() }),
    }
}
