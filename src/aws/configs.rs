//! Configuration now and earlier: Lambda's versions and aliases.
//!
//! Rule: settings carry AWS's own names and have the shape that the same answer has in a bundle:
//! nested ones under a dotted path, lists as JSON.

use std::collections::BTreeMap;

use aws_sdk_lambda::types::{AliasConfiguration, Architecture, FunctionConfiguration};
use futures::FutureExt as _;
use serde_json::json;
use tokio::time::Instant;

use super::clients::Clients;
use super::errors::ReadError;
use crate::domain::alert::parse_time;
use crate::domain::evidence::{FunctionAlias, FunctionHistory, FunctionVersion, Gap};

/// Pages of versions that are read at most; a page holds 50, and the newest versions come last.
const PAGES: usize = 20;

/// A function's history, as far as it can be read, and what could not.
pub async fn function_history(
    clients: &Clients,
    function: &str,
    deadline: Instant,
) -> (FunctionHistory, Vec<Gap>) {
    let (versions, aliases) =
        tokio::join!(versions(clients, function, deadline), aliases(clients, function, deadline));
    let mut gaps = Vec::new();
    let mut note = |what: &str, error: ReadError| {
        gaps.push(error.gap("lambda", format!("{what} of {function}")));
    };
    let versions = match versions {
        Ok((versions, trouble)) => {
            if let Some(error) = trouble {
                note("the later versions", error);
            }
            Some(versions)
        }
        Err(error) => {
            note("the versions", error);
            None
        }
    };
    let aliases = aliases.map_err(|error| note("the aliases", error)).ok();
    (FunctionHistory { versions, aliases }, gaps)
}

/// A function as it is now: `$LATEST`, its aliases and its reserved concurrency, each where it could be read. These calls
/// take their turn, so that a look at many functions leaves Lambda's limits to those who wait.
pub async fn present(
    clients: &Clients,
    function: &str,
    deadline: Instant,
) -> (FunctionHistory, Option<Option<i64>>) {
    const LIST: &str = "lambda:ListVersionsByFunction";
    const LIMIT: &str = "lambda:GetFunctionConcurrency";
    let mut history = FunctionHistory::default();
    if !clients.limits.background.turn(deadline).await {
        return (history, None);
    }
    // The first of the list is `$LATEST`, in the same shape as in a whole history.
    let call = clients.lambda.list_versions_by_function().function_name(function).max_items(1);
    if let Ok(page) = clients.within(deadline, LIST, call.send()).await {
        let latest = page.versions().iter().filter_map(version).filter(|one| one.version == "$LATEST");
        history.versions = Some(latest.collect());
    }
    if clients.limits.background.turn(deadline).await {
        history.aliases = aliases(clients, function, deadline).await.ok();
    }
    if !clients.limits.background.turn(deadline).await {
        return (history, None);
    }
    let call = clients.lambda.get_function_concurrency().function_name(function);
    let limit = clients.within(deadline, LIMIT, call.send()).await.ok();
    (history, limit.map(|answer| answer.reserved_concurrent_executions().map(i64::from)))
}

/// The same of a function of another service, which several incidents may ask for at once.
pub async fn shared_history(
    clients: &Clients,
    function: &str,
    deadline: Instant,
) -> (FunctionHistory, Vec<Gap>) {
    let ask = || {
        let (clients, function) = (clients.clone(), function.to_owned());
        async move {
            let read = function_history(&clients, &function, deadline).await;
            let whole = read.1.is_empty();
            Ok((read, whole))
        }
        .boxed()
    };
    let action = "lambda:ListVersionsByFunction";
    let shared = clients.shared.histories.one(function.to_owned(), action, deadline, ask).await;
    shared.unwrap_or_else(|error| {
        (FunctionHistory::default(), vec![error.gap("lambda", format!("the versions of {function}"))])
    })
}

/// All versions, and why these are not all.
async fn versions(
    clients: &Clients,
    function: &str,
    deadline: Instant,
) -> Result<(Vec<FunctionVersion>, Option<ReadError>), ReadError> {
    let (mut versions, mut marker) = (Vec::new(), None);
    for _ in 0..PAGES {
        let call = clients.lambda.list_versions_by_function().function_name(function).set_marker(marker);
        let page = match clients.within(deadline, "lambda:ListVersionsByFunction", call.send()).await {
            Ok(page) => page,
            Err(error) if !versions.is_empty() => return Ok((versions, Some(error))),
            Err(error) => return Err(error),
        };
        versions.extend(page.versions().iter().filter_map(version));
        marker = page.next_marker;
        if marker.is_none() {
            return Ok((versions, None));
        }
    }
    Ok((versions, Some(ReadError::timed_out("lambda:ListVersionsByFunction"))))
}

