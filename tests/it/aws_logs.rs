//! Lines over the wire where they are many, late, or where many ask for them at once.

use std::time::Duration;

use incident_commander::agents::{Deadlines, Request, gather};
use incident_commander::aws::{Clients, ServiceSettings};
use incident_commander::demo::aws::{Fault, WorldClock, WorldOptions};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::evidence::{Evidence, LogEvent};
use jiff::Timestamp;

use super::aws_account::{Account, GROUP, at};

async fn read_service(clients: &Clients, service: &str, now: Timestamp, deadlines: Deadlines) -> Evidence {
    let body = format!(r#"{{"service": "{service}", "triggered_at": "{}"}}"#, now - Duration::from_mins(5));
    let alert = Alert::from_body(body.as_bytes()).unwrap();
    let request = Request { incident: None, alert, now, service: ServiceSettings::default() };
    gather(clients, request, deadlines, |_| {}).await
}

async fn read(account: &Account) -> Evidence {
    read_service(&account.clients().await, "checkout", at("12:20:00"), Deadlines::default()).await
}

fn reasons(evidence: &Evidence) -> Vec<&str> {
    let gaps = evidence.gaps.iter().filter(|gap| gap.source == "logs");
    gaps.map(|gap| gap.reason.as_str()).collect()
}

#[tokio::test]
async fn a_flood_is_thinned_alike_in_every_minute_and_keeps_every_error() {
    let clock = WorldClock::manual(at("12:20:00"));
    let account = Account::with(WorldOptions { insights_rows: 400, ..WorldOptions::immediate(clock) }).await;
    account.deploy_checkout();
    // 200 lines a minute from 12:00 to 12:20, at whole tenths of seconds; an error a minute.
    for index in 0..4000_u64 {
        let at = at("12:00:00") + Duration::from_millis(index * 300);
        account.world.put_log(GROUP, "s", at, format!("served {index}"));
    }
    for minute in 0..20 {
        let at = at("12:00:30") + Duration::from_mins(minute);
        account.world.put_log(GROUP, "s", at, format!("ERROR no answer {minute}"));
    }
    let evidence = read(&account).await;
    let lines = evidence.logs.as_deref().unwrap();
    let errors = lines.iter().filter(|event| event.message.starts_with("ERROR")).count();
    assert_eq!(errors, 20);
    let ordinary: Vec<&LogEvent> = lines.iter().filter(|event| event.message.starts_with("served")).collect();
    let minutes: Vec<usize> = (0..20)
        .map(|minute| {
            let (from, until) =
                (at("12:00:00") + Duration::from_mins(minute), at("12:01:00") + Duration::from_mins(minute));
            ordinary.iter().filter(|event| event.at >= from && event.at < until).count()
        })
        .collect();
    let (least, most) = (minutes.iter().min().unwrap(), minutes.iter().max().unwrap());
    assert!(*least >= 4 && most - least <= 2, "{minutes:?}");
    assert!(reasons(&evidence).iter().any(|reason| reason.contains("one in up to")), "{:?}", evidence.gaps);
}

#[tokio::test]
async fn where_the_thinned_question_is_refused_what_was_read_stays() {
    let clock = WorldClock::manual(at("12:20:00"));
    let account = Account::with(WorldOptions { insights_rows: 100, ..WorldOptions::immediate(clock) }).await;
    account.deploy_checkout();
    for index in 0..2000_u64 {
        account.world.put_log(
            GROUP,
            "s",
            at("12:00:00") + Duration::from_millis(index * 300),
            format!("{index}"),
        );
    }
    let refused = Fault::Error {
        status: 400,
        code: "MalformedQueryException".to_owned(),
        message: "unexpected symbol".to_owned(),
    };
    // The windows of the first round, and then the second.
    let script = std::iter::repeat_n(None, 6).chain(std::iter::repeat_n(Some(refused), 20));
    account.world.script_faults("logs:StartQuery", script);
    account.world.rate_fault("logs:FilterLogEvents", 1.0, Fault::access_denied("logs:FilterLogEvents"));
    let evidence = read(&account).await;
    assert!(evidence.logs.as_ref().is_some_and(|lines| lines.len() >= 100), "{:?}", evidence.gaps);
    assert!(reasons(&evidence).iter().any(|reason| reason.contains("MalformedQueryException")));
}

#[tokio::test]
async fn lines_that_are_still_on_their_way_are_asked_for_once_more() {
    let account = Account::open().await;
    account.deploy_checkout();
    for second in 0..600_u64 {
        let at = at("12:10:00") + Duration::from_secs(second);
        account.world.put_log(GROUP, "s", at, format!("line {second}"));
    }
    assert_eq!(read(&account).await.logs.map(|lines| lines.len()), Some(600));
    assert_eq!(
        account.world.calls("logs:FilterLogEvents"),
        0,
        "where the end is as full as the rest, nobody asks"
    );

    let account = Account::open().await;
    account.deploy_checkout();
    for second in 0..550_u64 {
        let at = at("12:10:00") + Duration::from_secs(second);
        account.world.put_log(GROUP, "s", at, format!("line {second}"));
    }
    // Insights does not show the newest lines yet.
    account.world.hide_from_insights(at("12:18:30"));
    assert_eq!(read(&account).await.logs.map(|lines| lines.len()), Some(550));
    assert_eq!(account.world.calls("logs:FilterLogEvents"), 1);
}

#[tokio::test]
async fn a_query_whose_result_cannot_be_had_is_stopped_and_counted() {
    let account = Account::open().await;
    account.deploy_checkout();
    account.world.put_log(GROUP, "s", at("12:10:00"), "hello".to_owned());
    let denied = "logs:GetQueryResults";
    account.world.rate_fault(denied, 1.0, Fault::access_denied(denied));
    let evidence = read(&account).await;
    let started = account.world.calls("logs:StartQuery");
    tokio::time::timeout(Duration::from_secs(5), async {
        while account.world.calls("logs:StopQuery") < started {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("every query that may still run is stopped");
    assert_eq!(evidence.cost.unwrap().calls.get("logs:StopQuery"), Some(&started));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_incidents_at_once_stay_below_the_queries_that_an_account_may_run() {
    let options = WorldOptions {
        insights_time: Duration::from_secs(2),
        ..WorldOptions::immediate(WorldClock::starting_at(at("12:20:00")))
    };
    let account = Account::with(options).await;
    let services: Vec<String> = (0..50).map(|number| format!("service-{number}")).collect();
    for service in &services {
        account.world.put_log(&format!("/ecs/{service}"), "s", at("12:10:00"), "hello".to_owned());
    }
    let clients = account.clients().await;
    let patient = Deadlines {
        discovery: Duration::from_secs(120),
        logs: Duration::from_secs(180),
        metrics: Duration::from_secs(180),
        deploys: Duration::from_secs(1),
    };
    let reads = services.iter().map(|service| read_service(&clients, service, at("12:20:00"), patient));
    for evidence in futures::future::join_all(reads).await {
        assert_eq!(evidence.logs.as_ref().map(Vec::len), Some(1), "{:?}", evidence.gaps);
        assert_eq!(reasons(&evidence), [""; 0]);
    }
    let most = account.world.most_queries_at_once();
    assert!((50..=80).contains(&most), "{most} queries ran at once");
}
