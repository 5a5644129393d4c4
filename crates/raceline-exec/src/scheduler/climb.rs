//! How many rows a batch should have, found by trying.
//!
//! A size is tried for a few batches. Its cost is what a row takes in the quickest quarter of them:
//! what disturbs a batch makes it slower. From the best size so far, twice as many rows are tried,
//! then half, for as long as that pays. Then the size is settled, and a neighbour is tried now and
//! then, less and less often. Twice as many rows must be clearly cheaper, and half as many hardly
//! dearer, so noise does not move a size to and fro, and of sizes that cost the same the smaller
//! one is taken.

use std::time::Duration;

/// What a larger batch must cost at most, for a row, in parts of what the present one does.
const LARGER_COST_MAX: f64 = 0.93;
/// The same of a smaller one.
const SMALLER_COST_MAX: f64 = 1.02;
/// Smaller batches than take so long are not tried: what the engine spends on each would count.
const BATCH_TIME_MIN: Duration = Duration::from_millis(1);
/// A size is tried for at least so many batches, ...
const SAMPLES_MIN: usize = 5;
/// ... until they took so long together, ...
const SAMPLES_TIME: Duration = Duration::from_millis(60);
/// ... or there were so many.
const SAMPLES_MAX: usize = 32;
/// Batches between the first settlement and the next trial; then twice as many each time.
const REST_MIN: u32 = 64;
/// Most batches between two trials.
const REST_MAX: u32 = 4096;

