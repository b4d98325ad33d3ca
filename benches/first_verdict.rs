//! From the alarm to the root cause in the thread: the bot's own share, apart from the time in which
//! AWS or Slack were working on its requests.
//!
//! `cargo bench --bench first_verdict [-- ROUNDS]` plays the demo's story over the wire, reads how long
//! the endpoints were busy, and times the pure part alone on the same evidence, as a ratio to merely
//! parsing the evidence's files with serde_json.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use incident_commander::bundle;
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::{Addresses, Composition, story};

const PATIENCE: Duration = Duration::from_secs(60);
const REPEATS: u32 = 20;

fn main() -> anyhow::Result<()> {
    let rounds: usize = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(3);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("round  alarm to root cause   endpoints busy   the bot's own share");
    let mut files = BTreeMap::new();
    for round in 1..=rounds {
        let (total, busy, evidence) = runtime.block_on(play())?;
        files = evidence;
        let own = total.saturating_sub(busy);
        println!(
            "{round:>5}  {:>17.2} s  {:>13.2} s  {:>9.2} s ({:.0} %)",
            total.as_secs_f64(),
            busy.as_secs_f64(),
            own.as_secs_f64(),
            100.0 * own.as_secs_f64() / total.as_secs_f64()
        );
    }
    println!("(the own share holds its waits too: pacing below AWS's limits, polling of Logs Insights)");
    let parse = time(|| {
        for body in files.values() {
            for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let _: Result<serde_json::Value, _> = serde_json::from_slice(line);
            }
        }
    });
    let read = time(|| {
        let _ = bundle::from_files(&files);
    });
    let evidence = bundle::from_files(&files)?;
    let weigh = time(|| {
        let _ = incident_commander::analysis::investigate(&evidence);
    });
    println!();
    println!("parsing the evidence with serde_json   {:>8.2} ms   1.00", milliseconds(parse));
    println!(
        "reading it as evidence                 {:>8.2} ms   {:.2}",
        milliseconds(read),
        ratio(read, parse)
    );
    println!(
        "weighing it                            {:>8.2} ms   {:.2}",
        milliseconds(weigh),
        ratio(weigh, parse)
    );
    Ok(())
}

async fn play() -> anyhow::Result<(Duration, Duration, BTreeMap<String, Vec<u8>>)> {
    let story = story::find(story::DEFAULT).ok_or_else(|| anyhow::anyhow!("no default story"))?;
    let free = Addresses::from(([127, 0, 0, 1], 0).into());
    let demo = Composition::start(story, story::Past::default(), free, &|_, _| None).await?;
    let begun = Instant::now();
    let alarm = demo.raise_alarm()?;
    let result = demo
        .slack
        .wait_for("the root cause", PATIENCE, |slack| {
            slack
                .thread(id::ALERTS, &alarm)
                .into_iter()
                .find(|reply| reply.event_type() == Some("incident_result"))
        })
        .await;
    let done = Instant::now();
    result.map_err(anyhow::Error::msg)?;
    let busy = demo.tap.busy_between(begun, done);
    let incident = "INC-1".parse().map_err(anyhow::Error::msg)?;
    let files = demo.store().evidence(incident).await?;
    demo.stop().await;
    Ok((done - begun, busy, files))
}

/// The median of some repeats.
fn time(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..REPEATS)
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}
