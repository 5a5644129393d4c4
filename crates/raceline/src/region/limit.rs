//! `limit(n)`: the first rows, then no more work upstream.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use raceline_exec::{Emit, PortStream, Region};
use raceline_types::Failure;

/// Hands on the first `rows` rows and drops its port.
#[derive(Debug)]
pub(crate) struct LimitRegion {
    rows: u64,
}

impl LimitRegion {
    /// At most `rows` rows.
    pub(crate) fn new(rows: u64) -> Self {
        Self { rows }
    }
}

#[async_trait]
impl Region for LimitRegion {
    fn name(&self) -> Arc<str> {
        format!("Limit({})", self.rows).into()
    }

    fn hands_on(&self) -> bool {
        true
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        let mut left = self.rows;
        for mut port in ports {
            while let Some(batch) = port.next().await {
                let batch = batch?;
                let rows = left.min(batch.rows() as u64);
                left -= rows;
                let kept = usize::try_from(rows).expect("at most the rows of a batch");
                out.emit(if kept == batch.rows() { batch } else { batch.slice(0, kept) }).await?;
                if left == 0 {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
