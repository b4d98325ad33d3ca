//! `services import FILE`: `[[service]]` entries from what a stack, a Terraform state or tags already say.
//!
//! The rule that is not obvious: nothing is guessed. A resource that names no service is listed as a remark, and what
//! AWS's own naming tells anyway (`/aws/lambda/<function>`) is left out. Names are compared as the configuration compares
//! them, in any case; what it names already is printed as a remark, so that what is appended to it is never refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::config::{Config, EcsRef, LambdaRef, Service};
use crate::report;

/// A state of Terraform with thousands of resources has some tens of MB.
const FILE_MAX: u64 = 256 * 1024 * 1024;
/// Tags that name a service or its owner, in order; case does not matter.
const SERVICE_TAGS: [&str; 4] = ["service", "app", "application", "component"];
const OWNER_TAGS: [&str; 3] = ["owner", "team", "squad"];

#[derive(Debug, Args)]
pub struct ServicesArgs {
    #[command(subcommand)]
    command: ServicesCommand,
}

#[derive(Debug, Subcommand)]
enum ServicesCommand {
    /// Prints `[[service]]` entries made of a stack, a Terraform state or tags.
    #[command(after_help = "Examples:\n  \
        aws cloudformation describe-stack-resources --stack-name shop > shop.json\n  \
        incident-commander services import shop.json\n  \
        terraform show -json > state.json\n  \
        incident-commander services import state.json\n  \
        aws resourcegroupstaggingapi get-resources > tags.json\n  \
        incident-commander services import tags.json --config commander.toml >> commander.toml")]
    Import {
        /// JSON of `aws cloudformation describe-stack-resources` or `list-stack-resources`, of
        /// `terraform show -json`, a `terraform.tfstate`, or of `aws resourcegroupstaggingapi
        /// get-resources`; `-` reads standard input.
        file: PathBuf,
        /// The configuration: services that it names already are printed as remarks.
        #[arg(long, env = "COMMANDER_CONFIG")]
        config: Option<PathBuf>,
    },
}

/// One resource, as its source names it.
#[derive(Debug, Clone, PartialEq)]
struct Resource {
    what: What,
    service: Option<String>,
    owner: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Function(String),
    Alias { function: String, alias: String },
    Container(EcsRef),
    LogGroup(String),
    Parameter(String),
}

pub fn services(args: &ServicesArgs) -> anyhow::Result<()> {
    let ServicesCommand::Import { file, config } = &args.command;
    let config = config.as_deref().map(Config::load).transpose()?.unwrap_or_default();
    let body = super::alert::contents(file, FILE_MAX)?;
    let value = serde_json::from_slice(&body).with_context(|| format!("{} is no JSON", file.display()))?;
    let entries = import(&value, &config)?.with_context(|| {
        format!(
            "{} is neither resources of a CloudFormation stack, nor a Terraform state, nor tagged resources",
            file.display()
        )
    })?;
    print!("{entries}");
    Ok(())
}

/// What a file comes to beside a configuration, as it is printed; `None` where it is of no known kind.
///
/// # Errors
/// When an entry cannot be written as TOML.
pub fn import(file: &Value, config: &Config) -> anyhow::Result<Option<String>> {
    let found = read(file).map(|resources| entries(resources, &names(config))).transpose()?;
    Ok(found.map(|text| report::plain_lines(&text)))
}

/// Every name and alias of the configuration, in small letters.
fn names(config: &Config) -> BTreeSet<String> {
    let of = |service: &Service| [std::slice::from_ref(&service.name), &service.aliases].concat();
    config.services.iter().flat_map(of).map(|name| name.to_lowercase()).collect()
}

