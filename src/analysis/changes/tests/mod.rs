//! Changes from records and files in AWS's own shapes, told from the outside: what went in, what came out.

mod containers;
mod functions;
mod others;
mod properties;
mod recorded;
mod releases;
mod stores;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::changes;
use crate::bundle;
use crate::domain::change::{Change, Effect};
use crate::domain::evidence::Evidence;

/// One incident of `checkout`, which calls `inventory`, at 12:20 on one day; files are added by each test.
#[derive(Debug, Clone)]
struct Case {
    files: BTreeMap<String, Vec<u8>>,
    records: Vec<Value>,
}

impl Case {
    fn new() -> Self {
        let mut case = Self { files: BTreeMap::new(), records: Vec::new() };
        case.file(
            "bundle.json",
            &json!({
                "service": "checkout", "account": "123456789012", "now": "2026-02-06T12:20:00Z",
                "resources": {"lambda": ["checkout"], "ecs": [{"cluster": "prod", "service": "checkout"}]},
                "depends_on": ["inventory"], "peers": ["search"],
            }),
        );
        case.file("alert.json", &json!({"service": "checkout", "triggered_at": "2026-02-06T12:15:00Z"}));
        case
    }

    fn file(&mut self, name: &str, value: &Value) -> &mut Self {
        self.files.insert(name.to_owned(), value.to_string().into_bytes());
        self
    }

    #[expect(clippy::needless_pass_by_value, reason = "a call of `json!` reads best as it stands")]
    /// A record of a call at `12:…` by the pipeline's role, `id` being its event id.
    fn call(
        &mut self,
        id: &str,
        minute: &str,
        source: &str,
        name: &str,
        request: Value,
        response: Value,
    ) -> &mut Self {
        self.records.push(json!({
            "eventID": id, "eventTime": format!("2026-02-06T{minute}Z"),
            "eventSource": format!("{source}.amazonaws.com"), "eventName": name, "readOnly": false,
            "userIdentity": {
                "type": "AssumedRole", "arn": "arn:aws:sts::123456789012:assumed-role/github-deploy/run-7",
            },
            "requestParameters": request, "responseElements": response,
        }));
        self
    }

    /// Changes the last record.
    fn last(&mut self, field: &str, value: Value) -> &mut Self {
        if let Some(record) = self.records.last_mut() {
            record[field] = value;
        }
        self
    }

    fn evidence(&self) -> Evidence {
        let mut files = self.files.clone();
        let trail = json!({"Records": self.records}).to_string().into_bytes();
        files.entry("cloudtrail.json".to_owned()).or_insert(trail);
        bundle::from_files(&files).unwrap()
    }

    fn changes(&self) -> Vec<Change> {
        changes(&self.evidence())
    }

    fn only(&self) -> Change {
        let changes = self.changes();
        assert_eq!(changes.len(), 1, "{changes:#?}");
        changes.into_iter().next().unwrap()
    }

    fn with(&self, event: &str) -> Change {
        let changes = self.changes();
        let found = changes.iter().find(|change| change.event_ids.iter().any(|id| id == event));
        found.unwrap_or_else(|| panic!("no change holds {event}: {changes:#?}")).clone()
    }
}

fn version(version: &str, modified: &str, sha: &str, environment: &Value) -> Value {
    json!({
        "FunctionName": "checkout", "Version": version, "LastModified": format!("2026-02-06T{modified}.000+0000"),
        "CodeSha256": sha, "RevisionId": format!("revision-{version}"), "Timeout": 30, "MemorySize": 512,
        "Environment": {"Variables": environment},
    })
}

fn keys(change: &Change) -> Vec<(&str, Option<&str>, Option<&str>)> {
    change.keys.iter().map(|key| (key.key.as_str(), key.before.as_deref(), key.after.as_deref())).collect()
}

/// From and until, as `12:00:00`.
fn took(change: &Change) -> (String, String) {
    let time = |at: jiff::Timestamp| at.strftime("%H:%M:%S").to_string();
    match &change.effect {
        Effect::Took { from, until } => (time(*from), time(*until)),
        Effect::None { reason } => panic!("it took no effect: {reason}"),
    }
}

fn took_none(change: &Change) -> &str {
    match &change.effect {
        Effect::None { reason } => reason,
        Effect::Took { .. } => panic!("it took effect: {change:#?}"),
    }
}
