//! Functions of vectors: the namespace `.embedding`.
//!
//! A vector is a list of numbers, of fixed size or not; one with a missing number is missing. Sums
//! are made in float64.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion_common::{Result, exec_err};

use super::list::{Lists, item_of};
use super::named::{FunctionError, Kernel, Parameters};

/// Names of the functions.
pub(super) const NAMES: &[&str] = &["embedding.norm", "embedding.dot", "embedding.cosine"];

/// The function of this name; `None` when there is none.
pub(super) fn kernel(given: &Parameters<'_>) -> Result<Option<Kernel>, FunctionError> {
    Ok(Some(match given.function {
        "embedding.norm" => Kernel::of_one(
            |data_type| is_vector(data_type).then_some(DataType::Float64),
            |array| {
                let vectors = Vectors::of(array)?;
                let norm = |row| vectors.get(row).map(|one| dot(one, one).sqrt());
                Ok(Arc::new((0..array.len()).map(norm).collect::<Float64Array>()))
            },
        ),
        "embedding.dot" => pairs(dot),
        "embedding.cosine" => pairs(|a, b| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()),
        _ => return Ok(None),
    }))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn is_vector(data_type: &DataType) -> bool {
    item_of(data_type).is_some_and(|item| item.data_type().is_numeric())
}

/// A function of two vectors of one length.
fn pairs(of: impl Fn(&[f64], &[f64]) -> f64 + Send + Sync + 'static) -> Kernel {
    Kernel::of_two(
        |left, right| (is_vector(left) && is_vector(right)).then_some(DataType::Float64),
        move |left, right| {
            let (left, right) = (Vectors::of(left)?, Vectors::of(right)?);
            let mut all = Float64Array::builder(left.ranges.len());
            for row in 0..left.ranges.len() {
                match (left.get(row), right.get(row)) {
                    (Some(a), Some(b)) if a.len() != b.len() => {
                        return exec_err!("vectors of {} and {} numbers", a.len(), b.len());
                    }
                    (Some(a), Some(b)) => all.append_value(of(a, b)),
                    _ => all.append_null(),
                }
            }
            Ok(Arc::new(all.finish()))
        },
    )
}

/// A column of vectors.
struct Vectors {
    numbers: Float64Array,
    ranges: Vec<Option<(usize, usize)>>,
}

impl Vectors {
    fn of(array: &ArrayRef) -> Result<Self> {
        let lists = Lists::of(array)?;
        let numbers = cast(&lists.values, &DataType::Float64)?;
        let numbers = numbers.as_primitive::<Float64Type>().clone();
        Ok(Self { numbers, ranges: lists.iter().collect() })
    }

    fn get(&self, row: usize) -> Option<&[f64]> {
        let (start, end) = self.ranges[row]?;
        let is_whole =
            self.numbers.null_count() == 0 || (start..end).all(|at| self.numbers.is_valid(at));
        is_whole.then(|| &self.numbers.values()[start..end])
    }
}
