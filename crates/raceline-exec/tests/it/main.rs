//! The machine with real threads and real batches.

#[cfg(test)]
mod accounts;
mod cutting;
mod ending;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod order;
#[cfg(test)]
mod spilling;
#[cfg(test)]
mod workers;
