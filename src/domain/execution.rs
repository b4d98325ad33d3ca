//! Carrying an approved change out, as decisions: look, send or read back, and what that comes to.
//!
//! The rule that is not obvious: whether the call may leave hangs on one thing only, the mark that is on disk
//! before it leaves. Whoever finds the mark reads back, however often the process died in between.

use jiff::{SignedDuration, Timestamp};

/// A request that left and was not answered has reached AWS within this time, or never will.
const IN_TRANSIT: SignedDuration = SignedDuration::from_secs(10);
/// How often what may still be on its way is looked for.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(2);
/// How often AWS is asked again where it cannot be read.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(5);
/// Beyond this a person has to look at what became of a call that left.
const UNKNOWN_FOR: SignedDuration = SignedDuration::from_mins(30);

/// What is to be done now for an approved change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Look whether the plan still holds, mark it as sent, and send it.
    Send,
    /// It was marked: read back what AWS holds, and never send again.
    ReadBack,
    /// The approval lies too far back; nothing left.
    TooLate,
}

pub fn next(sent_at: Option<Timestamp>, expires_at: Timestamp, now: Timestamp) -> Next {
    match sent_at {
        Some(_) => Next::ReadBack,
        None if now >= expires_at => Next::TooLate,
        None => Next::Send,
    }
}

/// What reading back showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Restored,
    Unchanged,
    Other,
    Unreadable,
}

/// What that comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    Applied,
    /// Nothing was changed by it.
    NotApplied,
    /// Something else was changed.
    Moved,
    /// Nobody can tell any more: a person has to look.
    Unknown,
    /// To be read back again after this time.
    Open(SignedDuration),
}

