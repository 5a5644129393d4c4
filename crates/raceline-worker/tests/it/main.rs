//! Worker processes end to end: this very binary is the template and the workers.

#[cfg(test)]
mod caller;
#[cfg(test)]
mod child;
#[cfg(test)]
mod errored;
mod faults;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod life;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod transport;
