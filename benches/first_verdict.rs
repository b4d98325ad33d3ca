//! From the alarm to the root cause in the thread: the bot's own share, apart from the time in which
//! AWS or Slack were working on its requests.
//!
//! `cargo bench --bench first_verdict [-- ROUNDS]` plays the demo's story over the wire, reads how long
//! the endpoints were busy, and times the pure part alone on the same evidence, as a ratio to merely
//! parsing the evidence's files with serde_json. The same once more with AWS as slow as it is (Insights three
//! seconds, the other calls 100 to 400 ms): the time to the verdict as a ratio to the slowest single source, which is
//! the log lines of the same window, read once more with nothing else to do; beside it what one query of no lines
//! would take, the calls made and their price.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use incident_commander::aws::logs;
use incident_commander::bundle;
use incident_commander::demo::slack::workspace::id;
use incident_commander::demo::{Addresses, Composition, story};
use incident_commander::domain::cost::Cost;

const PATIENCE: Duration = Duration::from_secs(60);
const REPEATS: u32 = 20;

fn main() -> anyhow::Result<()> {
    let rounds: usize = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(3);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("round  alarm to root cause   endpoints busy   the bot's own share");
    let mut files = BTreeMap::new();
    for round in 1..=rounds {
        let Played { total, busy, files: evidence, .. } = runtime.block_on(play(false))?;
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
    println!();
    println!("with realistic latencies");
    println!(
        "round  alarm to root cause   slowest source alone   ratio   one query of no lines   calls and price"
    );
    for round in 1..=rounds {
        let played = runtime.block_on(play(true))?;
        let cost = played.cost.as_ref().map(Cost::describe).unwrap_or_default();
        println!(
            "{round:>5}  {:>17.2} s  {:>18.2} s   {:>5.2}   {:>19.2} s   {cost}",
            played.total.as_secs_f64(),
            played.lines_alone.as_secs_f64(),
            ratio(played.total, played.lines_alone),
            empty_query().as_secs_f64(),
        );
    }
    println!();
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

/// How long AWS takes, as measured from within its Region: the listings and descriptions of a control plane need
/// some tenths of a second, metrics and log results a little more for what they carry.
const LATENCIES: [(&str, u64); 14] = [
    ("sts:*", 100),
    ("lambda:*", 150),
    ("logs:DescribeLogGroups", 150),
    ("logs:StartQuery", 200),
    ("logs:GetQueryResults", 200),
    ("logs:FilterLogEvents", 300),
    ("cloudwatch:ListMetrics", 300),
    ("cloudwatch:GetMetricData", 400),
    ("cloudtrail:LookupEvents", 400),
    ("ecs:*", 200),
    ("ssm:*", 150),
    ("appconfig:*", 150),
    ("codedeploy:*", 200),
    ("cloudformation:*", 200),
];
const INSIGHTS: Duration = Duration::from_secs(3);

/// One query as fast as can be: started, run, and its result taken at the moment at which it is there.
fn empty_query() -> Duration {
    let calls =
        LATENCIES.iter().filter(|(call, _)| matches!(*call, "logs:StartQuery" | "logs:GetQueryResults"));
    INSIGHTS + calls.map(|(_, milliseconds)| Duration::from_millis(*milliseconds)).sum::<Duration>()
}

struct Played {
    /// From the alarm's message to the root cause in its thread.
    total: Duration,
    /// How long AWS or Slack worked on requests of that time.
    busy: Duration,
    /// How long the log lines of the same window take, read alone.
    lines_alone: Duration,
    cost: Option<Cost>,
    files: BTreeMap<String, Vec<u8>>,
}

async fn play(slow: bool) -> anyhow::Result<Played> {
    let story = story::find(story::DEFAULT).ok_or_else(|| anyhow::anyhow!("no default story"))?;
    let free = Addresses::from(([127, 0, 0, 1], 0).into());
    let demo = Composition::start(story, story::Past::default(), free, &|_, _| None).await?;
    if slow {
        for (calls, milliseconds) in LATENCIES {
            demo.world.set_latency(calls, Duration::from_millis(milliseconds));
        }
        demo.world.set_insights_time(INSIGHTS);
    }
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
    let (total, busy) = (done - begun, demo.tap.busy_between(begun, done));
    let incident = "INC-1".parse().map_err(anyhow::Error::msg)?;
    let files = demo.store().evidence(incident).await?;
    let known = bundle::from_files(&files)?;
    let begun = Instant::now();
    let until = tokio::time::Instant::now() + PATIENCE;
    let groups = &known.scope.resources.log_groups;
    logs::read(demo.bench().aws.own(), groups, known.alert.at, known.scope.now, until).await;
    let lines_alone = begun.elapsed();
    let row = demo.store().incident_row(incident).await?;
    let cost = row.and_then(|row| row.report).and_then(|report| report.cost);
    demo.stop().await;
    Ok(Played { total, busy, lines_alone, cost, files })
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
