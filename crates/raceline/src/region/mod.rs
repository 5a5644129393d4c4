//! Regions that only move rows: limit, skip, union, zip, repartition, shuffles.

mod limit;
mod repartition;
mod rows;
mod shuffle;
mod skip;
mod union;
mod zip;

pub(crate) use limit::LimitRegion;
pub(crate) use repartition::{PartsRegion, RowsRegion};
pub(crate) use shuffle::{ShuffleRegion, Unit, WindowShuffleRegion, WindowStart};
pub(crate) use skip::SkipRegion;
pub(crate) use union::UnionRegion;
pub(crate) use zip::{ZipRegion, zipped_schema};
