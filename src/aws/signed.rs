//! Calls of services whose part of the SDK is not linked in: CodeDeploy, CloudFormation, X-Ray and tags, six reads in all.
//!
//! Rule: their crates would add minutes to every build for six calls. So these are plain HTTP, signed by the SDK's
//! own signer with its own credentials; each is sent once and bounded in time and size. Nothing that changes
//! anything is sent this way.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_sts::config::{Credentials, ProvideCredentials};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use axum::body::Bytes;
use axum::http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::breakers;
use super::errors::{ReadError, of_code, without_code};
use super::ledger;
use super::pace::Limits;
use super::partition::Partition;
use crate::roots;

/// Credentials that expire sooner than this are renewed first: a call is sent within seconds.
const RENEWED_BEFORE: Duration = Duration::from_secs(120);
/// A page of stack events has some hundred kilobytes.
const ANSWER_MAX: usize = 8 * 1024 * 1024;

type Client = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Signs and sends.
#[derive(Debug)]
pub(super) struct Signed {
    config: SdkConfig,
    region: String,
    endpoint: Option<String>,
    limits: Arc<Limits>,
    http: OnceLock<Client>,
    /// The SDK's clients keep theirs, and a role that is assumed anew for each call would be a call of its own.
    credentials: Mutex<Option<Credentials>>,
}

/// What a call is, in its service's protocol.
pub(super) struct Asked {
    /// `codedeploy`, in host names and signatures.
    pub service: &'static str,
    /// Its IAM action.
    pub action: &'static str,
    pub protocol: Protocol,
    pub body: String,
}

/// How a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// awsJson 1.1, with the operation's name in `X-Amz-Target`.
    AwsJson(&'static str),
    /// A form, answered in XML.
    Query,
    /// restJson, with the operation's path.
    RestJson(&'static str),
}

impl Protocol {
    fn content_type(self) -> &'static str {
        match self {
            Self::AwsJson(_) => "application/x-amz-json-1.1",
            Self::Query => "application/x-www-form-urlencoded",
            Self::RestJson(_) => "application/json",
        }
    }

    fn target(self) -> Option<&'static str> {
        if let Self::AwsJson(target) = self { Some(target) } else { None }
    }

    fn path(self) -> &'static str {
        if let Self::RestJson(path) = self { path } else { "/" }
    }
}

impl Signed {
    pub fn new(config: &SdkConfig, region: &str, endpoint: Option<&str>, limits: Arc<Limits>) -> Self {
        let endpoint = endpoint.map(|url| url.trim_end_matches('/').to_owned());
        Self {
            config: config.clone(),
            region: region.to_owned(),
            endpoint,
            limits,
            http: OnceLock::new(),
            credentials: Mutex::default(),
        }
    }

    /// Credentials that hold for longer than a call takes.
    async fn credentials(&self) -> Result<Credentials, ReadError> {
        let unusable = |message: String| ReadError::Credentials { message };
        let mut kept = self.credentials.lock().await;
        let soon = SystemTime::now() + RENEWED_BEFORE;
        if let Some(known) = kept.as_ref().filter(|known| known.expiry().is_none_or(|expiry| expiry > soon)) {
            return Ok(known.clone());
        }
        let provider = self
            .config
            .credentials_provider()
            .ok_or_else(|| unusable("there are no AWS credentials".to_owned()))?;
        let fresh = provider.provide_credentials().await;
        let fresh = fresh.map_err(|error| unusable(format!("no credentials: {error}")))?;
        Ok(kept.insert(fresh).clone())
    }

    /// An answer in JSON.
    pub async fn json(&self, asked: &Asked, deadline: Instant) -> Result<Value, ReadError> {
        let body = self.send(asked, deadline).await?;
        serde_json::from_slice(&body).map_err(|error| unreadable(asked, format!("it is not JSON: {error}")))
    }

    /// An answer in XML (the query protocol).
    pub async fn xml(&self, asked: &Asked, deadline: Instant) -> Result<String, ReadError> {
        let body = self.send(asked, deadline).await?;
        String::from_utf8(body.to_vec()).map_err(|_| unreadable(asked, "it is not text".to_owned()))
    }

    async fn send(&self, asked: &Asked, deadline: Instant) -> Result<Bytes, ReadError> {
        breakers::admit(asked.action)?;
        self.limits.turn(asked.action, deadline).await?;
        ledger::note_call(asked.action);
        let asked_at = Instant::now();
        let sent = tokio::time::timeout_at(deadline, Box::pin(self.exchange(asked))).await;
        let outcome = sent.unwrap_or_else(|_| Err(ReadError::timed_out(asked.action)));
        breakers::note(asked.action, asked_at, outcome.as_ref().err());
        if let Err(error) = &outcome {
            ledger::note_failure(asked.action, error);
        }
        outcome
    }

    async fn exchange(&self, asked: &Asked) -> Result<Bytes, ReadError> {
        let request = self.signed(asked).await?;
        let answer = self.http()?.request(request).await.map_err(|error| unreachable(asked, &error))?;
        let status = answer.status();
        let kind = answer.headers().get("x-amzn-errortype").and_then(|kind| kind.to_str().ok());
        let kind = kind.map(|kind| kind.split(':').next().unwrap_or(kind).to_owned());
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(|error| unreadable(asked, error.to_string()))?.to_bytes();
        if status.is_success() { Ok(body) } else { Err(refusal(asked, status.as_u16(), kind, &body)) }
    }

