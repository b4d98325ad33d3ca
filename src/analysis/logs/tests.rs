//! Lines of many frameworks: what is message, what is header, what is a field.
//!
//! The rule that is not obvious: a case stands for a framework, and its words are of no service that the
//! engine was tried on.

use super::line::{Level, Line, Scalar, read};

fn parse(message: &str) -> (Line<'_>, Vec<(&str, Scalar<'_>)>) {
    let mut fields = Vec::new();
    let line = read(message, &mut |field| fields.push((field.key, field.value)));
    (line, fields)
}

#[test]
fn a_json_line_gives_level_message_and_fields() {
    let (line, fields) = parse(
        r#"{"level":"ERROR","message":"pool \"a\" empty","error":{"type":"x"},"status":503,"db_pool_size":5,"tags":[1,{"a":"}"}],"ok_flag":true}"#,
    );
    assert_eq!(line.level, Level::Error);
    assert_eq!(line.text, r#"pool \"a\" empty"#);
    assert_eq!(line.status, Some(503));
    assert!(line.hard_failure());
    assert!(fields.contains(&("db_pool_size", Scalar::Number(5.0))));
    assert!(fields.contains(&("ok_flag", Scalar::Bool(true))));
}

#[test]
fn a_logfmt_line_gives_the_same() {
    let (line, fields) = parse(
        r#"ts=2026-02-11T03:15:13.405Z level=warn msg="retrying request (attempt 2)" path=/v1/create pool=5"#,
    );
    assert_eq!(line.level, Level::Warning);
    assert_eq!(line.text, "retrying request (attempt 2)");
    assert!(fields.contains(&("pool", Scalar::Number(5.0))));
}

#[test]
fn a_plain_line_loses_its_header_and_trailing_fields() {
    let (line, fields) = parse(
        "2026-08-18 21:01:10,853 ERROR [exec-9] c.corp.export.Handler - x509: certificate has expired [tenant=umbrella error_type=SSLError duration_ms=86]\nSSLError: x\n    at a.b.C(D.java:1)",
    );
    assert_eq!(line.level, Level::Error);
    assert_eq!(line.text, "x509: certificate has expired");
    assert_eq!(line.error_type, Some("SSLError"));
    assert!(line.trace);
    assert_eq!(line.duration_ms, Some(86.0));
    assert!(fields.contains(&("tenant", Scalar::Text("umbrella"))));
}

#[test]
fn a_python_trace_names_its_exception() {
    let (line, _) = parse("Traceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'total'");
    assert_eq!((line.level, line.text), (Level::Error, "KeyError: 'total'"));
}

#[test]
fn lambda_reports_give_duration_and_memory() {
    let (line, fields) = parse(
        "REPORT RequestId: e2d6\tDuration: 124.39 ms\tBilled Duration: 125 ms\tMemory Size: 1024 MB\tMax Memory Used: 467 MB\t\n",
    );
    assert!(line.platform);
    assert_eq!(line.duration_ms, Some(124.39));
    assert!(fields.contains(&("Max Memory Used", Scalar::Number(467.0))));
}

#[test]
fn headers_of_many_frameworks_are_not_message() {
    for (given, level, text) in [
        (
            "E, [2025-08-02T18:03:19.235 #31] ERROR -- : main-pool - Connection is not available [request_id=1 status=504]",
            Level::Error,
            "main-pool - Connection is not available",
        ),
        (
            "2026-10-28T18:36:30.633Z  ERROR 1 --- [nio-8080-exec-8] i.t.key.Endpoint : monthly quota used up: 0 left (request_id=7, status=500)",
            Level::Error,
            "monthly quota used up: 0 left",
        ),
        (
            "2026-02-20 15:33:10,096 - app.tasks - ERROR - Unable to acquire JDBC Connection request_id=b7d7 status=504",
            Level::Error,
            "Unable to acquire JDBC Connection",
        ),
        (
            "2025-04-20T22:43:32Z  ERROR 1 --- [exec-1] i.t.Worker : [503] during [GET] to [http://sms/v2] (request_id=1)",
            Level::Error,
            "[503] during [GET] to [http://sms/v2]",
        ),
        (
            "{\"@t\":\"2025-10-06T09:17:19Z\",\"@mt\":\"item stored\",\"@l\":\"Error\",\"error_kind\":\"X\"}",
            Level::Error,
            "item stored",
        ),
        (
            "{\"level\":50,\"err\":{\"type\":\"X\",\"message\":\"inner\"},\"msg\":\"outer\"}",
            Level::Error,
            "outer",
        ),
        ("E0206 12:00:01.123456 7 server.go:31] disk on fire", Level::Error, "disk on fire"),
    ] {
        let (line, _) = parse(given);
        assert_eq!((line.level, line.text), (level, text), "{given}");
    }
    assert!(parse("    at serve (/srv/app/dist/server.js:89:7)").0.platform);
}

#[test]
fn fields_listed_in_brackets_at_the_end_are_no_message() {
    let (line, fields) = parse(
        "2026-05-04T09:12:39Z ERROR voucher is void (trace: 4bf9, path: /api/cart, ua: Mozilla/5.0 (X11), took_ms: 78, status: 502)",
    );
    assert_eq!((line.text, line.status), ("voucher is void", Some(502)));
    assert!(fields.contains(&("path", Scalar::Text("/api/cart"))), "{fields:?}");
    assert_eq!(parse("ERROR voucher is void (code: 7)").0.text, "voucher is void (code: 7)");
}

#[test]
fn a_dotnet_console_tells_the_cause_below_the_message() {
    let (line, _) =
        parse("fail: Acme.Cart[0]\n      voucher is void\n      System.IO.IOException: no space left");
    assert_eq!((line.text, line.cause), ("voucher is void", Some("System.IO.IOException: no space left")));
}

#[test]
fn what_a_general_message_hides_is_its_cause() {
    for given in [
        r#"{"level":"error","msg":"request failed","err":{"type":"E","message":"pool is empty"}}"#,
        r#"{"level":"error","err":{"message":"pool is empty"},"msg":"request failed"}"#,
        r#"{"level":"error","error":"pool is empty","message":"request failed"}"#,
        r#"level=error msg="request failed" error="pool is empty""#,
        "2026-02-06T12:00:00Z ERROR request failed\njava.io.IOException: pool is empty\n\tat a.B.c(D.java:1)",
    ] {
        let (line, _) = parse(given);
        assert_eq!(line.text, "request failed", "{given}");
        assert!(line.cause.is_some_and(|cause| cause.ends_with("pool is empty")), "{given}");
    }
}

#[test]
fn the_message_is_found_behind_any_header() {
    for (given, text) in [
        (
            "2026-08-25 17:33:12,101 ERROR [nio-8080-exec-3] com.acme.index.Api [trace=ab12] No space left\njava.io.IOException: No space left\n\tat a.B",
            "No space left",
        ),
        ("2026/06/24 11:57:01 [error] 31#31: *385729 upstream timed out (110)", "upstream timed out (110)"),
        (
            "Jun 20 01:28:49 payout-batch[22]: ERROR: call to tokenizer failed: 500",
            "call to tokenizer failed: 500",
        ),
        ("<11>Jun  2 01:28:49 ip-10-0-0-1 payout[22]: ERROR call failed", "call failed"),
        ("ERROR:root:call failed", "call failed"),
        (
            "[ERROR]\t2026-02-06T12:00:00.000Z\t11111111-2222-4333-8444-555555555555\tcall failed",
            "call failed",
        ),
        ("2026-02-06T12:00:00.000Z\t11111111-2222-4333-8444-555555555555\tERROR\tcall failed", "call failed"),
        ("2026/02/06 12:00:00 main.go:31: ERROR call failed", "call failed"),
        ("2026-02-06T12:00:00Z ERROR shop::cart: call failed retries=3", "call failed"),
        ("[12:00:00 ERR] call failed", "call failed"),
        ("[2026-02-06T12:00:00+00:00] app.ERROR: call failed {\"a\":1} []", "call failed"),
        (
            "2026-02-06 12:00:00 UTC [123]: [1-1] FATAL:  remaining connection slots",
            "remaining connection slots",
        ),
        ("12:00:01.123 [main] ERROR c.a.Cart - call failed", "call failed"),
        ("[2026-02-06T12:00:00.123Z] ERROR (shop/7): call failed", "call failed"),
        ("fail: Shop.Cart[0]\n      call failed", "call failed"),
        ("2026-02-06 12:00:00,1 | ERROR | shop.cart | call failed", "call failed"),
        ("2026-02-06T12:00:00Z stdout F ERROR call failed", "call failed"),
    ] {
        let (line, _) = parse(given);
        assert_eq!((line.level, line.text), (Level::Error, text), "{given}");
    }
    let (access, _) =
        parse("10.0.0.7 - - [06/Feb/2026:12:00:00 +0000] \"POST /pay HTTP/1.1\" 502 157 \"-\" \"curl\"");
    assert_eq!(access.status, Some(502));
    let (host, _) = parse("2026-02-06T12:00:00Z ERROR smpp.telvox.example: bind refused");
    assert_eq!(host.text, "smpp.telvox.example: bind refused");
}

#[test]
fn every_loggers_console_gives_the_same_message() {
    for given in [
        "2026-05-04T09:12:39.961Z\terror\tcart/basket.go:97\tvoucher 7 is void\t{\"id\": \"f8\", \"error\": \"VoidVoucher\"}",
        "2026-05-04T09:12:39.961567Z ERROR request{id=62e0a1c0 method=GET}: cart::basket: voucher 7 is void error=VoidVoucher took=56.1ms",
        "E0504 09:12:29.763719       1 basket.go:212] \"voucher 7 is void\" err=VoidVoucher req=62e0 lat_s=0.14",
        "09:12:39.961 request_id=F1x [error] ** (VoidVoucher) voucher 7 is void",
        "2026-05-04 09:12:39,101 ERROR [http-8080-exec-3] com.acme.cart.Basket [trace=ab12] voucher 7 is void",
        "2026-05-04 09:12:39,101 | ERROR   | cart.basket:77 | 247a3434 | voucher 7 is void | VoidVoucher | 12 ms",
        "2026-05-04 09:12:39.101 | ERROR    | cart.basket:add:77 - voucher 7 is void",
        "fail: Acme.Cart.Basket[13]\n      voucher 7 is void\n      VoidVoucher: voucher 7 is void",
        "May  4 09:12:39 cart[22]: ERROR: voucher 7 is void (VoidVoucher) 145ms",
        "ERROR:    voucher 7 is void [VoidVoucher] 142ms",
        "[2026-05-04T09:12:39.123Z] prod.ERROR: voucher 7 is void {\"exception\": \"VoidVoucher\"} {\"uid\":\"e84452c\"}",
        "2026/05/04 09:12:39 [error] 31#31: *699052 voucher 7 is void, client: 10.0.1.6, server: cart.internal, request: \"GET / HTTP/1.1\"",
        "[2026-05-04 09:12:39,123: ERROR/ForkPoolWorker-1] voucher 7 is void",
        "[2026-05-04 09:12:39.123][12][error][http] [source/common/basket.cc:123] voucher 7 is void",
        "9:12AM ERR voucher 7 is void error=VoidVoucher",
        "ERRO[0012] voucher 7 is void                            id=4",
        "2026-05-04 09:12:39,123 ERROR [com.acme.Basket] (executor-thread-1) voucher 7 is void",
        "04-May-2026 09:12:39.123 SEVERE [http-exec-3] com.acme.cart.Basket.add voucher 7 is void",
        "2026-05-04T09:12:39.123Z pid=1 tid=go class=Add ERROR: voucher 7 is void",
        "{\"lvl\":50,\"svc\":\"cart\",\"msg\":\"voucher 7 is void\",\"err\":{\"name\":\"VoidVoucher\"}}",
        "{\"version\":\"1.1\",\"short_message\":\"voucher 7 is void\",\"level\":3,\"_exception\":\"VoidVoucher\"}",
        "{\"severity\":\"ERROR\",\"textPayload\":\"voucher 7 is void\",\"labels\":{\"exc\":\"VoidVoucher\"}}",
        "{\"severityNumber\":17,\"body\":\"voucher 7 is void\"}",
        "{\"levelno\":40,\"note\":\"voucher 7 is void\",\"user_agent\":\"a longer text of other kind\"}",
    ] {
        let (line, _) = parse(given);
        assert_eq!((line.level, line.text), (Level::Error, "voucher 7 is void"), "{given}");
        if given.contains("VoidVoucher") && !given.starts_with("fail") {
            assert_eq!(line.error_type, Some("VoidVoucher"), "{given}");
        }
    }
}

#[test]
fn what_is_part_of_the_sentence_stays_in_it() {
    for (given, text) in [
        ("2026-05-04T09:12:39Z ERROR no response after 5000ms", "no response after 5000ms"),
        (
            "2026-05-04T09:12:39Z ERROR order id=7 is not in the ledger shard=2",
            "order id=7 is not in the ledger",
        ),
        (
            "2026-05-04T09:12:39Z ERROR connect refused relay-2.internal:587",
            "connect refused relay-2.internal:587",
        ),
        ("2026-05-04T09:12:39Z ERROR called with {\"a\": 1} twice", "called with {\"a\": 1} twice"),
    ] {
        assert_eq!(parse(given).0.text, text, "{given}");
    }
}

#[test]
fn levels_as_numbers_are_read_by_their_scale() {
    for (given, level) in [
        (r#"{"level":50,"msg":"a b"}"#, Level::Error),
        (r#"{"level":30,"msg":"a b"}"#, Level::Info),
        (r#"{"level":6,"msg":"a b"}"#, Level::Info),
        (r#"{"level":4,"msg":"a b"}"#, Level::Warning),
        (r#"{"level":400,"msg":"a b"}"#, Level::Error),
        (r#"{"severity":400,"msg":"a b"}"#, Level::Warning),
        (r#"{"severity":"INFO","level":3,"msg":"a b"}"#, Level::Info),
        (r#"{"level":1.5,"msg":"a b"}"#, Level::Unsaid),
    ] {
        assert_eq!(parse(given).0.level, level, "{given}");
    }
}

#[test]
fn an_access_log_shows_the_request_and_its_status() {
    let (line, _) = parse(
        "10.0.0.7 - - [06/Feb/2026:12:00:00 +0000] \"POST /pay HTTP/1.1\" 502 157 \"-\" \"curl\" rt=0.1",
    );
    assert_eq!((line.text, line.status), ("\"POST /pay HTTP/1.1\" 502", Some(502)));
}

#[test]
fn a_log_driver_wraps_a_line() {
    let wrapped = r#"{"container_id":"ab","log":"{\"level\":\"error\",\"msg\":\"voucher is void\"}","stream":"stderr"}"#;
    let inner = super::line::unwrapped(wrapped);
    assert_eq!(parse(&inner).0.text, "voucher is void");
    assert_eq!(super::line::unwrapped("{\"log\":1}"), "{\"log\":1}");
}

#[test]
fn rubbish_is_message() {
    for rubbish in ["{", "{\"a\":", "{\"a\":}", "=", "a==b", "\u{0}", "{\"a\":\"\\", "[[[[", "level="] {
        let (line, _) = parse(rubbish);
        assert!(!line.platform, "{rubbish:?}");
    }
    assert_eq!(parse("2026-02-06T12:00:00Z Task timed out after 2.00 seconds").0.level, Level::Error);
}
