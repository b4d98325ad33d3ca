//! Small incidents made by hand: a Lambda service behind an alias, two hours of minutes, one knob at
//! a time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::alert::Alert;
use crate::domain::evidence::{
    Actor, Evidence, FunctionAlias, FunctionHistory, FunctionVersion, LogEvent, Releases, Resources, Scope,
    Series, TrailRecord,
};

/// 2026-02-06 10:30:00 UTC; the alert comes at minute 105, now is minute 110.
const START: i64 = 1_770_373_800;
pub const MINUTES: usize = 110;
/// The trouble begins here unless a test says otherwise.
pub const ONSET: usize = 90;

pub fn at(minute: f64) -> Timestamp {
    Timestamp::from_millisecond(START * 1000 + (minute * 60_000.0) as i64).unwrap()
}

pub struct Incident {
    pub evidence: Evidence,
    random: fastrand::Rng,
}

impl Incident {
    /// A calm service with logs, metrics of itself, a dependency and a peer, and an empty trail.
    pub fn calm() -> Self {
        let scope = Scope {
            service: "checkout".to_owned(),
            region: "eu-west-1".to_owned(),
            account: "123456789012".to_owned(),
            now: at(MINUTES as f64),
            resources: Resources { lambda: vec!["checkout".to_owned()], ..Resources::default() },
            depends_on: vec!["payments".to_owned()],
            peers: vec!["search".to_owned(), "profile".to_owned()],
        };
        let alert = Alert {
            service: "checkout".to_owned(),
            at: at(105.0),
            metric: None,
            value: None,
            threshold: None,
            severity: None,
            alert_name: None,
            source: None,
        };
        let function = FunctionHistory { versions: Some(Vec::new()), aliases: Some(Vec::new()) };
        let mut incident = Self {
            evidence: Evidence {
                scope,
                alert,
                logs: Some(Vec::new()),
                series: Some(Vec::new()),
                trail: Some(Vec::new()),
                functions: BTreeMap::from([("checkout".to_owned(), function)]),
                ecs_services: Vec::new(),
                task_definitions: None,
                parameters: None,
                appconfig: None,
                releases: Releases::default(),
                snapshots: Vec::new(),
                trials: Vec::new(),
                gaps: Vec::new(),
                cost: None,
            },
            random: fastrand::Rng::with_seed(1),
        };
        for name in ["checkout", "payments", "search", "profile"] {
            incident.metrics(name, |_| 100.0, |_| 0.01);
        }
        incident
    }

    /// Replaces a service's series: requests and the share of failures by minute.
    pub fn metrics(
        &mut self,
        name: &str,
        requests: impl Fn(usize) -> f64,
        failing: impl Fn(usize) -> f64,
    ) -> &mut Self {
        let noise: Vec<f64> = (0..MINUTES).map(|_| self.random.f64() - 0.5).collect();
        let totals: Vec<f64> =
            (0..MINUTES).map(|minute| (requests(minute) * (1.0 + 0.1 * noise[minute])).round()).collect();
        let bad: Vec<f64> = (0..MINUTES)
            .map(|minute| (totals[minute] * failing(minute) + noise[MINUTES - 1 - minute]).round().max(0.0))
            .collect();
        self.series(name, "AWS/Lambda", "Invocations", "Sum", |minute| Some(totals[minute]));
        self.series(name, "AWS/Lambda", "Errors", "Sum", |minute| Some(bad[minute]))
    }

    pub fn series(
        &mut self,
        name: &str,
        namespace: &str,
        metric: &str,
        stat: &str,
        value: impl Fn(usize) -> Option<f64>,
    ) -> &mut Self {
        let dimensions = vec![("FunctionName".to_owned(), name.to_owned())];
        let all = self.evidence.series.get_or_insert_default();
        all.retain(|known| !(known.metric == metric && known.stat == stat && known.dimensions == dimensions));
        all.push(Series {
            namespace: namespace.to_owned(),
            metric: metric.to_owned(),
            dimensions,
            stat: stat.to_owned(),
            period: 60,
            points: (0..MINUTES)
                .filter_map(|minute| value(minute).map(|value| (at(minute as f64), value)))
                .collect(),
        });
        self
    }

    /// The service fails a share of its requests from `ONSET` on, and says so.
    pub fn failing(&mut self, share: f64, message: &str) -> &mut Self {
        self.metrics("checkout", |_| 100.0, |minute| if minute >= ONSET { share } else { 0.01 });
        self.logs(|minute, index| (minute >= ONSET && index < 3).then(|| message.to_owned()))
    }

