//! A change that somebody or something made, told the same way whatever AWS calls it.
//!
//! The rule that is not obvious: what matters is when a change took effect, not when it was asked
//! for. Updating `$LATEST` does nothing to traffic that goes through an alias; the alias's move does.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::evidence::Actor;
use super::rollback::RollbackTarget;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    LambdaCode,
    LambdaConfig,
    LambdaAlias,
    LambdaConcurrency,
    EcsDeployment,
    SsmParameter,
    Appconfig,
    IamPolicy,
    SecurityGroup,
    Network,
    Secret,
    DatabaseParameter,
    Stack,
    Schedule,
    /// A mutating call of a kind that has no name of its own here.
    Other,
}

impl ChangeKind {
    /// The kind as somebody would say it.
    pub fn describe(&self) -> &'static str {
        match self {
            ChangeKind::LambdaCode => "code deployment",
            ChangeKind::LambdaConfig => "configuration change",
            ChangeKind::LambdaAlias => "alias move",
            ChangeKind::LambdaConcurrency => "concurrency change",
            ChangeKind::EcsDeployment => "ECS deployment",
            ChangeKind::SsmParameter => "parameter change",
            ChangeKind::Appconfig => "AppConfig deployment",
            ChangeKind::IamPolicy => "permission change",
            ChangeKind::SecurityGroup => "security group change",
            ChangeKind::Network => "network change",
            ChangeKind::Secret => "secret change",
            ChangeKind::DatabaseParameter => "database change",
            ChangeKind::Stack => "stack update",
            ChangeKind::Schedule => "schedule change",
            ChangeKind::Other => "change",
        }
    }
}

/// Whose change it is, seen from the service under investigation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "of", content = "name")]
pub enum Relation {
    /// The service's own resource.
    Own,
    /// A resource of a service that it calls.
    Dependency(String),
    /// A resource that it is known to read or use (a parameter it reads, a group it is in).
    Shared,
    /// A resource of a service that it does not call.
    Peer(String),
    /// Nothing connects the two.
    Unconnected,
}

/// When a change began to act on live traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "effect")]
pub enum Effect {
    /// From `from` on, reaching everybody by `until` (equal for a change that acts at once).
    Took { from: Timestamp, until: Timestamp },
    /// It never reached traffic, for the reason given.
    None { reason: String },
}

/// One key that changed. A side that nothing shows is `None`: a value is never invented.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    pub key: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl KeyChange {
    /// The same the other way round.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { before: self.after, after: self.before, ..self }
    }
}

/// A configuration value as people read it: a function's list of layers by their names and versions, anything else as
/// it is.
pub fn readable(value: &str) -> Cow<'_, str> {
    let layers = || {
        let list: Vec<Value> = serde_json::from_str(value).ok().filter(|_| value.starts_with('['))?;
        let name = |layer: &Value| {
            let arn = layer.get("Arn")?.as_str()?;
            Some(arn.rsplit_once(":layer:").map_or(arn, |(_, name)| name).to_owned())
        };
        list.iter().map(name).collect::<Option<Vec<String>>>().map(|names| names.join(", "))
    };
    layers().filter(|names| !names.is_empty()).map_or(Cow::Borrowed(value), Cow::Owned)
}

/// What a field of the service's own log lines says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldSays {
    /// AWS shows one or both of its values to nobody: those are the field's.
    Alone,
    /// It moved as AWS says.
    Agrees,
    /// It is what it was before: the change has not reached the program.
    Stays,
}

