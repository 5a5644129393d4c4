//! Tests of table scans.
