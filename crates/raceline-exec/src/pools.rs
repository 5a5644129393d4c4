//! How many workers each operator's pool can get on this machine.
//!
//! A worker takes its CPUs only while it runs a batch, so pools never take the sources' CPUs
//! away for good; but more workers than could ever run at once would only waste memory. GPUs and
//! custom resources belong to a worker for as long as it lives: pools that live at the same time
//! share them fairly until it is known which of them needs more.

use raceline_types::{NANOS_PER_UNIT, ResourceError, Resources};

use crate::graph::{Body, Node};
use crate::operator::PoolShape;

/// Most workers of one pool, whatever was asked for.
const WORKERS_MAX: usize = 256;

/// How many workers an operator's pool may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Its fair part while others want some too.
    pub share: usize,
    /// As many as it could use if it were alone.
    pub most: usize,
}

/// The nodes whose pools live at the same time have the same number: a region that takes in all
/// of its input first lies between two numbers.
pub(crate) fn groups(nodes: &[Node]) -> Vec<usize> {
    let mut groups: Vec<usize> = (0..nodes.len()).collect();
    for (index, node) in nodes.iter().enumerate() {
        if matches!(&node.body, Body::Region(region) if region.gathers()) {
            continue;
        }
        for &input in &node.inputs {
            let (from, to) = (groups[input], groups[index]);
            groups.iter_mut().filter(|group| **group == from).for_each(|group| *group = to);
        }
    }
    groups
}

/// Checks that one worker of each pool of a group fits beside the others, and tells every
/// operator of `nodes` how many workers it may have. Returns the numbers, operator by operator of
/// each node's chain.
///
/// # Errors
/// [`ResourceError::Together`].
pub(crate) fn bound_workers(
    nodes: &[Node],
    groups: &[usize],
    total: &Resources,
) -> Result<Vec<Vec<Bounds>>, ResourceError> {
    let mut bounds: Vec<Vec<Bounds>> = nodes.iter().map(|_| Vec::new()).collect();
    for group in 0..nodes.len() {
        let members: Vec<usize> = (0..nodes.len()).filter(|&node| groups[node] == group).collect();
        let chains = members.iter().flat_map(|&node| &nodes[node].chain);
        let wishes: Vec<Wish> = chains.clone().map(|one| Wish::of(&one.pool(), total)).collect();
        let named = chains.zip(&wishes).filter(|(_, wish)| wish.keeps);
        let asks: Vec<_> = named.map(|(one, wish)| (one.name(), &wish.each)).collect();
        Resources::fit_together(&asks, total)?;
        let mut shares = fair_shares(&wishes, total).into_iter().zip(&wishes);
        for &node in &members {
            let chain = shares.by_ref().take(nodes[node].chain.len());
            bounds[node] = chain.map(|(share, wish)| wish.bounds(share, total)).collect();
        }
    }
    let operators = nodes.iter().flat_map(|node| &node.chain);
    for (operator, bounds) in operators.zip(bounds.iter().flatten()) {
        operator.limit_workers(bounds.most);
    }
    Ok(bounds)
}

/// What a pool asks for.
struct Wish {
    each: Resources,
    workers: usize,
    /// Whether workers keep what they have between batches.
    keeps: bool,
}

impl Wish {
    fn of(pool: &PoolShape, total: &Resources) -> Self {
        let PoolShape { resources, concurrency_max, workers } = pool;
        let wanted = concurrency_max.unwrap_or_else(|| default_workers(resources, total));
        let each = resources.clone();
        Self { each, workers: wanted.clamp(1, WORKERS_MAX), keeps: workers.is_some() }
    }

    /// Work that keeps nothing never has more than its share.
    fn bounds(&self, share: usize, total: &Resources) -> Bounds {
        let alone = || fair_shares(std::slice::from_ref(self), total)[0];
        Bounds { share, most: if self.keeps { alone() } else { share } }
    }
}

