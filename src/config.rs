//! What a team sets: the TOML file and the environment, read once and checked before anything listens.
//!
//! The rule that is not obvious: an unknown key is an error with line and column, because a typo in
//! an approver list must not silently mean 'nobody' or 'everybody'.

mod arns;
mod maintenance;

use std::fmt;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use maintenance::Maintenance;

#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where alerts come from, and where incidents are told.
    pub slack: SlackSection,
    /// The account and how it is entered.
    pub aws: AwsSection,
    /// Who may approve a rollback, and for how long.
    pub approvals: ApprovalsSection,
    /// How long incidents live.
    pub incidents: IncidentsSection,
    /// Who is who in AWS, for the two-person rule. A role of a pipeline is nobody.
    #[serde(rename = "person")]
    pub people: Vec<Person>,
    /// What AWS's own naming does not tell about a service; one that it tells enough about needs no entry.
    #[serde(rename = "service")]
    pub services: Vec<Service>,
    /// Planned work, once or again and again, in which alerts are held back like those of a muted service.
    pub maintenance: Vec<Maintenance>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlackSection {
    /// Channel ids where other bots post alerts.
    pub alert_channels: Vec<String>,
    /// Bot ids whose messages count; empty: any bot's.
    pub alert_bots: Vec<String>,
    /// Where incidents are told whose alert came from elsewhere; absent: the first of `alert_channels`.
    pub default_channel: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AwsSection {
    /// Such as `eu-central-1`; absent: what `AWS_REGION` or the profile says.
    pub region: Option<String>,
    /// Assumed for reading; absent: the process's own credentials.
    pub read_role_arn: Option<String>,
    /// Assumed for an approved rollback only.
    pub write_role_arn: Option<String>,
    /// What the owner of these roles wants to be told by whoever assumes them.
    pub external_id: Option<String>,
    /// The tag's key under which resources carry their service's name; absent: tags are not read.
    pub service_tag: Option<String>,
    /// What this account does not use, of `ecs`, `ssm`, `appconfig`, `codedeploy`, `cloudformation` and `xray`: it is not
    /// read, and no policy need allow it.
    pub without: Vec<Unused>,
    /// ARNs of SNS topics whose messages `POST /aws/sns` believes; empty: none.
    pub topics: Vec<String>,
    /// Whether the configuration of watched services is recorded.
    pub record: bool,
    /// How often each of them is looked at, beside after each change that AWS tells of.
    pub record_every: Period,
}

impl Default for AwsSection {
    fn default() -> Self {
        Self {
            region: None,
            read_role_arn: None,
            write_role_arn: None,
            external_id: None,
            service_tag: None,
            without: Vec::new(),
            topics: Vec::new(),
            record: true,
            record_every: Period(SignedDuration::from_mins(15)),
        }
    }
}

/// A service of AWS that is read beside what every account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unused {
    Ecs,
    Ssm,
    Appconfig,
    Codedeploy,
    Cloudformation,
    Xray,
}