/// What a field of the service's own log lines shows of one key: its value before the change and since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogField {
    /// The key, as [`Change::keys`] has it.
    pub key: String,
    /// The field's own name.
    pub field: String,
    /// Lines that hold the value before, and since; none before where no line of that time has the field.
    pub lines: (u64, u64),
    pub says: FieldSays,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Identifies the change within one investigation: the first event's id, or a name made of the
    /// resource and version where no event shows it.
    pub id: String,
    /// Every CloudTrail event that belongs to it (code, version, alias are often three), the one
    /// that put it into effect first. Empty where only a version shows it.
    pub event_ids: Vec<String>,
    pub kind: ChangeKind,
    /// The resource's short name: a function, `cluster/service`, a parameter's path.
    pub resource: String,
    pub relation: Relation,
    pub actor: Option<Actor>,
    /// When it was asked for.
    pub at: Timestamp,
    pub effect: Effect,
    /// When it was undone again, if it was.
    pub undone_at: Option<Timestamp>,
    /// The id of the earlier change that this one takes back, if it does.
    pub undoes: Option<String>,
    /// Configuration that it changed, with values where AWS knows them.
    pub keys: Vec<KeyChange>,
    /// What log fields show of these keys.
    pub shown: Vec<LogField>,
    /// True where the code (package, image) changed as well.
    pub code_changed: bool,
    /// True where it provably changed nothing but labels: same code, same configuration.
    pub no_op: bool,
    /// The share of traffic, 0 to 1, that it reached: below 1 for a canary.
    pub share: f64,
    /// When it got which share, where it got more in steps; the last is [`Change::share`].
    pub steps: Vec<(Timestamp, f64)>,
    /// The version of the resource before and after, where it has versions.
    pub from_version: Option<String>,
    pub to_version: Option<String>,
    /// What undoing it would mean, or why that is not possible.
    pub undo: Result<RollbackTarget, String>,
}

impl Change {
    /// Epoch seconds from and until which it took effect, if it did.
    pub fn took_effect(&self) -> Option<(i64, i64)> {
        /// Seconds. No rollout takes longer; a later time is when somebody last looked at it.
        const LONGEST_ROLLOUT: i64 = 2 * 3600;
        let Effect::Took { from, until } = &self.effect else { return None };
        let (from, until) = (from.as_second(), until.as_second());
        Some((from, if until - from > LONGEST_ROLLOUT { from } else { until.max(from) }))
    }

    /// What AWS shows to differ between what it left behind and what undoing it goes back to. What only a log line
    /// shows is no part of that; and the number of tasks stays as it is, because autoscaling may have made it.
    pub fn differences(&self) -> Vec<KeyChange> {
        let told_by_lines = |key: &KeyChange| {
            self.shown.iter().any(|field| field.key == key.key && field.says == FieldSays::Alone)
        };
        let goes_back = |key: &&KeyChange| key.key != "desiredCount" && !told_by_lines(key);
        self.keys.iter().filter(goes_back).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_read_by_their_names_and_other_lists_as_they_are() {
        let layers = r#"[{"Arn":"arn:aws:lambda:eu-west-1:123456789012:layer:otel:7","CodeSize":1},{"Arn":"arn:aws:lambda:eu-west-1:123456789012:layer:tls:2"}]"#;
        assert_eq!(readable(layers), "otel:7, tls:2");
        for other in ["[]", "[1, 2]", r#"[{"Name":"a"}]"#, "50", ""] {
            assert_eq!(readable(other), other);
        }
    }

    #[test]
    fn a_plan_names_what_aws_shows_to_differ_and_not_what_stays() {
        let key =
            |key: &str| KeyChange { key: key.into(), before: Some("1".into()), after: Some("2".into()) };
        let field = |key: &str, says| LogField { key: key.into(), field: key.into(), lines: (9, 9), says };
        let at = "2026-02-06T12:00:00Z".parse().unwrap();
        let change = Change {
            id: "c".into(),
            event_ids: vec![],
            kind: ChangeKind::EcsDeployment,
            resource: "prod/refunds".into(),
            relation: Relation::Own,
            actor: None,
            at,
            effect: Effect::Took { from: at, until: at },
            undone_at: None,
            undoes: None,
            keys: vec![key("DB_POOL_SIZE"), key("desiredCount"), key("flags.limit")],
            shown: vec![field("DB_POOL_SIZE", FieldSays::Agrees), field("flags.limit", FieldSays::Alone)],
            code_changed: true,
            no_op: false,
            share: 1.0,
            steps: vec![],
            from_version: None,
            to_version: None,
            undo: Err(String::new()),
        };
        assert_eq!(change.differences(), [key("DB_POOL_SIZE")]);
    }
}
