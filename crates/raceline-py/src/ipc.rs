//! Batches as bytes of Arrow IPC streams, for other processes of the same program.

use std::io::Cursor;

use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;

/// `batch` as a stream of one batch.
pub(crate) fn written(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref())?;
    writer.write(batch)?;
    writer.into_inner()
}

/// The batch of a stream of one batch.
pub(crate) fn read(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    let mut batches = StreamReader::try_new(Cursor::new(bytes), None)?;
    let nothing = || ArrowError::IpcError("the stream holds no batch".to_owned());
    batches.next().ok_or_else(nothing)?
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, Int64Array, StringArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn a_batch_comes_back_as_it_was() {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4)]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "", "long text", "x"]));
        let words: DictionaryArray<Int32Type> = vec!["x", "y", "x", "x"].into_iter().collect();
        let columns = [("id", ids), ("text", texts), ("word", Arc::new(words) as ArrayRef)];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, true)),
        )
        .unwrap();
        for batch in [batch.clone(), batch.slice(1, 2), batch.slice(0, 0)] {
            assert_eq!(read(&written(&batch).unwrap()).unwrap(), batch);
        }
    }

    #[test]
    fn other_bytes_are_an_error() {
        assert!(read(b"").is_err());
        assert!(read(&[255; 64]).is_err());
    }
}
