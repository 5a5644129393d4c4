//! The workers of one operator.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::join_all;
use raceline_types::Failure;
use tokio::sync::Notify;

use crate::device::GpuShare;
use crate::error::{Exit, WorkerError};
use crate::ledger::TimeLedger;
use crate::memory::Gauges;
use crate::operator::{ProcessSpec, TemplateSource};
use crate::place::Place;
use crate::segment::{RateGate, SharedMemory};
use crate::worker::{Post, Worker};

/// The places of the workers.
pub(crate) struct Pool {
    spec: Arc<ProcessSpec>,
    pub(crate) template: TemplateSource,
    /// No more workers than this live at once, beside the bound of the spec.
    workers_max: AtomicUsize,
    places: Mutex<Places>,
    pub(crate) gauges: Gauges,
    census: Arc<Census>,
    /// Where the workers' time goes.
    pub(crate) ledger: Arc<TimeLedger>,
    /// The memory of the rate gate, from the first worker that needs it on.
    gate: Mutex<Option<Arc<OwnedFd>>>,
    /// What batches for its workers are written to.
    pub(crate) memory: Arc<SharedMemory>,
}

#[derive(Default)]
struct Places {
    /// Those that the graph fills and empties, by number.
    numbered: BTreeMap<usize, Arc<Place>>,
    /// Places with a worker, kept for the next call that may have any.
    idle: Vec<Arc<Place>>,
}

/// How many workers there are.
#[derive(Debug, Default)]
pub(crate) struct Census {
    count: Mutex<Count>,
    /// Told when a worker becomes idle or room for one becomes free.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Count {
    live: usize,
    started: u32,
}

/// Room for a worker and the GPUs that it sees; free again on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    census: Arc<Census>,
    index: u32,
    gpus: Option<GpuShare>,
}

impl Pool {
    pub(crate) fn new(template: TemplateSource, spec: Arc<ProcessSpec>) -> Self {
        let workers_max = AtomicUsize::new(spec.pool.concurrency_max.unwrap_or(usize::MAX).max(1));
        let (places, census, ledger) = (Mutex::default(), Arc::default(), Arc::default());
        let (gauges, gate, memory) = (Gauges::default(), Mutex::default(), SharedMemory::new());
        Self { spec, template, workers_max, places, gauges, census, ledger, gate, memory }
    }

    /// Lowers the number of workers that may live at once to `workers_max`, and at least 1.
    /// Workers that live already stay.
    pub(crate) fn limit(&self, workers_max: usize) {
        self.workers_max.fetch_min(workers_max.max(1), Ordering::Relaxed);
    }

    /// The place with this number.
    pub(crate) fn place(&self, number: usize) -> Arc<Place> {
        let place = || Arc::new(Place::numbered(number));
        Arc::clone(self.places().numbered.entry(number).or_insert_with(place))
    }

    /// A place for one call, with an idle worker, or else with room for a new one, or else the
    /// next that becomes idle. Cancel-safe.
    ///
    /// # Errors
    /// When there is no GPU for a worker.
    pub(crate) async fn take(&self) -> Result<Arc<Place>, Failure> {
        loop {
            let changed = self.census.changed.notified();
            let idle = self.places().idle.pop();
            if let Some(place) = idle {
                return Ok(place);
            }
            match self.try_reserve()? {
                Some(reservation) => return Ok(Arc::new(Place::reserved(reservation))),
                None => changed.await,
            }
        }
    }

    /// Takes back a place. One without a worker is given up.
    pub(crate) fn give_back(&self, place: Arc<Place>) {
        if place.is_occupied() {
            self.places().idle.push(place);
            self.census.changed.notify_one();
        }
    }

    /// Stops the workers, all at once, within 300 ms and what it takes to reap.
    pub(crate) async fn close(&self) {
        let Places { numbered, idle } = std::mem::take(&mut *self.places());
        join_all(numbered.into_values().chain(idle).map(|place| async move { place.stop().await }))
            .await;
    }

    /// Number of workers that live or start.
    pub(crate) fn live(&self) -> usize {
        self.census.count().live
    }

    /// Room for a worker, as soon as there is some. Cancel-safe.
    ///
    /// # Errors
    /// As [`Self::try_reserve`].
    pub(crate) async fn reserve(&self) -> Result<Reservation, Failure> {
        loop {
            let changed = self.census.changed.notified();
            match self.try_reserve()? {
                Some(reservation) => return Ok(reservation),
                None => changed.await,
            }
        }
    }

    /// Room for a worker; `None` when the pool is full and must wait for some of its own.
    ///
    /// # Errors
    /// When no GPU is free and none of the pool's own will be.
    pub(crate) fn try_reserve(&self) -> Result<Option<Reservation>, Failure> {
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
        Ok(Some(Reservation { census: Arc::clone(&self.census), index, gpus }))
    }

    /// Says something about the stage where its workers' lines go.
    pub(crate) fn tell(&self, text: &str) {
        // Without a template there is nobody to tell, and the next start says so.
        if let Ok(template) = (self.template)() {
            template.lines()(&format!("({}) {text}", self.spec.name));
        }
    }

    /// Starts worker `worker`; one that dies while it loads its functions is started again.
    pub(crate) async fn start(
        &self,
        reservation: &Reservation,
        worker: Option<usize>,
    ) -> Result<Worker, Failure> {
        let Reservation { census: _, index, gpus } = reservation;
        let (gate, mut restarts) = (self.gate()?, 0);
        loop {
            let template = (self.template)()?;
            let post = Post {
                index: *index,
                gpus: gpus.as_ref(),
                worker,
                gauges: &self.gauges,
                gate: gate.clone(),
                ledger: Arc::clone(&self.ledger),
                memory: Arc::clone(&self.memory),
            };
            let failure = match Worker::start(&template, &self.spec, post).await {
                Ok(worker) => return Ok(worker),
                Err(failure) => failure,
            };
            match WorkerError::exit_of(&failure) {
                None | Some(Exit::Relieved) => return Err(failure),
                Some(_) if restarts >= self.spec.restarts_max => return Err(failure),
                Some(_) => {}
            }
            restarts += 1;
            self.tell(&format!("{failure}; another one is started"));
        }
    }

    /// The memory of the rate gate, when the stage has one.
    fn gate(&self) -> Result<Option<Arc<OwnedFd>>, Failure> {
        if !self.spec.is_rate_limited {
            return Ok(None);
        }
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if gate.is_none() {
            let (stage, bytes) = (Arc::clone(&self.spec.name), RateGate::BYTES.get());
            let made = RateGate::create();
            let memory = made.map_err(|source| WorkerError::Memory { stage, bytes, source })?;
            *gate = Some(Arc::new(memory));
        }
        Ok(gate.clone())
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Census {
    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.census.count().live -= 1;
        self.census.changed.notify_one();
    }
}
