//! The workers of one operator.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{join_all, try_join_all};
use raceline_types::Failure;
use tokio::sync::Notify;

use crate::device::GpuShare;
use crate::error::WorkerError;
use crate::operator::{ProcessSpec, TemplateSource};
use crate::worker::Worker;

/// Workers, idle ones kept for the next batch.
pub(crate) struct Pool {
    spec: Arc<ProcessSpec>,
    template: TemplateSource,
    /// No more workers than this live at once, beside the bound of the spec.
    workers_max: AtomicUsize,
    idle: Mutex<Vec<Member>>,
    census: Arc<Census>,
}

/// A worker and its place in the pool.
pub(crate) struct Member {
    pub(crate) worker: Worker,
    /// Held for as long as the process lives.
    _gpus: Option<GpuShare>,
    _place: Place,
}

/// How many workers there are.
#[derive(Debug, Default)]
struct Census {
    count: Mutex<Count>,
    /// Told when a worker becomes idle or a place becomes free.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Count {
    live: usize,
    started: u32,
}

/// One of the places of a pool; free again on drop.
struct Place {
    census: Arc<Census>,
    index: u32,
}

impl Pool {
    pub(crate) fn new(template: TemplateSource, spec: Arc<ProcessSpec>) -> Self {
        let workers_max = AtomicUsize::new(spec.pool.concurrency_max.unwrap_or(usize::MAX).max(1));
        Self { spec, template, workers_max, idle: Mutex::default(), census: Arc::default() }
    }

    /// Lowers the number of workers that may live at once to `workers_max`, and at least 1.
    /// Workers that live already stay.
    pub(crate) fn limit(&self, workers_max: usize) {
        self.workers_max.fetch_min(workers_max.max(1), Ordering::Relaxed);
    }

    /// Starts the workers that the pool must have, all at once, so that constructors run in
    /// parallel. When the limit is lower or fewer GPUs are free, as many as fit are started.
    ///
    /// # Errors
    /// The first failure; the other starts are given up.
    pub(crate) async fn fill(&self) -> Result<(), Failure> {
        let mut starts = Vec::new();
        while starts.len() < self.spec.pool.workers_min {
            match self.reserve()? {
                Some((place, gpus)) => starts.push(self.start(place, gpus)),
                None => break,
            }
        }
        let members = try_join_all(starts).await?;
        self.idle().extend(members);
        Ok(())
    }

    /// An idle worker, or else a new one, or else the next one that becomes idle. Cancel-safe.
    ///
    /// # Errors
    /// When a new worker cannot be started.
    pub(crate) async fn take(&self) -> Result<Member, Failure> {
        loop {
            let changed = self.census.changed.notified();
            let idle = self.idle().pop();
            if let Some(member) = idle {
                return Ok(member);
            }
            match self.reserve()? {
                Some((place, gpus)) => return self.start(place, gpus).await,
                None => changed.await,
            }
        }
    }

    /// Takes back a worker that can go on. One that cannot is dropped instead.
    pub(crate) fn give_back(&self, member: Member) {
        self.idle().push(member);
        self.census.changed.notify_one();
    }

    /// Stops the idle workers, all at once, within 300 ms and what it takes to reap.
    pub(crate) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        let stops = idle.into_iter().map(async |member| {
            let Member { worker, _gpus, _place } = member;
            worker.stop().await;
        });
        join_all(stops).await;
    }

    /// Number of workers that live or start.
    pub(crate) fn live(&self) -> usize {
        self.census.count().live
    }

    /// A place and its GPUs; `None` when the pool is full and must wait for one of its own.
    fn reserve(&self) -> Result<Option<(Place, Option<GpuShare>)>, Failure> {
        let mut count = self.census.count();
        if count.live >= self.workers_max.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let resources = &self.spec.pool.resources;
        let gpus = if resources.gpu_nanos == 0 {
            None
        } else {
            match self.spec.gpus.take(resources.gpu_nanos) {
                Some(share) => Some(share),
                None if count.live > 0 => return Ok(None),
                None => {
                    let (stage, asked) = (Arc::clone(&self.spec.name), resources.gpus());
                    return Err(WorkerError::NoGpu { stage, asked }.into());
                }
            }
        };
        let index = count.started;
        count.live += 1;
        count.started += 1;
        drop(count);
        Ok(Some((Place { census: Arc::clone(&self.census), index }, gpus)))
    }

    /// Says something about the stage where its workers' lines go.
    pub(crate) fn tell(&self, text: &str) {
        // Without a template there is nobody to tell, and the next start says so.
        if let Ok(template) = (self.template)() {
            template.lines()(&format!("({}) {text}", self.spec.name));
        }
    }

    /// Starts a worker; one that dies while it loads its functions is started again.
    async fn start(&self, place: Place, gpus: Option<GpuShare>) -> Result<Member, Failure> {
        let mut restarts = 0;
        loop {
            let template = (self.template)()?;
            match Worker::start(&template, &self.spec, place.index, gpus.as_ref()).await {
                Ok(worker) => return Ok(Member { worker, _gpus: gpus, _place: place }),
                Err(failure)
                    if restarts < self.spec.restarts_max && WorkerError::is_death(&failure) =>
                {
                    restarts += 1;
                    self.tell(&format!("{failure}; another one is started"));
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Member>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Census {
    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.census.count().live -= 1;
        self.census.changed.notify_one();
    }
}
