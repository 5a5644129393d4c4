//! Whether the values of a column come again often enough for a dictionary of Parquet to pay.
//!
//! A dictionary of values that hardly ever come again costs a look-up a value and makes files
//! larger, which its writer finds out when the dictionary is full. A sample tells before.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, RecordBatch};
use arrow::compute::{filter, is_not_null};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use parquet::file::properties::DEFAULT_DICTIONARY_PAGE_SIZE_LIMIT;
use parquet::schema::types::SchemaDescriptor;
use raceline_types::array_sliced_bytes;

/// Values of a sample at most.
const SAMPLE_VALUES: usize = 2048;
/// Values of a sample at least; columns of fewer have a dictionary.
const SAMPLE_VALUES_MIN: usize = 128;
/// Bytes of a sample at most: a dictionary of values so large that there is no sample is full, or
/// not, after a few of them.
const SAMPLE_BYTES: usize = 1 << 20;
/// One of so many values is in the sample, unless it would be too large or too small.
const SAMPLE_EVERY: usize = 8;
/// Values that lie together in a sample: in sorted columns it is neighbours that are equal.
const NEIGHBOURS: usize = 32;
/// A dictionary pays where at most one of so many values is new.
const VALUES_PER_DISTINCT: usize = 2;

/// For each column of `stored`, whether a dictionary pays for the values of `rows`. It does in
/// columns of which that cannot be told.
pub(super) fn dictionaries_pay(stored: &SchemaDescriptor, rows: &[RecordBatch]) -> Vec<bool> {
    let mut columns: Vec<Vec<ArrayRef>> = vec![Vec::new(); stored.num_columns()];
    for batch in rows {
        let mut first = 0;
        for (root, array) in batch.columns().iter().enumerate() {
            let mut leaves = Vec::new();
            push_leaves(array, &mut leaves);
            let of_root = |at: &usize| stored.get_column_root_idx(*at) == root;
            let end = first + (first..columns.len()).take_while(of_root).count();
            if leaves.len() == end - first {
                for (column, leaf) in columns[first..end].iter_mut().zip(leaves) {
                    column.push(leaf);
                }
            }
            first = end;
        }
    }
    columns.iter().map(|column| Sample::of(column).is_none_or(|sample| sample.repeats())).collect()
}

/// The columns without nesting that `array` is made of, in the order of Parquet; fewer where it is
/// nested as few columns are.
fn push_leaves(array: &ArrayRef, leaves: &mut Vec<ArrayRef>) {
    match array.data_type() {
        DataType::Struct(_) => {
            for column in array.as_struct().columns() {
                push_leaves(column, leaves);
            }
        }
        DataType::List(_) => push_leaves(&list_values(array.as_list::<i32>()), leaves),
        DataType::LargeList(_) => push_leaves(&list_values(array.as_list::<i64>()), leaves),
        DataType::FixedSizeList(..) => push_leaves(array.as_fixed_size_list().values(), leaves),
        nested if nested.is_nested() => {}
        _ => leaves.push(ArrayRef::clone(array)),
    }
}

/// The values of the lists that `list` is a part of, as far as they are its own.
fn list_values<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> ArrayRef {
    let offsets = list.value_offsets();
    let first = offsets[0].as_usize();
    list.values().slice(first, offsets[list.len()].as_usize() - first)
}

/// Some values of a column, nulls aside.
#[derive(Debug, PartialEq, Eq)]
struct Sample {
    /// Values of the whole column.
    all: usize,
    looked_at: usize,
    /// Different ones among those.
    distinct: usize,
    /// Of these, how many came once.
    once: usize,
    /// And how many came twice.
    twice: usize,
    /// Mean bytes of one.
    value_bytes: usize,
}

