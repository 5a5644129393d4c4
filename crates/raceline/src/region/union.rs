//! `union`: one input after the other.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use raceline_exec::{Emit, PortStream, Region};
use raceline_types::Failure;

/// All rows of the first input, then all of the second, and so on.
#[derive(Debug)]
pub(crate) struct UnionRegion;

#[async_trait]
impl Region for UnionRegion {
    fn name(&self) -> Arc<str> {
        "Union".into()
    }

    fn hands_on(&self) -> bool {
        true
    }

    async fn run(&self, ports: Vec<PortStream>, out: &mut dyn Emit) -> Result<(), Failure> {
        for mut port in ports {
            while let Some(batch) = port.next().await {
                out.emit(batch?).await?;
            }
        }
        Ok(())
    }
}
