//! How long the smallest runs take: five rows of a dataset in memory, and a closure over them.
//!
//! `cargo run --release -p raceline --example small_inputs`

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::error::ArrowError;
use raceline::{Dataset, Session, SessionOptions};

const RUNS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let session = Session::new(SessionOptions { cpus: Some(2.0), ..SessionOptions::default() })?;
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
    let batch = RecordBatch::try_from_iter([("id", column)])?;
    let memory = Dataset::from_batches(&session, "FromArrow", vec![batch])?;
    let same = |batch: &RecordBatch| Ok::<_, ArrowError>(batch.clone());
    let mapped = memory.map_batches("same", same);
    for (name, dataset) in [("take(5)", memory.limit(5)), ("map, take(5)", mapped.limit(5))] {
        let mut times: Vec<Duration> = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            let began = Instant::now();
            let rows: usize = dataset.collect()?.iter().map(RecordBatch::num_rows).sum();
            times.push(began.elapsed());
            assert_eq!(rows, 5);
        }
        times.sort_unstable();
        let micros = |at: usize| times[at].as_secs_f64() * 1e6;
        writeln!(
            std::io::stdout(),
            "{name:12}: {:.0} us in the median, {:.0} us at best",
            micros(RUNS / 2),
            micros(0)
        )?;
    }
    Ok(())
}
