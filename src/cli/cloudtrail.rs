//! `cloudtrail read`: what the engine reads from CloudTrail records: who, what, which resource, whether
//! it succeeded, and which become changes and of what kind.
//!
//! The rule that is not obvious: every element of every file is told of, one line each, in the files'
//! order of names; one that cannot be read is counted, and makes the command fail.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::Format;
use crate::analysis::changes;
use crate::bundle::{self, trail};
use crate::domain::change::Effect;
use crate::domain::evidence::TrailRecord;
use crate::domain::redact;
use crate::report;

#[derive(Debug, Args)]
pub struct ReadArgs {
    /// Files of CloudTrail records, or folders of such: one record, `{"Records": […]}`, or the answer of
    /// `aws cloudtrail lookup-events`.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// One record, as the engine understands it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    pub event_id: String,
    pub at: Timestamp,
    /// A person or a role, as somebody would name it; empty where the record does not say.
    pub who: String,
    /// `lambda:UpdateFunctionConfiguration20150331v2`.
    pub what: String,
    /// What it was about; `None` where the record names nothing.
    pub resource: Option<String>,
    /// The error's code where it failed.
    pub error: Option<String>,
    pub becomes: Becomes,
}

/// What the engine makes of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Becomes {
    /// A change, of this kind; `effect` says why it has none.
    Change { kind: String, no_effect: Option<String> },
    /// It only read.
    Read,
    /// It changed nothing that a service could notice.
    Noise,
}

/// # Errors
/// When a file cannot be read, or holds an element that is no record.
pub fn read(args: &ReadArgs) -> anyhow::Result<()> {
    let mut files = BTreeSet::new();
    for path in &args.paths {
        collect(path, &mut files)?;
    }
    let mut values = Vec::new();
    let mut broken = 0;
    for file in &files {
        let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        match elements(&text) {
            Some(found) => values.extend(found),
            None => {
                // A file's name can be a stranger's words too.
                let name = report::plain(&file.display().to_string());
                eprintln!("{name}: not CloudTrail records in JSON");
                broken += 1;
            }
        }
    }
    let whole = values.len();
    let told = tell(values);
    match args.format {
        Format::Text => told.iter().for_each(|one| println!("{}", line(one))),
        Format::Json => println!("{}", report::json(&told)?),
    }
    let unread = whole - told.len() + broken;
    let changes = told.iter().filter(|one| matches!(one.becomes, Becomes::Change { .. })).count();
    eprintln!("{} records in {} files, {changes} of them changes", told.len(), files.len());
    anyhow::ensure!(unread == 0, "{unread} of {} could not be read", whole + broken);
    Ok(())
}

