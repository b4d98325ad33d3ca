//! Functions: code, configuration, versions, aliases and limits.

use serde_json::{Value, json};

use super::{Case, keys, took, took_none, version};
use crate::domain::change::{ChangeKind, Relation};
use crate::domain::rollback::RollbackTarget;

/// Code, configuration, version and alias, as a pipeline deploys them.
fn deployment(case: &mut Case, prefix: &str, minute: &str, from: &str, to: &str, weights: &Value) {
    let id = |part: &str| format!("{prefix}-{part}");
    let function = "arn:aws:lambda:us-east-1:123456789012:function:checkout";
    case.call(
        &id("config"),
        &format!("{minute}:00"),
        "lambda",
        "UpdateFunctionConfiguration20150331v2",
        json!({"functionName": "checkout", "environment": {}}),
        json!({"timeout": 30, "codeSha256": "old"}),
    );
    case.call(
        &id("code"),
        &format!("{minute}:05"),
        "lambda",
        "UpdateFunctionCode20150331v2",
        json!({"functionName": function, "publish": false, "dryRun": false}),
        json!({"codeSha256": "new"}),
    );
    case.call(
        &id("publish"),
        &format!("{minute}:10"),
        "lambda",
        "PublishVersion20150331",
        json!({"functionName": "checkout"}),
        json!({"version": to}),
    );
    let main = if weights == &json!({}) { to } else { from };
    case.call(
        &id("alias"),
        &format!("{minute}:20"),
        "lambda",
        "UpdateAlias20150331",
        json!({"functionName": "checkout", "name": "live", "functionVersion": main,
            "routingConfig": {"additionalVersionWeights": weights}}),
        Value::Null,
    );
}

fn two_versions(case: &mut Case, serving: &str, weights: &Value) {
    case.file("lambda/checkout/versions.json", &json!({"Versions": [
        version("41", "09:00:00", "old", &json!({"DB_POOL_SIZE": "10", "RELEASE_TAG": "a", "KEY": "****"})),
        version("42", "12:00:00", "new", &json!({"DB_POOL_SIZE": "5", "RELEASE_TAG": "b", "KEY": "****"})),
    ]}));
    case.file(
        "lambda/checkout/aliases.json",
        &json!({"Aliases": [{"Name": "live", "FunctionVersion": serving,
        "RevisionId": "alias-revision", "RoutingConfig": {"AdditionalVersionWeights": weights}}]}),
    );
}

#[test]
fn one_deployment_of_four_calls_is_one_change_that_acts_when_the_alias_moves() {
    let mut case = Case::new();
    deployment(&mut case, "d", "12:00", "41", "42", &json!({}));
    two_versions(&mut case, "42", &json!({}));
    let change = case.only();
    assert_eq!(change.event_ids, ["d-alias", "d-config", "d-code", "d-publish"]);
    assert_eq!((change.kind.clone(), change.relation.clone()), (ChangeKind::LambdaConfig, Relation::Own));
    assert_eq!(took(&change), ("12:00:20".to_owned(), "12:00:20".to_owned()));
    assert_eq!(
        keys(&change),
        [("DB_POOL_SIZE", Some("10"), Some("5")), ("RELEASE_TAG", Some("a"), Some("b"))]
    );
    assert!(change.code_changed && !change.no_op);
    assert!(change.actor.unwrap().automation);
    let Ok(RollbackTarget::LambdaAlias { from_version, to_version, revision_id, .. }) = change.undo else {
        panic!("{:?}", change.undo)
    };
    assert_eq!(
        (from_version.as_str(), to_version.as_str(), revision_id.as_str()),
        ("42", "41", "alias-revision")
    );
}

