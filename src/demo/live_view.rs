//! What the page shows beside the channel: the checkout service's figures, its configuration, and
//! what changed when.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::page::{Mark, ServicePoint, ServiceView};
use super::story::{ALIAS, Span, Stage, Story};
use crate::checkout::SERVICE_NAME;

/// How often the view is made anew.
const EVERY: Duration = Duration::from_secs(2);
/// How much of the past it shows.
const SHOWN: SignedDuration = SignedDuration::from_mins(45);
/// One point of the charts.
const POINT_SECONDS: i64 = 10;

/// Keeps the view up to date until nobody looks any more.
pub async fn keep(stage: Arc<Stage>, story: Story, view: watch::Sender<ServiceView>) {
    loop {
        let now = stage.world.now();
        if let Some((version, config)) = stage.world.live_configuration(SERVICE_NAME, ALIAS) {
            let marks = stage
                .releases()
                .into_iter()
                .map(|(at, version)| Mark { at, label: format!("version {version}") })
                .collect();
            let points = points(&stage, now);
            view.send_modify(|view| {
                SERVICE_NAME.clone_into(&mut view.name);
                view.version = version;
                view.config = config;
                view.points = points;
                view.marks = marks;
                story.name.clone_into(&mut view.scenario);
            });
        }
        if view.is_closed() {
            return;
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn points(stage: &Stage, now: Timestamp) -> Vec<ServicePoint> {
    let from = now.saturating_sub(SHOWN).unwrap_or(now);
    stage.tally.spans(from, now, POINT_SECONDS).into_iter().map(|(at, span)| point(at, &span)).collect()
}

fn point(at: Timestamp, span: &Span) -> ServicePoint {
    let requests = span.orders as f64;
    let error_rate = if span.orders == 0 { 0.0 } else { span.failures as f64 / requests };
    ServicePoint { at, requests, error_rate, p99_ms: span.percentile(0.99) as f64 }
}
