//! More problems at once than can be looked at, and times in which alerts are held back by plan.

use incident_commander::demo::slack::Message;
use incident_commander::demo::slack::pace::Pace;
use incident_commander::demo::slack::workspace::id;
use incident_commander::domain::alert::Alert;
use incident_commander::store::{Accepted, Origin, STORM_FROM};

use crate::office::{Office, whole};

/// What a monitoring tool sends over HTTP.
async fn alert(office: &Office, service: &str) -> Accepted {
    let body =
        format!(r#"{{"service": "{service}", "alert_name": "HighErrorRate", "at": "2026-02-06T12:17:00Z"}}"#);
    office.desk.alert(serde_json::from_str::<Alert>(&body).unwrap(), Origin::default()).await.unwrap()
}

fn storms(office: &Office) -> Vec<Message> {
    let all = office.slack.messages(id::ALERTS).into_iter();
    all.filter(|message| message.text.contains("Many alerts at once")).collect()
}

#[tokio::test]
async fn more_problems_than_can_be_looked_at_are_one_message_that_says_what_is_left_out() {
    let config = format!("[slack]\nalert_channels = [\"{}\"]\n", id::ALERTS);
    let office = Office::open(Pace::unlimited(), &config).await;
    let problems = 2 * STORM_FROM;
    for _ in 0..3 {
        for number in 0..problems {
            alert(&office, &format!("service-{number}")).await;
        }
    }
    // The message comes before the first of them is looked at.
    let first = office.step().await;
    assert_eq!(first.as_deref(), Some("storm"));
    office.deliver().await;
    let said = whole(&storms(&office)[0]);
    for part in [
        "24 problems of 24 services, 72 alerts",
        "24 wait for their turn",
        "no charts",
        "service-0, 3 alerts",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(office.slack.messages(id::ALERTS).len(), 1, "one message instead of twenty-four headlines");
    // A message a second is what a channel takes.
    office.live(3 * problems as u64).await;
    let storms = storms(&office);
    assert_eq!(storms.len(), 1);
    assert!(storms[0].text.contains("from 12:18 UTC to 12:18 UTC: 24 problems"), "{}", storms[0].text);
    let results =
        office.posted().into_iter().filter(|one| one.event_type() == Some("incident_result")).count();
    assert_eq!(results as i64, problems, "each has its verdict in the end");
}

#[tokio::test]
async fn a_few_problems_are_no_storm() {
    let config = format!("[slack]\nalert_channels = [\"{}\"]\n", id::ALERTS);
    let office = Office::open(Pace::unlimited(), &config).await;
    for number in 0..STORM_FROM {
        alert(&office, &format!("service-{number}")).await;
    }
    office.work().await;
    assert_eq!(storms(&office).len(), 0);
}

#[tokio::test]
async fn planned_work_holds_alerts_back_and_tells_them_at_its_end() {
    let config = format!(
        "[slack]\nalert_channels = [\"{}\"]\n[[service]]\nname = \"checkout\"\naliases = [\"shop\"]\n\
         [[maintenance]]\nservices = [\"shop\"]\nfrom = \"2026-01-30T12:00:00Z\"\nuntil = \"2026-01-30T13:00:00Z\"\n\
         every = \"7d\"\nreason = \"weekly patches\"\n",
        id::ALERTS
    );
    let office = Office::open(Pace::unlimited(), &config).await;
    for _ in 0..3 {
        assert!(matches!(alert(&office, "checkout").await, Accepted::Held { until }
            if until == "2026-02-06T13:00:00Z".parse().unwrap()));
    }
    assert!(matches!(alert(&office, "payments").await, Accepted::Opened(_)), "another service");
    office.pass(42 * 60);
    office.work().await;
    let digest =
        office.slack.messages(id::ALERTS).into_iter().find(|one| one.text.contains("no longer muted"));
    let said = whole(&digest.expect("the list of what was held back"));
    for part in ["3 alerts came", "Muted by the configuration", "weekly patches", "HighErrorRate: 3 times"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(matches!(alert(&office, "checkout").await, Accepted::Opened(_)), "its time is over");
}

#[tokio::test]
async fn who_ends_planned_work_early_has_ended_it() {
    let config = format!(
        "[slack]\nalert_channels = [\"{}\"]\n[[maintenance]]\nfrom = \"2026-02-06T12:00:00Z\"\n\
         until = \"2026-02-06T13:00:00Z\"\nreason = \"patches\"\n",
        id::ALERTS
    );
    let office = Office::open(Pace::unlimited(), &config).await;
    assert!(matches!(alert(&office, "checkout").await, Accepted::Held { .. }));
    assert!(office.typed(id::ON_CALL, "mutes").await.contains("by the configuration: patches"));
    office.typed(id::ON_CALL, "unmute checkout").await;
    assert!(matches!(alert(&office, "checkout").await, Accepted::Opened(_)));
}
