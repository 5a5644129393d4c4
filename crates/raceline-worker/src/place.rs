//! A place for a worker, and the order of the calls that its workers get.
//!
//! Calls have turns. A call may be sent when the one before it was sent, and is answered when the
//! one before it has ended. When a worker dies, the call at whose turn it was is sent again,
//! alone: the calls behind it are sent again when it has ended, and are never blamed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raceline_types::{Batch, Failure};
use tokio::sync::watch;

use crate::error::{Exit, WorkerError};
use crate::pool::{Pool, Reservation};
use crate::replay::Answers;
use crate::worker::{CallFailure, Worker};

/// A place for a worker.
#[derive(Debug)]
pub(crate) struct Place {
    number: Option<usize>,
    worker: Mutex<Occupant>,
    turns: watch::Sender<Turns>,
    /// Whether a worker may be started; not while its memory is another's.
    is_open: watch::Sender<bool>,
}

/// What is at a place.
#[derive(Debug, Default)]
struct Occupant {
    worker: Option<Arc<Worker>>,
    /// Kept while a worker is replaced by another.
    reservation: Option<Reservation>,
}

/// How far the calls of a place have come.
#[derive(Clone, Copy, Debug, Default)]
struct Turns {
    /// The call that is answered now.
    front: u64,
    /// The call that may be sent next.
    next: u64,
    /// Workers that were lost so far.
    lost: u64,
}

/// The turn of one call. However it ends, the next one follows.
pub(crate) struct Turn<'a> {
    place: &'a Place,
    number: u64,
    /// The worker is in the middle of the call.
    is_open: bool,
    /// No other call is sent before this one has ended.
    is_alone: bool,
}

impl Place {
    /// The empty place of worker `number`.
    pub(crate) fn numbered(number: usize) -> Self {
        Self::new(Some(number))
    }

    fn new(number: Option<usize>) -> Self {
        let turns = watch::Sender::new(Turns::default());
        Self { number, worker: Mutex::default(), turns, is_open: watch::Sender::new(true) }
    }

    /// A place with room for a worker.
    pub(crate) fn reserved(reservation: Reservation) -> Self {
        let place = Self::new(None);
        place.occupant().reservation = Some(reservation);
        place
    }

