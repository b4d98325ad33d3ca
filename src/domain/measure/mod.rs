//! What a metric measures, and which of its statistics say something.
//!
//! Rule: of AWS's own namespaces that is written down exactly ([`known`]); else the words of the name tell
//! it, whole words and never parts of them (`Messages` is no `age`), so that a namespace never seen before
//! still has requests, failures and latencies. What is asked of AWS and how the answer is read follow from the
//! same place.

mod known;

use self::known::known;
use crate::domain::words;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    Requests,
    Failures,
    /// Answers of the 4XX class: the caller's fault, unless many begin at once.
    Refusals,
    Successes,
    Latency,
    /// Percent of requests that succeeded.
    Availability,
    Throttles,
    /// Callers that a firewall turned away, whom the service behind it never counted.
    Blocked,
    Concurrency,
    Gauge(Gauge),
    /// How many instances, tasks, hosts or units there are. They follow from decisions and from what happened,
    /// and are nothing that runs out.
    Provided,
    Other,
}

/// A resource that can run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gauge {
    Cpu,
    Memory,
    Disk,
    Connections,
    Queue,
    /// Days until something expires.
    DaysLeft,
    /// Whatever else comes to an end: credits, addresses, a quota.
    Other,
}

impl Gauge {
    pub fn describe(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::Memory => "memory",
            Self::Disk => "disk space",
            Self::Connections => "connections",
            Self::Queue => "the queue",
            Self::DaysLeft => "days until expiry",
            Self::Other => "a resource",
        }
    }
}

/// The measure of a metric's statistic.
pub fn of(namespace: &str, metric: &str, stat: &str) -> Measure {
    match known(namespace, metric) {
        Some(known) => known.measure_of(stat),
        None => by_words(metric, stat),
    }
}

/// The statistics that say something about a metric: times have a distribution, counts have sums, levels
/// have an average and the extreme that hurts. A p99 is worth as much as its sample count.
pub fn statistics(namespace: &str, metric: &str) -> &'static [&'static str] {
    match known(namespace, metric) {
        Some(known) => known.statistics(),
        None => guessed_statistics(metric),
    }
}

const COUNTS: &[&str] = &["Sum"];
const DISTRIBUTION: &[&str] = &["p50", "p99", "Average", "SampleCount"];
const USED: &[&str] = &["Average", "Maximum"];
const LEFT: &[&str] = &["Average", "Minimum"];

fn guessed_statistics(metric: &str) -> &'static [&'static str] {
    let words = words::split(metric);
    let has = |names: &[&str]| {
        words.iter().any(|word| names.contains(&words::stem(word)) || names.contains(&word.as_str()))
    };
    let as_level = by_words(metric, "Average");
    if as_level == Measure::Latency || has(&["ms", "millis", "millisecond", "responsetime", "processingtime"])
    {
        return DISTRIBUTION;
    }
    if matches!(
        by_words(metric, "Sum"),
        Measure::Failures | Measure::Refusals | Measure::Successes | Measure::Throttles
    ) {
        return COUNTS;
    }
    // `QueueRequests` counts requests, `RequestQueue` is a level.
    let last = words.last().map(|word| words::stem(word)).unwrap_or_default();
    if matches!(last, "invocation" | "request" | "call" | "attempt" | "hit") {
        return COUNTS;
    }
    let level = matches!(as_level, Measure::Gauge(_) | Measure::Concurrency | Measure::Availability)
        || has(&[
            "used",
            "usage",
            "utilization",
            "utilisation",
            "percent",
            "percentage",
            "pct",
            "ratio",
            "available",
            "free",
            "freeable",
            "remaining",
            "left",
            "balance",
            "size",
            "capacity",
            "waiting",
            "inuse",
            "uptime",
            "active",
            "running",
            "healthy",
            "unhealthy",
            "desired",
            "replica",
        ])
        || words.windows(2).any(|pair| pair[0] == "in" && matches!(pair[1].as_str(), "use" | "flight"));
    match level {
        true if counts_what_is_left(metric) => LEFT,
        true => USED,
        false => COUNTS,
    }
}