#[test]
fn a_canary_reaches_its_share_and_its_steps_are_one_change() {
    let mut case = Case::new();
    deployment(&mut case, "d", "12:00", "41", "42", &json!({"42": 0.1}));
    two_versions(&mut case, "41", &json!({"42": 0.1}));
    let change = case.only();
    assert!((change.share - 0.1).abs() < 1e-9);
    assert_eq!((change.from_version.as_deref(), change.to_version.as_deref()), (Some("41"), Some("42")));
    let Ok(RollbackTarget::LambdaAlias { from_version, to_version, from_weights, to_weights, .. }) =
        &change.undo
    else {
        panic!()
    };
    // It is the share beside it that goes.
    assert_eq!((from_version.as_str(), to_version.as_str()), ("41", "41"));
    assert_eq!((from_weights.len(), to_weights.len()), (1, 0));

    case.call(
        "d-all",
        "12:10:00",
        "lambda",
        "UpdateAlias20150331",
        json!({"functionName": "checkout", "name": "live", "functionVersion": "42"}),
        Value::Null,
    );
    two_versions(&mut case, "42", &json!({}));
    let change = case.only();
    assert_eq!(took(&change), ("12:00:20".to_owned(), "12:10:00".to_owned()));
    assert!((change.share - 1.0).abs() < 1e-9);
}

#[test]
fn a_move_back_undoes_the_deployment_and_is_known_as_such() {
    let mut case = Case::new();
    deployment(&mut case, "d", "12:00", "41", "42", &json!({}));
    case.call(
        "back",
        "12:15:00",
        "lambda",
        "UpdateAlias20150331",
        json!({"functionName": "checkout", "name": "live", "functionVersion": "41"}),
        Value::Null,
    );
    two_versions(&mut case, "41", &json!({}));
    let (first, back) = (case.with("d-alias"), case.with("back"));
    assert_eq!(first.undone_at.map(|at| at.to_string()).as_deref(), Some("2026-02-06T12:15:00Z"));
    assert_eq!(back.undoes.as_deref(), Some(first.id.as_str()));
    assert_eq!(back.kind, ChangeKind::LambdaAlias);
    assert!(first.undo.is_err() && back.undo.is_err());
}

#[test]
fn latest_reaches_nobody_while_an_alias_serves() {
    let mut case = Case::new();
    case.call(
        "code",
        "12:00:00",
        "lambda",
        "UpdateFunctionCode20150331v2",
        json!({"functionName": "checkout"}),
        json!({"codeSha256": "new"}),
    );
    two_versions(&mut case, "41", &json!({}));
    let change = case.with("code");
    assert_eq!(took_none(&change), "only $LATEST changed: the alias live serves version 41");
    assert!(change.undo.is_err());
}

#[test]
fn latest_serves_where_there_is_no_alias_and_its_old_values_are_unknown() {
    let mut case = Case::new();
    case.call(
        "config",
        "12:00:00",
        "lambda",
        "UpdateFunctionConfiguration20150331v2",
        json!({"functionName": "checkout", "environment": {}}),
        json!({"timeout": 30}),
    );
    case.file("lambda/checkout/aliases.json", &json!({"Aliases": []}));
    case.file(
        "lambda/checkout/versions.json",
        &json!({"Versions": [version("$LATEST", "12:00:00", "s", &json!({"A": "5"}))]}),
    );
    let change = case.only();
    assert_eq!(took(&change).0, "12:00:00");
    assert_eq!(keys(&change), []);
    assert!(!change.no_op);
    assert!(change.undo.unwrap_err().contains("nothing shows the environment"));
}

#[test]
fn a_setting_of_latest_is_put_back_where_an_earlier_answer_shows_it() {
    let mut case = Case::new();
    case.call(
        "earlier",
        "08:00:00",
        "lambda",
        "UpdateFunctionCode20150331v2",
        json!({"functionName": "checkout"}),
        json!({"codeSha256": "s", "timeout": 30}),
    );
    case.call(
        "cut",
        "12:00:00",
        "lambda",
        "UpdateFunctionConfiguration20150331v2",
        json!({"functionName": "checkout", "timeout": 2}),
        json!({"codeSha256": "s", "timeout": 2}),
    );
    case.file("lambda/checkout/aliases.json", &json!({"Aliases": []}));
    let mut latest = version("$LATEST", "12:00:00", "s", &json!({}));
    latest["Timeout"] = json!(2);
    case.file("lambda/checkout/versions.json", &json!({"Versions": [latest]}));
    let change = case.with("cut");
    assert_eq!(keys(&change), [("Timeout", Some("30"), Some("2"))]);
    assert!(matches!(change.undo, Ok(RollbackTarget::LambdaConfiguration { .. })), "{:?}", change.undo);
}