    /// The turn with this number.
    pub(crate) fn turn(&self, number: u64) -> Turn<'_> {
        Turn { place: self, number, is_open: false, is_alone: false }
    }

    /// The next turn of a place that one call at a time has to itself.
    pub(crate) fn next_turn(&self) -> Turn<'_> {
        self.turn(self.turns.borrow().front)
    }

    /// Has a worker started; there is none. `false` when there is no room for it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) async fn fill(&self, pool: &Pool) -> Result<bool, Failure> {
        let Some(reservation) = pool.try_reserve()? else { return Ok(false) };
        let worker = Some(Arc::new(pool.start(&reservation, self.number).await?));
        *self.occupant() = Occupant { worker, reservation: Some(reservation) };
        // Whoever closed it meant the worker before.
        self.open();
        Ok(true)
    }

    /// Whether a worker is there.
    pub(crate) fn is_occupied(&self) -> bool {
        self.occupant().worker.is_some()
    }

    /// Stops the worker within 300 ms and what it takes to reap it, then frees what it held.
    pub(crate) async fn stop(&self) {
        let Occupant { worker, reservation } = std::mem::take(&mut *self.occupant());
        if let Some(worker) = worker {
            worker.stop().await;
        }
        drop(reservation);
        self.open();
    }

    /// Starts no worker until it is opened: whoever needs one waits.
    pub(crate) fn close(&self) {
        self.is_open.send_replace(false);
    }

    async fn opened(&self) {
        let opened = self.is_open.subscribe().wait_for(|&is_open| is_open).await.is_ok();
        assert!(opened, "the place holds the sender");
    }

    /// Lets workers start.
    pub(crate) fn open(&self) {
        self.is_open.send_replace(true);
    }

    /// The worker that is there, or a new one.
    async fn worker(&self, pool: &Pool) -> Result<Arc<Worker>, Failure> {
        loop {
            self.opened().await;
            if let Some(worker) = self.present() {
                return Ok(worker);
            }
            let kept = self.occupant().reservation.take();
            let reservation = match kept {
                Some(reservation) => reservation,
                None => pool.reserve().await?,
            };
            let started = pool.start(&reservation, self.number).await;
            self.occupant().reservation = Some(reservation);
            match started {
                Ok(worker) => {
                    let worker = Arc::new(worker);
                    self.occupant().worker = Some(Arc::clone(&worker));
                    return Ok(worker);
                }
                // It is started again when there is memory for it.
                Err(failure) if WorkerError::exit_of(&failure) == Some(Exit::Relieved) => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    fn present(&self) -> Option<Arc<Worker>> {
        self.occupant().worker.clone()
    }

    fn occupant(&self) -> MutexGuard<'_, Occupant> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Lets no other call be sent before this one has ended: it is made of several.
    pub(crate) fn be_alone(&mut self) {
        self.is_alone = true;
    }

    /// Waits until a call can be sent. Only then is it known how large it may be.
    pub(crate) async fn ready(&self) {
        let number = self.number;
        self.place.opened().await;
        self.wait(|turns| turns.next >= number).await;
    }

    /// Runs `input` once.
    pub(crate) async fn attempt(
        &mut self,
        pool: &Pool,
        input: &Batch,
        out: &mut dyn Answers,
    ) -> Result<(), CallFailure> {
        loop {
            let number = self.number;
            let turns = self.wait(|turns| turns.next >= number).await;
            let is_front = turns.front >= number;
            let present = self.place.present();
            if self.place.turns.borrow().lost != turns.lost {
                // The worker may be one that was started since, for the call before this one.
                return Err(CallFailure::Again);
            }
            let worker = match present {
                Some(worker) => worker,
                None if is_front => self.place.worker(pool).await.map_err(CallFailure::Broken)?,
                // It was lost just now: the call before this one has another one started.
                None => return Err(CallFailure::Again),
            };
            self.is_open = true;
            match worker.call(input).await {
                Ok(()) => {}
                // There may be room for it when the calls before it are done.
                Err(CallFailure::Raised(_)) if !is_front => {
                    self.is_open = false;
                    self.wait(|turns| turns.front >= number).await;
                    continue;
                }
                Err(failure) => return Err(self.ended_by(failure)),
            }
            if !self.is_alone {
                self.let_next_be_sent(turns.lost);
            }
            let now = self.wait(|now| now.front >= number || now.lost != turns.lost).await;
            if now.lost != turns.lost {
                self.is_open = false;
                return Err(CallFailure::Again);
            }
            let answered = worker.answers(input, out).await;
            self.is_open = false;
            return answered.map_err(|failure| self.ended_by(failure));
        }
    }

    /// What a failed call leaves.
    fn ended_by(&mut self, failure: CallFailure) -> CallFailure {
        self.is_open = false;
        match failure {
            CallFailure::Raised(_) => {}
            CallFailure::Again | CallFailure::Died(_) | CallFailure::Broken(_) => {
                self.lose_worker();
            }
        }
        failure
    }

    /// The worker cannot go on. Whatever is sent to this place again is sent alone, this first.
    fn lose_worker(&mut self) {
        self.is_alone = true;
        self.place.turns.send_modify(|turns| {
            turns.lost += 1;
            turns.next = self.number;
        });
        let lost = self.place.occupant().worker.take();
        drop(lost);
    }

    fn let_next_be_sent(&self, lost: u64) {
        self.place.turns.send_modify(|turns| {
            if turns.lost == lost {
                turns.next = self.number + 1;
            }
        });
    }

    async fn wait(&self, is_met: impl Fn(&Turns) -> bool) -> Turns {
        let mut turns = self.place.turns.subscribe();
        let met = turns.wait_for(is_met).await.map(|turns| *turns);
        met.expect("the place holds the sender for as long as it has turns")
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.lose_worker();
        }
        let following = self.number + 1;
        self.place.turns.send_modify(|turns| {
            turns.front = turns.front.max(following);
            turns.next = turns.next.max(following);
        });
        let mut occupant = self.place.occupant();
        if occupant.worker.is_none() {
            occupant.reservation = None;
        }
    }
}
