//! Regions that only move rows: limit, skip, union, mix, zip, repartition, shuffles; and one that
//! counts them.

mod limit;
mod mix;
mod repartition;
mod row_column;
mod rows;
mod shuffle;
mod skip;
mod union;
mod zip;

pub(crate) use limit::LimitRegion;
pub(crate) use mix::MixRegion;
pub(crate) use repartition::{PartsRegion, RowsRegion};
pub(crate) use row_column::RowColumnRegion;
pub(crate) use shuffle::{ShuffleRegion, Unit, WindowShuffleRegion, WindowStart};
pub(crate) use skip::SkipRegion;
pub(crate) use union::UnionRegion;
pub(crate) use zip::{ZipRegion, zipped_schema};
