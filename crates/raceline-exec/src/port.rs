//! An input port of a running region.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use raceline_types::{Batch, Failure};

use crate::scheduler::Event;
use crate::shell::Shell;

/// The stream of batches from one stage to the region that consumes it.
pub(crate) struct Port {
    shell: Arc<Shell>,
    producer: usize,
    consumer: usize,
    ended: bool,
}

impl Port {
    pub(crate) fn new(shell: Arc<Shell>, producer: usize, consumer: usize) -> Self {
        Self { shell, producer, consumer, ended: false }
    }
}

impl Stream for Port {
    type Item = Result<Batch, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = self.shell.poll_port(self.producer, self.consumer, cx);
        self.ended = matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.shell.on(Event::Dropped { stage: self.producer });
    }
}
