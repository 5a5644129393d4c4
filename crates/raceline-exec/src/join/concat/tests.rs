//! What is written to other memory is what Arrow makes on the heap.

use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{
    BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, FixedSizeBinaryArray,
    Float64Array, Int32Array, LargeListArray, ListArray, NullArray, StringArray, UInt8Array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Int32Type, Schema};
use proptest::prelude::*;
use raceline_types::{ColumnSpace, HeapMemory};

use super::*;

/// The heap, counted, and not clean.
#[derive(Debug, Default)]
struct Counted(AtomicUsize);

impl ColumnMemory for Counted {
    fn space(&self, bytes: usize) -> Box<dyn ColumnSpace> {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        let mut space = HeapMemory.space(bytes);
        space.bytes_mut().fill(0xA5);
        space
    }
}

/// `rows` values of each kind, numbered from `first` on, every `nth` of them null.
fn columns(first: usize, rows: usize, nth: usize) -> Vec<(&'static str, ArrayRef)> {
    let numbers = || (first..first + rows).map(|at| (at % nth != 0).then_some(at));
    let offsets = || OffsetBuffer::from_lengths((first..first + rows).map(|at| at % 5));
    let large = || OffsetBuffer::from_lengths((first..first + rows).map(|at| at % 5));
    let items: usize = (first..first + rows).map(|at| at % 5).sum();
    let nulls = || Some(numbers().map(|number| number.is_some()).collect::<NullBuffer>());
    let byte = |at: usize| u8::try_from(at % 251).unwrap();
    let bytes =
        |count: usize| Arc::new(UInt8Array::from_iter_values((first..first + count).map(byte)));
    let item = |data_type| Arc::new(Field::new_list_field(data_type, true));
    let texts: Vec<Option<String>> =
        numbers().map(|number| number.map(|number| format!("value {number}"))).collect();
    let words: DictionaryArray<Int32Type> = texts.iter().map(Option::as_deref).collect();
    let float = |number: usize| f64::from(u32::try_from(number).unwrap());
    let floats = numbers().map(|number| number.map(float)).collect::<Float64Array>();
    let decimals = numbers().map(|number| number.map(|number| i128::try_from(number).unwrap()));
    let tensors = FixedSizeListArray::new(item(DataType::UInt8), 12, bytes(rows * 12), nulls());
    let lists = ListArray::new(item(DataType::UInt8), offsets(), bytes(items), None);
    let shape =
        Arc::new(Int32Array::from_iter_values((0..rows * 3).map(|at| i32::try_from(at).unwrap())));
    let shape = FixedSizeListArray::new(item(DataType::Int32), 3, shape, None);
    let ragged = StructArray::from(vec![
        (
            Arc::new(Field::new("data", lists.data_type().clone(), false)),
            Arc::new(lists) as ArrayRef,
        ),
        (Arc::new(Field::new("shape", shape.data_type().clone(), false)), Arc::new(shape) as _),
    ]);
    let fixed = numbers().map(|number| number.map(|number| [byte(number); 7]));
    let binaries: Vec<Option<&[u8]>> =
        texts.iter().map(|text| text.as_deref().map(str::as_bytes)).collect();
    vec![
        ("floats", Arc::new(floats) as ArrayRef),
        ("decimals", Arc::new(decimals.collect::<Decimal128Array>())),
        ("tensors", Arc::new(tensors)),
        ("ragged", Arc::new(ragged)),
        (
            "lists of lists",
            Arc::new(LargeListArray::new(
                item(DataType::Float64),
                large(),
                Arc::new(Float64Array::from_iter_values((0..items).map(float))),
                nulls(),
            )),
        ),
        (
            "fixed",
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed, 7).unwrap()),
        ),
        ("binaries", Arc::new(BinaryArray::from(binaries))),
        ("texts", Arc::new(StringArray::from(texts.clone()))),
        ("booleans", Arc::new(numbers().map(|n| n.map(|n| n % 3 == 0)).collect::<BooleanArray>())),
        ("words", Arc::new(words)),
        ("nothing", Arc::new(NullArray::new(rows))),
    ]
}

fn batch(first: usize, rows: usize, nth: usize) -> RecordBatch {
    let columns = columns(first, rows, nth);
    let fields =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns.into_iter().map(|(_, column)| column).collect()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batches_are_joined_as_arrow_joins_them(
        parts in prop::collection::vec((0_usize..20_000, 0_usize..12_000, 1_usize..9, 0_usize..50), 1..4),
    ) {
        let parts: Vec<RecordBatch> = parts
            .into_iter()
            .map(|(first, rows, nth, cut)| {
                let whole = batch(first, rows, nth);
                let cut = cut.min(rows / 2);
                whole.slice(cut, rows - 2 * cut)
            })
            .collect();
        let schema = parts[0].schema();
        let joined = concat_into(&Counted::default(), &schema, &parts).unwrap();
        prop_assert_eq!(&joined, &concat_batches(&schema, &parts).unwrap());
        for column in joined.columns() {
            column.to_data().validate_full().unwrap();
        }
    }
}

#[test]
fn large_values_lie_in_the_memory_and_small_ones_do_not() {
    let memory = Counted::default();
    let parts = [batch(0, 20_000, 3), batch(7, 20_000, 3)];
    concat_into(&memory, &parts[0].schema(), &parts).unwrap();
    let bytes = memory.0.load(Ordering::Relaxed);
    // Floats, decimals, tensors and fixed-size bytes alone; texts are not.
    let fixed = 40_000 * (8 + 16 + 12 + 7);
    assert!((fixed + 40_000..fixed + 40_000 * 50).contains(&bytes), "{bytes}");
    let memory = Counted::default();
    let parts = [batch(0, 100, 3), batch(7, 100, 3)];
    concat_into(&memory, &parts[0].schema(), &parts).unwrap();
    assert_eq!(memory.0.load(Ordering::Relaxed), 0);
}

#[test]
fn offsets_that_outgrow_their_type_are_arrow_s_error() {
    let huge = [i32::MAX - 1, i32::MAX];
    assert!(offsets_of([&[0, huge[0]][..], &[0, 2][..]].into_iter()).is_none());
    let fits = offsets_of([&[5, i32::MAX][..], &[7, 10, 12][..]].into_iter()).unwrap();
    assert_eq!(fits.as_ref(), [0, i32::MAX - 5, i32::MAX - 2, i32::MAX]);
}
