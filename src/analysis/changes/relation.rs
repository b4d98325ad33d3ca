//! Whose resource something is, seen from the service under investigation.
//!
//! The rule that is not obvious: a name counts only as a whole part of another one (`checkout` in
//! `/checkout/limits/max`, `checkout-db`, `app/checkout/123`), never as a mere run of letters, and the
//! longest service name that fits wins: `checkout-web` is not `checkout`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::call::{Call, field};
use crate::analysis::kin::{self, Kin};
use crate::analysis::words;
use crate::domain::change::Relation;
use crate::domain::evidence::Evidence;

/// How teams call the environments that do not serve users. A resource that is marked as another
/// environment's acts on nobody here, unless the service is seen to be of that environment or to use it.
const ENVIRONMENTS: &[&str] = &[
    "staging",
    "stage",
    "stg",
    "dev",
    "develop",
    "development",
    "test",
    "testing",
    "qa",
    "uat",
    "sandbox",
    "preprod",
    "pre-prod",
    "preview",
    "canary",
    "integration",
    "nonprod",
    "non-prod",
    "perf",
    "performance",
    "loadtest",
    "load-test",
    "e2e",
];

/// A service by its part in the incident.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Party {
    Own,
    Dependency(String),
    Peer(String),
}

impl Party {
    fn relation(&self) -> Relation {
        match self {
            Party::Own => Relation::Own,
            Party::Dependency(name) => Relation::Dependency(name.clone()),
            Party::Peer(name) => Relation::Peer(name.clone()),
        }
    }
}

/// What is known about which service owns, is or uses what.
#[derive(Debug)]
pub(super) struct Owners {
    /// Service and resource names in lower case.
    names: BTreeMap<String, Party>,
    /// Things that services are seen to use: parameters, secrets, roles, groups, in lower case.
    uses: BTreeMap<String, BTreeSet<Party>>,
    /// Paths of the service's own parameters, in lower case, with a slash at both ends.
    paths: Vec<String>,
    /// Those of [`ENVIRONMENTS`] that the service's own names and settings speak of.
    environments: BTreeSet<&'static str>,
    /// Stores, queues and rules that begin with the service's own word.
    kin: Kin,
    /// The service's own container services, cluster and name, in lower case.
    containers: BTreeSet<(String, String)>,
}

impl Owners {
    pub fn new(evidence: &Evidence) -> Self {
        let scope = &evidence.scope;
        let mut names = BTreeMap::new();
        for peer in &scope.peers {
            names.insert(peer.to_lowercase(), Party::Peer(peer.clone()));
        }
        for function in &scope.resources.lambda {
            names.insert(function.to_lowercase(), Party::Own);
        }
        for service in &scope.resources.ecs {
            names.insert(service.service.to_lowercase(), Party::Own);
        }
        for application in &scope.resources.appconfig {
            names.insert(application.to_lowercase(), Party::Own);
        }
        for name in &scope.depends_on {
            names.insert(name.to_lowercase(), Party::Dependency(name.clone()));
        }
        names.insert(scope.service.to_lowercase(), Party::Own);
        // `checkout-service` owns `/checkout/limits/max`, unless another service is called `checkout`.
        if let Some(stem) = kin::stem(&scope.service) {
            names.entry(stem).or_insert(Party::Own);
        }
        names.retain(|name, _| name.chars().any(char::is_alphanumeric));
        let paths = scope.resources.ssm_paths.iter();
        let paths = paths.map(|path| format!("/{}/", path.trim_matches('/').to_lowercase())).collect();
        let environments = own_environments(evidence);
        let containers = scope.resources.ecs.iter();
        let containers =
            containers.map(|ecs| (ecs.cluster.to_lowercase(), ecs.service.to_lowercase())).collect();
        let kin = Kin::of(scope);
        let mut owners = Self { names, uses: BTreeMap::new(), paths, environments, kin, containers };
        for name in &scope.depends_on {
            owners.learn_use(name, &Party::Dependency(name.clone()));
        }
        owners.learn_uses(evidence);
        owners
    }

