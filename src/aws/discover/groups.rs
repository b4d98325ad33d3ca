//! Which log groups are a service's.

use aws_sdk_cloudwatchlogs::types::LogGroup;
use tokio::time::Instant;

use super::{dedupe, functions};
use crate::aws::clients::Clients;
use crate::aws::errors::ReadError;
use crate::aws::settings::ServiceSettings;

const ACTION: &str = "logs:DescribeLogGroups";
/// What one page holds, and the pages of one pattern that are looked through.
const PAGE: i32 = 50;
const PAGES: usize = 6;

/// The groups that exist of those that are configured or named after the service, and what was cut off, if anything.
pub(super) async fn of_service(
    clients: &Clients,
    names: &[String],
    settings: &ServiceSettings,
    deadline: Instant,
) -> Result<(Vec<String>, Option<String>), ReadError> {
    let own = settings.lambda.iter().map(|lambda| &lambda.function).chain(names);
    let own = own.filter(|name| functions::is_name(name)).map(|name| format!("/aws/lambda/{name}"));
    let exact = dedupe(settings.log_groups.iter().cloned().chain(own));
    // A pattern finds `/aws/lambda/checkout` and `/ecs/checkout` alike; it takes 3 to 512 characters.
    let patterns: Vec<&String> =
        names.iter().filter(|name| (3..=512).contains(&name.len()) && is_pattern(name)).collect();
    let by_pattern = patterns.iter().map(|name| with_pattern(clients, name, deadline));
    let by_name = exact.iter().map(|name| {
        // The group of just this name comes first.
        let call = clients.logs.describe_log_groups().log_group_name_prefix(name.as_str()).limit(PAGE);
        clients.within(deadline, ACTION, call.send())
    });
    let (by_pattern, by_name) =
        tokio::join!(futures::future::join_all(by_pattern), futures::future::join_all(by_name));
    let mut found = Vec::new();
    for page in by_name {
        found.extend(names_of(page?.log_groups()));
    }
    found.retain(|group| exact.contains(group));
    let mut cut = None;
    for (name, answer) in patterns.iter().zip(by_pattern) {
        let (groups, whole) = answer?;
        if !whole {
            let looked = groups.len();
            cut = Some(format!(
                "more than {looked} log groups hold {name} in their names; the others were not looked at"
            ));
        }
        found.extend(groups.into_iter().filter(|group| names.iter().any(|name| is_of(group, name))));
    }
    Ok((dedupe(found.into_iter()), cut))
}

/// The groups whose name holds this, and whether these are all.
async fn with_pattern(
    clients: &Clients,
    name: &str,
    deadline: Instant,
) -> Result<(Vec<String>, bool), ReadError> {
    let (mut found, mut token) = (Vec::new(), None);
    for _ in 0..PAGES {
        let call = clients.logs.describe_log_groups().log_group_name_pattern(name).limit(PAGE);
        let page = clients.within(deadline, ACTION, call.set_next_token(token).send()).await?;
        found.extend(names_of(page.log_groups()));
        token = page.next_token;
        if token.is_none() {
            return Ok((found, true));
        }
    }
    Ok((found, false))
}

fn names_of(groups: &[LogGroup]) -> impl Iterator<Item = String> + '_ {
    groups.iter().filter_map(|group| group.log_group_name()).map(str::to_owned)
}

fn is_pattern(name: &str) -> bool {
    name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._/#-".contains(letter))
}

/// Whether one part of the group's path is the service's name.
fn is_of(group: &str, name: &str) -> bool {
    group == name || group.split('/').any(|part| part == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_group_is_the_services_when_one_part_of_its_path_is_its_name() {
        assert!(is_of("/aws/lambda/checkout", "checkout"));
        assert!(is_of("/ecs/checkout/app", "checkout"));
        assert!(!is_of("/aws/lambda/checkout-worker", "checkout"));
    }
}
