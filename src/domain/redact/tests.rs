use proptest::prelude::*;
use serde_json::json as value_of;

use super::*;

#[test]
fn a_secret_is_masked_by_the_name_of_its_key() {
    for (given, expected) in [
        ("password=hunter2 user=bob", "password=**** user=bob"),
        ("\"token\": \"abc123\"", "\"token\": \"****\""),
        ("STRIPE_API_KEY=abcd and secret_key: efgh", "STRIPE_API_KEY=**** and secret_key: ****"),
        (
            "{\"dbPassword\":\"correct horse battery\",\"port\":5432}",
            "{\"dbPassword\":\"****\",\"port\":5432}",
        ),
        ("{\\\"password\\\":\\\"hunter2\\\",\\\"a\\\":1}", "{\\\"password\\\":\\\"****\\\",\\\"a\\\":1}"),
        ("{\"pw\":1,\"client_secret\":\"a\\\"b\",\"c\":2}", "{\"pw\":1,\"client_secret\":\"****\",\"c\":2}"),
        ("PGPASSWORD=hunter2 psql -h db", "PGPASSWORD=**** psql -h db"),
        ("mysql --password hunter2 --host db", "mysql --password **** --host db"),
        ("mysql --password=hunter2 --host db", "mysql --password=**** --host db"),
        ("ALTER USER app WITH PASSWORD 'hunter 2' VALID", "ALTER USER app WITH PASSWORD '****' VALID"),
        ("<password>hunter2</password><user>app</user>", "<password>****</password><user>app</user>"),
        ("password: Some(\"hunter2\")", "password: Some(\"****\")"),
        (":password => 'hunter2', :user => 'app'", ":password => '****', :user => 'app'"),
        ("config[\"secret\"] = \"s3\"", "config[\"secret\"] = \"****\""),
        ("Server=db;Password=hunter2;Pooling=true", "Server=db;Password=****;Pooling=true"),
        ("GET /reset?token=abc&lang=de HTTP/1.1", "GET /reset?token=****&lang=de HTTP/1.1"),
        ("AWS_SECRET_ACCESS_KEY=short", "AWS_SECRET_ACCESS_KEY=****"),
        ("\"tokens\": [\"abc\", \"def\"], \"n\": 1", "\"tokens\": [\"****\", \"****\"], \"n\": 1"),
        (
            "{\"name\":\"DB_PASSWORD\",\"value\":\"x\"},{\"name\":\"POOL\",\"value\":\"5\"}",
            "{\"name\":\"DB_PASSWORD\",\"value\":\"****\"},{\"name\":\"POOL\",\"value\":\"5\"}",
        ),
        ("Authorization: Bearer abc.def.ghi", "Authorization: Bearer ****"),
        ("authorization: Basic dXNlcjpw, status=401", "authorization: Basic ****, status=401"),
        ("Cookie: sid=abc; theme=dark", "Cookie: ****"),
        ("sent Bearer 3f9a.b1 to payments", "sent Bearer **** to payments"),
        ("session_id=12ab34 user=7", "session_id=**** user=7"),
    ] {
        assert_eq!(text(given), expected, "{given}");
        assert_eq!(text(expected), expected, "masked twice is masked once");
    }
    for key in
        ["DB_PASSWORD", "STRIPE_API_KEY", "clientSecret", "/checkout/db/password", "x-api-key", "REDIS_AUTH"]
    {
        assert_eq!(value(key, "x"), MASK, "{key}");
    }
}

#[test]
fn a_secret_is_masked_by_its_shape() {
    for secret in [
        "AKIAIOSFODNN7EXAMPLE",
        "xoxb-123456789012-abcdefABCDEF",
        "xapp-1-A012-34567-abcdef",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0abcdefghijkl_mnopqrst",
        "glpat-ab12cd34ef56gh78ij90",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "sk-proj-4eC39HqLyjWDarjtT1zdp7dc9Q",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.s5cE-k_7",
        "AIzaSyD4eC39HqLyjWDarjtT1zdp7dcQ12345678",
        "hf_AbCd1234EfGh5678IjKl9012MnOp",
        "npm_4eC39HqLyjWDarjtT1zdp7dc4eC39HqLyjWD",
        "dop_v1_0123456789abcdef",
    ] {
        assert_eq!(text(&format!("used {secret}, then left")), "used ****, then left");
        assert_eq!(value("note", secret), MASK, "{secret}");
        assert_eq!(value("request_id", secret), MASK, "{secret}: the name of an id saves no key");
    }
    for (given, expected) in [
        ("postgres://app:s3cr3t@db.internal/orders", "postgres://app:****@db.internal/orders"),
        ("amqp://app:p@ss/w0rd@mq.internal:5672/x", "amqp://app:****@mq.internal:5672/x"),
        ("redis://:hunter2@cache:6379/0", "redis://:****@cache:6379/0"),
        ("app:hunter2@tcp(db:3306)/orders", "app:****@tcp(db:3306)/orders"),
        ("https://hooks.slack.com/services/T0/B0/abc is called", "https://hooks.slack.com/**** is called"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nAB\n-----END RSA PRIVATE KEY-----\nnext",
            "-----BEGIN RSA PRIVATE KEY-----****-----END RSA PRIVATE KEY-----\nnext",
        ),
    ] {
        assert_eq!(text(given), expected, "{given}");
    }
}

