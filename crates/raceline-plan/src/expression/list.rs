//! Functions of lists: the namespace `.list`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, UInt64Array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{SortOptions, cast, sort_to_indices, take};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use datafusion_common::{Result, exec_err};

use super::named::{FunctionError, Kernel, Parameters};
use super::text::positions;

/// Names of the functions.
pub(super) const NAMES: &[&str] =
    &["list.len", "list.get", "list.slice", "list.sort", "list.flatten"];

/// The function of this name; `None` when there is none.
pub(super) fn kernel(given: &Parameters<'_>) -> Result<Option<Kernel>, FunctionError> {
    Ok(Some(match given.function {
        "list.len" => Kernel::of_one(
            |data_type| item_of(data_type).map(|_| length_type(data_type)),
            |array| {
                let lists = Lists::of(array)?;
                let lengths = lists.iter().map(|range| range.map(|(start, end)| end - start));
                let lengths: Int64Array = lengths
                    .map(|one| one.map(|one| i64::try_from(one).unwrap_or(i64::MAX)))
                    .collect();
                Ok(cast(&lengths, &length_type(array.data_type()))?)
            },
        ),
        "list.get" => {
            let index = given.number("index")?;
            Kernel::of_one(
                |data_type| item_of(data_type).map(|item| item.data_type().clone()),
                move |array| get(&Lists::of(array)?, index),
            )
        }
        "list.slice" => {
            let (start, end) = (given.optional_number("start")?, given.optional_number("stop")?);
            let step = given.optional_number("step")?.unwrap_or(1);
            if step == 0 {
                return Err(given.error("step", "must not be 0"));
            }
            of_lists(move |lists| {
                lists.chosen(|first, last, out| {
                    out.extend(positions(last - first, start, end, step).map(|at| first + at));
                })
            })
        }
        "list.sort" => of_lists({
            let options = sort_options(given)?;
            move |lists| sort(lists, options)
        }),
        "list.flatten" => Kernel::of_one(
            |data_type| {
                let item = item_of(data_type)?;
                item_of(item.data_type()).map(|inner| DataType::List(Arc::clone(inner)))
            },
            |array| flatten(&Lists::of(array)?),
        ),
        _ => return Ok(None),
    }))
}

fn sort_options(given: &Parameters<'_>) -> Result<SortOptions, FunctionError> {
    let descending = match given.optional_text("order")?.as_deref() {
        None | Some("ascending") => false,
        Some("descending") => true,
        Some(_) => return Err(given.error("order", "must be `ascending` or `descending`")),
    };
    let nulls_first = match given.optional_text("null_placement")?.as_deref() {
        None | Some("at_end") => false,
        Some("at_start") => true,
        Some(_) => return Err(given.error("null_placement", "must be `at_end` or `at_start`")),
    };
    Ok(SortOptions { descending, nulls_first })
}

/// The field of the values of a type of lists.
pub(super) fn item_of(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item)
        }
        _ => None,
    }
}

fn length_type(data_type: &DataType) -> DataType {
    if matches!(data_type, DataType::LargeList(_)) { DataType::Int64 } else { DataType::Int32 }
}

/// A function that makes a list of a list of the same values.
fn of_lists(lists: impl Fn(&Lists) -> Result<ArrayRef> + Send + Sync + 'static) -> Kernel {
    Kernel::of_one(
        |data_type| item_of(data_type).map(|item| DataType::List(Arc::clone(item))),
        move |array| lists(&Lists::of(array)?),
    )
}

/// A column of lists, of whatever layout.
pub(super) struct Lists {
    item: FieldRef,
    /// The values of all lists.
    pub(super) values: ArrayRef,
    /// Where the values of each list begin and end.
    ranges: Vec<(usize, usize)>,
    nulls: Option<NullBuffer>,
}

impl Lists {
    /// The lists of a column for whose type there is an [`item_of`].
    pub(super) fn of(array: &ArrayRef) -> Result<Self> {
        let Some(item) = item_of(array.data_type()).cloned() else {
            return exec_err!("{} is no type of lists", array.data_type());
        };
        let nulls = array.nulls().cloned();
        let at = |offset: i64| usize::try_from(offset).unwrap_or_default();
        let (values, ranges) = match array.data_type() {
            DataType::FixedSizeList(_, size) => {
                let lists = array.as_fixed_size_list();
                let size = usize::try_from(*size).unwrap_or_default();
                let ranges = (0..lists.len()).map(|row| (row * size, (row + 1) * size)).collect();
                (Arc::clone(lists.values()), ranges)
            }
            DataType::LargeList(_) => {
                let lists = array.as_list::<i64>();
                let ranges = lists.offsets().windows(2).map(|pair| (at(pair[0]), at(pair[1])));
                (Arc::clone(lists.values()), ranges.collect())
            }
            _ => {
                let lists = array.as_list::<i32>();
                let ranges = lists.offsets().windows(2);
                let ranges = ranges.map(|pair| (at(pair[0].into()), at(pair[1].into())));
                (Arc::clone(lists.values()), ranges.collect())
            }
        };
        Ok(Self { item, values, ranges, nulls })
    }

