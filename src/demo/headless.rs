//! `demo --headless`: the story from the alarm to its end, without a browser, and whether it ended
//! as it should.
//!
//! The rule that is not obvious: the driver does only what people and other tools can do: it posts
//! the alarm, clicks, and reads the stored incident. What it prints comes from the channel.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::composition::{Addresses, Composition};
use super::criteria::{self, Criterion};
use super::slack::workspace::id;
use super::slack::{Author, Message, SlackWorld};
use super::story::{Past, Story, on};
use crate::cli::Format;

/// The root cause must be in the thread by then; [`DEADLINE`] is stricter where the demo is timed.
const RESULT_WITHIN: Duration = Duration::from_mins(1);
/// From the approval to the word about recovery. With three seconds' groups of orders and
/// ten-second metrics the figures are clear after about twenty.
const RECOVERY_WITHIN: Duration = Duration::from_secs(45);
/// A refusal is answered privately within this time.
const REFUSAL_WITHIN: Duration = Duration::from_secs(30);
/// Orders that were under way when a version came into service end as before.
const IN_FLIGHT: jiff::SignedDuration = jiff::SignedDuration::from_secs(3);
/// Everything together.
const DEADLINE: Duration = Duration::from_secs(58);

/// How many hours of history a story has, for people.
pub fn hours(past: &Past, story: &Story) -> i64 {
    (on(past.day, story.live_from).duration_since(on(past.day, past.from)).as_secs() + 1800) / 3600
}

/// How a story ended.
#[derive(Debug)]
pub struct Ending {
    /// The stored incident, as `GET /incidents/INC-1` gives it.
    pub incident: Value,
    /// The alarm's message and its replies.
    pub thread: Vec<Value>,
    pub criteria: Vec<Criterion>,
    /// From the alarm to the result in its thread.
    pub to_root_cause: Duration,
}

/// Plays the story to its end.
///
/// # Errors
/// Where something does not come in time, and where a criterion does not hold.
pub async fn play(story: Story, past: Past, format: Format) -> anyhow::Result<()> {
    let begun = Instant::now();
    let teller = Teller { begun, to_stdout: format == Format::Text };
    teller.tell(&format!("{}. {}", story.title, story.about));
    let free = Addresses::from(([127, 0, 0, 1], 0).into());
    let demo = Box::pin(Composition::start(story, past, free, &|_, _| None)).await?;
    teller.tell(&format!(
        "{} hours of history were made in {:.1} s; the world's clock shows {}",
        hours(&demo.past, &demo.story),
        demo.history_took.as_secs_f64(),
        demo.world.now().strftime("%Y-%m-%d %H:%M:%S UTC")
    ));
    let watching = tokio::spawn(watch(demo.slack.clone(), teller));
    let left = DEADLINE.saturating_sub(begun.elapsed());
    let outcome = tokio::time::timeout(left, tell_story(&demo, &|what| teller.tell(what))).await;
    watching.abort();
    let figures = error_rates(&demo);
    demo.stop().await;
    let outcome = outcome.context("the story did not end within 58 s")??;
    finish(&outcome, &figures, begun, format)
}

/// Hears what the driver does.
pub type Listener<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Raises the alarm and does what people do until the story has ended.
///
/// # Errors
/// Where something does not come in time. A criterion that does not hold is no error here.
pub async fn tell_story(demo: &Composition, tell: Listener<'_>) -> anyhow::Result<Ending> {
    let slack = &demo.slack;
    let alarmed = Instant::now();
    let alarm = demo.raise_alarm()?;
    let result = slack
        .wait_for("the root cause in the alarm's thread", RESULT_WITHIN, |slack| {
            slack
                .thread(id::ALERTS, &alarm)
                .into_iter()
                .find(|reply| reply.event_type() == Some("incident_result"))
        })
        .await
        .map_err(anyhow::Error::msg)?;
    let to_root_cause = alarmed.elapsed();
    let incident_id = result
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.pointer("/event_payload/incident")?.as_str())
        .context("the result names no incident")?
        .to_owned();
    tell(&format!("{incident_id}: the result came {:.1} s after the alarm", to_root_cause.as_secs_f64()));
    if demo.story.heals_by_rollback() {
        approve(demo, &result, &alarm, tell).await?;
    }
    let url = format!("{}/incidents/{incident_id}", demo.bot_url());
    let incident: Value = reqwest::get(&url).await?.error_for_status()?.json().await?;
    let thread = thread_of(slack, &alarm).iter().map(|message| slack.message_json(message)).collect();
    let criteria = criteria::judge(&demo.story, &incident);
    Ok(Ending { incident, thread, criteria, to_root_cause })
}

