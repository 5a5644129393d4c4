//! How often each value is there, for many groups at once: [`super::value_counts`] without a
//! conversion for each group of each batch.

use std::iter::repeat;
use std::mem::size_of;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, LargeListArray, ListArray, OffsetSizeTrait,
    StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::value_counts::{Counts, Values, counts_type};

/// The counts of many groups.
#[derive(Debug)]
pub(super) struct GroupedCounts {
    values: Values,
    groups: Vec<Counts>,
    /// Bytes that the groups hold.
    held_bytes: usize,
}

/// Counts of groups, one list a group.
struct Lists {
    values: ListArray,
    counts: ListArray,
    taken_off: Int64Array,
}

impl GroupedCounts {
    pub(super) fn new(values: Values) -> Self {
        Self { values, groups: Vec::new(), held_bytes: 0 }
    }

    /// Makes room for so many groups.
    fn grow(&mut self, groups: usize) {
        if self.groups.len() < groups {
            self.groups.resize_with(groups, Counts::default);
        }
    }

    /// Adds values, each with its group and count.
    fn add(
        &mut self,
        values: &ArrayRef,
        counted: impl Iterator<Item = (usize, usize, i64)>,
    ) -> DataFusionResult<()> {
        let rows = self.values.rows(values)?;
        for (row, group, count) in counted {
            let counts = &mut self.groups[group];
            let before = counts.held_bytes();
            counts.add(rows.row(row).as_ref(), count, self.values.capacity);
            self.held_bytes = self.held_bytes + counts.held_bytes() - before;
        }
        Ok(())
    }

    /// Takes the counts of groups out, in ascending order of the values; `with_taken_off` adds what
    /// was taken off.
    fn take(&mut self, emit_to: EmitTo, with_taken_off: bool) -> DataFusionResult<Lists> {
        let groups = emit_to.take_needed(&mut self.groups);
        self.held_bytes -= groups.iter().map(Counts::held_bytes).sum::<usize>();
        let sorted: Vec<_> = groups.iter().map(Counts::sorted).collect();
        let offsets = OffsetBuffer::<i32>::from_lengths(sorted.iter().map(Vec::len));
        let values = self.values.array(sorted.iter().flatten().map(|(value, _)| *value))?;
        let counts = sorted.iter().zip(&groups).flat_map(|(entries, group)| {
            let more = if with_taken_off { group.taken_off } else { 0 };
            entries.iter().map(move |(_, count)| count + more)
        });
        let counts: ArrayRef = Arc::new(counts.collect::<Int64Array>());
        Ok(Lists {
            values: list(offsets.clone(), values)?,
            counts: list(offsets, counts)?,
            taken_off: groups.iter().map(|group| group.taken_off).collect(),
        })
    }

    /// The lists of a column whose items are counted.
    fn lists(&self, column: &ArrayRef) -> DataFusionResult<Option<LargeListArray>> {
        let is_list = matches!(
            column.data_type(),
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _)
        );
        if !(self.values.flatten && is_list) {
            return Ok(None);
        }
        let item = Arc::new(Field::new_list_field(self.values.data_type.clone(), true));
        let lists = arrow::compute::cast(column, &DataType::LargeList(item))?;
        Ok(Some(lists.as_list::<i64>().clone()))
    }
}