#[test]
fn a_variable_of_latest_is_put_back_only_where_the_records_reach_back_to_its_snapshot() {
    let mut case = Case::new();
    case.call(
        "config",
        "12:00:00",
        "lambda",
        "UpdateFunctionConfiguration20150331v2",
        json!({"functionName": "checkout", "environment": {}}),
        json!({}),
    );
    case.file("lambda/checkout/aliases.json", &json!({"Aliases": []}));
    case.file(
        "lambda/checkout/versions.json",
        &json!({"Versions": [
            version("7", "09:00:00", "s", &json!({"LIMIT": "10"})),
            version("$LATEST", "12:00:00", "s", &json!({"LIMIT": "1"})),
        ]}),
    );
    let change = case.only();
    assert_eq!(keys(&change), [("LIMIT", Some("10"), Some("1"))]);
    assert!(change.undo.is_err());
    case.call("long-before", "08:00:00", "kms", "DisableKey", json!({"keyId": "k"}), Value::Null);
    let Ok(RollbackTarget::LambdaConfiguration { keys, .. }) = case.with("config").undo else { panic!() };
    assert_eq!(keys["LIMIT"], (Some("1".to_owned()), Some("10".to_owned())));
}

#[test]
fn variables_and_settings_of_one_call_are_put_back_by_one_call() {
    let mut case = Case::new();
    case.call("long-before", "08:00:00", "kms", "DisableKey", json!({"keyId": "k"}), Value::Null);
    case.call(
        "config",
        "12:00:00",
        "lambda",
        "UpdateFunctionConfiguration20150331v2",
        json!({"functionName": "checkout", "environment": {}, "timeout": 2}),
        json!({}),
    );
    case.file("lambda/checkout/aliases.json", &json!({"Aliases": []}));
    let mut before = version("7", "09:00:00", "s", &json!({"LIMIT": "10"}));
    before["Timeout"] = json!(30);
    let mut latest = version("$LATEST", "12:00:00", "s", &json!({"LIMIT": "1"}));
    latest["Timeout"] = json!(2);
    case.file("lambda/checkout/versions.json", &json!({"Versions": [before, latest]}));
    let undo = case.with("config").undo;
    let Ok(RollbackTarget::LambdaConfiguration { keys, settings, .. }) = undo else { panic!("{undo:?}") };
    assert_eq!(keys["LIMIT"], (Some("1".to_owned()), Some("10".to_owned())));
    assert_eq!(settings["Timeout"], ("2".to_owned(), "30".to_owned()));
}

#[test]
fn a_deployment_whose_events_are_late_is_seen_by_its_version_and_its_first_line() {
    let mut case = Case::new();
    two_versions(&mut case, "42", &json!({}));
    let line = |at: &str, version: &str| {
        json!({"logGroupName": "/aws/lambda/checkout", "logStreamName": format!("2026/02/06/[{version}]f"),
            "timestamp": format!("2026-02-06T{at}Z"), "message": "x"})
        .to_string()
    };
    let lines = [line("11:59:00", "41"), line("12:00:30", "41"), line("12:01:00", "42")].join("\n");
    case.files.insert("logs.ndjson".to_owned(), lines.into_bytes());
    let change = case.only();
    assert_eq!((change.id.as_str(), change.event_ids.len()), ("checkout:42", 0));
    assert_eq!(took(&change), ("12:00:00".to_owned(), "12:01:00".to_owned()));
    assert_eq!(change.from_version.as_deref(), Some("41"));
    assert!(change.undo.is_ok());
}

