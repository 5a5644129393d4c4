//! How often each value of a group is there: what several aggregates are made of.
//!
//! With a capacity it is the sketch of frequent items of Anderson and others, "A High-Performance
//! Algorithm for Identifying Frequent Items in Data Streams" (2017): when there are more values,
//! the median of their counts is taken off all counts, and those that are used up are dropped.

use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{HashMap, ScalarValue};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, GroupsAccumulator, Signature, Volatility,
};

use super::grouped_counts::GroupedCounts;
use crate::missing::canonical_key;

/// Bytes of a value in the table beside its own.
const ENTRY_BYTES: usize = size_of::<Box<[u8]>>() + size_of::<i64>() + 8;

/// The function: the distinct values, in ascending order with a missing one last, and their counts,
/// as a struct of two lists; null for no values.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ValueCounts {
    signature: Signature,
    flatten: bool,
    capacity: usize,
}

/// Counts the values of `column`, or the items of its lists, of which at most `capacity` at a time.
pub(super) fn value_counts(column: Expr, flatten: bool, capacity: usize) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    AggregateUDF::from(ValueCounts { signature, flatten, capacity }).call(vec![column])
}

/// The type of what is counted in a column of `data_type`.
pub(super) fn counted_type(data_type: &DataType, flatten: bool) -> DataType {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)
            if flatten =>
        {
            item.data_type().clone()
        }
        other => other.clone(),
    }
}

/// The struct of `values` and `counts` of values of a type.
pub(super) fn counts_type(value: &DataType) -> DataType {
    let list = |name, data_type: &DataType| Field::new(name, list_type(data_type), true);
    DataType::Struct(Fields::from(vec![list("values", value), list("counts", &DataType::Int64)]))
}

fn list_type(data_type: &DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(data_type.clone(), true)))
}

impl AggregateUDFImpl for ValueCounts {
    fn name(&self) -> &'static str {
        "value_counts"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(counts_type(&counted_type(&arguments[0], self.flatten)))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> DataFusionResult<Box<dyn Accumulator>> {
        Ok(Box::new(Counting { values: self.values(&args)?, counts: Counts::default() }))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> DataFusionResult<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(GroupedCounts::new(self.values(&args)?)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> DataFusionResult<Vec<FieldRef>> {
        let value = counted_type(args.input_fields[0].data_type(), self.flatten);
        let field = |name, data_type| {
            Arc::new(Field::new(format_state_name(args.name, name), data_type, true))
        };
        Ok(vec![
            field("values", list_type(&value)),
            field("counts", list_type(&DataType::Int64)),
            field("taken_off", DataType::Int64),
        ])
    }
}

impl ValueCounts {
    fn values(&self, args: &AccumulatorArgs) -> DataFusionResult<Values> {
        let data_type = counted_type(args.expr_fields[0].data_type(), self.flatten);
        Values::new(data_type, self.flatten, self.capacity)
    }
}

/// What is counted, and how values become comparable bytes and values again.
#[derive(Debug)]
pub(super) struct Values {
    converter: RowConverter,
    pub(super) data_type: DataType,
    /// Whether the items of lists are counted.
    pub(super) flatten: bool,
    /// Most values whose counts are kept.
    pub(super) capacity: usize,
}

impl Values {
    pub(super) fn new(
        data_type: DataType,
        flatten: bool,
        capacity: usize,
    ) -> DataFusionResult<Self> {
        let options = SortOptions { descending: false, nulls_first: false };
        let field = SortField::new_with_options(data_type.clone(), options);
        Ok(Self { converter: RowConverter::new(vec![field])?, data_type, flatten, capacity })
    }

    /// The values as bytes that compare as they do.
    pub(super) fn rows(&self, values: &ArrayRef) -> DataFusionResult<Rows> {
        Ok(self.converter.convert_columns(&[canonical_key(values)])?)
    }

    /// The values of such bytes.
    pub(super) fn array<'a>(
        &self,
        rows: impl Iterator<Item = &'a [u8]>,
    ) -> DataFusionResult<ArrayRef> {
        let parser = self.converter.parser();
        let columns = self.converter.convert_rows(rows.map(|row| parser.parse(row)))?;
        let values = columns.into_iter().next().ok_or_else(|| {
            DataFusionError::Internal("values of one column are one column".into())
        })?;
        if values.data_type() == &self.data_type {
            return Ok(values);
        }
        Ok(arrow::compute::cast(&values, &self.data_type)?)
    }
}

/// The counts of one group.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// By the values as comparable bytes.
    by_value: HashMap<Box<[u8]>, i64>,
    /// What was taken off each count so far.
    pub(super) taken_off: i64,
    value_bytes: usize,
}

