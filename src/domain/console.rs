//! Addresses of AWS's console: where a fact can be looked at again.
//!
//! The rule that is not obvious: an address is made of names that AWS gave (Region, log group, metric,
//! event id) and of times, never of what a log says; whatever is not a plain letter is escaped, so that
//! nothing in it ends the address early.
//!
//! Source: the console's own addresses. CloudWatch keeps its state behind `#` in JSURL (`~(key~'text)`,
//! `*2f` for a slash); the pages of Logs escape that once more, with `$25` in place of `%`.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::evidence::Series;

/// More lines than this make no graph that anybody reads.
const SERIES_MAX: usize = 8;
/// The console takes up to 50 log groups in one query.
const GROUPS_MAX: usize = 50;
/// Slack takes addresses of up to 3,000 characters; a message holds several.
const LENGTH_MAX: usize = 1_400;

/// The console's host in the partition of a Region; `None` where the name is no Region's, or one of a
/// partition whose console is not known here.
fn host(region: &str) -> Option<String> {
    let plain = region.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let parts: Vec<&str> = region.split('-').collect();
    if !plain || region.len() > 32 || parts.len() < 3 || parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    let domain = match parts.as_slice() {
        ["cn", ..] => "console.amazonaws.cn",
        ["us", "gov", ..] => "console.amazonaws-us-gov.com",
        // Partitions that nobody outside reaches.
        ["us" | "eu", word, ..] if word.starts_with("iso") => return None,
        ["eusc", ..] => return None,
        _ => "console.aws.amazon.com",
    };
    Some(format!("{region}.{domain}"))
}

fn fitting(url: String) -> Option<String> {
    (url.len() <= LENGTH_MAX).then_some(url)
}

/// A CloudTrail event by its id. Event history shows it for 90 days.
pub fn event(region: &str, id: &str) -> Option<String> {
    let plain = !id.is_empty() && id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let host = host(region).filter(|_| plain)?;
    Some(format!("https://{host}/cloudtrailv2/home?region={region}#/events/{id}"))
}

/// A function's own page.
pub fn function(region: &str, name: &str) -> Option<String> {
    let host = host(region).filter(|_| is_plain(name))?;
    Some(format!("https://{host}/lambda/home?region={region}#/functions/{name}"))
}

/// A page of a container service: its `deployments`, or its `events`.
pub fn container_service(region: &str, cluster: &str, service: &str, page: &'static str) -> Option<String> {
    let host = host(region).filter(|_| is_plain(cluster) && is_plain(service))?;
    Some(format!("https://{host}/ecs/v2/clusters/{cluster}/services/{service}/{page}?region={region}"))
}

/// A parameter's history. The console escapes the slashes of its name twice.
pub fn parameter(region: &str, name: &str) -> Option<String> {
    let host = host(region).filter(|_| name.split('/').all(|part| part.is_empty() || is_plain(part)))?;
    let name = name.replace('/', "%252F");
    (!name.is_empty())
        .then(|| format!("https://{host}/systems-manager/parameters/{name}/history?region={region}"))
}

/// What AWS tells of its own trouble to the account, in the partition where it has an address of its own.
pub fn health(region: &str) -> Option<String> {
    let common = host(region)?.ends_with(".console.aws.amazon.com");
    common.then(|| "https://health.aws.amazon.com/health/home#/account/event-log".to_owned())
}

/// A name of letters that mean nothing in an address.
fn is_plain(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=255).contains(&name.len()) && name.chars().all(letters) && name.chars().any(|c| c != '.')
}

