//! Round trips of random batches through a segment, and layouts that are damaged.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;
use arrow::error::ArrowError;
use arrow::util::pretty::pretty_format_batches;
use proptest::prelude::*;
use proptest::sample::Index;
use raceline_types::TensorType;

use super::{PackPlan, SchemaReader, SchemaWriter, unpack};
use crate::wire::BatchLayout;

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 29) ^ self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit.max(1) as u64).unwrap()
    }

    fn nulls(&mut self, len: usize) -> Option<NullBuffer> {
        (self.below(3) > 0).then(|| (0..len).map(|_| self.below(4) > 0).collect())
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = self.below(30);
        (0..len).map(|_| b'a' + u8::try_from(self.below(26)).unwrap()).collect()
    }

    /// Lengths of `len` lists, as offsets.
    fn lengths(&mut self, len: usize) -> Vec<usize> {
        (0..len).map(|_| self.below(4)).collect()
    }
}

fn leaf() -> impl Strategy<Value = DataType> {
    prop::sample::select(vec![
        DataType::Null,
        DataType::Boolean,
        DataType::Int8,
        DataType::UInt16,
        DataType::Int32,
        DataType::Int64,
        DataType::Float16,
        DataType::Float64,
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Microsecond, Some("+01:00".into())),
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Decimal128(20, 3),
        DataType::Decimal256(50, -2),
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::LargeBinary,
        DataType::BinaryView,
        DataType::FixedSizeBinary(5),
        DataType::FixedSizeBinary(0),
    ])
}

fn data_type() -> impl Strategy<Value = DataType> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        let item = |dt: DataType| Arc::new(Field::new("item", dt, true));
        prop_oneof![
            inner.clone().prop_map(move |dt| DataType::List(item(dt))),
            inner.clone().prop_map(move |dt| DataType::LargeList(item(dt))),
            inner.clone().prop_map(move |dt| DataType::ListView(item(dt))),
            (inner.clone(), 0..4i32).prop_map(move |(dt, n)| DataType::FixedSizeList(item(dt), n)),
            inner.clone().prop_map(|dt| DataType::Map(map_entries(dt), false)),
            inner.clone().prop_map(|dt| {
                let ends = Field::new("run_ends", DataType::Int32, false);
                DataType::RunEndEncoded(ends.into(), Field::new("values", dt, true).into())
            }),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|types| {
                let named = types.into_iter().enumerate();
                DataType::Struct(
                    named.map(|(i, dt)| Field::new(format!("f{i}"), dt, true)).collect(),
                )
            }),
            (prop::collection::vec(inner, 1..3), any::<bool>()).prop_map(|(types, dense)| {
                let named = types.into_iter().enumerate();
                let fields = named.map(|(i, dt)| {
                    (i8::try_from(i).unwrap(), Arc::new(Field::new(format!("u{i}"), dt, true)))
                });
                let mode = if dense { UnionMode::Dense } else { UnionMode::Sparse };
                DataType::Union(fields.collect(), mode)
            }),
            leaf()
                .prop_filter("values of a dictionary", |dt| *dt != DataType::Null)
                .prop_map(|dt| { DataType::Dictionary(Box::new(DataType::Int16), Box::new(dt)) }),
        ]
    })
}

fn map_entries(values: DataType) -> FieldRef {
    let fields =
        vec![Field::new("keys", DataType::Utf8, false), Field::new("values", values, true)];
    Arc::new(Field::new("entries", DataType::Struct(fields.into()), false))
}

/// Any array of `data_type`; sliced out of a larger one now and then.
fn array(data_type: &DataType, len: usize, dice: &mut Dice) -> ArrayRef {
    let before = dice.below(3) * dice.below(7);
    let whole = whole_array(data_type, before + len + dice.below(3), dice);
    whole.slice(before, len)
}

