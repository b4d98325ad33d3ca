//! Accounts with more than one page of anything: what is looked for is found, and what was cut off is said.

use std::collections::BTreeMap;
use std::time::Duration;

use incident_commander::agents::{Deadlines, Request, gather};
use incident_commander::aws::{AppConfigRef, ServiceSettings};
use incident_commander::demo::aws::{Fault, FunctionSettings, Identity};
use incident_commander::domain::alert::Alert;
use incident_commander::domain::evidence::Evidence;
use serde_json::json;

use super::aws_account::{ACCOUNT, Account, at};

async fn read(account: &Account, settings: ServiceSettings) -> Evidence {
    let body = br#"{"service": "orders", "triggered_at": "2026-02-06T12:15:00Z"}"#;
    let request = Request {
        incident: None,
        alert: Alert::from_body(body).unwrap(),
        now: at("12:20:00"),
        service: settings,
    };
    gather(&account.clients().await, request, Deadlines::default(), |_| {}).await
}

fn reasons<'a>(evidence: &'a Evidence, source: &str) -> Vec<&'a str> {
    let gaps = evidence.gaps.iter().filter(|gap| gap.source == source);
    gaps.map(|gap| gap.reason.as_str()).collect()
}

fn alice() -> Identity {
    Identity::user(ACCOUNT, "alice")
}

fn run_in(account: &Account, cluster: &str, service: &str) {
    let definition = json!({"family": service, "containerDefinitions": [{"name": "app", "image": "a:1"}]});
    let one = account.world.register_task_definition(&definition, &alice(), at("08:00:00")).unwrap();
    account.world.create_service(cluster, service, &one, 1, &alice(), at("08:00:00")).unwrap();
}

#[tokio::test]
async fn a_service_is_found_in_the_fortieth_cluster_and_beyond_sixty_a_gap_says_so() {
    let account = Account::open().await;
    for number in 0..40 {
        run_in(&account, &format!("cluster-{number:03}"), "other");
    }
    run_in(&account, "cluster-039", "orders");
    let evidence = read(&account, ServiceSettings::default()).await;
    assert_eq!(evidence.scope.resources.ecs.len(), 1, "{:?}", evidence.gaps);
    assert_eq!(reasons(&evidence, "ecs"), [""; 0]);
    for number in 40..70 {
        run_in(&account, &format!("cluster-{number:03}"), "other");
    }
    let evidence = read(&account, ServiceSettings::default()).await;
    assert_eq!(reasons(&evidence, "ecs"), ["of 70 clusters the first 60 were looked through"]);
}

#[tokio::test]
async fn a_second_page_that_fails_loses_nothing_of_the_first_and_is_told() {
    let account = Account::open().await;
    let (world, long_ago) = (&account.world, at("08:00:00") - Duration::from_hours(24 * 30));
    world
        .create_function("orders", BTreeMap::new(), FunctionSettings::default(), &alice(), long_ago)
        .unwrap();
    for number in 0..60 {
        let settings = BTreeMap::from([("N".to_owned(), number.to_string())]);
        world.update_function_environment("orders", settings, &alice(), long_ago).unwrap();
        world.publish_version("orders", "", &alice(), long_ago).unwrap();
        world.put_parameter(&format!("/orders/{number:02}"), "String", "1", &alice(), long_ago).unwrap();
    }
    let whole = read(&account, ServiceSettings::default()).await;
    assert_eq!((reasons(&whole, "lambda"), reasons(&whole, "ssm")), (vec![], vec![]));
    let versions = |evidence: &Evidence| evidence.functions["orders"].versions.as_ref().map_or(0, Vec::len);
    assert_eq!(versions(&whole), 61, "$LATEST among them");
    for (action, source, words) in [
        ("lambda:ListVersionsByFunction", "lambda", "the later versions of orders: throttled"),
        ("ssm:DescribeParameters", "ssm", "which further parameters there are: throttled"),
    ] {
        let later = std::iter::repeat_n(Some(Fault::Throttle), 20);
        world.script_faults(action, std::iter::once(None).chain(later));
        let evidence = read(&account, ServiceSettings::default()).await;
        assert!(reasons(&evidence, source).iter().any(|told| told.contains(words)), "{:?}", evidence.gaps);
        assert_eq!(versions(&evidence), if source == "lambda" { 50 } else { 61 });
        assert!(evidence.parameters.is_some(), "{:?}", evidence.gaps);
        world.clear_faults();
    }
}

