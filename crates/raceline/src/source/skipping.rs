//! A source without its first rows.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use raceline_exec::{Emit, Source, SplitReader, StageAccounts};
use raceline_types::{Batch, ColumnMemory, Failure, InternalError, Split, SplitId};

/// Splits whose rows are counted at once.
const COUNTED_AT_ONCE: usize = 16;

/// Tells how many rows a split has that does not tell itself, without reading it.
pub(crate) type CountRows =
    Arc<dyn Fn(Split) -> BoxFuture<'static, Result<u64, Failure>> + Send + Sync>;

/// A source without its first rows: splits that lie before the rest are not read.
pub(crate) struct SkippingSource {
    source: Arc<dyn Source>,
    rows: u64,
    count: CountRows,
}

impl SkippingSource {
    /// `source` without its first `rows` rows; `count` tells those of splits that do not.
    pub(crate) fn new(source: Arc<dyn Source>, rows: u64, count: CountRows) -> Self {
        Self { source, rows, count }
    }
}

/// What counts no split, for sources whose splits tell their rows.
pub(crate) fn all_are_known() -> CountRows {
    Arc::new(|split: Split| {
        let label = split.label;
        Box::pin(async move {
            Err(InternalError::new(format!("the rows of `{label}` are unknown")).into())
        })
    })
}

/// The payload of the split in which the rest begins.
struct Begun {
    split: Split,
    /// Rows before the rest.
    skipped: u64,
}

impl fmt::Debug for SkippingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SkippingSource")
            .field("source", &self.source)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SplitReader for SkippingSource {
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
        match split.payload.downcast_ref::<Begun>() {
            Some(Begun { split, skipped }) => {
                self.source.read(split, &mut Rest { out, skipped: *skipped }).await
            }
            None => self.source.read(split, out).await,
        }
    }
}

#[async_trait]
impl Source for SkippingSource {
    fn name(&self) -> Arc<str> {
        self.source.name()
    }

    fn splits(&self) -> BoxStream<'static, Result<Split, Failure>> {
        let is_begun = Arc::new(AtomicBool::new(self.rows == 0));
        let (count, begun) = (Arc::clone(&self.count), Arc::clone(&is_begun));
        let counted = self.source.splits().map(move |split| {
            let (count, begun) = (Arc::clone(&count), Arc::clone(&begun));
            async move {
                let split = split?;
                let rows = match split.rows {
                    Some(rows) => rows,
                    // Splits of the rest need not be counted.
                    None if begun.load(Ordering::Relaxed) => 0,
                    None => count(split.clone()).await?,
                };
                Ok::<_, Failure>((split, rows))
            }
        });
        let state = Skipping {
            splits: counted.buffered(COUNTED_AT_ONCE).boxed(),
            left: self.rows,
            passed: None,
            next_id: 0,
            is_begun,
        };
        stream::try_unfold(state, |mut state| async move {
            Ok(state.next().await?.map(|split| (split, state)))
        })
        .boxed()
    }
}

/// The splits under way.
struct Skipping {
    splits: BoxStream<'static, Result<(Split, u64), Failure>>,
    /// Rows that are still to be skipped.
    left: u64,
    /// The split that was skipped last, and its rows, as long as no other came.
    passed: Option<(Split, u64)>,
    next_id: u64,
    is_begun: Arc<AtomicBool>,
}

impl Skipping {
    async fn next(&mut self) -> Result<Option<Split>, Failure> {
        while let Some((split, rows)) = self.splits.try_next().await? {
            if self.left == 0 {
                self.passed = None;
                return Ok(Some(self.numbered(split)));
            }
            if rows > self.left {
                let skipped = std::mem::take(&mut self.left);
                self.is_begun.store(true, Ordering::Relaxed);
                self.passed = None;
                return Ok(Some(self.begun(split, skipped)));
            }
            self.left -= rows;
            if self.left == 0 {
                self.is_begun.store(true, Ordering::Relaxed);
            }
            self.passed = Some((split, rows));
        }
        // Without a split there would be no columns.
        let last = self.passed.take();
        Ok(last.map(|(split, rows)| self.begun(split, rows)))
    }

    fn begun(&mut self, split: Split, skipped: u64) -> Split {
        let split = self.numbered(split);
        let rows = split.rows.map(|rows| rows - skipped);
        let payload = Arc::new(Begun { split: split.clone(), skipped });
        Split { rows, payload, ..split }
    }

    fn numbered(&mut self, split: Split) -> Split {
        let id = SplitId(self.next_id);
        self.next_id += 1;
        Split { id, ..split }
    }
}

/// Hands on what comes behind the first rows.
struct Rest<'a> {
    out: &'a mut dyn Emit,
    skipped: u64,
}