    fn http(&self) -> Result<&Client, ReadError> {
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        // A configured endpoint may be plain; the machine's certificates are then not needed.
        let plain = self.endpoint.as_deref().is_some_and(|url| url.starts_with("http://"));
        let connector = if plain {
            let none = rustls::ClientConfig::builder()
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            HttpsConnectorBuilder::new().with_tls_config(none).https_or_http().enable_http1().build()
        } else {
            let tls = roots::tls().map_err(|error| {
                let message = format!("the machine's root certificates: {error}");
                ReadError::Unreachable { action: "AWS".to_owned(), message }
            })?;
            HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build()
        };
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(self.http.get_or_init(|| client))
    }

    async fn signed(&self, asked: &Asked) -> Result<Request<Full<Bytes>>, ReadError> {
        let identity = self.credentials().await?.into();
        let url = self.endpoint.as_ref().map_or_else(
            || format!("https://{}.{}.{}", asked.service, self.region, Partition::of(&self.region).suffix),
            Clone::clone,
        );
        let url = format!("{url}{}", asked.protocol.path());
        let (kind, target) = (asked.protocol.content_type(), asked.protocol.target());
        let mut headers = vec![("content-type", kind)];
        headers.extend(target.map(|target| ("x-amz-target", target)));
        let invalid =
            |error: &dyn std::fmt::Display| unreadable(asked, format!("it cannot be signed: {error}"));
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(asked.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| invalid(&error))?
            .into();
        let body = SignableBody::Bytes(asked.body.as_bytes());
        let signable = SignableRequest::new("POST", url.as_str(), headers.iter().copied(), body)
            .map_err(|error| invalid(&error))?;
        let (signature, _) = sign(signable, &parameters).map_err(|error| invalid(&error))?.into_parts();
        let mut request = Request::post(&url)
            .body(Full::new(Bytes::from(asked.body.clone())))
            .map_err(|error| invalid(&error))?;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Some(target) = target {
            request.headers_mut().insert("x-amz-target", HeaderValue::from_static(target));
        }
        signature.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

fn unreadable(asked: &Asked, message: String) -> ReadError {
    ReadError::Unreadable { action: asked.action.to_owned(), message }
}

fn unreachable(asked: &Asked, error: &hyper_util::client::legacy::Error) -> ReadError {
    let mut message = error.to_string();
    if let Some(cause) = std::error::Error::source(error) {
        message = format!("{message}: {cause}");
    }
    ReadError::Unreachable { action: asked.action.to_owned(), message }
}

/// What an answer that is no success says: `__type` and `message` in JSON, `Code` and `Message` in XML; restJson says what
/// `kind` of error it is in a header.
fn refusal(asked: &Asked, status: u16, kind: Option<String>, body: &[u8]) -> ReadError {
    let text = String::from_utf8_lossy(body);
    let (code, message) = match serde_json::from_str::<Value>(&text) {
        Ok(value) => {
            let field = |names: [&str; 2]| {
                names.iter().find_map(|name| value[*name].as_str()).unwrap_or_default().to_owned()
            };
            (field(["__type", "code"]), field(["message", "Message"]))
        }
        Err(_) => (element(&text, "Code"), element(&text, "Message")),
    };
    let code = kind.unwrap_or(code).rsplit('#').next().unwrap_or_default().to_owned();
    match status {
        _ if !code.is_empty() => of_code(asked.action.to_owned(), status, code, message),
        500.. => without_code(asked.action.to_owned(), status),
        _ => unreadable(asked, format!("HTTP {status} without an error code")),
    }
}

/// The text of the first element of a name.
fn element(xml: &str, name: &str) -> String {
    let Ok(document) = roxmltree::Document::parse(xml) else { return String::new() };
    let found = document.descendants().find(|node| node.tag_name().name() == name);
    found.and_then(|node| node.text()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked = Asked {
        service: "cloudformation",
        action: "cloudformation:DescribeStackEvents",
        protocol: Protocol::Query,
        body: String::new(),
    };

    #[test]
    fn a_refusal_is_told_in_either_protocol() {
        let xml = b"<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>AccessDenied</Code>\
            <Message>User: a is not authorized to perform: cloudformation:DescribeStackEvents on x</Message></Error></ErrorResponse>";
        let json =
            br#"{"__type": "com.amazonaws.codedeploy#ThrottlingException", "message": "Rate exceeded"}"#;
        let action = || "cloudformation:DescribeStackEvents".to_owned();
        assert_eq!(refusal(&ASKED, 403, None, xml), ReadError::AccessDenied { action: action() });
        assert_eq!(refusal(&ASKED, 400, None, json), ReadError::Throttled { action: action() });
        let kind = Some("ThrottledException".to_owned());
        assert_eq!(
            refusal(&ASKED, 429, kind, br#"{"Message": "m"}"#),
            ReadError::Throttled { action: action() }
        );
        assert!(matches!(refusal(&ASKED, 502, None, b"<html>"), ReadError::Failing { .. }));
        assert!(matches!(refusal(&ASKED, 404, None, b"<html>"), ReadError::Unreadable { .. }));
    }
}
