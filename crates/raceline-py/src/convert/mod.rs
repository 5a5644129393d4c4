//! Arrow batches to Python rows, NumPy arrays and back.
//!
//! Nothing here knows plans or workers. Data frames are taken apart and put together by the
//! Python module `raceline._frames`; datetimes, times and decimals by `raceline._cells`.

mod error;
mod from_cells;
mod from_columns;
mod from_numpy;
mod from_rows;
mod kind;
mod object;
mod stand_in;
mod tensor;
mod to_cells;
mod to_numpy;
mod values;

pub(crate) use error::ConvertError;
pub(crate) use from_cells::column_from_cells;
pub(crate) use from_columns::{batches_from_value, columns_to_batch};
pub(crate) use from_rows::{RowColumns, rows_to_batch, values_to_batch};
pub(crate) use kind::Kind;
pub(crate) use to_cells::{batch_to_rows, cell_list};
pub(crate) use to_numpy::batch_to_numpy;
pub(crate) use values::Values;