fn lines(case: &mut Case, lines: &[(&str, &str)]) {
    let lines: Vec<String> = lines
        .iter()
        .map(|(at, version)| {
            json!({"logGroupName": "/aws/lambda/checkout", "logStreamName": format!("2026/02/06/[{version}]f"),
                "timestamp": format!("2026-02-06T{at}Z"), "message": "x"}).to_string()
        })
        .collect();
    case.files.insert("logs.ndjson".to_owned(), lines.join("\n").into_bytes());
}

#[test]
fn where_only_the_first_of_its_events_arrived_they_still_belong_to_it() {
    let mut case = Case::new();
    two_versions(&mut case, "42", &json!({}));
    case.call(
        "code",
        "12:00:00",
        "lambda",
        "UpdateFunctionCode20150331v2",
        json!({"functionName": "checkout"}),
        json!({"codeSha256": "new"}),
    );
    let change = case.only();
    assert_eq!(
        (change.event_ids.as_slice(), change.to_version.as_deref()),
        (["code".to_owned()].as_slice(), Some("42"))
    );
    assert_eq!(took(&change).0, "12:00:00");
    assert!(change.actor.is_some() && change.undo.is_ok());
}

#[test]
fn where_the_aliases_are_unknown_the_lines_tell_what_serves() {
    let mut case = Case::new();
    two_versions(&mut case, "42", &json!({}));
    case.files.remove("lambda/checkout/aliases.json");
    lines(&mut case, &[("11:59:00", "41"), ("12:00:30", "41"), ("12:01:00", "42")]);
    let change = case.only();
    assert_eq!(change.to_version.as_deref(), Some("42"));
    assert_eq!(took(&change), ("12:00:00".to_owned(), "12:01:00".to_owned()));
    assert_eq!(change.undo.unwrap_err(), "the function's aliases could not be read");
}

#[test]
fn an_alias_that_points_to_latest_lets_it_serve() {
    let mut case = Case::new();
    case.call(
        "code",
        "12:00:00",
        "lambda",
        "UpdateFunctionCode20150331v2",
        json!({"functionName": "checkout"}),
        json!({"codeSha256": "new"}),
    );
    case.file(
        "lambda/checkout/aliases.json",
        &json!({"Aliases": [{"Name": "live", "FunctionVersion": "$LATEST"}]}),
    );
    assert_eq!(took(&case.with("code")).0, "12:00:00");
}

#[test]
fn an_alias_without_traffic_brings_nothing_into_effect() {
    let mut case = Case::new();
    deployment(&mut case, "d", "12:00", "41", "42", &json!({}));
    two_versions(&mut case, "42", &json!({}));
    let mut aliases: Value = serde_json::from_slice(&case.files["lambda/checkout/aliases.json"]).unwrap();
    aliases["Aliases"].as_array_mut().unwrap().push(json!({"Name": "main", "FunctionVersion": "41"}));
    case.file("lambda/checkout/aliases.json", &aliases);
    let times: Vec<String> = (0..60).map(|at| format!("12:{:02}:{:02}", at / 5, at % 5)).collect();
    let busy: Vec<(&str, &str)> = times.iter().map(|at| (at.as_str(), "41")).collect();
    lines(&mut case, &busy);
    assert_eq!(
        took_none(&case.with("d-alias")),
        "version 42 wrote no line after the alias live moved to it: traffic goes elsewhere"
    );
}

#[test]
fn an_alias_moved_to_where_it_was_changes_nothing() {
    let mut case = Case::new();
    let point = json!({"functionName": "checkout", "name": "live", "functionVersion": "42"});
    case.call("first", "11:00:00", "lambda", "UpdateAlias20150331", point.clone(), Value::Null);
    case.call("again", "12:00:00", "lambda", "UpdateAlias20150331", point, Value::Null);
    case.call(
        "words",
        "12:10:00",
        "lambda",
        "UpdateAlias20150331",
        json!({"functionName": "checkout", "name": "live", "description": "x"}),
        json!({"functionVersion": "42"}),
    );
    assert!(case.with("again").no_op && case.with("words").no_op);
    assert!(!case.with("first").no_op);
}