    /// Learns who uses what from functions, task definitions and the reads of their roles.
    fn learn_uses(&mut self, evidence: &Evidence) {
        let mut roles: BTreeMap<String, Party> = BTreeMap::new();
        for (function, history) in &evidence.functions {
            let Some(party) = self.exact(function) else { continue };
            for version in history.versions.iter().flatten() {
                for (key, value) in version.environment.iter().chain(&version.settings) {
                    self.learn_use(value, &party);
                    if key == "Role" {
                        roles.insert(last_part(value).to_lowercase(), party.clone());
                    }
                }
            }
        }
        let families: BTreeMap<String, Party> = evidence
            .ecs_services
            .iter()
            .filter_map(|service| {
                let family = last_part(&service.task_definition).split(':').next()?.to_lowercase();
                Some((family, self.exact(&service.name)?))
            })
            .collect();
        for definition in evidence.task_definitions.iter().flatten() {
            let family = definition.family.to_lowercase();
            let Some(party) = families.get(&family).cloned().or_else(|| self.exact(&definition.family))
            else {
                continue;
            };
            for (key, value) in &definition.settings {
                self.learn_use(value, &party);
                if key == "taskRoleArn" || key == "executionRoleArn" {
                    roles.insert(last_part(value).to_lowercase(), party.clone());
                }
            }
            for container in &definition.containers {
                for value in container
                    .environment
                    .values()
                    .chain(container.secrets.values())
                    .chain(container.settings.values())
                {
                    self.learn_use(value, &party);
                }
            }
        }
        for record in evidence.trail.iter().flatten() {
            let call = Call::new(record);
            let reads = matches!(
                (call.service, call.verb),
                ("ssm", "GetParameter" | "GetParameters" | "GetParametersByPath")
                    | ("secretsmanager", "GetSecretValue" | "BatchGetSecretValue")
            );
            if !reads || call.failed() {
                continue;
            }
            let role = role_of(&record.actor.arn).to_lowercase();
            let Some(party) = roles.get(&role).cloned().or_else(|| self.part(&role)) else { continue };
            for name in ["name", "names", "path", "secretId", "secretIdList"] {
                match field(call.request(), name) {
                    Some(Value::String(text)) => self.learn_use(text, &party),
                    Some(Value::Array(values)) => {
                        for text in values.iter().filter_map(Value::as_str) {
                            self.learn_use(text, &party);
                        }
                    }
                    _ => {}
                }
            }
        }
        for (role, party) in roles {
            self.uses.entry(role).or_default().insert(party);
        }
    }

    /// Keeps whatever in a value may name a resource: paths, ARNs, identifiers, hosts and names of parts.
    fn learn_use(&mut self, value: &str, party: &Party) {
        const LONGEST: usize = 512;
        if value.len() > LONGEST {
            return;
        }
        for text in value.split([',', ' ', '"', '[', ']']) {
            for name in aliases(text) {
                // A single plain word is no name: `orders-prod` is, `true` and `prod` are not.
                if name.len() > 4 && name.contains(['-', '_', '/', ':']) {
                    self.uses.entry(name).or_default().insert(party.clone());
                }
            }
        }
    }

    fn exact(&self, name: &str) -> Option<Party> {
        self.names.get(&name.to_lowercase()).cloned()
    }

    /// The service whose name is the longest whole part of this one.
    fn part(&self, name: &str) -> Option<Party> {
        let name = name.to_lowercase();
        let mut best: Option<(&String, &Party)> = None;
        for (service, party) in &self.names {
            let longer = best.is_none_or(|(known, _)| service.len() > known.len());
            if longer && words::holds_part(&name, service) {
                best = Some((service, party));
            }
        }
        best.map(|(_, party)| party.clone())
    }

    /// Of a function or a container service, which is itself a service.
    pub fn of_service(&self, name: &str) -> Relation {
        if let Some(party) = self.exact(name) {
            return party.relation();
        }
        match self.part(name) {
            Some(party) if !self.is_elsewhere(name) => party.relation(),
            _ => Relation::Peer(name.to_owned()),
        }
    }

