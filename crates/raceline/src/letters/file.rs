//! Letters as record batches, and the files that hold them.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, StructArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use raceline_types::{Diagnostic, ErrorKind, Failure};
use thiserror::Error;

use super::folder::LetterFolder;

/// Rows of a batch of letters.
const BATCH_ROWS: usize = 256;

/// Bytes of input rows after which a batch of letters is written, however few they are.
const BATCH_BYTES: usize = 4 << 20;

/// A row that a function failed for, with all that is known of it.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) error_type: String,
    pub(super) error: String,
    pub(super) traceback: Option<String>,
    pub(super) split: Option<Arc<str>>,
    pub(super) split_row: Option<u64>,
    /// The row.
    pub(super) input: RecordBatch,
}

/// Letters in a file that is whole.
#[derive(Clone, Debug)]
pub(crate) struct LetterFile {
    /// An Arrow IPC stream.
    pub(crate) path: Arc<Path>,
    /// Of the letters.
    pub(crate) schema: SchemaRef,
    /// Number of letters.
    pub(crate) rows: u64,
}

/// A file of letters could not be written.
#[derive(Debug, Error)]
#[error("cannot write dead letters to `{path}`")]
struct LetterError {
    path: String,
    source: ArrowError,
}

impl Diagnostic for LetterError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Resource
    }

    fn hint(&self) -> Option<String> {
        Some("free space there, or set `TMPDIR` to another folder".to_owned())
    }
}

/// Schema of letters about rows of `input`. There is no column `input` where rows have no column.
pub(crate) fn letter_schema(input: &Schema) -> SchemaRef {
    let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
    let mut fields = vec![
        text("stage", false),
        text("error_type", false),
        text("error", false),
        text("traceback", true),
        text("split", true),
        Field::new("split_row", DataType::Int64, true),
    ];
    if !input.fields().is_empty() {
        fields.push(Field::new("input", DataType::Struct(input.fields().clone()), false));
    }
    Arc::new(Schema::new(fields))
}

/// Files that letters of one stage are written to, one for each schema of its input rows.
pub(super) struct Letters {
    stage: Arc<str>,
    waiting: Vec<Letter>,
    waiting_bytes: usize,
    open: Option<OpenFile>,
    done: Vec<LetterFile>,
}

struct OpenFile {
    path: PathBuf,
    writer: StreamWriter<BufWriter<File>>,
    input: SchemaRef,
    schema: SchemaRef,
    rows: u64,
}

impl Letters {
    pub(super) fn new(stage: Arc<str>) -> Self {
        Self { stage, waiting: Vec::new(), waiting_bytes: 0, open: None, done: Vec::new() }
    }

    /// Adds a letter, and writes those that wait when there are many of them.
    pub(super) fn add(&mut self, letter: Letter, folder: &LetterFolder) -> Result<(), Failure> {
        let schema = letter.input.schema_ref();
        if self.waiting.first().is_some_and(|first| first.input.schema_ref() != schema) {
            self.write(folder)?;
        }
        self.waiting_bytes += raceline_types::batch_sliced_bytes(&letter.input);
        self.waiting.push(letter);
        if self.waiting.len() >= BATCH_ROWS || self.waiting_bytes >= BATCH_BYTES {
            self.write(folder)?;
        }
        Ok(())
    }

    /// Writes what waits, and completes the files.
    pub(super) fn finish(&mut self, folder: &LetterFolder) -> Result<Vec<LetterFile>, Failure> {
        self.write(folder)?;
        self.complete()?;
        Ok(std::mem::take(&mut self.done))
    }

    fn write(&mut self, folder: &LetterFolder) -> Result<(), Failure> {
        let letters = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let Some(first) = letters.first() else { return Ok(()) };
        let input = first.input.schema();
        if self.open.as_ref().is_some_and(|open| open.input != input) {
            self.complete()?;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => OpenFile::create(folder.new_path()?, input)?,
        };
        open.write(&self.stage, &letters)?;
        self.open = Some(open);
        Ok(())
    }

    fn complete(&mut self) -> Result<(), Failure> {
        if let Some(open) = self.open.take() {
            self.done.push(open.complete()?);
        }
        Ok(())
    }
}

impl OpenFile {
    fn create(path: PathBuf, input: SchemaRef) -> Result<Self, Failure> {
        let schema = letter_schema(&input);
        let writer = File::create_new(&path)
            .map_err(ArrowError::from)
            .and_then(|file| StreamWriter::try_new(BufWriter::new(file), &schema))
            .map_err(|source| cannot_write(&path, source))?;
        Ok(Self { path, writer, input, schema, rows: 0 })
    }

    fn write(&mut self, stage: &str, letters: &[Letter]) -> Result<(), Failure> {
        let batch = batch_of(stage, letters, &self.input, &self.schema)
            .and_then(|batch| self.writer.write(&batch))
            .map_err(|source| cannot_write(&self.path, source));
        self.rows += letters.len() as u64;
        batch
    }

    fn complete(mut self) -> Result<LetterFile, Failure> {
        self.writer
            .finish()
            .and_then(|()| io::Write::flush(self.writer.get_mut()).map_err(ArrowError::from))
            .map_err(|source| cannot_write(&self.path, source))?;
        Ok(LetterFile { path: self.path.into(), schema: self.schema, rows: self.rows })
    }
}

fn cannot_write(path: &Path, source: ArrowError) -> Failure {
    LetterError { path: path.display().to_string(), source }.into()
}

fn batch_of(
    stage: &str,
    letters: &[Letter],
    input: &SchemaRef,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let text = |of: &dyn Fn(&Letter) -> Option<&str>| -> ArrayRef {
        Arc::new(letters.iter().map(of).collect::<StringArray>())
    };
    let row = |letter: &Letter| letter.split_row.and_then(|row| i64::try_from(row).ok());
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(letters.iter().map(|_| stage))),
        text(&|letter| Some(&letter.error_type)),
        text(&|letter| Some(&letter.error)),
        text(&|letter| letter.traceback.as_deref()),
        text(&|letter| letter.split.as_deref()),
        Arc::new(letters.iter().map(row).collect::<Int64Array>()),
    ];
    if !input.fields().is_empty() {
        let rows = concat_batches(input, letters.iter().map(|letter| &letter.input))?;
        columns.push(Arc::new(StructArray::from(rows)));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(letters.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}
