//! Random stories of one approval: presses, retries, late deliveries, drift, crashes, silences and errors of AWS, and
//! two workers at once, against the worker's own steps, the database, Slack and AWS.
//!
//! The rule that is not obvious: nothing here knows how it should end. Whatever happened, there is at most one change
//! and one decision, every approval ends, and neither the trail nor the channel says what is not so.

use std::sync::Mutex;

use incident_commander::app;
use incident_commander::demo::aws::{Fault, Identity, Mutation};
use incident_commander::demo::slack::workspace::id;
use incident_commander::domain::approval::Decision;
use incident_commander::domain::execution::{Guard, guard};
use incident_commander::domain::incident::State;
use incident_commander::domain::rollback::RollbackTarget;
use incident_commander::fail_points::Point;
use incident_commander::worker::{Bench, step_once};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::json;

use crate::aws_account::{ACCOUNT, Account, FUNCTION, environment};
use crate::aws_kinds::{deploy_flags, deploy_service, move_service, put_limit};
use crate::crashes::{APPROVE, REJECT, asked, die_at};
use crate::trials::{as_test, shared_out};
use crate::truth::{concurrency_back, configuration_back, environment_back};
use crate::ward::{Ward, trail};

/// What is undone in a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Alias,
    Environment,
    VariablesAndSettings,
    Concurrency,
    StoppedDeployment,
    Revision,
    Parameter,
    Configuration,
    /// A share of the traffic to the earlier version, and back after five minutes.
    Trial,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Alias,
        Self::Environment,
        Self::VariablesAndSettings,
        Self::Concurrency,
        Self::StoppedDeployment,
        Self::Revision,
        Self::Parameter,
        Self::Configuration,
        Self::Trial,
    ];

    fn target(self) -> Option<fn(&Account) -> RollbackTarget> {
        match self {
            Self::Alias => None,
            Self::Environment => Some(environment_back),
            Self::VariablesAndSettings => Some(configuration_back),
            Self::Concurrency => Some(concurrency_back),
            Self::StoppedDeployment => Some(|account| deploy_service(account, "12:19:50")),
            Self::Revision => Some(|account| deploy_service(account, "11:00:00")),
            Self::Parameter => Some(|account| put_limit(account, "String")),
            Self::Configuration => Some(|account| deploy_flags(account, 0, "2026-02-06T12:00:00Z")),
            Self::Trial => Some(shared_out),
        }
    }
}

/// Where somebody else moves the resource.
#[derive(Debug, Clone, Copy)]
enum Drift {
    Good,
    Bad,
    Else,
}

impl Drift {
    fn pick<T>(self, good: T, bad: T, other: T) -> T {
        match self {
            Self::Good => good,
            Self::Bad => bad,
            Self::Else => other,
        }
    }
}

fn drift(ward: &Ward, kind: Kind, drift: Drift) {
    let (world, bob, now) = (&ward.account.world, Identity::user(ACCOUNT, "bob"), ward.account.clock.now());
    match kind {
        Kind::Alias => {
            // Half of the traffic is neither.
            let half = || [("1".to_owned(), 0.5)].into();
            let (version, weights) = drift.pick(("1", [].into()), ("2", [].into()), ("2", half()));
            world.update_alias(FUNCTION, "live", version, &weights, &bob, now).unwrap();
        }
        Kind::Trial => {
            let share = |share: f64| [("1".to_owned(), share)].into();
            let weights = drift.pick(share(0.05), [].into(), share(0.5));
            world.update_alias(FUNCTION, "live", "2", &weights, &bob, now).unwrap();
        }
        Kind::Environment => {
            let pool = environment(drift.pick("10", "5", "7"));
            world.update_function_environment(FUNCTION, pool, &bob, now).unwrap();
        }
        Kind::VariablesAndSettings => {
            let input = json!({"Timeout": drift.pick(10, 3, 7)});
            world.update_function_configuration(FUNCTION, &input, &bob, now).unwrap();
        }
        Kind::Concurrency => {
            world.set_function_concurrency(FUNCTION, drift.pick(None, Some(1), Some(7)), &bob, now).unwrap();
        }
        Kind::StoppedDeployment | Kind::Revision => {
            move_service(&ward.account, drift.pick("refunds:1", "refunds:2", "refunds:3"), now);
        }
        Kind::Parameter => {
            let value = drift.pick("50", "5", "7");
            world.put_parameter("/checkout/limit", "String", value, &bob, now).unwrap();
        }
        Kind::Configuration => {
            let limit = drift.pick(50, 5, 7);
            let content = json!({"limit": limit}).to_string();
            world.deploy_configuration("shop", "prod", "flags", &content, 0, &bob, now);
        }
    }
}