/// A graph of some series over a window.
pub fn graph<'a>(
    region: &str,
    series: impl IntoIterator<Item = &'a Series>,
    from: Timestamp,
    to: Timestamp,
) -> Option<String> {
    let host = host(region)?;
    let mut lines = String::new();
    for series in series.into_iter().take(SERIES_MAX) {
        let mut line = format!("~(~'{}~'{}", jsurl(&series.namespace), jsurl(&series.metric));
        for (name, value) in &series.dimensions {
            // Writing to a string cannot fail.
            let _ = write!(line, "~'{}~'{}", jsurl(name), jsurl(value));
        }
        let _ = write!(line, "~(stat~'{}~period~{}))", jsurl(&series.stat), series.period.max(1));
        // One series less is better than no graph.
        if lines.len() + line.len() + 300 > LENGTH_MAX {
            break;
        }
        lines.push_str(&line);
    }
    if lines.is_empty() {
        return None;
    }
    let (from, to) = (jsurl(&time(from)), jsurl(&time(to)));
    fitting(format!(
        "https://{host}/cloudwatch/home?region={region}#metricsV2:graph=~(metrics~({lines})\
         ~view~'timeSeries~stacked~false~region~'{region}~start~'{from}~end~'{to})"
    ))
}

/// A query of Logs Insights over a window. The query is a fixed text of ours.
pub fn logs(
    region: &str,
    groups: &[String],
    query: &'static str,
    from: Timestamp,
    to: Timestamp,
) -> Option<String> {
    let host = host(region)?;
    if groups.is_empty() {
        return None;
    }
    let mut sources = String::new();
    for group in groups.iter().take(GROUPS_MAX) {
        let _ = write!(sources, "~'{}", jsurl(group));
    }
    let detail = format!(
        "~(end~'{}~start~'{}~timeType~'ABSOLUTE~tz~'UTC~editorString~'{}~source~({sources}))",
        jsurl(&time(to)),
        jsurl(&time(from)),
        jsurl(query)
    );
    let detail = twice(&detail);
    fitting(format!(
        "https://{host}/cloudwatch/home?region={region}#logsV2:logs-insights$3FqueryDetail$3D{detail}"
    ))
}

/// As the console writes times: UTC with milliseconds.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// A text within JSURL: letters, digits, `-`, `_` and `.` stay, all else becomes `*2f`, and `**20ac`
/// beyond Latin-1.
fn jsurl(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for unit in text.encode_utf16() {
        match char::from_u32(u32::from(unit)) {
            Some(c) if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') => escaped.push(c),
            _ if unit <= 0xff => {
                let _ = write!(escaped, "*{unit:02x}");
            }
            _ => {
                let _ = write!(escaped, "**{unit:04x}");
            }
        }
    }
    escaped
}