impl GroupsAccumulator for GroupedCounts {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> DataFusionResult<()> {
        self.grow(total_num_groups);
        let taken = |row: usize| opt_filter.is_none_or(|filter| is_true(filter, row));
        let rows = group_indices.iter().enumerate().filter(|(row, _)| taken(*row));
        let Some(lists) = self.lists(&values[0])? else {
            return self.add(&values[0], rows.map(|(row, &group)| (row, group, 1)));
        };
        let rows = rows.filter(|(row, _)| lists.is_valid(*row));
        let (items, places) = items_of(lists.values(), lists.value_offsets());
        let items_of_rows = rows.flat_map(|(row, &group)| places(row).zip(repeat(group)));
        self.add(&items, items_of_rows.map(|(item, group)| (item, group, 1)))
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> DataFusionResult<()> {
        self.grow(total_num_groups);
        let (values, counts, taken_off) =
            (values[0].as_list::<i32>(), values[1].as_list::<i32>(), &values[2]);
        let taken_off = taken_off.as_primitive::<Int64Type>();
        let (values_of_rows, places) = items_of(values.values(), values.value_offsets());
        let (counts_of_rows, count_places) = items_of(counts.values(), counts.value_offsets());
        let counts_of_rows = counts_of_rows.as_primitive::<Int64Type>().values();
        let there = |row: usize| values.is_valid(row) && counts.is_valid(row);
        let rows = group_indices.iter().enumerate().filter(|(row, _)| there(*row));
        for (row, &group) in rows.clone() {
            self.groups[group].taken_off += taken_off.value(row);
        }
        let entries = rows.flat_map(|(row, &group)| {
            let counts = &counts_of_rows[count_places(row)];
            places(row).zip(counts).map(move |(at, &count)| (at, group, count))
        });
        self.add(&values_of_rows, entries)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> DataFusionResult<ArrayRef> {
        let lists = self.take(emit_to, true)?;
        let DataType::Struct(fields) = counts_type(&self.values.data_type) else {
            return Err(DataFusionError::Internal("counts are a struct".into()));
        };
        let there = lists.values.offsets().lengths().map(|length| length > 0);
        let there: NullBuffer = there.collect::<Vec<_>>().into();
        let columns: Vec<ArrayRef> = vec![Arc::new(lists.values), Arc::new(lists.counts)];
        Ok(Arc::new(StructArray::try_new(fields, columns, Some(there))?))
    }

    fn state(&mut self, emit_to: EmitTo) -> DataFusionResult<Vec<ArrayRef>> {
        let Lists { values, counts, taken_off } = self.take(emit_to, false)?;
        Ok(vec![Arc::new(values), Arc::new(counts), Arc::new(taken_off)])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> DataFusionResult<Vec<ArrayRef>> {
        let groups: Vec<usize> = (0..values[0].len()).collect();
        let (data_type, flatten) = (self.values.data_type.clone(), self.values.flatten);
        let mut alone = Self::new(Values::new(data_type, flatten, self.values.capacity)?);
        alone.update_batch(values, &groups, opt_filter, groups.len())?;
        alone.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.groups.capacity() * size_of::<Counts>() + self.held_bytes
    }
}

/// The items of lists with these offsets, and where among them those of a list are.
fn items_of<'a, O: OffsetSizeTrait>(
    all: &ArrayRef,
    offsets: &'a [O],
) -> (ArrayRef, impl Fn(usize) -> Range<usize> + 'a) {
    let (first, last) = (offsets[0].as_usize(), offsets[offsets.len() - 1].as_usize());
    let places =
        move |row: usize| offsets[row].as_usize() - first..offsets[row + 1].as_usize() - first;
    (all.slice(first, last - first), places)
}

fn is_true(filter: &BooleanArray, row: usize) -> bool {
    filter.is_valid(row) && filter.value(row)
}

fn list(offsets: OffsetBuffer<i32>, values: ArrayRef) -> DataFusionResult<ListArray> {
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    Ok(ListArray::try_new(field, offsets, values, None)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, ListArray};
    use arrow::datatypes::Int64Type;
    use arrow::util::display::array_value_to_string;

    use super::*;

    fn grouped(flatten: bool, capacity: usize) -> GroupedCounts {
        GroupedCounts::new(Values::new(DataType::Int64, flatten, capacity).unwrap())
    }

    fn shown(counts: &ArrayRef) -> Vec<String> {
        (0..counts.len()).map(|row| array_value_to_string(counts, row).unwrap()).collect()
    }

    fn lists() -> ArrayRef {
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(9), Some(9)]),
            Some(vec![Some(2), None, Some(1)]),
            None,
            Some(vec![Some(2)]),
            Some(vec![]),
        ]))
    }

    #[test]
    fn items_of_lists_are_counted_by_group_also_of_a_part_of_a_column() {
        let mut counts = grouped(true, usize::MAX);
        let part = lists().slice(1, 4);
        counts.update_batch(&[part], &[1, 0, 1, 2], None, 3).unwrap();
        let found = counts.evaluate(EmitTo::All).unwrap();
        assert_eq!(shown(&found), ["", "{values: [1, 2, ], counts: [1, 2, 1]}", ""]);
    }

    #[test]
    fn rows_that_a_filter_takes_out_are_not_counted() {
        let mut counts = grouped(false, usize::MAX);
        let values: ArrayRef = Arc::new(Int64Array::from(vec![7, 7, 8]));
        let filter = BooleanArray::from(vec![Some(true), Some(false), None]);
        counts.update_batch(&[values], &[0, 0, 0], Some(&filter), 1).unwrap();
        let found = counts.evaluate(EmitTo::All).unwrap();
        assert_eq!(shown(&found), ["{values: [7], counts: [1]}"]);
    }

    #[test]
    fn states_of_rows_and_of_the_first_groups_merge() {
        let mut counts = grouped(true, usize::MAX);
        let states = counts.convert_to_state(&[lists()], None).unwrap();
        let states: Vec<_> = states.iter().map(|state| state.slice(1, 3)).collect();
        counts.merge_batch(&states, &[0, 0, 1], 2).unwrap();
        assert!(counts.size() > 0);
        let first = counts.state(EmitTo::First(1)).unwrap();
        counts.merge_batch(&first, &[0], 1).unwrap();
        let found = counts.evaluate(EmitTo::All).unwrap();
        assert_eq!(shown(&found), ["{values: [1, 2, ], counts: [1, 2, 1]}"]);
        assert_eq!(counts.held_bytes, 0);
    }

    #[test]
    fn what_is_taken_off_is_added_at_the_end() {
        let mut counts = grouped(false, 2);
        let values: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 1, 2, 3]));
        counts.update_batch(&[values], &[0; 5], None, 1).unwrap();
        let state = counts.state(EmitTo::All).unwrap();
        assert_eq!(state[2].as_primitive::<Int64Type>().values(), &[1]);
        counts.merge_batch(&state, &[0], 1).unwrap();
        let found = counts.evaluate(EmitTo::All).unwrap();
        assert_eq!(shown(&found), ["{values: [1], counts: [3]}"]);
    }
}