fn by_words(metric: &str, stat: &str) -> Measure {
    let words = words::split(metric);
    let has = |names: &[&str]| {
        words.iter().any(|word| names.contains(&words::stem(word)) || names.contains(&word.as_str()))
    };
    let counted = stat == "Sum" || stat == "SampleCount";
    // In the languages of AWS's larger regions as well.
    if has(&["day", "days", "tage", "jours", "jour", "dias", "dia", "giorni", "dagen"])
        && has(&[
            "left",
            "expiry",
            "expire",
            "expires",
            "expiration",
            "until",
            "remaining",
            "to",
            "valid",
            "validity",
            "bis",
            "ablauf",
            "gueltig",
            "gültig",
            "restants",
            "restantes",
            "rimanenti",
            "resterend",
            "resta",
        ])
    {
        return Measure::Gauge(Gauge::DaysLeft);
    }
    if has(&["throttle", "throttled", "throttles"]) {
        return Measure::Throttles;
    }
    if has(&["availability"]) || (has(&["success"]) && has(&["rate", "percent", "ratio"])) {
        return Measure::Availability;
    }
    if has(&["cpu", "cpuutilization"]) {
        return Measure::Gauge(Gauge::Cpu);
    }
    if has(&["memory", "heap", "rss", "resident", "mem", "swap"]) {
        return Measure::Gauge(Gauge::Memory);
    }
    if has(&["disk", "storage", "filesystem", "volume", "inode"]) {
        return Measure::Gauge(Gauge::Disk);
    }
    if counted
        && (has(&[
            "error",
            "fault",
            "fail",
            "failed",
            "failure",
            "exception",
            "rejected",
            "rejection",
            "reject",
            "dropped",
            "fatal",
            "unsuccessful",
            "declined",
            "aborted",
            "abort",
            "crash",
            "crashed",
            "lost",
            "undelivered",
            "bad",
            "unhandled",
            "denied",
            "refused",
            "broken",
            "incomplete",
            "failing",
            "invalid",
            "dead",
            "dlq",
            "deadletter",
        ]) || (has(&["timeout"]) && !has(&["setting", "limit"]))
            || words.windows(2).any(|pair| pair[0] == "5" && pair[1] == "xx"))
    {
        return Measure::Failures;
    }
    if words.windows(2).any(|pair| pair[0] == "4" && pair[1] == "xx") {
        return if counted { Measure::Refusals } else { Measure::Other };
    }
    if counted
        && has(&[
            "succeeded",
            "success",
            "completed",
            "accepted",
            "processed",
            "delivered",
            "succes",
            "ok",
            "served",
            "successful",
            "done",
            "fulfilled",
        ])
    {
        return Measure::Successes;
    }
    if !counted
        && (has(&["duration", "latency", "elapsed"]) || (has(&["time"]) && !has(&["out", "up", "start"])))
    {
        return Measure::Latency;
    }
    if has(&["connection", "socket", "session", "pool", "descriptor", "thread", "handle"]) && !counted {
        return Measure::Gauge(Gauge::Connections);
    }
    if has(&["queue", "backlog", "lag", "age", "depth", "pending", "visible"]) && !counted {
        return Measure::Gauge(Gauge::Queue);
    }
    if has(&["concurrent", "concurrency", "inflight"]) {
        return Measure::Concurrency;
    }
    if counted && has(&["invocation", "request", "call", "received", "total", "attempt", "hit", "count"]) {
        return Measure::Requests;
    }
    Measure::Other
}

/// Whether a gauge counts what is left instead of what is used.
pub fn counts_what_is_left(metric: &str) -> bool {
    words::split(metric).iter().any(|word| {
        matches!(
            word.as_str(),
            "free" | "freeable" | "available" | "remaining" | "left" | "unused" | "balance"
        )
    })
}

