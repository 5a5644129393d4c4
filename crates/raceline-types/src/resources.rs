//! Logical resources: CPUs, GPUs, memory and named custom ones.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::error::{Diagnostic, ErrorKind};

/// Fixed-point unit of CPUs, GPUs and custom resources, so that fractions add up exactly.
pub const NANOS_PER_UNIT: u64 = 1_000_000_000;

/// An amount of each logical resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPUs, in billionths.
    pub cpu_nanos: u64,
    /// GPUs, in billionths.
    pub gpu_nanos: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Named resources, in billionths.
    pub custom_nanos: BTreeMap<String, u64>,
}

/// A request that cannot be expressed or can never be met.
#[derive(Debug, Error, PartialEq)]
pub enum ResourceError {
    /// An amount below zero, infinite or not a number.
    #[error("`{name}` must be a finite number of at least 0, got `{value}`")]
    Amount {
        /// The resource.
        name: &'static str,
        /// What was asked for.
        value: f64,
    },
    /// More than the session has in all.
    #[error("stage `{stage}` asks for {asked} of `{name}` for each worker, the session has {have}")]
    Unmeetable {
        /// The stage that asks.
        stage: String,
        /// The resource.
        name: String,
        /// The request, in units.
        asked: f64,
        /// All that the session has, in units.
        have: f64,
    },
    /// Stages whose workers live at the same time ask for more than there is.
    #[error(
        "{} together ask for {asked} of `{name}` with one worker each, the session has {have}",
        listed(stages)
    )]
    Together {
        /// The stages that ask.
        stages: Vec<String>,
        /// The resource.
        name: String,
        /// The sum of the requests, in units.
        asked: f64,
        /// All that the session has, in units.
        have: f64,
    },
}

fn listed(stages: &[String]) -> String {
    let names: Vec<String> = stages.iter().map(|stage| format!("`{stage}`")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

impl Diagnostic for ResourceError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Amount { .. } => ErrorKind::Plan,
            Self::Unmeetable { .. } | Self::Together { .. } => ErrorKind::Resource,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Amount { .. } => None,
            Self::Unmeetable { name, asked, .. } => Some(format!(
                "lower the request, or declare the resource: {}",
                declaration(name, *asked)
            )),
            Self::Together { name, asked, .. } => Some(format!(
                "ask for less a worker, put the functions into one, or declare the resource: {}",
                declaration(name, *asked)
            )),
        }
    }
}

/// The call that declares so much of a resource.
fn declaration(name: &str, amount: f64) -> String {
    if matches!(name, "num_cpus" | "num_gpus" | "memory") {
        format!("`raceline.init({name}={amount})`")
    } else {
        format!("`raceline.init(resources={{\"{name}\": {amount}}})`")
    }
}

impl Resources {
    /// `cpus` and `gpus` of each, fractions allowed to a billionth.
    ///
    /// # Errors
    /// [`ResourceError::Amount`] when an amount is negative, infinite or not a number.
    pub fn new(cpus: f64, gpus: f64, memory_bytes: u64) -> Result<Self, ResourceError> {
        Ok(Self {
            cpu_nanos: to_nanos("num_cpus", cpus)?,
            gpu_nanos: to_nanos("num_gpus", gpus)?,
            memory_bytes,
            custom_nanos: BTreeMap::new(),
        })
    }

    /// CPUs in units.
    #[must_use]
    pub fn cpus(&self) -> f64 {
        in_units(self.cpu_nanos, NANOS_PER_UNIT)
    }

    /// GPUs in units.
    #[must_use]
    pub fn gpus(&self) -> f64 {
        in_units(self.gpu_nanos, NANOS_PER_UNIT)
    }

    /// Checks that one request of `self` fits into `total`.
    ///
    /// # Errors
    /// [`ResourceError::Unmeetable`], naming `stage`, the resource and what there is.
    pub fn fits_into(&self, total: &Self, stage: &str) -> Result<(), ResourceError> {
        let Self { cpu_nanos, gpu_nanos, memory_bytes, custom_nanos } = self;
        let custom = custom_nanos.iter().map(|(name, &asked)| {
            let have = total.custom_nanos.get(name).copied().unwrap_or(0);
            (name.as_str(), asked, have, NANOS_PER_UNIT)
        });
        let fixed = [
            ("num_cpus", *cpu_nanos, total.cpu_nanos, NANOS_PER_UNIT),
            ("num_gpus", *gpu_nanos, total.gpu_nanos, NANOS_PER_UNIT),
            ("memory", *memory_bytes, total.memory_bytes, 1),
        ];
        match fixed.into_iter().chain(custom).find(|(_, asked, have, _)| asked > have) {
            Some((name, asked, have, unit)) => Err(ResourceError::Unmeetable {
                stage: stage.to_owned(),
                name: name.to_owned(),
                asked: in_units(asked, unit),
                have: in_units(have, unit),
            }),
            None => Ok(()),
        }
    }
}

