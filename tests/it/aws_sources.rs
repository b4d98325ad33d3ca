//! Changes that are no function's: an ECS revision, a parameter, an AppConfig deployment. Each is found in
//! the account, diffed to old and new, and blamed, through the SDK and the engine as `serve` runs them.

use std::time::Duration;

use incident_commander::agents::{Deadlines, Request, gather};
use incident_commander::analysis::{self, Investigation};
use incident_commander::aws::{AppConfigRef, AwsSettings, Clients, MetricRef, ServiceSettings, arn};
use incident_commander::bundle;
use incident_commander::demo::aws::{CodeDeployment, Fault, FunctionSettings, Identity, StackEvent};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::evidence::{EcsRef, Evidence};
use incident_commander::domain::report::Cause;
use serde_json::{Value, json};

use super::aws_account::{ACCOUNT, Account, at};

const LOG_GROUP: &str = "/ecs/orders";

fn settings() -> ServiceSettings {
    ServiceSettings {
        name: "orders".to_owned(),
        metrics: vec![MetricRef {
            namespace: "Shop".to_owned(),
            dimensions: vec![("service".to_owned(), "orders".to_owned())],
        }],
        ..ServiceSettings::default()
    }
}

/// Three hours of orders; from 12:02 on every third one fails with `message`.
fn trouble(account: &Account, message: &str) {
    let world = &account.world;
    for minute in 0..200_u64 {
        let start = at("09:00:00") + Duration::from_mins(minute);
        let failing = start >= at("12:02:00");
        for second in (0..60).step_by(2) {
            let at = start + Duration::from_secs(second);
            let failed = failing && second % 6 == 0;
            let dimensions = [("service", "orders")];
            world.put_metric("Shop", "Requests", &dimensions, at, 1.0, "Count", false);
            world.put_metric("Shop", "Errors", &dimensions, at, f64::from(u8::from(failed)), "Count", false);
            let line = if failed {
                json!({"level": "ERROR", "message": message, "order": format!("A-{minute}-{second}")})
            } else {
                json!({"level": "INFO", "message": "order placed", "order": format!("A-{minute}-{second}")})
            };
            world.put_log(LOG_GROUP, "orders/app/1", at, line.to_string());
        }
    }
}

async fn investigate(account: &Account, service: ServiceSettings) -> (Evidence, Investigation) {
    let body = br#"{"service": "orders", "triggered_at": "2026-02-06T12:08:00Z"}"#;
    let request =
        Request { incident: None, alert: Alert::from_body(body).unwrap(), now: at("12:20:00"), service };
    let gathered = gather(&account.clients().await, request, Deadlines::default(), |_| {}).await;
    let evidence = bundle::from_files(&bundle::to_files(&gathered)).unwrap();
    assert_eq!(evidence, gathered, "what was read is exactly what a bundle holds");
    let investigation = analysis::investigate(&evidence);
    (evidence, investigation)
}

/// The blamed change's keys with old and new value.
fn blamed(investigation: &Investigation) -> Vec<(String, Option<String>, Option<String>)> {
    let verdict = &investigation.report.verdict;
    assert_eq!(verdict.cause, Cause::Deployment, "{verdict:?}");
    let change = verdict.change.as_ref().expect("a change is named");
    change.config.iter().map(|key| (key.key.clone(), key.before.clone(), key.after.clone())).collect()
}

fn row(key: &str, before: &str, after: &str) -> (String, Option<String>, Option<String>) {
    (key.to_owned(), Some(before.to_owned()), Some(after.to_owned()))
}

fn reasons<'a>(evidence: &'a Evidence, source: &str) -> Vec<&'a str> {
    let gaps = evidence.gaps.iter().filter(|gap| gap.source == source);
    gaps.map(|gap| gap.reason.as_str()).collect()
}

fn definition(pool: &str, password: &str) -> Value {
    json!({"family": "orders", "cpu": "512", "memory": "1024", "networkMode": "awsvpc",
           "containerDefinitions": [{
               "name": "app", "image": "registry.example/orders:7", "essential": true, "cpu": 0,
               "environment": [{"name": "DB_POOL_SIZE", "value": pool}, {"name": "DB_PASSWORD", "value": password},
                               {"name": "LOG_LEVEL", "value": "info"}],
               "portMappings": [{"containerPort": 8080, "protocol": "tcp"}]}]})
}

