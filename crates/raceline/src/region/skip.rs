//! A stream without its first rows, where these cannot be left out before they are made.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use raceline_exec::{Emit, PortStream, Region};
use raceline_types::Failure;

/// Drops the first `rows` rows and hands on the others.
#[derive(Debug)]
pub(crate) struct SkipRegion {
    rows: u64,
}

impl SkipRegion {
    /// All but the first `rows` rows.
    pub(crate) fn new(rows: u64) -> Self {
        Self { rows }
    }
}

#[async_trait]
impl Region for SkipRegion {
    fn name(&self) -> Arc<str> {
        format!("Skip({})", self.rows).into()
    }

    fn hands_on(&self) -> bool {
        true
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let mut left = self.rows;
        let mut input = futures::stream::iter(ports).flatten();
        while let Some(batch) = input.next().await {
            let batch = batch?;
            let first = usize::try_from(left).unwrap_or(usize::MAX).min(batch.rows());
            left -= first as u64;
            // A batch without rows still tells the columns.
            let rest = if first == 0 { batch } else { batch.slice(first, batch.rows() - first) };
            out.emit(rest).await?;
        }
        Ok(())
    }
}
