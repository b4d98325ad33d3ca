//! What calls of the network show: DNS records, routes, rules of security groups.
//!
//! The rule that is not obvious: a call shows what it puts in place and what it takes away, hardly ever what was there; that
//! something was there follows from the verb.

use serde_json::Value;

use super::call::{Call, field, scalar};
use super::other::{KEYS_MAX, items};
use crate::domain::change::KeyChange;

/// Names of the DNS records that a call changes, and what each then points to; `None` where it is deleted.
pub(super) fn record_sets(call: &Call<'_>) -> Vec<(String, Option<String>)> {
    let changes = call.field(&["changeBatch"]).and_then(|batch| field(batch, "changes"));
    changes
        .map(items)
        .unwrap_or_default()
        .iter()
        .filter_map(|change| {
            let record = field(change, "resourceRecordSet")?;
            let name = field(record, "name").and_then(scalar)?;
            let deleted = field(change, "action").and_then(scalar).as_deref() == Some("DELETE");
            let values: Vec<String> = field(record, "resourceRecords")
                .map(items)
                .unwrap_or_default()
                .iter()
                .filter_map(|record| field(record, "value").and_then(scalar))
                .collect();
            let alias =
                || field(record, "aliasTarget").and_then(|target| field(target, "dNSName")).and_then(scalar);
            let after = if values.is_empty() { alias() } else { Some(values.join(", ")) };
            Some((name, after.filter(|_| !deleted)))
        })
        .collect()
}

/// Whether a call takes a part of the network away: a gateway, an endpoint, a peering.
pub(super) fn takes_away(call: &Call<'_>) -> bool {
    ["Delete", "Detach", "Disassociate", "Release"].iter().any(|verb| call.verb.starts_with(verb))
}

/// The route that a call makes, replaces or takes away, by its destination. Where a replaced one led is not in the
/// record; that there was one is.
pub(super) fn route(call: &Call<'_>) -> Option<KeyChange> {
    let to = call.text(&["destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId"])?;
    let way = call.text(&[
        "gatewayId",
        "natGatewayId",
        "transitGatewayId",
        "vpcPeeringConnectionId",
        "networkInterfaceId",
        "instanceId",
        "vpcEndpointId",
        "egressOnlyInternetGatewayId",
    ]);
    let before = (!call.verb.starts_with("Create")).then(|| "another way".to_owned());
    let after = if call.verb.starts_with("Delete") { None } else { way };
    Some(KeyChange { key: format!("route {to}"), before, after })
}

/// Value of a rule that refuses what it is about.
pub(in crate::analysis) const DENIED: &str = "denied";
/// Value of a rule that allows it.
pub(in crate::analysis) const ALLOWED: &str = "allowed";

/// The entry of a subnet's access list that a call makes or replaces, written like a security group's rule. What a
/// replaced one said is not in the record; that there was one is.
pub(super) fn list_entry(call: &Call<'_>) -> Option<KeyChange> {
    if !call.verb.starts_with("Create") && !call.verb.starts_with("Replace") {
        return None;
    }
    let after = match call.text(&["ruleAction"])?.as_str() {
        "deny" => DENIED,
        "allow" => ALLOWED,
        _ => return None,
    };
    let direction = if call.text(&["egress"]).as_deref() == Some("true") { "egress" } else { "ingress" };
    // By their numbers, as IANA assigns them.
    let protocol = match call.text(&["aclProtocol", "protocol"])?.as_str() {
        "6" | "tcp" => "tcp".to_owned(),
        "17" | "udp" => "udp".to_owned(),
        "-1" => "all".to_owned(),
        other => other.to_owned(),
    };
    let port = |name: &str| call.field(&["portRange"]).and_then(|range| field(range, name)).and_then(scalar);
    let ports = match (port("from"), port("to")) {
        (Some(from), Some(to)) if from == to => format!(" {from}"),
        (Some(from), Some(to)) => format!(" {from}-{to}"),
        _ => String::new(),
    };
    let other = call.text(&["cidrBlock", "ipv6CidrBlock"]).map_or(String::new(), |other| format!(" {other}"));
    let key = format!("{direction} {protocol}{ports}{other}");
    let before = call.verb.starts_with("Replace").then(|| "another rule".to_owned());
    Some(KeyChange { key, before, after: Some(after.to_owned()) })
}

/// The rules of a security group that a call allows or takes away.
pub(super) fn rules(call: &Call<'_>) -> Vec<KeyChange> {
    let direction = if call.verb.contains("Egress") { "egress" } else { "ingress" };
    let allowed = call.verb.starts_with("Authorize");
    if !allowed && !call.verb.starts_with("Revoke") {
        return Vec::new();
    }
    let permissions = call.field(&["ipPermissions"]).map(items).unwrap_or_default();
    // An older form names one rule in the request itself.
    let single = [call.request()];
    let permissions: Vec<&Value> =
        if permissions.is_empty() { single.to_vec() } else { permissions.iter().collect() };
    let text = |item: &Value, name: &str| field(item, name).and_then(scalar);
    let mut keys = Vec::new();
    for item in permissions {
        let Some(protocol) = text(item, "ipProtocol") else { continue };
        let all = protocol == "-1";
        let protocol = if all { "all" } else { protocol.as_str() };
        let ports = match (text(item, "fromPort"), text(item, "toPort")) {
            _ if all => String::new(),
            (Some(from), Some(to)) if from == to => format!(" {from}"),
            (Some(from), Some(to)) => format!(" {from}-{to}"),
            _ => String::new(),
        };
        let mut others: Vec<String> = text(item, "cidrIp").into_iter().collect();
        for (list, name) in [
            ("ipRanges", "cidrIp"),
            ("ipv6Ranges", "cidrIpv6"),
            ("groups", "groupId"),
            ("prefixListIds", "prefixListId"),
        ] {
            let inner = field(item, list).map(items).unwrap_or_default();
            others.extend(inner.iter().filter_map(|range| text(range, name)));
        }
        for other in others.iter().map(|other| format!(" {other}")).chain(others.is_empty().then(String::new))
        {
            let value = Some(ALLOWED.to_owned());
            let (before, after) = if allowed { (None, value) } else { (value, None) };
            keys.push(KeyChange { key: format!("{direction} {protocol}{ports}{other}"), before, after });
        }
    }
    keys.truncate(KEYS_MAX);
    keys
}
