//! Time cut into equal periods, so that series, log lines and changes meet on one axis.

use jiff::Timestamp;

/// Equal periods of `step` seconds from `start` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Epoch seconds, a multiple of `step`.
    pub start: i64,
    /// Seconds, at least 1.
    pub step: i64,
    pub len: usize,
}

impl Grid {
    /// The grid of `step` seconds that covers `from` to `to`, both included.
    pub fn covering(from: i64, to: i64, step: i64) -> Self {
        let step = step.max(1);
        let start = from.div_euclid(step) * step;
        let len = usize::try_from((to - start).div_euclid(step) + 1).unwrap_or(0);
        Self { start, step, len }
    }

    pub fn index(&self, at: Timestamp) -> Option<usize> {
        self.index_of_second(at.as_second())
    }

    pub fn index_of_second(&self, second: i64) -> Option<usize> {
        usize::try_from((second - self.start).div_euclid(self.step)).ok().filter(|index| *index < self.len)
    }

    /// Epoch seconds at which a period begins.
    pub fn second(&self, index: usize) -> i64 {
        self.start + self.step * i64::try_from(index).unwrap_or(0)
    }

    pub fn at(&self, index: usize) -> Timestamp {
        Timestamp::from_second(self.second(index)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// How many periods `minutes` are, at least one.
    pub fn periods(&self, minutes: i64) -> usize {
        usize::try_from((minutes * 60).div_euclid(self.step)).unwrap_or(1).max(1)
    }
}

/// Minutes from `from` to `to`, negative where `to` is earlier.
pub fn minutes_between(from: Timestamp, to: Timestamp) -> f64 {
    (to.as_millisecond() - from.as_millisecond()) as f64 / 60_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_period_that_began_last() {
        let grid = Grid::covering(65, 200, 60);
        assert_eq!((grid.start, grid.len), (60, 3));
        assert_eq!(grid.index_of_second(119), Some(0));
        assert_eq!(grid.index_of_second(120), Some(1));
        assert_eq!(grid.index_of_second(59), None);
        assert_eq!(grid.index_of_second(240), None);
        assert_eq!(grid.second(1), 120);
    }
}
