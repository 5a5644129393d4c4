//! The template of all worker processes of a session, started at first need.

use std::sync::{Arc, Mutex, PoisonError};

use raceline_types::{Diagnostic, ErrorKind, Failure};
use raceline_worker::{Launcher, LineSink, Template};
use thiserror::Error;

/// What a session without a launcher refuses.
#[derive(Debug, Error)]
#[error("this session has no launcher for foreign functions")]
struct NoLauncherError;

impl Diagnostic for NoLauncherError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Plan
    }

    fn hint(&self) -> Option<String> {
        Some("set `SessionOptions::launcher`".into())
    }
}

/// A template process that is started when the first worker is needed, and ended when the last
/// owner is gone.
pub(crate) struct LazyTemplate {
    launcher: Option<Launcher>,
    running: Mutex<Option<Arc<Template>>>,
}

impl LazyTemplate {
    /// Nothing runs yet.
    pub(crate) fn new(launcher: Option<Launcher>) -> Self {
        Self { launcher, running: Mutex::new(None) }
    }

    /// Where lines about workers go; `None` without a launcher.
    pub(crate) fn lines(&self) -> Option<LineSink> {
        self.launcher.as_ref().map(|launcher| Arc::clone(&launcher.lines))
    }

    /// The running template; a new one when the last has ended, as when it was killed.
    pub(crate) fn get(&self) -> Result<Arc<Template>, Failure> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(template) = running.as_ref().filter(|template| template.is_running()) {
            return Ok(Arc::clone(template));
        }
        let template = Template::start(self.launcher.as_ref().ok_or(NoLauncherError)?)?;
        *running = Some(Arc::clone(&template));
        Ok(template)
    }

    /// Ends the template and its workers; the next [`LazyTemplate::get`] starts anew.
    pub(crate) fn shutdown(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(template) = running {
            template.shutdown();
        }
    }
}

impl Drop for LazyTemplate {
    fn drop(&mut self) {
        self.shutdown();
    }
}
