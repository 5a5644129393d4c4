//! How many workers each operator's pool gets on this machine.
//!
//! A worker takes its CPUs only while it runs a batch, so pools never take the sources' CPUs
//! away for good; but more workers than could ever run at once would only waste memory. GPUs
//! and custom resources belong to a worker for as long as it lives: pools share them fairly,
//! at least one worker each. Pools that together ask for more than there is do not fit: the one
//! that finds no device free fails with an error that says so.

use raceline_types::{NANOS_PER_UNIT, Resources};

use crate::graph::Node;
use crate::operator::PoolShape;

/// Most workers of one pool, whatever was asked for.
const WORKERS_MAX: usize = 256;

/// Tells every operator of `nodes` how many workers it may have. Returns the numbers, operator
/// by operator of each node's chain.
pub(crate) fn share_workers(nodes: &[Node], total: &Resources) -> Vec<Vec<usize>> {
    let wishes: Vec<(Resources, usize)> = nodes
        .iter()
        .flat_map(|node| &node.chain)
        .map(|operator| {
            let PoolShape { resources, concurrency_max, .. } = operator.pool();
            let wanted = concurrency_max.unwrap_or_else(|| default_workers(&resources, total));
            (resources, wanted.min(WORKERS_MAX))
        })
        .collect();
    let mut shares = fair_shares(&wishes, total).into_iter();
    let mut shares_of = |node: &Node| {
        let shares: Vec<usize> = shares.by_ref().take(node.chain.len()).collect();
        for (operator, &workers) in node.chain.iter().zip(&shares) {
            operator.limit_workers(workers);
        }
        shares
    };
    nodes.iter().map(&mut shares_of).collect()
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

/// Workers for each wish of (resources of a worker, workers wanted); each gets at least one.
fn fair_shares(wishes: &[(Resources, usize)], total: &Resources) -> Vec<usize> {
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
fn is_within(
    wishes: &[(Resources, usize)],
    shares: &[usize],
    pool: usize,
    total: &Resources,
) -> bool {
    let (wish, wanted) = &wishes[pool];
    let cpus = u128::from(wish.cpu_nanos) * shares[pool] as u128;
    let all = |amount: &dyn Fn(&Resources) -> u64| {
        let sum =
            wishes.iter().zip(shares).map(|((each, _), &n)| u128::from(amount(each)) * n as u128);
        sum.sum::<u128>() <= u128::from(amount(total))
    };
    let custom_fits = wish
        .custom_nanos
        .keys()
        .all(|name| all(&|resources| resources.custom_nanos.get(name).copied().unwrap_or(0)));
    shares[pool] <= *wanted
        && cpus <= u128::from(total.cpu_nanos)
        && (wish.gpu_nanos == 0 || all(&|resources| resources.gpu_nanos))
        && custom_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(cpus: f64, gpus: f64) -> Resources {
        Resources::new(cpus, gpus, 0).unwrap()
    }

    #[test]
    fn eight_workers_of_a_cpu_become_two_on_two_cpus() {
        assert_eq!(fair_shares(&[(resources(1.0, 0.0), 8)], &resources(2.0, 0.0)), [2]);
        assert_eq!(fair_shares(&[(resources(0.25, 0.0), 8)], &resources(2.0, 0.0)), [8]);
        assert_eq!(fair_shares(&[(resources(0.0, 0.0), 8)], &resources(2.0, 0.0)), [8]);
    }

    #[test]
    fn workers_that_need_nothing_are_as_many_as_the_cpus() {
        assert_eq!(default_workers(&resources(0.0, 0.0), &resources(2.5, 0.0)), 3);
        assert_eq!(default_workers(&resources(0.0, 0.5), &resources(2.0, 1.0)), WORKERS_MAX);
    }

    #[test]
    fn gpus_are_shared_fairly_and_everybody_gets_a_worker() {
        let wish = |wanted| (resources(0.0, 1.0), wanted);
        assert_eq!(fair_shares(&[wish(4), wish(4)], &resources(2.0, 4.0)), [2, 2]);
        assert_eq!(fair_shares(&[wish(1), wish(8)], &resources(2.0, 4.0)), [1, 3]);
        assert_eq!(fair_shares(&[wish(2), wish(2)], &resources(2.0, 1.0)), [1, 1]);
    }
}