type Who = &'static str;

/// Something that happens while a request waits or is carried out.
#[derive(Debug, Clone)]
enum Happening {
    Press(Who, &'static str),
    /// Slack delivers this press only at the end of the story.
    PressDeliveredLate(Who, &'static str),
    /// Slack sends an earlier press again.
    Retry(usize),
    /// Two people press at the same moment, and two workers look at it.
    Together(Who, Who),
    /// Somebody who may presses, and the process dies at this point.
    Crash(Point),
    /// Somebody who may presses, the changing call never gets an answer, and the process dies while it waits for one.
    Hang,
    Drift(Drift),
    /// The next changing call meets this.
    Fault(Fault),
    /// The next calls that read do.
    ReadFault(Fault),
    Live(u64),
    /// Two workers at the same time, for so many seconds. A second process does not start: the database is locked.
    Two(u64),
    /// The time of the approval passes.
    Late,
}

fn happening() -> impl Strategy<Value = Happening> {
    let user = || prop_oneof![3 => Just(id::APPROVER), 1 => Just(id::ON_CALL), 1 => Just(id::STRANGER)];
    let action = || prop_oneof![4 => Just(APPROVE), 1 => Just(REJECT), 1 => Just("rollback_break_glass")];
    let error = |status, code: &str| Fault::Error { status, code: code.into(), message: "no".into() };
    let fault = prop_oneof![
        Just(Fault::Reset),
        Just(Fault::LostAnswer),
        Just(Fault::Truncated),
        Just(Fault::Throttle),
        Just(Fault::access_denied("this")),
        Just(error(412, "PreconditionFailedException")),
        Just(error(500, "ServiceException")),
    ];
    let read = prop_oneof![Just(Fault::Reset), Just(Fault::Throttle), Just(Fault::access_denied("this"))];
    let point = proptest::sample::select(Point::OF_A_RECOVERY.to_vec());
    prop_oneof![
        5 => (user(), action()).prop_map(|(user, action)| Happening::Press(user, action)),
        1 => (user(), action()).prop_map(|(user, action)| Happening::PressDeliveredLate(user, action)),
        1 => (0usize..4).prop_map(Happening::Retry),
        1 => (user(), user()).prop_map(|(one, other)| Happening::Together(one, other)),
        4 => point.prop_map(Happening::Crash),
        3 => Just(Happening::Hang),
        2 => prop_oneof![Just(Drift::Good), Just(Drift::Bad), Just(Drift::Else)].prop_map(Happening::Drift),
        2 => fault.prop_map(Happening::Fault),
        1 => read.prop_map(Happening::ReadFault),
        2 => (1u64..20).prop_map(Happening::Live),
        2 => (1u64..6).prop_map(Happening::Two),
        1 => Just(Happening::Late),
    ]
}

/// What the stories came to: a test whose stories change nothing and reach nothing would prove nothing.
#[derive(Debug, Default)]
struct Coverage {
    changed: usize,
    decided: usize,
    in_vain: usize,
    tried: usize,
    crashed: usize,
    hung: usize,
}

/// Two workers at the same time.
async fn both(one: &Bench, other: &Bench) {
    let done = tokio::join!(step_once(one), step_once(other));
    assert!(done.0.is_ok() && done.1.is_ok(), "{done:?}");
}

/// Lives on until the changing call hangs, and dies there; another process begins.
async fn die_waiting(ward: &Ward, bench: Bench, call: &str) -> (Bench, bool) {
    ward.account.world.script_faults(call, [Some(Fault::Hang)]);
    let before = ward.account.world.mutations().len();
    let hangs = async {
        let open = |one: &Mutation| {
            one.operation == call && one.error_code.as_deref() == Some(Mutation::NOT_CARRIED_OUT)
        };
        while !ward.account.world.mutations().iter().skip(before).any(open) {
            tokio::task::yield_now().await;
        }
    };
    let hung = tokio::select! {
        () = hangs => true,
        () = ward.live(&bench, 5) => false,
    };
    if !hung {
        return (bench, false);
    }
    bench.store.close().await;
    drop(bench);
    (ward.bench().await, true)
}

async fn play(kind: Kind, story: &[Happening], coverage: &Mutex<Coverage>) {
    let (ward, mut bench) = asked(|set| {
        set.target = kind.target();
        if kind == Kind::Trial {
            set.plan = as_test;
        }
        set.config.approvals.break_glass = vec![id::ON_CALL.into()];
    })
    .await;
    let call = ward.of(&bench).await.plan.call;
    let mut pressed: Vec<(String, &str, &str)> = Vec::new();
    let mut held = Vec::new();
    let mut decided: Option<(Decision, Option<String>)> = None;
    for (step, happening) in story.iter().enumerate() {
        let delivery = format!("press/{step}");
        match happening {
            Happening::Press(user, action) => {
                ward.clicked(&bench, &delivery, user, action).await;
                pressed.push((delivery, user, action));
            }
            Happening::PressDeliveredLate(user, action) => held.push((delivery, *user, *action)),
            Happening::Retry(which) => {
                if let Some((delivery, user, action)) = pressed.get(which % pressed.len().max(1)) {
                    ward.clicked(&bench, delivery, user, action).await;
                }
            }
            Happening::Together(one, other) => {
                let second = format!("{delivery}/other");
                tokio::join!(
                    ward.clicked(&bench, &delivery, one, APPROVE),
                    ward.clicked(&bench, &second, other, APPROVE)
                );
                both(&bench, &bench.clone()).await;
                pressed.extend([(delivery, *one, APPROVE), (second, *other, APPROVE)]);
            }
            Happening::Crash(point) => {
                ward.clicked(&bench, &delivery, id::APPROVER, APPROVE).await;
                pressed.push((delivery, id::APPROVER, APPROVE));
                let died;
                (bench, died) = die_at(&ward, bench, *point, 5).await;
                coverage.lock().unwrap().crashed += usize::from(died);
            }
            Happening::Hang => {
                ward.clicked(&bench, &delivery, id::APPROVER, APPROVE).await;
                pressed.push((delivery, id::APPROVER, APPROVE));
                let hung;
                (bench, hung) = die_waiting(&ward, bench, &call).await;
                coverage.lock().unwrap().hung += usize::from(hung);
            }
            Happening::Drift(to) => drift(&ward, kind, *to),
            Happening::Fault(fault) => ward.account.world.script_faults(&call, [Some(fault.clone())]),
            Happening::ReadFault(fault) => {
                let service = call.split(':').next().unwrap();
                ward.account.world.script_faults(&format!("{service}:Get*"), [Some(fault.clone())]);
            }
            Happening::Live(seconds) => ward.live(&bench, *seconds).await,
            Happening::Two(seconds) => {
                assert!(app::assemble(&ward.settings, ward.clock.clone()).await.is_err(), "a second process");
                for _ in 0..*seconds {
                    both(&bench, &bench.clone()).await;
                    ward.live(&bench, 1).await;
                }
            }
            Happening::Late => ward.pass(31 * 60),
        }
        let now = ward.of(&bench).await;
        let seen = now.decision.map(|decision| (decision, now.decided_by));
        assert!(decided.is_none() || decided == seen, "a decision was replaced");
        decided = seen;
    }
    for (delivery, user, action) in held {
        ward.clicked(&bench, &delivery, user, action).await;
        pressed.push((delivery, user, action));
    }
    ward.account.world.clear_faults();
    // Longer than a call may be on its way, and than the lease of a process that is gone.
    let long = match guard(&ward.of(&bench).await.plan.target) {
        Guard::Nobody => 400,
        Guard::Aws => 130,
    };
    ward.live(&bench, long).await;
    if kind == Kind::Trial {
        // Until it is ended, counted and weighed.
        for _ in 0..40 {
            ward.pass(19);
            ward.live(&bench, 1).await;
        }
    }
    let approval = ward.of(&bench).await;
    let all = ward.changes(&bench.store).await.into_iter().filter(|one| one.error_code.is_none());
    // A session is named after its approval.
    let of = |id: &str, one: &Mutation| one.arn.contains(&id[..8]);
    let (made, ended_by): (Vec<_>, Vec<_>) = all.partition(|one| of(&approval.id, one));
    assert!(made.len() <= 1, "two effects: {made:?}");
    assert!(ended_by.len() <= made.len() && (kind == Kind::Trial || ended_by.is_empty()), "{ended_by:?}");
    let row = bench.store.incident_row(approval.incident).await.unwrap().unwrap();
    assert!(!matches!(row.state, State::Trying | State::RollingBack), "{:?}", row.state);
    let decisions = trail(&bench.store, &["decided"]).await;
    assert!(decisions.iter().filter(|row| row["click"].is_string()).count() <= 1, "{decisions:?}");
    let ended = trail(&bench.store, &["ended"]).await;
    let ends = bench.store.ends_of(&approval).await.unwrap();
    assert!(ended.len() <= 1 + ends.len(), "{ended:?}");
    let may = |user: &str, action: &str| user != id::STRANGER && action != "rollback_break_glass";
    if pressed.iter().any(|(_, user, action)| may(user, action)) {
        assert!(approval.decision.is_some(), "a decision was lost");
    }
    if approval.decision == Some(Decision::Approved) {
        assert!(approval.outcome.is_some(), "an approval without an end");
        let told = ward.slack.messages(id::ALERTS);
        // Long enough to tell it from the notice that AWS may still take the call.
        let words: String = ended[0]["words"].as_str().unwrap().chars().take(45).collect();
        let notices = told.iter().filter(|message| message.event_type() == Some("incident_notice"));
        let times = notices.filter(|message| message.text.contains(&words)).count();
        assert_eq!(times, 1, "told {times} times: {words}");
    } else {
        assert_eq!(made, []);
    }
    if let Some(ended) = ended.first() {
        // It may not know; it must not say what is not so.
        match ended["applied"].as_bool() {
            Some(applied) => assert_eq!(applied, made.len() == 1, "the trail is not true: {ended}"),
            None => assert!(ended["applied"].is_null()),
        }
    }
    let mut coverage = coverage.lock().unwrap();
    coverage.changed += made.len();
    coverage.tried += ended_by.len();
    coverage.decided += usize::from(approval.decision.is_some());
    coverage.in_vain += usize::from(approval.decision == Some(Decision::Approved) && made.is_empty());
}

/// How many stories are told: few, so that the tests stay quick. `ROLLBACK_STORIES=500` tells other ones each time.
const STORIES: u32 = 12;

/// One that fails is told in its shortest form.
#[test]
fn no_order_of_clicks_crashes_drift_and_errors_makes_two_changes_or_loses_a_decision() {
    let wanted = std::env::var("ROLLBACK_STORIES").ok().and_then(|count| count.parse().ok());
    let config = Config {
        cases: wanted.unwrap_or(STORIES),
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = match wanted {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let coverage = Mutex::new(Coverage::default());
    let stories = (proptest::sample::select(Kind::ALL.to_vec()), prop::collection::vec(happening(), 3..9));
    let told = runner.run(&stories, |(kind, story)| {
        runtime.block_on(Box::pin(play(kind, &story, &coverage)));
        Ok(())
    });
    if let Err(failure) = told {
        panic!("{failure}");
    }
    let coverage = coverage.into_inner().unwrap();
    println!("{coverage:?}");
    assert!(coverage.changed > 0 && coverage.in_vain > 0, "{coverage:?}");
    assert!(coverage.crashed > 1 && coverage.hung > 0, "{coverage:?}");
    assert!(coverage.decided as u32 * 2 > STORIES, "{coverage:?}");
}