#[test]
fn nothing_is_put_back_over_something_newer_or_to_something_gone() {
    let mut case = Case::new();
    deployment(&mut case, "d", "12:00", "41", "42", &json!({}));
    two_versions(&mut case, "43", &json!({}));
    assert_eq!(case.with("d-alias").undo.unwrap_err(), "the alias live has moved on to version 43");
    case.file(
        "lambda/checkout/versions.json",
        &json!({"Versions": [version("42", "12:00:00", "new", &json!({}))]}),
    );
    two_versions(&mut case, "42", &json!({}));
    case.call(
        "before",
        "08:00:00",
        "lambda",
        "UpdateAlias20150331",
        json!({"functionName": "checkout", "name": "live", "functionVersion": "40"}),
        Value::Null,
    );
    assert_eq!(
        case.with("d-alias").undo.unwrap_err(),
        "version 40 does not exist any more, or could not be read"
    );
}

#[test]
fn only_labels_and_the_same_code_change_nothing() {
    let mut case = Case::new();
    deployment(&mut case, "d", "12:00", "41", "42", &json!({}));
    two_versions(&mut case, "42", &json!({}));
    case.file(
        "lambda/checkout/versions.json",
        &json!({"Versions": [
            version("41", "09:00:00", "same", &json!({"RELEASE_TAG": "a"})),
            version("42", "12:00:00", "same", &json!({"RELEASE_TAG": "b"})),
        ]}),
    );
    let change = case.only();
    assert!(change.no_op && !change.code_changed);
    assert!(change.undo.is_err());
}

#[test]
fn two_updates_of_the_code_are_two_changes_however_near() {
    let mut case = Case::new();
    for (id, at) in [("a", "12:00:00"), ("b", "12:00:45")] {
        case.call(
            id,
            at,
            "lambda",
            "UpdateFunctionCode20150331v2",
            json!({"functionName": "checkout"}),
            json!({"codeSha256": id}),
        );
    }
    case.file("lambda/checkout/aliases.json", &json!({"Aliases": []}));
    assert_eq!(case.changes().len(), 2);
}

#[test]
fn calls_of_another_between_them_do_not_break_a_deployment_apart() {
    let mut case = Case::new();
    deployment(&mut case, "d", "12:00", "41", "42", &json!({}));
    two_versions(&mut case, "42", &json!({}));
    case.call(
        "ana",
        "12:00:07",
        "lambda",
        "UpdateFunctionCode20150331v2",
        json!({"functionName": "checkout"}),
        Value::Null,
    )
    .last("userIdentity", json!({"type": "IAMUser", "userName": "ana"}));
    assert_eq!(case.with("d-alias").event_ids.len(), 4);
    assert_eq!(case.with("ana").event_ids, ["ana"]);
}

#[test]
fn a_pipelines_steps_in_sessions_of_their_own_are_one_deployment() {
    let mut case = Case::new();
    deployment(&mut case, "d", "12:00", "41", "42", &json!({}));
    two_versions(&mut case, "42", &json!({}));
    for (at, record) in case.records.iter_mut().enumerate() {
        record["userIdentity"]["arn"] =
            json!(format!("arn:aws:sts::123456789012:assumed-role/github-deploy/run-{at}"));
    }
    assert_eq!(case.with("d-alias").event_ids.len(), 4);
    // Whoever moves the alias to what was just published carries it on; who updates the code for himself does not.
    let role = |role: &str| json!(format!("arn:aws:sts::123456789012:assumed-role/{role}/run-1"));
    case.records[3]["userIdentity"]["arn"] = role("release-manager");
    assert_eq!(case.with("d-alias").event_ids.len(), 4);
    case.records[1]["userIdentity"]["arn"] = role("somebody-else");
    assert_eq!(case.with("d-code").event_ids, ["d-code"]);
}