/// Where a trial goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Way {
    fn back(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// The search for the best number of rows. Its decisions follow from what it is told alone.
#[derive(Debug)]
pub(crate) struct Climb {
    /// The best number so far.
    home: usize,
    home_cost: f64,
    /// Most rows, as their bytes allow.
    rows_max: usize,
    /// What is measured: home, or a neighbour of it.
    trial: Option<Way>,
    /// Seconds for a row, of each batch of the size that is measured.
    samples: Vec<f64>,
    samples_time: Duration,
    /// Ways that were tried from home without gain.
    refused: Vec<Way>,
    /// Batches to come before the next trial.
    rest: u32,
    rest_next: u32,
    way_next: Way,
}

impl Climb {
    /// A search that begins with batches of `rows` rows.
    pub(crate) fn new(rows: usize) -> Self {
        Self {
            home: rows.max(1),
            home_cost: f64::INFINITY,
            rows_max: usize::MAX,
            trial: None,
            samples: Vec::new(),
            samples_time: Duration::ZERO,
            refused: Vec::new(),
            rest: 0,
            rest_next: REST_MIN,
            way_next: Way::Up,
        }
    }

    /// Rows of the next batch.
    pub(crate) fn rows(&self) -> usize {
        self.trial.and_then(|way| self.neighbour(way)).unwrap_or(self.home)
    }

    /// The best number of rows so far.
    pub(crate) fn best(&self) -> usize {
        self.home
    }

    /// Whether it rests, having tried both neighbours of the best size.
    #[cfg(test)]
    pub(crate) fn is_settled(&self) -> bool {
        self.rest > 0
    }

    /// No more rows than `rows_max` from now on.
    pub(crate) fn limit(&mut self, rows_max: usize) {
        self.rows_max = rows_max.max(1);
        if self.rows() > self.rows_max {
            self.trial = None;
            self.home = self.home.min(self.rows_max);
            self.refused.clear();
            (self.rest, self.rest_next) = (0, REST_MIN);
            self.forget_samples();
        }
    }

    /// A batch of `rows` rows took `time`.
    pub(crate) fn measured(&mut self, rows: usize, time: Duration) {
        if rows != self.rows() {
            return; // of a size before, or what was left at the end
        }
        #[expect(clippy::cast_precision_loss, reason = "no batch has so many rows")]
        self.samples.push(time.as_secs_f64() / rows as f64);
        self.samples_time += time;
        if self.rest > 0 {
            self.rest -= 1;
            if self.samples.len() > SAMPLES_MAX {
                self.samples.remove(0);
            }
            if self.rest == 0 {
                self.home_cost = self.take_cost();
                self.try_next(&[self.way_next]);
            }
            return;
        }
        let many = self.samples.len() >= SAMPLES_MAX;
        let long = self.samples.len() >= SAMPLES_MIN && self.samples_time >= SAMPLES_TIME;
        if many || long {
            let cost = self.take_cost();
            self.conclude(cost);
        }
    }

    /// The size that was measured costs `cost`.
    fn conclude(&mut self, cost: f64) {
        let Some(way) = self.trial.take() else {
            self.home_cost = cost;
            return self.try_next(&[Way::Up, Way::Down]);
        };
        let most = match way {
            Way::Up => LARGER_COST_MAX,
            Way::Down => SMALLER_COST_MAX,
        };
        if cost <= self.home_cost * most {
            self.home = self.neighbour(way).unwrap_or(self.home);
            self.home_cost = cost;
            self.refused = vec![way.back()];
            self.rest_next = REST_MIN;
            self.try_next(&[way]);
        } else {
            self.refused.push(way);
            // After a rest one neighbour is tried, on the way to a settled size both are.
            let others: &[Way] = if self.rest_next > REST_MIN { &[] } else { &[way.back()] };
            self.try_next(others);
        }
    }

    /// Tries the first of `ways` that there is and that was not refused; else rests.
    fn try_next(&mut self, ways: &[Way]) {
        let is_open = |way: &&Way| !self.refused.contains(way) && self.is_worth(**way);
        self.trial = ways.iter().find(is_open).copied();
        if self.trial.is_none() {
            self.refused.clear();
            self.rest = self.rest_next;
            self.rest_next = (self.rest_next * 2).min(REST_MAX);
            self.way_next = self.way_next.back();
        }
    }

    fn is_worth(&self, way: Way) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "no batch has so many rows")]
        let takes = |rows: usize| self.home_cost * rows as f64;
        let is_long = |rows| way == Way::Up || takes(rows) >= BATCH_TIME_MIN.as_secs_f64();
        self.neighbour(way).is_some_and(is_long)
    }

    fn neighbour(&self, way: Way) -> Option<usize> {
        match way {
            Way::Up => self.home.checked_mul(2).filter(|&rows| rows <= self.rows_max),
            Way::Down => Some(self.home / 2).filter(|&rows| rows >= 1),
        }
    }

    /// The lower quartile of the samples, which are used up.
    fn take_cost(&mut self) -> f64 {
        self.samples.sort_unstable_by(f64::total_cmp);
        let quartile = self.samples.get(self.samples.len() / 4).copied();
        self.forget_samples();
        quartile.unwrap_or(f64::INFINITY)
    }

    fn forget_samples(&mut self) {
        self.samples.clear();
        self.samples_time = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::super::simulation::world::Rng;
    use super::*;

    /// What a batch takes, in microseconds, by its rows.
    type Model = fn(f64) -> f64;

    const OVERHEAD: Model = |rows| 2_000.0 + 10.0 * rows;
    const CLIFF: Model = |rows| 500.0 + rows * if rows > 3_000.0 { 40.0 } else { 2.0 };
    const FLAT: Model = |rows| 20.0 * rows;
    const SLOW: Model = |rows| 30_000.0 + 8.0 * rows;

    /// Runs `batches` batches of a function with up to `noise_percent` more than the model, and
    /// a batch in 20 that takes ten times as long. Returns the rows of each.
    fn run(climb: &mut Climb, model: Model, batches: usize, noise: (u64, u64)) -> Vec<usize> {
        let (seed, noise_percent) = noise;
        let mut rng = Rng(seed);
        let one = |_| {
            let rows = climb.rows();
            #[expect(clippy::cast_precision_loss, reason = "they are small")]
            let (size, extra) = (rows as f64, rng.below(1000) as f64 / 1000.0);
            #[expect(clippy::cast_precision_loss, reason = "they are small")]
            let mut micros = model(size) * (1.0 + extra * noise_percent as f64 / 100.0);
            if noise_percent > 0 && rng.chance(5) {
                micros *= 10.0;
            }
            climb.measured(rows, Duration::from_secs_f64(micros / 1e6));
            rows
        };
        (0..batches).map(one).collect()
    }

    /// What a row costs at the best size, in parts of the cheapest size there is.
    fn regret(climb: &Climb, model: Model) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "they are small")]
        let cost = |rows: usize| model(rows as f64) / rows as f64;
        let least = (0..16).map(|power| cost(1 << power)).fold(f64::INFINITY, f64::min);
        cost(climb.best()) / least
    }

    #[test]
    fn sizes_grow_as_long_as_that_pays_and_shrink_where_it_is_free() {
        let settled = |model, start| {
            let mut climb = Climb::new(start);
            run(&mut climb, model, 600, (1, 0));
            assert!(climb.is_settled());
            climb.best()
        };
        assert_eq!(settled(OVERHEAD, 1), 2048);
        assert_eq!(settled(OVERHEAD, 64), 2048);
        assert_eq!(settled(OVERHEAD, 1 << 14), 1 << 13);
        assert_eq!(settled(CLIFF, 1), 2048);
        assert_eq!(settled(CLIFF, 1 << 14), 2048);
        assert_eq!(settled(FLAT, 256), 64);
        assert_eq!(settled(SLOW, 256), 1 << 15);
    }

    #[test]
    fn noise_does_not_lead_far_from_the_best() {
        for seed in 0..200 {
            for (model, start) in [(OVERHEAD, 64), (CLIFF, 64), (SLOW, 256), (FLAT, 256)] {
                let mut climb = Climb::new(start);
                run(&mut climb, model, 3_000, (seed, 20));
                let regret = regret(&climb, model);
                assert!(regret < 1.35, "seed {seed}: {} rows cost {regret}", climb.best());
            }
        }
    }

    #[test]
    fn a_settled_size_is_left_rarely() {
        let mut climb = Climb::new(64);
        run(&mut climb, OVERHEAD, 1_000, (5, 0));
        let home = climb.best();
        let sizes = run(&mut climb, OVERHEAD, 10_000, (5, 0));
        let trials = sizes.iter().filter(|&&rows| rows != home).count();
        assert!((1..300).contains(&trials), "{trials}");
        assert_eq!(climb.best(), home);
    }

    #[test]
    fn a_function_that_changes_is_followed() {
        let mut climb = Climb::new(64);
        run(&mut climb, CLIFF, 1_000, (6, 5));
        run(&mut climb, OVERHEAD, 30_000, (7, 5));
        assert!(regret(&climb, OVERHEAD) < 1.2, "{}", climb.best());
    }

    #[test]
    fn a_limit_holds_at_once_and_for_ever() {
        let mut climb = Climb::new(256);
        climb.limit(100);
        assert_eq!(climb.rows(), 100);
        assert!(run(&mut climb, SLOW, 500, (1, 0)).iter().all(|&rows| rows <= 100));
        climb.limit(1000);
        run(&mut climb, SLOW, 5_000, (1, 0));
        assert_eq!(climb.best(), 800);
        climb.limit(0);
        assert_eq!(climb.rows(), 1);
    }

    #[test]
    fn batches_of_other_sizes_tell_nothing() {
        let mut climb = Climb::new(64);
        for _ in 0..1000 {
            climb.measured(63, Duration::from_secs(1));
        }
        assert_eq!(climb.rows(), 64);
    }
}