    /// Ten lines a minute; `failure` gives the message of those that fail. The version is the one that
    /// serves at that minute.
    pub fn logs(&mut self, failure: impl Fn(usize, usize) -> Option<String>) -> &mut Self {
        let deployed = self.deployed_at();
        let mut events = Vec::new();
        for minute in 0..MINUTES {
            for index in 0..10 {
                let when = at(minute as f64 + index as f64 / 10.0 + 0.02);
                let version = if deployed.is_some_and(|deployed| when >= deployed) { "2" } else { "1" };
                events.push(event(when, version, failure(minute, index).as_deref()));
            }
        }
        self.evidence.logs = Some(events);
        self
    }

    /// Ten lines a minute of what serves without an alias, by minute and place within it.
    pub fn lines(&mut self, line: impl Fn(usize, usize) -> String) -> &mut Self {
        let mut events = Vec::new();
        for minute in 0..MINUTES {
            for index in 0..10 {
                let mut told = event(at(minute as f64 + index as f64 / 10.0 + 0.02), "$LATEST", None);
                told.message = line(minute, index);
                events.push(told);
            }
        }
        self.evidence.logs = Some(events);
        self
    }

    /// One more line, in no hurry.
    pub fn say(&mut self, minute: f64, text: &str) -> &mut Self {
        let mut told = event(at(minute), "2", None);
        told.message = json!({"level": "INFO", "message": text}).to_string();
        self.evidence.logs.get_or_insert_default().push(told);
        self
    }

    fn deployed_at(&self) -> Option<Timestamp> {
        self.evidence
            .trail
            .iter()
            .flatten()
            .find(|record| record.name.starts_with("UpdateAlias"))
            .map(|record| record.at)
    }

    /// A deployment of version 2 over version 1: configuration, version, alias.
    pub fn deploy(&mut self, minute: f64, keys: &[(&str, &str, &str)]) -> &mut Self {
        let environment = |pick: fn(&(&str, &str, &str)) -> String| -> BTreeMap<String, String> {
            keys.iter().map(|key| (key.0.to_owned(), pick(key))).collect()
        };
        let version = |name: &str, modified: f64, environment: BTreeMap<String, String>| FunctionVersion {
            version: name.to_owned(),
            last_modified: Some(at(modified)),
            code_sha256: "same".to_owned(),
            description: String::new(),
            revision_id: format!("revision-{name}"),
            environment,
            settings: BTreeMap::new(),
        };
        let (before, after) = (environment(|key| key.1.to_owned()), environment(|key| key.2.to_owned()));
        let history = self.evidence.functions.entry("checkout".to_owned()).or_default();
        history.versions = Some(vec![
            version("1", -50_000.0, before),
            version("2", minute, after.clone()),
            version("$LATEST", minute, after),
        ]);
        history.aliases = Some(vec![FunctionAlias {
            name: "live".to_owned(),
            version: "2".to_owned(),
            revision_id: "revision-alias".to_owned(),
            weights: BTreeMap::new(),
        }]);
        self.record(
            minute,
            "config-event",
            "UpdateFunctionConfiguration20150331v2",
            json!({"functionName": "checkout", "environment": {}}),
        );
        self.record(
            minute + 0.1,
            "version-event",
            "PublishVersion20150331",
            json!({"functionName": "checkout"}),
        );
        self.record(
            minute + 0.2,
            "alias-event",
            "UpdateAlias20150331",
            json!({"functionName": "checkout", "name": "live", "functionVersion": "2"}),
        )
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers write the parameters in place")]
    pub fn record(&mut self, minute: f64, id: &str, name: &str, parameters: Value) -> &mut Self {
        let when = at(minute);
        let response = match name {
            "PublishVersion20150331" => json!({"version": "2"}),
            _ => Value::Null,
        };
        let trail = self.evidence.trail.get_or_insert_default();
        trail.push(TrailRecord {
            event_id: id.to_owned(),
            at: when,
            source: "lambda.amazonaws.com".to_owned(),
            name: name.to_owned(),
            actor: Actor {
                arn: "arn:aws:iam::123456789012:user/dana".to_owned(),
                name: "dana".to_owned(),
                automation: false,
            },
            error_code: None,
            read_only: false,
            raw: json!({"eventID": id, "eventName": name, "eventSource": "lambda.amazonaws.com",
                "requestParameters": parameters, "responseElements": response}),
        });
        trail.sort_by_key(|record| record.at);
        self
    }
}

fn event(when: Timestamp, version: &str, failure: Option<&str>) -> LogEvent {
    let message = match failure {
        Some(text) => json!({"level": "ERROR", "message": text, "error_type": "E", "status": 500}),
        None => json!({"level": "INFO", "message": "order stored", "duration_ms": 120}),
    };
    LogEvent {
        at: when,
        ingested_at: None,
        group: "/aws/lambda/checkout".into(),
        stream: format!("2026/02/06/[{version}]0123456789abcdef").into(),
        event_id: when.as_millisecond().to_string(),
        message: message.to_string(),
    }
}