/// The resources that the bot knows; `None` where the file is of no known kind.
fn read(value: &Value) -> Option<Vec<Resource>> {
    let list = |key: &str| value[key].as_array();
    if let Some(resources) = list("StackResources").or_else(|| list("StackResourceSummaries")) {
        return Some(resources.iter().filter_map(of_stack).collect());
    }
    if let Some(resources) = list("ResourceTagMappingList") {
        return Some(resources.iter().filter_map(tagged).collect());
    }
    // `terraform show -json` where nothing was applied yet.
    if value["format_version"].is_string() && value.get("values").is_none() {
        return Some(Vec::new());
    }
    if let Some(module) = value["values"]["root_module"].as_object() {
        let mut found = Vec::new();
        modules(&Value::Object(module.clone()), &mut found);
        return Some(found);
    }
    let resources = list("resources")?;
    let instances = resources.iter().filter(|one| one["mode"] != "data").flat_map(|one| {
        let kind = one["type"].as_str().unwrap_or_default();
        let instances = one["instances"].as_array().map(Vec::as_slice).unwrap_or_default();
        instances.iter().filter_map(move |instance| of_terraform(kind, &instance["attributes"]))
    });
    Some(instances.collect())
}

/// The resources of a module of `terraform show -json`, and of those below it.
fn modules(module: &Value, found: &mut Vec<Resource>) {
    let list = |key: &str| module[key].as_array().map(Vec::as_slice).unwrap_or_default();
    for one in list("resources").iter().filter(|one| one["mode"] != "data") {
        found.extend(of_terraform(one["type"].as_str().unwrap_or_default(), &one["values"]));
    }
    for below in list("child_modules") {
        modules(below, found);
    }
}

fn of_stack(resource: &Value) -> Option<Resource> {
    let physical = resource["PhysicalResourceId"].as_str()?;
    let what = match resource["ResourceType"].as_str()? {
        "AWS::Lambda::Function" => What::Function(last(physical, ':')),
        "AWS::Lambda::Alias" | "AWS::ECS::Service" => of_arn(physical)?,
        "AWS::Logs::LogGroup" => What::LogGroup(physical.to_owned()),
        "AWS::SSM::Parameter" => What::Parameter(physical.to_owned()),
        _ => return None,
    };
    Some(Resource { what, service: None, owner: None })
}

fn tagged(resource: &Value) -> Option<Resource> {
    let what = of_arn(resource["ResourceARN"].as_str()?)?;
    let tags = resource["Tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let pairs = tags.iter().filter_map(|tag| Some((tag["Key"].as_str()?, tag["Value"].as_str()?)));
    let pairs: Vec<(&str, &str)> = pairs.collect();
    Some(Resource { what, service: tag(&pairs, &SERVICE_TAGS), owner: tag(&pairs, &OWNER_TAGS) })
}

fn of_terraform(kind: &str, attributes: &Value) -> Option<Resource> {
    let text = |key: &str| attributes[key].as_str().map(str::to_owned);
    let what = match kind {
        "aws_lambda_function" => What::Function(text("function_name")?),
        // It may be given by name or by ARN.
        "aws_lambda_alias" => {
            What::Alias { function: last(&text("function_name")?, ':'), alias: text("name")? }
        }
        "aws_ecs_service" => {
            What::Container(EcsRef { cluster: last(&text("cluster")?, '/'), service: text("name")? })
        }
        "aws_cloudwatch_log_group" => What::LogGroup(text("name")?),
        "aws_ssm_parameter" => What::Parameter(text("name")?),
        _ => return None,
    };
    let all = attributes["tags_all"].as_object().or_else(|| attributes["tags"].as_object());
    let pairs: Vec<(&str, &str)> =
        all.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect();
    Some(Resource { what, service: tag(&pairs, &SERVICE_TAGS), owner: tag(&pairs, &OWNER_TAGS) })
}

/// `arn:partition:service:region:account:rest`.
fn of_arn(arn: &str) -> Option<What> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, service, _, _, rest] = parts.as_slice() else { return None };
    match *service {
        "lambda" => match rest.strip_prefix("function:")?.split_once(':') {
            Some((function, alias)) => {
                Some(What::Alias { function: function.to_owned(), alias: alias.to_owned() })
            }
            None => Some(What::Function(rest.strip_prefix("function:")?.to_owned())),
        },
        "ecs" => {
            let (cluster, service) = rest.strip_prefix("service/")?.split_once('/')?;
            Some(What::Container(EcsRef { cluster: cluster.to_owned(), service: service.to_owned() }))
        }
        "logs" => Some(What::LogGroup(rest.strip_prefix("log-group:")?.trim_end_matches(":*").to_owned())),
        "ssm" => Some(What::Parameter(rest.strip_prefix("parameter")?.to_owned())),
        _ => None,
    }
}

