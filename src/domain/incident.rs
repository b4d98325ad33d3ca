//! An incident's life: which state follows which event, and nothing else.
//!
//! The rule that is not obvious: an event that does not fit the state is refused, not ignored. A
//! job that runs twice meets such a refusal, sees that its work is done, and stops.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `INC-7`. Numbers grow; gaps are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(pub i64);

impl fmt::Display for IncidentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "INC-{}", self.0)
    }
}

impl FromStr for IncidentId {
    type Err = String;

    /// Reads `INC-7`, `inc-7` and `7`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let digits = match text.get(..4) {
            Some(prefix) if prefix.eq_ignore_ascii_case("inc-") => &text[4..],
            _ => text,
        };
        match digits.parse() {
            Ok(number) if number > 0 => Ok(Self(number)),
            _ => Err(format!("{text:?} is not an incident: INC-7 is")),
        }
    }
}

impl Serialize for IncidentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IncidentId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Investigating,
    /// A verdict, nothing to approve.
    Reported,
    AwaitingApproval,
    RollingBack,
    /// A test is under way: a share of the traffic goes to the earlier version.
    Trying,
    Verifying,
    Recovered,
    NotRecovered,
    /// The alert resolved or somebody closed it.
    Resolved,
}

impl State {
    pub const ALL: [Self; 9] = [
        Self::Investigating,
        Self::Reported,
        Self::AwaitingApproval,
        Self::RollingBack,
        Self::Trying,
        Self::Verifying,
        Self::Recovered,
        Self::NotRecovered,
        Self::Resolved,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Investigating => "investigating",
            Self::Reported => "reported",
            Self::AwaitingApproval => "awaiting_approval",
            Self::RollingBack => "rolling_back",
            Self::Trying => "trying",
            Self::Verifying => "verifying",
            Self::Recovered => "recovered",
            Self::NotRecovered => "not_recovered",
            Self::Resolved => "resolved",
        }
    }

    /// An open incident takes further alerts of its problem; a closed one never does.
    pub fn is_open(self) -> bool {
        self != Self::Resolved
    }

    /// The state after `event`.
    ///
    /// # Errors
    /// Where the event does not fit: the state stays, and the text says what was refused.
    pub fn after(self, event: Event) -> Result<Self, Misfit> {
        use Event as E;
        let next = match (self, event) {
            (Self::Investigating, E::Concluded { with_plan: true }) => Self::AwaitingApproval,
            (Self::Investigating, E::Concluded { with_plan: false }) => Self::Reported,
            // Its alert resolved meanwhile: the verdict is told all the same, and nothing is asked for any more.
            (Self::Resolved, E::Concluded { with_plan: false }) => Self::Resolved,
            (Self::AwaitingApproval, E::Approved) => Self::RollingBack,
            (Self::AwaitingApproval, E::Rejected | E::Expired) => Self::Reported,
            (Self::RollingBack, E::Applied) => Self::Verifying,
            // Drift or a refusal by AWS: nothing was changed, the verdict still stands.
            (Self::RollingBack, E::NotApplied) => Self::Reported,
            (Self::RollingBack, E::TrialBegun) => Self::Trying,
            // With its result it is investigated anew.
            (Self::Trying, E::TrialOver) => Self::Reported,
            // A rollback that did not help may be taken back, by an approval of its own: it stays a rollback
            // that did not help, whatever becomes of that.
            (Self::NotRecovered, E::Approved) => Self::RollingBack,
            (Self::RollingBack, E::TakenBack) => Self::NotRecovered,
            (Self::NotRecovered, E::Rejected | E::Expired) => Self::NotRecovered,
            (Self::Verifying, E::Recovered) => Self::Recovered,
            (Self::Verifying, E::NotRecovered) => Self::NotRecovered,
            // A change that is under way is never left for a new look: it is finished first.
            (
                Self::Reported | Self::AwaitingApproval | Self::Recovered | Self::NotRecovered,
                E::InvestigatedAgain,
            ) => Self::Investigating,
            (Self::RollingBack | Self::Trying, E::Closed | E::AlertsEnded)
            // Alerts often end before it is known whether the change ended them: that is measured first.
            | (Self::Verifying, E::AlertsEnded)
            | (Self::Resolved, _) => {
                return Err(Misfit { state: self, event });
            }
            (_, E::Closed | E::AlertsEnded) => Self::Resolved,
            _ => return Err(Misfit { state: self, event }),
        };
        Ok(next)
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no state of an incident"))
    }
}