/// Workers of a pool that is not told how many: as many as its resources allow. Those that
/// need nothing that could run out are as many as there are CPUs.
fn default_workers(each: &Resources, total: &Resources) -> usize {
    let runs_out = each.cpu_nanos > 0 || each.gpu_nanos > 0 || !each.custom_nanos.is_empty();
    if runs_out {
        return WORKERS_MAX;
    }
    usize::try_from(total.cpu_nanos.div_ceil(NANOS_PER_UNIT)).unwrap_or(WORKERS_MAX).max(1)
}

/// Workers for each wish; each gets at least one.
fn fair_shares(wishes: &[Wish], total: &Resources) -> Vec<usize> {
    let mut shares = vec![1; wishes.len()];
    loop {
        let mut grew = false;
        for pool in 0..wishes.len() {
            shares[pool] += 1;
            if is_within(wishes, &shares, pool, total) {
                grew = true;
            } else {
                shares[pool] -= 1;
            }
        }
        if !grew {
            return shares;
        }
    }
}

/// Whether the share of `pool`, just raised, still fits what was wanted and what there is.
fn is_within(wishes: &[Wish], shares: &[usize], pool: usize, total: &Resources) -> bool {
    let Wish { each, workers, .. } = &wishes[pool];
    let cpus = u128::from(each.cpu_nanos) * shares[pool] as u128;
    let all = |amount: &dyn Fn(&Resources) -> u64| {
        let sum =
            wishes.iter().zip(shares).map(|(wish, &n)| u128::from(amount(&wish.each)) * n as u128);
        sum.sum::<u128>() <= u128::from(amount(total))
    };
    let memory = u128::from(each.memory_bytes) * shares[pool] as u128;
    let custom_fits = each
        .custom_nanos
        .keys()
        .all(|name| all(&|resources| resources.custom_nanos.get(name).copied().unwrap_or(0)));
    shares[pool] <= *workers
        && cpus <= u128::from(total.cpu_nanos)
        && (each.gpu_nanos == 0 || all(&|resources| resources.gpu_nanos))
        && memory <= u128::from(total.memory_bytes)
        && custom_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(cpus: f64, gpus: f64) -> Resources {
        Resources::new(cpus, gpus, 0).unwrap()
    }

    fn wish(cpus: f64, gpus: f64, workers: usize) -> Wish {
        Wish { each: resources(cpus, gpus), workers, keeps: true }
    }

    #[test]
    fn eight_workers_of_a_cpu_become_two_on_two_cpus() {
        assert_eq!(fair_shares(&[wish(1.0, 0.0, 8)], &resources(2.0, 0.0)), [2]);
        assert_eq!(fair_shares(&[wish(0.25, 0.0, 8)], &resources(2.0, 0.0)), [8]);
        assert_eq!(fair_shares(&[wish(0.0, 0.0, 8)], &resources(2.0, 0.0)), [8]);
    }

    #[test]
    fn workers_that_need_nothing_are_as_many_as_the_cpus() {
        assert_eq!(default_workers(&resources(0.0, 0.0), &resources(2.5, 0.0)), 3);
        assert_eq!(default_workers(&resources(0.0, 0.5), &resources(2.0, 1.0)), WORKERS_MAX);
    }

    #[test]
    fn gpus_are_shared_fairly_and_one_pool_alone_could_have_all() {
        let wish = |workers| wish(0.0, 1.0, workers);
        let total = resources(2.0, 4.0);
        assert_eq!(fair_shares(&[wish(4), wish(4)], &total), [2, 2]);
        assert_eq!(fair_shares(&[wish(1), wish(8)], &total), [1, 3]);
        assert_eq!(wish(8).bounds(2, &total), Bounds { share: 2, most: 4 });
    }

    #[test]
    fn memory_bounds_the_workers_too() {
        let each = Resources { memory_bytes: 4 << 30, ..resources(1.0, 0.0) };
        let total = Resources { memory_bytes: 9 << 30, ..resources(8.0, 0.0) };
        assert_eq!(fair_shares(&[Wish { each, workers: 8, keeps: true }], &total), [2]);
    }
}
