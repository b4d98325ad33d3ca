//! AppConfig: the deployments of the last days, with the content before and after each.
//!
//! Rule: AppConfig's calls take ids where people write names, so applications, environments and
//! profiles are listed first. Content is known where AppConfig hosts it; elsewhere it is a gap.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{Kept, list, text};
use super::clients::Clients;
use super::errors::ReadError;
use super::settings::AppConfigRef;
use crate::domain::alert::parse_time;
use crate::domain::evidence::Gap;

/// Pages of 50 applications, which all incidents share, and of any other listing.
const APPLICATION_PAGES: usize = 20;
const PAGES: usize = 4;
/// Deployments of one environment whose content is read.
const DEPLOYMENTS: usize = 10;
/// Environments that are looked through where the configuration names none.
const ENVIRONMENTS: usize = 10;
/// Content beyond this many bytes is not kept: AppConfig hosts up to 2 MB, and flags are a few KB.
const CONTENT: usize = 256 * 1024;

/// What was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigurationsRead {
    /// Elements of `GetDeployment` with `ContentBefore` and `ContentAfter`; `None` where nothing could be listed.
    pub deployments: Option<Vec<Value>>,
    pub gaps: Vec<Gap>,
}

/// An environment, with the profile that matters where the configuration names one.
struct Place {
    application: (String, String),
    environment: (String, String),
    profile: Option<String>,
}

/// Reads the deployments since a moment: of the configured profiles, else of applications that go by
/// one of `names`.
pub async fn read(
    clients: &Clients,
    configured: &[AppConfigRef],
    names: &[String],
    since: Timestamp,
    deadline: Instant,
) -> ConfigurationsRead {
    let mut read = ConfigurationsRead::default();
    let places = match places(clients, configured, names, &mut read.gaps, deadline).await {
        Ok(places) => places,
        Err(error) => {
            read.gaps.push(error.gap("appconfig", "which applications there are"));
            return read;
        }
    };
    let asked = places.iter().map(|place| deployments(clients, place, since, deadline));
    for (place, answer) in places.iter().zip(futures::future::join_all(asked).await) {
        match answer {
            Ok((found, gaps)) => {
                read.deployments.get_or_insert_default().extend(found);
                read.gaps.extend(gaps);
            }
            Err(error) => {
                let what = format!("deployments of {}/{}", place.application.0, place.environment.0);
                read.gaps.push(error.gap("appconfig", what));
            }
        }
    }
    if places.is_empty() && read.gaps.is_empty() {
        read.deployments = Some(Vec::new());
    }
    read
}

/// Name and id of everything that a listing holds.
pub(super) type Named = Vec<(String, String)>;

async fn places(
    clients: &Clients,
    configured: &[AppConfigRef],
    names: &[String],
    gaps: &mut Vec<Gap>,
    deadline: Instant,
) -> Result<Vec<Place>, ReadError> {
    let goes_by = |(name, id): &(String, String), wanted: &str| name == wanted || id == wanted;
    let (applications, whole) = shared_applications(clients, deadline).await?;
    if !whole {
        let reason =
            format!("the first {} applications were looked through, and there are more", applications.len());
        gaps.push(Gap::new("appconfig", reason));
    }
    let mut places = Vec::new();
    for application in applications {
        let own: Vec<&AppConfigRef> =
            configured.iter().filter(|one| goes_by(&application, &one.application)).collect();
        let by_name = configured.is_empty() && names.iter().any(|name| goes_by(&application, name));
        if own.is_empty() && !by_name {
            continue;
        }
        let (environments, whole) = environments(clients, &application.1, deadline).await?;
        if !whole || (by_name && environments.len() > ENVIRONMENTS) {
            let reached = if by_name { ENVIRONMENTS.min(environments.len()) } else { environments.len() };
            let reason =
                format!("{} has more environments than the first {reached}, which were read", application.0);
            gaps.push(Gap::new("appconfig", reason));
        }
        if by_name {
            places.extend(environments.into_iter().take(ENVIRONMENTS).map(|environment| Place {
                application: application.clone(),
                environment,
                profile: None,
            }));
            continue;
        }
        for one in own {
            match environments.iter().find(|environment| goes_by(environment, &one.environment)) {
                Some(environment) => places.push(Place {
                    application: application.clone(),
                    environment: environment.clone(),
                    profile: Some(one.profile.clone()),
                }),
                None => gaps.push(Gap::new(
                    "appconfig",
                    format!("{} has no environment {}", one.application, one.environment),
                )),
            }
        }
    }
    for one in configured {
        let found = places.iter().any(|place| goes_by(&place.application, &one.application));
        if !found && !gaps.iter().any(|gap| gap.reason.starts_with(&one.application)) {
            gaps.push(Gap::new("appconfig", format!("there is no application {}", one.application)));
        }
    }
    Ok(places)
}

