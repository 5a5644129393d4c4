//! Regions of the simulation: which port they ask next, what they keep, and what they put out.

use std::collections::{BTreeSet, VecDeque};

use super::world::{Job, Rng, Rows};

/// Rows of one side of a zip that wait for the other, before no more of them are asked for.
const ZIP_AHEAD_ROWS: usize = 40;

/// What a region does next with its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Ask(usize),
    Drop(usize),
    End,
}

/// Where a region is with its ports.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    job: &'a Job,
    /// Ports that were asked and have not answered.
    asked: BTreeSet<usize>,
    ended: Vec<bool>,
    dropped: Vec<bool>,
    /// Rows of each port that are kept.
    kept: Vec<VecDeque<u64>>,
    /// Batches that are kept, of a chain that holds.
    held: Vec<Rows>,
    /// Rows that a limit still lacks.
    missing: usize,
}

impl<'a> Reading<'a> {
    pub(super) fn new(job: &'a Job, ports: usize) -> Self {
        Self {
            job,
            asked: BTreeSet::new(),
            ended: vec![false; ports],
            dropped: vec![false; ports],
            kept: vec![VecDeque::new(); ports],
            held: Vec::new(),
            missing: if let Job::Limit(rows) = job { *rows } else { usize::MAX },
        }
    }

    /// Everything that it could do next; nothing while it waits.
    pub(super) fn steps(&self) -> Vec<Step> {
        match self.job {
            Job::Chain { order, .. } => {
                let next = order.iter().copied().find(|&port| !self.ended[port]);
                self.one_by_one(next.map_or(Step::End, Step::Ask))
            }
            Job::Limit(_) if self.missing > 0 => {
                self.one_by_one(if self.ended[0] { Step::End } else { Step::Ask(0) })
            }
            Job::Limit(_) => self.leave(),
            Job::Zip if self.is_zipped() => self.leave(),
            Job::Zip => self.ask(|port| self.kept[port].len() < ZIP_AHEAD_ROWS),
            Job::Join if self.ended[0] && self.repeats() == 0 => self.leave(),
            Job::Join if self.ended.iter().all(|&ended| ended) => vec![Step::End],
            Job::Join => self.ask(|_| true),
            Job::Read(_) | Job::Multiply { .. } => unreachable!("these are no regions"),
        }
    }

    fn one_by_one(&self, step: Step) -> Vec<Step> {
        if self.asked.is_empty() { vec![step] } else { Vec::new() }
    }

    /// Ports for which that is so and which have not been asked, in any order.
    fn ask(&self, is_wanted: impl Fn(usize) -> bool) -> Vec<Step> {
        let ports = 0..self.ended.len();
        let open = |&port: &usize| !self.ended[port] && !self.asked.contains(&port);
        ports.filter(open).filter(|&port| is_wanted(port)).map(Step::Ask).collect()
    }

    /// It needs no more: it drops ports, or just ends.
    fn leave(&self) -> Vec<Step> {
        let open = (0..self.ended.len()).filter(|&port| !self.ended[port] && !self.dropped[port]);
        open.map(Step::Drop).chain([Step::End]).collect()
    }

    fn is_zipped(&self) -> bool {
        self.ended.iter().zip(&self.kept).any(|(&ended, kept)| ended && kept.is_empty())
    }

    /// How often a join puts out each row of port 1.
    fn repeats(&self) -> usize {
        repeats(self.kept[0].len())
    }

    pub(super) fn choose(&mut self, rng: &mut Rng) -> Step {
        let step = rng.pick(&self.steps());
        match step {
            Step::Ask(port) => assert!(self.asked.insert(port)),
            Step::Drop(port) => self.dropped[port] = true,
            Step::End => {}
        }
        step
    }

    /// Takes what a port answers; what is put out for it comes back.
    pub(super) fn take(&mut self, port: usize, rows: Option<Rows>, is_first: bool) -> Vec<Rows> {
        assert!(self.asked.remove(&port) || self.dropped[port] || !is_first, "nobody asked");
        let Some(rows) = rows else {
            self.ended[port] = true;
            return self.take_end(port);
        };
        match self.job {
            Job::Chain { held: true, .. } => self.held.push(rows),
            Job::Chain { .. } => return vec![rows],
            Job::Limit(_) => {
                let rows = &rows[..rows.len().min(self.missing)];
                self.missing -= rows.len();
                return vec![rows.into()];
            }
            Job::Zip => {
                self.kept[port].extend(rows.iter());
                let pairs = self.kept.iter().map(VecDeque::len).min().unwrap_or(0);
                let mut zipped = Vec::new();
                for _ in 0..pairs {
                    zipped.extend(self.kept.iter_mut().map(|side| side.pop_front().unwrap()));
                }
                return if zipped.is_empty() { vec![] } else { vec![zipped.into()] };
            }
            Job::Join if port == 1 && self.ended[0] => return vec![repeat(&rows, self.repeats())],
            Job::Join => self.kept[port].extend(rows.iter()),
            Job::Read(_) | Job::Multiply { .. } => unreachable!("these are no regions"),
        }
        vec![]
    }

    fn take_end(&mut self, port: usize) -> Vec<Rows> {
        match self.job {
            Job::Chain { .. } if self.ended.iter().all(|&ended| ended) => {
                std::mem::take(&mut self.held)
            }
            Job::Join if port == 0 => {
                let rows: Vec<u64> = self.kept[1].drain(..).collect();
                vec![repeat(&rows, self.repeats())]
            }
            _ => vec![],
        }
    }
}

/// How often a join whose port 0 has so many rows puts out each row of port 1.
pub(super) fn repeats(rows: usize) -> usize {
    rows % 3
}

pub(super) fn repeat(rows: &[u64], times: usize) -> Rows {
    rows.iter().flat_map(|&row| std::iter::repeat_n(row, times)).collect()
}
