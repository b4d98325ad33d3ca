//! What must hold in whatever order things happen: one effect, one decision, and nothing said that is not so.
//!
//! The rule that is not obvious: the world here is a model of AWS; `tests/it/crashes.rs` plays fewer stories against
//! the real worker, database and wire.

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
    /// A call that was given up arrives after all.
    Arrive,
    /// Somebody else changes the resource.
    Drift(Value),
    /// CloudTrail delivers what it has.
    Deliver,
    Pass(u16),
}

/// What AWS does with a call, where one is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aws {
    Answers,
    /// Carries it out, and the answer is lost.
    AnswerLost,
    /// It does not arrive in time, and nobody says so.
    Late,
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
    guard: Guard,
    now: Timestamp,
    expires_at: Timestamp,
    state: State,
    decided: Option<(Decision, &'static str)>,
    /// Who was told that their press counted.
    won: Vec<&'static str>,
    sent_at: Option<Timestamp>,
    answer: Option<Answer>,
    outcome: Option<Effect>,
    value: Value,
    /// AWS's mark: counts the changes.
    revision: u32,
    /// When calls left that have not arrived, and the mark that they name.
    late: Vec<(Timestamp, u32)>,
    /// How often the bot's call changed something, and how often CloudTrail has told so.
    effects: u32,
    delivered: u32,
    calls: u32,
    pressed: Vec<(u8, u8)>,
}

const USERS: [&str; 5] = ["U-one", "U-two", "U-asked", "U-stranger", "U-alone"];

impl World {
    fn new(guard: Guard) -> Self {
        let now: Timestamp = "2026-02-06T12:20:00Z".parse().unwrap();
        Self {
            guard,
            now,
            expires_at: now + SignedDuration::from_mins(30),
            state: State::AwaitingApproval,
            decided: None,
            won: Vec::new(),
            sent_at: None,
            answer: None,
            outcome: None,
            value: Value::Bad,
            revision: 0,
            late: Vec::new(),
            effects: 0,
            delivered: 0,
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
            requested_by: &["U-asked".to_owned()].into(),
            approved_by: None,
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
            (_, Value::Bad) if self.revision == 0 => Seen::Untouched,
            (_, Value::Bad | Value::Else) => Seen::Changed,
        }
    }

    /// Silence is not believed here: CloudTrail promises no time.
    fn hand(&self) -> Hand {
        if self.delivered > 0 { Hand::Ours } else { Hand::Unknown }
    }

    fn sent(&self) -> Option<Sent> {
        Some(Sent { at: self.sent_at?, unanswered: self.answer.is_some(), guard: self.guard })
    }

    fn arrive(&mut self, mark: u32) {
        if self.guard == Guard::Aws && mark != self.revision {
            return;
        }
        self.value = Value::Good;
        self.revision += 1;
        self.effects += 1;
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
        let effect = match self.answer.clone() {
            Some(Answer::Made) => match self.see(aws) {
                Seen::Changed => Effect::Overtaken,
                _ => Effect::Made,
            },
            Some(Answer::Moved { .. } | Answer::Refused { .. }) => Effect::NotMade,
            None | Some(Answer::None { .. }) => {
                let seen = self.see(aws);
                let second = self.sent_at.is_some();
                match next(self.sent(), self.expires_at, self.now) {
                    Next::TooLate => return self.end(Effect::NotMade),
                    Next::Send => {}
                    Next::ReadBack(sent) => match find(seen, self.hand(), sent, self.expires_at, self.now) {
                        Finding::Ended(effect) => return self.end(effect),
                        Finding::Open(_) => return,
                        Finding::SendAgain => {}
                    },
                }
                match seen {
                    Seen::Untouched => {}
                    Seen::Unreadable => return,
                    Seen::Restored | Seen::Changed => return self.end(Effect::NotMade),
                }
                if dies() {
                    return;
                }
                self.sent_at = Some(self.now);
                if dies() {
                    return;
                }
                self.calls += 1;
                let moved = self.guard == Guard::Aws && self.revision != 0;
                match aws {
                    Aws::Answers | Aws::AnswerLost => self.arrive(0),
                    Aws::Late => self.late.push((self.now, 0)),
                    Aws::Refuses | Aws::CannotBeRead => {}
                }
                if dies() {
                    return;
                }
                let answer = match aws {
                    Aws::Answers if moved => Answer::Moved { what: String::new() },
                    Aws::Answers => Answer::Made,
                    Aws::Refuses => Answer::Refused { why: String::new() },
                    _ => Answer::None { why: String::new() },
                };
                self.answer = Some(if second { answer.of_second() } else { answer });
                if dies() {
                    return;
                }
                match &self.answer {
                    Some(Answer::Made) => Effect::Made,
                    Some(Answer::None { .. }) | None => return,
                    Some(_) => Effect::NotMade,
                }
            }
        };
        if !dies() {
            self.end(effect);
        }
    }

