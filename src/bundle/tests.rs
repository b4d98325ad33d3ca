//! A bundle as a whole: what is missing, what is broken, and that what is written reads back the same.

use super::*;
use proptest::prelude::*;

fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = [
        (
            "bundle.json",
            r#"{"service":"checkout","region":"us-east-1","now":"2026-02-06T12:20:00Z",
                "resources":{"lambda":["checkout"],"ecs":[{"cluster":"prod","service":"checkout"}]},
                "depends_on":["inventory"]}"#,
        ),
        ("alert.json", r#"{"alert":{"service":"checkout","triggered_at":"2026-02-06T12:15:00Z","value":7}}"#),
    ]
    .iter()
    .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
    .collect();
    for (name, text) in pairs {
        files.insert((*name).to_owned(), text.as_bytes().to_vec());
    }
    files
}

fn reasons(evidence: &Evidence, source: &str) -> Vec<String> {
    evidence.gaps.iter().filter(|gap| gap.source == source).map(|gap| gap.reason.clone()).collect()
}

#[test]
fn a_missing_file_is_a_gap_and_an_empty_one_is_an_answer() {
    let evidence =
        from_files(&files(&[("cloudtrail.json", ""), ("ssm/parameters.json", r#"{"Parameters":[]}"#)]))
            .unwrap();
    assert_eq!(evidence.trail, Some(Vec::new()));
    assert_eq!(evidence.parameters, Some(Vec::new()));
    assert_eq!(evidence.logs, None);
    assert_eq!(reasons(&evidence, "logs"), ["not read: the bundle has no file of it"]);
    assert!(reasons(&evidence, "cloudtrail").is_empty());
    assert_eq!(evidence.functions["checkout"].versions, None);
}

#[test]
fn a_file_of_which_nothing_can_be_read_is_a_source_that_was_not_read() {
    let cut = r#"{"MetricDataQueries":[{"Id":"m1","MetricStat":{"Metric":{"MetricName":"Errors"}}}],"MetricDataResults":[{"Id":"m1","Ti"#;
    for broken in ["{", "\u{1}\u{2}", "<html>502</html>", "7", r#"{"Records":[{"eventTime":"so"#, cut] {
        let evidence = from_files(&files(&[
            ("cloudtrail.json", broken),
            ("metrics.json", broken),
            ("logs.ndjson", broken),
            ("ssm/parameters.json", broken),
        ]))
        .unwrap();
        assert_eq!((&evidence.trail, &evidence.series), (&None, &None), "{broken}");
        assert_eq!((&evidence.logs, &evidence.parameters), (&None, &None), "{broken}");
        for source in ["cloudtrail", "metrics", "logs"] {
            assert!(!reasons(&evidence, source).is_empty(), "{broken}: {source}");
        }
    }
    let untimed = from_files(&files(&[("cloudtrail.json", r#"{"Records":[{"eventName":"UpdateAlias"}]}"#)]));
    assert_eq!(untimed.unwrap().trail, None);
}

#[test]
fn a_bundle_without_its_two_files_is_an_error() {
    let mut without = files(&[]);
    without.remove("alert.json");
    assert!(matches!(from_files(&without), Err(BundleError::Missing("alert.json"))));
    for broken in
        ["", "[]", "{", r#"{"service":"a"}"#, r#"{"service":"a","now":"soon"}"#, r#"{"now":1770380400}"#]
    {
        let error = from_files(&files(&[("bundle.json", broken)])).unwrap_err();
        assert!(matches!(error, BundleError::Broken { file: "bundle.json", .. }), "{broken}: {error}");
    }
    let error = from_files(&files(&[("alert.json", r#"{"service":"a"}"#)])).unwrap_err();
    assert!(matches!(error, BundleError::Alert(AlertError::TimeMissing)));
}

#[test]
fn resources_that_cannot_be_read_are_counted_and_the_others_kept() {
    let scope = r#"{"service":"a","now":"2026-02-06T12:20:00Z","resources":{"lambda":["a",7],"ecs":[{"cluster":"c"},
        {"cluster":"c","service":"s"}],"log_groups":null,"metrics":{"namespaces":["N"]}}}"#;
    let evidence = from_files(&files(&[("bundle.json", scope)])).unwrap();
    let resources = &evidence.scope.resources;
    assert_eq!((resources.lambda.len(), resources.ecs.len()), (1, 1));
    assert_eq!(resources.metrics.namespaces, ["N"]);
    assert_eq!(reasons(&evidence, "bundle"), ["bundle.json: 2 of `resources` could not be read"]);
}

#[test]
fn a_truncated_list_keeps_what_came_before() {
    let record = |id: &str| {
        format!(
            r#"{{"eventID":"{id}","eventTime":"2026-02-06T12:00:00Z","eventSource":"ssm.amazonaws.com","eventName":"PutParameter","note":"}}] \" {{"}}"#
        )
    };
    let text = format!(r#"{{"Records":[{},{},7,{}"#, record("a"), record("b"), &record("c")[..60]);
    let evidence = from_files(&files(&[("cloudtrail.json", &text)])).unwrap();
    let ids: Vec<&str> =
        evidence.trail.as_ref().unwrap().iter().map(|record| record.event_id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(
        reasons(&evidence, "cloudtrail"),
        [
            "cloudtrail.json ends in the middle: 2 elements were read, the rest is missing",
            "cloudtrail.json: 1 of 3 elements could not be read"
        ]
    );
}

#[test]
fn nothing_later_than_now_is_known() {
    let evidence = from_files(&files(&[
        (
            "cloudtrail.json",
            r#"{"Records":[{"eventID":"late","eventTime":"2026-02-06T12:20:01Z","eventSource":"a","eventName":"b"}]}"#,
        ),
        (
            "metrics.json",
            r#"{"MetricDataQueries":[{"Id":"m1","MetricStat":{"Metric":{"Namespace":"AWS/Lambda","MetricName":"Errors",
                "Dimensions":[]},"Period":60,"Stat":"Sum"}}],
               "MetricDataResults":[{"Id":"m1","Timestamps":["2026-02-06T12:20:00Z","2026-02-06T12:19:00Z"],"Values":[9,1]}]}"#,
        ),
        (
            "lambda/checkout/versions.json",
            r#"{"Versions":[{"Version":"2","LastModified":"2026-02-06T12:30:00.000+0000"},{"Version":"1"}]}"#,
        ),
        (
            "appconfig/deployments.json",
            r#"{"Deployments":[{"DeploymentNumber":1,"State":"COMPLETE","StartedAt":"2026-02-06T12:10:00Z",
                "CompletedAt":"2026-02-06T12:40:00Z"},{"DeploymentNumber":2,"StartedAt":"2026-02-06T12:21:00Z"}]}"#,
        ),
    ]))
    .unwrap();
    assert_eq!(evidence.trail, Some(Vec::new()));
    let series = evidence.series.unwrap();
    assert_eq!(series[0].points, [("2026-02-06T12:19:00Z".parse().unwrap(), 1.0)]);
    assert_eq!(evidence.functions["checkout"].versions.as_ref().unwrap().len(), 1);
    let appconfig = evidence.appconfig.unwrap();
    assert_eq!(appconfig.len(), 1);
    assert_eq!((appconfig[0].state.as_str(), appconfig[0].completed_at), ("DEPLOYING", None));
}

#[test]
fn what_python_writes_for_a_missing_number_is_a_hole() {
    let evidence = from_files(&files(&[(
        "metrics.json",
        r#"{"MetricDataQueries":[{"Id":"m1","MetricStat":{"Metric":{"Namespace":"n","MetricName":"Errors"},"Period":60,
            "Stat":"Sum"}}],"MetricDataResults":[{"Id":"m1","Timestamps":[1770379200,1770379260],"Values":[NaN,"2.5"]}]}"#,
    )]))
    .unwrap();
    let points: Vec<f64> =
        evidence.series.as_ref().unwrap()[0].points.iter().map(|(_, value)| *value).collect();
    assert_eq!(points, [2.5]);
    assert_eq!(reasons(&evidence, "metrics"), ["metrics.json: 1 data points have no readable time or value"]);
}

