//! A bot in a process of its own, armed to stop at a numbered point, whose clock its parent moves.
//!
//! The rule that is not obvious: it is this very test program, started once more to run the one test below. Nothing in
//! the product itself can be told to die.

use std::io::BufRead as _;
use std::process::Stdio;
use std::sync::Arc;

use incident_commander::app::{self, Bot};
use incident_commander::clock::Clock;
use incident_commander::config::{Config, Secret, Settings};
use incident_commander::fail_points::{FailPoints, Point};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Notify, watch};

use crate::house::{PATIENCE, settings};

const ORDER: &str = "COMMANDER_TEST_VICTIM";
/// What a line for the parent begins with; the test harness writes lines of its own.
const WORD: &str = "VICTIM ";

/// Where a process stops for good: the how-manieth time it comes to this point, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    pub point: Point,
    pub passes: u32,
}

/// What the process is told at its start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub folder: std::path::PathBuf,
    pub config: String,
    pub slack_api_url: String,
    pub aws_endpoint_url: String,
    pub access_key: String,
    pub now: Timestamp,
    /// The number of the point, and how many pass it before.
    pub stop: Option<(u8, u32)>,
}

impl Order {
    pub fn database_url(&self) -> String {
        settings(&self.folder).database_url
    }

    fn settings(&self) -> Settings {
        let mut settings = settings(&self.folder);
        settings.config = Config::parse(&self.config).unwrap();
        settings.slack_bot_token = Some(Secret::Value("xoxb-demo".into()));
        settings.slack_api_url = Some(self.slack_api_url.clone());
        settings.aws_endpoint_url = Some(self.aws_endpoint_url.clone());
        settings.aws_credentials.as_mut().unwrap().id.clone_from(&self.access_key);
        settings
    }
}

pub struct Victim {
    child: Child,
    clock: ChildStdin,
    said: watch::Receiver<Said>,
    pub url: String,
}

#[derive(Debug, Default, Clone)]
struct Said {
    url: Option<String>,
    reached: bool,
    /// How often it was told the time and took it over.
    ticks: u64,
}

impl Victim {
    pub async fn start(order: &Order) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::victim::one_of_those", "--ignored", "--nocapture", "--test-threads=1"])
            .env(ORDER, serde_json::to_string(order).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (tell, mut said) = watch::channel(Said::default());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let Some((_, line)) = line.split_once(WORD) else { continue };
                tell.send_modify(|said| match line.split_once(' ') {
                    Some(("listening", url)) => said.url = Some(url.to_owned()),
                    Some(("ticks", count)) => said.ticks = count.parse().unwrap(),
                    _ => said.reached = true,
                });
            }
        });
        let clock = child.stdin.take().unwrap();
        let url = tokio::time::timeout(PATIENCE, said.wait_for(|said| said.url.is_some()));
        let url = url.await.expect("the process starts").expect("it lives").url.clone().unwrap();
        Self { child, clock, said, url }
    }

    /// Whether it has come to where it is to die.
    pub fn has_reached(&self) -> bool {
        self.said.borrow().reached
    }

    /// Waits until it has.
    pub async fn reaches(&self) {
        let mut said = self.said.clone();
        if said.wait_for(|said| said.reached).await.is_err() {
            // It ended otherwise: whoever waits for its answer hears of that.
            std::future::pending::<()>().await;
        }
    }

    /// Moves its clock, and waits until it shows.
    pub async fn pass(&mut self, seconds: u64) {
        let before = self.said.borrow().ticks;
        self.clock.write_all(format!("{seconds}\n").as_bytes()).await.unwrap();
        let ticked = self.said.wait_for(|said| said.ticks > before);
        tokio::time::timeout(PATIENCE, ticked).await.expect("the process lives").expect("it tells");
    }

    /// `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

fn point(number: u8) -> Point {
    Point::all().find(|point| *point as u8 == number).unwrap()
}

#[test]
#[ignore = "is what the tests beside it start as a process of its own"]
fn one_of_those() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let order: Order = serde_json::from_str(&order).unwrap();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(8 * 1024 * 1024)
        .enable_all()
        .build()
        .unwrap()
        .block_on(live(order));
}

async fn live(order: Order) {
    let clock = Clock::manual(order.now);
    let mut bench = app::assemble(&order.settings(), clock.clone()).await.unwrap();
    let reached = Arc::new(Notify::new());
    if let Some((number, passes)) = order.stop {
        bench.fail_points = FailPoints::armed_after(point(number), passes, reached.clone());
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bot = Bot::start_with(bench, listener, None).unwrap();
    println!("{WORD}listening http://{}", bot.address());
    tokio::spawn(async move {
        reached.notified().await;
        println!("{WORD}reached");
    });
    let obey = move || {
        for (index, line) in std::io::stdin().lock().lines().map_while(Result::ok).enumerate() {
            clock.advance(SignedDuration::from_secs(line.parse().unwrap()));
            println!("{WORD}ticks {}", index + 1);
        }
    };
    tokio::task::spawn_blocking(obey).await.unwrap();
    // The parent is gone: nobody is left to look at this one.
    std::process::exit(0);
}