impl Unused {
    /// As IAM's actions begin.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Ecs => "ecs",
            Self::Ssm => "ssm",
            Self::Appconfig => "appconfig",
            Self::Codedeploy => "codedeploy",
            Self::Cloudformation => "cloudformation",
            Self::Xray => "xray",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalsSection {
    /// Slack users (`U…`, `W…`) and user groups (`S…`).
    pub approvers: Vec<String>,
    /// Who asked for it, or made the change, cannot approve it.
    pub two_person: bool,
    /// How long a button can be pressed.
    pub expires_after: Period,
    /// How long after a rollback took effect it is decided whether it helped.
    pub verify_within: Period,
    /// May approve alone, with a reason that is posted and kept; empty: nobody.
    pub break_glass: Vec<String>,
    /// ARNs of roles that are nobody, beside those whose names say so.
    pub pipelines: Vec<String>,
}

impl Default for ApprovalsSection {
    fn default() -> Self {
        Self {
            approvers: Vec::new(),
            two_person: true,
            expires_after: Period(SignedDuration::from_mins(30)),
            verify_within: Period(SignedDuration::from_mins(5)),
            break_glass: Vec::new(),
            pipelines: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct IncidentsSection {
    /// An incident of which nothing new was heard for so long closes.
    pub close_after: Period,
    /// How long closed incidents are kept.
    pub retention: Period,
    /// When sources that were silent or late are asked again, counted from the verdict.
    pub look_again: Vec<Period>,
}

impl Default for IncidentsSection {
    fn default() -> Self {
        Self {
            close_after: Period(SignedDuration::from_hours(2)),
            retention: Period(SignedDuration::from_hours(400 * 24)),
            look_again: [5, 15, 60].map(|minutes| Period(SignedDuration::from_mins(minutes))).to_vec(),
        }
    }
}

/// A person in Slack and in AWS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Slack user id.
    pub slack: String,
    /// ARNs of users, or of roles that this person alone assumes.
    #[serde(default)]
    pub aws: Vec<String>,
}

/// A service, as its team knows it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// What it is called in incidents.
    pub name: String,
    /// What alerts may call it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Its functions; absent: one of its name.
    #[serde(default)]
    pub lambda: Vec<LambdaRef>,
    /// Its ECS services; absent: those of its name.
    #[serde(default)]
    pub ecs: Vec<EcsRef>,
    /// Where its parameters are; absent: those with its name in their path.
    #[serde(default)]
    pub ssm_paths: Vec<String>,
    /// Its AppConfig profiles; absent: applications of its name.
    #[serde(default)]
    pub appconfig: Vec<AppConfigRef>,
    /// Where it logs; absent: its function's group, and groups with its name as one part of their path.
    #[serde(default)]
    pub log_groups: Vec<String>,
    /// Its own metrics; absent: those with a dimension of its name.
    #[serde(default)]
    pub metrics: Vec<MetricRef>,
    /// Services that it calls: their metrics and changes are looked at too.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Services that it does not call, whose metrics are controls.
    #[serde(default)]
    pub peers: Vec<String>,
    /// Where it runs; absent: the general Region.
    pub region: Option<String>,
    /// Assumed for reading, where it runs in another account; absent: the general role.
    pub read_role_arn: Option<String>,
    /// Assumed for an approved rollback of it; absent: its `read_role_arn`, else the general role.
    pub write_role_arn: Option<String>,
    /// What the owner of these roles wants to be told; absent: the general one.
    pub external_id: Option<String>,
    /// Who is named where somebody has to be called, such as `#team-checkout`.
    pub owner: Option<String>,
    /// Where its incidents are told whose alert came from elsewhere; absent: `default_channel`.
    pub channel: Option<String>,
    /// Who may approve for this service, in place of the general list; absent: the general list.
    pub approvers: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LambdaRef {
    /// The function's name.
    pub function: String,
    /// The alias that serves.
    pub alias: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EcsRef {
    /// The cluster's name.
    pub cluster: String,
    /// The service's name in it.
    pub service: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AppConfigRef {
    /// Its name.
    pub application: String,
    /// The environment's name.
    pub environment: String,
    /// The configuration profile's name.
    pub profile: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MetricRef {
    /// Such as `Shop`.
    pub namespace: String,
    /// Name and value of each dimension; absent: any.
    #[serde(default)]
    pub dimensions: std::collections::BTreeMap<String, String>,
}

/// A duration as people write it: `30m`, `2h`, `400d`. Days have 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(pub SignedDuration);

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_period(&text).map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is not a duration: 30m, 2h and 400d are"))
        })
    }
}

impl Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// As people write it, in the largest unit that leaves no rest.
impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
        let (size, unit) = units.into_iter().find(|(size, _)| seconds % size == 0).unwrap_or((1, "s"));
        write!(formatter, "{}{unit}", seconds / size)
    }
}