/// The account's applications, which are the same for every incident, and whether these are all.
async fn shared_applications(clients: &Clients, deadline: Instant) -> Result<(Named, bool), ReadError> {
    let ask = || {
        let clients = clients.clone();
        async move { applications(&clients, deadline).await.map(|listed| (listed, true)) }.boxed()
    };
    clients.shared.applications.one(String::new(), "appconfig:ListApplications", deadline, ask).await
}

async fn applications(clients: &Clients, deadline: Instant) -> Result<(Named, bool), ReadError> {
    let (mut found, mut token) = (Vec::new(), None);
    for _ in 0..APPLICATION_PAGES {
        let call = clients.appconfig.list_applications().max_results(50).set_next_token(token);
        let page = clients.within(deadline, "appconfig:ListApplications", call.send()).await?;
        found.extend(named(page.items().iter().map(|one| (one.name(), one.id()))));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    Ok((found, token.is_none()))
}

async fn environments(
    clients: &Clients,
    application: &str,
    deadline: Instant,
) -> Result<(Named, bool), ReadError> {
    let (mut found, mut token) = (Vec::new(), None);
    for _ in 0..PAGES {
        let call = clients.appconfig.list_environments().application_id(application).max_results(50);
        let call = call.set_next_token(token);
        let page = clients.within(deadline, "appconfig:ListEnvironments", call.send()).await?;
        found.extend(named(page.items().iter().map(|one| (one.name(), one.id()))));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    Ok((found, token.is_none()))
}

fn named<'a>(
    items: impl Iterator<Item = (Option<&'a str>, Option<&'a str>)>,
) -> impl Iterator<Item = (String, String)> {
    items.filter_map(|(name, id)| Some((name?.to_owned(), id?.to_owned())))
}

/// What is in force: of each profile the newest deployment that was completed, with its content where that is known. Nobody
/// waits for it, so that its calls leave AppConfig's limits to those who wait; what cannot be read is left out.
pub async fn present(
    clients: &Clients,
    configured: &[AppConfigRef],
    names: &[String],
    deadline: Instant,
) -> Vec<Value> {
    let mut found = Vec::new();
    let places = places(clients, configured, names, &mut Vec::new(), deadline).await.unwrap_or_default();
    for place in &places {
        if clients.limits.background.turn(deadline).await
            && let Ok((listed, _)) = listed(clients, place, None, deadline).await
            && let Ok(profile) = wanted_profile(clients, place, &listed, deadline).await
        {
            let mut newest: BTreeMap<&str, &Value> = BTreeMap::new();
            // The newest come first.
            for one in listed.iter().filter(|one| text(one, "State") == "COMPLETE") {
                newest.entry(text(one, "ConfigurationName")).or_insert(one);
            }
            newest.retain(|name, _| profile.as_deref().is_none_or(|profile| profile == *name));
            for one in newest.into_values().take(DEPLOYMENTS) {
                if !clients.limits.background.turn(deadline).await {
                    return found;
                }
                let Ok(mut deployment) = deployment(clients, place, one, deadline).await else { continue };
                let (profile, version) =
                    (text(&deployment, "ConfigurationProfileId"), text(&deployment, "ConfigurationVersion"));
                let content = content(clients, &place.application.1, profile, version, deadline).await.ok();
                place.name(&mut deployment, content, None);
                found.push(deployment);
            }
        }
    }
    found
}

/// The name of a profile that is configured by its id: deployments are listed by names alone. What no id is
/// like is a name.
async fn profile_name(
    clients: &Clients,
    application: &str,
    profile: &str,
    deadline: Instant,
) -> Result<Option<String>, ReadError> {
    let is_id = (4..=7).contains(&profile.len())
        && profile.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    if !is_id {
        return Ok(None);
    }
    let mut token = None;
    for _ in 0..PAGES {
        let call =
            clients.appconfig.list_configuration_profiles().application_id(application).max_results(50);
        let call = call.set_next_token(token);
        let page = clients.within(deadline, "appconfig:ListConfigurationProfiles", call.send()).await?;
        let found = page.items().iter().find(|one| one.id() == Some(profile)).and_then(|one| one.name());
        if let Some(name) = found {
            return Ok(Some(name.to_owned()));
        }
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    Ok(None)
}

/// The deployments of an environment since a moment, newest first as AppConfig lists them.
async fn deployments(
    clients: &Clients,
    place: &Place,
    since: Timestamp,
    deadline: Instant,
) -> Result<(Vec<Value>, Vec<Gap>), ReadError> {
    let (listed, mut gaps) = listed(clients, place, Some(since), deadline).await?;
    let profile = wanted_profile(clients, place, &listed, deadline).await?;
    let wanted: Vec<&Value> = listed
        .iter()
        .filter(|one| started(one).is_none_or(|at| at >= since))
        .filter(|one| profile.as_deref().is_none_or(|profile| text(one, "ConfigurationName") == profile))
        .collect();
    if wanted.len() > DEPLOYMENTS {
        let reason = format!(
            "of {} deployments of {}/{} the newest {DEPLOYMENTS} were read",
            wanted.len(),
            place.application.0,
            place.environment.0
        );
        gaps.push(Gap::new("appconfig", reason));
    }
    let asked = wanted.iter().take(DEPLOYMENTS).map(|one| deployment(clients, place, one, deadline));
    let mut found = Vec::new();
    for answer in futures::future::join_all(asked).await {
        found.push(answer?);
    }
    let mut versions: Vec<(String, String)> = Vec::new();
    for deployment in &found {
        let before = in_force_before(deployment, &listed);
        for version in [Some(text(deployment, "ConfigurationVersion")), before].into_iter().flatten() {
            let one = (text(deployment, "ConfigurationProfileId").to_owned(), version.to_owned());
            if !versions.contains(&one) {
                versions.push(one);
            }
        }
    }
    let application = &place.application.1;
    let asked =
        versions.iter().map(|(profile, version)| content(clients, application, profile, version, deadline));
    let mut contents: BTreeMap<(String, String), Value> = BTreeMap::new();
    for (one, answer) in versions.iter().zip(futures::future::join_all(asked).await) {
        match answer {
            Ok(content) => {
                contents.insert(one.clone(), content);
            }
            Err(error) => {
                let what = format!("the content of version {} in {}", one.1, place.application.0);
                gaps.push(error.gap("appconfig", what));
            }
        }
    }
    for deployment in &mut found {
        let profile = text(deployment, "ConfigurationProfileId").to_owned();
        let of = |version: Option<&str>| contents.get(&(profile.clone(), version?.to_owned())).cloned();
        let after = of(Some(text(deployment, "ConfigurationVersion")));
        let before = of(in_force_before(deployment, &listed));
        place.name(deployment, after, before);
    }
    Ok((found, gaps))
}

fn started(deployment: &Value) -> Option<Timestamp> {
    parse_time(text(deployment, "StartedAt"))
}

/// The deployments of an environment, newest first: a page that reaches back to `since` is the last, and without it the
/// first page is.
async fn listed(
    clients: &Clients,
    place: &Place,
    since: Option<Timestamp>,
    deadline: Instant,
) -> Result<(Vec<Value>, Vec<Gap>), ReadError> {
    const LIST: &str = "appconfig:ListDeployments";
    let (mut listed, mut gaps, mut token) = (Vec::new(), Vec::new(), None);
    for page in 1.. {
        let kept = Kept::default();
        let call = clients
            .appconfig
            .list_deployments()
            .application_id(&place.application.1)
            .environment_id(&place.environment.1)
            .max_results(50)
            .set_next_token(token);
        token = clients
            .within(deadline, LIST, call.customize().interceptor(kept.clone()).send())
            .await?
            .next_token;
        listed.extend(list(&mut kept.json(LIST)?, "Items"));
        // The newest come first: what was in force before the window's first is read with it.
        let reached = since.is_none_or(|since| listed.last().and_then(started).is_some_and(|at| at < since));
        if token.is_none() || reached {
            break;
        }
        if page == PAGES {
            let reason = format!(
                "the newest {} deployments of {}/{} were looked through, and there are more",
                listed.len(),
                place.application.0,
                place.environment.0
            );
            gaps.push(Gap::new("appconfig", reason));
            break;
        }
    }
    Ok((listed, gaps))
}

/// The one profile that the configuration names, by the name that deployments are listed by.
async fn wanted_profile(
    clients: &Clients,
    place: &Place,
    listed: &[Value],
    deadline: Instant,
) -> Result<Option<String>, ReadError> {
    let named = |profile: &str| listed.iter().any(|one| text(one, "ConfigurationName") == profile);
    match &place.profile {
        Some(profile) if !named(profile) => {
            let name = profile_name(clients, &place.application.1, profile, deadline).await?;
            Ok(Some(name.unwrap_or_else(|| profile.clone())))
        }
        other => Ok(other.clone()),
    }
}

/// A listed deployment with everything that AppConfig knows of it.
async fn deployment(
    clients: &Clients,
    place: &Place,
    listed: &Value,
    deadline: Instant,
) -> Result<Value, ReadError> {
    const GET: &str = "appconfig:GetDeployment";
    let number = listed.get("DeploymentNumber").and_then(Value::as_i64).unwrap_or_default();
    let kept = Kept::default();
    let call = clients
        .appconfig
        .get_deployment()
        .application_id(&place.application.1)
        .environment_id(&place.environment.1)
        .deployment_number(i32::try_from(number).unwrap_or_default());
    clients.within(deadline, GET, call.customize().interceptor(kept.clone()).send()).await?;
    kept.json(GET)
}

impl Place {
    /// Adds to a deployment what its ids are called, and its content where that is known.
    fn name(&self, deployment: &mut Value, after: Option<Value>, before: Option<Value>) {
        let names = [("ApplicationName", &self.application.0), ("EnvironmentName", &self.environment.0)];
        if let Some(members) = deployment.as_object_mut() {
            members.extend(names.map(|(key, name)| (key.to_owned(), json!(name))));
            members.extend(after.map(|content| ("ContentAfter".to_owned(), content)));
            members.extend(before.map(|content| ("ContentBefore".to_owned(), content)));
        }
    }
}

/// The version that was in force when a deployment began: that of the newest one before it, of the same
/// profile, that was completed.
fn in_force_before<'a>(deployment: &Value, listed: &'a [Value]) -> Option<&'a str> {
    let number = |one: &Value| one.get("DeploymentNumber").and_then(Value::as_i64);
    let of_same = |one: &&Value| {
        text(one, "ConfigurationName") == text(deployment, "ConfigurationName")
            && number(one) < number(deployment)
            && text(one, "State") == "COMPLETE"
    };
    let before = listed.iter().filter(of_same).max_by_key(|one| number(one))?;
    Some(text(before, "ConfigurationVersion"))
}

