//! The first rows left out, where possible before they are read.

use std::sync::Arc;

use raceline_plan::{FileFormat, FileSplit, Node, ShuffleScope, Source};
use raceline_types::{Failure, InternalError, Split};

use super::super::count_from_metadata;
use super::super::rules::without_first;
use super::{Flow, Lowering, Open};
use crate::region::{SkipRegion, WindowShuffleRegion, WindowStart};
use crate::session::Session;
use crate::source::{CountRows, SkippingSource, all_are_known};

impl Lowering<'_> {
    /// `input` without its first `rows` rows.
    pub(super) async fn skip(&mut self, input: &Arc<Node>, rows: u64) -> Result<Flow, Failure> {
        match input.as_ref() {
            // Rows that a run does without are not counted by a file.
            Node::Source(source) if self.tolerance.is_nothing() => {
                self.skip_in_source(input, source, rows).await
            }
            Node::Shuffle {
                input,
                seed,
                reseeds,
                scope: ShuffleScope::Window { rows: window },
            } => {
                let seed = self.seed_of_run(*seed, *reseeds);
                self.skip_in_window(input, (*window, seed), rows).await
            }
            Node::Union { inputs } if self.tolerance.is_nothing() => {
                self.skip_in_union(inputs, rows).await
            }
            _ => self.region(input, Arc::new(SkipRegion::new(rows))).await,
        }
    }

    async fn skip_in_source(
        &mut self,
        node: &Arc<Node>,
        source: &Source,
        rows: u64,
    ) -> Result<Flow, Failure> {
        let Some(count) = counter(self.session, source) else {
            return self.region(node, Arc::new(SkipRegion::new(rows))).await;
        };
        let Flow { open, schema } = self.source(source).await?;
        let Open::Fragment { source, fused } = open else {
            return Err(InternalError::new("a source is no fragment").into());
        };
        let source = Arc::new(SkippingSource::new(source, rows, count));
        Ok(Flow { open: Open::Fragment { source, fused }, schema })
    }

    /// Which rows the window holds at some place of its output depends on its seed alone. It begins
    /// there, and what it does not hold by then is not read.
    async fn skip_in_window(
        &mut self,
        input: &Arc<Node>,
        (window, seed): (usize, u64),
        rows: u64,
    ) -> Result<Flow, Failure> {
        let limit_bytes = self.session.shuffle_bytes_max();
        let region = WindowShuffleRegion::new(window, seed, limit_bytes);
        // The input may have ended within as many rows as the window has, and then the window
        // hands on what it holds: it begins before that.
        let before = rows.saturating_sub(window as u64);
        let flow = if before == 0 {
            self.region(input, Arc::new(region)).await?
        } else {
            let start = move || WindowStart::after(window, seed, before);
            let start = self.session.machine().io().spawn_blocking(start).await;
            let start = start.map_err(|error| {
                InternalError::caused_by("the search for a window's rows ended early", error)
            })?;
            let rest = without_first(input, start.first_row());
            self.region(&rest, Arc::new(region.starting(start))).await?
        };
        let node = self.seal(flow.open);
        let skip = Arc::new(SkipRegion::new(rows - before));
        Ok(self.seal_region(vec![node], skip, flow.schema))
    }

    /// Skips in the inputs, as far as their numbers of rows are known without reading them.
    async fn skip_in_union(&mut self, inputs: &[Arc<Node>], rows: u64) -> Result<Flow, Failure> {
        let (mut left, mut is_known) = (rows, true);
        let mut rests = Vec::with_capacity(inputs.len());
        for input in inputs {
            let mut skipped = 0;
            if left > 0 && is_known {
                let all = count_from_metadata(self.session, input).await?;
                is_known = all.is_some();
                skipped = all.map_or(0, |all| all.min(left));
            }
            left -= skipped;
            rests.push(without_first(input, skipped));
        }
        if left == 0 {
            return self.union(&rests).await;
        }
        let union = Arc::new(Node::Union { inputs: rests });
        self.region(&union, Arc::new(SkipRegion::new(left))).await
    }
}

/// What counts the splits of `source` that do not tell their rows; `None` where only reading them
/// does.
fn counter(session: &Session, source: &Source) -> Option<CountRows> {
    let Source::Files(scan) = source else { return Some(all_are_known()) };
    let is_whole = scan.request.predicate.is_none() && scan.request.limit.is_none();
    match scan.format {
        FileFormat::Binary | FileFormat::Image(_) => Some(all_are_known()),
        FileFormat::Parquet if is_whole => {
            session.register_stores();
            let engine = Arc::clone(session.engine());
            Some(Arc::new(move |split: Split| {
                let engine = Arc::clone(&engine);
                Box::pin(async move {
                    let files = split.payload.downcast_ref::<Vec<FileSplit>>();
                    let files =
                        files.ok_or_else(|| InternalError::new("a scan has a foreign split"))?;
                    raceline_relational::count_rows(&engine, files).await
                })
            }))
        }
        FileFormat::Parquet | FileFormat::Csv(_) | FileFormat::Json(_) | FileFormat::Text(_) => {
            None
        }
    }
}
