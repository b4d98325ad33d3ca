//! AWS: whose credentials, which reads are allowed, and what would be found of a service.
//!
//! The rule that is not obvious: a read that is denied is a note, since the others go on without it and
//! every report says so. Only without credentials is there nothing to investigate.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Finding, Health};
use crate::aws::discover::{Discovered, Finder};
use crate::aws::{Accounts, Clients, ReadError, ServiceSettings, permissions};
use crate::config::Settings;

/// Thirty small calls at once, at worst repeated.
const WITHIN: Duration = Duration::from_secs(20);

const ACCOUNT: &str = "aws account";
const PERMISSIONS: &str = "aws permissions";
const WRITING: &str = "aws writing role";

/// The policy that reading needs; nothing is called for it.
pub async fn policy(settings: &Settings) -> anyhow::Result<serde_json::Value> {
    let clients = Clients::connect(&crate::app::aws_settings(settings)).await?;
    Ok(permissions::policy(&clients))
}

pub(super) async fn examine(settings: &Settings, service: Option<&str>) -> Vec<Finding> {
    let accounts = match Accounts::connect(&crate::app::aws_settings(settings)).await {
        Ok(accounts) => accounts,
        Err(error) => return vec![unusable(&error)],
    };
    let now = Timestamp::now();
    let places = crate::worker::places(&settings.config);
    let elsewhere = places.iter().map(|place| {
        let services = settings.config.services.iter().map(|service| service.name.as_str());
        let there = services.filter(|name| crate::worker::place_of(&settings.config, name) == *place);
        (accounts.at(place), Some(format!(" for {}", there.collect::<Vec<_>>().join(", "))))
    });
    let looks = std::iter::once((accounts.own(), None)).chain(elsewhere);
    let looks = looks.map(|(clients, of)| async move { account(clients, of.as_deref(), now).await });
    let mut findings = futures::future::join_all(looks).await.concat();
    findings.extend(no_writer(settings));
    let usable = findings.iter().all(|finding| finding.health != Health::Failed);
    if let Some(name) = service.filter(|_| usable) {
        let known = crate::worker::service_settings(&settings.config, name);
        let clients = accounts.at(&known.place);
        let found = Finder::new(clients, name, &known, (now, now), Instant::now() + WITHIN).found().await;
        findings.extend(of_service(&found, &known));
    }
    findings
}

/// Whose credentials are used there and which reads they allow. `of` says for which services, where not for every one.
async fn account(clients: &Clients, of: Option<&str>, now: Timestamp) -> Vec<Finding> {
    let (deadline, region) = (Instant::now() + WITHIN, clients.region());
    let caller = match clients.caller(deadline).await {
        Ok(caller) => caller,
        Err(error) => {
            let Some(of) = of else { return vec![unusable(&error)] };
            let remedy = "let the process's own identity assume that role (its trust policy and `sts:AssumeRole`), with the `external_id` that it asks for";
            return vec![Finding::failed(ACCOUNT, format!("{region}{of}: {error}"), remedy)];
        }
    };
    let what = format!("{} in {} ({region}){}", caller.arn, caller.account, of.unwrap_or_default());
    let mut findings = vec![Finding::good(ACCOUNT, what)];
    let place = of.map(|of| format!(" in {region}{of}")).unwrap_or_default();
    // At once: a read that hangs says nothing of the role.
    let (tried, writer) = tokio::join!(
        permissions::try_all(clients, now, deadline),
        writer(clients, &caller.account, &place, deadline)
    );
    let refused: Vec<Finding> = tried.iter().filter_map(|one| refusal(one, &place)).collect();
    if refused.is_empty() {
        findings.push(Finding::good(PERMISSIONS, format!("all {} reads are allowed{place}", tried.len())));
    }
    findings.extend(refused);
    findings.extend(writer);
    findings
}

/// Whether the role of approved changes can be assumed, and is one of the account whose services are read.
async fn writer(clients: &Clients, read: &str, place: &str, deadline: Instant) -> Option<Finding> {
    Some(match clients.writing_caller(deadline).await? {
        Ok(writer) if writer.account == read => {
            Finding::good(WRITING, format!("{} can be assumed{place}", writer.arn))
        }
        Ok(writer) => Finding::failed(
            WRITING,
            format!("{} is of {}, and services are read in {read}{place}", writer.arn, writer.account),
            "name a role of the account in which the services run",
        ),
        Err(error) => Finding::failed(
            WRITING,
            format!("it cannot be assumed{place}, so that no approved rollback is made: {error}"),
            "mend `write_role_arn`, or let the process's own identity assume that role (its trust policy and `sts:AssumeRole`)",
        ),
    })
}