#[test]
fn the_reason_told_by_a_live_reading_is_kept_as_it_was() {
    let told = r#"{"service":"checkout","now":"2026-02-06T12:20:00Z","gaps":[{"source":"logs","reason":"the query was throttled"}]}"#;
    let evidence = from_files(&files(&[("bundle.json", told)])).unwrap();
    assert_eq!(reasons(&evidence, "logs"), ["the query was throttled"]);
    assert_eq!(from_files(&to_files(&evidence)).unwrap(), evidence);
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_not_written() {
    let mut evidence = from_files(&files(&[])).unwrap();
    evidence
        .functions
        .insert("../../elsewhere".to_owned(), FunctionHistory { versions: Some(Vec::new()), aliases: None });
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(write(folder.path(), &evidence), Err(BundleError::Name(_))));
}

#[test]
fn a_folder_reads_as_its_files_do_and_the_truth_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let written = from_files(&files(&[(
        "logs.ndjson",
        r#"{"logGroupName":"/aws/lambda/checkout","logStreamName":"2026/02/06/[42]9f","timestamp":1770379200000,"message":"hi\n"}"#,
    )]))
    .unwrap();
    write(folder.path(), &written).unwrap();
    std::fs::create_dir(folder.path().join("truth.json")).unwrap();
    let read = read(folder.path()).unwrap();
    assert_eq!(read, written);
    assert_eq!(read.logs.unwrap()[0].version(), Some("42"));
}