    /// Of a container service: one in a cluster of another environment is nobody's here, whatever its name.
    pub fn of_container(&self, cluster: &str, name: &str) -> Relation {
        let own = self.containers.contains(&(cluster.to_lowercase(), name.to_lowercase()));
        let elsewhere = ENVIRONMENTS.iter().any(|environment| {
            !self.environments.contains(environment)
                && words::holds_part(&cluster.to_lowercase(), environment)
        });
        if elsewhere && !own { Relation::Peer(name.to_owned()) } else { self.of_service(name) }
    }

    /// Whether a name is marked as another environment's: `/staging/checkout/limit`, `checkout-canary`.
    fn is_elsewhere(&self, name: &str) -> bool {
        name.to_lowercase().split(['/', ':']).any(|part| {
            let own = self.names.keys().filter(|known| part.len() > known.len());
            let around = own.filter_map(|known| {
                part.strip_prefix(known.as_str()).or_else(|| part.strip_suffix(known.as_str()))
            });
            std::iter::once(part)
                .chain(around)
                .map(|rest| rest.trim_matches(['-', '_', '.']))
                .any(|rest| ENVIRONMENTS.contains(&rest) && !self.environments.contains(rest))
        })
    }

    /// Of anything else, by its name or by who is seen to use it; `names` in order of trust.
    pub fn of_resource(&self, names: &[&str]) -> Relation {
        let is_used = |name: &str| aliases(name).iter().any(|alias| self.uses.contains_key(alias));
        if names.iter().any(|name| self.is_elsewhere(name) && !is_used(name)) {
            return Relation::Unconnected;
        }
        for name in names {
            for alias in aliases(name) {
                // The set is ordered: the service itself comes before those that it calls, and those before peers.
                match self.uses.get(&alias).and_then(BTreeSet::first) {
                    Some(Party::Own) => return Relation::Shared,
                    Some(party) => return party.relation(),
                    None => {}
                }
            }
        }
        let below = |name: &&str| {
            let name = name.to_lowercase();
            self.paths.iter().any(|path| name.starts_with(path.as_str()))
        };
        if names.iter().any(below) {
            return Relation::Shared;
        }
        for name in names {
            // The account and the service in an ARN are no part of the resource's name.
            let own = name.splitn(6, ':').nth(5).filter(|_| name.starts_with("arn:")).unwrap_or(name);
            match self.part(own) {
                Some(Party::Own) if own.starts_with('/') => return Relation::Shared,
                Some(party) => return party.relation(),
                None => {}
            }
        }
        if names.iter().any(|name| self.kin.is(name)) {
            return Relation::Shared;
        }
        Relation::Unconnected
    }
}

/// The environments that the service's names, resources and settings speak of.
fn own_environments(evidence: &Evidence) -> BTreeSet<&'static str> {
    let scope = &evidence.scope;
    let resources = &scope.resources;
    let mut texts: Vec<&str> = vec![&scope.service];
    texts.extend(resources.lambda.iter().chain(&resources.log_groups).map(String::as_str));
    texts.extend(resources.appconfig.iter().chain(&resources.ssm_paths).map(String::as_str));
    texts.extend(
        resources.ecs.iter().flat_map(|service| [service.cluster.as_str(), service.service.as_str()]),
    );
    for function in &resources.lambda {
        let Some(history) = evidence.functions.get(function) else { continue };
        texts.extend(history.aliases.iter().flatten().map(|alias| alias.name.as_str()));
        texts.extend(
            history
                .versions
                .iter()
                .flatten()
                .flat_map(|version| version.environment.values())
                .map(String::as_str),
        );
    }
    for container in evidence.task_definitions.iter().flatten().flat_map(|definition| &definition.containers)
    {
        texts.extend(container.environment.values().chain(container.secrets.values()).map(String::as_str));
    }
    let speaks_of = |word: &str| texts.iter().any(|text| words::holds_part(&text.to_lowercase(), word));
    ENVIRONMENTS.iter().copied().filter(|word| speaks_of(word)).collect()
}

