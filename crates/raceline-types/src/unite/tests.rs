//! Tests of the rule.

use arrow::compute::concat_batches;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, UInt8Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Float64Array, Int8Array,
    Int32Array, Int64Array, LargeBinaryArray, LargeStringArray, ListArray, NullArray, StringArray,
    StringViewArray, StructArray, UInt8Array, UInt64Array,
};
use arrow_schema::DataType;

use super::*;
use crate::extension::{TensorType, object_field};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn one(column: impl Array + 'static) -> RecordBatch {
    batch(vec![("x", Arc::new(column))])
}

fn of_field(field: Field, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]).unwrap()
}

fn whole(batches: Vec<RecordBatch>) -> RecordBatch {
    let batches = unite_batches(batches).unwrap();
    concat_batches(batches[0].schema_ref(), &batches).unwrap()
}

fn united_types(left: RecordBatch, right: RecordBatch) -> DataType {
    let types = [vec![left.clone(), right.clone()], vec![right, left]]
        .map(|pair| whole(pair).column(0).data_type().clone());
    assert_eq!(types[0], types[1], "the order of the batches must not matter");
    types[0].clone()
}

fn refusal(batches: Vec<RecordBatch>) -> String {
    unite_batches(batches).unwrap_err().render()
}

#[test]
fn ints_and_floats_and_nulls_and_missing_columns_unite() {
    let batches = vec![
        one(NullArray::new(1)),
        one(Int64Array::from(vec![1])),
        one(Float64Array::from(vec![0.5])),
        batch(vec![
            ("y", Arc::new(StringArray::from(vec!["a"]))),
            ("x", Arc::new(NullArray::new(1))),
        ]),
    ];
    let whole = whole(batches);
    let xs = whole.column(0).as_primitive::<Float64Type>();
    assert_eq!(xs.iter().collect::<Vec<_>>(), [None, Some(1.0), Some(0.5), None]);
    assert_eq!((whole.schema().field(1).name().as_str(), whole.column(1).null_count()), ("y", 3));
}

#[test]
fn integers_widen() {
    let small = one(Int8Array::from(vec![-1]));
    let unsigned = one(UInt8Array::from(vec![255]));
    assert_eq!(united_types(small.clone(), unsigned.clone()), DataType::Int16);
    assert_eq!(united_types(small, one(Int32Array::from(vec![1]))), DataType::Int32);
    assert_eq!(united_types(unsigned, one(UInt64Array::from(vec![1]))), DataType::UInt64);
    let message =
        refusal(vec![one(Int64Array::from(vec![1])), one(UInt64Array::from(vec![u64::MAX]))]);
    assert!(message.starts_with("column `x` is `Int64` in some batches and `UInt64`"), "{message}");
}

#[test]
fn an_integer_that_float64_may_not_hold_is_an_error() {
    let float = one(Float64Array::from(vec![0.5]));
    let exact = one(Int64Array::from(vec![-(1 << 53)]));
    let whole = whole(vec![float.clone(), exact]);
    let expected = Float64Array::from(vec![0.5, -9_007_199_254_740_992.0]);
    assert_eq!(whole.column(0).as_ref(), &expected as &dyn Array);
    assert_eq!(
        refusal(vec![one(Int64Array::from(vec![(1 << 53) + 1])), float]),
        "column `x` is float64 in some batches, which cannot hold its integer \
         `9007199254740993`\n  column: x\n  hint: make the function return `float(x)` or `str(x)` \
         for `x`"
    );
}

#[test]
fn layouts_of_strings_and_bytes_unite() {
    let text = one(StringArray::from(vec!["a"]));
    assert_eq!(united_types(text.clone(), text.clone()), DataType::Utf8);
    let large = one(LargeStringArray::from(vec!["b"]));
    assert_eq!(united_types(text.clone(), large), DataType::LargeUtf8);
    let view = one(StringViewArray::from(vec!["b"]));
    assert_eq!(united_types(text, view), DataType::LargeUtf8);
    let bytes = one(BinaryArray::from(vec![b"a".as_slice()]));
    let large = one(LargeBinaryArray::from(vec![b"b".as_slice()]));
    assert_eq!(united_types(bytes, large), DataType::LargeBinary);
}

#[test]
fn types_without_a_union_are_named() {
    assert_eq!(
        refusal(vec![one(Int64Array::from(vec![1])), one(StringArray::from(vec!["a"]))]),
        "column `x` is `Int64` in some batches and `Utf8` in later ones\n  column: x\n  hint: make \
         the function return one type for `x` in every batch, e.g. always `float(x)` or always \
         `str(x)`"
    );
    let message =
        refusal(vec![one(BooleanArray::from(vec![true])), one(Int64Array::from(vec![1]))]);
    assert!(message.starts_with("column `x` is `Boolean`"), "{message}");
}

fn lists<T: arrow_array::ArrowPrimitiveType>(rows: Vec<Vec<T::Native>>) -> RecordBatch {
    let rows = rows.into_iter().map(|row| Some(row.into_iter().map(Some)));
    one(ListArray::from_iter_primitive::<T, _, _>(rows))
}