fn whole_array(data_type: &DataType, len: usize, dice: &mut Dice) -> ArrayRef {
    match data_type {
        DataType::Null => Arc::new(NullArray::new(len)),
        DataType::Boolean => {
            let values = (0..len).map(|_| dice.below(2) > 0).collect();
            Arc::new(BooleanArray::new(values, dice.nulls(len)))
        }
        DataType::List(item) => {
            let lengths = dice.lengths(len);
            let values = array(item.data_type(), lengths.iter().sum(), dice);
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::new(Arc::clone(item), offsets, values, dice.nulls(len)))
        }
        DataType::LargeList(item) => {
            let lengths = dice.lengths(len);
            let values = array(item.data_type(), lengths.iter().sum(), dice);
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(LargeListArray::new(Arc::clone(item), offsets, values, dice.nulls(len)))
        }
        DataType::ListView(item) => {
            let values = array(item.data_type(), 9, dice);
            let sizes: Vec<i32> = (0..len).map(|_| i32::try_from(dice.below(4)).unwrap()).collect();
            let offsets: Vec<i32> =
                (0..len).map(|_| i32::try_from(dice.below(6)).unwrap()).collect();
            let (offsets, sizes) = (ScalarBuffer::from(offsets), ScalarBuffer::from(sizes));
            Arc::new(ListViewArray::new(Arc::clone(item), offsets, sizes, values, dice.nulls(len)))
        }
        DataType::FixedSizeList(item, size) => {
            let values = array(item.data_type(), len * usize::try_from(*size).unwrap(), dice);
            let nulls = dice.nulls(len);
            Arc::new(
                FixedSizeListArray::try_new_with_length(
                    Arc::clone(item),
                    *size,
                    values,
                    nulls,
                    len,
                )
                .unwrap(),
            )
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else { unreachable!() };
            let lengths = dice.lengths(len);
            let count = lengths.iter().sum();
            let keys = Arc::new(StringArray::from_iter_values(
                (0..count).map(|_| String::from_utf8(dice.bytes()).unwrap()),
            ));
            let values = array(fields[1].data_type(), count, dice);
            let pairs = StructArray::new(fields.clone(), vec![keys, values], None);
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(MapArray::new(Arc::clone(entries), offsets, pairs, dice.nulls(len), false))
        }
        _ => mixed_array(data_type, len, dice),
    }
}

fn mixed_array(data_type: &DataType, len: usize, dice: &mut Dice) -> ArrayRef {
    match data_type {
        DataType::RunEndEncoded(_, values) => {
            let mut ends = Vec::new();
            let mut end = 0;
            while end < len {
                end += 1 + dice.below(4);
                ends.push(i32::try_from(end).unwrap());
            }
            let values = array(values.data_type(), ends.len(), dice);
            let runs = RunArray::<Int32Type>::try_new(&Int32Array::from(ends), &values).unwrap();
            Arc::new(runs.slice(0, len))
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|field| array(field.data_type(), len, dice)).collect();
            Arc::new(StructArray::new(fields.clone(), columns, dice.nulls(len)))
        }
        DataType::Union(fields, mode) => {
            let ids: Vec<i8> =
                (0..len).map(|_| i8::try_from(dice.below(fields.len())).unwrap()).collect();
            let child = |field: &Field, dice: &mut Dice| array(field.data_type(), len.max(1), dice);
            let children = fields.iter().map(|(_, field)| child(field, dice)).collect::<Vec<_>>();
            let (offsets, children) = match mode {
                UnionMode::Dense => {
                    let offsets: Vec<i32> =
                        (0..len).map(|_| i32::try_from(dice.below(len)).unwrap()).collect();
                    (Some(offsets.into()), children)
                }
                UnionMode::Sparse => (None, children.iter().map(|c| c.slice(0, len)).collect()),
            };
            Arc::new(UnionArray::try_new(fields.clone(), ids.into(), offsets, children).unwrap())
        }
        DataType::Dictionary(_, values) => {
            let values = array(values, 5, dice);
            let keys: Vec<i16> = (0..len).map(|_| i16::try_from(dice.below(5)).unwrap()).collect();
            let keys = Int16Array::new(keys.into(), dice.nulls(len));
            Arc::new(DictionaryArray::new(keys, values))
        }
        _ => flat_array(data_type, len, dice),
    }
}

fn flat_array(data_type: &DataType, len: usize, dice: &mut Dice) -> ArrayRef {
    match data_type {
        DataType::Utf8View => {
            let text = |dice: &mut Dice| String::from_utf8(dice.bytes()).unwrap();
            let value = |_| (dice.below(4) > 0).then(|| text(dice));
            Arc::new((0..len).map(value).collect::<StringViewArray>())
        }
        DataType::BinaryView => {
            let value = |_| (dice.below(4) > 0).then(|| dice.bytes());
            Arc::new((0..len).map(value).collect::<BinaryViewArray>())
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => {
            let values: Vec<Option<Vec<u8>>> =
                (0..len).map(|_| (dice.below(4) > 0).then(|| dice.bytes())).collect();
            let binary = BinaryArray::from_iter(values);
            arrow::compute::cast(&binary, data_type).unwrap()
        }
        fixed => {
            let layout = layout(fixed);
            let BufferSpec::FixedWidth { byte_width, .. } = layout.buffers[0] else {
                unreachable!()
            };
            let bytes: Vec<u8> =
                (0..len * byte_width).map(|_| u8::try_from(dice.below(100)).unwrap()).collect();
            // Decimals and times have limits, so their high bytes stay zero.
            let bytes = limit(fixed, byte_width, bytes);
            let data = ArrayData::builder(fixed.clone())
                .len(len)
                .add_buffer(Buffer::from_slice_ref(&bytes))
                .nulls(dice.nulls(len));
            make_array(data.build().unwrap())
        }
    }
}

fn limit(data_type: &DataType, width: usize, mut bytes: Vec<u8>) -> Vec<u8> {
    if matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..)) {
        for value in bytes.chunks_exact_mut(width) {
            value[7..].fill(0);
        }
    }
    bytes
}

