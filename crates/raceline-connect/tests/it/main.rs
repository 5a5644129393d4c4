//! Connect against real stores: the local file system and one in memory, by the same cases.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod fixture;
mod killed;
mod listing;
mod reading;
mod row_groups;
mod s3;
mod server;
mod writing;