/// What can happen to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    Concluded {
        with_plan: bool,
    },
    Approved,
    Rejected,
    Expired,
    Applied,
    NotApplied,
    /// A share of the traffic goes to the earlier version.
    TrialBegun,
    /// All of it is back, and what was counted is known.
    TrialOver,
    /// A rollback that did not help was taken back, or that was tried and nothing was changed.
    TakenBack,
    Recovered,
    NotRecovered,
    InvestigatedAgain,
    /// The last of its alerts resolved.
    AlertsEnded,
    /// Somebody closed it, nothing new was heard for `close_after`, or it fires again after a recovery.
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} does not fit an incident that is {}", state.as_str())]
pub struct Misfit {
    pub state: State,
    pub event: Event,
}

/// One line of the incident's own history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEvent {
    pub at: Timestamp,
    pub what: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 15] = [
        Event::Concluded { with_plan: true },
        Event::Concluded { with_plan: false },
        Event::Approved,
        Event::Rejected,
        Event::Expired,
        Event::Applied,
        Event::NotApplied,
        Event::TrialBegun,
        Event::TrialOver,
        Event::TakenBack,
        Event::Recovered,
        Event::NotRecovered,
        Event::InvestigatedAgain,
        Event::AlertsEnded,
        Event::Closed,
    ];

    #[test]
    fn the_story_runs_from_alert_to_recovery() {
        let story = [
            Event::Concluded { with_plan: true },
            Event::Approved,
            Event::Applied,
            Event::Recovered,
            Event::Closed,
        ];
        let end = story.into_iter().try_fold(State::Investigating, State::after);
        assert_eq!(end, Ok(State::Resolved));
    }

    #[test]
    fn only_an_approval_leads_to_a_change() {
        for state in State::ALL {
            for event in EVENTS {
                if state.after(event) == Ok(State::RollingBack) {
                    assert_eq!(event, Event::Approved);
                    assert!([State::AwaitingApproval, State::NotRecovered].contains(&state), "{state:?}");
                }
            }
        }
    }

    #[test]
    fn a_change_under_way_cannot_be_closed_over() {
        for state in [State::RollingBack, State::Trying] {
            assert!(state.after(Event::Closed).is_err(), "{state:?}");
            assert!(state.after(Event::AlertsEnded).is_err(), "{state:?}");
            assert!(state.after(Event::InvestigatedAgain).is_err(), "{state:?}");
        }
    }

    #[test]
    fn an_alert_that_resolves_ends_no_measurement_and_a_person_may() {
        assert!(State::Verifying.after(Event::AlertsEnded).is_err());
        assert_eq!(State::Verifying.after(Event::Closed), Ok(State::Resolved));
        assert_eq!(State::Recovered.after(Event::AlertsEnded), Ok(State::Resolved));
    }

    #[test]
    fn nothing_leaves_resolved() {
        for event in EVENTS {
            let stays = event == Event::Concluded { with_plan: false };
            assert_eq!(State::Resolved.after(event).ok(), stays.then_some(State::Resolved), "{event:?}");
        }
    }

    #[test]
    fn an_id_is_read_as_people_write_it() {
        assert_eq!("inc-7".parse(), Ok(IncidentId(7)));
        assert_eq!("INC-12".parse(), Ok(IncidentId(12)));
        for wrong in ["", "INC-", "INC-0", "-3", "INC-x", "ünc-1"] {
            assert!(wrong.parse::<IncidentId>().is_err(), "{wrong}");
        }
    }
}
