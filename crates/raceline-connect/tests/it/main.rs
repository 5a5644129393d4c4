//! Connect against real stores: the local file system and one in memory, by the same cases.

mod fixture;
mod killed;
mod listing;
mod reading;
mod s3;
mod writing;