#[async_trait]
impl Emit for Rest<'_> {
    async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
        if self.skipped == 0 {
            return self.out.emit(batch).await;
        }
        let first = usize::try_from(self.skipped).unwrap_or(usize::MAX).min(batch.rows());
        self.skipped -= first as u64;
        self.out.emit(batch.slice(first, batch.rows() - first)).await
    }

    fn accounts(&self) -> StageAccounts {
        self.out.accounts()
    }

    fn memory(&self) -> Arc<dyn ColumnMemory> {
        self.out.memory()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::{MemorySource, RangeSource};
    use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::Int64Type;

    /// Keeps what is emitted.
    #[derive(Default)]
    struct Collected(Vec<Batch>);

    #[async_trait]
    impl Emit for Collected {
        async fn emit(&mut self, batch: Batch) -> Result<(), Failure> {
            self.0.push(batch);
            Ok(())
        }
    }

    /// All rows, and how many splits were read for them.
    fn read(source: &dyn Source) -> (Vec<i64>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let splits: Vec<Split> = source.splits().try_collect().await.unwrap();
            let mut rows = Vec::new();
            for (at, split) in (0..).zip(&splits) {
                assert_eq!(split.id, SplitId(at));
                let mut out = Collected::default();
                source.read(split, &mut out).await.unwrap();
                let before = rows.len();
                for batch in &out.0 {
                    rows.extend(batch.data["id"].as_primitive::<Int64Type>().values());
                }
                if let Some(told) = split.rows {
                    assert_eq!(rows.len() - before, usize::try_from(told).unwrap());
                }
            }
            (rows, splits.len())
        })
    }

    /// A source whose splits do not tell their rows, and what counts them.
    #[derive(Debug)]
    struct Silent(RangeSource);

    #[async_trait]
    impl SplitReader for Silent {
        async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
            self.0.read(split, out).await
        }
    }

    #[async_trait]
    impl Source for Silent {
        fn name(&self) -> Arc<str> {
            self.0.name()
        }

        fn splits(&self) -> BoxStream<'static, Result<Split, Failure>> {
            self.0.splits().map_ok(|split| Split { rows: None, ..split }).boxed()
        }
    }

    fn counter() -> CountRows {
        Arc::new(|split: Split| {
            let (first, last) = *split.payload.downcast_ref::<(u64, u64)>().unwrap();
            Box::pin(async move { Ok(last - first) })
        })
    }

    proptest! {
        #[test]
        fn the_rest_comes_whole_and_nothing_before_it_is_read(
            rows in 0_u64..300, skipped in 0_u64..400, splits in 1_u64..9,
        ) {
            let expected: Vec<i64> = (skipped.min(rows).cast_signed()..rows.cast_signed()).collect();
            let known = Arc::new(RangeSource::new(rows, splits));
            let known = SkippingSource::new(known, skipped, all_are_known());
            prop_assert_eq!(&read(&known).0, &expected);
            let silent = Arc::new(Silent(RangeSource::new(rows, splits)));
            let silent = SkippingSource::new(silent, skipped, counter());
            prop_assert_eq!(&read(&silent).0, &expected);
            if skipped >= rows && rows > 0 {
                // One is left, for the columns.
                prop_assert_eq!(read(&silent).1, 1);
            }
        }
    }

    #[test]
    fn splits_before_the_rest_are_left_out() {
        let source = Arc::new(RangeSource::new(100, 10));
        let all = read(&*source).1;
        let rest = SkippingSource::new(source, 55, all_are_known());
        assert_eq!(all, 10);
        assert_eq!(read(&rest).1, 5);
    }

    #[test]
    fn columns_are_told_where_no_row_is_left() {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let source = Arc::new(MemorySource::new("FromItems", Arc::from([batch]), 1));
        let rest = SkippingSource::new(source, 2, all_are_known());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let batches = runtime.block_on(async {
            let splits: Vec<Split> = rest.splits().try_collect().await.unwrap();
            let mut out = Collected::default();
            rest.read(&splits[0], &mut out).await.unwrap();
            out.0
        });
        assert_eq!(batches[0].rows(), 0);
        assert_eq!(batches[0].data.num_columns(), 1);
    }

    #[test]
    fn a_split_that_nobody_can_count_is_a_fault_of_ours() {
        let silent = Arc::new(Silent(RangeSource::new(3, 1)));
        let rest = SkippingSource::new(silent, 1, all_are_known());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ended = runtime.block_on(async { rest.splits().try_collect::<Vec<Split>>().await });
        let text = ended.unwrap_err().to_string();
        assert_eq!(text, "internal error: the rows of `range 0..3` are unknown");
    }
}