/// Whether a gauge is a percentage of its own limit.
pub fn is_percent(metric: &str) -> bool {
    words::split(metric).iter().any(|word| {
        matches!(word.as_str(), "percent" | "utilization" | "utilisation" | "pct" | "percentage" | "usage")
    })
}

/// Milliseconds per unit of a latency series: load balancers and databases speak in seconds.
pub fn milliseconds_per_unit(namespace: &str, metric: &str, typical: f64) -> f64 {
    if let Some(milliseconds) = known(namespace, metric).and_then(known::Known::milliseconds) {
        return milliseconds;
    }
    let words = words::split(metric);
    if words.iter().any(|word| matches!(word.as_str(), "ms" | "millis" | "milliseconds")) {
        return 1.0;
    }
    if words.iter().any(|word| matches!(word.as_str(), "seconds" | "sec" | "secs")) {
        return 1000.0;
    }
    if metric == "TargetResponseTime" {
        return 1000.0;
    }
    if namespace == "AWS/Lambda" || namespace == "AWS/ApiGateway" {
        return 1.0;
    }
    // No service answers a request in less than 50 microseconds on average, nor in 20 s and more.
    if typical < 5.0 { 1000.0 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_measure() {
        for (metric, stat, expected) in [
            ("Invocations", "Sum", Measure::Requests),
            ("RequestCount", "Sum", Measure::Requests),
            ("HTTPCode_Target_5XX_Count", "Sum", Measure::Failures),
            ("HTTPCode_Target_4XX_Count", "Sum", Measure::Refusals),
            ("Rejections", "Sum", Measure::Failures),
            ("Unsuccessful", "Sum", Measure::Failures),
            ("PoolBusy", "Maximum", Measure::Gauge(Gauge::Connections)),
            ("CheckoutFailures", "Sum", Measure::Failures),
            ("RouteFailed", "Sum", Measure::Failures),
            ("db_timeout", "Sum", Measure::Failures),
            ("AcceptedQuote", "Sum", Measure::Successes),
            ("TargetResponseTime", "p99", Measure::Latency),
            ("ProcessingTime", "Average", Measure::Latency),
            ("availability", "Average", Measure::Availability),
            ("CertificateDaysLeft", "Minimum", Measure::Gauge(Gauge::DaysLeft)),
            ("cert.validity.days", "Minimum", Measure::Gauge(Gauge::DaysLeft)),
            ("ZertifikatTageBisAblauf", "Minimum", Measure::Gauge(Gauge::DaysLeft)),
            ("DaysOfHistory", "Maximum", Measure::Other),
            ("ResidentMemoryPercent", "Maximum", Measure::Gauge(Gauge::Memory)),
            ("OpenConnections", "Maximum", Measure::Gauge(Gauge::Connections)),
            ("QueueDepth", "Maximum", Measure::Gauge(Gauge::Queue)),
            ("FreeStorageSpace", "Minimum", Measure::Gauge(Gauge::Disk)),
            ("ConcurrentExecutions", "Maximum", Measure::Concurrency),
        ] {
            assert_eq!(of("Shop", metric, stat), expected, "{metric} {stat}");
        }
    }

    #[test]
    fn a_metric_of_aws_is_what_aws_says_that_it_is() {
        for (namespace, metric, stat, expected) in [
            ("AWS/SQS", "NumberOfMessagesSent", "Sum", Measure::Requests),
            ("AWS/SQS", "NumberOfMessagesDeleted", "Sum", Measure::Successes),
            ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", Measure::Gauge(Gauge::Queue)),
            ("AWS/ApplicationELB", "HealthyHostCount", "Minimum", Measure::Provided),
            ("AWS/ApplicationELB", "UnHealthyHostCount", "Sum", Measure::Provided),
            ("ECS/ContainerInsights", "RunningTaskCount", "Sum", Measure::Provided),
            ("ECS/ContainerInsights", "CpuUtilized", "Average", Measure::Gauge(Gauge::Cpu)),
            ("AWS/ApiGateway", "4XXError", "Sum", Measure::Refusals),
            ("AWS/ApiGateway", "5XXError", "Sum", Measure::Failures),
            ("AWS/ApiGateway", "5XXError", "Average", Measure::Other),
            ("AWS/ApiGateway", "Count", "SampleCount", Measure::Requests),
            ("AWS/RDS", "CPUCreditBalance", "Minimum", Measure::Gauge(Gauge::Other)),
            ("AWS/RDS", "DiskQueueDepth", "Maximum", Measure::Gauge(Gauge::Queue)),
            ("AWS/RDS", "ReadIOPS", "Average", Measure::Other),
            ("AWS/RDS", "ReadLatency", "Average", Measure::Latency),
            ("AWS/DynamoDB", "SuccessfulRequestLatency", "SampleCount", Measure::Successes),
            ("AWS/DynamoDB", "ReadThrottleEvents", "Sum", Measure::Throttles),
            ("AWS/Lambda", "Errors", "SampleCount", Measure::Other),
        ] {
            assert_eq!(of(namespace, metric, stat), expected, "{namespace} {metric} {stat}");
        }
    }

    #[test]
    fn each_metric_is_asked_for_the_statistics_that_say_something() {
        for (namespace, metric, expected) in [
            ("AWS/SQS", "NumberOfMessagesSent", COUNTS),
            ("AWS/SQS", "NumberOfMessagesReceived", COUNTS),
            ("AWS/SQS", "NumberOfMessagesDeleted", COUNTS),
            ("AWS/SQS", "ApproximateAgeOfOldestMessage", USED),
            ("AWS/ApplicationELB", "TargetResponseTime", DISTRIBUTION),
            ("AWS/ApplicationELB", "HealthyHostCount", LEFT),
            ("AWS/ApplicationELB", "UnHealthyHostCount", USED),
            ("ECS/ContainerInsights", "RunningTaskCount", LEFT),
            ("ECS/ContainerInsights", "CpuUtilized", USED),
            ("AWS/RDS", "CPUCreditBalance", LEFT),
            ("AWS/RDS", "BurstBalance", LEFT),
            ("AWS/RDS", "FreeStorageSpace", LEFT),
            ("AWS/RDS", "DatabaseConnections", USED),
            // RDS publishes one figure a minute, of which there is no distribution.
            ("AWS/RDS", "ReadLatency", USED),
            ("AWS/Lambda", "Errors", COUNTS),
            ("AWS/Lambda", "ConcurrentExecutions", &["Maximum"]),
            ("DemoApp", "RequestLatency", DISTRIBUTION),
            ("DemoApp", "wait_ms", DISTRIBUTION),
            ("DemoApp", "PoolInUse", USED),
            ("DemoApp", "FreeSlots", LEFT),
            ("DemoApp", "Timeouts", COUNTS),
            ("DemoApp", "PoolTimeouts", COUNTS),
            ("DemoApp", "MessagesSent", COUNTS),
            ("DemoApp", "ImageUploads", COUNTS),
            ("DemoApp", "RequestQueue", USED),
            ("DemoApp", "QueueRequests", COUNTS),
        ] {
            assert_eq!(statistics(namespace, metric), expected, "{namespace} {metric}");
        }
    }

    #[test]
    fn a_latency_is_in_the_unit_that_aws_publishes() {
        for (namespace, metric, expected) in [
            ("AWS/ApplicationELB", "TargetResponseTime", 1000.0),
            ("AWS/ECS", "TargetResponseTime", 1.0),
            ("AWS/RDS", "ReadLatency", 1000.0),
            ("AWS/RDS", "CommitLatency", 1.0),
            ("AWS/ElastiCache", "SuccessfulReadRequestLatency", 0.001),
            ("AWS/DynamoDB", "SuccessfulRequestLatency", 1.0),
        ] {
            // 3 would be guessed to be seconds.
            let read = milliseconds_per_unit(namespace, metric, 3.0);
            assert!((read - expected).abs() < 1e-12, "{namespace} {metric}: {read}");
        }
    }
}