/// A stranger clicks in vain, an approver clicks, and the recovery is awaited.
async fn approve(
    demo: &Composition,
    result: &Message,
    alarm: &str,
    tell: Listener<'_>,
) -> anyhow::Result<()> {
    let slack = &demo.slack;
    let (ts, button) = slack
        .wait_for("the Rollback button", RESULT_WITHIN, |slack| {
            thread_of(slack, alarm)
                .into_iter()
                .find(|message| message.action_ids().contains(&"rollback_approve"))
                .map(|message| (message.ts.clone(), "rollback_approve"))
        })
        .await
        .map_err(|error| anyhow::anyhow!("{error}; the result offers {:?}", result.action_ids()))?;
    tell("Sam, who is no approver, clicks Rollback");
    slack.click(id::STRANGER, id::ALERTS, &ts, button).await?;
    let refusal = slack
        .wait_for("a private answer to Sam", REFUSAL_WITHIN, |slack| slack.ephemerals(id::STRANGER).pop())
        .await
        .map_err(anyhow::Error::msg)?;
    tell(&format!("only Sam sees: {}", first_line(&refusal.message.text)));
    tell("Alex, an approver who did not ask for it, clicks Rollback and confirms");
    slack.click(id::APPROVER, id::ALERTS, &ts, button).await?;
    slack
        .wait_for("the word about recovery", RECOVERY_WITHIN, |slack| {
            thread_of(slack, alarm)
                .into_iter()
                .find(|message| message.event_type() == Some("incident_recovery"))
        })
        .await
        .map_err(anyhow::Error::msg)?;
    Ok(())
}

/// The alarm's message and its replies.
fn thread_of(slack: &SlackWorld, alarm: &str) -> Vec<Message> {
    slack.message(id::ALERTS, alarm).into_iter().chain(slack.thread(id::ALERTS, alarm)).collect()
}

/// Error rates as the shop had them: before the trouble, in it, and, where somebody put another
/// version into service since the alarm, after that. A span of ten seconds counts where it lies
/// wholly inside.
fn error_rates(demo: &Composition) -> Vec<(&'static str, f64)> {
    let alarm = on(demo.past.day, demo.story.alarm.at);
    let rate = |from: Timestamp, until: Timestamp| {
        let from = Timestamp::from_second((from.as_second() + 9).div_euclid(10) * 10).unwrap_or(from);
        let spans = demo.stage.tally.spans(from, until, 10);
        let (orders, failures) =
            spans.iter().fold((0, 0), |sum, (_, span)| (sum.0 + span.orders, sum.1 + span.failures));
        (orders > 0).then(|| failures as f64 / orders as f64)
    };
    let before = |minutes| alarm.saturating_sub(jiff::SignedDuration::from_mins(minutes)).unwrap_or(alarm);
    let since_release = demo
        .stage
        .releases()
        .last()
        .filter(|(at, _)| *at > alarm)
        .and_then(|(at, _)| rate(at.saturating_add(IN_FLIGHT).ok()?, demo.world.now()));
    [
        ("an hour before the alarm", rate(before(60), before(30))),
        ("in the minute before the alarm", rate(before(1), alarm)),
        ("since another version is in service", since_release),
    ]
    .into_iter()
    .filter_map(|(when, rate)| Some((when, rate?)))
    .collect()
}

