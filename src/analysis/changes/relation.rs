//! Whose resource something is, seen from the service under investigation.
//!
//! The rule that is not obvious: a name counts only as a whole part of another one (`checkout` in
//! `/checkout/limits/max`, `checkout-db`, `app/checkout/123`), never as a mere run of letters, and the
//! longest service name that fits wins: `checkout-web` is not `checkout`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::call::{Call, field};
use crate::domain::change::Relation;
use crate::domain::evidence::Evidence;

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
        for name in &scope.depends_on {
            names.insert(name.to_lowercase(), Party::Dependency(name.clone()));
        }
        names.insert(scope.service.to_lowercase(), Party::Own);
        names.retain(|name, _| name.chars().any(char::is_alphanumeric));
        let mut owners = Self { names, uses: BTreeMap::new() };
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
                        roles.insert(short(value).to_lowercase(), party.clone());
                    }
                }
            }
        }
        let families: BTreeMap<String, Party> = evidence
            .ecs_services
            .iter()
            .filter_map(|service| {
                let family = short(&service.task_definition).split(':').next()?.to_lowercase();
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
                    roles.insert(short(value).to_lowercase(), party.clone());
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

    /// Keeps a value that may name a resource: a path, an ARN, an identifier with a number in it.
    fn learn_use(&mut self, value: &str, party: &Party) {
        const LONGEST: usize = 512;
        if value.len() > LONGEST {
            return;
        }
        for text in value.split([',', ' ', '"', '[', ']']) {
            let resource = text.starts_with('/') && text.len() > 1;
            let identifier =
                text.starts_with("arn:") || text.starts_with("sg-") || text.starts_with("subnet-");
            let address = text.contains('.') && text.contains('-');
            if resource || identifier || address {
                for key in [text.to_lowercase(), short(text).to_lowercase()] {
                    if key.len() > 3 {
                        self.uses.entry(key).or_default().insert(party.clone());
                    }
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
            if longer && is_part(&name, service) {
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
            Some(party) => party.relation(),
            None => Relation::Peer(name.to_owned()),
        }
    }

    /// Of anything else, by its name or by who is seen to use it; `names` in order of trust.
    pub fn of_resource(&self, names: &[&str]) -> Relation {
        for name in names {
            let lower = name.to_lowercase();
            let users = self.uses.get(&lower).or_else(|| self.uses.get(&short(&lower).to_owned()));
            if let Some(users) = users {
                // The set is ordered: the service itself comes before those that it calls, and those before peers.
                match users.first() {
                    Some(Party::Own) => return Relation::Shared,
                    Some(party) => return party.relation(),
                    None => {}
                }
            }
        }
        for name in names {
            match self.part(name) {
                Some(Party::Own) if name.starts_with('/') => return Relation::Shared,
                Some(party) => return party.relation(),
                None => {}
            }
        }
        Relation::Unconnected
    }
}

/// Whether `service` stands in `name` as a whole part, with nothing but separators beside it.
fn is_part(name: &str, service: &str) -> bool {
    let mut from = 0;
    while let Some(found) = name.get(from..).and_then(|rest| rest.find(service)) {
        let start = from + found;
        let end = start + service.len();
        let free = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
        let before = name.get(..start).and_then(|text| text.chars().next_back());
        let after = name.get(end..).and_then(|text| text.chars().next());
        if free(before) && free(after) {
            return true;
        }
        from = start + service.chars().next().map_or(1, char::len_utf8);
    }
    false
}

/// The role's name of `arn:aws:sts::1:assumed-role/NAME/session`, or the last part of any other ARN.
fn role_of(arn: &str) -> &str {
    match arn.split_once(":assumed-role/") {
        Some((_, rest)) => rest.split('/').next().unwrap_or(rest),
        None => short(arn),
    }
}

/// What follows the last slash or, in an ARN, the last colon; a path stays what it is.
fn short(text: &str) -> &str {
    if text.starts_with('/') {
        return text;
    }
    let last = if text.starts_with("arn:aws:ssm:") {
        text.split_once(":parameter").map_or(text, |(_, path)| path)
    } else {
        text.rsplit('/').next().unwrap_or(text)
    };
    if text.starts_with("arn:") && last.starts_with("arn:") {
        last.rsplit(':').next().unwrap_or(last)
    } else {
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_part_of_a_name_counts() {
        for name in ["/checkout/limits/max", "checkout-db", "app/checkout/123", "prod_checkout", "checkout"] {
            assert!(is_part(name, "checkout"), "{name}");
        }
        for name in ["checkouts", "precheckout-db", "check-out", ""] {
            assert!(!is_part(name, "checkout"), "{name}");
        }
    }
}
