//! What must hold while a simulation runs, and at its end.

use super::*;

impl Sim<'_> {
    /// What must hold after every event.
    pub(super) fn check(&self) {
        let (queued, peak) = self.scheduler.queued_bytes();
        let bound = self.world.limits.queue_bytes + self.world.overdraft_max(self.batch_bytes_max);
        assert!(queued <= peak && peak <= bound, "queues hold {peak} bytes of {bound}");
        let stages = &self.scheduler.stages;
        let charged: u64 = stages.iter().map(|stage| stage.charged.bytes).sum();
        assert_eq!(charged, self.scheduler.budget.used_bytes(), "the stages are not the total");
        for (stage, plan) in self.world.plans.iter().enumerate() {
            let works = self
                .actors
                .range(WorkId { stage, ordinal: 0 }..WorkId { stage: stage + 1, ordinal: 0 });
            let works = works.count();
            assert!(plan.pool.is_some() || works <= plan.concurrency_max, "stage {stage} is wide");
        }
        let mut tokens = Tokens::new(&self.world.limits.resources);
        tokens.begin_round();
        for (id, actor) in &self.actors {
            let runs = !actor.waits
                && !self.cancelled[id.stage]
                && !self.memory.is_paused(self.workers.of(*id))
                && self.workers.has_its_turn(*id, |_| false);
            assert!(!runs || tokens.take(&self.world.plans[id.stage].ask), "too many tokens");
        }
        for (stage, _) in self.workers.all() {
            let plan = self.world.plans[*stage].pool.as_ref().unwrap();
            assert!(tokens.take(&plan.hold), "workers hold too much");
        }
    }

    /// What must hold at the end of every run.
    pub(super) fn check_end(&self, whole: bool) {
        assert_eq!(self.workers.all().count(), 0);
        assert!(self.actors.is_empty() && self.opening.is_empty() && self.listings.is_empty());
        assert!(self.closed.iter().all(|&times| times == 1), "{:?}", self.closed);
        assert!(self.scheduler.tokens.all_free());
        assert_eq!((self.scheduler.budget.used_bytes(), self.scheduler.queued_bytes().0), (0, 0));
        let mut expected = self.world.expected(self.world.root);
        let limited = self.world.jobs.iter().any(|job| matches!(job, Job::Limit(_) | Job::Zip));
        if self.world.limits.preserve_order {
            let length = if whole { expected.len() } else { self.output.len() };
            assert!(length <= expected.len());
            assert_eq!(self.output, expected[..length]);
        } else if whole && !limited {
            let mut output = self.output.clone();
            output.sort_unstable();
            expected.sort_unstable();
            assert_eq!(output, expected);
        }
    }
}