fn finish(
    outcome: &Ending,
    figures: &[(&'static str, f64)],
    begun: Instant,
    format: Format,
) -> anyhow::Result<()> {
    let memory = peak_memory_mib();
    let total = begun.elapsed();
    match format {
        Format::Text => {
            println!();
            for Criterion { name, holds, found } in &outcome.criteria {
                println!("{} {name}: {found}", if *holds { "[ok]  " } else { "[FAIL]" });
            }
            println!();
            for (when, rate) in figures {
                println!("error rate {when}: {:.1} %", rate * 100.0);
            }
            println!(
                "from the alarm to the root cause in the thread: {:.1} s",
                outcome.to_root_cause.as_secs_f64()
            );
            if let Some(memory) = memory {
                println!("peak memory of the process, doubles and history included: {memory:.0} MiB");
            }
            println!("everything together: {:.1} s", total.as_secs_f64());
        }
        Format::Json => {
            let mut incident = outcome.incident.clone();
            if let Some(object) = incident.as_object_mut() {
                object.insert("thread".to_owned(), json!(outcome.thread));
                object.insert("criteria".to_owned(), json!(outcome.criteria));
                object.insert(
                    "measured".to_owned(),
                    json!({
                        "seconds_to_root_cause": outcome.to_root_cause.as_secs_f64(),
                        "seconds_in_all": total.as_secs_f64(),
                        "peak_memory_mib": memory,
                        "error_rates": figures.iter().copied().collect::<BTreeMap<_, _>>(),
                    }),
                );
            }
            println!("{}", serde_json::to_string_pretty(&incident)?);
        }
    }
    let failed = outcome.criteria.iter().filter(|criterion| !criterion.holds).count();
    anyhow::ensure!(failed == 0, "{failed} of {} criteria do not hold", outcome.criteria.len());
    Ok(())
}

/// Prints what happens, with the seconds since the start.
#[derive(Clone, Copy)]
struct Teller {
    begun: Instant,
    to_stdout: bool,
}

impl Teller {
    fn tell(self, what: &str) {
        let line = format!("{:5.1} s  {what}", self.begun.elapsed().as_secs_f64());
        if self.to_stdout { println!("{line}") } else { eprintln!("{line}") }
    }
}

/// Prints every message and every change of one as it comes.
async fn watch(slack: SlackWorld, teller: Teller) {
    use super::slack::Update;
    let mut updates = slack.subscribe();
    let mut told = BTreeMap::new();
    loop {
        let (channel, ts) = match updates.recv().await {
            Ok(Update::MessagePosted { channel, ts } | Update::MessageChanged { channel, ts }) => {
                (channel, ts)
            }
            Ok(_) | Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let Some(message) = slack.message(&channel, &ts) else { continue };
        let line = format!("{}: {}", author(&slack, &message), first_line(&shown(&message)));
        if told.insert(ts, line.clone()).as_ref() != Some(&line) {
            teller.tell(&line);
        }
    }
}

fn author(slack: &SlackWorld, message: &Message) -> String {
    match &message.author {
        Author::App => "Incident Commander".to_owned(),
        Author::User { user } => {
            slack.workspace().user(user).map_or_else(|| user.clone(), |user| user.display_name.clone())
        }
        Author::Bot { bot, username, .. } => {
            let name = slack.workspace().bot(bot).map(|bot| bot.name.clone());
            username.clone().or(name).unwrap_or_else(|| bot.clone())
        }
    }
}

fn shown(message: &Message) -> String {
    if !message.text.is_empty() {
        return message.text.clone();
    }
    let fallback = message.attachments.first().and_then(|first| first["fallback"].as_str());
    let picture = message.blocks.iter().find_map(|block| block["alt_text"].as_str());
    let shared = if message.files.is_empty() { "a message without text" } else { "a picture" };
    fallback.or(picture).unwrap_or(shared).to_owned()
}

fn first_line(text: &str) -> String {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().chars().take(240).collect()
}

/// The most memory that the process ever had, from the kernel; `None` where there is no such file.
fn peak_memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}
