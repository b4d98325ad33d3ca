//! What must hold of any records and files, however odd.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Case;
use crate::domain::change::{Change, Effect};

/// Values in which the names that the readers look for are likely.
fn odd() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "checkout",
        "live",
        "41",
        "42",
        "$LATEST",
        "arn:aws:lambda:us-east-1:1:function:checkout",
        "checkout:7",
        "/a/b",
        "",
        "::",
        "true",
        "HIDDEN_DUE_TO_SECURITY_REASONS",
        "2026-02-06T12:00:00Z",
    ]);
    let fields = prop::sample::select(vec![
        "functionName",
        "name",
        "names",
        "functionVersion",
        "routingConfig",
        "additionalVersionWeights",
        "42",
        "41",
        "service",
        "cluster",
        "taskDefinition",
        "family",
        "revision",
        "desiredCount",
        "version",
        "timeout",
        "codeSha256",
        "reservedConcurrentExecutions",
        "ipPermissions",
        "items",
        "ipProtocol",
        "groups",
        "groupId",
        "parameters",
        "parameterName",
        "ConfigurationVersion",
        "DeploymentNumber",
        "ApplicationId",
        "environment",
        "dryRun",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0.0..1.0_f64).prop_map(Value::from),
        words.prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((fields.clone(), inner), 0..7).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

fn verb() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        ("lambda", "UpdateFunctionCode20150331v2"),
        ("lambda", "UpdateFunctionConfiguration20150331v2"),
        ("lambda", "PublishVersion20150331"),
        ("lambda", "UpdateAlias20150331"),
        ("lambda", "PutFunctionConcurrency20171031"),
        ("lambda", "DeleteFunctionConcurrency20171031"),
        ("ecs", "UpdateService"),
        ("ecs", "RegisterTaskDefinition"),
        ("ssm", "PutParameter"),
        ("ssm", "DeleteParameters"),
        ("appconfig", "StartDeployment"),
        ("appconfig", "CreateHostedConfigurationVersion"),
        ("ec2", "AuthorizeSecurityGroupIngress"),
        ("rds", "ModifyDBParameterGroup"),
        ("iam", "PutRolePolicy"),
        ("cloudformation", "UpdateStack"),
        ("Ünknown", "Ünverb20150331v2"),
    ])
}

/// Records and files of any content.
fn case() -> impl Strategy<Value = Case> {
    let record = (verb(), odd(), odd(), 0..3_i64, any::<bool>());
    let file = (
        prop::sample::select(vec![
            ("lambda/checkout/versions.json", "Versions"),
            ("lambda/checkout/aliases.json", "Aliases"),
            ("ecs/task-definitions.json", "taskDefinitions"),
            ("ssm/parameters.json", "Parameters"),
            ("appconfig/deployments.json", "Deployments"),
        ]),
        prop::collection::vec(odd(), 0..3),
    );
    (prop::collection::vec(record, 0..8), prop::collection::vec(file, 0..3)).prop_map(|(records, files)| {
        let mut case = Case::new();
        for (at, ((source, name), request, response, hours, failed)) in records.into_iter().enumerate() {
            let minute = format!("{:02}:{:02}:00", 9 + hours, at);
            case.call(&format!("e{at}"), &minute, source, name, request, response);
            if failed {
                case.last("errorCode", json!("AccessDenied"));
            }
        }
        for ((name, key), values) in files {
            case.file(name, &json!({ key: values }));
        }
        case
    })
}

fn failed(case: &Case, change: &Change) -> bool {
    case.records.iter().any(|record| {
        !record["errorCode"].is_null() && change.event_ids.iter().any(|id| record["eventID"] == id.as_str())
    })
}

proptest! {
    #[test]
    fn any_record_is_told_once_and_a_failed_one_never_acts(case in case()) {
        let changes = case.changes();
        for record in &case.records {
            let id = record["eventID"].as_str().unwrap();
            let told = changes.iter().filter(|change| change.event_ids.iter().any(|known| known == id)).count();
            // One call may take away several parameters, and one stack make several changes.
            let many = record["eventName"] == "DeleteParameters" || record["eventName"] == "UpdateStack";
            prop_assert!(told == 1 || (many && told > 0), "{} is told {} times", id, told);
        }
        for change in &changes {
            prop_assert!(!change.id.is_empty());
            if failed(&case, change) {
                prop_assert!(matches!(change.effect, Effect::None { .. }), "a failed call acts");
            }
            if let Effect::Took { from, until } = &change.effect {
                prop_assert!(from <= until);
            }
            prop_assert!((0.0..=1.0).contains(&change.share));
            if change.undo.is_ok() {
                prop_assert!(!change.no_op && change.undone_at.is_none() && change.undoes.is_none());
                prop_assert!(matches!(change.effect, Effect::Took { .. }), "undone without effect");
            }
        }
    }

    #[test]
    fn the_order_of_records_does_not_matter(case in case(), seed in any::<u64>()) {
        let mut shuffled = case.clone();
        if !shuffled.records.is_empty() {
            let by = seed as usize % shuffled.records.len();
            shuffled.records.rotate_left(by);
        }
        // Calls of the same second have no order but the one they came in: each has a minute of its own.
        prop_assert_eq!(shuffled.changes(), case.changes());
    }
}
