//! What Amazon SNS posts to an HTTP endpoint, and what must hold of it before its signature is looked at.
//!
//! Rule: nothing in an envelope is believed before it was verified; the checks here cost no call, so
//! that a stranger cannot make the bot fetch anything.
//!
//! Sources: 'Parsing Amazon SNS message formats' and 'Verifying the signatures of Amazon SNS messages'
//! in the Amazon SNS Developer Guide.

use axum::http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// SNS gives up on an HTTP endpoint within an hour; what is older was recorded and is sent by somebody else.
const OLDEST: SignedDuration = SignedDuration::from_hours(1);
/// How far a sender's clock may be ahead.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// One message as SNS posts it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Envelope {
    #[serde(rename = "Type")]
    pub kind: Kind,
    pub message_id: String,
    pub topic_arn: String,
    pub message: String,
    pub timestamp: String,
    pub signature_version: String,
    pub signature: String,
    #[serde(rename = "SigningCertURL", alias = "SigningCertUrl")]
    pub signing_cert_url: String,
    pub subject: Option<String>,
    /// What confirms a subscription.
    pub token: Option<String>,
    #[serde(rename = "SubscribeURL", alias = "SubscribeUrl")]
    pub subscribe_url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Kind {
    Notification,
    SubscriptionConfirmation,
    UnsubscribeConfirmation,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Notification => "Notification",
            Self::SubscriptionConfirmation => "SubscriptionConfirmation",
            Self::UnsubscribeConfirmation => "UnsubscribeConfirmation",
        }
    }
}

/// Why a message is not taken for one of Amazon's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the body is no SNS message: {0}")]
    Unreadable(String),
    #[error("the topic is not on the list")]
    Topic,
    #[error("the message's time is missing, more than an hour ago or ahead of now")]
    Time,
    #[error("the certificate's address is not one of Amazon SNS")]
    CertificateAddress,
    #[error("the signature version {0:?} is not known")]
    Version(String),
    #[error("the signature does not belong to this message")]
    Signature,
    /// Not the sender's fault: SNS sends again.
    #[error("the certificate could not be fetched: {0}")]
    Certificate(String),
}

impl Envelope {
    /// Reads a body; its Content-Type is `text/plain`, whatever is in it.
    ///
    /// # Errors
    /// [`Refused::Unreadable`] with the parser's reason.
    pub fn read(body: &[u8]) -> Result<Self, Refused> {
        // Where it cannot be read, and not what stands there: a stranger's words are in no log.
        let place = |error: serde_json::Error| {
            format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column())
        };
        serde_json::from_slice(body).map_err(|error| Refused::Unreadable(place(error)))
    }

    /// Everything that can be checked without a call: topic, time, version, the certificate's address.
    ///
    /// `endpoint` is the AWS endpoint where one was configured in place of Amazon's own; it may hold
    /// the certificate too.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(&self, topics: &[String], endpoint: Option<&str>, now: Timestamp) -> Result<(), Refused> {
        if !topics.contains(&self.topic_arn) {
            return Err(Refused::Topic);
        }
        let at: Timestamp = self.timestamp.parse().map_err(|_| Refused::Time)?;
        let age = now.duration_since(at);
        if age > OLDEST || age < -AHEAD {
            return Err(Refused::Time);
        }
        if !["1", "2"].contains(&self.signature_version.as_str()) {
            return Err(Refused::Version(self.signature_version.chars().take(8).collect()));
        }
        if is_amazons(&self.signing_cert_url)
            || endpoint.is_some_and(|own| is_at(own, &self.signing_cert_url))
        {
            Ok(())
        } else {
            Err(Refused::CertificateAddress)
        }
    }

    /// The bytes that were signed: names and values of the kind's own fields, in byte order of the names.
    pub fn signed_text(&self) -> String {
        let mut text = String::new();
        let mut field = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                text.push_str(name);
                text.push('\n');
                text.push_str(value);
                text.push('\n');
            }
        };
        let confirms = self.kind != Kind::Notification;
        field("Message", Some(&self.message));
        field("MessageId", Some(&self.message_id));
        if confirms {
            field("SubscribeURL", self.subscribe_url.as_deref());
        } else {
            field("Subject", self.subject.as_deref());
        }
        field("Timestamp", Some(&self.timestamp));
        if confirms {
            field("Token", self.token.as_deref());
        }
        field("TopicArn", Some(&self.topic_arn));
        field("Type", Some(self.kind.as_str()));
        text
    }

    /// The topic's Region; empty where the ARN has none.
    pub fn region(&self) -> &str {
        self.topic_arn.split(':').nth(3).unwrap_or_default()
    }
}

fn is_pem(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, ending)| ending == "pem")
}

