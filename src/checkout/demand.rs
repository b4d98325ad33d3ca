//! When orders come: in groups, as the shop's waiting room lets shoppers in.
//!
//! The busier the day, the larger the group. That is what makes a pool that is too small fail only
//! once the load has grown: small groups never have enough orders in progress to hold every
//! connection.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use super::time::later;

/// A group is let in so often.
pub const GROUP_INTERVAL: Duration = Duration::from_secs(3);
/// The orders of one group arrive within this time.
const GROUP_SPREAD: Duration = Duration::from_millis(150);

/// How many orders a group has, by the time of day.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// Minutes after midnight UTC and the mean size of a group then, in order of time. Between two
    /// points the size follows the line between them; before the first and after the last it stays.
    pub points: Vec<(f64, f64)>,
    pub interval: Duration,
}

/// Orders of one group: when each of them arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub arrivals: Vec<Timestamp>,
}

impl Demand {
    pub fn steady(size: f64) -> Self {
        Self { points: vec![(0.0, size)], interval: GROUP_INTERVAL }
    }

    /// A working day's shape: quiet at night, a slope over the morning, and a lunch break that
    /// begins at a quarter past twelve. Until then no group has more than four orders, which five
    /// connections always hold.
    pub fn working_day() -> Self {
        Self {
            points: vec![
                (0.0, 1.5),
                (360.0, 1.5),
                (540.0, 2.5),
                (660.0, 3.3),
                (734.5, 3.5),
                (736.0, 10.3),
                (810.0, 10.3),
                (870.0, 4.5),
                (1080.0, 5.0),
                (1320.0, 2.0),
            ],
            interval: GROUP_INTERVAL,
        }
    }

    /// The mean size of a group at `at`.
    pub fn size(&self, at: Timestamp) -> f64 {
        let civil = at.to_zoned(TimeZone::UTC).datetime();
        let minute =
            f64::from(civil.hour()) * 60.0 + f64::from(civil.minute()) + f64::from(civil.second()) / 60.0;
        let after = self.points.partition_point(|&(point, _)| point <= minute);
        match (after.checked_sub(1).and_then(|before| self.points.get(before)), self.points.get(after)) {
            (Some(&(start, from)), Some(&(end, to))) => from + (to - from) * (minute - start) / (end - start),
            (Some(&(_, size)), None) | (None, Some(&(_, size))) => size,
            (None, None) => 0.0,
        }
    }

    /// The group that is let in at `at`: its size is the mean, one more or less by lot.
    pub fn group(&self, at: Timestamp, random: &mut fastrand::Rng) -> Group {
        let size = (self.size(at) + random.f64() * 2.0 - 1.0 + 0.5).floor().max(0.0) as usize;
        let mut arrivals: Vec<_> = (0..size)
            .map(|_| later(at, Duration::from_micros(random.u64(..GROUP_SPREAD.as_micros() as u64))))
            .collect();
        arrivals.sort_unstable();
        Group { arrivals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lunch_break_brings_groups_that_are_larger_than_the_pool() {
        let demand = Demand::working_day();
        let size = |text: &str| demand.size(text.parse().unwrap());
        assert!(size("2026-02-06T09:00:00Z") < 3.0);
        assert!(size("2026-02-06T12:14:00Z") <= 3.5);
        assert!(size("2026-02-06T12:16:00Z") > 10.0);
        assert!(size("2026-02-06T23:59:59Z") < 3.0);
    }

    #[test]
    fn a_group_keeps_its_mean_and_its_order() {
        let demand = Demand::steady(5.0);
        let mut random = fastrand::Rng::with_seed(1);
        let at = "2026-02-06T12:00:00Z".parse().unwrap();
        let groups: Vec<_> = (0..2000).map(|_| demand.group(at, &mut random)).collect();
        let mean = groups.iter().map(|group| group.arrivals.len()).sum::<usize>() as f64 / 2000.0;
        assert!((mean - 5.0).abs() < 0.1, "{mean}");
        assert!(
            groups.iter().all(|group| group.arrivals.is_sorted() && group.arrivals.len().abs_diff(5) <= 1)
        );
    }
}