/// Reads `90s`, `30m`, `2h`, `1h30m`, `400d`; `None` where it is none, or not longer than nothing.
pub fn parse_period(text: &str) -> Option<SignedDuration> {
    let span: jiff::Span = text.trim().parse().ok()?;
    let period = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    (period > SignedDuration::ZERO).then_some(period)
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {path}: {reason}")]
    Read { path: String, reason: std::io::Error },
    #[error("{variable} names {path}, which cannot be read: {reason}")]
    SecretFile { variable: String, path: String, reason: std::io::Error },
    #[error("the configuration {path}: {message}")]
    Parse { path: String, message: String },
    #[error("{0}")]
    Invalid(String),
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// Names the file, and line and column where its content is wrong.
    pub fn load(path: &std::path::Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|reason| ConfigError::Read { path: shown.clone(), reason })?;
        Self::parse(&text).map_err(|message| ConfigError::Parse { path: shown, message })
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// A sentence with line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        config.maintenance.iter().try_for_each(Maintenance::check)?;
        let mut names = std::collections::BTreeSet::new();
        for service in &config.services {
            for name in std::iter::once(&service.name).chain(&service.aliases) {
                if !names.insert(name.to_lowercase()) {
                    return Err(format!("two services are called {name:?}"));
                }
            }
        }
        Ok(config)
    }

    /// Whether each role and topic that is named has the shape of one.
    fn check_arns(&self) -> Result<(), String> {
        let aws = &self.aws;
        arns::role("[aws] read_role_arn", aws.read_role_arn.as_deref())?;
        arns::role("[aws] write_role_arn", aws.write_role_arn.as_deref())?;
        aws.topics.iter().try_for_each(|topic| arns::topic("[aws] topics", topic))?;
        for service in &self.services {
            let of = |key: &str| format!("{key} of the service {:?}", service.name);
            arns::role(&of("read_role_arn"), service.read_role_arn.as_deref())?;
            arns::role(&of("write_role_arn"), service.write_role_arn.as_deref())?;
        }
        Ok(())
    }

    /// The entry of a service by its name or an alias, in any case.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| {
            std::iter::once(&service.name)
                .chain(&service.aliases)
                .any(|known| known.eq_ignore_ascii_case(name))
        })
    }

    /// The Slack user who is this AWS identity, by the configuration.
    pub fn person_of(&self, arn: &str) -> Option<&str> {
        self.people
            .iter()
            .find(|person| person.aws.iter().any(|known| known == arn))
            .map(|person| person.slack.as_str())
    }

    /// The users and user groups who may approve for a service.
    pub fn approvers_of(&self, service: &str) -> &[String] {
        let own = self.service(service).and_then(|service| service.approvers.as_deref());
        own.unwrap_or(&self.approvals.approvers)
    }

    /// The maintenance of a service that is planned for this moment, with its beginning and its end; of several the one
    /// that ends last.
    pub fn maintenance(&self, service: &str, now: Timestamp) -> Option<(&Maintenance, Timestamp, Timestamp)> {
        self.maintenance
            .iter()
            .filter(|one| {
                // Under any of its names.
                let own = |name: &String| match self.service(name) {
                    Some(known) => known.name == service,
                    None => name.eq_ignore_ascii_case(service),
                };
                one.services.is_empty() || one.services.iter().any(own)
            })
            .filter_map(|one| one.at(now).map(|(from, until)| (one, from, until)))
            .max_by_key(|(_, _, until)| *until)
    }

    /// Where the headline of a service's incident goes when the alert came from elsewhere.
    pub fn channel_for(&self, service: &str) -> Option<&str> {
        self.service(service)
            .and_then(|service| service.channel.as_deref())
            .or(self.slack.default_channel.as_deref())
            .or(self.slack.alert_channels.first().map(String::as_str))
    }
}