#[test]
fn the_rule_holds_inside_lists_and_structs() {
    let whole_lists = whole(vec![
        lists::<Int64Type>(vec![vec![1, 2], vec![]]),
        lists::<Float64Type>(vec![vec![0.5]]),
    ]);
    let list = whole_lists.column(0).as_list::<i32>();
    assert_eq!(list.values().as_primitive::<Float64Type>().values().as_ref(), [1.0, 2.0, 0.5]);
    let message = refusal(vec![
        lists::<Int64Type>(vec![vec![i64::MAX]]),
        lists::<Float64Type>(vec![vec![0.5]]),
    ]);
    assert!(message.contains("`9223372036854775807`"), "{message}");

    let record = |name: &str, column: ArrayRef| {
        let field = Field::new(name, column.data_type().clone(), false);
        one(StructArray::new(vec![field].into(), vec![column], None))
    };
    let whole = whole(vec![
        record("a", Arc::new(Int64Array::from(vec![1]))),
        record("b", Arc::new(StringArray::from(vec!["b"]))),
    ]);
    let parts = whole.column(0).as_struct();
    assert_eq!(parts.column_names(), ["a", "b"]);
    assert_eq!((parts.column(0).null_count(), parts.column(1).null_count()), (1, 1));
}

fn tensors(shape: &[usize], values: Vec<u8>) -> RecordBatch {
    let tensor = TensorType::Fixed { value_type: DataType::UInt8, shape: shape.to_vec() };
    let field = tensor.field("image").unwrap();
    let DataType::FixedSizeList(item, size) = field.data_type() else { panic!("no list") };
    let values = Arc::new(UInt8Array::from(values));
    let list = FixedSizeListArray::new(Arc::clone(item), *size, values, None);
    of_field(field, Arc::new(list))
}

#[test]
fn tensors_of_different_shapes_become_variable() {
    let (wide, tall) = (tensors(&[2, 3], (0..12).collect()), tensors(&[3, 2], (12..18).collect()));
    let whole = whole(vec![wide.clone(), tall]);
    let variable = TensorType::Variable { value_type: DataType::UInt8, dimensions: 2 };
    assert_eq!(TensorType::of(whole.schema().field(0)).unwrap(), Some(variable));
    let parts = whole.column(0).as_struct();
    let data = parts.column(0).as_list::<i32>();
    assert_eq!(data.value(1).as_primitive::<UInt8Type>().values().as_ref(), [6, 7, 8, 9, 10, 11]);
    let shapes = parts.column(1).as_fixed_size_list().values();
    assert_eq!(shapes.as_primitive::<Int32Type>().values().as_ref(), [2, 3, 2, 3, 3, 2]);

    assert_eq!(
        refusal(vec![wide, tensors(&[6], (0..6).collect())]).lines().next().unwrap(),
        "column `image` is `tensor of UInt8 [2, 3]` in some batches and `tensor of UInt8 [6]` in \
         later ones"
    );
}

#[test]
fn a_fixed_schema_takes_no_tensor_of_another_shape() {
    let first = tensors(&[2, 3], (0..6).collect());
    let later = tensors(&[3, 2], (0..6).collect());
    let failure = conform(&later, first.schema_ref()).unwrap_err();
    assert!(matches!(failure.downcast_ref(), Some(UniteError::Types { .. })), "{failure:?}");
}

#[test]
fn objects_are_no_bytes() {
    let pickled: ArrayRef = Arc::new(LargeBinaryArray::from(vec![b"\x80".as_slice()]));
    let objects = of_field(object_field("x"), Arc::clone(&pickled));
    let bytes = one(LargeBinaryArray::from(vec![b"a".as_slice()]));
    for pair in [vec![bytes.clone(), objects.clone()], vec![objects.clone(), bytes.clone()]] {
        assert!(refusal(pair).contains("`Python object`"));
    }
    assert!(conform(&objects, bytes.schema_ref()).is_err());
    let whole = whole(vec![one(NullArray::new(1)), objects]);
    assert!(crate::is_object_field(whole.schema().field(0)));
}

#[test]
fn a_fixed_schema_takes_what_fits_it() {
    let typed =
        |values: ArrayRef| batch(vec![("a", values), ("b", Arc::new(Int64Array::from(vec![2])))]);
    let schema = typed(Arc::new(Float64Array::from(vec![0.5]))).schema();
    let schema = unite_schemas([&schema, &Arc::new(Schema::empty())]).unwrap();

    let reordered = batch(vec![
        ("b", Arc::new(Int64Array::from(vec![2])) as ArrayRef),
        ("a", Arc::new(Int64Array::from(vec![1]))),
    ]);
    let fitted = conform(&reordered, &schema).unwrap();
    assert_eq!(fitted.column(0).as_ref(), &Float64Array::from(vec![1.0]) as &dyn Array);

    let nulls = typed(Arc::new(StringArray::from(vec![None::<&str>])));
    assert_eq!(conform(&nulls, &schema).unwrap().column(0).null_count(), 1);

    let lacking = batch(vec![("a", Arc::new(Float64Array::from(vec![0.5])))]);
    assert_eq!(conform(&lacking, &schema).unwrap().column(1).null_count(), 1);

    let new = one(Int64Array::from(vec![1]));
    let failure = conform(&new, &schema).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "column `x` is missing in the first batches and there in a later one"
    );
    assert_eq!(failure.kind(), ErrorKind::Plan);
}

#[test]
fn batches_without_rows_have_no_say() {
    let empty = one(StringArray::from(Vec::<&str>::new()));
    let batches = unite_batches(vec![empty.clone(), one(Int64Array::from(vec![1]))]).unwrap();
    assert!(batches.iter().all(|batch| batch.column(0).data_type() == &DataType::Int64));
    assert_eq!(unite_batches(vec![empty.clone()]).unwrap(), [empty]);
}
