//! Which resources carry a service's name as a tag.
//!
//! Rule: teams tag under a key of their own, so nothing is asked unless the configuration names it. A tag adds to what
//! names tell; it takes nothing away.

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::aws::answer::{list, text};
use crate::aws::clients::Clients;
use crate::aws::errors::ReadError;
use crate::aws::signed::{Asked, Protocol};
use crate::domain::evidence::EcsRef;

const ACTION: &str = "tag:GetResources";
/// Pages of a hundred: a service of more resources than these is named in the configuration.
const PAGES: usize = 3;

/// What carries the tag, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tagged {
    pub functions: Vec<String>,
    pub ecs: Vec<EcsRef>,
    pub log_groups: Vec<String>,
}

/// Resources with one of these names under the configured key; nothing where none is configured.
pub(super) async fn of_service(
    clients: &Clients,
    names: &[String],
    deadline: Instant,
) -> Result<Tagged, ReadError> {
    let Some(key) = clients.service_tag() else { return Ok(Tagged::default()) };
    let (mut found, mut token) = (Vec::new(), String::new());
    for _ in 0..PAGES {
        let mut answer = clients.signed.json(&question(key, names, &token), deadline).await?;
        found.extend(list(&mut answer, "ResourceTagMappingList"));
        text(&answer, "PaginationToken").clone_into(&mut token);
        if token.is_empty() {
            break;
        }
    }
    Ok(by_kind(found.iter().map(|one| text(one, "ResourceARN"))))
}

/// The call itself.
pub(in crate::aws) fn question(key: &str, names: &[String], token: &str) -> Asked {
    let input: Value = json!({
        "TagFilters": [{"Key": key, "Values": names}],
        "ResourceTypeFilters": ["lambda:function", "ecs:service", "logs:log-group"],
        "ResourcesPerPage": 100,
        "PaginationToken": token,
    });
    Asked {
        service: "tagging",
        action: ACTION,
        protocol: Protocol::AwsJson("ResourceGroupsTaggingAPI_20170126.GetResources"),
        body: input.to_string(),
    }
}

fn by_kind<'a>(arns: impl Iterator<Item = &'a str>) -> Tagged {
    let mut tagged = Tagged::default();
    for arn in arns {
        let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
        if let Some(function) = resource.strip_prefix("function:") {
            tagged.functions.push(function.to_owned());
        } else if let Some((cluster, service)) =
            resource.strip_prefix("service/").and_then(|path| path.split_once('/'))
        {
            tagged.ecs.push(EcsRef { cluster: cluster.to_owned(), service: service.to_owned() });
        } else if let Some(group) = resource.strip_prefix("log-group:") {
            tagged.log_groups.push(group.trim_end_matches(":*").to_owned());
        }
    }
    tagged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_tells_what_kind_of_resource_is_tagged() {
        let arn = |service: &str, resource: &str| {
            format!("arn:aws-cn:{service}:cn-north-1:123456789012:{resource}")
        };
        let arns = [
            arn("lambda", "function:worker"),
            arn("ecs", "service/prod/web"),
            arn("logs", "log-group:/shop/web:*"),
            arn("s3", "bucket"),
            "nonsense".to_owned(),
        ];
        let web = EcsRef { cluster: "prod".to_owned(), service: "web".to_owned() };
        assert_eq!(
            by_kind(arns.iter().map(String::as_str)),
            Tagged { functions: vec!["worker".into()], ecs: vec![web], log_groups: vec!["/shop/web".into()] }
        );
    }
}
