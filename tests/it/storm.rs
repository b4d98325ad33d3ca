//! A channel in a storm: 200 alert messages a minute from ten problems, while Slack says 'too fast' and
//! loses one call in fifty.
//!
//! The rule that is not obvious: both clocks move second by second, so that what is measured is the
//! pace that Slack sets and nothing of this machine's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use incident_commander::demo::slack::Message;
use incident_commander::demo::slack::fault::{Fault, FaultKind};
use incident_commander::demo::slack::pace::Pace;
use incident_commander::demo::slack::workspace::id;
use incident_commander::domain::incident::IncidentId;

use crate::office::{Office, whole};

const PROBLEMS: usize = 10;
/// Two minutes of it.
const SECONDS: usize = 120;
const ALERTS: usize = 200 * SECONDS / 60;
/// What Slack says in a 429.
const TOO_FAST: u64 = 4;
/// chat.update is a method of tier 3: 50 calls a minute, shared by ten headlines that all change; a
/// little slower than that, because the way there is not always equally long. Beside the ten that wait
/// for their turn, one may just have been sent.
const OWN_PACE: f64 = 1.23 * (PROBLEMS + 1) as f64;
/// What the bot may add to Slack's own pace, in seconds.
const LEEWAY: f64 = 5.0;

fn config() -> String {
    let services = (0..PROBLEMS).map(|number| format!("[[service]]\nname = \"service-{number}\"\n"));
    format!("[slack]\nalert_channels = [\"{}\"]\n{}", id::ALERTS, services.collect::<String>())
}

fn event_type(message: &Message) -> String {
    message.metadata.as_ref().map(|it| it["event_type"].as_str().unwrap().to_owned()).unwrap_or_default()
}

fn incident(message: &Message) -> IncidentId {
    let payload = &message.metadata.as_ref().unwrap()["event_payload"];
    payload["incident"].as_str().unwrap().parse().unwrap()
}

/// How many alerts a headline tells of: it names the number from two on.
fn told(headline: &Message) -> i64 {
    let text = whole(headline);
    let Some((before, _)) = text.split_once(" alerts") else { return 1 };
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_storm_loses_nothing_says_nothing_twice_and_keeps_its_headlines_fresh() {
    let office = Office::open(Pace::real(), &config()).await;
    for (share, kind) in
        [(0.008, FaultKind::AcceptedThenReset), (0.006, FaultKind::Reset), (0.006, FaultKind::Status(503))]
    {
        office.slack.script(Fault::share(share, kind));
    }
    for (method, skip) in [("chat.postMessage", 5), ("chat.update", 20), ("chat.update", 60)] {
        let fault = Fault::once(method, FaultKind::RateLimited(Duration::from_secs(TOO_FAST)));
        office.slack.script(Fault { skip, ..fault });
    }
    // When each incident came to how many alerts, in seconds since the beginning.
    let mut heard: BTreeMap<IncidentId, Vec<usize>> = BTreeMap::new();
    let mut sent = 0;
    let mut stalest = 0.0_f64;
    for second in 0..SECONDS + 60 {
        while sent < ALERTS && sent * SECONDS < ALERTS * (second + 1) {
            let service = format!("service-{}", sent % PROBLEMS);
            office.alert(&format!("[FIRING:1] HighErrorRate {service}"), &service).await;
            sent += 1;
        }
        for line in office.bench.store.list(100).await.unwrap() {
            let times = heard.entry(line.id).or_default();
            times.resize(line.alerts_received as usize, second);
        }
        office.work().await;
        for headline in office.posted().iter().filter(|message| event_type(message) == "incident_headline") {
            let untold = heard[&incident(headline)].get(told(headline) as usize);
            stalest = stalest.max(untold.map_or(0.0, |since| (second - since) as f64));
        }
        office.pass(1);
    }

    let incidents = office.bench.store.list(100).await.unwrap();
    assert_eq!(incidents.len(), PROBLEMS, "one incident for each problem");
    let received: i64 = incidents.iter().map(|line| line.alerts_received).sum();
    assert_eq!(received as usize, ALERTS, "every alert is counted");

    let posted = office.posted();
    let mut seen = BTreeSet::new();
    for message in &posted {
        assert!(seen.insert((incident(message), event_type(message))), "twice: {message:?}");
    }
    assert_eq!(seen.len(), 2 * PROBLEMS, "a headline and a result for each");
    for line in &incidents {
        let mine: Vec<&Message> = posted.iter().filter(|message| incident(message) == line.id).collect();
        assert_eq!(event_type(mine[0]), "incident_headline", "the headline comes first");
        assert_eq!(mine[0].thread_ts, mine[1].thread_ts, "in the alert's thread");
        assert_eq!(told(mine[0]), line.alerts_received, "the last headline tells all of them");
    }
    let depth = office.bench.store.outbox_depth().await.unwrap();
    assert_eq!((depth.waiting, depth.dead), (0, 0));

    let counters = office.slack.counters();
    let failed: u64 = counters.values().flat_map(|counter| counter.errors.values()).sum();
    assert!(failed >= 3, "the storm was one: {counters:?}");
    let allowed = OWN_PACE + TOO_FAST as f64 + LEEWAY;
    assert!(stalest <= allowed, "a headline was {stalest} s old, {allowed} s are allowed");
}
