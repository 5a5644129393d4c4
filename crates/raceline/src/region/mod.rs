//! Regions that only move batches: limit, union, repartition.

mod limit;
mod repartition;
mod union;

pub(crate) use limit::LimitRegion;
pub(crate) use repartition::RepartitionRegion;
pub(crate) use union::UnionRegion;