    fn end(&mut self, effect: Effect) {
        let event = if effect.is_in_place() { Event::Applied } else { Event::NotApplied };
        self.state = self.state.after(event).unwrap();
        self.outcome = Some(effect);
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
            Happening::Arrive => {
                if let Some((left, mark)) = self.late.pop()
                    && self.now.duration_since(left) <= SIGNED_FOR
                {
                    // What AWS guards is dropped with its connection; what nobody guards may linger.
                    if self.guard == Guard::Nobody || self.now.duration_since(left) < IN_TRANSIT {
                        self.arrive(mark);
                    }
                }
            }
            Happening::Drift(value) => {
                self.value = value;
                self.revision += 1;
            }
            Happening::Deliver => self.delivered = self.effects,
            Happening::Pass(seconds) => self.now += SignedDuration::from_secs(seconds.into()),
        }
    }
}

fn aws() -> impl Strategy<Value = Aws> {
    prop_oneof![
        Just(Aws::Answers),
        Just(Aws::AnswerLost),
        Just(Aws::Late),
        Just(Aws::Refuses),
        Just(Aws::CannotBeRead)
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    let value = prop_oneof![Just(Value::Bad), Just(Value::Good), Just(Value::Else)];
    prop_oneof![
        3 => (0u8..5, 0u8..3).prop_map(|(who, what)| Happening::Press(who, what)),
        2 => (0usize..8).prop_map(Happening::Retry),
        6 => (0u8..7, aws()).prop_map(|(budget, aws)| Happening::Work(budget, aws)),
        2 => Just(Happening::Arrive),
        1 => value.prop_map(Happening::Drift),
        1 => Just(Happening::Deliver),
        2 => prop_oneof![0u16..12, 0u16..400, 0u16..2_000].prop_map(Happening::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn no_order_of_things_makes_two_effects_or_loses_a_decision_or_says_what_is_not_so(
        guarded in any::<bool>(),
        happenings in prop::collection::vec(happening(), 0..40)
    ) {
        let guard = if guarded { Guard::Aws } else { Guard::Nobody };
        let mut world = World::new(guard);
        // Nothing but time and late arrivals after the story.
        let end = [Happening::Pass(301), Happening::Arrive, Happening::Arrive];
        for happening in happenings.into_iter().chain(end) {
            let before = world.decided;
            world.happen(happening);
            prop_assert!(guarded || world.calls <= 1, "the call left {} times", world.calls);
            prop_assert!(world.effects <= 1);
            prop_assert!(world.won.len() <= 1, "two people were told that they decided: {:?}", world.won);
            prop_assert!(before.is_none() || world.decided == before, "a decision was replaced");
            let approved = world.decided.is_some_and(|(decision, _)| decision == Decision::Approved);
            prop_assert!(world.calls == 0 || approved, "a call without an approval");
            if let Some(made) = world.outcome.and_then(Effect::was_made) {
                prop_assert_eq!(world.effects, u32::from(made), "{:?}", world.outcome);
            }
        }
        // The process lives on and AWS answers: every decision comes to its end, and the end is true.
        for _ in 0..6 {
            world.work(u8::MAX, Aws::Answers);
            world.now += SignedDuration::from_secs(400);
        }
        if let Some((Decision::Approved, _)) = world.decided {
            prop_assert!(world.outcome.is_some(), "an approval without an end");
            prop_assert_ne!(world.state, State::RollingBack);
        }
    }
}

fn at(seconds: i64) -> Timestamp {
    "2026-02-06T12:20:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

fn sent(guard: Guard, unanswered: bool) -> Sent {
    Sent { at: at(0), unanswered, guard }
}

fn found(seen: Seen, hand: Hand, sent: Sent, after: i64) -> Finding {
    find(seen, hand, sent, at(1_800), at(after))
}

#[test]
fn what_was_marked_is_read_back_however_long_ago() {
    let sent = sent(Guard::Aws, false);
    assert_eq!(next(Some(sent), at(60), at(18_000)), Next::ReadBack(sent));
    assert_eq!(next(None, at(60), at(60)), Next::TooLate);
}

#[test]
fn an_interrupted_call_is_sent_again_only_where_aws_refuses_the_second_of_two() {
    let again = |guard, unanswered, after| {
        found(Seen::Untouched, Hand::Unknown, sent(guard, unanswered), after) == Finding::SendAgain
    };
    assert!(again(Guard::Aws, false, 0) && again(Guard::Aws, false, 1_799));
    assert!(!again(Guard::Aws, false, 1_800), "the approval has expired");
    assert!(!again(Guard::Aws, true, 60), "a silence of AWS is read back, not answered by another call");
    assert!(!again(Guard::Nobody, false, 60));
}

#[test]
fn nothing_happened_is_believed_once_the_call_cannot_arrive_any_more() {
    let untouched = |guard, after| found(Seen::Untouched, Hand::Unknown, sent(guard, true), after);
    assert!(APPLY_WITHIN.as_secs() < 40);
    assert!(matches!(untouched(Guard::Aws, 39), Finding::Open(_)));
    assert_eq!(untouched(Guard::Aws, 40), Finding::Ended(Effect::NotMade));
    assert!(matches!(untouched(Guard::Nobody, 339), Finding::Open(_)));
    assert_eq!(untouched(Guard::Nobody, 340), Finding::Ended(Effect::NotMade));
    let unreadable = |after| found(Seen::Unreadable, Hand::Unknown, sent(Guard::Aws, true), after);
    assert!(matches!(unreadable(60), Finding::Open(_)));
    assert_eq!(unreadable(1_800), Finding::Ended(Effect::Unknown));
}

#[test]
fn what_is_in_place_is_claimed_only_by_the_hand_that_did_it() {
    let restored = |hand| found(Seen::Restored, hand, sent(Guard::Aws, false), 5);
    assert_eq!(restored(Hand::Ours), Finding::Ended(Effect::Made));
    assert_eq!(restored(Hand::Another), Finding::Ended(Effect::ByAnother));
    assert_eq!(restored(Hand::Unknown), Finding::Ended(Effect::InPlace));
    let changed = |hand| found(Seen::Changed, hand, sent(Guard::Aws, false), 5);
    assert_eq!(changed(Hand::Ours), Finding::Ended(Effect::Overtaken));
    assert_eq!(changed(Hand::Another), Finding::Ended(Effect::NotMade));
    assert_eq!(changed(Hand::Unknown), Finding::Ended(Effect::Unclear));
    // Where nobody guards it, a call that is still on its way may overwrite what is there.
    let open = found(Seen::Changed, Hand::Another, sent(Guard::Nobody, false), 5);
    assert!(matches!(open, Finding::Open(_)), "{open:?}");
}
