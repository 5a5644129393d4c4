//! Tokens: who may run, counted per kind of resource.

use raceline_types::Resources;

/// An amount of every kind of resource, in the order that [`Tokens`] keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask(Vec<u64>);

impl Ask {
    /// What `resources` asks for out of `total`, at most all that there is of each kind.
    pub(crate) fn of(resources: &Resources, total: &Resources) -> Self {
        let custom = total
            .custom_nanos
            .iter()
            .map(|(name, &have)| resources.custom_nanos.get(name).copied().unwrap_or(0).min(have));
        let fixed = [
            resources.cpu_nanos.min(total.cpu_nanos),
            resources.gpu_nanos.min(total.gpu_nanos),
            resources.memory_bytes.min(total.memory_bytes),
        ];
        Self(fixed.into_iter().chain(custom).collect())
    }

    /// Asks for nothing.
    pub(crate) fn nothing() -> Self {
        Self(Vec::new())
    }

    /// Whether it asks for nothing.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.iter().all(|&amount| amount == 0)
    }

    /// Whether both ask for some of the same kind.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(mine, theirs)| *mine > 0 && *theirs > 0)
    }

    /// The larger of both asks, kind by kind.
    pub(crate) fn max(mut self, other: &Self) -> Self {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = (*mine).max(*theirs);
        }
        self
    }
}

/// What is free of each kind of resource.
#[derive(Debug)]
pub(crate) struct Tokens {
    total: Vec<u64>,
    free: Vec<u64>,
    /// Kinds that somebody more important waits for, in the present round.
    kept: Vec<bool>,
}

impl Tokens {
    /// All of `total`, free.
    pub(crate) fn new(total: &Resources) -> Self {
        let Ask(total) = Ask::of(total, total);
        Self { free: total.clone(), kept: vec![false; total.len()], total }
    }

    /// Begins a round, in which takers come in order of importance.
    pub(crate) fn begin_round(&mut self) {
        self.kept.fill(false);
    }

    /// Takes all of `ask` or nothing. After a refusal the kinds that were short are kept for
    /// the refused one until the round ends, so that small asks cannot starve a large one.
    pub(crate) fn take(&mut self, ask: &Ask) -> bool {
        let short = |kind: usize, amount: u64, free: &[u64]| amount > free[kind];
        let refused = ask
            .0
            .iter()
            .enumerate()
            .any(|(kind, &amount)| amount > 0 && (self.kept[kind] || amount > self.free[kind]));
        if refused {
            for (kind, &amount) in ask.0.iter().enumerate() {
                self.kept[kind] |= short(kind, amount, &self.free);
            }
            return false;
        }
        for (free, amount) in self.free.iter_mut().zip(&ask.0) {
            *free -= amount;
        }
        true
    }

    /// Whether somebody more important waits, in the present round, for some of `ask`.
    pub(crate) fn is_kept(&self, ask: &Ask) -> bool {
        ask.0.iter().zip(&self.kept).any(|(&amount, &kept)| amount > 0 && kept)
    }

    /// Gives `ask` back.
    pub(crate) fn give_back(&mut self, ask: &Ask) {
        for ((free, total), amount) in self.free.iter_mut().zip(&self.total).zip(&ask.0) {
            *free += amount;
            assert!(*free <= *total, "more tokens came back than were taken");
        }
    }

    /// Whether every token is free.
    #[cfg(test)]
    pub(crate) fn all_free(&self) -> bool {
        self.free == self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(cpus: f64, gpus: f64) -> Resources {
        Resources::new(cpus, gpus, 0).unwrap()
    }

    #[test]
    fn a_refused_large_ask_is_not_overtaken_in_its_round() {
        let total = resources(2.0, 1.0);
        let mut tokens = Tokens::new(&total);
        let one = Ask::of(&resources(1.0, 0.0), &total);
        let two = Ask::of(&resources(2.0, 0.0), &total);
        tokens.begin_round();
        assert!(tokens.take(&one));
        assert!(!tokens.take(&two));
        assert!(!tokens.take(&one), "the free CPU is kept for the ask of two");
        tokens.begin_round();
        assert!(tokens.take(&one));
        tokens.give_back(&two);
        assert!(tokens.all_free());
    }

    #[test]
    fn waiting_for_a_gpu_keeps_no_cpu() {
        let total = resources(2.0, 1.0);
        let mut tokens = Tokens::new(&total);
        let gpu = Ask::of(&resources(1.0, 1.0), &total);
        let cpu = Ask::of(&resources(1.0, 0.0), &total);
        tokens.begin_round();
        assert!(tokens.take(&gpu));
        assert!(!tokens.take(&gpu));
        assert!(tokens.take(&cpu));
    }

    #[test]
    fn an_ask_never_exceeds_the_machine() {
        let total = resources(0.5, 0.0);
        let mut tokens = Tokens::new(&total);
        assert!(tokens.take(&Ask::of(&resources(1.0, 0.0), &total)));
    }
}
