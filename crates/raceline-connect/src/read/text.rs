//! Lines of text: column `text`, one row a line.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::{DataType, Field};
use async_trait::async_trait;
use futures::TryStreamExt;
use raceline_exec::{Emit, SplitReader};
use raceline_plan::{FileSplit, TextReadOptions};
use raceline_types::{Failure, Split};

use super::columns::FileColumns;
use super::error::ReadError;
use super::fetch::bytes_of;
use super::lines::{LineCutter, TooLong};
use super::output::{BATCH_BYTES, Output, files_of};
use crate::store::Stores;

/// A column's offsets are 32 bits wide; a batch ends soon after [`BATCH_BYTES`].
const LINE_BYTES_MAX: usize = 1 << 30;
/// Bytes that are cut into lines before it is looked whether a batch is full. Each may be a line,
/// whose path and folders are much longer.
const CUT_BYTES: usize = 32 << 10;

/// Reads text files of UTF-8, compressed or not by their names (`.gz`, `.zst`, `.bz2`).
///
/// Lines end with `\n`, `\r` or `\r\n`. Of a file with a range it takes the lines that start in
/// it. Rows keep the order of files and lines.
#[derive(Debug)]
pub struct TextReader {
    stores: Arc<Stores>,
    options: TextReadOptions,
    columns: FileColumns,
}

/// Lines of one file on their way into a column.
struct Lines {
    uri: Arc<str>,
    drop_empty: bool,
    /// Bytes of a row beside its text.
    row_bytes: usize,
    builder: StringBuilder,
    rows: usize,
    bytes: usize,
}

impl TextReader {
    /// Name of the content column.
    const COLUMN: &'static str = "text";

    /// A reader whose columns are made by [`FileColumns::new`] from [`TextReader::content`].
    #[must_use]
    pub fn new(stores: Arc<Stores>, options: TextReadOptions, columns: FileColumns) -> Self {
        Self { stores, options, columns }
    }

    /// The content column: `text`, utf8, without nulls.
    #[must_use]
    pub fn content() -> Field {
        Field::new(Self::COLUMN, DataType::Utf8, false)
    }

    async fn read_file(&self, file: &FileSplit, output: &mut Output<'_>) -> Result<(), Failure> {
        let mut bytes = bytes_of(&self.stores, file)?;
        let mut cutter = LineCutter::new(file.range.as_ref(), LINE_BYTES_MAX);
        let mut lines = Lines {
            uri: Arc::clone(&file.uri),
            drop_empty: self.options.drop_empty_lines,
            row_bytes: self.columns.row_bytes(file),
            builder: StringBuilder::new(),
            rows: 0,
            bytes: 0,
        };
        while let Some(piece) = bytes.try_next().await? {
            for part in piece.chunks(CUT_BYTES) {
                cutter
                    .push(part, |line, number| lines.take(line, number))
                    .map_err(|cut| lines.failure(&cut))?;
                if lines.bytes >= BATCH_BYTES {
                    self.emit(&mut lines, file, output).await?;
                }
            }
            if cutter.is_done() {
                break;
            }
        }
        cutter
            .finish(|line, number| lines.take(line, number))
            .map_err(|cut| lines.failure(&cut))?;
        if lines.rows > 0 {
            self.emit(&mut lines, file, output).await?;
        }
        Ok(())
    }

    async fn emit(
        &self,
        lines: &mut Lines,
        file: &FileSplit,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let rows = std::mem::take(&mut lines.rows);
        lines.bytes = 0;
        let text: ArrayRef = Arc::new(lines.builder.finish());
        output.emit(self.columns.batch(|| Arc::clone(&text), &[(file, rows)])?).await
    }
}

/// Why cutting stopped.
enum Cut {
    TooLong(TooLong),
    NotUtf8 { line: u64 },
}

impl From<TooLong> for Cut {
    fn from(too_long: TooLong) -> Self {
        Self::TooLong(too_long)
    }
}

impl Lines {
    fn take(&mut self, line: &[u8], number: u64) -> Result<(), Cut> {
        let Ok(text) = std::str::from_utf8(line) else {
            return Err(Cut::NotUtf8 { line: number });
        };
        if self.drop_empty && text.trim().is_empty() {
            return Ok(());
        }
        self.builder.append_value(text);
        self.rows += 1;
        self.bytes += text.len() + self.row_bytes;
        Ok(())
    }

    fn failure(&self, cut: &Cut) -> Failure {
        let uri = Arc::clone(&self.uri);
        let error = match *cut {
            Cut::TooLong(TooLong { line }) => {
                ReadError::LineTooLong { uri, line, bytes_max: LINE_BYTES_MAX }
            }
            Cut::NotUtf8 { line } => ReadError::NotUtf8 { uri, line },
        };
        Failure::from(error).at_uri(&self.uri)
    }
}

#[async_trait]
impl SplitReader for TextReader {
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
        let mut output = Output::new(split, &self.columns, out);
        for file in files_of(split)?.iter() {
            self.read_file(file, &mut output).await?;
        }
        output.finish().await
    }
}