impl Resources {
    /// What a worker keeps for as long as it lives: GPUs and custom resources.
    #[must_use]
    pub fn kept(&self) -> Self {
        Self { cpu_nanos: 0, memory_bytes: 0, ..self.clone() }
    }

    /// What a worker takes only while it works: CPUs and memory.
    #[must_use]
    pub fn taken(&self) -> Self {
        let Self { cpu_nanos, memory_bytes, .. } = *self;
        Self { cpu_nanos, memory_bytes, ..Self::default() }
    }

    /// Checks that what `asks` keep fits into `total` together.
    ///
    /// # Errors
    /// [`ResourceError::Together`], naming the stages, the resource and what there is.
    pub fn fit_together(asks: &[(Arc<str>, &Self)], total: &Self) -> Result<(), ResourceError> {
        let custom = total.custom_nanos.iter().map(|(name, &have)| (Some(name), have));
        for (kind, have) in [(None, total.gpu_nanos)].into_iter().chain(custom) {
            let amount = |ask: &Self| match kind {
                None => ask.gpu_nanos,
                Some(name) => ask.custom_nanos.get(name).copied().unwrap_or(0),
            };
            let stages = asks.iter().filter(|(_, ask)| amount(ask) > 0);
            let asked: u64 = stages.clone().map(|(_, ask)| amount(ask)).sum();
            if asked > have {
                return Err(ResourceError::Together {
                    stages: stages.map(|(stage, _)| stage.to_string()).collect(),
                    name: kind.map_or("num_gpus", String::as_str).to_owned(),
                    asked: in_units(asked, NANOS_PER_UNIT),
                    have: in_units(have, NANOS_PER_UNIT),
                });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} CPU, {} GPU", self.cpus(), self.gpus())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "checked to be finite and positive; `as` saturates above"
)]
fn to_nanos(name: &'static str, value: f64) -> Result<u64, ResourceError> {
    if !value.is_finite() || value < 0.0 {
        return Err(ResourceError::Amount { name, value });
    }
    Ok((value * NANOS_PER_UNIT as f64).round() as u64)
}

#[expect(clippy::cast_precision_loss, reason = "shown to people only")]
fn in_units(amount: u64, unit: u64) -> f64 {
    amount as f64 / unit as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tenths_are_one_cpu() {
        let tenth = Resources::new(0.1, 0.0, 0).unwrap();
        assert_eq!(tenth.cpu_nanos * 10, Resources::new(1.0, 0.0, 0).unwrap().cpu_nanos);
    }

    #[test]
    fn an_unmeetable_request_names_what_there_is() {
        let total = Resources::new(2.0, 0.0, 0).unwrap();
        let error = Resources::new(1.0, 1.0, 0).unwrap().fits_into(&total, "embed").unwrap_err();
        assert_eq!(
            error.to_string(),
            "stage `embed` asks for 1 of `num_gpus` for each worker, the session has 0"
        );
        assert!(error.hint().unwrap().contains("raceline.init(num_gpus=1)"));
    }

    #[test]
    fn memory_is_looked_at_too() {
        let total = Resources::new(2.0, 0.0, 1 << 30).unwrap();
        let error = Resources::new(0.0, 0.0, 1 << 31).unwrap().fits_into(&total, "a").unwrap_err();
        assert_eq!(
            error.to_string(),
            "stage `a` asks for 2147483648 of `memory` for each worker, the session has 1073741824"
        );
    }

    #[test]
    fn workers_that_live_at_once_must_fit_together() {
        let total = Resources::new(2.0, 1.0, 0).unwrap();
        let one = Resources::new(2.0, 0.6, 0).unwrap();
        let (first, second) = ("embed".into(), "classify".into());
        assert_eq!(Resources::fit_together(&[(Arc::clone(&first), &one)], &total), Ok(()));
        let error = Resources::fit_together(&[(first, &one), (second, &one)], &total).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`embed` and `classify` together ask for 1.2 of `num_gpus` with one worker each, the \
             session has 1"
        );
        assert!(error.hint().unwrap().ends_with("`raceline.init(num_gpus=1.2)`"));
    }

    #[test]
    fn a_custom_resource_is_declared_by_its_name() {
        let custom_nanos = [("disk".to_owned(), 2 * NANOS_PER_UNIT)].into();
        let ask = Resources { custom_nanos, ..Resources::default() };
        let error = ask.fits_into(&Resources::default(), "a").unwrap_err();
        assert!(error.hint().unwrap().ends_with("`raceline.init(resources={\"disk\": 2})`"));
    }

    #[test]
    fn negative_and_nan_are_refused() {
        assert!(Resources::new(-1.0, 0.0, 0).is_err());
        assert!(Resources::new(0.0, f64::NAN, 0).is_err());
    }
}