/// The secrets, each with what it is for. `NAME_FILE` names a file that holds it instead, which is read again at
/// each use.
pub const SECRETS: [(&str, &str); 4] = [
    ("SLACK_BOT_TOKEN", "The bot's token (`xoxb-…`): what it posts with."),
    (
        "SLACK_SIGNING_SECRET",
        "Slack's HTTP routes are served where it is set; requests are verified with it.",
    ),
    ("SLACK_APP_TOKEN", "The app-level token (`xapp-…`): Socket Mode runs where it is set."),
    (
        "COMMANDER_ALERT_TOKEN",
        "The bearer token of `POST /alert` and `GET /incidents/…`; needed beyond loopback.",
    ),
];

/// A secret that is given directly, or in a file that is read again at each use, so that it can be
/// rotated without a restart.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    Value(String),
    File {
        /// What named the file, such as `SLACK_BOT_TOKEN_FILE`.
        variable: String,
        path: PathBuf,
    },
}

impl Secret {
    /// # Errors
    /// Where the file cannot be read or is empty.
    pub fn read(&self) -> Result<String, ConfigError> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::File { variable, path } => {
                let shown = path.display().to_string();
                let text = std::fs::read_to_string(path).map_err(|reason| ConfigError::SecretFile {
                    variable: variable.clone(),
                    path: shown.clone(),
                    reason,
                })?;
                let text = text.trim().to_owned();
                if text.is_empty() {
                    return Err(ConfigError::Invalid(format!("{variable} names {shown}, which is empty")));
                }
                Ok(text)
            }
        }
    }

    /// Reads `NAME` or `NAME_FILE` from the environment.
    ///
    /// # Errors
    /// Where both are set.
    pub fn from_env(name: &str) -> Result<Option<Self>, ConfigError> {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        let variable = format!("{name}_FILE");
        let file = std::env::var(&variable).ok().filter(|value| !value.is_empty());
        match (value, file) {
            (Some(_), Some(_)) => Err(ConfigError::Invalid(format!("{name} and {variable} are both set"))),
            (Some(value), None) => Ok(Some(Self::Value(value))),
            (None, Some(path)) => Ok(Some(Self::File { variable, path: path.into() })),
            (None, None) => Ok(None),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => formatter.write_str("Secret(…)"),
            Self::File { path, .. } => write!(formatter, "Secret(file {})", path.display()),
        }
    }
}

/// An AWS access key that is given in code.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsKey {
    pub id: String,
    pub secret: String,
}

impl fmt::Debug for AwsKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AwsKey({}, …)", self.id)
    }
}

/// Everything that the bot needs to start.
#[derive(Debug, Clone)]
pub struct Settings {
    pub config: Config,
    pub database_url: String,
    pub listen: std::net::SocketAddr,
    pub slack_bot_token: Option<Secret>,
    pub slack_signing_secret: Option<Secret>,
    pub slack_app_token: Option<Secret>,
    /// Slack's own where absent; includes `/api`.
    pub slack_api_url: Option<String>,
    pub aws_endpoint_url: Option<String>,
    /// Where AWS's usual chain of credentials is not wanted: the demo's own key.
    pub aws_credentials: Option<AwsKey>,
    pub alert_token: Option<Secret>,
    /// What links in answers begin with, and by whose host it may be asked where there is no alert token; the listening
    /// address where absent.
    pub public_url: Option<String>,
}

