//! Row groups of Parquet: how columns are encoded, and what a write holds for them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field};
use futures::StreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use raceline_connect::FileSink;
use raceline_exec::Region;
use raceline_plan::WriteFormat;
use raceline_types::Batch;

use super::fixture::{Collected, Place};

fn parquet() -> WriteFormat {
    WriteFormat::Parquet { compression: "snappy".to_owned(), row_group_rows: None }
}

/// A number that looks like chance.
fn mixed(value: i64) -> i64 {
    let mut bits = value.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits ^= bits >> 32;
    bits = bits.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (bits ^ (bits >> 29)).cast_signed()
}

async fn metadata(place: &Place, name: &str) -> Arc<ParquetMetaData> {
    let bytes = bytes::Bytes::from(place.get(name).await);
    Arc::clone(ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().metadata())
}

#[tokio::test]
async fn only_columns_of_values_that_come_again_have_dictionaries() {
    const ROWS: i64 = 20_000;
    let place = Place::memory();
    let vectors = Float32Array::from_iter_values(
        (0..8 * ROWS)
            .map(|at| f32::from_bits(0x3F80_0000 | (mixed(at).cast_unsigned() >> 41) as u32)),
    );
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    let columns: [(_, ArrayRef); 5] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..ROWS))),
        ("key", Arc::new(Int64Array::from_iter_values((0..ROWS).map(mixed)))),
        (
            "few",
            Arc::new(Int64Array::from_iter_values((0..ROWS).map(|row| mixed(row).rem_euclid(100)))),
        ),
        (
            "name",
            Arc::new(
                (0..ROWS).map(|row| Some(format!("name {}", row % 7))).collect::<StringArray>(),
            ),
        ),
        (
            "vector",
            Arc::new(FixedSizeListArray::try_new(item, 8, Arc::new(vectors), None).unwrap()),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let halves = [batch.slice(0, 9000), batch.slice(9000, batch.num_rows() - 9000)];
    let spec = place.spec("out", parquet());
    let written = place.write(spec, halves.into_iter().map(Ok).collect()).await.unwrap();
    let metadata = metadata(&place, &written[0].0).await;
    let has_dictionary: Vec<bool> = metadata
        .row_group(0)
        .columns()
        .iter()
        .map(|column| column.encodings().any(|one| one == Encoding::RLE_DICTIONARY))
        .collect();
    assert_eq!(has_dictionary, [false, false, true, true, false]);
    let bytes: Vec<i64> =
        metadata.row_group(0).columns().iter().map(ColumnChunkMetaData::compressed_size).collect();
    assert!(bytes[2] < ROWS * 2 && bytes[3] < ROWS, "{bytes:?}");
    let file = bytes::Bytes::from(place.get(&written[0].0).await);
    let read = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let read = read.with_batch_size(batch.num_rows()).build().unwrap().next().unwrap().unwrap();
    assert_eq!(read.columns(), batch.columns());
}

/// Writes 48 MiB of numbers; the most that was held, and the file's row groups.
async fn write_numbers(memory_bytes: Option<usize>) -> (u64, usize) {
    const BATCH_ROWS: i64 = 1 << 15;
    let place = Place::local();
    let sink =
        FileSink::new(Arc::clone(&place.stores), Arc::new(place.spec("out", parquet()))).unwrap();
    let sink = match memory_bytes {
        Some(bytes) => sink.within(bytes),
        None => sink,
    };
    let batches = (0..48).map(|batch| {
        let first = batch * BATCH_ROWS;
        let columns = (0..4).map(|at| {
            let values = (first..first + BATCH_ROWS).map(|row| mixed(row + at));
            (at.to_string(), Arc::new(Int64Array::from_iter_values(values)) as ArrayRef)
        });
        Ok(Batch::without_origin(RecordBatch::try_from_iter(columns).unwrap()))
    });
    let mut out = Collected::default();
    sink.run(vec![futures::stream::iter(batches).boxed()], &mut out).await.unwrap();
    let files = place.all_files().await;
    assert_eq!(files.len(), 1, "{files:?}");
    let level = out.accounts.held.level();
    assert_eq!(level.bytes, 0, "what was held is given back");
    (level.bytes_peak, metadata(&place, &files[0]).await.num_row_groups())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_holds_no_more_than_its_memory() {
    let (peak, groups) = write_numbers(Some(12 << 20)).await;
    // A batch comes before it is known what is to be encoded for it.
    assert!(peak <= 13 << 20, "{peak}");
    assert!((16..=24).contains(&groups), "{groups}");
    let (peak, groups) = write_numbers(None).await;
    assert!(peak > 64 << 20, "{peak}");
    assert_eq!(groups, 2);
}
