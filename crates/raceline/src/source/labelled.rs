//! A source whose splits are remembered by name.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use raceline_exec::{Emit, Source, SplitReader};
use raceline_types::{Failure, Split};

use crate::letters::SplitLabels;

/// A source that writes down the label of each split when its reading begins.
#[derive(Debug)]
pub(crate) struct LabelledSource {
    source: Arc<dyn Source>,
    labels: Arc<SplitLabels>,
}

impl LabelledSource {
    /// `source`, whose labels go to `labels`.
    pub(crate) fn new(source: Arc<dyn Source>, labels: Arc<SplitLabels>) -> Self {
        Self { source, labels }
    }
}

#[async_trait]
impl SplitReader for LabelledSource {
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
        self.labels.remember(split);
        self.source.read(split, out).await
    }
}

#[async_trait]
impl Source for LabelledSource {
    fn name(&self) -> Arc<str> {
        self.source.name()
    }

    fn splits(&self) -> BoxStream<'static, Result<Split, Failure>> {
        self.source.splits()
    }
}
