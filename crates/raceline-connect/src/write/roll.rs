//! When a run of rows is encoded, and when a file ends.

use arrow::array::RecordBatch;
use raceline_plan::{WriteFormat, WriteSpec};
use raceline_types::batch_sliced_bytes;

/// Arrow bytes of a run: what is encoded at once, and a row group of Parquet.
const RUN_BYTES: usize = 32 << 20;
/// Runs that a write holds in its memory, when that is short: one that waits, two that are encoded,
/// rows and what becomes of them, and one that is added to its file.
const RUNS_HELD: usize = 6;
/// Bytes that wait in all folders together; beyond it the largest run is encoded early.
const WAITING_BYTES: usize = 128 << 20;
/// Rows of a run at most, unless the user says otherwise.
const RUN_ROWS: usize = 1 << 20;
/// Arrow bytes after which a file ends.
const FILE_BYTES: usize = 128 << 20;

/// The rules of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    run_rows: usize,
    run_bytes: usize,
    file_rows_min: usize,
    file_rows_max: usize,
    file_bytes: usize,
    waiting_bytes: usize,
}

impl Rules {
    /// The rules that `spec` asks for, of a write that holds about `memory_bytes`. A row group size
    /// counts rows and nothing else, as long as these fit.
    pub(super) fn new(spec: &WriteSpec, memory_bytes: usize) -> Self {
        let row_group = match &spec.format {
            WriteFormat::Parquet { row_group_rows, .. } => *row_group_rows,
            WriteFormat::Csv | WriteFormat::Json => None,
        };
        let row_group = row_group.filter(|rows| *rows > 0);
        Self {
            run_rows: row_group.unwrap_or(RUN_ROWS),
            run_bytes: row_group.map_or(RUN_BYTES.min(memory_bytes / RUNS_HELD), |_| usize::MAX),
            file_rows_min: spec.rows_per_file_min.unwrap_or(0),
            file_rows_max: spec.rows_per_file_max.unwrap_or(usize::MAX).max(1),
            file_bytes: FILE_BYTES,
            waiting_bytes: WAITING_BYTES.min(memory_bytes / RUNS_HELD * 2),
        }
    }

    /// Bytes that may wait in all folders together.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }
}

/// Rows that are encoded together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    /// The rows; none when a file ends without more of them.
    pub(super) batches: Vec<RecordBatch>,
    /// Their number.
    pub(super) rows: usize,
    /// Whether their file ends with them.
    pub(super) ends_file: bool,
}

/// The rows of one folder, in order, on their way into runs.
#[derive(Debug, Default)]
pub(super) struct Lane {
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    waiting_bytes: usize,
    file_rows: usize,
    file_bytes: usize,
}

impl Lane {
    /// Bytes that wait for a run to become whole.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Bytes in the file that has been begun.
    pub(super) fn file_bytes(&self) -> usize {
        self.file_bytes
    }

    /// Adds rows; the runs that they make whole come back.
    pub(super) fn push(&mut self, mut batch: RecordBatch, rules: &Rules) -> Vec<Run> {
        let mut runs = Vec::new();
        while batch.num_rows() > 0 {
            let room_in_file = rules.file_rows_max - self.file_rows;
            let room = rules.run_rows.min(room_in_file) - self.waiting_rows;
            let rows = batch.num_rows().min(room);
            let rest = batch.slice(rows, batch.num_rows() - rows);
            let part = batch.slice(0, rows);
            self.waiting_rows += rows;
            self.waiting_bytes += batch_sliced_bytes(&part);
            self.waiting.push(part);
            batch = rest;
            let file_full = self.waiting_rows == room_in_file;
            let run_full =
                self.waiting_rows == rules.run_rows || self.waiting_bytes >= rules.run_bytes;
            if file_full || run_full {
                runs.push(self.cut(rules, false));
            }
        }
        runs
    }

    /// Makes a run of what waits, whole or not. The file ends when it is full, or when
    /// `ends_file` says so.
    pub(super) fn cut(&mut self, rules: &Rules, ends_file: bool) -> Run {
        let rows = std::mem::take(&mut self.waiting_rows);
        self.file_rows += rows;
        self.file_bytes += std::mem::take(&mut self.waiting_bytes);
        let full = self.file_rows >= rules.file_rows_max
            || (self.file_bytes >= rules.file_bytes && self.file_rows >= rules.file_rows_min);
        let ends_file = ends_file || full;
        if ends_file {
            self.file_rows = 0;
            self.file_bytes = 0;
        }
        Run { batches: std::mem::take(&mut self.waiting), rows, ends_file }
    }

    /// Ends the rows: the last run, when there is a file to end.
    pub(super) fn finish(&mut self, rules: &Rules) -> Option<Run> {
        (self.file_rows > 0 || self.waiting_rows > 0).then(|| self.cut(rules, true))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, AsArray, Int64Array};
    use arrow::datatypes::Int64Type;
    use proptest::prelude::*;

    use super::*;

    fn batch(first: usize, rows: usize) -> RecordBatch {
        let values = (first..first + rows).map(|value| i64::try_from(value).unwrap());
        let column = Arc::new(Int64Array::from_iter_values(values)) as Arc<dyn Array>;
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    fn files(sizes: &[usize], rules: &Rules) -> Vec<Vec<i64>> {
        let mut lane = Lane::default();
        let mut runs = Vec::new();
        let mut first = 0;
        for &rows in sizes {
            runs.extend(lane.push(batch(first, rows), rules));
            first += rows;
        }
        runs.extend(lane.finish(rules));
        let mut files = vec![Vec::new()];
        for run in runs {
            for batch in &run.batches {
                let values = batch.column(0).as_primitive::<Int64Type>();
                files.last_mut().unwrap().extend(values.values());
            }
            if run.ends_file {
                files.push(Vec::new());
            }
        }
        assert!(files.pop().unwrap().is_empty(), "the last file was not ended");
        files
    }

    proptest! {
        #[test]
        fn files_keep_all_rows_in_order_within_bounds(
            sizes in prop::collection::vec(0..40_usize, 0..20),
            run_rows in 1..30_usize,
            file_rows_min in 0..20_usize,
            more in 0..30_usize,
            file_bytes in 1..400_usize,
        ) {
            let file_rows_max = file_rows_min.max(1) + more;
            let rules = Rules {
                run_rows,
                run_bytes: 200,
                file_rows_min,
                file_rows_max,
                file_bytes,
                waiting_bytes: usize::MAX,
            };
            let files = files(&sizes, &rules);
            for (at, file) in files.iter().enumerate() {
                let is_last = at + 1 == files.len();
                prop_assert!(!file.is_empty() && file.len() <= file_rows_max);
                prop_assert!(is_last || file.len() >= file_rows_min);
            }
            let expected: i64 = sizes.iter().sum::<usize>().try_into().unwrap();
            prop_assert_eq!(files.concat(), (0..expected).collect::<Vec<_>>());
        }
    }
}