/// The JSON files at a path, and below it.
fn collect(path: &Path, files: &mut BTreeSet<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        files.insert(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    for entry in entries {
        let inside = entry?.path();
        if inside.is_dir() {
            collect(&inside, files)?;
        } else if inside.extension().is_some_and(|extension| extension == "json" || extension == "ndjson") {
            files.insert(inside);
        }
    }
    Ok(())
}

/// The records in a file: one, a list under `Records` or `Events`, a bare list, or one a line.
fn elements(text: &[u8]) -> Option<Vec<Value>> {
    let lines = || {
        let lines =
            text.split(|byte| *byte == b'\n').filter(|line| !line.iter().all(u8::is_ascii_whitespace));
        lines.map(|line| serde_json::from_slice(line).ok()).collect::<Option<Vec<Value>>>()
    };
    match serde_json::from_slice::<Value>(text).ok() {
        Some(Value::Array(values)) => Some(values),
        Some(Value::Object(mut object)) => {
            let list = ["Records", "Events"].iter().find_map(|key| object.remove(*key));
            match list {
                Some(Value::Array(values)) => Some(values),
                Some(_) => None,
                None => Some(vec![Value::Object(object)]),
            }
        }
        Some(_) => None,
        None => lines(),
    }
}

/// What becomes of each record; those that are none are left out.
pub fn tell(values: Vec<Value>) -> Vec<Told> {
    let records: Vec<TrailRecord> = values.into_iter().filter_map(trail::record).collect();
    let kinds = kinds(&records);
    records.iter().map(|record| told(record, &kinds)).collect()
}

/// By event id: the change that a record is part of, with why it has no effect.
fn kinds(records: &[TrailRecord]) -> BTreeMap<String, (String, String, Option<String>)> {
    let Some(now) = records.iter().map(|record| record.at).max() else { return BTreeMap::new() };
    let raw: Vec<&Value> = records.iter().map(|record| &record.raw).collect();
    let files = BTreeMap::from([
        // Nobody is under investigation: whose a change is does not matter here.
        ("bundle.json".to_owned(), json!({"service": "-", "now": now.to_string()}).to_string().into_bytes()),
        (
            "alert.json".to_owned(),
            json!({"service": "-", "triggered_at": now.to_string()}).to_string().into_bytes(),
        ),
        ("cloudtrail.json".to_owned(), json!({ "Records": raw }).to_string().into_bytes()),
    ]);
    let Ok(evidence) = bundle::from_files(&files) else { return BTreeMap::new() };
    let mut kinds = BTreeMap::new();
    for change in changes::changes(&evidence) {
        let no_effect = match change.effect {
            Effect::None { reason } => Some(reason),
            Effect::Took { .. } => change.no_op.then(|| "nothing that acts is different".to_owned()),
        };
        for id in change.event_ids {
            let kind = match change.kind.describe() {
                "change" => "of no kind of its own",
                kind => kind,
            };
            let kind = (kind.to_owned(), change.resource.clone(), no_effect.clone());
            kinds.insert(id, kind);
        }
    }
    kinds
}

fn told(record: &TrailRecord, kinds: &BTreeMap<String, (String, String, Option<String>)>) -> Told {
    let change = kinds.get(&record.event_id);
    let service = record.source.split('.').next().unwrap_or_default();
    let becomes = match change {
        Some((kind, _, no_effect)) => Becomes::Change { kind: kind.clone(), no_effect: no_effect.clone() },
        None if record.read_only => Becomes::Read,
        None => Becomes::Noise,
    };
    let named = change.map(|(_, resource, _)| resource.clone()).filter(|name| !name.is_empty());
    Told {
        event_id: record.event_id.clone(),
        at: record.at,
        who: record.actor.name.clone(),
        what: format!("{service}:{}", record.name),
        resource: named.or_else(|| resource(&record.raw)).map(|name| redact::text(&name)),
        error: record.error_code.clone(),
        becomes,
    }
}

/// What a record says that it was about: its list of resources, else the first name in its request.
fn resource(raw: &Value) -> Option<String> {
    let listed = raw.get("resources").and_then(Value::as_array).into_iter().flatten();
    let arn = listed.filter_map(|one| one.get("ARN").or_else(|| one.get("arn"))).find_map(Value::as_str);
    let request = raw.get("requestParameters").and_then(Value::as_object);
    let named = || {
        let naming = |key: &str| {
            let key = key.to_lowercase();
            ["name", "id", "arn", "identifier"].iter().any(|ending| key.ends_with(ending))
        };
        request?.iter().find_map(|(key, value)| value.as_str().filter(|_| naming(key)))
    };
    arn.or_else(named).map(str::to_owned)
}

fn line(told: &Told) -> String {
    let outcome = told.error.as_ref().map_or_else(|| "ok".to_owned(), |code| format!("failed ({code})"));
    let becomes = match &told.becomes {
        Becomes::Change { kind, no_effect: None } => format!("change: {kind}"),
        Becomes::Change { kind, no_effect: Some(reason) } => {
            format!("change: {kind}, without effect: {reason}")
        }
        Becomes::Read => "only read".to_owned(),
        Becomes::Noise => "changes nothing that a service notices".to_owned(),
    };
    let resource = told.resource.as_deref().unwrap_or("-");
    let who = if told.who.is_empty() { "-" } else { &told.who };
    let line = format!("{}  {who}  {}  {resource}  {outcome}  {becomes}", told.at, told.what);
    report::plain(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the shapes of recorded ones: suffixed names, hidden values, ARNs for names, refusals, reads.
    fn records() -> Vec<Value> {
        let record = |id: &str, source: &str, name: &str, request: Value, error: Option<&str>| {
            let mut record = json!({
                "eventVersion": "1.08", "eventID": id, "eventTime": "2024-08-01T13:47:16Z",
                "eventSource": format!("{source}.amazonaws.com"), "eventName": name,
                "userIdentity": {"type": "IAMUser", "userName": "ana", "arn": "arn:aws:iam::1:user/ana"},
                "requestParameters": request, "responseElements": null, "eventType": "AwsApiCall",
            });
            if let Some(code) = error {
                record["errorCode"] = json!(code);
            }
            record
        };
        let hidden = json!({"functionName": "arn:aws:lambda:us-east-1:1:function:orders", "environment": {}});
        let secret = json!({"name": "/orders/password", "type": "SecureString", "overwrite": true,
                            "value": "HIDDEN_DUE_TO_SECURITY_REASONS"});
        vec![
            record("1", "lambda", "UpdateFunctionConfiguration20150331v2", hidden, None),
            record("2", "ssm", "PutParameter", secret, None),
            record("3", "iam", "AttachRolePolicy", json!({"roleName": "orders", "policyArn": "arn:x"}), None),
            record(
                "4",
                "lambda",
                "UpdateFunctionCode20150331v2",
                json!({"functionName": "orders"}),
                Some("AccessDenied"),
            ),
            record("5", "ec2", "DescribeInstances", json!({}), None),
            record("6", "logs", "CreateLogStream", json!({"logGroupName": "/aws/lambda/orders"}), None),
        ]
    }

    #[test]
    fn every_record_is_told_with_who_what_which_and_whether() {
        let told = tell(records());
        assert_eq!(told.len(), 6);
        assert!(told.iter().all(|one| one.who == "ana"));
        let shown: Vec<(&str, Option<&str>, &str)> = told
            .iter()
            .map(|one| {
                let becomes = match &one.becomes {
                    Becomes::Change { no_effect: None, .. } => "change",
                    Becomes::Change { no_effect: Some(_), .. } => "change without effect",
                    Becomes::Read => "read",
                    Becomes::Noise => "noise",
                };
                (one.what.as_str(), one.resource.as_deref(), becomes)
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("lambda:UpdateFunctionConfiguration20150331v2", Some("orders"), "change"),
                ("ssm:PutParameter", Some("/orders/password"), "change"),
                ("iam:AttachRolePolicy", Some("orders"), "change"),
                ("lambda:UpdateFunctionCode20150331v2", Some("orders"), "change without effect"),
                ("ec2:DescribeInstances", None, "read"),
                ("logs:CreateLogStream", Some("/aws/lambda/orders"), "noise"),
            ]
        );
        assert_eq!(told[3].error.as_deref(), Some("AccessDenied"));
        let text = serde_json::to_string(&told).unwrap();
        assert!(!text.contains("HIDDEN"), "nothing is invented for a value that is hidden: {text}");
    }

    #[test]
    fn a_file_holds_one_record_or_many_in_any_of_the_usual_shapes() {
        let one = records().remove(0);
        let events = json!({"Events": [{"EventId": "1", "CloudTrailEvent": one.to_string()}]});
        let lines = format!("{one}\n{one}\n");
        for (text, count) in [
            (one.to_string(), 1),
            (json!({"Records": [one, one]}).to_string(), 2),
            (json!([one]).to_string(), 1),
            (events.to_string(), 1),
            (lines, 2),
        ] {
            assert_eq!(tell(elements(text.as_bytes()).unwrap()).len(), count, "{text}");
        }
        assert_eq!(elements(b"{\"Records\": 7}"), None);
        assert_eq!(elements(b"no JSON"), None);
    }
}
