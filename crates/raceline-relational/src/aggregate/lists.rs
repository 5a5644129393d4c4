//! Answers that are made of the values of a group: lists of them, quantiles, the most frequent.

use std::cmp::Reverse;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListArray, StructArray,
    UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{filter, is_not_null, take};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use arrow::error::ArrowError;

/// `lists` with items as `item` has them, without missing ones unless they are kept.
pub(super) fn list(
    lists: &ListArray,
    item: &FieldRef,
    keeps_nulls: bool,
) -> Result<ArrayRef, ArrowError> {
    let list = |offsets, values: ArrayRef| {
        let item = Arc::clone(item);
        Ok(Arc::new(ListArray::try_new(item, offsets, values, lists.nulls().cloned())?) as ArrayRef)
    };
    if keeps_nulls || lists.values().logical_null_count() == 0 {
        return list(lists.offsets().clone(), Arc::clone(lists.values()));
    }
    let there = is_not_null(lists.values())?;
    let offsets = lists.value_offsets();
    // What a missing list covers goes too.
    let (mut kept, mut lengths) = (vec![false; there.len()], Vec::with_capacity(lists.len()));
    for (at, span) in offsets.windows(2).enumerate() {
        let rows = span[0].unsigned_abs() as usize..span[1].unsigned_abs() as usize;
        let mut length = 0;
        for row in rows.filter(|&row| lists.is_valid(at) && there.value(row)) {
            kept[row] = true;
            length += 1;
        }
        lengths.push(length);
    }
    list(OffsetBuffer::from_lengths(lengths), filter(lists.values(), &BooleanArray::from(kept))?)
}

/// The quantile `q` of the float64 of each list, interpolated between the nearest two.
pub(super) fn quantile(lists: &ListArray, q: f64) -> ArrayRef {
    let mut values = Vec::new();
    let of_list = |list: Option<ArrayRef>| {
        let list = list?;
        let list = list.as_primitive::<Float64Type>();
        values.clear();
        if list.null_count() == 0 {
            values.extend_from_slice(list.values());
        } else {
            values.extend(list.iter().flatten());
        }
        interpolated(&mut values, q)
    };
    Arc::new(lists.iter().map(of_list).collect::<Float64Array>())
}

/// The quantile of `values`, which are left in another order: the two that it lies between are
/// selected, which takes linear time.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions are below 2⁵³ and not negative"
)]
fn interpolated(values: &mut [f64], q: f64) -> Option<f64> {
    let position = (values.len().checked_sub(1)?) as f64 * q.clamp(0.0, 1.0);
    let part = position.fract();
    let (_, &mut below, greater) =
        values.select_nth_unstable_by(position.floor() as usize, f64::total_cmp);
    if part == 0.0 {
        return Some(below);
    }
    let above = greater.iter().copied().min_by(f64::total_cmp)?;
    Some(below * (1.0 - part) + above * part)
}

/// The values of each of `counts`, the missing one only where it is kept.
pub(super) fn unique(
    counts: &StructArray,
    item: &FieldRef,
    keeps_nulls: bool,
) -> Result<ArrayRef, ArrowError> {
    let values = counts.column(0).as_list::<i32>();
    let nulls = NullBuffer::union(counts.nulls(), values.nulls());
    let field = Arc::new(Field::new_list_field(values.value_type(), true));
    let (offsets, items) = (values.offsets().clone(), Arc::clone(values.values()));
    list(&ListArray::try_new(field, offsets, items, nulls)?, item, keeps_nulls)
}

/// How many values each of `counts` has: a missing one counts only where `counts_null`.
pub(super) fn distinct(counts: &StructArray, counts_null: bool) -> ArrayRef {
    let values = counts.column(0).as_list::<i32>();
    let of_group = |at: usize| {
        if counts.is_null(at) {
            return 0;
        }
        let values = values.value(at);
        let missing = if counts_null { 0 } else { values.logical_null_count() };
        i64::try_from(values.len() - missing).unwrap_or(i64::MAX)
    };
    Arc::new((0..counts.len()).map(of_group).collect::<Int64Array>())
}

/// The `k` most frequent values of each of `counts`, as lists of structs of type `item`.
pub(super) fn top(counts: &StructArray, k: usize, item: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let (values, times) = (counts.column(0).as_list::<i32>(), counts.column(1).as_list::<i32>());
    let all_times = times.values().as_primitive::<Int64Type>().values();
    let there = is_not_null(values.values())?;
    let (mut taken, mut lengths) = (Vec::new(), Vec::with_capacity(counts.len()));
    for (at, span) in values.value_offsets().windows(2).enumerate() {
        let rows = span[0].unsigned_abs()..span[1].unsigned_abs();
        let mut rows: Vec<u32> =
            rows.filter(|&row| counts.is_valid(at) && there.value(row as usize)).collect();
        // Of equal counts the least value is first.
        rows.sort_by_key(|&row| Reverse(all_times[row as usize]));
        rows.truncate(k);
        lengths.push(rows.len());
        taken.extend(rows);
    }
    let taken = UInt32Array::from(taken);
    let DataType::Struct(fields) = item.data_type() else {
        return Err(ArrowError::SchemaError("frequent values are structs".into()));
    };
    let columns = vec![take(values.values(), &taken, None)?, take(times.values(), &taken, None)?];
    let items = Arc::new(StructArray::try_new(fields.clone(), columns, None)?);
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = counts.nulls().cloned();
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, nulls)?))
}

/// Lists of the float64 of `columns`; missing where the first of them is.
pub(super) fn beside(columns: &[&ArrayRef]) -> Result<ArrayRef, ArrowError> {
    let columns: Vec<_> = columns.iter().map(|one| one.as_primitive::<Float64Type>()).collect();
    let rows = columns.first().map_or(0, Array::len);
    let values = (0..rows).flat_map(|row| columns.iter().map(move |column| column.value(row)));
    let values: Float64Array = values.map(Some).collect();
    let nulls: Option<NullBuffer> = columns.first().and_then(|column| column.nulls().cloned());
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(columns.len(), rows));
    let item = Arc::new(Field::new_list_field(DataType::Float64, true));
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(values), nulls)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_interpolated() {
        let of = |q| interpolated(&mut [4.0, 1.0, 2.0], q);
        assert_eq!(of(0.0), Some(1.0));
        assert_eq!(of(0.5), Some(2.0));
        assert_eq!(of(0.75), Some(3.0));
        assert_eq!(of(1.0), Some(4.0));
        assert_eq!(interpolated(&mut [], 0.5), None);
    }
}
