//! Columns whose values have one width, held in slots that are filled anew in place.

use arrow::array::{Array, ArrayDataBuilder, ArrayRef, make_array};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{ArrowNativeType, DataType};
use arrow::error::ArrowError;

/// The values of one column, one a slot.
pub(super) trait FixedColumn: Send + Sync {
    /// Adds slots for the first `rows` values of `array`.
    fn fill(&mut self, array: &ArrayRef, rows: usize);

    /// Puts the values of `array` from `first` on into `slots`, one after the other; what was in
    /// them comes back. A slot behind the last one stands for the value itself.
    fn replace(
        &mut self,
        array: &ArrayRef,
        first: usize,
        slots: &[usize],
    ) -> Result<ArrayRef, ArrowError>;

    /// The values in `slots`.
    fn take(&self, slots: &[usize]) -> Result<ArrayRef, ArrowError>;

    /// Bytes that are held.
    fn bytes(&self) -> usize;
}

/// A column of `data_type` without slots; `None` when its values are not of one width.
pub(super) fn fixed_column(data_type: &DataType) -> Option<Box<dyn FixedColumn>> {
    // Intervals are not aligned as a number of their width is.
    if matches!(data_type, DataType::Interval(_)) {
        return None;
    }
    Some(match data_type.primitive_width()? {
        1 => Box::new(Values::<u8>::new(data_type)),
        2 => Box::new(Values::<u16>::new(data_type)),
        4 => Box::new(Values::<u32>::new(data_type)),
        8 => Box::new(Values::<u64>::new(data_type)),
        16 => Box::new(Values::<i128>::new(data_type)),
        _ => return None,
    })
}

/// Values by their bits.
struct Values<T> {
    data_type: DataType,
    slots: Vec<T>,
    /// Whether they are there, as soon as one was not.
    valid: Option<Vec<bool>>,
}

impl<T: ArrowNativeType> Values<T> {
    fn new(data_type: &DataType) -> Self {
        Self { data_type: data_type.clone(), slots: Vec::new(), valid: None }
    }

    fn array(&self, values: Vec<T>, valid: Option<Vec<bool>>) -> Result<ArrayRef, ArrowError> {
        ArrayDataBuilder::new(self.data_type.clone())
            .len(values.len())
            .add_buffer(Buffer::from_vec(values))
            .nulls(valid.map(NullBuffer::from))
            .build()
            .map(make_array)
    }
}

impl<T: ArrowNativeType> FixedColumn for Values<T> {
    fn fill(&mut self, array: &ArrayRef, rows: usize) {
        if array.null_count() > 0 && self.valid.is_none() {
            self.valid = Some(vec![true; self.slots.len()]);
        }
        if let Some(valid) = &mut self.valid {
            valid.extend((0..rows).map(|row| array.is_valid(row)));
        }
        self.slots.extend_from_slice(&array.to_data().buffer::<T>(0)[..rows]);
    }

    fn replace(
        &mut self,
        array: &ArrayRef,
        first: usize,
        slots: &[usize],
    ) -> Result<ArrayRef, ArrowError> {
        if array.null_count() > 0 && self.valid.is_none() {
            self.valid = Some(vec![true; self.slots.len()]);
        }
        let data = array.to_data();
        let came = &data.buffer::<T>(0)[first..first + slots.len()];
        let drawn = replaced(&mut self.slots, came.iter().copied(), slots);
        let valid = self.valid.as_mut().map(|valid| {
            replaced(valid, (first..array.len()).map(|row| array.is_valid(row)), slots)
        });
        self.array(drawn, valid)
    }

    fn take(&self, slots: &[usize]) -> Result<ArrayRef, ArrowError> {
        let values = slots.iter().map(|&slot| self.slots[slot]).collect();
        let valid = self.valid.as_ref();
        self.array(values, valid.map(|valid| slots.iter().map(|&slot| valid[slot]).collect()))
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.slots) + self.valid.as_ref().map_or(0, Vec::len)
    }
}

fn replaced<T: Copy>(held: &mut [T], came: impl Iterator<Item = T>, slots: &[usize]) -> Vec<T> {
    let swap = |(came, &slot): (T, &usize)| match held.get_mut(slot) {
        Some(held) => std::mem::replace(held, came),
        None => came,
    };
    came.zip(slots).map(swap).collect()
}