/// Somebody may approve, and nothing may be changed.
fn no_writer(settings: &Settings) -> Option<Finding> {
    let config = &settings.config;
    let none = config.aws.write_role_arn.is_none()
        && config.services.iter().all(|service| service.write_role_arn.is_none());
    (none && !super::approvers(settings).is_empty()).then(|| {
        Finding::note(
            WRITING,
            "none is named: an approved rollback is tried with the credentials that read",
            "name a role with deploy/iam-write.json as [aws] write_role_arn",
        )
    })
}

fn unusable(error: &ReadError) -> Finding {
    let remedy = "give the process a role, a profile (AWS_PROFILE) or keys (AWS_ACCESS_KEY_ID), and a Region (AWS_REGION)";
    Finding::failed(ACCOUNT, error.to_string(), remedy)
}

fn refusal(tried: &permissions::Permission, place: &str) -> Option<Finding> {
    let action = tried.action;
    Some(match tried.trouble.as_ref()? {
        ReadError::AccessDenied { action } => Finding::note(
            PERMISSIONS,
            format!("{action} is not allowed{place}"),
            format!(
                r#"add {{"Effect": "Allow", "Action": "{action}", "Resource": "*"}} to the read policy (deploy/iam-read.json)"#
            ),
        ),
        other => Finding::note(
            PERMISSIONS,
            format!("whether {action} is allowed{place} could not be told: {other}"),
            "try again; where it stays so, the Region may not have this service",
        ),
    })
}

/// What was found of a service, each with the reason why it is taken to be the service's.
fn of_service(found: &Discovered, known: &ServiceSettings) -> Vec<Finding> {
    const CHECK: &str = "aws service";
    let name = &found.scope.service;
    let resources = &found.scope.resources;
    let mut findings = Vec::new();
    let mut tell = |what: String, why: &str| findings.push(Finding::good(CHECK, format!("{what}: {why}")));
    for function in &resources.lambda {
        let configured = known.lambda.iter().any(|lambda| &lambda.function == function);
        let named = name == function || known.name == *function || known.aliases.contains(function);
        let why = match (configured, named) {
            (true, _) => "configured",
            (false, true) => "a function of the service's name",
            (false, false) => "it carries the service's name as a tag",
        };
        tell(format!("function {function}"), why);
    }
    for service in &resources.ecs {
        let configured = known.ecs.iter().any(|one| one.service == service.service);
        let why = if configured { "configured" } else { "a service of this name in the cluster" };
        tell(format!("ECS service {}/{}", service.cluster, service.service), why);
    }
    for group in &resources.log_groups {
        let own =
            group.strip_prefix("/aws/lambda/").is_some_and(|name| resources.lambda.iter().any(|f| f == name));
        let why = match () {
            () if known.log_groups.contains(group) => "configured",
            () if own => "where Lambda writes the function's lines",
            () => "one part of its path is the service's name",
        };
        tell(format!("log group {group}"), why);
    }
    for namespace in &resources.metrics.namespaces {
        let count = found.measured.own.iter().filter(|metric| &metric.namespace == namespace).count();
        let configured = known.metrics.iter().any(|metric| &metric.namespace == namespace);
        let why = if configured { "configured" } else { "a dimension has the service's name" };
        tell(format!("{count} metrics in {namespace}"), why);
    }
    for path in &resources.ssm_paths {
        tell(format!("parameters below {path}"), "configured");
    }
    for application in &resources.appconfig {
        tell(format!("AppConfig application {application}"), "configured");
    }
    if !found.scope.depends_on.is_empty() {
        let why = if known.depends_on.is_empty() { "by X-Ray's service graph" } else { "configured" };
        tell(format!("it calls {}", found.scope.depends_on.join(", ")), why);
    }
    if !found.scope.peers.is_empty() {
        let why = if known.peers.is_empty() { "other functions of the account" } else { "configured" };
        tell(format!("controls {}", found.scope.peers.join(", ")), why);
    }
    let anything =
        !resources.lambda.is_empty() || !resources.ecs.is_empty() || !found.measured.own.is_empty();
    if !anything && resources.log_groups.is_empty() {
        let remedy = format!("name its resources in a [[service]] entry with name = {name:?}");
        findings.push(Finding::note(CHECK, format!("nothing of {name} was found"), remedy));
    }
    findings.extend(found.gaps.iter().map(|gap| {
        Finding::note(CHECK, format!("{}: {}", gap.source, gap.reason), "every report of it says the same")
    }));
    findings
}
