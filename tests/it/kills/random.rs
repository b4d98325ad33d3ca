//! `serve` under load, killed at random again and again; compared with one that nobody killed.
//!
//! The rule that is not obvious: one of the services is a function that a change broke, and somebody approves its
//! rollback meanwhile. What follows once the change is made waits for minutes of AWS's own counting, longer than an
//! undisturbed run lasts, and is left out here: `story.rs` tells it to its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use incident_commander::demo::slack::pace::Pace;
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Message, Options, SlackWorld};
use incident_commander::store::Store;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::SqlitePool;
use tokio::sync::watch;

use super::serve::{Serve, command, surroundings};
use super::{GLANCE, asked_for};
use crate::aws_account::Account;
use crate::crashes::APPROVE;
use crate::credentials::strays;
use crate::house::PATIENCE;
use crate::ward::trail;

/// Tools that send alerts at the same time, each until it hears that its alert is taken in.
const SENDERS: usize = 4;
/// A process lives until it has acknowledged so many more, drawn anew each time; and then a moment longer, so that it
/// dies anywhere.
const LIVES_FOR: std::ops::Range<u64> = 1..25;
const MOMENT: std::ops::Range<u64> = 0..150;

/// What was acknowledged, by service: the value that each alert carries.
type Acknowledged = Arc<Mutex<BTreeMap<usize, Vec<f64>>>>;

struct Sender {
    client: reqwest::Client,
    url: watch::Receiver<Option<String>>,
    acknowledged: Acknowledged,
    count: watch::Sender<u64>,
    stop: watch::Receiver<bool>,
}

impl Sender {
    /// Sends alerts of all services in turn.
    async fn send(mut self, first: usize, services: usize) {
        let mut number = first;
        while !*self.stop.borrow() || number < first + SENDERS * services {
            let (service, value) = (number / SENDERS % services, number as f64);
            let body = json!({
                "service": format!("service-{service}"), "alert_name": "HighErrorRate", "value": value,
                "triggered_at": Timestamp::now(),
            });
            loop {
                let url = self.url.wait_for(Option::is_some).await.unwrap().clone().unwrap();
                let request = self.client.post(format!("{url}/alert")).json(&body).timeout(PATIENCE);
                match request.send().await {
                    Ok(answer) if answer.status().as_u16() == 202 => break,
                    // Somebody killed it: sent again, to whoever comes.
                    _ => tokio::time::sleep(GLANCE).await,
                }
            }
            self.acknowledged.lock().unwrap().entry(service).or_default().push(value);
            self.count.send_modify(|count| *count += 1);
            number += SENDERS;
        }
    }
}

/// What can be seen in the end: of each service its incidents' state, and what the channel holds of it.
#[derive(Debug, PartialEq)]
struct Picture(BTreeMap<String, (String, Vec<String>)>);

/// A function whose alias moved ten minutes ago to a version with a pool too small, and which fails since four minutes.
fn deploy(account: &Account, function: &str) {
    let ago = |minutes: i64| account.clock.now() - SignedDuration::from_mins(minutes);
    let moved = ago(10);
    account.deploy(function, moved);
    account.serve_requests(function, ago(66), 66, moved, ago(4));
}

/// Somebody who may approves, and again where Slack said that it did not work; until nobody is asked any more.
async fn approve(slack: SlackWorld) {
    loop {
        let asked =
            slack.messages(id::ALERTS).into_iter().find(|message| message.action_ids().contains(&APPROVE));
        if let Some(message) = asked {
            // Whatever it comes to is seen by whether the message still asks.
            drop(slack.click(id::APPROVER, id::ALERTS, &message.ts, APPROVE).await);
        }
        tokio::time::sleep(GLANCE).await;
    }
}

