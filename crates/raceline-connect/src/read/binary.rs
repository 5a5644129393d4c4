//! Whole files: column `bytes`, one row a file.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder};
use arrow::datatypes::{DataType, Field};
use async_trait::async_trait;
use futures::TryStreamExt;
use raceline_exec::{Emit, SplitReader};
use raceline_types::{Failure, Split};

use super::columns::FileColumns;
use super::fetch::contents;
use super::output::{BATCH_BYTES, Output, files_of};
use crate::store::Stores;

/// A column's offsets are 32 bits wide.
const FILE_BYTES_MAX: usize = i32::MAX as usize - BATCH_BYTES;

/// Reads whole files, one row each, in order. A file whose name ends with `.gz`, `.zst` or
/// `.bz2` is decompressed, as Ray Data does.
#[derive(Debug)]
pub struct BinaryReader {
    stores: Arc<Stores>,
    columns: FileColumns,
}

impl BinaryReader {
    /// Name of the content column.
    const COLUMN: &'static str = "bytes";

    /// A reader whose columns are made by [`FileColumns::new`] from [`BinaryReader::content`].
    #[must_use]
    pub fn new(stores: Arc<Stores>, columns: FileColumns) -> Self {
        Self { stores, columns }
    }

    /// The content column: `bytes`, binary, without nulls.
    #[must_use]
    pub fn content() -> Field {
        Field::new(Self::COLUMN, DataType::Binary, false)
    }
}

#[async_trait]
impl SplitReader for BinaryReader {
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
        let files = files_of(split)?;
        let mut output = Output::new(split, &self.columns, out);
        if !self.columns.wants_content() {
            return output.emit_names(&files).await;
        }
        let mut contents = contents(&self.stores, &files, (true, FILE_BYTES_MAX));
        let mut builder = BinaryBuilder::new();
        let mut bytes = 0;
        let mut runs = Vec::new();
        for file in files.iter() {
            let Some(content) = contents.try_next().await? else { break };
            builder.append_value(&content);
            bytes += content.len();
            runs.push((file, 1));
            if bytes >= BATCH_BYTES {
                let column: ArrayRef = Arc::new(builder.finish());
                output.emit(self.columns.batch(|| Arc::clone(&column), &runs)?).await?;
                runs.clear();
                bytes = 0;
            }
        }
        if !runs.is_empty() {
            let column: ArrayRef = Arc::new(builder.finish());
            output.emit(self.columns.batch(|| Arc::clone(&column), &runs)?).await?;
        }
        output.finish().await
    }
}