#[test]
fn a_second_alias_on_latest_that_nobody_uses_brings_nothing() {
    let mut case = Case::new();
    deployment(&mut case, "d", "11:40", "41", "42", &json!({}));
    case.file(
        "lambda/checkout/versions.json",
        &json!({"Versions": [
            version("41", "09:00:00", "old", &json!({"DB_POOL_SIZE": "10"})),
            version("42", "11:40:00", "new", &json!({"DB_POOL_SIZE": "5"})),
            version("$LATEST", "11:40:00", "new", &json!({"DB_POOL_SIZE": "5"})),
        ]}),
    );
    case.file(
        "lambda/checkout/aliases.json",
        &json!({"Aliases": [
        {"Name": "live", "FunctionVersion": "42"}, {"Name": "dev", "FunctionVersion": "$LATEST"}]}),
    );
    let times: Vec<String> = (0..60).map(|at| format!("12:{:02}:{:02}", at / 5, at % 5)).collect();
    let busy: Vec<(&str, &str)> = times.iter().map(|at| (at.as_str(), "42")).collect();
    lines(&mut case, &busy);
    assert_eq!(case.only().event_ids.len(), 4);
    // Where `$LATEST` writes, it serves.
    let mixed: Vec<(&str, &str)> = busy
        .iter()
        .enumerate()
        .map(|(at, (time, version))| (*time, if at % 2 == 0 { "$LATEST" } else { *version }))
        .collect();
    lines(&mut case, &mixed);
    assert_eq!(case.changes().len(), 2);
}

#[test]
fn a_failed_call_and_a_dry_run_change_nothing() {
    let mut case = Case::new();
    case.call(
        "denied",
        "12:00:00",
        "lambda",
        "UpdateFunctionCode20150331v2",
        json!({"functionName": "checkout"}),
        Value::Null,
    )
    .last("errorCode", json!("AccessDenied"));
    case.call(
        "dry",
        "12:01:00",
        "lambda",
        "UpdateFunctionCode20150331v2",
        json!({"functionName": "checkout", "dryRun": true}),
        Value::Null,
    );
    assert_eq!(took_none(&case.with("denied")), "the call failed with AccessDenied");
    assert_eq!(took_none(&case.with("dry")), "the call was a dry run");
}

#[test]
fn a_concurrency_limit_is_told_against_the_one_before() {
    let mut case = Case::new();
    let put = |limit: i64| json!({"functionName": "checkout", "reservedConcurrentExecutions": limit});
    case.call("first", "09:00:00", "lambda", "PutFunctionConcurrency20171031", put(50), Value::Null);
    case.call("second", "12:00:00", "lambda", "PutFunctionConcurrency20171031", put(2), Value::Null);
    let second = case.with("second");
    assert_eq!(keys(&second), [("ReservedConcurrentExecutions", Some("50"), Some("2"))]);
    assert!(matches!(second.undo, Ok(RollbackTarget::LambdaConcurrency { from: Some(2), to: Some(50), .. })));
    assert!(case.with("first").undo.is_err());
    case.call(
        "away",
        "12:10:00",
        "lambda",
        "DeleteFunctionConcurrency20171031",
        json!({"functionName": "checkout"}),
        Value::Null,
    );
    assert_eq!(keys(&case.with("away")), [("ReservedConcurrentExecutions", Some("2"), Some("unreserved"))]);
}

#[test]
fn the_earlier_package_deployed_again_undoes_the_later_one() {
    let mut case = Case::new();
    for (id, at, sha) in [("good", "08:00:00", "a"), ("bad", "12:00:00", "b"), ("back", "12:10:00", "a")] {
        case.call(
            id,
            at,
            "lambda",
            "UpdateFunctionCode20150331v2",
            json!({"functionName": "checkout"}),
            json!({"codeSha256": sha}),
        );
    }
    case.file("lambda/checkout/aliases.json", &json!({"Aliases": []}));
    assert_eq!(case.with("back").undoes.as_deref(), Some("bad"));
    assert_eq!(case.with("bad").undone_at.map(|at| at.to_string()).as_deref(), Some("2026-02-06T12:10:00Z"));
    assert!(case.with("good").undone_at.is_none());
}
