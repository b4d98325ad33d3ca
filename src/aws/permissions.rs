//! Whether each read that the bot makes is allowed: every action is tried with something that does not
//! exist.
//!
//! Rule: IAM decides before a service looks at the request, so an answer that there is no such thing, or
//! that the request makes no sense, says that the action is allowed. Nothing is read that anybody owns.

use std::time::Duration;

use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Metric, MetricDataQuery, MetricStat};
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::clients::Clients;
use super::discover::tags;
use super::errors::ReadError;
use super::{graph, partition::arn, releases};

/// What nothing is called.
const NOTHING: &str = "incident-commander-doctor";
/// An account that nobody has.
const NO_ACCOUNT: &str = "000000000000";
/// An id in AppConfig's shape.
const NO_ID: &str = "abcd123";
/// An id in the shape of a query's.
const NO_QUERY: &str = "00000000-0000-0000-0000-000000000000";

/// Whether one action may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// Its IAM action.
    pub action: &'static str,
    /// Why not, or why nobody can tell.
    pub trouble: Option<ReadError>,
}

/// The policy that reading needs: one statement with every action of what is switched on.
///
/// Listings and searches name no resource that a policy could be narrowed to; what is read of one resource is found by
/// them first.
pub fn policy(clients: &Clients) -> Value {
    let now = Timestamp::UNIX_EPOCH;
    let mut actions: Vec<&str> =
        trials(clients, now, Instant::now()).into_iter().map(|(action, _)| action).collect();
    actions.sort_unstable();
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "IncidentCommanderReads", "Effect": "Allow", "Action": actions, "Resource": "*"}]})
}

/// Tries every read, all at the same time.
pub async fn try_all(clients: &Clients, now: Timestamp, deadline: Instant) -> Vec<Permission> {
    let tried = trials(clients, now, deadline).into_iter().map(|(action, call)| async move {
        let trouble = call.await.err().filter(is_trouble);
        Permission { action, trouble }
    });
    futures::future::join_all(tried).await
}

/// Whether an error is more than AWS's word that what was asked for makes no sense.
fn is_trouble(error: &ReadError) -> bool {
    !matches!(error, ReadError::NotFound { .. } | ReadError::Refused { .. })
}

type Trial<'a> = (&'static str, BoxFuture<'a, Result<(), ReadError>>);