fn run_on_ecs(account: &Account) {
    let (world, alice) = (&account.world, Identity::user(ACCOUNT, "alice"));
    let first = at("08:00:00") - Duration::from_hours(48);
    let one = world.register_task_definition(&definition("20", "hunter2-before"), &alice, first).unwrap();
    world.create_service("prod", "orders", &one, 4, &alice, first).unwrap();
    let two =
        world.register_task_definition(&definition("2", "hunter2-after"), &alice, at("11:59:00")).unwrap();
    world.deploy_service("prod", "orders", &two, false, &alice, at("12:00:00")).unwrap();
}

const POOL: &str = "timed out waiting for a connection from the pool: 2 of 2 in use";

#[tokio::test]
async fn a_task_definitions_change_is_found_diffed_and_blamed() {
    let account = Account::open().await;
    run_on_ecs(&account);
    trouble(&account, POOL);
    let (evidence, investigation) = investigate(&account, settings()).await;
    assert_eq!(reasons(&evidence, "ecs"), [""; 0]);
    let prod = EcsRef { cluster: "prod".to_owned(), service: "orders".to_owned() };
    assert_eq!(evidence.scope.resources.ecs, [prod], "found by its name in the account's clusters");
    let service = &evidence.ecs_services[0];
    let revisions: Vec<&str> = service
        .deployments
        .iter()
        .filter_map(|deployment| deployment.task_definition.rsplit('/').next())
        .collect();
    assert_eq!(revisions, ["orders:2", "orders:1"], "the earlier deployment is in its history alone");
    assert!(service.events.iter().any(|(_, message)| message.contains("steady state")));
    assert_eq!(blamed(&investigation), [row("DB_POOL_SIZE", "20", "2")]);
    let told = serde_json::to_string(&investigation.report).unwrap();
    assert!(!told.contains("hunter2"), "a secret that changed beside it is not told: {told}");
}

#[tokio::test]
async fn a_deployment_that_cloudtrail_does_not_show_yet_is_found_by_ecs_itself() {
    let account = Account::open().await;
    run_on_ecs(&account);
    trouble(&account, POOL);
    account.world.rate_fault("cloudtrail:LookupEvents", 1.0, Fault::access_denied("cloudtrail:LookupEvents"));
    let (_, investigation) = investigate(&account, settings()).await;
    assert!(blamed(&investigation).contains(&row("DB_POOL_SIZE", "20", "2")));
}

#[tokio::test]
async fn a_parameters_change_is_found_diffed_and_blamed() {
    let account = Account::open().await;
    let (world, alice) = (&account.world, Identity::user(ACCOUNT, "alice"));
    let before = at("08:00:00") - Duration::from_hours(24 * 30);
    for (name, kind, value) in [
        ("/shop/orders/db_pool_size", "String", "20"),
        ("/shop/orders/currency", "String", "EUR"),
        ("/shop/orders/db_password", "SecureString", "hunter2"),
        ("/shop/orders-archive/db_pool_size", "String", "7"),
    ] {
        world.put_parameter(name, kind, value, &alice, before).unwrap();
    }
    world
        .put_parameter("/shop/orders/db_password", "SecureString", "hunter3", &alice, at("09:00:00"))
        .unwrap();
    world.put_parameter("/shop/orders/db_pool_size", "String", "2", &alice, at("12:00:00")).unwrap();
    trouble(&account, POOL);
    let (evidence, investigation) = investigate(&account, settings()).await;
    let read: Vec<(&str, i64)> =
        evidence.parameters.iter().flatten().map(|one| (one.name.as_str(), one.version)).collect();
    // Only those of the service that changed lately; the values of secrets are not read.
    let password = "/shop/orders/db_password";
    let pool = "/shop/orders/db_pool_size";
    assert_eq!(read, [(pool, 1), (pool, 2), (password, 1), (password, 2)]);
    assert!(evidence.parameters.iter().flatten().all(|one| one.name != password || one.value.is_none()));
    assert_eq!(blamed(&investigation), [row(pool, "20", "2")]);
}

#[tokio::test]
async fn an_appconfig_deployment_is_found_diffed_and_blamed() {
    let account = Account::open().await;
    let (world, alice) = (&account.world, Identity::user(ACCOUNT, "alice"));
    let deploy = |content: Value, at| {
        world.deploy_configuration("shop-flags", "prod", "limits", &content.to_string(), 0, &alice, at);
    };
    deploy(json!({"db": {"pool_size": 20}, "banner": "hi"}), at("08:00:00") - Duration::from_hours(24 * 30));
    deploy(json!({"db": {"pool_size": 2}, "banner": "hi"}), at("12:00:00"));
    trouble(&account, POOL);
    let flags = AppConfigRef {
        application: "shop-flags".to_owned(),
        environment: "prod".to_owned(),
        profile: "limits".to_owned(),
    };
    let service = ServiceSettings { appconfig: vec![flags], ..settings() };
    let (evidence, investigation) = investigate(&account, service).await;
    assert_eq!(evidence.appconfig.iter().flatten().count(), 1, "the one of the last days");
    assert_eq!(blamed(&investigation), [row("db.pool_size", "20", "2")]);
}

