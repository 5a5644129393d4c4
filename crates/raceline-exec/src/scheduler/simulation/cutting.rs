//! How the input of random stages must be cut where their batches have bounds.

use std::collections::BTreeMap;

use super::super::edge::Pace;
use super::super::*;
use super::world::{Rng, Rows, World};
use crate::operator::{BatchBounds, BatchShape};

/// Random bounds; there is always one on rows, so that a unit is not endless.
pub(super) fn random_bounds(rng: &mut Rng, rows: usize) -> BatchBounds {
    BatchBounds {
        rows_max: Some(rows),
        bytes_max: rng.pick(&[None, Some(1), Some(20), Some(90)]),
        cost_max: rng.pick(&[None, Some(0.25), Some(4.0), Some(30.0)]),
    }
}

/// What a row weighs. The costs are added up without rounding.
pub(super) fn weight(row: u64) -> RowWeight {
    let quarters = u32::try_from(row * 7 % 11).unwrap();
    RowWeight { bytes: 1 + row % 9, cost: f64::from(quarters) / 4.0 }
}

/// An output of `stage`, weighed where its consumer wants that.
pub(super) fn output(world: &World, stage: usize, rows: Rows) -> Morsel<Rows> {
    let bytes = world.bytes(&rows);
    let consumer = world.plans.iter().find(|plan| plan.inputs.contains(&stage));
    let is_weighed = consumer.is_some_and(|plan| bounds(plan).is_some());
    let weights: Vec<_> = rows.iter().map(|&row| weight(row)).collect();
    let morsel = Morsel { first_row: 0, rows: rows.len(), bytes, item: rows, weights: Vec::new() };
    if is_weighed { morsel.weighed(weights) } else { morsel }
}

pub(super) fn bounds(plan: &StagePlan) -> Option<BatchBounds> {
    match plan.kind {
        StageKind::Operator(BatchShape::Within(bounds)) => Some(bounds),
        _ => None,
    }
}

/// The units that each stage must get, once they were asked for.
#[derive(Default)]
pub(super) struct Units(BTreeMap<usize, Vec<Vec<u64>>>);

impl Units {
    /// Checks the input of `work`, where it is cut by weight.
    pub(super) fn check(&mut self, world: &World, work: WorkId, rows: &[u64]) {
        let plan = &world.plans[work.stage];
        let Some(bounds) = bounds(plan) else { return };
        assert!(rows.len() <= 1 || within(&bounds, rows), "a unit leaves its bounds");
        if !world.limits.preserve_order {
            return;
        }
        let units = self.0.entry(work.stage).or_insert_with(|| {
            let mut units = cut(&bounds, &world.expected(plan.inputs[0]));
            if units.is_empty() {
                units.push(Vec::new());
            }
            units
        });
        assert_eq!(rows, units[usize::try_from(work.ordinal).unwrap()]);
    }
}

fn sum(rows: &[u64]) -> (u64, f64) {
    let weights = || rows.iter().map(|&row| weight(row));
    (weights().map(|row| row.bytes).sum(), weights().map(|row| row.cost).sum())
}

fn within(bounds: &BatchBounds, rows: &[u64]) -> bool {
    let (bytes, cost) = sum(rows);
    rows.len() <= bounds.rows_max.unwrap()
        && bounds.bytes_max.is_none_or(|most| bytes <= most)
        && bounds.cost_max.is_none_or(|most| cost <= most)
}

fn is_full(bounds: &BatchBounds, rows: &[u64]) -> bool {
    let (bytes, cost) = sum(rows);
    rows.len() == bounds.rows_max.unwrap()
        || bounds.bytes_max.is_some_and(|most| bytes >= most)
        || bounds.cost_max.is_some_and(|most| cost >= most)
}

/// `rows` as they must be cut.
fn cut(bounds: &BatchBounds, mut rows: &[u64]) -> Vec<Vec<u64>> {
    let mut units = Vec::new();
    while !rows.is_empty() {
        let mut end = 1;
        while end < rows.len() && !is_full(bounds, &rows[..end]) && within(bounds, &rows[..=end]) {
            end += 1;
        }
        units.push(rows[..end].to_vec());
        rows = &rows[end..];
    }
    units
}