const NAMES: &[&str] = &[
    "logs.ndjson",
    "metrics.json",
    "cloudtrail.json",
    "lambda/checkout/versions.json",
    "lambda/checkout/aliases.json",
    "ecs/prod/checkout.json",
    "ecs/task-definitions.json",
    "ssm/parameters.json",
    "appconfig/deployments.json",
];

#[test]
fn tests_that_were_made_read_back_and_what_nobody_can_have_counted_weighs_nothing() {
    let trial = |failures: f64, ended_at: &str| {
        serde_json::json!({
            "function": "checkout", "alias": "live", "current": "2", "earlier": "1", "change": "alias move of checkout",
            "other": "parameter change of /checkout/limit", "if_change": 0.01, "if_other": 0.4, "needed": 10,
            "expected": 16, "begun_at": "2026-02-06T12:10:00Z", "ended_at": ended_at,
            "earlier_count": { "requests": 24.0, "failures": failures },
            "current_count": { "requests": 475.0, "failures": 190.0 },
        })
    };
    // Sound; more failures than requests; later than the bundle's own clock.
    let told = [
        trial(1.0, "2026-02-06T12:15:00Z"),
        trial(25.0, "2026-02-06T12:15:00Z"),
        trial(1.0, "2099-01-01T00:00:00Z"),
    ];
    let text = serde_json::json!({ "Trials": told }).to_string();
    let evidence = from_files(&files(&[("trials.json", &text)])).unwrap();
    assert_eq!(evidence.trials.len(), 1);
    assert_eq!(reasons(&evidence, "trials"), ["trials.json: 1 of 3 are none"]);
    assert_eq!(from_files(&to_files(&evidence)).unwrap(), evidence);
}

/// Words that make the readers' branches likely, among anything else.
fn json_value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "2026-02-06T12:00:00Z",
        "2026-02-06T17:00:00.123456+05:30",
        "1770379200",
        "m1",
        "SecureString",
        "{\"a\":{\"enabled\":true}}",
        "5",
        "a.b",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (1_770_000_000_000_i64..1_780_000_000_000).prop_map(Value::from),
        word.prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "Records",
        "Versions",
        "Version",
        "Environment",
        "Variables",
        "Aliases",
        "Name",
        "FunctionVersion",
        "RoutingConfig",
        "AdditionalVersionWeights",
        "taskDefinitions",
        "containerDefinitions",
        "environment",
        "secrets",
        "name",
        "value",
        "family",
        "revision",
        "deployments",
        "events",
        "createdAt",
        "Parameters",
        "Value",
        "Type",
        "LastModifiedDate",
        "Deployments",
        "ContentAfter",
        "ContentBefore",
        "StartedAt",
        "CompletedAt",
        "EventLog",
        "eventTime",
        "eventSource",
        "eventName",
        "eventID",
        "userIdentity",
        "a.b",
        "a",
        "MetricDataQueries",
        "MetricDataResults",
        "Id",
        "MetricStat",
        "Metric",
        "MetricName",
        "Timestamps",
        "Values",
        "Period",
        "timestamp",
        "message",
        "ingestionTime",
        "logStreamName",
        "LastModified",
        ".",
        "",
    ]);
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..8).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

/// Whole documents of the right outer shape, so that what is inside is looked at.
fn contents() -> impl Strategy<Value = Vec<(usize, Vec<u8>)>> {
    let lists = [
        "",
        "MetricDataResults",
        "Records",
        "Versions",
        "Aliases",
        "",
        "taskDefinitions",
        "Parameters",
        "Deployments",
    ];
    let one = (0..NAMES.len(), prop::collection::vec(json_value(), 0..5), 0..100_usize).prop_map(
        move |(at, values, cut)| {
            let text = match (at, lists[at]) {
                (0, _) => values.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"),
                (_, "") => values.first().map(Value::to_string).unwrap_or_default(),
                (_, key) => serde_json::json!({ key: values }).to_string(),
            };
            let mut bytes = text.into_bytes();
            if cut < 20 {
                bytes.truncate(bytes.len() * cut / 20);
            }
            (at, bytes)
        },
    );
    prop::collection::vec(one, 0..6)
}

proptest! {
    #[test]
    fn whatever_was_read_reads_back_the_same(contents in contents()) {
        let mut whole = files(&[]);
        for (at, bytes) in contents {
            whole.insert(NAMES[at].to_owned(), bytes);
        }
        let evidence = from_files(&whole).unwrap();
        let again = from_files(&to_files(&evidence)).unwrap();
        prop_assert_eq!(again, evidence);
    }

    #[test]
    fn no_bytes_make_it_panic(at in 0..NAMES.len(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut whole = files(&[]);
        whole.insert(NAMES[at].to_owned(), bytes);
        prop_assert!(from_files(&whole).is_ok());
    }
}
