//! How likely it is that users were hurt at all.

use super::believed::View;
use super::{ENOUGH_REQUESTS, Symptom};
use crate::analysis::canary::log_bayes_factor;
use crate::analysis::metrics::{Manner, Trouble};
use crate::analysis::ratios::{BY_LINES, FEW, QUIET, SUREST, UNREAD};

impl Symptom {
    /// Probability that users were hurt. `rises`: the service's own series rose anywhere, however faintly.
    pub(super) fn reality(&self, view: &View<'_>, rises: bool) -> f64 {
        let sure = match (&self.primary, &self.faint) {
            (Some(primary), _) => view.sure(primary, true),
            (None, Some(faint)) => view.sure(faint, false),
            (None, None) => 0.0,
        };
        if let Some(primary) = &self.primary {
            let most = if self.has_few_requests() {
                // Lines are no requests: one that failed may write a dozen.
                if self.from_logs { FEW } else { by_count(primary) }
            } else if self.from_logs && rises && self.measured.failing {
                BY_LINES
            } else {
                SUREST
            };
            return sure.min(most);
        }
        if !self.measured.shows(view.alert) && !self.has_few_requests() {
            return UNREAD;
        }
        if self.requests.is_none_or(|requests| requests < ENOUGH_REQUESTS) {
            return FEW;
        }
        // What no count shows, and what the counts leave open: half of the alerts that show nothing clear are taken for
        // something before the counts are looked at.
        let open = 0.5 * self.unmoved;
        1.0 - (1.0 - QUIET) * (1.0 - sure.max(open / (1.0 + open)))
    }
}

/// What a few requests say: whether so many of so few fail by chance is told by their counts, before and since. Each period
/// that had requests could have been the first, of each of a service's series, and the likeliest of them was chosen.
fn by_count(primary: &Trouble) -> f64 {
    /// Series of a service as they are usually read.
    const SERIES: f64 = 12.0;
    // What is believed for another witness's sake is not told by its counts: without that witness it would be open.
    if primary.manner != Manner::Failing || !primary.matters() {
        return FEW;
    }
    let (before, since) = primary.counts();
    let beginnings = primary.requests.iter().filter(|all| **all > 0.0).count().max(1) as f64;
    let nats = log_bayes_factor(since.0, since.1, before.0, before.1) - (SERIES * beginnings).ln();
    let odds = FEW / (1.0 - FEW) * libm::exp(nats.max(0.0));
    (odds / (1.0 + odds)).min(SUREST)
}
