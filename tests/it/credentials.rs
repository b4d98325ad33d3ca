//! Whose credentials change something, and since when: nothing before an approval, and then the writing role's.
//!
//! The rule that is not obvious: the account notes an attempt as it arrives, before anybody looks at whether it
//! is allowed. Otherwise a bot that tries with the wrong credentials and is refused would look innocent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use incident_commander::demo::aws::{AwsWorld, Fault, Identity, Mutation};
use incident_commander::demo::slack::workspace::id;
use incident_commander::domain::audit;
use incident_commander::domain::incident::State;
use incident_commander::store::Store;
use reqwest::Method;

use crate::aws_account::{ACCOUNT, Account, FUNCTION};
use crate::deploy::{files_below, granted, root};
use crate::ward::{Ward, trail};

/// The roles of the bot, in the demo as in tests.
pub const READ: &str = "commander-read";
pub const WRITE: &str = "commander-write";

/// What was done in an account without an approval, more than once for one, or with other credentials than the
/// writing role's: a sentence each. Only the audit trail says what was approved.
pub async fn strays(world: &AwsWorld, store: &Store) -> Vec<String> {
    let rows = store.audit_trail().await.unwrap();
    audit::verify(&rows).unwrap();
    // Session of each approval, from when on it may be used, and how often: as often as the trail says that it left.
    let mut approved = BTreeMap::new();
    for row in &rows {
        let what: serde_json::Value = serde_json::from_str(&row.what).unwrap();
        if what["kind"] == "decided" && what["decision"] == "approved" {
            let short = &row.approval.as_deref().unwrap()[..8];
            let session = format!("{}-{}-{short}", row.incident.unwrap(), row.actor);
            approved.insert(session, (row.at(), 0));
        }
        if what["kind"] == "sending"
            && let Some((_, times)) = approved.get_mut(what["session"].as_str().unwrap())
        {
            *times += 1;
        }
    }
    let mut strays = Vec::new();
    // A session may say more about itself after the approval's incident and person.
    let of = |session: &str| {
        let mut known = approved.iter().filter(|(known, _)| session.starts_with(known.as_str()));
        known.next_back().map(|(_, approval)| *approval)
    };
    for one in world.assumed_roles().into_iter().filter(|one| one.role == WRITE) {
        if of(&one.session).is_none_or(|(since, _)| one.at < since) {
            strays.push(format!("{WRITE} is assumed without an approval: {one:?}"));
        }
    }
    let mut made = BTreeMap::new();
    for one in world.mutations() {
        let Some((_, session)) = one.arn.split_once(&format!(":assumed-role/{WRITE}/")) else {
            strays.push(format!("with other credentials than {WRITE}'s: {one:?}"));
            continue;
        };
        // One that changed nothing may be tried again where AWS itself would refuse the second of two.
        let times = made.entry(session.to_owned()).or_insert(0);
        *times += i32::from(one.error_code.is_none());
        if of(session).is_none_or(|(since, allowed)| one.at < since || *times > allowed) {
            strays.push(format!("without an approval of its own: {one:?}"));
        }
    }
    strays
}

/// One request for each action that the writing policy grants: its method, path and `X-Amz-Target`.
const REQUESTS: [(&str, &str, &str, &str); 9] = [
    ("appconfig:StartDeployment", "POST", "/applications/a/environments/e/deployments", ""),
    ("appconfig:StopDeployment", "DELETE", "/applications/a/environments/e/deployments/1", ""),
    ("ecs:StopServiceDeployment", "POST", "/", "AmazonEC2ContainerServiceV20141113.StopServiceDeployment"),
    ("ecs:UpdateService", "POST", "/", "AmazonEC2ContainerServiceV20141113.UpdateService"),
    ("lambda:DeleteFunctionConcurrency", "DELETE", "/2017-10-31/functions/checkout/concurrency", ""),
    ("lambda:PutFunctionConcurrency", "PUT", "/2017-10-31/functions/checkout/concurrency", ""),
    ("lambda:UpdateAlias", "PUT", "/2015-03-31/functions/checkout/aliases/live", ""),
    ("lambda:UpdateFunctionConfiguration", "PUT", "/2015-03-31/functions/checkout/configuration", ""),
    ("ssm:PutParameter", "POST", "/", "AmazonSSM.PutParameter"),
];

/// An account with one key that may only read.
async fn account_with_a_reader() -> (Account, String) {
    let account = Account::open().await;
    account.deploy_checkout();
    let actions: Vec<String> = granted("iam-read.json").into_iter().collect();
    let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
    let reader = Identity::session(ACCOUNT, READ, "incident-commander").allowing(&actions);
    let key = account.world.issue_access_key(reader);
    (account, key)
}

async fn ask(account: &Account, key: &str, method: &str, path: &str, target: &str) {
    let request = reqwest::Client::new()
        .request(method.parse::<Method>().unwrap(), format!("{}{path}", account.url))
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={key}/20260206/us-east-1/any/aws4_request"),
        )
        // So long is waited for an answer that never comes.
        .timeout(Duration::from_millis(500))
        .body("{}");
    let request = if target.is_empty() { request } else { request.header("x-amz-target", target) };
    // What came of it is noted by the account; a connection that breaks is one of the cases.
    let _ = request.send().await;
}

