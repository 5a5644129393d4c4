//! Tables of random columns, from a seed.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, FixedSizeListArray, Float64Array,
    Int32Array, Int64Array, LargeBinaryArray, ListArray, MapArray, NullArray, RecordBatch,
    RecordBatchOptions, StringArray, StringViewArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema, SchemaRef};

/// Numbers that look random.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end`, exclusive.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// Rows that cannot be compressed.
    pub(crate) fn numbers(mut self, rows: usize) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let values = (0..rows).map(|_| self.next().cast_signed());
        RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from_iter_values(values))]).unwrap()
    }

    fn text(&mut self) -> Option<String> {
        match self.below(4) {
            0 => None,
            1 => Some(String::new()),
            2 => Some(format!("é{}", self.below(1000))),
            _ => Some("a longer text ".repeat(self.below(5) + 1) + &self.below(9).to_string()),
        }
    }

    fn nulls(&mut self, rows: usize) -> Option<NullBuffer> {
        (self.below(2) == 0)
            .then(|| (0..rows).map(|_| self.below(3) > 0).collect::<Vec<_>>().into())
    }
}

fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, true))
}

fn parts() -> Fields {
    let fields = [DataType::Utf8View, DataType::Int64];
    fields
        .into_iter()
        .enumerate()
        .map(|(at, one)| Field::new(format!("p{at}"), one, true))
        .collect()
}

fn types() -> Vec<DataType> {
    let dictionary = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
    let entry = Fields::from(vec![
        Field::new("keys", DataType::Utf8, false),
        Field::new("values", DataType::Utf8View, true),
    ]);
    vec![
        DataType::Int64,
        DataType::Float64,
        DataType::Boolean,
        DataType::Utf8,
        DataType::Utf8View,
        DataType::LargeBinary,
        DataType::Decimal128(20, 3),
        DataType::Null,
        dictionary.clone(),
        DataType::List(item(DataType::Utf8View)),
        DataType::List(item(dictionary)),
        DataType::FixedSizeList(item(DataType::Float64), 3),
        DataType::Struct(parts()),
        DataType::List(item(DataType::Struct(parts()))),
        DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false),
    ]
}

/// Up to five columns, or none.
pub(crate) fn random_schema(random: &mut Random) -> SchemaRef {
    let types = types();
    let columns = random.below(6);
    let field =
        |at: usize| Field::new(format!("c{at}"), types[random.below(types.len())].clone(), true);
    Arc::new(Schema::new((0..columns).map(field).collect::<Vec<_>>()))
}

/// Up to 300 rows of `schema`, often a slice of more.
pub(crate) fn random_table(random: &mut Random, schema: &SchemaRef) -> RecordBatch {
    let rows = [0, 1, 17, 300][random.below(4)];
    let (before, after) = (random.below(3), random.below(3));
    let all = before + rows + after;
    let columns = schema.fields().iter().map(|field| column(random, field.data_type(), all));
    let columns = columns.collect();
    let options = RecordBatchOptions::new().with_row_count(Some(all));
    let table = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).unwrap();
    table.slice(before, rows)
}

fn column(random: &mut Random, data_type: &DataType, rows: usize) -> ArrayRef {
    let integers = |random: &mut Random| -> Vec<Option<i64>> {
        (0..rows)
            .map(|_| (random.below(5) > 0).then(|| random.next().cast_signed() >> 40))
            .collect()
    };
    match data_type {
        DataType::Int64 => Arc::new(Int64Array::from(integers(random))),
        DataType::Float64 => {
            let values = integers(random).into_iter();
            Arc::new(
                values
                    .map(|one| one.map(|one| f64::from(i32::try_from(one).unwrap()) / 3.0))
                    .collect::<Float64Array>(),
            )
        }
        DataType::Boolean => {
            let values = integers(random).into_iter();
            Arc::new(values.map(|one| one.map(|one| one > 0)).collect::<BooleanArray>())
        }
        DataType::Utf8 => Arc::new((0..rows).map(|_| random.text()).collect::<StringArray>()),
        DataType::Utf8View => {
            Arc::new((0..rows).map(|_| random.text()).collect::<StringViewArray>())
        }
        DataType::LargeBinary => {
            let values = (0..rows).map(|_| random.text().map(String::into_bytes));
            Arc::new(values.collect::<LargeBinaryArray>())
        }
        DataType::Decimal128(precision, scale) => {
            let values = integers(random).into_iter().map(|one| one.map(i128::from));
            let values = values.collect::<Decimal128Array>();
            Arc::new(values.with_precision_and_scale(*precision, *scale).unwrap())
        }
        DataType::Null => Arc::new(NullArray::new(rows)),
        DataType::Dictionary(..) => {
            let values = (0..40).map(|one| format!("a value of a dictionary {one}"));
            let values = Arc::new(StringArray::from_iter_values(values));
            let key = |_| (random.below(5) > 0).then(|| i32::try_from(random.below(40)).unwrap());
            let keys = (0..rows).map(key).collect::<Int32Array>();
            Arc::new(DictionaryArray::<Int32Type>::new(keys, values))
        }
        DataType::List(field) => {
            let lengths: Vec<_> = (0..rows).map(|_| random.below(4)).collect();
            let values = column(random, field.data_type(), lengths.iter().sum());
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::new(Arc::clone(field), offsets, values, random.nulls(rows)))
        }
        DataType::FixedSizeList(field, length) => {
            let items = rows * usize::try_from(*length).unwrap();
            let values = column(random, field.data_type(), items);
            let nulls = random.nulls(rows);
            Arc::new(FixedSizeListArray::new(Arc::clone(field), *length, values, nulls))
        }
        DataType::Struct(fields) => {
            let parts =
                fields.iter().map(|field| column(random, field.data_type(), rows)).collect();
            Arc::new(StructArray::new(fields.clone(), parts, random.nulls(rows)))
        }
        DataType::Map(field, sorted) => map_column(random, field, *sorted, rows),
        other => unreachable!("no column of {other}"),
    }
}

fn map_column(random: &mut Random, field: &Arc<Field>, sorted: bool, rows: usize) -> ArrayRef {
    let lengths: Vec<_> = (0..rows).map(|_| random.below(3)).collect();
    let entries: usize = lengths.iter().sum();
    let DataType::Struct(fields) = field.data_type() else { unreachable!() };
    let keys = (0..entries).map(|_| random.text().unwrap_or_default());
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(keys));
    let values = column(random, &DataType::Utf8View, entries);
    let entries = StructArray::new(fields.clone(), vec![keys, values], None);
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = random.nulls(rows);
    Arc::new(MapArray::new(Arc::clone(field), offsets, entries, nulls, sorted))
}
