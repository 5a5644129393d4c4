//! File scans: a listing that finds the splits and a reader that knows the format.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use raceline_connect::Listing;
use raceline_exec::{Emit, Source, SplitReader};
use raceline_types::{Failure, Split};

/// A listing and the reader of what it lists.
#[derive(Debug)]
pub(crate) struct FileSource {
    name: Arc<str>,
    listing: Listing,
    reader: Arc<dyn SplitReader>,
}

impl FileSource {
    /// Reads what `listing` finds with `reader`.
    pub(crate) fn new(name: &'static str, listing: Listing, reader: Arc<dyn SplitReader>) -> Self {
        Self { name: name.into(), listing, reader }
    }
}

#[async_trait]
impl SplitReader for FileSource {
    async fn read(&self, split: &Split, out: &mut dyn Emit) -> Result<(), Failure> {
        self.reader.read(split, out).await
    }
}

#[async_trait]
impl Source for FileSource {
    fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    fn splits(&self) -> BoxStream<'static, Result<Split, Failure>> {
        self.listing.splits()
    }
}
