//! `serve` under load, killed at random again and again; compared with one that nobody killed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use incident_commander::demo::slack::pace::Pace;
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::slack::{Message, Options, SlackWorld};
use incident_commander::store::Store;
use jiff::Timestamp;
use serde_json::json;
use sqlx::SqlitePool;
use tokio::sync::watch;

use super::serve::{Serve, surroundings};
use super::{GLANCE, asked_for};
use crate::house::PATIENCE;

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

async fn play(kills: usize, services: usize) -> Picture {
    let seed = asked_for("SEED", 7) as u64;
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let slack = SlackWorld::new(Options { pace: Pace::unlimited(), ..Options::default() });
    let config = format!("[slack]\nalert_channels = [\"{}\"]\n[incidents]\nlook_again = []\n", id::ALERTS);
    let (_account, at) = surroundings(folder.path(), &config, Some(&slack)).await;
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
            tokio::spawn(sender.send(first, services))
        })
        .collect();
    for kill in 0..kills {
        let serve = Serve::start(&at).await;
        tell_url.send_replace(Some(serve.url.clone()));
        let enough = *counted.borrow() + random.u64(LIVES_FOR);
        let came = tokio::time::timeout(PATIENCE, counted.wait_for(|count| *count >= enough)).await;
        came.unwrap_or_else(|_| panic!("nothing is acknowledged before kill {kill} (SEED={seed})")).unwrap();
        tokio::time::sleep(Duration::from_millis(random.u64(MOMENT))).await;
        serve.kill().await;
        tell_url.send_replace(None);
    }
    let serve = Serve::start(&at).await;
    tell_url.send_replace(Some(serve.url.clone()));
    tell_stop.send_replace(true);
    for sender in senders {
        sender.await.unwrap();
    }
    let database =
        SqlitePool::connect(&format!("sqlite://{}", at.folder.join("bot.db").display())).await.unwrap();
    let quiet = async {
        const OPEN: &str = "SELECT (SELECT count(*) FROM jobs WHERE state = 'dead' OR kind <> 'close_quiet')
                + (SELECT count(*) FROM outbox WHERE state = 'due')";
        while sqlx::query_scalar::<_, i64>(OPEN).fetch_one(&database).await.unwrap() > 0 {
            tokio::time::sleep(GLANCE * 10).await;
        }
    };
    tokio::time::timeout(PATIENCE, quiet).await.unwrap_or_else(|_| panic!("work is left (SEED={seed})"));
    serve.kill().await;
    let store = Store::open(&format!("sqlite://{}", at.folder.join("bot.db").display())).await.unwrap();
    let mut seen = BTreeMap::new();
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
        let thread = slack.messages(id::ALERTS).into_iter().filter(own);
        let kinds = thread.map(|message| message.event_type().unwrap_or("other").to_owned()).collect();
        let twice = seen.insert(line.service.clone(), (line.state.as_str().to_owned(), kinds));
        assert_eq!(twice, None, "{} has two incidents (SEED={seed})", line.service);
    }
    assert_eq!(*acknowledged.lock().unwrap(), BTreeMap::new(), "services without an incident (SEED={seed})");
    let stray = slack.messages(id::ALERTS).len()
        - seen.values().map(|(_, kinds): &(_, Vec<_>)| kinds.len()).sum::<usize>();
    assert_eq!(stray, 0, "messages outside of the incidents' threads (SEED={seed})");
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