#[tokio::test]
async fn what_carries_the_services_name_as_a_tag_is_found_where_the_key_is_configured() {
    let account = Account::open().await;
    let (world, alice) = (&account.world, Identity::user(ACCOUNT, "alice"));
    let plain = FunctionSettings::default();
    world.create_function("mail-worker", [].into(), plain, &alice, at("08:00:00")).unwrap();
    world.put_log("/shop/mail", "s", at("12:00:00"), "hello".to_owned());
    for (service, resource, value) in [
        ("lambda", "function:mail-worker", "orders"),
        ("logs", "log-group:/shop/mail", "orders"),
        ("lambda", "function:other", "search"),
    ] {
        world.tag(&arn(service, "us-east-1", ACCOUNT, resource), "team:service", value);
    }
    trouble(&account, POOL);
    let (evidence, _) = investigate(&account, settings()).await;
    assert!(evidence.scope.resources.lambda.is_empty(), "no key is configured");
    assert_eq!(world.calls("tag:GetResources"), 0);
    let tagged = AwsSettings { service_tag: Some("team:service".to_owned()), ..account.settings() };
    let body = br#"{"service": "orders", "triggered_at": "2026-02-06T12:08:00Z"}"#;
    let request = Request {
        incident: None,
        alert: Alert::from_body(body).unwrap(),
        now: at("12:20:00"),
        service: settings(),
    };
    let clients = Clients::connect(&tagged).await.unwrap();
    let resources = gather(&clients, request, Deadlines::default(), |_| {}).await.scope.resources;
    assert_eq!(resources.lambda, ["mail-worker"]);
    assert!(resources.log_groups.contains(&"/shop/mail".to_owned()), "{resources:?}");
}

#[tokio::test]
async fn whom_a_service_calls_is_known_from_x_ray_where_the_configuration_names_nobody() {
    let account = Account::open().await;
    let (world, alice) = (&account.world, Identity::user(ACCOUNT, "alice"));
    for function in ["orders", "payments"] {
        world
            .create_function(function, [].into(), FunctionSettings::default(), &alice, at("08:00:00"))
            .unwrap();
    }
    world.record_trace("orders", "payments");
    world.record_trace("search", "orders");
    trouble(&account, POOL);
    let (evidence, _) = investigate(&account, settings()).await;
    assert_eq!(evidence.scope.depends_on, ["payments"]);
    assert!(evidence.functions.contains_key("payments"), "its versions are read as a called service's");
    let told = ServiceSettings { depends_on: vec!["mail".to_owned()], ..settings() };
    let before = world.calls("xray:GetServiceGraph");
    assert_eq!(investigate(&account, told).await.0.scope.depends_on, ["mail"]);
    assert_eq!(world.calls("xray:GetServiceGraph"), before, "who is told does not ask");
}