#[tokio::test]
async fn one_cluster_that_may_not_be_read_hides_none_of_the_others() {
    let account = Account::open().await;
    // Which of both is asked first is nobody's business.
    run_in(&account, "a", "orders");
    run_in(&account, "b", "orders");
    let action = "ecs:DescribeServices";
    account.world.script_faults(action, [Some(Fault::access_denied(action))]);
    let evidence = read(&account, ServiceSettings::default()).await;
    assert_eq!(evidence.scope.resources.ecs.len(), 1, "{:?}", evidence.gaps);
    assert!(reasons(&evidence, "ecs")[0].contains("access denied"));
}

#[tokio::test]
async fn a_log_group_is_found_behind_many_that_hold_its_name() {
    let account = Account::open().await;
    for number in 0..120 {
        let group = format!("/a/orders-{number:03}");
        account.world.put_log(&group, "s", at("08:00:00"), "other".to_owned());
    }
    account.world.put_log("/ecs/orders/app", "s", at("12:10:00"), "own".to_owned());
    let evidence = read(&account, ServiceSettings::default()).await;
    assert_eq!(evidence.scope.resources.log_groups, ["/ecs/orders/app"]);
    assert_eq!(reasons(&evidence, "logs"), [""; 0]);
    for number in 120..400 {
        let group = format!("/a/orders-{number:03}");
        account.world.put_log(&group, "s", at("08:00:00"), "other".to_owned());
    }
    let evidence = read(&account, ServiceSettings::default()).await;
    let told = reasons(&evidence, "logs");
    assert!(told.iter().any(|reason| reason.starts_with("more than 300 log groups hold orders")), "{told:?}");
}

#[tokio::test]
async fn a_dependency_is_a_function_also_where_the_list_ends_before_it() {
    let account = Account::open().await;
    let create = |name: &str| {
        let (none, settings) = (BTreeMap::new(), FunctionSettings::default());
        account.world.create_function(name, none, settings, &alice(), at("08:00:00")).unwrap();
    };
    for number in 0..250 {
        create(&format!("a-{number:03}"));
    }
    create("payments");
    let settings = ServiceSettings { depends_on: vec!["payments".to_owned()], ..ServiceSettings::default() };
    let evidence = read(&account, settings).await;
    assert!(evidence.functions.contains_key("payments"), "{:?}", evidence.gaps);
    let series = evidence.series.iter().flatten();
    assert!(series.into_iter().any(|series| series.dimensions.iter().any(|(_, value)| value == "payments")));
}

#[tokio::test]
async fn an_application_and_an_environment_are_found_on_later_pages_and_a_profile_by_its_id() {
    let account = Account::open().await;
    let long_ago = at("08:00:00") - Duration::from_hours(24 * 30);
    for number in 0..230 {
        let application = format!("app-{number:03}");
        account.world.deploy_configuration(&application, "prod", "flags", "{}", 0, &alice(), long_ago);
    }
    for number in 0..60 {
        let environment = format!("env-{number:03}");
        account.world.deploy_configuration("shop", &environment, "flags", "{}", 0, &alice(), long_ago);
    }
    let before = r#"{"pool": 20}"#;
    account.world.deploy_configuration("shop", "prod", "limits", before, 0, &alice(), at("08:00:00"));
    account.world.deploy_configuration(
        "shop",
        "prod",
        "limits",
        r#"{"pool": 2}"#,
        0,
        &alice(),
        at("12:00:00"),
    );
    account.world.deploy_configuration("shop", "prod", "other", "{}", 0, &alice(), at("12:00:00"));
    let id = account.world.configuration_profile_id("shop", "limits").unwrap();
    for profile in ["limits", id.as_str()] {
        let settings = ServiceSettings {
            appconfig: vec![AppConfigRef {
                application: "shop".to_owned(),
                environment: "prod".to_owned(),
                profile: profile.to_owned(),
            }],
            ..ServiceSettings::default()
        };
        let evidence = read(&account, settings).await;
        let profiles: Vec<&str> =
            evidence.appconfig.iter().flatten().map(|one| one.profile.as_str()).collect();
        assert_eq!(profiles, ["limits", "limits"], "{profile}: {:?}", evidence.gaps);
        assert_eq!(reasons(&evidence, "appconfig"), [""; 0]);
    }
}