impl Sample {
    /// A sample of `column`; `None` when it has few values, or they cannot be compared.
    fn of(column: &[ArrayRef]) -> Option<Self> {
        let rows: usize = column.iter().map(Array::len).sum();
        let bytes: usize = column.iter().map(array_sliced_bytes).sum();
        let most = SAMPLE_BYTES / bytes.checked_div(rows)?.max(1);
        let wanted = (rows / SAMPLE_EVERY).clamp(SAMPLE_VALUES_MIN, SAMPLE_VALUES).min(most);
        if rows < wanted || wanted < SAMPLE_VALUES_MIN {
            return None;
        }
        let groups = wanted / NEIGHBOURS;
        let field = SortField::new(column.first()?.data_type().clone());
        let converter = RowConverter::new(vec![field]).ok()?;
        let mut values = converter.empty_rows(wanted, 0);
        let (mut array, mut before, mut nulls) = (0, 0, 0);
        for group in 0..groups {
            let position = group * (rows / groups);
            while position >= before + column[array].len() {
                before += column[array].len();
                array += 1;
            }
            let at = position - before;
            let part = column[array].slice(at, NEIGHBOURS.min(column[array].len() - at));
            nulls += part.logical_null_count();
            let part = if part.is_nullable() {
                filter(&part, &is_not_null(&part).ok()?).ok()?
            } else {
                part
            };
            converter.append(&mut values, &[part]).ok()?;
        }
        let looked_at = values.num_rows();
        let bytes: usize = values.iter().map(|value| value.as_ref().len().saturating_sub(1)).sum();
        let mut times: HashMap<_, usize> = HashMap::with_capacity(looked_at);
        for value in &values {
            *times.entry(value).or_default() += 1;
        }
        let came = |wanted| times.values().filter(|times| **times == wanted).count();
        (looked_at >= SAMPLE_VALUES_MIN / 2).then(|| Self {
            all: rows / (looked_at + nulls) * looked_at,
            looked_at,
            distinct: times.len(),
            once: came(1),
            twice: came(2),
            value_bytes: bytes / looked_at,
        })
    }

    /// Whether the values of the column come again often enough, and its dictionary stays so small
    /// that it is not given up.
    ///
    /// How many different values the column has beyond those of the sample is told by how many came
    /// once there, and how many twice (Chao: *Nonparametric estimation of the number of classes in a
    /// population*, 1984), and is at most what the former stand for: values that come all the time
    /// do not hide those that do not.
    fn repeats(&self) -> bool {
        let unseen = self.once * self.once.saturating_sub(1) / (2 * (self.twice + 1));
        let unseen = unseen.min(self.all * self.once / self.looked_at);
        let room = DEFAULT_DICTIONARY_PAGE_SIZE_LIMIT / self.value_bytes.max(1);
        self.distinct + unseen <= (self.all / VALUES_PER_DISTINCT).min(room)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    fn repeats(values: impl IntoIterator<Item = i64>) -> bool {
        let all: Int64Array = values.into_iter().map(Some).collect();
        let cut = all.len() / 3;
        let parts = [all.slice(0, cut), all.slice(cut, all.len() - cut)];
        let column: Vec<ArrayRef> = parts.into_iter().map(|part| Arc::new(part) as _).collect();
        Sample::of(&column).is_none_or(|sample| sample.repeats())
    }

    /// A number that looks like chance.
    fn mixed(value: i64) -> i64 {
        let mut bits = value.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        bits ^= bits >> 32;
        bits = bits.wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (bits ^ (bits >> 29)).cast_signed()
    }

    #[test]
    fn values_that_come_again_repeat_wherever_they_are() {
        for rows in [200, 3000, 400_000] {
            assert!(repeats((0..rows).map(|row| mixed(row).rem_euclid(50))), "{rows}");
            assert!(repeats((0..rows).map(|row| row / 10)), "sorted, {rows}");
            assert!(!repeats(0..rows), "{rows}");
            assert!(!repeats((0..rows).map(mixed)), "{rows}");
        }
    }

    #[test]
    fn one_value_that_comes_often_does_not_hide_others() {
        assert!(!repeats((0..30_000).map(|row| if row % 8 == 0 { 0 } else { row })));
        assert!(repeats((0..30_000).map(|row| if row % 8 == 0 { row } else { 0 })));
    }

    #[test]
    fn dictionaries_that_would_be_given_up_are_not_begun() {
        // A mebibyte has room for 131,072 integers.
        assert!(repeats((0..1_000_000).map(|row| mixed(row).rem_euclid(30_000))));
        assert!(!repeats((0..1_000_000).map(|row| mixed(row).rem_euclid(400_000))));
        let long = |row: i64| format!("{:0>200}", mixed(row).rem_euclid(30_000));
        let column: ArrayRef = Arc::new(StringArray::from_iter_values((0..300_000).map(long)));
        assert!(!Sample::of(&[column]).unwrap().repeats());
    }

    #[test]
    fn few_values_large_ones_and_nulls_tell_nothing() {
        assert!(repeats(0..100));
        let large = (0..500).map(|_| "x".repeat(10_000));
        assert_eq!(Sample::of(&[Arc::new(StringArray::from_iter_values(large)) as _]), None);
        let nulls: ArrayRef = Arc::new(Int64Array::new_null(10_000));
        assert_eq!(Sample::of(&[nulls]), None);
        let some = (0..100_000).map(|row| (row % 4 == 0).then(|| mixed(row)));
        let column: ArrayRef = Arc::new(some.collect::<Int64Array>());
        let sample = Sample::of(&[column]).unwrap();
        assert!(!sample.repeats() && (24_000..26_000).contains(&sample.all), "{sample:?}");
    }
}