/// Any batch.
pub(crate) fn batch() -> impl Strategy<Value = RecordBatch> {
    (prop::collection::vec(data_type(), 0..4), 0usize..40, any::<u64>()).prop_map(
        |(types, rows, seed)| {
            let mut dice = Dice(seed);
            let columns: Vec<ArrayRef> =
                types.iter().map(|data_type| array(data_type, rows, &mut dice)).collect();
            let fields: Vec<Field> = (0..)
                .zip(&types)
                .map(|(i, data_type)| Field::new(format!("c{i}"), data_type.clone(), true))
                .collect();
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
                .unwrap()
        },
    )
}

fn packed(batch: &RecordBatch) -> (BatchLayout, MutableBuffer) {
    let plan = PackPlan::new(batch).unwrap();
    let mut segment = MutableBuffer::from_len_zeroed(plan.bytes());
    let layout = plan.write(&mut segment);
    (layout, segment)
}

fn round_trip(batch: &RecordBatch) -> RecordBatch {
    let (mut writer, mut reader) = (SchemaWriter::default(), SchemaReader::default());
    let schema = reader.resolve(&writer.name(batch.schema_ref())).unwrap();
    let (layout, segment) = packed(batch);
    unpack(&schema, &layout, &[segment.into()]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_packed_is_unpacked(batch in batch()) {
        let back = round_trip(&batch);
        prop_assert_eq!(back.schema(), batch.schema());
        prop_assert_eq!(&back, &batch);
        // Equality looks at values; text also shows what nested types hide from it.
        prop_assert_eq!(
            pretty_format_batches(&[back]).unwrap().to_string(),
            pretty_format_batches(&[batch]).unwrap().to_string()
        );
    }

    #[test]
    fn a_slice_is_packed_at_its_own_size(batch in batch(), at in any::<Index>()) {
        let first = at.index(batch.num_rows() + 1);
        let slice = batch.slice(first, batch.num_rows() - first);
        prop_assert_eq!(&round_trip(&slice), &slice);
    }

    #[test]
    fn a_corrupt_layout_is_an_error_or_harmless(
        batch in batch(),
        damages in prop::collection::vec((any::<Index>(), any::<u64>(), 0u8..7), 1..4),
    ) {
        let (mut layout, mut segment) = packed(&batch);
        for (at, value, kind) in damages {
            damage(&mut layout, &mut segment, at, value, kind);
        }
        if let Ok(read) = unpack(&batch.schema(), &layout, &[segment.into()]) {
            for column in read.columns() {
                column.to_data().validate_full().unwrap();
            }
            let _shown = pretty_format_batches(&[read]);
        }
    }
}

fn damage(layout: &mut BatchLayout, segment: &mut [u8], at: Index, value: u64, kind: u8) {
    let small = value % 100;
    match kind {
        0 if !segment.is_empty() => {
            segment[at.index(segment.len())] ^= u8::try_from(value & 255).unwrap();
        }
        1 if !layout.buffers.is_empty() => at.get_mut(&mut layout.buffers).offset = value,
        2 if !layout.buffers.is_empty() => at.get_mut(&mut layout.buffers).offset = small,
        3 if !layout.buffers.is_empty() => at.get_mut(&mut layout.buffers).bytes = small,
        4 if !layout.arrays.is_empty() => at.get_mut(&mut layout.arrays).len = small,
        5 if !layout.arrays.is_empty() => {
            at.get_mut(&mut layout.arrays).buffers = u32::try_from(value % 5).unwrap();
        }
        6 if !layout.arrays.is_empty() => {
            let array = at.get_mut(&mut layout.arrays);
            (array.offset, array.has_nulls) = (small, !array.has_nulls);
        }
        _ => layout.rows = small,
    }
}

fn one_column(field: Field, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
}

#[test]
fn metadata_of_schema_and_extension_types_is_kept() {
    let tensor = TensorType::Fixed { value_type: DataType::UInt8, shape: vec![2, 3] };
    let field = tensor.field("image").unwrap();
    let item = Arc::new(Field::new_list_field(DataType::UInt8, true));
    let values = Arc::new(UInt8Array::from_iter_values(0..18));
    let images = Arc::new(FixedSizeListArray::new(item, 6, values, None));
    let metadata = HashMap::from([("k".to_owned(), "v".to_owned())]);
    let schema = Arc::new(Schema::new_with_metadata(vec![field], metadata));
    let batch = RecordBatch::try_new(schema, vec![images]).unwrap().slice(1, 2);
    let back = round_trip(&batch);
    assert_eq!(back, batch);
    assert_eq!(back.schema().metadata()["k"], "v");
    assert_eq!(TensorType::of(back.schema().field(0)).unwrap(), Some(tensor));
}

#[test]
fn a_slice_takes_no_more_than_its_rows() {
    let strings = StringArray::from_iter_values((0..10_000).map(|i| format!("value {i}")));
    let views =
        StringViewArray::from_iter_values((0..10_000).map(|i| format!("a longer value {i}")));
    for column in [Arc::new(strings) as ArrayRef, Arc::new(views)] {
        let field = Field::new("c", column.data_type().clone(), true);
        let batch = one_column(field, column).slice(5_000, 10);
        assert!(PackPlan::new(&batch).unwrap().bytes() < 1_000);
        assert_eq!(round_trip(&batch), batch);
    }
}

#[test]
fn views_that_share_their_bytes_are_not_blown_up() {
    let value = Buffer::from_slice_ref([b'x'; 1_000]);
    let view = ByteView::new(1_000, b"xxxx").as_u128();
    let views = ScalarBuffer::from(vec![view; 5_000]);
    let column = Arc::new(StringViewArray::new(views, vec![value], None));
    let batch = one_column(Field::new("c", DataType::Utf8View, false), column);
    assert!(PackPlan::new(&batch).unwrap().bytes() < 82_000);
    assert_eq!(round_trip(&batch), batch);
}

#[test]
fn rows_without_columns_are_kept() {
    let options = RecordBatchOptions::new().with_row_count(Some(7));
    let schema = Arc::new(Schema::empty());
    let batch = RecordBatch::try_new_with_options(schema, vec![], &options).unwrap();
    assert_eq!(round_trip(&batch).num_rows(), 7);
}

#[test]
fn unpacked_arrays_share_the_segment() {
    let batch = one_column(
        Field::new("c", DataType::Int64, false),
        Arc::new(Int64Array::from_iter_values(0..100)),
    );
    let (layout, segment) = packed(&batch);
    let segment: Buffer = segment.into();
    let back = unpack(&batch.schema(), &layout, std::slice::from_ref(&segment)).unwrap();
    assert_eq!(back.column(0).to_data().buffers()[0].as_ptr(), segment.as_ptr());
}

fn error_of(batch: &RecordBatch, change: impl FnOnce(&mut BatchLayout, &mut [u8])) -> ArrowError {
    let (mut layout, mut segment) = packed(batch);
    change(&mut layout, &mut segment);
    unpack(&batch.schema(), &layout, &[segment.into()]).unwrap_err()
}

#[test]
fn bad_data_is_named() {
    let batch = one_column(
        Field::new("c", DataType::Utf8, true),
        Arc::new(StringArray::from(vec![Some("ab"), None, Some("c")])),
    );
    let text = error_of(&batch, |layout, segment| {
        segment[usize::try_from(layout.buffers[2].offset).unwrap()] = 0xff;
    });
    assert!(text.to_string().contains("Invalid UTF8"), "{text}");
    let text = error_of(&batch, |layout, _| layout.buffers[1].offset = u64::MAX);
    assert_eq!(text.to_string(), "Invalid argument error: a buffer lies outside of its segment");
    let text = error_of(&batch, |layout, _| layout.arrays[0].len = 1 << 60);
    assert_eq!(text.to_string(), "Invalid argument error: an array is too long");
    let text = error_of(&batch, |layout, _| layout.rows = 4);
    assert!(text.to_string().contains("all columns in a record batch"), "{text}");
    let text = error_of(&batch, |layout, _| layout.arrays.push(layout.arrays[0].clone()));
    assert!(text.to_string().ends_with("the layout has more arrays than the schema"), "{text}");
}

#[test]
fn schemas_travel_once_until_their_slot_is_needed() {
    let (mut writer, mut reader) = (SchemaWriter::default(), SchemaReader::default());
    let schema =
        |i: usize| Arc::new(Schema::new(vec![Field::new(format!("c{i}"), DataType::Int64, true)]));
    for i in 0..200 {
        let first = writer.name(&schema(i));
        assert!(first.ipc.is_some());
        assert_eq!(reader.resolve(&first).unwrap(), schema(i));
        let again = writer.name(&schema(i));
        assert!(again.ipc.is_none());
        assert_eq!(reader.resolve(&again).unwrap(), schema(i));
    }
    let unknown = crate::wire::SchemaRef { slot: 99, ipc: None };
    let error = reader.resolve(&unknown).unwrap_err();
    assert_eq!(error.to_string(), "Schema error: schema slot 99 was never set");
    let garbage = crate::wire::SchemaRef { slot: 0, ipc: Some(vec![1; 50]) };
    assert!(reader.resolve(&garbage).is_err());
}
