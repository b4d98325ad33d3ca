//! What the room needs to be told: how to reach AWS, and what is known of a service beforehand.
//!
//! Rule: everything may be absent. Credentials and Region then come from the SDK's usual chain, and a
//! service's resources from AWS's own naming.

use std::fmt;
use std::time::Duration;

use crate::domain::evidence::EcsRef;

/// How AWS is reached.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    /// For every service, STS included. Plain HTTP is allowed.
    pub endpoint_url: Option<String>,
    pub region: Option<String>,
    /// Absent: the usual chain (environment, profile, SSO, web identity, instance).
    pub credentials: Option<Credentials>,
    /// Assumed for all reading; absent: the process's own credentials.
    pub read_role_arn: Option<String>,
    /// Assumed for an approved rollback only; absent: as for reading.
    pub write_role_arn: Option<String>,
    /// Told when a role is assumed.
    pub external_id: Option<String>,
    /// The tag's key under which resources carry their service's name.
    pub service_tag: Option<String>,
    /// Services that are not read, as IAM's actions begin: `appconfig`.
    pub without: Vec<&'static str>,
    /// Where services live that are elsewhere.
    pub places: Vec<Place>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long one attempt may take, and all attempts of a call together.
    pub attempt_timeout: Duration,
    pub operation_timeout: Duration,
    /// Attempts of a reading call, the first included. Changes are always sent once.
    pub max_attempts: u32,
    /// The longest first wait before a second attempt; it doubles from there.
    pub initial_backoff: Duration,
}

impl Default for AwsSettings {
    fn default() -> Self {
        Self {
            endpoint_url: None,
            region: None,
            credentials: None,
            read_role_arn: None,
            write_role_arn: None,
            external_id: None,
            service_tag: None,
            without: Vec::new(),
            places: Vec::new(),
            // A regional endpoint answers within milliseconds; longer is a network that drops packets.
            connect_timeout: Duration::from_secs(3),
            // AWS answers within seconds or not at all; a second attempt must fit into the agents' deadlines.
            attempt_timeout: Duration::from_secs(8),
            operation_timeout: Duration::from_secs(20),
            max_attempts: 3,
            initial_backoff: Duration::from_millis(500),
        }
    }
}

impl AwsSettings {
    /// How AWS is reached at a place. A place with a reading role of its own is another account, where neither of the general
    /// roles counts: changes are then made by its own writing role, or by that of reading.
    #[must_use]
    pub fn at(&self, place: &Place) -> Self {
        let here = self.clone();
        let (read_role_arn, write_role_arn) = match &place.read_role_arn {
            Some(role) => (Some(role.clone()), place.write_role_arn.clone()),
            None => (here.read_role_arn, place.write_role_arn.clone().or(here.write_role_arn)),
        };
        Self {
            region: place.region.clone().or(here.region),
            read_role_arn,
            write_role_arn,
            external_id: place.external_id.clone().or(here.external_id),
            ..self.clone()
        }
    }
}

/// Where a service lives; what is absent is as for every other.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub region: Option<String>,
    pub read_role_arn: Option<String>,
    pub write_role_arn: Option<String>,
    pub external_id: Option<String>,
}

/// An access key. Its secrets are never printed.
#[derive(Clone)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// What configuration says of one service; it adds to what is discovered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceSettings {
    /// The service's name, as AWS's own naming has it.
    pub name: String,
    /// What alerts may call it.
    pub aliases: Vec<String>,
    pub lambda: Vec<LambdaRef>,
    pub ecs: Vec<EcsRef>,
    /// Paths below which its parameters are; empty: parameters with its name in their path.
    pub ssm_paths: Vec<String>,
    /// Empty: AppConfig applications of its name.
    pub appconfig: Vec<AppConfigRef>,
    pub log_groups: Vec<String>,
    /// Metrics of its own: a namespace, and dimensions that all of them carry.
    pub metrics: Vec<MetricRef>,
    /// Services that it calls, by name.
    pub depends_on: Vec<String>,
    /// Services that do not call it: controls. Empty: other functions of the account.
    pub peers: Vec<String>,
    /// Its account and Region, where these are its own.
    pub place: Place,
    /// Services that it calls and that live at another place, where they are not read.
    pub elsewhere: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LambdaRef {
    pub function: String,
    /// The alias that its traffic comes through.
    pub alias: Option<String>,
}

/// Names or ids, as AppConfig has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppConfigRef {
    pub application: String,
    pub environment: String,
    pub profile: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricRef {
    pub namespace: String,
    /// Name and value.
    pub dimensions: Vec<(String, String)>,
}