#[tokio::test]
async fn whatever_comes_of_a_change_with_the_reading_credentials_it_is_noted() {
    let actions: BTreeSet<String> = REQUESTS.iter().map(|(action, ..)| (*action).to_owned()).collect();
    assert_eq!(actions, granted("iam-write.json"), "every action that changes something is tried");
    let refused = Fault::Error { status: 400, code: "ClientException".into(), message: String::new() };
    for fault in [None, Some(Fault::Throttle), Some(refused), Some(Fault::Hang), Some(Fault::Reset)] {
        let (account, key) = account_with_a_reader().await;
        account.world.script_faults("*", vec![fault.clone(); REQUESTS.len()]);
        for (action, method, path, target) in REQUESTS {
            ask(&account, &key, method, path, target).await;
            let noted = account.world.mutations().pop().map(|one| (one.operation, one.error_code.is_some()));
            assert_eq!(noted, Some((action.to_owned(), true)), "{fault:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("empty.db").display());
        let strays = strays(&account.world, &Store::open(&url).await.unwrap()).await;
        assert_eq!(strays.len(), REQUESTS.len(), "{fault:?}: {strays:#?}");
    }
}

/// Methods that begin like a change and are none: readings, parts of a request, and an element of XML.
const NOT_CHANGES: [&str; 5] = ["start_query", "stop_query", "start_time", "stop_type", "tag_name"];

#[test]
fn every_call_that_changes_something_is_made_by_the_writer_and_is_one_of_the_policy_s() {
    // `lambda:UpdateAlias` is `update_alias`.
    let method = |action: &String| {
        let mut name = String::new();
        for letter in action.split(':').nth(1).unwrap().chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    };
    let known: BTreeSet<String> = granted("iam-write.json").iter().map(method).collect();
    let verbs = [
        "associate",
        "attach",
        "cancel",
        "create",
        "delete",
        "deregister",
        "detach",
        "disable",
        "enable",
        "invoke",
        "modify",
        "publish",
        "put",
        "reboot",
        "register",
        "remove",
        "run",
        "send",
        "start",
        "stop",
        "tag",
        "terminate",
        "untag",
        "update",
    ];
    let mut found = BTreeSet::new();
    for file in files_below(&root().join("src/aws")) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (dot, _) in code.match_indices('.') {
            let rest = &code[dot + 1..];
            let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            let Some((verb, _)) = name.split_once('_') else { continue };
            let is_call = rest[name.len()..].starts_with("()");
            if !is_call || !verbs.contains(&verb) || NOT_CHANGES.contains(&name.as_str()) {
                continue;
            }
            assert!(known.contains(&name), "{}: {name} is in no policy", file.display());
            // The receiver is what stands between the last beginning of an expression and the method.
            let before = &code[..dot];
            let receiver = &before[before.rfind([';', '{', '=']).map_or(0, |at| at + 1)..];
            assert!(receiver.trim().starts_with("writer"), "{}: {name} on {receiver}", file.display());
            found.insert(name);
        }
    }
    assert_eq!(found, known, "and each of them is looked at here");
}

#[tokio::test]
async fn what_the_account_does_not_know_counts_as_a_change() {
    let (account, key) = account_with_a_reader().await;
    ask(&account, &key, "DELETE", "/2015-03-31/functions/checkout", "").await;
    ask(&account, &key, "POST", "/", "AmazonEC2ContainerServiceV20141113.DeleteService").await;
    ask(&account, "a key of nobody", "PUT", "/2015-03-31/functions/checkout/aliases/live", "").await;
    let noted: Vec<String> = account.world.mutations().into_iter().map(|one| one.operation).collect();
    assert_eq!(noted, ["DELETE /2015-03-31/functions/checkout", "ecs:DeleteService", "lambda:UpdateAlias"]);
}

#[tokio::test]
async fn a_bot_that_writes_with_its_reading_credentials_is_found_out() {
    let ward = Ward::open(true, |set| set.config.aws.write_role_arn = None).await;
    let bench = ward.bench().await;
    ward.live(&bench, 6).await;
    ward.clicked(&bench, "press/1", id::APPROVER, "rollback_approve").await;
    ward.live(&bench, 10).await;
    let strays = strays(&ward.account.world, &bench.store).await;
    assert_eq!(strays.len(), 1, "{strays:#?}");
    assert!(strays[0].contains("with other credentials") && strays[0].contains("AccessDenied"), "{strays:?}");
}

#[tokio::test]
async fn looking_again_and_again_changes_nothing_and_asks_for_no_role_that_could() {
    let ward = Ward::open(true, |_| {}).await;
    let bench = ward.bench().await;
    ward.live(&bench, 6).await;
    let incident = ward.of(&bench).await.incident;
    for round in 2..4 {
        bench.store.investigate_again(incident, "asked for again", ward.clock.now()).await.unwrap();
        ward.live(&bench, 30).await;
        let row = bench.store.incident_row(incident).await.unwrap().unwrap();
        assert_eq!(row.round, round);
        assert_ne!(row.state, State::Investigating, "it came to its end");
    }
    let (world, roles) = (&ward.account.world, ward.account.world.assumed_roles());
    assert!(world.calls("cloudtrail:LookupEvents") > 0 && world.calls("lambda:ListVersionsByFunction") > 0);
    assert!(roles.iter().all(|one| one.role == READ) && !roles.is_empty(), "{roles:?}");
    assert_eq!(world.mutations(), Vec::<Mutation>::new());
    // And what is approved afterwards is made with the writing role, once.
    assert_eq!(trail(&bench.store, &["sending"]).await, Vec::<serde_json::Value>::new());
    assert_eq!(strays(world, &bench.store).await, Vec::<String>::new());
    assert_eq!(world.live_configuration(FUNCTION, "live").unwrap().0, "2");
}
