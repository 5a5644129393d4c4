//! A window as it is in the middle of its output.

use arrow::array::RecordBatch;
use futures::{Stream, StreamExt};
use raceline_types::{Batch, Failure, Random, RandomDraws, RandomStream};

use super::super::gather::gather;
use super::joined;

/// Which rows a window holds when so many were handed on, and what it draws next. Both depend on
/// its seed and its size alone, so that the rows that it no longer holds need not be read.
#[derive(Debug)]
pub(crate) struct WindowStart {
    /// Of each slot, the place of its row in the input.
    held: Vec<u64>,
    draws: RandomDraws,
    /// Rows of the input that were let in.
    rows: u64,
}

impl WindowStart {
    /// A window of `window` rows which has handed on `before` rows. It takes some nanoseconds a row.
    pub(crate) fn after(window: usize, seed: u64, before: u64) -> Self {
        let mut draws = Random::new(seed).draws(RandomStream::Window);
        let mut held: Vec<u64> = (0..window as u64).collect();
        let rows = window as u64 + before;
        for row in window as u64..rows {
            if let Some(slot) = held.get_mut(draws.below(window + 1)) {
                *slot = row;
            }
        }
        Self { held, draws, rows }
    }

    /// The first row of the input that it needs.
    pub(crate) fn first_row(&self) -> u64 {
        self.held.iter().copied().min().unwrap_or(self.rows)
    }

    pub(super) fn draws(&self) -> RandomDraws {
        self.draws.clone()
    }

    /// The rows that it holds, slot after slot, from `input`, which begins at
    /// [`Self::first_row`]; and what of the last batch comes behind them. Of an input that ends too
    /// early, the rows that there are.
    ///
    /// # Errors
    /// Those of the input, and when Arrow cannot hold the rows in one batch.
    pub(super) async fn rows_of(
        &self,
        input: &mut (impl Stream<Item = Result<Batch, Failure>> + Unpin + Send),
    ) -> Result<(Option<RecordBatch>, Option<RecordBatch>), Failure> {
        let mut wanted: Vec<(u64, usize)> = self.held.iter().copied().zip(0..).collect();
        wanted.sort_unstable();
        let (mut first, mut found) = (self.first_row(), 0);
        let (mut kept, mut rest) = (Vec::new(), None);
        while first < self.rows {
            let Some(batch) = input.next().await else { break };
            let batch = batch?.data;
            let end = first + batch.num_rows() as u64;
            let here = wanted[found..].partition_point(|(row, _)| *row < end);
            let place = |row: u64| usize::try_from(row - first).expect("it is in the batch");
            let places = wanted[found..found + here].iter().map(|(row, _)| (0, place(*row)));
            kept.push(gather(
                &batch.schema(),
                std::slice::from_ref(&batch),
                &places.collect::<Vec<_>>(),
            )?);
            found += here;
            if end > self.rows {
                let behind = place(self.rows);
                rest = Some(batch.slice(behind, batch.num_rows() - behind));
            }
            first = end;
        }
        if kept.is_empty() {
            return Ok((None, rest));
        }
        let mut slots: Vec<(usize, usize)> =
            wanted[..found].iter().enumerate().map(|(at, (_, slot))| (*slot, at)).collect();
        slots.sort_unstable();
        let places: Vec<_> = slots.into_iter().map(|(_, at)| (0, at)).collect();
        let kept = joined(kept)?;
        let held = gather(&kept.schema(), std::slice::from_ref(&kept), &places)?;
        Ok((Some(held), rest))
    }
}