/// The role's name of `arn:aws:sts::1:assumed-role/NAME/session`, or the last part of any other ARN.
fn role_of(arn: &str) -> &str {
    match arn.split_once(":assumed-role/") {
        Some((_, rest)) => rest.split('/').next().unwrap_or(rest),
        None => last_part(arn),
    }
}

fn last_part(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

/// The names, in lower case, by which a text may name a resource: itself, the resource of an ARN, a
/// secret without the six characters that AWS adds, the first label of a host.
fn aliases(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let mut names = Vec::new();
    if let Some(resource) = text.splitn(6, ':').nth(5).filter(|_| text.starts_with("arn:")) {
        if text.split(':').nth(2) == Some("ssm")
            && let Some(path) = resource.strip_prefix("parameter")
        {
            names.push(path.to_owned());
            names.push(path.trim_start_matches('/').to_owned());
        } else if let Some(secret) = resource.strip_prefix("secret:") {
            let name = secret.split(':').next().unwrap_or(secret);
            names.push(name.to_owned());
            if let Some((stem, suffix)) = name.rsplit_once('-')
                && suffix.len() == 6
            {
                names.push(stem.to_owned());
            }
        } else {
            names.push(resource.to_owned());
            if let Some((_, name)) = resource.split_once(['/', ':']) {
                names.push(name.to_owned());
                names.push(last_part(name).to_owned());
            }
        }
    } else {
        // `postgres://user@orders-db.cluster.internal:5432/orders` names `orders-db`, and a queue's address
        // ends in the queue's name.
        let host = text.rsplit_once("//").map_or(text.as_str(), |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or(host).rsplit('@').next().unwrap_or(host);
        if let Some((label, _)) = host.split_once('.') {
            names.push(label.to_owned());
        }
        if text.contains("//") {
            names.push(last_part(&text).to_owned());
        }
    }
    names.push(text);
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_environments_resource_is_nobodys_here() {
        let owners = |environments: &[&'static str]| Owners {
            names: BTreeMap::from([("checkout".to_owned(), Party::Own)]),
            uses: BTreeMap::new(),
            paths: Vec::new(),
            environments: environments.iter().copied().collect(),
            kin: Kin::default(),
            containers: BTreeSet::from([("shop".to_owned(), "checkout".to_owned())]),
        };
        let production = owners(&[]);
        for name in ["/staging/checkout/limit", "checkout/dev/flags", "/checkout/uat/limit"] {
            assert_eq!(production.of_resource(&["checkout", name]), Relation::Unconnected, "{name}");
        }
        for name in ["checkout-canary", "staging-checkout", "checkout-perf"] {
            assert_eq!(production.of_service(name), Relation::Peer(name.to_owned()));
        }
        assert_eq!(
            production.of_container("shop-nonprod", "checkout"),
            Relation::Peer("checkout".to_owned())
        );
        assert_eq!(production.of_container("shop", "checkout"), Relation::Own);
        for name in ["/checkout/ab-test/share", "/checkout/limit", "/prod/checkout/stages"] {
            assert_eq!(production.of_resource(&[name]), Relation::Shared, "{name}");
        }
        assert_eq!(owners(&["staging"]).of_resource(&["/staging/checkout/limit"]), Relation::Shared);
    }

    #[test]
    fn a_resource_goes_by_several_names() {
        let has = |text: &str, name: &str| {
            assert!(aliases(text).iter().any(|alias| alias == name), "{text}: {name}");
        };
        has("arn:aws:ssm:us-east-1:1:parameter/checkout/limits/max", "/checkout/limits/max");
        has("arn:aws-cn:ssm:cn-north-1:1:parameter/checkout/limits/max", "/checkout/limits/max");
        has("arn:aws:secretsmanager:us-east-1:1:secret:prod/orders-db-a1B2c3:password::", "prod/orders-db");
        has("arn:aws:iam::1:role/service/orders-role", "orders-role");
        has("postgres://app@orders-db.cluster-c1.internal:5432/orders", "orders-db");
        has("redis://cache-a.internal:6379/0", "cache-a");
        has("https://sqs.us-east-1.amazonaws.com/1/order-events", "order-events");
        has("sg-0a1b", "sg-0a1b");
    }
}