fn trials(clients: &Clients, now: Timestamp, deadline: Instant) -> Vec<Trial<'_>> {
    let mut trials: Vec<Trial<'_>> = Vec::new();
    macro_rules! tries {
        ($action:literal, $call:expr) => {
            let call = $call;
            trials.push((
                $action,
                Box::pin(async move { clients.within(deadline, $action, call.send()).await.map(|_| ()) }),
            ));
        };
    }
    let time = |at: Timestamp| DateTime::from_millis(at.as_millisecond());
    let (start, end) = (now - Duration::from_mins(1), now);
    let Clients { cloudwatch, logs, lambda, ecs, ssm, appconfig, .. } = clients;
    trials
        .push(("sts:GetCallerIdentity", Box::pin(async move { clients.caller(deadline).await.map(|_| ()) })));
    trials.push(("cloudtrail:LookupEvents", Box::pin(look_up(clients, now, deadline))));
    let metric = Metric::builder().namespace(NOTHING).metric_name(NOTHING).build();
    let stat = MetricStat::builder().metric(metric).period(60).stat("Sum").build();
    let query = MetricDataQuery::builder().id("m0").metric_stat(stat).build();
    tries!(
        "cloudwatch:GetMetricData",
        cloudwatch.get_metric_data().metric_data_queries(query).start_time(time(start)).end_time(time(end))
    );
    tries!("cloudwatch:ListMetrics", cloudwatch.list_metrics().namespace(NOTHING));
    tries!("lambda:GetAlias", lambda.get_alias().function_name(NOTHING).name(NOTHING));
    tries!("lambda:GetFunctionConcurrency", lambda.get_function_concurrency().function_name(NOTHING));
    tries!("lambda:GetFunctionConfiguration", lambda.get_function_configuration().function_name(NOTHING));
    tries!("lambda:ListAliases", lambda.list_aliases().function_name(NOTHING));
    tries!("lambda:ListFunctions", lambda.list_functions().max_items(1));
    tries!("lambda:ListVersionsByFunction", lambda.list_versions_by_function().function_name(NOTHING));
    tries!("logs:DescribeLogGroups", logs.describe_log_groups().log_group_name_prefix(NOTHING).limit(1));
    tries!("logs:FilterLogEvents", logs.filter_log_events().log_group_name(NOTHING).limit(1));
    tries!("logs:GetQueryResults", logs.get_query_results().query_id(NO_QUERY));
    tries!(
        "logs:StartQuery",
        logs.start_query()
            .log_group_name(NOTHING)
            .start_time(start.as_second())
            .end_time(end.as_second())
            .query_string("limit 1")
    );
    tries!("logs:StopQuery", logs.stop_query().query_id(NO_QUERY));
    tries!("ecs:ListClusters", ecs.list_clusters().max_results(1));
    tries!("ecs:DescribeServices", ecs.describe_services().cluster(NOTHING).services(NOTHING));
    tries!("ecs:ListServiceDeployments", ecs.list_service_deployments().cluster(NOTHING).service(NOTHING));
    let ecs_arn = |kind: &str| {
        let resource = format!("{kind}/{NOTHING}/{NOTHING}/0000000000000000000");
        arn("ecs", clients.region(), NO_ACCOUNT, &resource)
    };
    let deployment = ecs_arn("service-deployment");
    tries!(
        "ecs:DescribeServiceDeployments",
        ecs.describe_service_deployments().service_deployment_arns(deployment)
    );
    let revision = ecs_arn("service-revision");
    tries!("ecs:DescribeServiceRevisions", ecs.describe_service_revisions().service_revision_arns(revision));
    tries!("ecs:DescribeTaskDefinition", ecs.describe_task_definition().task_definition(NOTHING));
    tries!("ssm:DescribeParameters", ssm.describe_parameters().max_results(1));
    tries!("ssm:GetParameter", ssm.get_parameter().name(format!("/{NOTHING}")));
    tries!("ssm:GetParameterHistory", ssm.get_parameter_history().name(format!("/{NOTHING}")));
    tries!("appconfig:ListApplications", appconfig.list_applications().max_results(1));
    tries!(
        "appconfig:ListConfigurationProfiles",
        appconfig.list_configuration_profiles().application_id(NO_ID)
    );
    tries!(
        "appconfig:ListHostedConfigurationVersions",
        appconfig.list_hosted_configuration_versions().application_id(NO_ID).configuration_profile_id(NO_ID)
    );
    tries!("appconfig:ListEnvironments", appconfig.list_environments().application_id(NO_ID));
    tries!(
        "appconfig:ListDeployments",
        appconfig.list_deployments().application_id(NO_ID).environment_id(NO_ID)
    );
    tries!(
        "appconfig:GetDeployment",
        appconfig.get_deployment().application_id(NO_ID).environment_id(NO_ID).deployment_number(1)
    );
    tries!(
        "appconfig:GetHostedConfigurationVersion",
        appconfig
            .get_hosted_configuration_version()
            .application_id(NO_ID)
            .configuration_profile_id(NO_ID)
            .version_number(1)
    );
    trials.extend(releases::trials(clients, NOTHING, deadline));
    let body = json!({"StartTime": start.as_second(), "EndTime": end.as_second()}).to_string();
    trials.push((
        "xray:GetServiceGraph",
        Box::pin(async move { clients.signed.json(&graph::question(body), deadline).await.map(drop) }),
    ));
    if let Some(key) = clients.service_tag() {
        let asked = tags::question(key, &[NOTHING.to_owned()], "");
        trials.push((
            "tag:GetResources",
            Box::pin(async move { clients.signed.json(&asked, deadline).await.map(drop) }),
        ));
    }
    trials.retain(|(action, _)| clients.reads(action));
    trials
}

async fn look_up(clients: &Clients, now: Timestamp, deadline: Instant) -> Result<(), ReadError> {
    const ACTION: &str = "cloudtrail:LookupEvents";
    let nothing = LookupAttribute::builder()
        .attribute_key(LookupAttributeKey::ResourceName)
        .attribute_value(NOTHING)
        .build()
        .map_err(|error| ReadError::Unreachable { action: ACTION.to_owned(), message: error.to_string() })?;
    let start = now - Duration::from_mins(1);
    let call = clients
        .trail
        .client
        .lookup_events()
        .lookup_attributes(nothing)
        .start_time(DateTime::from_millis(start.as_millisecond()))
        .max_results(1);
    clients.within(deadline, ACTION, call.send()).await.map(|_| ())
}