/// JSURL's own marks, escaped twice as the pages of Logs want them: `%7E` of `~` is `$257E`.
fn twice(jsurl: &str) -> String {
    let mut escaped = String::with_capacity(jsurl.len() * 2);
    for c in jsurl.chars() {
        match c {
            '~' => escaped.push_str("$257E"),
            '(' => escaped.push_str("$2528"),
            ')' => escaped.push_str("$2529"),
            '\'' => escaped.push_str("$2527"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn noon() -> Timestamp {
        at("2026-02-06T12:00:00Z")
    }

    fn errors(dimensions: &[(&str, &str)]) -> Series {
        Series {
            namespace: "AWS/Lambda".into(),
            metric: "Errors".into(),
            dimensions: dimensions.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            stat: "Sum".into(),
            period: 60,
            points: Vec::new(),
        }
    }

    #[test]
    fn every_partition_has_its_own_console() {
        for (region, host) in [
            ("eu-central-1", "https://eu-central-1.console.aws.amazon.com/cloudtrailv2/home"),
            ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/cloudtrailv2/home"),
            ("us-gov-west-1", "https://us-gov-west-1.console.amazonaws-us-gov.com/cloudtrailv2/home"),
        ] {
            let url = event(region, "0f8d3b5e-1111-4222-8333-444455556666").unwrap();
            assert!(url.starts_with(host), "{url}");
            assert!(url.ends_with("#/events/0f8d3b5e-1111-4222-8333-444455556666"), "{url}");
        }
        for region in ["", "nowhere", "us-iso-east-1", "eusc-de-east-1", "evil.example/x-y-1", "a--1"] {
            assert_eq!(event(region, "0f8d"), None, "{region}");
        }
    }

    #[test]
    fn an_event_is_named_by_an_id_and_nothing_else() {
        for id in ["", "../../x", "a b", "<!channel>", &"a".repeat(65)] {
            assert_eq!(event("us-east-1", id), None, "{id}");
        }
    }

    #[test]
    fn a_resource_has_a_page_of_its_own() {
        let region = "eu-central-1";
        let on = |path: &str| Some(format!("https://eu-central-1.console.aws.amazon.com/{path}"));
        assert_eq!(function(region, "checkout"), on("lambda/home?region=eu-central-1#/functions/checkout"));
        assert_eq!(
            container_service(region, "prod", "web", "events"),
            on("ecs/v2/clusters/prod/services/web/events?region=eu-central-1")
        );
        assert_eq!(
            parameter(region, "/checkout/limit"),
            on("systems-manager/parameters/%252Fcheckout%252Flimit/history?region=eu-central-1")
        );
        assert!(health(region).is_some() && health("cn-north-1").is_none());
        for hostile in ["", "..", "a b", "x#y", "a%2f", "<!channel>"] {
            assert_eq!(function(region, hostile), None, "{hostile}");
            assert_eq!(container_service(region, "prod", hostile, "events"), None, "{hostile}");
        }
    }

    #[test]
    fn a_graph_names_metric_dimensions_statistic_and_window() {
        let series = errors(&[("FunctionName", "checkout"), ("Resource", "checkout:live")]);
        let url = graph("us-east-1", [&series], noon(), at("2026-02-06T13:00:00Z")).unwrap();
        assert_eq!(
            url,
            "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#metricsV2:graph=\
             ~(metrics~(~(~'AWS*2fLambda~'Errors~'FunctionName~'checkout~'Resource~'checkout*3alive\
             ~(stat~'Sum~period~60)))~view~'timeSeries~stacked~false~region~'us-east-1\
             ~start~'2026-02-06T12*3a00*3a00.000Z~end~'2026-02-06T13*3a00*3a00.000Z)"
        );
    }

    #[test]
    fn a_query_of_logs_is_escaped_as_the_console_does_it() {
        // The parts of an address that was copied out of the console.
        let query = "fields @timestamp, @message | limit 200";
        let url = logs("eu-west-1", &["/aws/lambda/x".into()], query, noon(), noon()).unwrap();
        assert_eq!(
            url,
            "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:logs-insights\
             $3FqueryDetail$3D$257E$2528end$257E$25272026-02-06T12*3a00*3a00.000Z\
             $257Estart$257E$25272026-02-06T12*3a00*3a00.000Z$257EtimeType$257E$2527ABSOLUTE\
             $257Etz$257E$2527UTC$257EeditorString$257E$2527fields*20*40timestamp*2c*20*40message*20*7c*20\
             limit*20200$257Esource$257E$2528$257E$2527*2faws*2flambda*2fx$2529$2529"
        );
    }

    #[test]
    fn letters_beyond_latin_are_escaped_in_four_digits() {
        assert_eq!(jsurl("a/é€"), "a*2f*e9**20ac");
    }

    proptest! {
        #[test]
        fn no_name_breaks_out_of_an_address(name in "\\PC{0,40}", value in "\\PC{0,400}", region in "\\PC{0,20}|us-east-1") {
            let series = errors(&[(&name, &value)]);
            let many: Vec<&Series> = std::iter::repeat_n(&series, 30).collect();
            let urls = [
                graph(&region, many, noon(), noon()),
                logs(&region, &[name.clone(), value.clone()], "fields @message", noon(), noon()),
                event(&region, &value),
                function(&region, &name),
                container_service(&region, &name, &value, "events"),
                parameter(&region, &value),
            ];
            for url in urls.into_iter().flatten() {
                prop_assert!(url.len() <= LENGTH_MAX);
                prop_assert!(url.starts_with("https://us-east-1.console.aws.amazon.com/"), "{url}");
                prop_assert!(!url.contains(['<', '>', '|', '"', '`', '&', ' ', '\n', '\\']), "{url}");
                prop_assert!(url.is_ascii(), "{url}");
            }
        }
    }
}
