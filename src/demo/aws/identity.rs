//! Who calls: access keys, the identities behind them, what they may do, and STS.
//!
//! Rule: signatures are not verified (the double has no secrets to keep), but an access key that
//! nobody issued is refused as AWS refuses it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::faults;
use super::wire::{Answer, ApiError, xml_text};
use super::world::{Call, State};

/// Somebody who acts in the account: a user, or a session of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub arn: String,
    pub account: String,
    /// Set for a session of a role.
    pub role: Option<String>,
    /// The user's name or the session's.
    pub name: String,
    pub user_agent: String,
    /// IAM actions that are allowed, `lambda:Get*` and `*` included.
    pub allowed: Vec<String>,
}

impl Identity {
    /// An IAM user who may do everything.
    pub fn user(account: &str, name: &str) -> Self {
        Self {
            arn: format!("arn:aws:iam::{account}:user/{name}"),
            account: account.to_owned(),
            role: None,
            name: name.to_owned(),
            user_agent: "aws-cli/2.17.9 md/awscrt#0.20.11".to_owned(),
            allowed: vec!["*".to_owned()],
        }
    }

    /// A session of a role, which may do everything: a person through SSO, or a pipeline.
    pub fn session(account: &str, role: &str, session: &str) -> Self {
        Self {
            arn: format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
            account: account.to_owned(),
            role: Some(role.to_owned()),
            name: session.to_owned(),
            user_agent: "Boto3/1.34.131 md/Botocore#1.34.131 ua/2.0".to_owned(),
            allowed: vec!["*".to_owned()],
        }
    }

    /// The same identity with only these IAM actions.
    #[must_use]
    pub fn allowing(mut self, actions: &[&str]) -> Self {
        self.allowed = actions.iter().map(|action| (*action).to_owned()).collect();
        self
    }

    /// # Errors
    /// `AccessDeniedException` that names the action, as IAM words it.
    pub fn authorise(&self, operation: &str) -> Result<(), ApiError> {
        // AWS answers GetCallerIdentity whatever the policies say.
        if operation == "sts:GetCallerIdentity"
            || self.allowed.iter().any(|pattern| faults::matches(pattern, operation))
        {
            return Ok(());
        }
        let code = match operation.split(':').next() {
            Some("cloudwatch" | "sts" | "cloudformation") => "AccessDenied",
            _ => "AccessDeniedException",
        };
        Err(ApiError::new(
            if code == "AccessDenied" { 403 } else { 400 },
            code,
            format!(
                "User: {} is not authorized to perform: {operation} because no identity-based policy allows the {operation} action",
                self.arn
            ),
        ))
    }

    /// CloudTrail's `userIdentity`.
    pub fn record(&self, access_key: &str, at: Timestamp) -> Value {
        let account = &self.account;
        match &self.role {
            None => json!({
                "type": "IAMUser",
                "principalId": format!("AIDA{}", stable_id(&self.arn, 17)),
                "arn": self.arn,
                "accountId": account,
                "accessKeyId": access_key,
                "userName": self.name,
            }),
            Some(role) => {
                let principal = format!("AROA{}", stable_id(role, 17));
                json!({
                    "type": "AssumedRole",
                    "principalId": format!("{principal}:{}", self.name),
                    "arn": self.arn,
                    "accountId": account,
                    "accessKeyId": access_key,
                    "sessionContext": {
                        "sessionIssuer": {
                            "type": "Role",
                            "principalId": principal,
                            "arn": format!("arn:aws:iam::{account}:role/{role}"),
                            "accountId": account,
                            "userName": role,
                        },
                        "attributes": {
                            "creationDate": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                            "mfaAuthenticated": "false",
                        },
                    },
                })
            }
        }
    }

    /// An access key's id that is always the same for this identity.
    pub fn access_key(&self) -> String {
        let prefix = if self.role.is_some() { "ASIA" } else { "AKIA" };
        format!("{prefix}{}", stable_id(&self.arn, 16))
    }
}

/// Upper-case letters and digits that depend on nothing but the text.
fn stable_id(text: &str, length: usize) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(text.as_bytes());
    digest
        .iter()
        .map(|byte| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(byte % 32)]))
        .take(length)
        .collect()
}

/// Keys and roles of the account.
#[derive(Debug, Default)]
pub struct Identities {
    by_key: BTreeMap<String, Identity>,
    /// What each role allows, by its name.
    roles: BTreeMap<String, Vec<String>>,
}

impl Identities {
    pub fn issue(&mut self, identity: Identity) -> String {
        let key = identity.access_key();
        self.by_key.insert(key.clone(), identity);
        key
    }

    pub fn add_role(&mut self, name: &str, allowed: &[&str]) {
        self.roles.insert(name.to_owned(), allowed.iter().map(|action| (*action).to_owned()).collect());
    }

    /// # Errors
    /// As AWS answers a key that it does not know.
    pub fn by_key(&self, key: &str) -> Result<Identity, ApiError> {
        self.by_key.get(key).cloned().ok_or_else(|| {
            ApiError::new(
                403,
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            )
        })
    }
}

pub fn get_caller_identity(call: &Call) -> Answer {
    Answer::Xml(format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        xml_text(&call.identity.arn),
        xml_text(&call.identity.name),
        xml_text(&call.identity.account),
        call.request_id
    ))
}

/// # Errors
/// `AccessDenied` for a role that does not exist, as AWS answers it.
pub fn assume_role(state: &mut State, call: &Call) -> Result<Answer, ApiError> {
    let role_arn = call.text("RoleArn").unwrap_or_default();
    let session = call
        .text("RoleSessionName")
        .ok_or_else(|| ApiError::new(400, "ValidationError", "RoleSessionName is required"))?;
    let role = role_arn.rsplit('/').next().unwrap_or_default();
    let allowed = state.identities.roles.get(role).cloned().ok_or_else(|| {
        ApiError::new(
            403,
            "AccessDenied",
            format!(
                "User: {} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
                call.identity.arn
            ),
        )
    })?;
    let account = role_arn.split(':').nth(4).unwrap_or(&call.identity.account);
    let identity = Identity { allowed, ..Identity::session(account, role, session) };
    let arn = identity.arn.clone();
    let key = state.identities.issue(identity);
    // Expiry is real time: the SDK's credential cache compares it with the machine's clock.
    let expires = Timestamp::now() + std::time::Duration::from_hours(1);
    Ok(Answer::Xml(format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret-of-{key}</SecretAccessKey>\
         <SessionToken>token-of-{key}</SessionToken><Expiration>{}</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>{key}:{session}</AssumedRoleId><Arn>{arn}</Arn></AssumedRoleUser>\
         </AssumeRoleResult><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></AssumeRoleResponse>",
        expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        call.request_id,
        session = xml_text(session),
        arn = xml_text(&arn),
    )))
}