fn tag(pairs: &[(&str, &str)], names: &[&str]) -> Option<String> {
    let named = |name: &&str| pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    names.iter().find_map(named).map(|(_, value)| (*value).to_owned()).filter(|value| !value.is_empty())
}

fn last(text: &str, mark: char) -> String {
    text.rsplit(mark).next().unwrap_or(text).to_owned()
}

/// The entries as TOML, those of services that are known already as remarks, and a remark for each resource of no service.
fn entries(resources: Vec<Resource>, known: &BTreeSet<String>) -> anyhow::Result<String> {
    let mut services: BTreeMap<String, Service> = BTreeMap::new();
    let (serving, beside): (Vec<_>, Vec<_>) = resources
        .into_iter()
        .partition(|one| matches!(one.what, What::Function(_) | What::Alias { .. } | What::Container(_)));
    for resource in serving {
        let own = match &resource.what {
            What::Function(function) | What::Alias { function, .. } => function.clone(),
            What::Container(ecs) => ecs.service.clone(),
            _ => continue,
        };
        let tagged = resource.service.clone();
        // An alias has no tags of its own: it belongs to whose function it is.
        let whose = services.values().find(|service| service.lambda.iter().any(|one| one.function == own));
        let name = tagged.or_else(|| whose.map(|service| service.name.clone())).unwrap_or(own);
        take(entry(&mut services, &name), resource);
    }
    let mut left = Vec::new();
    for resource in beside {
        match home(&services, &resource) {
            Some(name) => take(entry(&mut services, &name), resource),
            None => left.push(resource),
        }
    }
    let mut out = String::new();
    for (name, service) in services {
        let written = written(&service)?;
        if known.contains(&name) {
            out.push_str("# In the configuration already; this was found of it:\n");
            for line in written.lines() {
                let _ = writeln!(out, "# {line}");
            }
        } else {
            out.push_str(&written);
        }
        out.push('\n');
    }
    for resource in left {
        let (kind, name) = match &resource.what {
            What::LogGroup(name) => ("log group", name),
            What::Parameter(name) => ("parameter", name),
            _ => continue,
        };
        // One line, whatever its name holds: a line break would end the remark.
        let _ = writeln!(out, "# of no service: {kind} {}", report::plain(name));
    }
    Ok(out)
}

/// One entry of the configuration.
fn written(service: &Service) -> anyhow::Result<String> {
    let mut out = String::from("[[service]]\n");
    let table = toml::Table::try_from(service).context("an entry cannot be written as TOML")?;
    // In the order of the configuration, not of the alphabet.
    let keys = ["name", "owner", "lambda", "ecs", "ssm_paths", "log_groups"];
    for (key, value) in keys.iter().filter_map(|key| Some((key, table.get(*key)?))) {
        if value.as_array().is_none_or(|list| !list.is_empty()) {
            let _ = writeln!(out, "{key} = {value}");
        }
    }
    Ok(out)
}

/// The service of a name in any case; it is written as it was read first.
fn entry<'a>(services: &'a mut BTreeMap<String, Service>, name: &str) -> &'a mut Service {
    let new = || Service { name: name.to_owned(), ..Service::default() };
    services.entry(name.to_lowercase()).or_insert_with(new)
}

/// The service of a resource that does not serve by itself: by its tag, else the one whose name is a part of its path.
fn home(services: &BTreeMap<String, Service>, resource: &Resource) -> Option<String> {
    if let Some(tagged) = &resource.service {
        return Some(tagged.clone());
    }
    let (What::LogGroup(path) | What::Parameter(path)) = &resource.what else { return None };
    let named = |service: &Service| {
        let functions = service.lambda.iter().map(|one| &one.function);
        let containers = service.ecs.iter().map(|one| &one.service);
        let mut names = std::iter::once(&service.name).chain(functions).chain(containers);
        names.any(|name| path.split('/').any(|part| part == name))
    };
    services.values().find(|service| named(service)).map(|service| service.name.clone())
}