#[test]
fn rows_are_gathered_until_the_next_would_exceed_a_bound() {
    let ends = |bounds: BatchBounds, weights: &[(u64, f64)]| {
        let mut cutter = cutter::Cutter::new(bounds);
        let weights: Vec<_> =
            weights.iter().map(|&(bytes, cost)| RowWeight { bytes, cost }).collect();
        // How the rows come does not matter.
        let (first, second) = weights.split_at(weights.len() / 3);
        cutter.take_in(first);
        cutter.take_in(second);
        let whole: Vec<usize> = (0..cutter.whole()).map(|_| cutter.next()).collect();
        (whole, cutter.next())
    };
    let bytes = BatchBounds { bytes_max: Some(10), ..BatchBounds::default() };
    assert_eq!(
        ends(bytes, &[(4, 0.0), (6, 0.0), (1, 0.0), (11, 0.0), (3, 0.0)]),
        (vec![2, 1, 1], 1)
    );
    let cost = BatchBounds { cost_max: Some(2.0), ..BatchBounds::default() };
    let costs = [0.0, 1.5, 0.5, 0.0, 9.0, 0.0, 1.0].map(|cost| (0, cost));
    assert_eq!(ends(cost, &costs), (vec![3, 1, 1], 2));
    let all = BatchBounds { rows_max: Some(3), bytes_max: Some(10), cost_max: Some(2.0) };
    let rows = [(1, 0.0), (1, 0.0), (1, 0.0), (9, 0.0), (2, 0.0), (1, 1.5), (1, 1.0)];
    assert_eq!(ends(all, &rows), (vec![3, 1, 2], 1));
}

/// A queue of `rows` rows of 8 bytes before a consumer of the fastest batches.
fn fastest(rows: usize, pace: Pace) -> Edge<()> {
    let mut edge = Edge::new(Order::Input, Some(BatchShape::Fastest(1)));
    edge.set_pace(pace);
    edge.open_lane(0);
    let bytes = 8 * rows as u64;
    edge.push(0, Morsel { item: (), first_row: 0, rows, bytes, weights: vec![] });
    edge
}

fn end(edge: &mut Edge<()>) -> Vec<usize> {
    edge.end_lane(0);
    edge.complete = true;
    let mut units = Vec::new();
    while edge.has_unit() {
        units.push(edge.take_unit().iter().map(|morsel| morsel.rows).sum());
    }
    units
}

#[test]
fn the_last_rows_are_shared_among_the_workers() {
    let pace = Pace { rows: 1024, bytes_max: u64::MAX, workers: 4, is_idle: false };
    let mut edge = fastest(1000, pace);
    assert!(!edge.has_unit(), "more rows may come");
    assert_eq!(end(&mut edge), [250, 188, 141, 128, 128, 128, 37]);
    let mut edge = fastest(5000, pace);
    assert_eq!(edge.units(), 4);
    let units = end(&mut edge);
    assert_eq!((units[0], units.iter().sum::<usize>()), (1024, 5000));
    assert!(units[1..].iter().all(|&rows| rows < 1024), "{units:?}");
}

#[test]
fn nothing_waits_for_more_rows_while_nothing_runs() {
    let busy = Pace { rows: 1024, bytes_max: u64::MAX, workers: 4, is_idle: false };
    let mut edge = fastest(3, busy);
    assert!(!edge.has_unit());
    edge.set_pace(Pace { is_idle: true, ..busy });
    assert!(edge.has_unit());
    assert_eq!(edge.take_unit()[0].rows, 3);
    assert!(!edge.has_unit());
}

#[test]
fn the_few_rows_of_an_idle_pool_are_shared_before_their_end_is_known() {
    let idle = Pace { rows: 1024, bytes_max: u64::MAX, workers: 4, is_idle: true };
    let mut edge = fastest(600, idle);
    assert_eq!(edge.take_unit()[0].rows, 150);
    edge.set_pace(Pace { is_idle: false, ..idle });
    assert!(!edge.has_unit(), "more rows may come");
    assert_eq!(fastest(1024, idle).take_unit()[0].rows, 1024);
}

#[test]
fn fastest_batches_have_bounded_bytes() {
    let pace = Pace { rows: 1024, bytes_max: 80, workers: 1, is_idle: false };
    assert_eq!(end(&mut fastest(25, pace)), [10, 10, 5]);
    let pace = Pace { bytes_max: 3, ..pace };
    assert_eq!(end(&mut fastest(2, pace)), [1, 1]);
}
