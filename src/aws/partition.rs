//! The partitions that AWS is made of, by the names of their Regions.
//!
//! Rule: ARNs begin with the partition, host names end with its suffix, and IAM writes its CloudTrail records in
//! one Region of each. Source: `partitions.json` of the AWS SDKs (September 2025).

/// What belongs together under one set of accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub name: &'static str,
    /// What host names end with.
    pub suffix: &'static str,
    /// Where IAM and the other global services write their records.
    pub global_region: &'static str,
}

impl Partition {
    /// The partition of a Region; a Region of a kind that is not known here is one of `aws`.
    pub fn of(region: &str) -> Self {
        let parts: Vec<&str> = region.split('-').collect();
        let (name, suffix, global_region) = match parts.as_slice() {
            ["cn", ..] => ("aws-cn", "amazonaws.com.cn", "cn-north-1"),
            ["eusc", ..] => ("aws-eusc", "amazonaws.eu", "eusc-de-east-1"),
            [_, "gov", ..] => ("aws-us-gov", "amazonaws.com", "us-gov-west-1"),
            [_, "iso", ..] => ("aws-iso", "c2s.ic.gov", "us-iso-east-1"),
            [_, "isob", ..] => ("aws-iso-b", "sc2s.sgov.gov", "us-isob-east-1"),
            [_, "isoe", ..] => ("aws-iso-e", "cloud.adc-e.uk", "eu-isoe-west-1"),
            [_, "isof", ..] => ("aws-iso-f", "csp.hci.ic.gov", "us-isof-south-1"),
            _ => ("aws", "amazonaws.com", "us-east-1"),
        };
        Self { name, suffix, global_region }
    }
}

/// An ARN of a Region's partition.
pub fn arn(service: &str, region: &str, account: &str, resource: &str) -> String {
    format!("arn:{}:{service}:{region}:{account}:{resource}", Partition::of(region).name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regions_name_tells_its_partition() {
        for (region, name) in [
            ("us-east-1", "aws"),
            ("mx-central-1", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("cn-north-1", "aws-cn"),
            ("eusc-de-east-1", "aws-eusc"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-east-1", "aws-iso-f"),
        ] {
            assert_eq!(Partition::of(region).name, name, "{region}");
        }
        assert_eq!(arn("ecs", "cn-north-1", "1", "cluster/a"), "arn:aws-cn:ecs:cn-north-1:1:cluster/a");
    }
}
