//! What happens to a stage beside its work: it is opened, its splits are listed, it is closed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::{join_all, try_join_all};
use raceline_types::Split;

use super::Shell;
use crate::scheduler::Event;
use crate::source::Source;
use crate::work::guard;

/// An operator's `close` that takes longer is abandoned.
pub(super) const CLOSE_WAIT_MAX: Duration = Duration::from_secs(10);

impl Shell {
    pub(super) async fn open(self: Arc<Self>, stage: usize) {
        let node = Arc::clone(&self.nodes[stage]);
        let opened = try_join_all(node.chain.iter().map(|operator| async move {
            operator.open().await.map_err(|failure| failure.in_stage(&operator.name()))
        }));
        let ended = guard(self.cancels[stage].clone(), opened.map(|all| all.map(drop))).await;
        self.end(stage, ended, |outcome| Event::OpenEnded { stage, outcome }, None);
    }

    pub(super) async fn list(self: Arc<Self>, stage: usize, source: Arc<dyn Source>) {
        let listing = async {
            let mut splits = source.splits();
            loop {
                let Ok(permit) = self.listings[stage].acquire().await else { return Ok(()) };
                permit.forget();
                let Some(split) = splits.next().await else { return Ok(()) };
                self.found(stage, split.map_err(|failure| failure.in_stage(&source.name()))?);
            }
        };
        let ended = guard(self.cancels[stage].clone(), listing).await;
        self.end(stage, ended, |outcome| Event::ListingEnded { stage, outcome }, None);
    }

    fn found(self: &Arc<Self>, stage: usize, split: Split) {
        let deeds = {
            let mut held = self.lock();
            held.splits[stage].push_back(split);
            self.step(&mut held, Event::SplitFound { stage }, None).0
        };
        self.perform(deeds);
    }

    pub(super) async fn close(self: Arc<Self>, stage: usize) {
        let batch_rows = self.lock().scheduler.batch_rows(stage);
        if let Some(rows) = batch_rows {
            self.nodes[stage].chain[0].note_batch_rows(rows);
        }
        // What its workers held last is seen before they end.
        let held = self.measure();
        self.lock().scheduler.count_memory(&held);
        let closing = self.nodes[stage].chain.iter().map(|operator| {
            let close = AssertUnwindSafe(async { operator.close().await }).catch_unwind();
            tokio::time::timeout(CLOSE_WAIT_MAX, close)
        });
        // What a `close` could not do ends with the process: there is nobody left to tell.
        drop(join_all(closing).await);
        self.on(Event::Closed { stage });
    }
}