async fn play(kills: usize, services: usize) -> Picture {
    let seed = asked_for("SEED", 7) as u64;
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let slack = SlackWorld::new(Options { pace: Pace::unlimited(), ..Options::default() });
    let (account, at) = surroundings(folder.path(), "", Some(&slack)).await;
    let [read, write] = account.roles();
    let config = format!(
        "[slack]\nalert_channels = [\"{}\"]\n[aws]\nread_role_arn = \"{read}\"\nwrite_role_arn = \"{write}\"\n\
         [approvals]\napprovers = [\"{}\"]\n[incidents]\nlook_again = []\n\
         [[person]]\nslack = \"{}\"\naws = [\"arn:aws:iam::123456789012:user/alice\"]\n",
        id::ALERTS,
        id::APPROVER,
        id::DEVELOPER,
    );
    std::fs::write(at.folder.join("commander.toml"), config).unwrap();
    let broken = format!("service-{services}");
    deploy(&account, &broken);
    let approving = tokio::spawn(approve(slack.clone()));
    let (tell_url, url) = watch::channel(None);
    let (tell_stop, stop) = watch::channel(false);
    let (count, mut counted) = watch::channel(0);
    let acknowledged = Acknowledged::default();
    let senders: Vec<_> = (0..SENDERS)
        .map(|first| {
            let sender = Sender {
                client: reqwest::Client::new(),
                url: url.clone(),
                acknowledged: acknowledged.clone(),
                count: count.clone(),
                stop: stop.clone(),
            };
            tokio::spawn(sender.send(first, services + 1))
        })
        .collect();
    for kill in 0..kills {
        let serve = Serve::start(&at).await;
        slack.set_bot(&serve.url, "signing");
        tell_url.send_replace(Some(serve.url.clone()));
        let enough = *counted.borrow() + random.u64(LIVES_FOR);
        let came = tokio::time::timeout(PATIENCE, counted.wait_for(|count| *count >= enough)).await;
        came.unwrap_or_else(|_| panic!("nothing is acknowledged before kill {kill} (SEED={seed})")).unwrap();
        tokio::time::sleep(Duration::from_millis(random.u64(MOMENT))).await;
        serve.kill().await;
        tell_url.send_replace(None);
    }
    let serve = Serve::start(&at).await;
    slack.set_bot(&serve.url, "signing");
    tell_url.send_replace(Some(serve.url.clone()));
    tell_stop.send_replace(true);
    for sender in senders {
        sender.await.unwrap();
    }
    // An investigation that a process died over too often was put aside, and somebody tries it again.
    assert!(command(&at, &["jobs", "retry", "--all"]).output().await.unwrap().status.success());
    let database =
        SqlitePool::connect(&format!("sqlite://{}", at.folder.join("bot.db").display())).await.unwrap();
    let quiet = async {
        const OPEN: &str = "SELECT (SELECT count(*) FROM jobs
                    WHERE state = 'dead' OR kind NOT IN ('close_quiet', 'expire', 'verify'))
                + (SELECT count(*) FROM outbox WHERE state = 'due')
                + (SELECT count(*) FROM approvals WHERE undoes IS NULL AND decision IS NULL)";
        while sqlx::query_scalar::<_, i64>(OPEN).fetch_one(&database).await.unwrap() > 0 {
            tokio::time::sleep(GLANCE * 10).await;
        }
    };
    tokio::time::timeout(PATIENCE, quiet).await.unwrap_or_else(|_| panic!("work is left (SEED={seed})"));
    serve.kill().await;
    approving.abort();
    let store = Store::open(&format!("sqlite://{}", at.folder.join("bot.db").display())).await.unwrap();
    let (mut seen, mut told) = (BTreeMap::new(), 0);
    for line in store.list(1_000).await.unwrap() {
        let service: usize = line.service.rsplit('-').next().unwrap().parse().unwrap();
        let stored: Vec<f64> =
            store.alerts(line.id).await.unwrap().into_iter().filter_map(|alert| alert.value).collect();
        for value in acknowledged.lock().unwrap().remove(&service).unwrap_or_default() {
            assert!(
                stored.contains(&value),
                "alert {value} of {} was acknowledged (SEED={seed})",
                line.service
            );
        }
        assert_eq!(line.alerts_received, stored.len() as i64, "{} (SEED={seed})", line.service);
        let place = store.incident(line.id).await.unwrap().unwrap().slack.unwrap();
        let own = |one: &Message| one.thread_ts.as_ref().unwrap_or(&one.ts) == &place.thread_ts;
        let thread: Vec<Message> = slack.messages(id::ALERTS).into_iter().filter(own).collect();
        told += thread.len();
        let is_broken = line.service == broken;
        if is_broken {
            let made = thread.iter().filter(|message| message.text.contains("Rolled back: ")).count();
            assert_eq!(made, 1, "the change is told once (SEED={seed})");
        }
        // How far it is known whether the change helped depends on how long the run took.
        let after =
            |kind: &String| is_broken && !["incident_headline", "incident_result"].contains(&kind.as_str());
        let kinds = thread.iter().map(|message| message.event_type().unwrap_or("other").to_owned());
        let kinds = kinds.filter(|kind| !after(kind)).collect();
        let state = if is_broken { "changed" } else { line.state.as_str() };
        let twice = seen.insert(line.service.clone(), (state.to_owned(), kinds));
        assert_eq!(twice, None, "{} has two incidents (SEED={seed})", line.service);
    }
    assert_eq!(*acknowledged.lock().unwrap(), BTreeMap::new(), "services without an incident (SEED={seed})");
    let stray = slack.messages(id::ALERTS).len() - told;
    assert_eq!(stray, 0, "messages outside of the incidents' threads (SEED={seed})");
    let made: Vec<String> = account.world.mutations().into_iter().map(|one| one.operation).collect();
    assert_eq!(made, ["lambda:UpdateAlias"], "the approved change is made once (SEED={seed})");
    assert_eq!(strays(&account.world, &store).await, Vec::<String>::new(), "(SEED={seed})");
    let decided = trail(&store, &["decided"]).await;
    assert_eq!(decided.len(), 1, "decided once (SEED={seed}): {decided:?}");
    Picture(seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_it_loses_no_alert_and_says_nothing_twice() {
    let (disturbed, undisturbed) = tokio::join!(play(3, 2), play(0, 2));
    assert_eq!(disturbed, undisturbed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute and more: tests/soak/kills.sh runs it"]
async fn killed_again_and_again_it_loses_no_alert_and_says_nothing_twice() {
    let (disturbed, undisturbed) = tokio::join!(play(asked_for("KILLS", 50), 8), play(0, 8));
    assert_eq!(disturbed, undisturbed);
}
