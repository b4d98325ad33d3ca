//! Messages from Amazon SNS: verified before they are believed, subscriptions confirmed by the API.
//!
//! Rule: a certificate is fetched only from Amazon's own hosts, once, a few bytes long; a subscription
//! is confirmed with its token by the SDK, never by opening the address in the message.

mod envelope;
mod signature;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Uri;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use tokio::sync::Semaphore;

pub use self::envelope::{Envelope, Kind, Refused};
pub use self::signature::{certificate, verify};
use super::errors::within;
use super::{AwsSettings, Clients, ReadError};
use crate::roots;

/// Amazon's certificates have about 2 kB.
const CERTIFICATE_MAX: usize = 64 * 1024;
/// For a turn, and then for the fetch: SNS gives up after 15 s (docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html).
const FETCH_WITHIN: Duration = Duration::from_secs(5);
/// Called without credentials, so no policy names it.
const CONFIRM: &str = "ConfirmSubscription of SNS";
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
/// Amazon has one certificate in use at a time; a few are kept while it changes.
const CERTIFICATES_MAX: usize = 8;
/// Fetches at the same time: strangers who know a topic's name cannot make it more.
const FETCHES_AT_ONCE: usize = 2;

type Client = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// Takes in what SNS posts, for the topics on the list.
#[derive(Clone)]
pub struct Inbox {
    topics: Arc<[String]>,
    endpoint: Option<String>,
    http: Client,
    /// By address; the content of an address never changes.
    certificates: Arc<Mutex<BTreeMap<String, Arc<[u8]>>>>,
    fetches: Arc<Semaphore>,
    aws: Clients,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inbox").field("topics", &self.topics).finish_non_exhaustive()
    }
}

impl Inbox {
    /// # Errors
    /// Where the machine's root certificates cannot be read.
    pub fn new(settings: &AwsSettings, topics: &[String], aws: Clients) -> std::io::Result<Self> {
        let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(roots::tls()?);
        // Plain HTTP is reached only where `Envelope::check` let it pass: at a configured endpoint.
        let connector = if settings.endpoint_url.is_some() {
            builder.https_or_http().enable_http1().build()
        } else {
            builder.https_only().enable_http1().build()
        };
        Ok(Self {
            topics: topics.into(),
            endpoint: settings.endpoint_url.clone(),
            http: hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector),
            certificates: Arc::default(),
            fetches: Arc::new(Semaphore::new(FETCHES_AT_ONCE)),
            aws,
        })
    }

    /// Whether messages of a topic are taken in at all.
    pub fn is_listed(&self, topic: &str) -> bool {
        self.topics.iter().any(|listed| listed == topic)
    }

    /// The message, if Amazon signed it for a topic on the list.
    ///
    /// # Errors
    /// See [`Refused`]; of these only [`Refused::Certificate`] may pass when the same is sent again.
    pub async fn open(&self, body: &[u8], now: Timestamp) -> Result<Envelope, Refused> {
        let envelope = Envelope::read(body)?;
        envelope.check(&self.topics, self.endpoint.as_deref(), now)?;
        let certificate = self.certificate(&envelope.signing_cert_url).await?;
        signature::verify(&envelope, &certificate)?;
        Ok(envelope)
    }

    /// Answers a subscription's question with its token.
    ///
    /// # Errors
    /// What AWS answers instead of a subscription.
    pub async fn confirm(&self, envelope: &Envelope) -> Result<(), ReadError> {
        let Some(token) = &envelope.token else {
            return Err(ReadError::Unreadable {
                action: CONFIRM.to_owned(),
                message: "the confirmation carries no token".to_owned(),
            });
        };
        let region = aws_sdk_sns::config::Region::new(envelope.region().to_owned());
        let deadline = tokio::time::Instant::now() + CONFIRM_WITHIN;
        let call = self
            .aws
            .sns
            .confirm_subscription()
            .topic_arn(&envelope.topic_arn)
            .token(token)
            .customize()
            .config_override(aws_sdk_sns::config::Builder::new().region(region))
            .send();
        within(deadline, CONFIRM, call).await.map(drop)
    }

    async fn certificate(&self, address: &str) -> Result<Arc<[u8]>, Refused> {
        let known = || self.certificates.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned();
        if let Some(known) = known() {
            return Ok(known);
        }
        let turn = tokio::time::timeout(FETCH_WITHIN, self.fetches.acquire()).await;
        let _turn = turn
            .map_err(|_| Refused::Certificate("too many certificates are fetched at once".to_owned()))?
            .map_err(|error| Refused::Certificate(error.to_string()))?;
        // Somebody before us in the queue may have fetched it.
        if let Some(known) = known() {
            return Ok(known);
        }
        let fetched = tokio::time::timeout(FETCH_WITHIN, self.fetch(address))
            .await
            .map_err(|_| Refused::Certificate("no answer in time".to_owned()))??;
        let certificate: Arc<[u8]> = signature::certificate(&fetched)?.into();
        let mut certificates = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        if certificates.len() >= CERTIFICATES_MAX {
            certificates.pop_first();
        }
        certificates.insert(address.to_owned(), certificate.clone());
        Ok(certificate)
    }

    async fn fetch(&self, address: &str) -> Result<Bytes, Refused> {
        let uri: Uri = address.parse().map_err(|_| Refused::CertificateAddress)?;
        let failed = |error: &dyn std::fmt::Display| Refused::Certificate(error.to_string());
        let answer = self.http.get(uri).await.map_err(|error| failed(&error))?;
        if !answer.status().is_success() {
            return Err(Refused::Certificate(format!("HTTP {}", answer.status().as_u16())));
        }
        let body = Limited::new(answer.into_body(), CERTIFICATE_MAX);
        Ok(body.collect().await.map_err(|error| failed(&error))?.to_bytes())
    }
}