/// A hosted version's content as the text that it is.
async fn content(
    clients: &Clients,
    application: &str,
    profile: &str,
    version: &str,
    deadline: Instant,
) -> Result<Value, ReadError> {
    const ACTION: &str = "appconfig:GetHostedConfigurationVersion";
    let refused =
        |message: &str| ReadError::Unreadable { action: ACTION.to_owned(), message: message.to_owned() };
    let number: i32 = version.parse().map_err(|_| refused("AppConfig does not host it"))?;
    let call = clients
        .appconfig
        .get_hosted_configuration_version()
        .application_id(application)
        .configuration_profile_id(profile)
        .version_number(number);
    let answer = clients.within(deadline, ACTION, call.send()).await?;
    let bytes = answer.content().map(aws_sdk_appconfig::primitives::Blob::as_ref).unwrap_or_default();
    if bytes.len() > CONTENT {
        return Err(refused("it is larger than 256 KB"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| refused("it is not text"))?;
    let is_json = answer.content_type().is_some_and(|kind| kind.starts_with("application/json"));
    if is_json && serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return Err(refused("it is not the JSON that it says it is"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_rolled_back_was_not_in_force_before() {
        let one = |number: i64, version: &str, state: &str| {
            json!({"DeploymentNumber": number, "ConfigurationName": "flags",
                   "ConfigurationVersion": version, "State": state})
        };
        let listed = [
            one(4, "4", "COMPLETE"),
            one(3, "3", "ROLLED_BACK"),
            one(2, "2", "COMPLETE"),
            one(1, "1", "COMPLETE"),
        ];
        assert_eq!(in_force_before(&listed[0], &listed), Some("2"));
        assert_eq!(in_force_before(&listed[3], &listed), None);
    }
}