impl Settings {
    /// What must hold before anything listens.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !self.listen.ip().is_loopback() && self.alert_token.is_none() {
            return Err(ConfigError::Invalid(format!(
                "{} is reachable from other machines: set COMMANDER_ALERT_TOKEN, or listen on 127.0.0.1",
                self.listen
            )));
        }
        for secret in
            [&self.slack_bot_token, &self.slack_signing_secret, &self.slack_app_token, &self.alert_token]
                .into_iter()
                .flatten()
        {
            secret.read()?;
        }
        self.config.check_arns().map_err(ConfigError::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"
        [slack]
        alert_channels = ["C0123"]
        [approvals]
        approvers = ["U111", "S222"]
        expires_after = "45m"
        [incidents]
        retention = "400d"
        [[person]]
        slack = "U111"
        aws = ["arn:aws:iam::123456789012:user/alice"]
        [[service]]
        name = "demo-checkout-service"
        aliases = ["checkout"]
        lambda = [{ function = "demo-checkout-service", alias = "live" }]
        metrics = [{ namespace = "DemoApp", dimensions = { service = "checkout-service" } }]
        channel = "C0789"
        approvers = ["U777"]
    "#;

    #[test]
    fn a_file_is_read_with_its_defaults() {
        let config = Config::parse(EXAMPLE).unwrap();
        assert!(config.approvals.two_person);
        assert_eq!(config.approvals.expires_after.0, SignedDuration::from_mins(45));
        assert_eq!(config.approvals.verify_within.0, SignedDuration::from_mins(5));
        assert_eq!(config.service("CHECKOUT").unwrap().name, "demo-checkout-service");
        assert_eq!(config.approvers_of("checkout"), ["U777"]);
        assert_eq!(config.approvers_of("unheard-of"), ["U111", "S222"]);
        assert_eq!(config.channel_for("checkout"), Some("C0789"));
        assert_eq!(config.channel_for("unheard-of"), Some("C0123"));
        assert_eq!(config.person_of("arn:aws:iam::123456789012:user/alice"), Some("U111"));
    }

    #[test]
    fn an_unknown_key_names_its_line() {
        let error = Config::parse("[approvals]\naprovers = []\n").unwrap_err();
        assert!(error.contains("line 2") && error.contains("aprovers"), "{error}");
    }

    #[test]
    fn a_duration_that_is_none_is_refused() {
        for wrong in ["0m", "-5m", "soon", "", "5"] {
            assert_eq!(parse_period(wrong), None, "{wrong:?}");
        }
        assert_eq!(parse_period("1h30m"), Some(SignedDuration::from_mins(90)));
        assert_eq!(parse_period("400d"), Some(SignedDuration::from_hours(9600)));
    }

    #[test]
    fn two_services_of_one_name_are_refused() {
        let text = "[[service]]\nname = \"a\"\n[[service]]\nname = \"b\"\naliases = [\"A\"]\n";
        assert!(Config::parse(text).unwrap_err().contains("two services"));
    }

    #[test]
    fn a_secret_file_that_is_missing_is_told_with_the_variable_that_names_it() {
        let path = PathBuf::from("/nowhere/bot-token");
        let secret = Secret::File { variable: "SLACK_BOT_TOKEN_FILE".into(), path };
        let told = secret.read().unwrap_err().to_string();
        assert!(told.starts_with("SLACK_BOT_TOKEN_FILE names /nowhere/bot-token"), "{told}");
    }

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", Secret::Value("xoxb-1".into())), "Secret(…)");
    }

    #[test]
    fn whoever_is_reached_from_other_machines_has_an_alert_token() {
        let settings = |listen: &str, alert_token: Option<Secret>| {
            let settings = Settings {
                config: Config::default(),
                database_url: String::new(),
                listen: listen.parse().unwrap(),
                slack_bot_token: None,
                slack_signing_secret: None,
                slack_app_token: None,
                slack_api_url: None,
                aws_endpoint_url: None,
                aws_credentials: None,
                alert_token,
                public_url: None,
            };
            settings.check()
        };
        for beyond in ["0.0.0.0:3000", "[::]:3000", "10.0.0.7:3000", "[2001:db8::7]:3000"] {
            let refused = settings(beyond, None).unwrap_err().to_string();
            assert!(refused.contains(beyond) && refused.contains("COMMANDER_ALERT_TOKEN"), "{refused}");
            assert!(settings(beyond, Some(Secret::Value("t0ken".into()))).is_ok(), "{beyond}");
        }
        for here in ["127.0.0.1:3000", "[::1]:3000"] {
            assert!(settings(here, None).is_ok(), "{here}");
        }
    }
}
