//! Each story over the wire: the bot reads the account and the channel as it would in production,
//! and its stored incident is judged by the story's truth.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use incident_commander::demo::headless::tell_story;
use incident_commander::demo::story::{self, Action, Past, Release, Story};
use incident_commander::demo::{Addresses, Composition};
use incident_commander::{analysis, bundle};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::credentials::{READ, WRITE, strays};
use crate::house::PATIENCE;

/// Stories run at real speed beside a bot that thinks: more of them at once would starve each other.
static TWO_AT_A_TIME: Semaphore = Semaphore::const_new(2);

/// Plays the story to its end and names the criteria that do not hold.
async fn play(name: &str) {
    let _turn = TWO_AT_A_TIME.acquire().await.unwrap();
    let mut story = story::find(name).unwrap();
    if name == "silent-cloudtrail" {
        keep_back(&mut story);
    }
    let free = Addresses::from(SocketAddr::from(([127, 0, 0, 1], 0)));
    let demo = Composition::start(story, Past::default(), free, &|_, _| None).await.unwrap();
    // The first that is told is that the result is there: CloudTrail delivers after the first reading, however fast
    // or slow the machine is.
    let ending = tell_story(&demo, &|_| demo.world.deliver_cloudtrail()).await;
    if name == "silent-cloudtrail" {
        late_records_complete_the_verdict(&demo).await;
    }
    let heals = demo.story.heals_by_rollback();
    assert_eq!(strays(&demo.world, demo.store()).await, Vec::<String>::new());
    let made: Vec<String> = demo.world.mutations().into_iter().map(|one| one.operation).collect();
    assert_eq!(made, if heals { vec!["lambda:UpdateAlias"] } else { vec![] }, "{name}");
    let roles: BTreeSet<String> = demo.world.assumed_roles().into_iter().map(|one| one.role).collect();
    let expected = if heals { BTreeSet::from([READ, WRITE]) } else { BTreeSet::from([READ]) };
    assert_eq!(roles.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{name}");
    what_is_stored_re_derives_the_verdict(&demo).await;
    demo.stop().await;
    let ending = ending.unwrap();
    let failing: Vec<_> = ending.criteria.iter().filter(|criterion| !criterion.holds).collect();
    assert!(failing.is_empty(), "{failing:#?}\n{:#}", ending.incident);
}

/// CloudTrail keeps the release back until it is told to deliver.
fn keep_back(story: &mut Story) {
    for step in &mut story.steps {
        if let Action::Release(Release { trail_delay: Some(delay), .. }) = &mut step.action {
            *delay = 24 * 60 * 60;
        }
    }
}

/// The evidence as it is exported comes to the report as it is stored, to the last digit.
async fn what_is_stored_re_derives_the_verdict(demo: &Composition) {
    let id = "INC-1".parse().unwrap();
    let stored = json!(demo.store().incident(id).await.unwrap().unwrap());
    let evidence = bundle::from_files(&demo.store().evidence(id).await.unwrap()).unwrap();
    let told = json!(analysis::investigate(&evidence).report);
    for part in ["onset", "verdict", "action", "hypotheses", "evidence", "cleared", "gaps", "summary"] {
        assert_eq!(told[part].to_string(), stored[part].to_string(), "{}: {part}", demo.story.name);
    }
}

/// The verdict came from versions alone; once CloudTrail delivers, it names the event.
async fn late_records_complete_the_verdict(demo: &Composition) {
    let id = "INC-1".parse().unwrap();
    let mut steps = demo.steps_done();
    let named = async {
        loop {
            steps.borrow_and_update();
            let incident = demo.store().incident(id).await.unwrap().unwrap();
            let change = incident.verdict.and_then(|verdict| verdict.change);
            let named = change.and_then(|change| change.event_id).is_some();
            if named && incident.timeline.iter().any(|line| line.what.contains("late evidence")) {
                break;
            }
            steps.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, named).await.expect("CloudTrail's record completes the verdict");
}

macro_rules! stories {
    ($($test:ident: $name:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            play($name).await;
        })*

        #[test]
        fn every_story_is_told() {
            let told = [$($name),*];
            for story in story::stories() {
                assert!(told.contains(&story.name), "{} has no test", story.name);
            }
        }
    };
}

stories! {
    the_configuration_bug_is_found_undone_and_the_recovery_seen: "deployment-config-bug";
    an_alarm_about_nothing_blames_nobody: "normal";
    a_pool_that_runs_dry_is_no_deployment: "db-pool-exhaustion";
    a_leak_is_no_deployment: "memory-leak";
    a_slow_payment_service_is_a_dependency: "cascading-failure";
    hints_that_lie_change_nothing: "lying-hints";
    the_nearest_deployment_is_cleared: "innocent-deployment";
    versions_tell_while_cloudtrail_is_silent: "silent-cloudtrail";
    half_of_the_change_is_innocent_of_an_outage: "payments-outage";
    what_was_rolled_back_is_not_offered_again: "already-rolled-back";
}