    /// Where the values of each list begin and end; `None` for one that is missing.
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<(usize, usize)>> {
        self.ranges.iter().enumerate().map(|(row, range)| {
            let is_null = self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
            (!is_null).then_some(*range)
        })
    }

    /// Lists of those values that `choose` puts out for each list, which it gets by where its
    /// values begin and end.
    fn chosen(&self, choose: impl Fn(usize, usize, &mut Vec<usize>)) -> Result<ArrayRef> {
        let mut taken = Vec::new();
        let mut ends = vec![0];
        for range in self.iter() {
            if let Some((start, end)) = range {
                choose(start, end, &mut taken);
            }
            ends.push(taken.len());
        }
        list_of(&self.item, &self.values, taken, ends, self.nulls.clone())
    }
}

/// Lists of the values at `taken`; the positions at which they end in it are `ends`, behind a 0.
fn list_of(
    item: &FieldRef,
    values: &ArrayRef,
    taken: Vec<usize>,
    ends: Vec<usize>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let values = take(values, &indices(taken.into_iter().map(Some)), None)?;
    let end = |end: usize| i32::try_from(end).map_err(|_| ArrowError::OffsetOverflowError(end));
    let ends: Vec<i32> = ends.into_iter().map(end).collect::<Result<_, _>>()?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, nulls)?))
}

fn indices(taken: impl Iterator<Item = Option<usize>>) -> UInt64Array {
    taken.map(|at| at.map(|at| at as u64)).collect()
}

/// The value at `index`, counted from the end where it is negative.
fn get(lists: &Lists, index: i64) -> Result<ArrayRef> {
    let mut taken = Vec::with_capacity(lists.ranges.len());
    for range in lists.iter() {
        let Some((start, end)) = range else {
            taken.push(None);
            continue;
        };
        let from = if index < 0 { end } else { start };
        let at = usize::try_from(index.unsigned_abs()).ok().and_then(|distance| {
            if index < 0 { from.checked_sub(distance) } else { from.checked_add(distance) }
        });
        match at.filter(|at| (start..end).contains(at)) {
            Some(at) => taken.push(Some(at)),
            None => return exec_err!("a list of {} values has none at {index}", end - start),
        }
    }
    Ok(take(&lists.values, &indices(taken.into_iter()), None)?)
}

/// Each list sorted: all values are sorted at once and then dealt out to their lists.
fn sort(lists: &Lists, options: SortOptions) -> Result<ArrayRef> {
    let mut list_of_value = vec![usize::MAX; lists.values.len()];
    for (row, range) in lists.iter().enumerate() {
        if let Some((start, end)) = range {
            list_of_value[start..end].fill(row);
        }
    }
    let sorted = sort_to_indices(&lists.values, Some(options), None)?;
    let mut ranked: Vec<(usize, usize)> = Vec::with_capacity(sorted.len());
    for at in sorted.values() {
        let at = *at as usize;
        ranked.push((list_of_value[at], at));
    }
    ranked.retain(|(row, _)| *row != usize::MAX);
    // Stable: the values of one list stay sorted.
    ranked.sort_by_key(|(row, _)| *row);
    let ends = lists.iter().scan(0, |end, range| {
        *end += range.map_or(0, |(start, last)| last - start);
        Some(*end)
    });
    let ends = std::iter::once(0).chain(ends).collect();
    let taken = ranked.into_iter().map(|(_, at)| at).collect();
    list_of(&lists.item, &lists.values, taken, ends, lists.nulls.clone())
}

/// The values of the lists in each list; lists that are missing have none.
fn flatten(lists: &Lists) -> Result<ArrayRef> {
    let inner = Lists::of(&lists.values)?;
    let mut taken = Vec::new();
    let mut ends = vec![0];
    let ranges: Vec<_> = inner.iter().collect();
    for range in lists.iter() {
        if let Some((start, end)) = range {
            ranges[start..end].iter().flatten().for_each(|(start, end)| taken.extend(*start..*end));
        }
        ends.push(taken.len());
    }
    list_of(&inner.item, &inner.values, taken, ends, lists.nulls.clone())
}
