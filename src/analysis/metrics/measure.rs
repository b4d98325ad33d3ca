//! What a metric measures, read from the words of its name, so that a namespace never seen before
//! still has requests, failures and latencies.

use crate::analysis::words;

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
    Concurrency,
    Gauge(Gauge),
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

/// The measure of a metric by its name and statistic.
pub fn of(metric: &str, stat: &str) -> Measure {
    let words = words::split(metric);
    let has = |names: &[&str]| {
        words.iter().any(|word| names.contains(&words::stem(word)) || names.contains(&word.as_str()))
    };
    let counted = stat == "Sum" || stat == "SampleCount";
    if has(&["day", "days"])
        && has(&["left", "expiry", "expire", "expires", "expiration", "until", "remaining", "to"])
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

/// Milliseconds per unit of a latency series: ALB and X-Ray speak in seconds.
pub fn milliseconds_per_unit(metric: &str, namespace: &str, typical: f64) -> f64 {
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
            ("ResidentMemoryPercent", "Maximum", Measure::Gauge(Gauge::Memory)),
            ("OpenConnections", "Maximum", Measure::Gauge(Gauge::Connections)),
            ("QueueDepth", "Maximum", Measure::Gauge(Gauge::Queue)),
            ("FreeStorageSpace", "Minimum", Measure::Gauge(Gauge::Disk)),
            ("ConcurrentExecutions", "Maximum", Measure::Concurrency),
        ] {
            assert_eq!(of(metric, stat), expected, "{metric} {stat}");
        }
    }
}