#[tokio::test]
async fn deployments_of_codedeploy_and_events_of_the_services_stack_are_read() {
    let account = Account::open().await;
    let world = &account.world;
    let deployment = |id: &str, from, until| CodeDeployment {
        id: id.to_owned(),
        application: "orders".to_owned(),
        group: "live".to_owned(),
        status: "Succeeded".to_owned(),
        creator: "user".to_owned(),
        platform: "Server".to_owned(),
        created_at: from,
        completed_at: until,
        ..CodeDeployment::default()
    };
    world.record_deployment(deployment(
        "d-OLD",
        at("08:00:00") - Duration::from_hours(24 * 9),
        at("08:01:00"),
    ));
    world.record_deployment(deployment("d-NEW", at("12:00:00"), at("12:01:30")));
    run_on_ecs(&account);
    let service = format!("arn:aws:ecs:us-east-1:{ACCOUNT}:service/prod/orders");
    let event = |at, logical: &str, physical: &str, status: &str| StackEvent {
        stack: "shop".to_owned(),
        at,
        logical_id: logical.to_owned(),
        physical_id: physical.to_owned(),
        kind: "AWS::ECS::Service".to_owned(),
        status: status.to_owned(),
        reason: None,
    };
    let stack = format!("arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/shop/1");
    for minute in 0..120 {
        // More than a page of what was long before.
        let at = at("08:00:00") - Duration::from_hours(24 * 9) + Duration::from_mins(minute);
        world.record_stack_event(event(at, "Old", "old", "UPDATE_COMPLETE"));
    }
    world.record_stack_event(event(at("11:59:50"), "shop", &stack, "UPDATE_IN_PROGRESS"));
    world.record_stack_event(event(at("12:00:00"), "Service", &service, "UPDATE_COMPLETE"));
    world.record_stack_event(event(at("12:03:00"), "shop", &stack, "UPDATE_COMPLETE"));
    trouble(&account, POOL);
    let (evidence, investigation) = investigate(&account, settings()).await;
    assert_eq!((reasons(&evidence, "codedeploy"), reasons(&evidence, "cloudformation")), (vec![], vec![]));
    let ids: Vec<&str> = evidence.releases.deployments.iter().flatten().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["d-NEW"]);
    let events: Vec<&str> =
        evidence.releases.stack_events.iter().flatten().map(|one| one.logical_id.as_str()).collect();
    assert_eq!(events, ["shop", "Service", "shop"]);
    // The stack's operation is the deployment of the service, which tells more, and it is told once.
    assert_eq!(blamed(&investigation), [row("DB_POOL_SIZE", "20", "2")]);
    for action in ["codedeploy:ListDeployments", "cloudformation:DescribeStackEvents"] {
        world.rate_fault(action, 1.0, Fault::access_denied(action));
        let (evidence, _) = investigate(&account, settings()).await;
        let source = action.split(':').next().unwrap_or_default();
        let line = format!(r#"{{"Effect": "Allow", "Action": "{action}", "Resource": "*"}}"#);
        assert!(
            reasons(&evidence, source).iter().any(|reason| reason.contains(&line)),
            "{:?}",
            evidence.gaps
        );
        world.clear_faults();
    }
}

#[tokio::test]
async fn configured_paths_are_the_services_whatever_their_names_say() {
    let account = Account::open().await;
    let (world, alice) = (&account.world, Identity::user(ACCOUNT, "alice"));
    world.put_parameter("/limits/db_pool_size", "String", "20", &alice, at("08:00:00")).unwrap();
    world.put_parameter("/limits/db_pool_size", "String", "2", &alice, at("12:00:00")).unwrap();
    trouble(&account, POOL);
    let service = ServiceSettings { ssm_paths: vec!["/limits/".to_owned()], ..settings() };
    let (_, investigation) = investigate(&account, service).await;
    assert_eq!(blamed(&investigation), [row("/limits/db_pool_size", "20", "2")]);
}

#[tokio::test]
async fn each_action_that_is_denied_is_a_gap_that_names_it() {
    let account = Account::open().await;
    run_on_ecs(&account);
    let (world, alice) = (&account.world, Identity::user(ACCOUNT, "alice"));
    world.put_parameter("/orders/size", "String", "2", &alice, at("12:00:00")).unwrap();
    world.deploy_configuration("orders", "prod", "limits", "{}", 0, &alice, at("12:00:00"));
    for (action, source) in [
        ("ecs:DescribeServices", "ecs"),
        ("ecs:ListServiceDeployments", "ecs"),
        ("ecs:DescribeServiceRevisions", "ecs"),
        ("ecs:DescribeTaskDefinition", "ecs"),
        ("ecs:ListClusters", "ecs"),
        ("ssm:DescribeParameters", "ssm"),
        ("ssm:GetParameterHistory", "ssm"),
        ("appconfig:ListApplications", "appconfig"),
        ("appconfig:ListEnvironments", "appconfig"),
        ("appconfig:ListDeployments", "appconfig"),
        ("appconfig:GetDeployment", "appconfig"),
        ("appconfig:GetHostedConfigurationVersion", "appconfig"),
    ] {
        world.rate_fault(action, 1.0, Fault::access_denied(action));
        let (evidence, _) = investigate(&account, settings()).await;
        let line = format!(r#"{{"Effect": "Allow", "Action": "{action}", "Resource": "*"}}"#);
        let told = reasons(&evidence, source);
        assert!(told.iter().any(|reason| reason.contains(&line)), "{action}: {told:?}");
        let others = evidence.gaps.iter().filter(|gap| gap.reason.contains("access denied"));
        assert!(others.into_iter().all(|gap| gap.source == source), "{action}: {:?}", evidence.gaps);
        world.clear_faults();
    }
}
