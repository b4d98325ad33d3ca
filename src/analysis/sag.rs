//! Too little of something that the service counts of its own work: bookings of as many visitors.
//!
//! The rule that is not obvious: it is looked for only where nothing fails and nothing is slow, for whatever keeps
//! customers from an end shows nowhere else, and each count is one more that may fall by chance.

use crate::analysis::grid::Grid;
use crate::analysis::metrics::entities::mean;
use crate::analysis::metrics::trouble::SIGNIFICANT;
use crate::analysis::metrics::{Entity, Measure, Track};
use crate::analysis::steps::{self, Rise};
use crate::domain::alert::Alert;

/// A count for each request, before and since.
#[derive(Debug, Clone, PartialEq)]
pub struct Sag {
    pub query: String,
    pub metric: String,
    /// Per period.
    pub before: f64,
    pub during: f64,
    pub begin: usize,
}

/// A count of successes, or of something unknown, that fell against the requests and stays down. Whatever did that, no
/// failure shows it.
pub fn find(alert: &Alert, own: &Entity, grid: Grid) -> Option<Sag> {
    /// It has to lose a part that nobody calls noise.
    const PART: f64 = 0.8;
    // Nats for choosing among some twenty counts. An alert that something is too little has chosen: that something fell,
    // which way, and since when about.
    const CHOICE: f64 = 3.0;
    let enough = if alert.is_about_too_little() { SIGNIFICANT - CHOICE } else { SIGNIFICANT + CHOICE };
    let offered = own.offered()?;
    own.tracks
        .iter()
        .filter(|track| track.stat == "Sum" && matches!(track.measure, Measure::Successes | Measure::Other))
        .filter_map(|track| {
            let fall = fall(track, &offered)?;
            let lasting = fall.end.is_none_or(|end| end + 2 >= grid.len);
            let known = track.values[..fall.begin].iter().flatten().count();
            let (before, during) = (mean(&track.values[..fall.begin])?, mean(&track.values[fall.begin..])?);
            let clear = fall.strength >= enough && during <= PART * before;
            (lasting && known >= 30 && clear).then(|| {
                let (query, metric) = (track.query(), track.metric.clone());
                (fall.strength, Sag { query, metric, before, during, begin: fall.begin })
            })
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, sag)| sag)
}

/// The fall of a count for each request. Where it counts some of the requests, it is the share of those that are missing
/// in it that rises, and so many of so many tell how sure that is; else it is a level like others.
fn fall(track: &Track, offered: &[Option<f64>]) -> Option<Rise> {
    /// Periods from which a level is told.
    const LEVEL: usize = 8;
    let pairs: Vec<(f64, f64)> = track
        .values
        .iter()
        .zip(offered)
        .map(|(count, all)| count.zip(*all).filter(|(_, all)| *all > 0.0).unwrap_or((0.0, 0.0)))
        .collect();
    let asked = pairs.iter().filter(|(_, all)| *all > 0.0).count();
    let parts = pairs.iter().filter(|(count, all)| *all > 0.0 && (0.0..=*all).contains(count)).count();
    if parts * 20 >= asked * 19 {
        let missing: Vec<f64> = pairs.iter().map(|(count, all)| (all - count).max(0.0)).collect();
        let all: Vec<f64> = pairs.iter().map(|(_, all)| *all).collect();
        return steps::rise_in_share(&missing, &all);
    }
    let share: Vec<Option<f64>> =
        pairs.iter().map(|(count, all)| (*all > 0.0).then(|| count / all)).collect();
    steps::fall_in_level(&share).filter(|fall| share[fall.begin..].iter().flatten().count() >= LEVEL)
}
