//! Columns of texts, of whatever layout, and functions of one text at a time over them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, LargeStringArray, StringArray,
    StringViewArray, new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion_common::Result;

use super::super::named::Kernel;

/// Whether a column of this type is one of texts; one of nothing but nulls is.
pub(in super::super) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null => true,
        DataType::Dictionary(_, values) => values.is_string(),
        other => other.is_string(),
    }
}

/// The type of texts that are made of those of `data_type`.
pub(super) fn text_of(data_type: &DataType) -> DataType {
    if data_type == &DataType::LargeUtf8 { DataType::LargeUtf8 } else { DataType::Utf8 }
}

/// The type of numbers of things in texts of `data_type`.
fn number_of(data_type: &DataType) -> DataType {
    let is_large = matches!(data_type, DataType::LargeUtf8 | DataType::LargeBinary);
    if is_large { DataType::Int64 } else { DataType::Int32 }
}

/// A column of texts.
pub(in super::super) enum Texts {
    Small(StringArray),
    Large(LargeStringArray),
    View(StringViewArray),
}

impl Texts {
    /// The texts of a column for which [`is_text`] holds.
    pub(in super::super) fn of(array: &ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Small(array.as_string::<i32>().clone()),
            DataType::LargeUtf8 => Self::Large(array.as_string::<i64>().clone()),
            DataType::Utf8View => Self::View(array.as_string_view().clone()),
            _ => Self::Small(cast(array, &DataType::Utf8)?.as_string::<i32>().clone()),
        })
    }

    pub(in super::super) fn len(&self) -> usize {
        match self {
            Self::Small(texts) => texts.len(),
            Self::Large(texts) => texts.len(),
            Self::View(texts) => texts.len(),
        }
    }

    pub(in super::super) fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Self::Small(texts) => texts.nulls(),
            Self::Large(texts) => texts.nulls(),
            Self::View(texts) => texts.nulls(),
        }
    }

    /// The text of a row; `None` where it is missing.
    pub(in super::super) fn get(&self, row: usize) -> Option<&str> {
        if self.nulls().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        Some(match self {
            Self::Small(texts) => texts.value(row),
            Self::Large(texts) => texts.value(row),
            Self::View(texts) => texts.value(row),
        })
    }

    /// The text of each row.
    pub(in super::super) fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        (0..self.len()).map(|row| self.get(row))
    }
}

/// Texts that are put together one after the other.
#[derive(Default)]
pub(in super::super) struct TextsBuilder {
    text: String,
    ends: Vec<i32>,
}

impl TextsBuilder {
    /// Puts together so many texts.
    pub(in super::super) fn of(texts: usize) -> Self {
        let mut ends = Vec::with_capacity(texts + 1);
        ends.push(0);
        Self { text: String::new(), ends }
    }

    /// Where the next text is written.
    pub(in super::super) fn open(&mut self) -> &mut String {
        &mut self.text
    }

    /// Ends the text.
    ///
    /// # Errors
    /// When all of them are longer than Arrow's offsets reach.
    pub(in super::super) fn close(&mut self) -> Result<()> {
        let end = self.text.len();
        let end = i32::try_from(end).map_err(|_| ArrowError::OffsetOverflowError(end))?;
        self.ends.push(end);
        Ok(())
    }

    /// All texts, of type Utf8.
    pub(in super::super) fn finish(self, nulls: Option<NullBuffer>) -> StringArray {
        let Self { text, ends } = self;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        StringArray::new(offsets, Buffer::from_vec(text.into_bytes()), nulls)
    }
}

/// Checks that `bytes` more fit into a column of texts.
///
/// # Errors
/// When they do not.
pub(super) fn check_room(out: &str, bytes: usize) -> Result<()> {
    let all = out.len().saturating_add(bytes);
    i32::try_from(all).map_err(|_| ArrowError::OffsetOverflowError(all))?;
    Ok(())
}

/// A function that makes a text of a text, at the end of a string.
pub(super) fn texts(one: impl Fn(&str, &mut String) + Send + Sync + 'static) -> Kernel {
    try_texts(move |value, out| {
        one(value, out);
        Ok(())
    })
}

/// As [`texts`], of a function that may fail.
pub(super) fn try_texts(
    one: impl Fn(&str, &mut String) -> Result<()> + Send + Sync + 'static,
) -> Kernel {
    let output = |data_type: &DataType| is_text(data_type).then(|| text_of(data_type));
    Kernel::of_one(output, move |array| {
        let values = Texts::of(array)?;
        let mut made = TextsBuilder::of(values.len());
        for value in values.iter() {
            if let Some(value) = value {
                one(value, made.open())?;
            }
            made.close()?;
        }
        let made = made.finish(values.nulls().cloned());
        Ok(match text_of(array.data_type()) {
            DataType::Utf8 => Arc::new(made),
            large => cast(&made, &large)?,
        })
    })
}

/// A function that tells something of a text.
pub(super) fn conditions(one: impl Fn(&str) -> bool + Send + Sync + 'static) -> Kernel {
    let output = |data_type: &DataType| is_text(data_type).then_some(DataType::Boolean);
    Kernel::of_one(output, move |array| {
        let values = Texts::of(array)?;
        let holds =
            BooleanBuffer::collect_bool(values.len(), |row| values.get(row).is_some_and(&one));
        Ok(Arc::new(BooleanArray::new(holds, values.nulls().cloned())))
    })
}

/// A function that counts something in a text.
pub(super) fn numbers(one: impl Fn(&str) -> usize + Send + Sync + 'static) -> Kernel {
    positions(move |value| Some(one(value)))
}

/// A function that finds something in a text, -1 where it does not.
pub(super) fn positions(one: impl Fn(&str) -> Option<usize> + Send + Sync + 'static) -> Kernel {
    let output = |data_type: &DataType| is_text(data_type).then(|| number_of(data_type));
    Kernel::of_one(output, move |array| {
        let values = Texts::of(array)?;
        // A text of a batch has no 2^31 bytes.
        let found = |value| one(value).map_or(-1, |at| i32::try_from(at).unwrap_or(i32::MAX));
        let found: Int32Array = values.iter().map(|value| value.map(found)).collect();
        Ok(cast(&found, &number_of(array.data_type()))?)
    })
}

/// Bytes of texts or of binary values.
pub(super) fn bytes_len() -> Kernel {
    let output = |data_type: &DataType| {
        (is_text(data_type) || data_type.is_binary()).then(|| number_of(data_type))
    };
    Kernel::of_one(output, |array| {
        let lengths: Int32Array = match array.data_type() {
            DataType::Binary => lengths(array.as_binary::<i32>().iter()),
            DataType::LargeBinary => lengths(array.as_binary::<i64>().iter()),
            DataType::BinaryView => lengths(array.as_binary_view().iter()),
            DataType::FixedSizeBinary(_) => lengths(array.as_fixed_size_binary().iter()),
            DataType::Null => return Ok(new_null_array(&DataType::Int32, array.len())),
            _ => lengths(Texts::of(array)?.iter().map(|value| value.map(str::as_bytes))),
        };
        Ok(cast(&lengths, &number_of(array.data_type()))?)
    })
}

fn lengths<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> Int32Array {
    values.map(|value| value.map(|value| i32::try_from(value.len()).unwrap_or(i32::MAX))).collect()
}