/// `https://sns.<region>.amazonaws.com/….pem`, or the same in China: no port, no user, no query.
fn is_amazons(address: &str) -> bool {
    let Ok(uri) = address.parse::<Uri>() else { return false };
    let (Some("https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
    let host = authority.as_str();
    let host = host.strip_suffix(".cn").unwrap_or(host);
    let region = host.strip_prefix("sns.").and_then(|rest| rest.strip_suffix(".amazonaws.com"));
    let is_region = |region: &str| {
        !region.is_empty()
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    region.is_some_and(is_region) && is_pem(uri.path()) && uri.query().is_none()
}

/// Whether an address lies at the endpoint that was configured in place of Amazon's.
fn is_at(endpoint: &str, address: &str) -> bool {
    let (Ok(endpoint), Ok(address)) = (endpoint.parse::<Uri>(), address.parse::<Uri>()) else { return false };
    endpoint.authority().is_some()
        && endpoint.scheme() == address.scheme()
        && endpoint.authority() == address.authority()
        && is_pem(address.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        Envelope {
            kind: Kind::Notification,
            message_id: "m-1".into(),
            topic_arn: "arn:aws:sns:eu-west-1:123456789012:alarms".into(),
            message: "{}".into(),
            timestamp: "2026-02-06T12:15:00.000Z".into(),
            signature_version: "2".into(),
            signature: String::new(),
            signing_cert_url: "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem".into(),
            subject: None,
            token: None,
            subscribe_url: None,
        }
    }

    fn check(envelope: &Envelope, now: &str) -> Result<(), Refused> {
        let topics = ["arn:aws:sns:eu-west-1:123456789012:alarms".to_owned()];
        envelope.check(&topics, Some("http://127.0.0.1:4566"), now.parse().unwrap())
    }

    #[test]
    fn certificates_come_from_amazon_only() {
        for good in [
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
            "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-1.pem",
            "https://sns.us-gov-west-1.amazonaws.com/a.pem",
        ] {
            assert!(is_amazons(good), "{good}");
        }
        for bad in [
            "http://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com.evil.example/a.pem",
            "https://evil.example/sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com@evil.example/a.pem",
            "https://sns.us-east-1.amazonaws.com:8443/a.pem",
            "https://sns.a.b.amazonaws.com/a.pem",
            "https://sns..amazonaws.com/a.pem",
            "https://s3.us-east-1.amazonaws.com/bucket/a.pem",
            "https://sns.us-east-1.amazonaws.com/a.pem?x=/b",
            "https://sns.us-east-1.amazonaws.com/a.txt",
            "https://169.254.169.254/a.pem",
            "file:///etc/a.pem",
            "",
        ] {
            assert!(!is_amazons(bad), "{bad}");
        }
    }

    #[test]
    fn a_configured_endpoint_may_hold_the_certificate_and_nobody_near_it() {
        let mut message = envelope();
        message.signing_cert_url = "http://127.0.0.1:4566/sns.pem".into();
        assert_eq!(check(&message, "2026-02-06T12:15:10Z"), Ok(()));
        message.signing_cert_url = "http://127.0.0.1:4567/sns.pem".into();
        assert_eq!(check(&message, "2026-02-06T12:15:10Z"), Err(Refused::CertificateAddress));
    }

    #[test]
    fn old_and_future_messages_are_refused() {
        assert_eq!(check(&envelope(), "2026-02-06T12:15:10Z"), Ok(()));
        assert_eq!(check(&envelope(), "2026-02-06T13:15:01Z"), Err(Refused::Time));
        assert_eq!(check(&envelope(), "2026-02-06T12:09:00Z"), Err(Refused::Time));
        let timeless = Envelope { timestamp: "yesterday".into(), ..envelope() };
        assert_eq!(check(&timeless, "2026-02-06T12:15:10Z"), Err(Refused::Time));
    }

    #[test]
    fn a_topic_that_nobody_listed_is_refused() {
        let other = Envelope { topic_arn: "arn:aws:sns:eu-west-1:999999999999:alarms".into(), ..envelope() };
        assert_eq!(check(&other, "2026-02-06T12:15:10Z"), Err(Refused::Topic));
    }

    #[test]
    fn the_signed_text_has_the_fields_of_its_kind_in_their_order() {
        let message = Envelope { subject: Some("ALARM".into()), ..envelope() };
        assert_eq!(
            message.signed_text(),
            "Message\n{}\nMessageId\nm-1\nSubject\nALARM\nTimestamp\n2026-02-06T12:15:00.000Z\n\
             TopicArn\narn:aws:sns:eu-west-1:123456789012:alarms\nType\nNotification\n"
        );
        let confirmation = Envelope {
            kind: Kind::SubscriptionConfirmation,
            token: Some("t".into()),
            subscribe_url: Some("https://x".into()),
            ..message
        };
        assert!(confirmation.signed_text().contains("SubscribeURL\nhttps://x\nTimestamp\n"));
        assert!(!confirmation.signed_text().contains("Subject"));
    }
}
