//! Services in other accounts and Regions: each is read where it lives, with the role that belongs there.

use std::collections::BTreeMap;
use std::time::Duration;

use incident_commander::agents::{Deadlines, Request, gather};
use incident_commander::aws::{Accounts, AwsSettings, Place, ServiceSettings, changes};
use incident_commander::demo::aws::{FunctionSettings, Identity};
use incident_commander::domain::alert::Alert;
use serde_json::json;
use tokio::time::Instant;

use super::aws_account::{ACCOUNT, Account, FUNCTION, at, soon};

const OTHER: &str = "222222222222";
const FRANKFURT: &str = "eu-central-1";

/// A role of the other account, with everything that reading and rolling back needs.
fn role_there(account: &Account, name: &str) -> String {
    account.world.add_role(name, &["*"]).replace(ACCOUNT, OTHER)
}

fn there(account: &Account) -> Place {
    Place {
        region: Some(FRANKFURT.to_owned()),
        read_role_arn: Some(role_there(account, "payments-read")),
        write_role_arn: Some(role_there(account, "payments-write")),
        external_id: Some("team-payments".to_owned()),
    }
}

async fn accounts(account: &Account, settings: AwsSettings, place: &Place) -> Accounts {
    let general = account.world.add_role("commander-read", &["*"]);
    let settings = AwsSettings { read_role_arn: Some(general), places: vec![place.clone()], ..settings };
    Accounts::connect(&settings).await.unwrap()
}

fn request(place: &Place) -> Request {
    let body = br#"{"service": "checkout", "triggered_at": "2026-02-06T12:15:00Z"}"#;
    let service = ServiceSettings { place: place.clone(), ..ServiceSettings::default() };
    Request { incident: None, alert: Alert::from_body(body).unwrap(), now: at("12:20:00"), service }
}

#[tokio::test]
async fn a_service_is_read_in_its_own_region_with_its_own_role_and_external_id() {
    let account = Account::open().await;
    account.deploy_checkout();
    let place = there(&account);
    let accounts = accounts(&account, account.settings(), &place).await;
    let request = request(&place);
    let clients = accounts.at(&request.service.place);
    let evidence = gather(clients, request, Deadlines::default(), |_| {}).await;
    assert_eq!((evidence.scope.region.as_str(), evidence.scope.account.as_str()), (FRANKFURT, OTHER));
    assert!(evidence.functions.contains_key(FUNCTION), "{:?}", evidence.gaps);
    let world = &account.world;
    let assumed = world.assumed_roles();
    let told: Vec<_> = assumed.iter().map(|one| (one.role.as_str(), one.external_id.as_deref())).collect();
    assert!(
        !told.is_empty() && told.iter().all(|one| *one == ("payments-read", Some("team-payments"))),
        "{told:?}"
    );
    // What goes through the SDK and what is signed beside it, all in that Region; IAM's records where IAM writes them.
    for operation in ["lambda:ListVersionsByFunction", "codedeploy:ListDeployments", "xray:GetServiceGraph"] {
        let counted = (world.calls_in(FRANKFURT, operation), world.calls(operation));
        assert!(counted.0 > 0 && counted.0 == counted.1, "{operation}: {counted:?}");
    }
    assert_eq!(world.calls_in("us-east-1", "cloudtrail:LookupEvents"), 1);
    assert!(world.calls_in(FRANKFURT, "cloudtrail:LookupEvents") > 1);
    // A change is made with the writing role of that account.
    let writer = accounts.at(&place).writer("INC-7").await;
    drop(writer);
    assert_eq!(accounts.at(&place).session("INC-7").as_deref(), Some("INC-7"));
    assert_eq!(accounts.own().session("INC-7"), None, "the general place has no writing role");
}

#[tokio::test]
async fn who_names_no_place_is_read_as_before() {
    let account = Account::open().await;
    account.deploy_checkout();
    let place = there(&account);
    let accounts = accounts(&account, account.settings(), &place).await;
    let request = request(&Place::default());
    let evidence = gather(accounts.at(&Place::default()), request, Deadlines::default(), |_| {}).await;
    assert_eq!((evidence.scope.region.as_str(), evidence.scope.account.as_str()), ("us-east-1", ACCOUNT));
    let roles = account.world.assumed_roles();
    assert!(!roles.is_empty() && roles.iter().all(|one| one.role == "commander-read"), "{roles:?}");
    assert_eq!(account.world.calls_in(FRANKFURT, "lambda:ListVersionsByFunction"), 0);
}

#[tokio::test]
async fn what_it_calls_elsewhere_is_told_and_no_namesake_is_read_for_it() {
    let account = Account::open().await;
    account.deploy_checkout();
    let none = BTreeMap::new();
    let alice = Identity::user(ACCOUNT, "alice");
    account
        .world
        .create_function("ledger", none, FunctionSettings::default(), &alice, at("08:00:00"))
        .unwrap();
    let mut request = request(&Place::default());
    request.service.elsewhere = vec!["ledger".to_owned()];
    let evidence = gather(&account.clients().await, request, Deadlines::default(), |_| {}).await;
    assert_eq!(evidence.scope.depends_on, ["ledger"], "that it is called is known");
    assert!(!evidence.functions.contains_key("ledger"));
    let gap =
        evidence.gaps.iter().find(|gap| gap.reason.contains("ledger runs in another Region or account"));
    assert!(gap.is_some(), "{:?}", evidence.gaps);
}

/// Twelve pages and six questions at two calls a second: this waits for ten seconds.
#[tokio::test]
async fn in_a_busy_account_what_serves_is_asked_for_by_its_event_source() {
    let account = Account::open().await;
    account.deploy_checkout();
    let noise = Identity::session(ACCOUNT, "ci", "deploy");
    for index in 0..620 {
        let at = at("12:05:00") + Duration::from_secs(index);
        let (request, response) = (json!({"tableName": "carts"}), json!({}));
        account.world.record_event(
            "dynamodb.amazonaws.com",
            "UpdateTable",
            &noise,
            at,
            request,
            response,
            None,
        );
    }
    let clients = account.clients().await;
    let deadline = Instant::now() + Duration::from_mins(1);
    let (since, until) = (at("11:00:00"), at("12:20:00"));
    let alias_moved =
        |found: &changes::Found| {
            found.records.iter().flatten().any(|record| {
                record["eventName"].as_str().is_some_and(|name| name.starts_with("UpdateAlias"))
            })
        };
    let found = changes::everything_and_before(&clients, since, until, deadline).await;
    assert!(alias_moved(&found), "{:?}", found.gaps);
}

#[tokio::test]
async fn two_places_in_one_account_and_region_share_its_pace() {
    let account = Account::open().await;
    account.deploy_checkout();
    let one = there(&account);
    let other = Place { read_role_arn: Some(role_there(&account, "orders-read")), ..one.clone() };
    let settings = AwsSettings { places: vec![one.clone(), other.clone()], ..account.settings() };
    let accounts = Accounts::connect(&settings).await.unwrap();
    let started = Instant::now();
    let asked = [&one, &one, &other].map(|place| {
        let clients = accounts.at(place);
        async move {
            changes::of_resources(clients, &[FUNCTION.to_owned()], at("08:00:00"), at("12:20:00"), soon())
                .await
        }
    });
    for found in futures::future::join_all(asked).await {
        assert_eq!(found.gaps, []);
    }
    // One call at once and 1.9 a second: the third comes after a second.
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}
