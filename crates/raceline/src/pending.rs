//! What comes before rows, such as listing files: it is begun, and may be waited for in pieces.

use std::fmt;
use std::time::Duration;

use raceline_types::Failure;
use tokio::task::{AbortHandle, JoinError, JoinHandle};

use crate::life::{Doing, SessionError};
use crate::session::Session;

/// Something that was begun on the session's I/O threads. Dropping it cancels it.
#[must_use = "dropping it cancels it"]
pub struct Pending<T> {
    session: Session,
    task: JoinHandle<Result<LastStep<T>, Failure>>,
    _doing: Doing,
}

/// What is left to do in the thread that waits.
pub(crate) type LastStep<T> = Box<dyn FnOnce() -> Result<T, Failure> + Send>;

impl<T: 'static> Pending<T> {
    /// Begins `work`.
    ///
    /// # Errors
    /// When the session was closed, or belongs to another process.
    pub(crate) fn begin(
        session: &Session,
        work: impl Future<Output = Result<LastStep<T>, Failure>> + Send + 'static,
    ) -> Result<Self, Failure> {
        session.life().check()?;
        let task = session.machine().io().spawn(work);
        let abort: AbortHandle = task.abort_handle();
        let doing = session.life().take_up(move || abort.abort())?;
        Ok(Self { session: session.clone(), task, _doing: doing })
    }

    /// What it came to, if that is known within `wait`; else `None`, and it may be asked again.
    ///
    /// # Errors
    /// The failure that it came to.
    ///
    /// # Panics
    /// When asked again after an answer, and when the work panicked.
    pub fn within(&mut self, wait: Duration) -> Result<Option<T>, Failure> {
        let Self { session, task, _doing } = self;
        let waited = async { tokio::time::timeout(wait, task).await };
        match session.machine().io().block_on(waited) {
            Ok(ended) => finish(ended).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// What it came to, waiting as long as it takes.
    ///
    /// # Errors
    /// The failure that it came to.
    ///
    /// # Panics
    /// When the work panicked.
    pub fn wait(mut self) -> Result<T, Failure> {
        loop {
            if let Some(value) = self.within(Duration::from_hours(1))? {
                return Ok(value);
            }
        }
    }
}

fn finish<T>(ended: Result<Result<LastStep<T>, Failure>, JoinError>) -> Result<T, Failure> {
    match ended {
        Ok(last_step) => last_step?(),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // Only the end of the session cancels what somebody waits for.
        Err(_) => Err(SessionError::Closed.into()),
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("session", &self.session).finish_non_exhaustive()
    }
}