#[test]
fn a_secret_is_masked_by_its_entropy() {
    for secret in [
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab",
        "q83vEjRWeJq83vEjRWeJXq7ePz0",
        "Zm9vYmFyMTIz-NDU2Nzg5MGFiY2Rl_ZmdoaWprbG1ub3A",
        "k3v9x2m7q1w8z5t4r6y0p3n2b8c7d1s5",
        "K5QWS3DFNZ2GK6LQ7JBSWY3DPEHPK3PX",
    ] {
        assert_eq!(text(&format!("value {secret} leaked")), "value **** leaked");
    }
}

/// What an investigation needs, and what people and programs write.
const READABLE: &[&str] = &[
    "event 9f9e0083-6a91-49ac-a12a-3b19b6a45075",
    "code JdXOVPabcdefghijklmnopqrstuvwxyzABCDEF12345=",
    "\"CodeSha256\": \"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"",
    "arn:aws:ecs:eu-west-1:131822732119:task-definition/route-planner:18",
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbCdEf",
    "DB_SECRET=arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbCdEf",
    "arn:aws:lambda:us-east-1:123456789012:function:CheckoutStack-CheckoutFunction1A2B3C4D-AbCdEfGhIjKl",
    "orders-db.cluster-c1a2b3c4d5e6.eu-west-1.rds.amazonaws.com:5432",
    "key-escrow-api:130 and token-service:3",
    "revision 4a2f218d12a8481ead8f4c7b835cedd9aa",
    "commit 3b18e512dba79e4c8300dd08aeb37f8e728b8dad",
    "\"clientToken\": \"C75407B7-621F-4F77-8BF7-635FD3F04F74\", \"httpTokens\": \"optional\"",
    "\"x-amz-id-2\": \"ri2kYFQG4IDcZT+VgIXi/VJMZ4k7oSrx/E6+Tq4qICuZWzqo2/kFoqii+/nvEjRWeJq83vEjRWeJq==\"",
    "x-amz-id-2: eftixk72aD6Ap51TnqcoF8eFidJG9Z/2mkiDFu8yU9AS1ed4OpIszj7UDNEHGran",
    "\"versionId\":\"3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo\"",
    "REPORT RequestId: 8f507cfc-xmpl-4697-b07a-ac58fc914c95 Duration: 5.21 ms",
    "Root=1-67891233-abcdef012345678912345678;Sampled=1",
    "evt_1NG8Du2eZvKYlo2CUI79vXWy arrived",
    "order 01ARZ3NDEKTSV4RRFFQ69G5FAV is paid",
    "c.corp.export.OrderServiceConfigurationFactory2Bean$$EnhancerBySpringCGLIB$$4f5a1b2c",
    "CheckoutServiceErrorsAlarm4F5A1B2C",
    "CheckoutStack-NestedDb-1ABCDEFGHIJKL-Function-AbCdEfGhIjKl",
    "2026/02/06/[42]9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    "ecs/checkout/0123456789abcdef0123456789abcdef",
    "checkout-7d9f8b6c5d-x2x9z on ip-10-0-1-23.eu-west-1.compute.internal",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "/var/task/node_modules/@aws-sdk/client-dynamodb/dist-cjs/index.js:1:2345",
    "https://example.com:8443/@scope/package?x=1",
    "Invalid token: expired at 12:00",
    "SyntaxError: Unexpected token '<' in JSON at position 0",
    "the right bearer token is needed",
    "password reset failed for user 7",
    "secret not found; secret: missing",
    "max_tokens=4096 tokens: 512",
    "token=null password=\"\" secret=${DB_SECRET}",
    "std::secrets::Token::new at src/token.rs:12",
    "npm_config_registry and sk-learn-pipeline-version2",
    "PASSWORD_MIN_LENGTH=12 TOKEN_TTL_SECONDS=30",
    "java.util.concurrent.ThreadPoolExecutor$Worker.run(ThreadPoolExecutor.java:628)",
    "\"masterUserPassword\": \"HIDDEN_DUE_TO_SECURITY_REASONS\", \"apiKey\": \"***\"",
    "\"roleSessionName\": \"MandoService2842426183934887787\"",
    "docs/UserGuides/Version2/GettingStarted12x",
    "HTTPCode_Target_5XX_Count TargetResponseTimeP99 of app/checkout-prod/50dc6c495c0c9188",
];

