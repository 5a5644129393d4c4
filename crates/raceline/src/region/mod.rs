//! Regions that only move rows: limit, union, zip, repartition.

mod limit;
mod repartition;
mod rows;
mod union;
mod zip;

pub(crate) use limit::LimitRegion;
pub(crate) use repartition::{PartsRegion, RowsRegion};
pub(crate) use union::UnionRegion;
pub(crate) use zip::{ZipRegion, zipped_schema};