async fn aliases(
    clients: &Clients,
    function: &str,
    deadline: Instant,
) -> Result<Vec<FunctionAlias>, ReadError> {
    let (mut aliases, mut marker) = (Vec::new(), None);
    for _ in 0..PAGES {
        let call = clients.lambda.list_aliases().function_name(function).set_marker(marker);
        let page = clients.within(deadline, "lambda:ListAliases", call.send()).await?;
        aliases.extend(page.aliases().iter().filter_map(alias));
        marker = page.next_marker;
        if marker.is_none() {
            break;
        }
    }
    Ok(aliases)
}

/// One version as AWS tells it; `None` where it has no number.
pub(super) fn version(configuration: &FunctionConfiguration) -> Option<FunctionVersion> {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let variables = configuration.environment().and_then(|environment| environment.variables());
    Some(FunctionVersion {
        version: configuration.version().filter(|version| !version.is_empty())?.to_owned(),
        last_modified: configuration.last_modified().and_then(parse_time),
        code_sha256: text(configuration.code_sha256()),
        description: text(configuration.description()),
        revision_id: text(configuration.revision_id()),
        environment: variables
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        settings: settings(configuration),
    })
}

fn settings(configuration: &FunctionConfiguration) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            settings.insert(key.to_owned(), value);
        }
    };
    let own = |value: Option<&str>| value.map(str::to_owned);
    put("Runtime", configuration.runtime().map(|runtime| runtime.as_str().to_owned()));
    put("Role", own(configuration.role()));
    put("Handler", own(configuration.handler()));
    put("CodeSize", Some(configuration.code_size().to_string()));
    put("Timeout", configuration.timeout().map(|seconds| seconds.to_string()));
    put("MemorySize", configuration.memory_size().map(|megabytes| megabytes.to_string()));
    put("KMSKeyArn", own(configuration.kms_key_arn()));
    put("State", configuration.state().map(|state| state.as_str().to_owned()));
    put("LastUpdateStatus", configuration.last_update_status().map(|status| status.as_str().to_owned()));
    put("LastUpdateStatusReason", own(configuration.last_update_status_reason()));
    put("PackageType", configuration.package_type().map(|kind| kind.as_str().to_owned()));
    put(
        "TracingConfig.Mode",
        configuration
            .tracing_config()
            .and_then(|tracing| tracing.mode())
            .map(|mode| mode.as_str().to_owned()),
    );
    put("EphemeralStorage.Size", configuration.ephemeral_storage().map(|storage| storage.size().to_string()));
    put(
        "DeadLetterConfig.TargetArn",
        configuration.dead_letter_config().and_then(|queue| own(queue.target_arn())),
    );
    put(
        "SnapStart.ApplyOn",
        configuration.snap_start().and_then(|snap| snap.apply_on()).map(|on| on.as_str().to_owned()),
    );
    let list = |values: Vec<&str>| (!values.is_empty()).then(|| json!(values).to_string());
    put("Architectures", list(configuration.architectures().iter().map(Architecture::as_str).collect()));
    let layers: Vec<_> = configuration
        .layers()
        .iter()
        .map(|layer| json!({"Arn": layer.arn(), "CodeSize": layer.code_size()}))
        .collect();
    put("Layers", (!layers.is_empty()).then(|| json!(layers).to_string()));
    if let Some(network) = configuration.vpc_config() {
        put("VpcConfig.VpcId", own(network.vpc_id()));
        put("VpcConfig.SubnetIds", list(network.subnet_ids().iter().map(String::as_str).collect()));
        put(
            "VpcConfig.SecurityGroupIds",
            list(network.security_group_ids().iter().map(String::as_str).collect()),
        );
    }
    if let Some(logging) = configuration.logging_config() {
        put("LoggingConfig.LogFormat", logging.log_format().map(|format| format.as_str().to_owned()));
        put("LoggingConfig.LogGroup", own(logging.log_group()));
        put(
            "LoggingConfig.ApplicationLogLevel",
            logging.application_log_level().map(|level| level.as_str().to_owned()),
        );
        put(
            "LoggingConfig.SystemLogLevel",
            logging.system_log_level().map(|level| level.as_str().to_owned()),
        );
    }
    // AWS could not decrypt the environment: nobody may conclude that there is none.
    if let Some(error) = configuration.environment().and_then(|environment| environment.error()) {
        put("Environment.Error.ErrorCode", own(error.error_code()));
        put("Environment.Error.Message", own(error.message()));
    }
    settings
}

pub(super) fn alias(configuration: &AliasConfiguration) -> Option<FunctionAlias> {
    Some(FunctionAlias {
        name: configuration.name()?.to_owned(),
        version: configuration.function_version()?.to_owned(),
        revision_id: configuration.revision_id().unwrap_or_default().to_owned(),
        weights: weights(configuration),
    })
}

pub(super) fn weights(configuration: &AliasConfiguration) -> BTreeMap<String, f64> {
    let weights = configuration.routing_config().and_then(|routing| routing.additional_version_weights());
    weights.into_iter().flatten().map(|(version, weight)| (version.clone(), *weight)).collect()
}