#[test]
fn what_an_investigation_needs_stays_readable() {
    for given in READABLE {
        assert_eq!(text(given), *given);
    }
    for (key, readable) in [
        ("TOKEN_TTL_SECONDS", "30"),
        ("DB_POOL_SIZE", "5"),
        ("MAX_TOKENS", "4096"),
        ("DB_SECRET_ARN", "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbCdEf"),
        ("VersionId", "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo"),
        ("RevisionId", "0b1f6a5c-8f4a-4c39-9d42-1f1f3a6b7c8d"),
    ] {
        assert_eq!(value(key, readable), readable, "{key}");
    }
}

#[test]
fn a_document_is_masked_where_it_keeps_names_and_values() {
    let mut document = value_of!({
        "requestParameters": {
            "containerDefinitions": [{ "environment": [
                { "name": "DB_PASSWORD", "value": "hunter2" }, { "name": "POOL", "value": "5" } ] }],
            "secretId": "prod/db", "secretString": "hunter5", "secret_id": "hunter6",
            "masterUserPassword": "hunter3", "pinToken": 123_456, "max_tokens": 4096,
            "policy": "{\"secret\": \"hunter4\", \"a\": 1}"
        },
        "eventID": "9f9e0083-6a91-49ac-a12a-3b19b6a45075"
    });
    json(&mut document);
    let shown = document.to_string();
    assert!(!shown.contains("hunter") && !shown.contains("123456,"), "{shown}");
    for kept in [
        "\"POOL\",\"value\":\"5\"",
        "\"secretId\":\"prod/db\"",
        "\"max_tokens\":4096",
        "9f9e0083-6a91",
        "\\\"a\\\":1",
    ] {
        assert!(shown.contains(kept), "{kept}: {shown}");
    }
}

#[test]
fn masks_tell_values_apart_and_lead_back() {
    let mut masks = Masks::default();
    let before = masks.value("DB_PASSWORD", "hunter1");
    let after = masks.value("DB_PASSWORD", "hunter2");
    assert_ne!(before, after);
    assert_eq!(masks.value("OTHER_PASSWORD", "hunter1"), before, "the same value has the same mask");
    let address = masks.value("DB_URL", "postgres://app:hunter2@db/orders");
    assert_eq!(address, format!("postgres://app:{after}@db/orders"));
    assert_eq!(masks.original(&address), "postgres://app:hunter2@db/orders");
    assert_eq!(masks.original(&after), "hunter2");
    assert_eq!(masks.original("****99"), "****99", "what was masked elsewhere stays");
    assert_eq!(value("DB_PASSWORD", &after), after, "a mask is no secret");
    assert_eq!(text(&address), address);
}

#[test]
fn hardly_any_random_key_is_taken_for_words() {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut random = fastrand::Rng::with_seed(8);
    // A short one with a `/` in its middle looks like a path: it is the price of readable paths.
    for (length, most) in [(32, 250), (40, 20), (44, 40), (64, 4)] {
        let survived = (0..4_000)
            .filter(|_| {
                let key: String = (0..length)
                    .filter_map(|_| random.choice(ALPHABET))
                    .map(|byte| char::from(*byte))
                    .collect();
                text(&format!("the value {key} was used")).contains(&key)
            })
            .count();
        assert!(survived <= most, "{survived} of 4,000 keys of {length} characters survive");
    }
}

proptest! {
    #[test]
    fn any_text_is_masked_without_a_panic(given in "\\PC{0,120}") {
        let _ = (text(&given), value(&given, &given));
    }

    #[test]
    fn text_full_of_marks_is_masked_without_a_panic(given in "(password|token|name|value|bearer|://|@|:|=|\"|'|\\\\|\\*|é|1| |\\[|\\]|>|<|,){0,24}") {
        let _ = text(&given);
    }

    #[test]
    fn no_password_survives_under_its_name(
        password in "[A-Za-z][A-Za-z0-9!@#$%^*_+./~-]{4,28}[0-9]",
        form in prop::sample::select(vec![
            "password=@", "password: @", "{\"db_password\": \"@\"}", "{\\\"password\\\":\\\"@\\\"}", "--password @",
            "?a=1&token=@&b=2", "secret = '@'", "apiKey: \"@\"", "<secret>@</secret>", "DB_PASSWORD=@\nnext=1",
        ]),
    ) {
        let masked = text(&form.replace('@', &password));
        prop_assert!(!masked.contains(&password), "{}", masked);
    }

    #[test]
    fn ids_and_hashes_stay_readable(
        uuid in "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        sha in "[0-9a-f]{40}|[0-9a-f]{64}",
        code in "[A-Za-z0-9+/]{43}=",
        account in "[0-9]{12}",
        name in "[a-z]{3,10}(-[a-z]{3,10}){0,3}",
    ) {
        let code = code.replace("AIza", "BIza").replace("eyJ", "fyJ");
        for given in [
            format!("event {uuid} of {name}"),
            format!("commit {sha}"),
            format!("CodeSha256 {code}"),
            format!("arn:aws:lambda:us-east-1:{account}:function:{name}:42"),
            format!("arn:aws:secretsmanager:us-east-1:{account}:secret:{name}-AbC1dE"),
        ] {
            prop_assert_eq!(text(&given), given);
        }
    }
}
