//! What an investigation cost: calls by API, what they are charged for, and the estimated price.
//!
//! The rule that is not obvious: only what AWS charges by use has a price here. CloudTrail's lookups
//! and the reads of Lambda, ECS, Parameter Store and AppConfig are free. Prices are AWS's list prices of
//! us-east-1 in February 2026 (aws.amazon.com/cloudwatch/pricing): other Regions differ by some tens of per cent,
//! and the free tier is not taken off.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// For a gigabyte that Logs Insights looks through.
const GIGABYTE_SCANNED: f64 = 0.005;
/// For a metric that `GetMetricData` is asked for: $0.01 for a thousand.
const METRIC_REQUESTED: f64 = 0.01 / 1000.0;
/// For any other request to CloudWatch's metrics: $0.01 for a thousand.
const METRIC_REQUEST: f64 = 0.01 / 1000.0;
const BYTES_IN_GIGABYTE: f64 = 1e9;
/// Where the prices are from, and of when.
const PRICES: &str = "AWS list prices, us-east-1, February 2026";

/// What was used. A call that several investigations share counts for the one that made it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// By IAM action; a call that the SDK repeated counts once.
    #[serde(default)]
    pub calls: BTreeMap<String, u64>,
    /// Metrics that `GetMetricData` was asked for, each window of time for itself.
    #[serde(default)]
    pub metrics_requested: u64,
    /// What Logs Insights looked through.
    #[serde(default)]
    pub bytes_scanned: u64,
    /// Calls that other investigations had made already.
    #[serde(default)]
    pub shared: u64,
}

/// What was used, and its price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    #[serde(flatten)]
    pub usage: Usage,
    /// In US dollars, to a millionth.
    pub estimated_usd: f64,
    pub prices: String,
}

impl Usage {
    pub fn priced(&self) -> Cost {
        let listings = self.calls.get("cloudwatch:ListMetrics").copied().unwrap_or_default();
        let dollars = self.bytes_scanned as f64 / BYTES_IN_GIGABYTE * GIGABYTE_SCANNED
            + self.metrics_requested as f64 * METRIC_REQUESTED
            + listings as f64 * METRIC_REQUEST;
        let estimated_usd = (dollars * 1e6).round() / 1e6;
        Cost { usage: self.clone(), estimated_usd, prices: PRICES.to_owned() }
    }
}

impl Cost {
    /// In one sentence, without its end: `31 AWS calls (cloudtrail:LookupEvents 4, …), …`.
    pub fn describe(&self) -> String {
        let Usage { calls, metrics_requested, bytes_scanned, shared } = &self.usage;
        let whole: u64 = calls.values().sum();
        let mut by_count: Vec<(&String, &u64)> = calls.iter().collect();
        by_count.sort_by_key(|(action, count)| (std::cmp::Reverse(**count), *action));
        let named: Vec<String> = by_count.iter().map(|(action, count)| format!("{action} {count}")).collect();
        let shared = match shared {
            0 => String::new(),
            shared => format!(", {shared} more shared with other investigations"),
        };
        let named = if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) };
        format!(
            "{whole} AWS calls{named}{shared}; {metrics_requested} metrics, {:.1} MB of logs scanned; about ${:.4} ({})",
            *bytes_scanned as f64 / 1e6,
            self.estimated_usd,
            self.prices
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_follows_from_what_is_charged() {
        let calls =
            [("cloudtrail:LookupEvents", 4), ("cloudwatch:ListMetrics", 2), ("cloudwatch:GetMetricData", 3)];
        let calls = calls.into_iter().map(|(action, count)| (action.to_owned(), count)).collect();
        let usage = Usage { calls, metrics_requested: 300, bytes_scanned: 2_000_000_000, shared: 1 };
        let cost = usage.priced();
        // 2 GB at half a cent, 300 metrics and 2 listings at a cent a thousand.
        assert!((cost.estimated_usd - 0.013_02).abs() < 1e-9, "{}", cost.estimated_usd);
        let told = cost.describe();
        assert!(
            told.starts_with("9 AWS calls (cloudtrail:LookupEvents 4, cloudwatch:GetMetricData 3"),
            "{told}"
        );
        assert!(told.contains("2000.0 MB") && told.contains("$0.0130"), "{told}");
    }
}
