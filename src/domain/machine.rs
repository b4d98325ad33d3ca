//! Which names in AWS are a machine's: a pipeline's role is nobody for the two-person rule.
//!
//! The rule that is not obvious: only whole words of a name count, and a session that names a person is that
//! person's, whatever its role is called.

/// Account and name of the role behind an ARN of a role or of one of its sessions.
fn role_of(arn: &str) -> Option<(&str, &str, &str)> {
    let mut parts = arn.splitn(6, ':').skip(4);
    let (account, rest) = (parts.next()?, parts.next()?);
    if let Some(session) = rest.strip_prefix("assumed-role/") {
        let (role, session) = session.split_once('/').unwrap_or((session, ""));
        return Some((account, role, session));
    }
    let path = rest.strip_prefix("role/")?;
    Some((account, path.rsplit('/').next().unwrap_or(path), ""))
}

/// Whether two ARNs, of roles or of their sessions, are of the same role.
pub fn is_same_role(one: &str, other: &str) -> bool {
    let of = |arn| role_of(arn).map(|(account, role, _)| (account, role));
    of(one).is_some() && of(one) == of(other)
}

/// Whether an identity is a machine's by its ARN alone: histories name no more.
pub fn is_one(arn: &str) -> bool {
    role_of(arn).is_some_and(|(_, role, session)| is_role_of_one(role, session, ""))
}

/// Whether a role, by its name and how a session of it is called, is a machine's. `invoked_by` is a service of AWS, or empty.
pub fn is_role_of_one(role: &str, session: &str, invoked_by: &str) -> bool {
    if session.contains('@') || role.starts_with("AWSReservedSSO_") {
        return false;
    }
    role.starts_with("AWSServiceRole") || invoked_by.ends_with(".amazonaws.com") || is_name_of_one(role)
}

/// Whether a name's words say that a machine goes by it.
pub fn is_name_of_one(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "ansible",
        "argo",
        "argocd",
        "atlantis",
        "automation",
        "bitbucket",
        "bot",
        "buildkite",
        "cd",
        "cdk",
        "cfn",
        "ci",
        "cicd",
        "circle",
        "circleci",
        "cloudformation",
        "codebuild",
        "codecommit",
        "codedeploy",
        "codepipeline",
        "deploy",
        "deployer",
        "deployment",
        "drone",
        "flux",
        "github",
        "gitlab",
        "harness",
        "jenkins",
        "octopus",
        "oidc",
        "pipeline",
        "pulumi",
        "release",
        "runner",
        "spacelift",
        "spinnaker",
        "teamcity",
        "terraform",
        "travis",
    ];
    words(name).iter().any(|word| WORDS.contains(&word.as_str()))
}

/// The words of a name in lower case: at anything that is no letter, and where a capital follows a
/// small letter (`GitHubActions` is `git`, `hub`, `actions`, and `github` as well).
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut whole = vec![String::new()];
    let mut small_before = false;
    for letter in name.chars() {
        if !letter.is_alphabetic() {
            words.push(String::new());
            whole.push(String::new());
            small_before = false;
            continue;
        }
        if letter.is_uppercase() && small_before {
            words.push(String::new());
        }
        small_before = letter.is_lowercase();
        for list in [&mut words, &mut whole] {
            if let Some(last) = list.last_mut() {
                last.extend(letter.to_lowercase());
            }
        }
    }
    // `GitHub` is one word to its readers, and so are the other two-part names.
    let pairs: Vec<String> = words
        .windows(2)
        .filter_map(|pair| match pair {
            [first, second] if !first.is_empty() && !second.is_empty() => Some(format!("{first}{second}")),
            _ => None,
        })
        .collect();
    words.into_iter().chain(whole).chain(pairs).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_of_its_role_whatever_its_path() {
        let role = "arn:aws:iam::123456789012:role/ci/shipper";
        assert!(is_same_role(role, "arn:aws:sts::123456789012:assumed-role/shipper/run-7"));
        assert!(!is_same_role(role, "arn:aws:sts::210987654321:assumed-role/shipper/run-7"));
        assert!(!is_same_role("arn:aws:iam::123456789012:user/a", "arn:aws:iam::123456789012:user/a"));
    }

    #[test]
    fn a_pipeline_is_a_machine_by_its_role_and_a_person_is_none() {
        assert!(is_one("arn:aws:sts::123456789012:assumed-role/github-actions-deploy/run-1"));
        assert!(!is_one("arn:aws:sts::123456789012:assumed-role/deploy-admin/ana@corp.example"));
        assert!(!is_one("arn:aws:iam::123456789012:user/deploy"));
    }
}
