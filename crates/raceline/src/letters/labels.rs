//! What the splits of a source are called, for letters about their rows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raceline_types::{Split, SplitId};

/// Splits that are remembered. Those that are worked on are the last that were begun.
const SPLITS_MAX: usize = 1 << 16;

/// Labels of the splits that were read last.
#[derive(Debug, Default)]
pub(crate) struct SplitLabels {
    labels: Mutex<BTreeMap<SplitId, Arc<str>>>,
}

impl SplitLabels {
    /// Remembers `split`, and forgets the first of too many.
    pub(crate) fn remember(&self, split: &Split) {
        let mut labels = self.labels();
        labels.insert(split.id, Arc::clone(&split.label));
        if labels.len() > SPLITS_MAX {
            labels.pop_first();
        }
    }

    /// The label of a split.
    pub(crate) fn get(&self, id: SplitId) -> Option<Arc<str>> {
        self.labels().get(&id).cloned()
    }

    fn labels(&self) -> MutexGuard<'_, BTreeMap<SplitId, Arc<str>>> {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_splits_are_remembered() {
        let labels = SplitLabels::default();
        for id in 0..=SPLITS_MAX as u64 {
            let label = format!("file {id}").into();
            let payload = Arc::new(());
            labels.remember(&Split {
                id: SplitId(id),
                label,
                rows: None,
                estimated_bytes: None,
                payload,
            });
        }
        assert_eq!(labels.get(SplitId(0)), None);
        assert_eq!(labels.get(SplitId(1)).as_deref(), Some("file 1"));
    }
}