/// Reads what was seen `now` of a call that left at `sent_at`.
pub fn find(seen: Seen, sent_at: Timestamp, now: Timestamp) -> Finding {
    let since = now.duration_since(sent_at);
    match seen {
        Seen::Restored => Finding::Applied,
        Seen::Other => Finding::Moved,
        // It may still be on its way.
        Seen::Unchanged if since < IN_TRANSIT => Finding::Open(LOOK_AGAIN),
        Seen::Unchanged => Finding::NotApplied,
        Seen::Unreadable if since < UNKNOWN_FOR => Finding::Open(ASK_AGAIN),
        Seen::Unreadable => Finding::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::approval::{
        Authorship, Click, Decision, Refusal, Request, Rules, may_approve, may_break_glass, may_decide,
    };
    use crate::domain::incident::{Event, State};

    /// Something that happens to one approval.
    #[derive(Debug, Clone, Copy)]
    enum Happening {
        /// Somebody presses a button: who (0 is an approver, 1 another one, 2 asked for it, 3 a stranger, 4 may
        /// break the glass) and what (0 approve, 1 reject, 2 alone).
        Press(u8, u8),
        /// Slack sends an earlier press again.
        Retry(usize),
        /// The worker does its next step; it dies after so many of the step's own actions.
        Work(u8, Aws),
        /// Somebody else changes the resource.
        Drift,
        Pass(u16),
    }

    /// What AWS does with a call, where one is made.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Aws {
        Answers,
        /// Carries it out, and the answer is lost.
        AnswerLost,
        /// It never arrives, and nobody says so.
        Lost,
        Refuses,
        CannotBeRead,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Value {
        Bad,
        Good,
        Else,
    }

    struct World {
        now: Timestamp,
        expires_at: Timestamp,
        state: State,
        decided: Option<(Decision, &'static str)>,
        /// Who was told that their press counted.
        won: Vec<&'static str>,
        sent_at: Option<Timestamp>,
        outcome: Option<Finding>,
        value: Value,
        /// How often the bot's call changed something.
        effects: u32,
        calls: u32,
        pressed: Vec<(u8, u8)>,
    }

    const USERS: [&str; 5] = ["U-one", "U-two", "U-asked", "U-stranger", "U-alone"];

    impl World {
        fn new() -> Self {
            let now: Timestamp = "2026-02-06T12:20:00Z".parse().unwrap();
            Self {
                now,
                expires_at: now + SignedDuration::from_mins(30),
                state: State::AwaitingApproval,
                decided: None,
                won: Vec::new(),
                sent_at: None,
                outcome: None,
                value: Value::Bad,
                effects: 0,
                calls: 0,
                pressed: Vec::new(),
            }
        }

        fn press(&mut self, who: u8, what: u8) {
            let user = USERS[usize::from(who) % USERS.len()];
            let click = Click { user, channel: "C1", message_ts: "1.2", at: self.now };
            let request = Request {
                decided: self.decided.map(|(decision, by)| (decision, Some(by))),
                expires_at: self.expires_at,
                channel: Some("C1"),
                message_ts: Some("1.2"),
                requested_by: Some("U-asked"),
                author: Authorship::Somebody,
            };
            let approvers: BTreeSet<String> = ["U-one", "U-two", "U-asked"].map(str::to_owned).into();
            let rules = Rules {
                approvers: Ok(approvers),
                two_person: true,
                break_glass: Ok(["U-alone".to_owned()].into()),
            };
            let (decision, allowed): (_, Result<(), Refusal>) = match what % 3 {
                0 => (Decision::Approved, may_approve(&click, &request, &rules)),
                1 => (Decision::Rejected, may_decide(&click, &request, &rules)),
                _ => (Decision::Approved, may_break_glass(&click, &request, &rules, Some("alone"))),
            };
            if allowed.is_err() {
                return;
            }
            let event = if decision == Decision::Approved { Event::Approved } else { Event::Rejected };
            self.state = self.state.after(event).unwrap();
            self.decided = Some((decision, user));
            self.won.push(user);
        }

        fn see(&self, aws: Aws) -> Seen {
            match (aws, self.value) {
                (Aws::CannotBeRead, _) => Seen::Unreadable,
                (_, Value::Good) => Seen::Restored,
                (_, Value::Bad) => Seen::Unchanged,
                (_, Value::Else) => Seen::Other,
            }
        }

        /// One run of the step, which dies after `budget` of its own actions.
        fn work(&mut self, budget: u8, aws: Aws) {
            let approved = self.decided.is_some_and(|(decision, _)| decision == Decision::Approved);
            if !approved || self.outcome.is_some() {
                return;
            }
            let mut left = budget;
            let mut dies = || {
                let dead = left == 0;
                left = left.saturating_sub(1);
                dead
            };
            let finding = match next(self.sent_at, self.expires_at, self.now) {
                Next::TooLate => Finding::NotApplied,
                Next::ReadBack => find(self.see(aws), self.sent_at.unwrap(), self.now),
                Next::Send => {
                    match self.see(aws) {
                        Seen::Unchanged => {}
                        Seen::Unreadable => return,
                        Seen::Restored | Seen::Other => return self.end(Finding::Moved),
                    }
                    if dies() {
                        return;
                    }
                    self.sent_at = Some(self.now);
                    if dies() {
                        return;
                    }
                    self.calls += 1;
                    if matches!(aws, Aws::Answers | Aws::AnswerLost) && self.value == Value::Bad {
                        self.value = Value::Good;
                        self.effects += 1;
                    }
                    if dies() {
                        return;
                    }
                    match aws {
                        Aws::Answers => Finding::Applied,
                        Aws::Refuses => Finding::NotApplied,
                        _ => find(self.see(aws), self.now, self.now),
                    }
                }
            };
            if !dies() {
                self.end(finding);
            }
        }

        fn end(&mut self, finding: Finding) {
            if matches!(finding, Finding::Open(_)) {
                return;
            }
            let event = if finding == Finding::Applied { Event::Applied } else { Event::NotApplied };
            self.state = self.state.after(event).unwrap();
            self.outcome = Some(finding);
        }

        fn happen(&mut self, happening: Happening) {
            match happening {
                Happening::Press(who, what) => {
                    self.pressed.push((who, what));
                    self.press(who, what);
                }
                Happening::Retry(which) => {
                    if let Some((who, what)) = self.pressed.get(which % self.pressed.len().max(1)).copied() {
                        self.press(who, what);
                    }
                }
                Happening::Work(budget, aws) => self.work(budget, aws),
                Happening::Drift => self.value = Value::Else,
                Happening::Pass(seconds) => self.now += SignedDuration::from_secs(seconds.into()),
            }
        }
    }

    fn aws() -> impl Strategy<Value = Aws> {
        prop_oneof![
            Just(Aws::Answers),
            Just(Aws::AnswerLost),
            Just(Aws::Lost),
            Just(Aws::Refuses),
            Just(Aws::CannotBeRead)
        ]
    }

    fn happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            3 => (0u8..5, 0u8..3).prop_map(|(who, what)| Happening::Press(who, what)),
            2 => (0usize..8).prop_map(Happening::Retry),
            5 => (0u8..6, aws()).prop_map(|(budget, aws)| Happening::Work(budget, aws)),
            1 => Just(Happening::Drift),
            2 => prop_oneof![0u16..12, 0u16..2_000].prop_map(Happening::Pass),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn no_order_of_things_makes_two_effects_or_loses_a_decision(
            happenings in prop::collection::vec(happening(), 0..40)
        ) {
            let mut world = World::new();
            for happening in happenings {
                let before = world.decided;
                world.happen(happening);
                prop_assert!(world.calls <= 1, "the call left {} times", world.calls);
                prop_assert!(world.effects <= 1);
                prop_assert!(world.won.len() <= 1, "two people were told that they decided: {:?}", world.won);
                prop_assert!(before.is_none() || world.decided == before, "a decision was replaced");
                let approved = world.decided.is_some_and(|(decision, _)| decision == Decision::Approved);
                prop_assert!(world.calls == 0 || approved, "a call without an approval");
                if world.outcome == Some(Finding::Applied) {
                    prop_assert_eq!(world.effects, 1, "it says applied, and nothing was changed by it");
                }
            }
            // The process lives on and AWS answers: every decision comes to its end, and the end is true.
            for _ in 0..6 {
                world.work(u8::MAX, Aws::Answers);
                world.now += SignedDuration::from_secs(11);
            }
            if let Some((Decision::Approved, _)) = world.decided {
                prop_assert!(world.outcome.is_some(), "an approval without an end");
                prop_assert_ne!(world.state, State::RollingBack);
            }
        }
    }

    #[test]
    fn what_was_marked_is_never_sent_again() {
        let now: Timestamp = "2026-02-06T12:20:00Z".parse().unwrap();
        let later = now + SignedDuration::from_hours(5);
        assert_eq!(next(Some(now), later, now), Next::ReadBack);
        assert_eq!(next(Some(now), now, later), Next::ReadBack, "also long after the approval expired");
        assert_eq!(next(None, now, later), Next::TooLate);
    }

    #[test]
    fn nothing_happened_is_believed_only_after_a_while() {
        let sent: Timestamp = "2026-02-06T12:20:00Z".parse().unwrap();
        let after = |seconds: i64| sent + SignedDuration::from_secs(seconds);
        assert!(matches!(find(Seen::Unchanged, sent, after(9)), Finding::Open(_)));
        assert_eq!(find(Seen::Unchanged, sent, after(10)), Finding::NotApplied);
        assert!(matches!(find(Seen::Unreadable, sent, after(60)), Finding::Open(_)));
        assert_eq!(find(Seen::Unreadable, sent, after(1_800)), Finding::Unknown);
    }
}