fn take(service: &mut Service, resource: Resource) {
    if service.owner.is_none() {
        service.owner = resource.owner;
    }
    match resource.what {
        What::Function(function) => {
            if !service.lambda.iter().any(|one| one.function == function) {
                service.lambda.push(LambdaRef { function, alias: None });
            }
        }
        What::Alias { function, alias } => {
            service.lambda.retain(|one| one.function != function || one.alias.is_some());
            let one = LambdaRef { function, alias: Some(alias) };
            if !service.lambda.contains(&one) {
                service.lambda.push(one);
            }
        }
        What::Container(ecs) => {
            if !service.ecs.contains(&ecs) {
                service.ecs.push(ecs);
            }
        }
        // Where Lambda writes is known by the function's name.
        What::LogGroup(name) => {
            let known = |one: &LambdaRef| name.strip_prefix("/aws/lambda/") == Some(&one.function);
            if !service.lambda.iter().any(known) && !service.log_groups.contains(&name) {
                service.log_groups.push(name);
            }
        }
        What::Parameter(name) => {
            let folder = name.rsplit_once('/').map_or(name.clone(), |(folder, _)| format!("{folder}/"));
            if !service.ssm_paths.contains(&folder) {
                service.ssm_paths.push(folder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    /// What is printed, and what the configuration makes of it.
    fn imported(value: &Value) -> (String, Config) {
        let text = entries(read(value).unwrap(), &BTreeSet::new()).unwrap();
        let config = Config::parse(&text).unwrap();
        (text, config)
    }

    #[test]
    fn a_stack_gives_its_functions_with_aliases_and_its_containers() {
        let resource = |kind: &str, id: &str| json!({ "ResourceType": kind, "PhysicalResourceId": id });
        let (text, config) = imported(&json!({ "StackResources": [
            resource("AWS::Lambda::Function", "checkout"),
            resource("AWS::Lambda::Alias", "arn:aws:lambda:us-east-1:123456789012:function:checkout:live"),
            resource("AWS::ECS::Service", "arn:aws:ecs:us-east-1:123456789012:service/prod/refunds"),
            resource("AWS::Logs::LogGroup", "/aws/lambda/checkout"),
            resource("AWS::Logs::LogGroup", "/prod/refunds/app"),
            resource("AWS::SSM::Parameter", "/checkout/limits/pool"),
            resource("AWS::SSM::Parameter", "/elsewhere/limit"),
            resource("AWS::IAM::Role", "role"),
        ] }));
        let checkout = config.service("checkout").unwrap();
        assert_eq!(checkout.lambda, [LambdaRef { function: "checkout".into(), alias: Some("live".into()) }]);
        assert_eq!(checkout.ssm_paths, ["/checkout/limits/"]);
        assert!(checkout.log_groups.is_empty(), "AWS's own naming tells it: {text}");
        let refunds = config.service("refunds").unwrap();
        assert_eq!(refunds.ecs, [EcsRef { cluster: "prod".into(), service: "refunds".into() }]);
        assert_eq!(refunds.log_groups, ["/prod/refunds/app"]);
        assert!(text.ends_with("# of no service: parameter /elsewhere/limit\n"), "{text}");
    }

    #[test]
    fn a_terraform_state_in_which_nothing_was_applied_gives_nothing() {
        assert_eq!(read(&json!({ "format_version": "1.0" })), Some(Vec::new()));
    }

    #[test]
    fn a_terraform_state_gives_services_by_their_tags_in_both_of_its_forms() {
        let tags = json!({ "Service": "shop", "Team": "#team-shop" });
        let function = json!({ "function_name": "shop-checkout", "tags_all": tags });
        let alias = json!({ "function_name": "shop-checkout", "name": "live" });
        let state = json!({ "version": 4, "resources": [
            { "mode": "managed", "type": "aws_lambda_function", "instances": [{ "attributes": function }] },
            { "mode": "managed", "type": "aws_lambda_alias", "instances": [{ "attributes": alias }] },
            { "mode": "data", "type": "aws_lambda_function", "instances": [{ "attributes": { "function_name": "theirs" } }] },
        ] });
        let shown = json!({ "values": { "root_module": { "child_modules": [{ "resources": [
            { "mode": "managed", "type": "aws_lambda_function", "values": function },
            { "mode": "managed", "type": "aws_lambda_alias", "values": alias },
        ] }] } } });
        for value in [state, shown] {
            let (text, config) = imported(&value);
            assert_eq!(config.services.len(), 1, "{text}");
            let shop = config.service("shop").unwrap();
            assert_eq!(shop.owner.as_deref(), Some("#team-shop"));
            assert_eq!(
                shop.lambda,
                [LambdaRef { function: "shop-checkout".into(), alias: Some("live".into()) }]
            );
        }
    }

    #[test]
    fn tagged_resources_are_put_together_by_their_tag() {
        let resource = |arn: &str, tag: &str| json!({ "ResourceARN": arn, "Tags": [{ "Key": "service", "Value": tag }] });
        let (_, config) = imported(&json!({ "ResourceTagMappingList": [
            resource("arn:aws:lambda:us-east-1:123456789012:function:shop-a", "shop"),
            resource("arn:aws:lambda:us-east-1:123456789012:function:shop-b", "shop"),
            resource("arn:aws:logs:us-east-1:123456789012:log-group:/shop/app", "shop"),
            resource("arn:aws:ssm:us-east-1:123456789012:parameter/shop/limit", "shop"),
            resource("arn:aws:s3:::bucket", "shop"),
        ] }));
        let shop = config.service("shop").unwrap();
        assert_eq!((shop.lambda.len(), shop.log_groups.len()), (2, 1));
        assert_eq!(shop.ssm_paths, ["/shop/"]);
    }

    fn container(arn: &str, tag: &str) -> Value {
        let arn = format!("arn:aws:ecs:us-east-1:123456789012:service/{arn}");
        json!({ "ResourceARN": arn, "Tags": [{ "Key": "service", "Value": tag }] })
    }

    #[test]
    fn one_service_in_two_spellings_is_one_and_what_is_told_twice_is_listed_once() {
        let (text, config) = imported(&json!({ "ResourceTagMappingList": [
            container("prod/refunds", "Shop"), container("prod/refunds", "shop"), container("prod/orders", "SHOP"),
        ] }));
        assert_eq!(config.services.len(), 1, "{text}");
        assert_eq!(config.services[0].name, "Shop");
        let told: Vec<&str> = config.services[0].ecs.iter().map(|one| one.service.as_str()).collect();
        assert_eq!(told, ["refunds", "orders"]);
    }

    #[test]
    fn what_is_appended_to_a_configuration_that_names_it_already_is_accepted() {
        let mut text = "[[service]]\nname = \"Shop\"\naliases = [\"web\"]\n".to_owned();
        let state = json!({ "ResourceTagMappingList": [
            container("prod/a", "shop"), container("prod/b", "WEB"), container("prod/c", "refunds\n[aws]\n"),
        ] });
        for _ in 0..2 {
            let known = names(&Config::parse(&text).unwrap());
            text.push_str(&entries(read(&state).unwrap(), &known).unwrap());
        }
        let config = Config::parse(&text).unwrap();
        let told: Vec<&str> = config.services.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(told, ["Shop", "refunds\n[aws]\n"], "{text}");
        assert!(text.contains("# name = \"shop\"") && text.contains("# ecs = "), "{text}");
    }

    #[test]
    fn names_that_hold_anything_stay_toml() {
        let odd = "x\"]\n[approvals]\napprovers = [\"U1\"]";
        let resource = |kind: &str, id: &str| json!({ "ResourceType": kind, "PhysicalResourceId": id });
        let (_, config) = imported(&json!({ "StackResourceSummaries": [
            resource("AWS::Lambda::Function", odd),
            resource("AWS::SSM::Parameter", "/nobody\n[approvals]\napprovers = [\"U1\"]\n#"),
        ] }));
        assert_eq!(config.services[0].name, odd);
        assert!(config.approvals.approvers.is_empty());
        assert!(read(&json!({ "Resources": [] })).is_none());
    }
}