impl Counts {
    pub(super) fn add(&mut self, value: &[u8], count: i64, capacity: usize) {
        if let Some(known) = self.by_value.get_mut(value) {
            *known += count;
        } else {
            self.value_bytes += value.len();
            self.by_value.insert(value.into(), count);
            if self.by_value.len() > capacity {
                self.take_off();
            }
        }
    }

    /// Takes the median off all counts, so that half of the values go.
    fn take_off(&mut self) {
        let mut counts: Vec<i64> = self.by_value.values().copied().collect();
        let middle = counts.len() / 2;
        let (_, median, _) = counts.select_nth_unstable(middle);
        let median = *median;
        self.taken_off += median;
        let value_bytes = &mut self.value_bytes;
        self.by_value.retain(|value, count| {
            *count -= median;
            if *count <= 0 {
                *value_bytes -= value.len();
            }
            *count > 0
        });
    }

    /// The values as bytes in ascending order, and their counts.
    pub(super) fn sorted(&self) -> Vec<(&[u8], i64)> {
        let counts = self.by_value.iter();
        let mut entries: Vec<_> = counts.map(|(value, count)| (value.as_ref(), *count)).collect();
        entries.sort_unstable();
        entries
    }

    /// Bytes that it holds beside itself.
    pub(super) fn held_bytes(&self) -> usize {
        self.value_bytes + self.by_value.capacity() * ENTRY_BYTES
    }
}

/// Counts the values of one group.
#[derive(Debug)]
struct Counting {
    values: Values,
    counts: Counts,
}

impl Counting {
    /// The values in ascending order, and their counts with `more` added.
    fn sorted(&self, more: i64) -> DataFusionResult<(ArrayRef, ArrayRef)> {
        let entries = self.counts.sorted();
        let values = self.values.array(entries.iter().map(|(value, _)| *value))?;
        let counts = entries.iter().map(|(_, count)| count + more).collect::<Int64Array>();
        Ok((values, Arc::new(counts)))
    }
}

/// A list of one row.
fn list_of(values: ArrayRef) -> Result<ListArray, ArrowError> {
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    ListArray::try_new(field, OffsetBuffer::from_lengths([values.len()]), values, None)
}

/// The items of lists, those of missing lists left out.
fn items(lists: &ArrayRef) -> DataFusionResult<ArrayRef> {
    let data_type = lists.data_type();
    let (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)) =
        data_type
    else {
        return Ok(Arc::clone(lists));
    };
    let field = Arc::new(Field::new_list_field(item.data_type().clone(), true));
    let lists = arrow::compute::cast(lists, &DataType::LargeList(field))?;
    let lists = lists.as_list::<i64>();
    let there = lists.iter().flatten();
    let there: Vec<ArrayRef> = there.collect();
    if there.is_empty() {
        return Ok(arrow::array::new_empty_array(item.data_type()));
    }
    let there: Vec<&dyn Array> = there.iter().map(AsRef::as_ref).collect();
    Ok(arrow::compute::concat(&there)?)
}

impl Accumulator for Counting {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        let Self { values: made, counts } = self;
        let items = if made.flatten { items(&values[0])? } else { Arc::clone(&values[0]) };
        for row in &made.rows(&items)? {
            counts.add(row.as_ref(), 1, made.capacity);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DataFusionResult<()> {
        let Self { values: made, counts: all } = self;
        let (values, counts) = (states[0].as_list::<i32>(), states[1].as_list::<i32>());
        let taken_off = states[2].as_primitive::<Int64Type>();
        for (at, (values, counts)) in values.iter().zip(counts.iter()).enumerate() {
            let (Some(values), Some(counts)) = (values, counts) else { continue };
            let counts = counts.as_primitive::<Int64Type>().values();
            all.taken_off += taken_off.value(at);
            for (row, &count) in made.rows(&values)?.iter().zip(counts) {
                all.add(row.as_ref(), count, made.capacity);
            }
        }
        Ok(())
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        let (values, counts) = self.sorted(0)?;
        Ok(vec![
            ScalarValue::List(Arc::new(list_of(values)?)),
            ScalarValue::List(Arc::new(list_of(counts)?)),
            ScalarValue::Int64(Some(self.counts.taken_off)),
        ])
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        let data_type = counts_type(&self.values.data_type);
        let (values, counts) = self.sorted(self.counts.taken_off)?;
        if values.is_empty() {
            return ScalarValue::try_from(&data_type);
        }
        let DataType::Struct(fields) = data_type else {
            return Err(DataFusionError::Internal("counts are a struct".into()));
        };
        let lists: Vec<ArrayRef> = vec![Arc::new(list_of(values)?), Arc::new(list_of(counts)?)];
        Ok(ScalarValue::Struct(Arc::new(StructArray::try_new(fields, lists, None)?)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.held_bytes()
    }
}
