//! How near a change comes to the service by what fails, where no name ties the two.
//!
//! Nobody's name stands on a route, a managed secret or a key. What no longer gets through, what is refused, and whatever an
//! error names tells whose it was. The rule that is not obvious: it only ever brings a change nearer, and never one that
//! belongs to another service.

use super::changes::DENIED;
use super::failure::Failure;
use super::keys::Fit;
use super::logs::phrases::{self, Mechanism};
use super::ratios;
use super::words;
use crate::domain::change::{Change, ChangeKind, KeyChange, Relation};
use crate::domain::evidence::Scope;

/// A service logs in with one or two secrets, an account holds dozens, and no name ties this one to the service: so it is
/// named where nothing else explains the refusals, and not before a change of the service's own in the same minutes.
const ONE_OF_MANY: f64 = 0.1;

/// The relevance that a change has at least, by the failures of this incident; 0 where they say nothing of it.
pub fn by_failure(change: &Change, fits: &mut [Fit], failure: &Failure, scope: &Scope) -> f64 {
    closes(change, fits, failure).max(hits(change, failure, scope))
}

/// How near a change of the network comes to the service by what it took away: the relevance that it
/// has at least. Nobody's name stands on a route or a rule; what no longer gets through tells whose it was.
fn closes(change: &Change, fits: &mut [Fit], failure: &Failure) -> f64 {
    let cut_off = |mechanism: &Mechanism| {
        matches!(mechanism, Mechanism::Unreachable | Mechanism::Timeout | Mechanism::FunctionTimeout)
    };
    let silent: f64 =
        failure.mechanisms.iter().filter(|(found, _)| cut_off(found)).map(|(_, share)| share).sum();
    let taken = |key: &KeyChange| key.before.is_some() && key.after.is_none();
    let network = matches!(change.kind, ChangeKind::SecurityGroup | ChangeKind::Network);
    if silent < 0.3 || change.no_op || !network {
        return 0.0;
    }
    let mut near: f64 = 0.0;
    for (key, fit) in change.keys.iter().zip(fits).filter(|(key, _)| taken(key) || is_denied(key)) {
        // `egress tcp 5432 sg-1`: the port of the rule is the port that the errors name.
        let port = key.key.split(' ').nth(2).filter(|port| port.chars().all(|c| c.is_ascii_digit()));
        let Some(port) = port.filter(|port| !port.is_empty()) else { continue };
        let at = format!(":{port}");
        let named = failure
            .texts
            .iter()
            .any(|text| words::contains_token(text, &at) || words::holds_part(text, port));
        if named {
            fit.ratio = ratios::CAP;
            fit.named = Some(port.to_owned());
            near = ratios::relevance(&Relation::Shared);
        }
    }
    // A route that leads elsewhere takes the old way with it.
    let way_gone = change.kind == ChangeKind::Network
        && change.keys.iter().any(|key| taken(key) || is_replaced_route(key));
    if way_gone { near.max(0.5 * ratios::relevance(&Relation::Shared)) } else { near }
}

/// Whether a key is a rule that refuses what it is about: it takes away like one that allowed and is gone.
fn is_denied(key: &KeyChange) -> bool {
    key.after.as_deref() == Some(DENIED) && key.before.as_deref() != Some(DENIED)
}

/// Whether a key is a route that was there and leads elsewhere now.
fn is_replaced_route(key: &KeyChange) -> bool {
    key.key.starts_with("route ") && key.before.is_some() && key.before != key.after
}

/// How near a change of a store, a key, a queue or a secret comes to the service by what the service's own errors
/// say of it: they name it, or they tell that a login is refused right after some secret was changed. Names
/// of such things are given by many hands: what fails tells who uses them.
fn hits(change: &Change, failure: &Failure, scope: &Scope) -> f64 {
    let of_a_service = matches!(
        change.kind,
        ChangeKind::LambdaCode
            | ChangeKind::LambdaConfig
            | ChangeKind::LambdaAlias
            | ChangeKind::LambdaConcurrency
            | ChangeKind::EcsDeployment
    );
    if of_a_service
        || change.no_op
        || !matches!(change.relation, Relation::Unconnected | Relation::Shared | Relation::Own)
    {
        return 0.0;
    }
    let shared = ratios::relevance(&Relation::Shared);
    if failure.texts.iter().any(|text| names(text, &change.resource, scope)) {
        return shared;
    }
    let refused = failure.texts.iter().any(|text| phrases::refuses_a_login(text));
    let secret = change.kind == ChangeKind::Secret && !is_key(&change.resource);
    if refused && secret && change.relation == Relation::Unconnected { ONE_OF_MANY * shared } else { 0.0 }
}

/// Whether an error names a resource: by an identifier or a name of several parts, not by a mere word, and not by
/// the name of the service itself.
fn names(text: &str, resource: &str, scope: &Scope) -> bool {
    const SHORTEST: usize = 6;
    let name = resource.to_lowercase();
    let name = name.rsplit('/').next().unwrap_or(&name);
    name.len() >= SHORTEST
        && name.contains(['-', '_', '.'])
        && !name.eq_ignore_ascii_case(&scope.service)
        && words::holds_part(text, name)
}

/// Whether a resource is an encryption key, which is named in each refusal, and no login.
pub fn is_key(resource: &str) -> bool {
    let parts: Vec<usize> =
        resource.rsplit('/').next().unwrap_or(resource).split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] || resource.starts_with("mrk-") || resource.starts_with("alias/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::evidence::{MetricScope, Resources};

    fn scope() -> Scope {
        Scope {
            service: "parcel-label".into(),
            region: String::new(),
            account: String::new(),
            now: jiff::Timestamp::UNIX_EPOCH,
            resources: Resources { metrics: MetricScope::default(), ..Resources::default() },
            depends_on: vec![],
            peers: vec![],
        }
    }

    #[test]
    fn an_error_names_a_resource_by_a_name_of_several_parts_only() {
        let text = "connection to server at \"parcel-db.cluster-1.rds.amazonaws.com\" of parcel-label failed, plan gold";
        assert!(names(text, "parcel-db", &scope()));
        assert!(names(text, "instance/parcel-db", &scope()));
        for other in ["gold", "parcel", "parcel-d", "parcel-label", "old-parcel-db"] {
            assert!(!names(text, other, &scope()), "{other}");
        }
    }

    #[test]
    fn a_key_is_no_login() {
        for key in [
            "9fafa4e3-2785-487f-bb2b-1ea9050bb5eb",
            "key/9fafa4e3-2785-487f-bb2b-1ea9050bb5eb",
            "alias/parcel",
            "mrk-1f",
        ] {
            assert!(is_key(key), "{key}");
        }
        for secret in ["rds!cluster-49caaf62-d8ea-4537-a8ea-7b1c691964ce", "parcel-db-login", "prod/parcel"] {
            assert!(!is_key(secret), "{secret}");
        }
    }

    #[test]
    fn a_route_that_leads_elsewhere_was_there_before() {
        let route = |before: Option<&str>, after: Option<&str>| KeyChange {
            key: "route 0.0.0.0/0".into(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        assert!(is_replaced_route(&route(Some("another way"), Some("vgw-1"))));
        assert!(!is_replaced_route(&route(None, Some("vgw-1"))));
        assert!(!is_replaced_route(&KeyChange {
            key: "ingress tcp 443".into(),
            ..route(Some("a"), Some("b"))
        }));
    }
}
