//! Where and how long a session lives: in the process that made it, until it is closed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raceline_types::{Diagnostic, ErrorKind};
use thiserror::Error;

/// Why a session cannot be used any more, or here.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum SessionError {
    /// It was closed.
    #[error("the session of this dataset was shut down")]
    Closed,
    /// This process was forked from the one that made it, whose threads it does not have.
    #[error("this dataset belongs to process {home}, of which process {here} is a fork")]
    Forked {
        /// The process that made the session.
        home: u32,
        /// The process that uses it.
        here: u32,
    },
}

impl Diagnostic for SessionError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Plan
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Closed => "make the dataset again, which starts a new session",
            Self::Forked { .. } => {
                "make the dataset in the process that reads it, read it in the process that made \
                 it, or start processes by the \"spawn\" method"
            }
        };
        Some(hint.to_owned())
    }
}

/// Ends one thing that a session does.
type Cancel = Box<dyn Fn() + Send>;

/// The life of one session, and what it does at the moment.
pub(crate) struct Life {
    home: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    begun: u64,
    doing: BTreeMap<u64, Cancel>,
}

/// Something that a session does. Dropping it says that it is done.
pub(crate) struct Doing {
    life: Arc<Life>,
    number: u64,
}

impl Life {
    /// It begins now, in this process.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { home: std::process::id(), state: Mutex::default() })
    }

    /// Whether this process is a fork of the one that made the session. No thread of the
    /// session is here, and any of its locks may be held for good.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.home != std::process::id()
    }

    /// That the session belongs to this process.
    ///
    /// # Errors
    /// [`SessionError::Forked`].
    pub(crate) fn check_home(&self) -> Result<(), SessionError> {
        let (home, here) = (self.home, std::process::id());
        if home == here { Ok(()) } else { Err(SessionError::Forked { home, here }) }
    }

    /// That the session can be used.
    ///
    /// # Errors
    /// The reason why not.
    pub(crate) fn check(&self) -> Result<(), SessionError> {
        self.check_home()?;
        if self.state().is_closed { Err(SessionError::Closed) } else { Ok(()) }
    }

    /// Takes up something that `cancel` ends when the session is closed meanwhile.
    ///
    /// # Errors
    /// As [`Self::check`]; when it was closed, `cancel` was called.
    pub(crate) fn take_up(
        self: &Arc<Self>,
        cancel: impl Fn() + Send + 'static,
    ) -> Result<Doing, SessionError> {
        self.check_home()?;
        let mut state = self.state();
        if state.is_closed {
            cancel();
            return Err(SessionError::Closed);
        }
        state.begun += 1;
        let number = state.begun;
        state.doing.insert(number, Box::new(cancel));
        drop(state);
        Ok(Doing { life: Arc::clone(self), number })
    }

    /// Cancels all that the session does; it takes up nothing more. Waits for nothing.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.doing.values().for_each(|cancel| cancel());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        if !self.life.is_elsewhere() {
            self.life.state().doing.remove(&self.number);
        }
    }
}

impl fmt::Debug for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Doing({})", self.number)
    }
}
