//! Every metric that the bot tells, with its kind, its label and what it is.
//!
//! The rule that is not obvious: a metric that is not in this table is told without a word on what it is, and a
//! test fails for it; dashboards and alert rules in `deploy/` are held against the same table.

/// What all names begin with.
pub const PREFIX: &str = "incident_commander_";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives; its name ends in `_total`.
    Counter,
    Gauge,
    /// Of seconds; its name ends in `_seconds`.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Without prefix, and without the ending that its kind gives it.
    pub name: &'static str,
    pub kind: Kind,
    /// The label's name and the values that are told from the start; empty where values come with the calls.
    pub label: Option<(&'static str, &'static [&'static str])>,
    pub help: &'static str,
}

impl Metric {
    /// As Prometheus knows it.
    pub fn full_name(&self) -> String {
        full_name(self.name, self.kind)
    }
}

pub(super) fn full_name(name: &str, kind: Kind) -> String {
    let ending = match kind {
        Kind::Counter => "_total",
        Kind::Gauge => "",
        Kind::Histogram => "_seconds",
    };
    format!("{PREFIX}{name}{ending}")
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, label: None, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, label: None, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, label: None, help }
}

impl Metric {
    const fn by(self, label: &'static str, values: &'static [&'static str]) -> Self {
        Self { label: Some((label, values)), ..self }
    }
}

const AGENTS: &[&str] = &["logs", "metrics", "deploy"];
const ROUTES: &[&str] = &["alert", "incidents", "logs", "slack", "sns"];
const DECISIONS: &[&str] = &["approved", "rejected", "expired"];

/// All of them, in order of their names.
pub const METRICS: &[Metric] = &[
    histogram("agent", "How long an agent read.").by("agent", AGENTS),
    counter("agent_failures", "Agents that could read nothing.").by("agent", AGENTS),
    counter("alerts_accepted", "Alerts that are stored."),
    counter("alerts_held", "Alerts that are stored and held back by a mute."),
    counter("alerts_refused", "Alert bodies that could not be read."),
    counter("approvals_decided", "Approvals that ended, by how.").by("decision", DECISIONS),
    counter("approvals_refused", "Clicks that did not count."),
    gauge("approvals_waiting", "Approvals that nobody has decided yet."),
    counter("authentications_failed", "Requests without a valid token or signature.").by("route", ROUTES),
    counter("aws_calls", "Calls of AWS, by service; one that the SDK repeats counts once.")
        .by("service", &[]),
    counter("aws_failures", "Calls of AWS that failed, throttled ones among them.").by("service", &[]),
    counter("aws_throttles", "Calls of AWS that were throttled, also when repeated.").by("service", &[]),
    counter("aws_waited_seconds", "How long calls of AWS waited for their turn, all together.")
        .by("service", &[]),
    counter("aws_waits", "Calls of AWS that waited for their turn below its limits.").by("service", &[]),
    gauge("build_info", "Always 1; the version that runs.").by("version", &[]),
    gauge("connections", "Connections that are open to the bot's listener."),
    counter("database_failures", "Times that the database could not be read or written."),
    gauge("dependency_down", "1 while a dependency did not answer last time.").by("dependency", &[]),
    histogram("gathering", "How long all agents of an investigation took."),
    gauge("incidents_open", "Incidents that are not resolved."),
    gauge("jobs_dead", "Jobs that were put aside after too many attempts."),
    gauge("jobs_oldest_seconds", "How long the oldest job that is due has waited."),
    counter("jobs_put_aside", "Jobs that were put aside after too many attempts, since the start."),
    gauge("jobs_waiting", "Jobs that wait to be done."),
    counter("logs_refused", "Deliveries of log lines that could not be read."),
    gauge("messages_dead", "Messages that Slack refused for good."),
    counter("messages_edited", "Messages that were edited in Slack."),
    counter("messages_found_again", "Messages that Slack had taken although its answer was lost."),
    gauge("messages_oldest_seconds", "How long the oldest message that Slack does not show yet is owed."),
    counter("messages_posted", "Messages that were posted to Slack."),
    counter("messages_shortened", "Messages that went in their short form."),
    counter("messages_undelivered", "Messages that were given up."),
    gauge("messages_waiting", "Messages that Slack does not show yet."),
    counter("questions_answered", "Questions about an alert's service that somebody answered."),
    counter("questions_unanswered", "Questions about an alert's service that nobody answered."),
    counter("recoveries", "Rollbacks after which the service recovered."),
    counter("recoveries_failed", "Rollbacks after which the service did not recover."),
    counter("requests_limited", "Failed authentications beyond what one address may make.")
        .by("route", ROUTES),
    counter("rollbacks_applied", "Rollbacks that are in place."),
    counter("rollbacks_not_applied", "Rollbacks that were approved and are not in place."),
    counter("slack_calls", "Calls of Slack that succeeded."),
    counter("slack_calls_failed", "Calls of Slack that failed."),
    counter("slack_envelopes_redelivered", "What Slack sent a second time over Socket Mode."),
    gauge("start_time_seconds", "When the process started, in seconds since 1970."),
    histogram("step", "How long a job's step took."),
    counter("steps_failed", "Steps that failed and are tried again, or put aside."),
    histogram("time_to_first_verdict", "From an incident's opening to its first verdict."),
    histogram("time_to_verdict", "From the start of an investigation to its verdict."),
    counter("verdicts", "Verdicts that were reached."),
    counter("verdicts_judged", "Verdicts of which somebody said whether they were right."),
];

/// The table's line for a name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_prometheus_conventions() {
        for metric in METRICS {
            let full = metric.full_name();
            assert!(full.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{full}");
            assert!(metric.help.ends_with('.'), "{full}: {}", metric.help);
            let ended = full.ends_with("_total");
            assert_eq!(ended, metric.kind == Kind::Counter, "{full}");
        }
        assert!(METRICS.is_sorted_by(|one, other| one.name < other.name));
    }
}
