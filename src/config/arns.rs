//! The shape of the ARNs that the configuration names: a typo is told at the start, not by the first approved rollback.
//!
//! The rule that is not obvious: only the shape is looked at. Whether there is such a role or topic AWS alone knows, and
//! `doctor` asks it.

/// # Errors
/// Where it is none of a role, `arn:aws:iam::123456789012:role/name`; the partition may be another one.
pub(super) fn role(key: &str, arn: Option<&str>) -> Result<(), String> {
    let Some(arn) = arn else { return Ok(()) };
    let fits = parts(arn).is_some_and(|[service, region, account, resource]| {
        let name = resource.strip_prefix("role/").unwrap_or_default();
        service == "iam" && region.is_empty() && is_account(account) && is_word(name)
    });
    if fits { Ok(()) } else { Err(refusal(key, arn, "a role", "iam::123456789012:role/commander")) }
}

/// # Errors
/// Where it is none of a topic, `arn:aws:sns:eu-central-1:123456789012:name`.
pub(super) fn topic(key: &str, arn: &str) -> Result<(), String> {
    let fits = parts(arn).is_some_and(|[service, region, account, name]| {
        service == "sns"
            && is_word(region)
            && is_account(account)
            && is_word(name)
            && !name.contains([':', '/'])
    });
    if fits { Ok(()) } else { Err(refusal(key, arn, "an SNS topic", "sns:eu-central-1:123456789012:alarms")) }
}

fn refusal(key: &str, arn: &str, of: &str, example: &str) -> String {
    format!("{key}: {arn:?} is no ARN of {of}, such as arn:aws:{example}")
}

/// Service, Region, account and resource of `arn:partition:service:region:account:resource`.
fn parts(arn: &str) -> Option<[&str; 4]> {
    let rest = arn.strip_prefix("arn:")?;
    let (partition, rest) = rest.split_once(':')?;
    let mut parts = rest.splitn(4, ':');
    let found = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    (partition == "aws" || partition.starts_with("aws-")).then_some(found)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_of_any_partition_and_path_has_the_shape_of_one_and_nothing_else_has() {
        for right in [
            "arn:aws:iam::123456789012:role/commander",
            "arn:aws-us-gov:iam::123456789012:role/teams/commander-write",
        ] {
            assert_eq!(role("key", Some(right)), Ok(()), "{right}");
        }
        assert_eq!(role("key", None), Ok(()));
        for wrong in [
            "",
            "not-an-arn",
            "commander-write",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::12345678901:role/commander",
            "arn:aws:iam::123456789012:user/alice",
            "arn:aws:sts::123456789012:assumed-role/commander/session",
            "arn:aws:iam::123456789012:role/commander write",
            "arn:awsome:iam::123456789012:role/commander",
        ] {
            let told = role("[aws] write_role_arn", Some(wrong)).unwrap_err();
            assert!(told.starts_with("[aws] write_role_arn: ") && told.contains("such as"), "{told}");
        }
    }

    #[test]
    fn a_topic_has_a_region_an_account_and_a_name() {
        assert_eq!(topic("key", "arn:aws:sns:eu-central-1:123456789012:alarms"), Ok(()));
        assert_eq!(topic("key", "arn:aws-cn:sns:cn-north-1:123456789012:alarms.fifo"), Ok(()));
        for wrong in [
            "nonsense",
            "arn:aws:sns:eu-central-1:123456789012",
            "arn:aws:sns::123456789012:alarms",
            "arn:aws:sqs:eu-central-1:123456789012:alarms",
            // A subscription's.
            "arn:aws:sns:eu-central-1:123456789012:alarms:7c1b9bb0",
        ] {
            assert!(topic("key", wrong).is_err(), "{wrong}");
        }
    }
}
