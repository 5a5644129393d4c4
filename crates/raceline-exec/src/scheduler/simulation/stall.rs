//! Stalls that are made: something never ends. Whatever it is, the chain of waits tells it.

use std::sync::Arc;

use super::world::{Rng, World};
use super::*;
use crate::wait::WaitOn;

const SEEDS: u64 = 1_000;

/// Events in a row with which nothing moves, until it counts as stalled: work may wait for memory
/// for long, and workers may be ended and started again for it.
const QUIET_MOST: u32 = 1_000;

/// What never ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hang {
    Open(usize),
    List(usize),
    WorkerStart(usize),
    /// All work of the stage, once it asks for nothing and has nothing to put out.
    Work(usize),
    /// Whoever reads the output asks for so many batches and no more.
    Consumer(usize),
}

impl Hang {
    fn random(world: &World, rng: &mut Rng) -> Self {
        let stage = rng.below(world.plans.len());
        let plan = &world.plans[stage];
        match rng.below(5) {
            0 if plan.opens => Self::Open(stage),
            1 if plan.kind == StageKind::Source => Self::List(stage),
            2 if plan.pool.is_some() => Self::WorkerStart(stage),
            3 => Self::Consumer(rng.below(4)),
            _ => Self::Work(stage),
        }
    }

    /// Whether this is what `wait` tells.
    fn is_told(self, wait: &crate::wait::Wait) -> bool {
        let stage = |stage: usize| wait.stage.as_deref() == Some(stage.to_string().as_str());
        match self {
            Self::Open(at) => stage(at) && wait.on == WaitOn::Opening,
            Self::List(at) => stage(at) && wait.on == WaitOn::Listing,
            Self::WorkerStart(at) => stage(at) && wait.on == WaitOn::WorkerStart,
            // Its worker may be ended for its memory meanwhile.
            Self::Work(at) => stage(at) && matches!(wait.on, WaitOn::Work { .. } | WaitOn::Memory),
            Self::Consumer(_) => wait.stage.is_none() && wait.is_idle(),
        }
    }
}

impl Sim<'_> {
    /// Whether whoever reads the output could ask for a batch.
    pub(super) fn may_ask(&self) -> bool {
        let asks = !matches!(self.hang, Some(Hang::Consumer(batches)) if self.taken >= batches);
        self.root == RootState::Idle && asks
    }

    /// Lets happen what can, until nothing can any more. Returns whether it came to its end.
    fn run_into(&mut self, hang: Hang) -> bool {
        self.hang = Some(hang);
        self.begin();
        while self.finished == 0 || self.root != RootState::Ended {
            assert!(self.steps < STEPS_MAX, "it does not end");
            let before = (self.scheduler.moved, self.taken);
            let choices = self.choices();
            let event = self.next_event(0, choices);
            self.on(event);
            let is_stuck = before == (self.scheduler.moved, self.taken);
            self.quiet = if is_stuck { self.quiet + 1 } else { 0 };
            if self.quiet > QUIET_MOST {
                return false;
            }
        }
        true
    }
}

/// One seed; whether it stalled.
fn stall(seed: u64) -> bool {
    let mut rng = Rng(seed);
    let world = World::random(&mut rng);
    let hang = Hang::random(&world, &mut rng);
    let mut sim = Sim::new(&world, rng);
    if sim.run_into(hang) {
        return false;
    }
    let names: Vec<Arc<str>> = (0..world.plans.len()).map(|at| at.to_string().into()).collect();
    let waits = sim.scheduler.explain(sim.now, &names);
    if sim.finished > 0 {
        assert!(matches!(hang, Hang::Consumer(_)), "only the consumer has not come to the end");
        return true;
    }
    assert!(waits.iter().any(|wait| hang.is_told(wait)), "{hang:?} is not in {waits:#?}");
    true
}

#[test]
fn every_stall_that_is_made_is_explained() {
    let stalled = over_seeds(SEEDS, stall).into_iter().filter(|&stalled| stalled).count();
    assert!(is_one_seed() || stalled > 400, "{stalled} stalled");
}
