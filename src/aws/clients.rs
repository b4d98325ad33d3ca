//! The SDK's clients, for reading and, apart from them, for an approved change.
//!
//! Rule: the TLS provider is chosen here, explicitly: without a client of our own the SDK, built
//! without its defaults, has none. The writing client is made for one change and never retries.

use std::error::Error;
use std::sync::{Arc, OnceLock};

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use super::accounts::Grounds;
use super::breakers::{self, Breakers};
use super::changes::Answered;
use super::configurations::Named;
use super::discover::Metric;
use super::errors::{ReadError, within};
use super::metrics::Points;
use super::pace::Limits;
use super::partition::Partition;
use super::settings::AwsSettings;
use super::sharing::Sharing;
use super::signed::Signed;
use crate::domain::evidence::{FunctionHistory, Gap};
use crate::roots::roots;

/// How the sessions of assumed roles are called.
const SESSION: &str = "incident-commander";

/// Whose credentials these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub account: String,
    pub arn: String,
}

/// Everything that reads in one Region with one role. Cheaply clonable; the pace of the limited calls is shared by all
/// clones, and with whoever else reads in the same account and Region.
#[derive(Debug, Clone)]
pub struct Clients {
    pub(super) cloudwatch: aws_sdk_cloudwatch::Client,
    pub(super) logs: aws_sdk_cloudwatchlogs::Client,
    pub(super) trail: Trail,
    /// Where IAM writes its records; the Region itself where that is the one.
    pub(super) global_trail: Trail,
    pub(super) lambda: aws_sdk_lambda::Client,
    pub(super) ecs: aws_sdk_ecs::Client,
    pub(super) ssm: aws_sdk_ssm::Client,
    pub(super) appconfig: aws_sdk_appconfig::Client,
    /// Confirms subscriptions, without credentials.
    pub(super) sns: aws_sdk_sns::Client,
    sts: aws_sdk_sts::Client,
    /// CodeDeploy, CloudFormation, X-Ray and tags.
    pub(super) signed: Arc<Signed>,
    pub(super) limits: Arc<Limits>,
    /// Who may take a query's results in.
    pub(super) results: Arc<Semaphore>,
    /// What investigations that run at the same time ask for once.
    pub(super) shared: Arc<SharedAnswers>,
    /// Services that do not answer, as far as investigations noticed.
    pub(super) breakers: Arc<Breakers>,
    caller: Arc<OnceCell<Caller>>,
    region: String,
    /// The process's own credentials, from which the writing role is assumed.
    base: SdkConfig,
    write_role_arn: Option<String>,
    external_id: Option<String>,
    service_tag: Option<String>,
    /// Services that are not read.
    without: Arc<[&'static str]>,
    read: SdkConfig,
}

/// CloudTrail in one Region, with the limits of that Region.
#[derive(Debug, Clone)]
pub(super) struct Trail {
    pub client: aws_sdk_cloudtrail::Client,
    pub limits: Arc<Limits>,
}

/// By what they are answers to.
#[derive(Debug, Default)]
pub(super) struct SharedAnswers {
    /// Names of the account's functions.
    pub functions: Sharing<Vec<String>>,
    /// Whether a name is a function's.
    pub known_functions: Sharing<bool>,
    /// ARNs of the account's clusters, and whether these are all.
    pub clusters: Sharing<(Vec<String>, bool)>,
    /// Metrics by dimension, and whether these are all.
    pub metrics: Sharing<(Vec<Metric>, bool)>,
    /// Names and ids of the account's AppConfig applications, and whether these are all.
    pub applications: Sharing<(Named, bool)>,
    pub lookups: Sharing<Answered>,
    /// Parameters of services that are called, and why these are not all; and their versions.
    pub parameters: Sharing<(Vec<Value>, Option<String>)>,
    pub versions: Sharing<Vec<Value>>,
    /// X-Ray's services.
    pub graphs: Sharing<Vec<Value>>,
    /// CodeDeploy's deployments.
    pub deployments: Sharing<Vec<Value>>,
    /// Of services that are called.
    pub histories: Sharing<(FunctionHistory, Vec<Gap>)>,
    /// Of services that are called, and of controls.
    pub series: Sharing<Points>,
}

/// HTTP as the SDK speaks it, made when the first call is: certificates are parsed then, and a start does not wait for it.
#[derive(Debug, Default)]
struct AtFirstCall(OnceLock<SharedHttpClient>);

impl HttpClient for AtFirstCall {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        parts: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let client = self.0.get_or_init(|| {
            let provider = tls::Provider::Rustls(CryptoMode::Ring);
            aws_smithy_http_client::Builder::new().tls_provider(provider).tls_context(trusted()).build_https()
        });
        client.http_connector(settings, parts)
    }
}

/// The machine's certificates; without any no address of AWS can be believed, and a double on plain HTTP still answers.
fn trusted() -> tls::TlsContext {
    let pem = roots().map(|roots| roots.pem.as_str()).unwrap_or_default();
    let mut store = tls::TrustStore::empty();
    if !pem.is_empty() {
        store.add_pem_certificate(pem);
    }
    tls::TlsContext::builder().with_trust_store(store).build().expect("a trust store is all that it takes")
}

/// What makes an approved change: one session, no retries.
#[derive(Debug, Clone)]
pub struct Writer {
    pub(super) lambda: aws_sdk_lambda::Client,
    pub(super) ecs: aws_sdk_ecs::Client,
    pub(super) ssm: aws_sdk_ssm::Client,
    pub(super) appconfig: aws_sdk_appconfig::Client,
}

impl Clients {
    /// Prepares the clients; nothing is called and no credentials are asked for yet.
    ///
    /// # Errors
    /// [`ReadError::Credentials`] where no Region is configured anywhere.
    pub async fn connect(settings: &AwsSettings) -> Result<Self, ReadError> {
        let base = Self::base(settings).await;
        Self::enter(&base, settings, &mut Grounds::default()).await
    }

    /// What the process itself has: its credentials, and how it reaches AWS.
    pub(super) async fn base(settings: &AwsSettings) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(settings.connect_timeout)
            .operation_attempt_timeout(settings.attempt_timeout)
            .operation_timeout(settings.operation_timeout)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(settings.max_attempts.max(1))
            .with_initial_backoff(settings.initial_backoff);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(AtFirstCall::default())
            .timeout_config(timeouts)
            .retry_config(retries);
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(url) = &settings.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(own) = &settings.credentials {
            loader = loader.credentials_provider(aws_sdk_sts::config::Credentials::new(
                &own.access_key_id,
                &own.secret_access_key,
                own.session_token.clone(),
                None,
                "configuration",
            ));
        }
        loader.load().await
    }

    /// The clients of one role and Region, by the process's own credentials.
    pub(super) async fn enter(
        base: &SdkConfig,
        settings: &AwsSettings,
        grounds: &mut Grounds,
    ) -> Result<Self, ReadError> {
        let base = match &settings.region {
            Some(region) => base.clone().into_builder().region(Region::new(region.clone())).build(),
            None => base.clone(),
        };
        let region = base.region().map(ToString::to_string).ok_or_else(|| ReadError::Credentials {
            message: "no AWS Region is configured (AWS_REGION, or `region` of the profile)".to_owned(),
        })?;
        let read = match &settings.read_role_arn {
            Some(role) => assume(&base, role, SESSION, settings.external_id.as_deref()).await,
            None => base.clone(),
        };
        // A subscription is confirmed by its token; SNS asks for no signature and so for no permission.
        let mut unsigned = base.clone().into_builder();
        unsigned.set_credentials_provider(None);
        let unsigned = unsigned.build();
        let limits = grounds.limits(settings.read_role_arn.as_deref(), &region);
        let trail = Trail { client: aws_sdk_cloudtrail::Client::new(&read), limits: limits.clone() };
        let global = Partition::of(&region).global_region;
        let global_trail = (global != region).then(|| {
            let there = read.clone().into_builder().region(Region::new(global)).build();
            let limits = grounds.limits(settings.read_role_arn.as_deref(), global);
            Trail { client: aws_sdk_cloudtrail::Client::new(&there), limits }
        });
        Ok(Self {
            cloudwatch: aws_sdk_cloudwatch::Client::new(&read),
            logs: aws_sdk_cloudwatchlogs::Client::new(&read),
            global_trail: global_trail.unwrap_or_else(|| trail.clone()),
            trail,
            lambda: aws_sdk_lambda::Client::new(&read),
            ecs: aws_sdk_ecs::Client::new(&read),
            ssm: aws_sdk_ssm::Client::new(&read),
            appconfig: aws_sdk_appconfig::Client::new(&read),
            sns: aws_sdk_sns::Client::from_conf(
                aws_sdk_sns::config::Builder::from(&unsigned).allow_no_auth().build(),
            ),
            sts: aws_sdk_sts::Client::new(&read),
            signed: Arc::new(Signed::new(&read, &region, settings.endpoint_url.as_deref(), limits.clone())),
            limits,
            results: grounds.results.clone(),
            shared: Arc::default(),
            breakers: Arc::default(),
            caller: Arc::new(OnceCell::new()),
            region,
            base,
            write_role_arn: settings.write_role_arn.clone(),
            external_id: settings.external_id.clone(),
            service_tag: settings.service_tag.clone(),
            without: settings.without.clone().into(),
            read,
        })
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    /// The key under which resources carry their service's name.
    pub(super) fn service_tag(&self) -> Option<&str> {
        self.service_tag.as_deref()
    }

    /// Makes a reading call in its turn below AWS's limits, and waits for it until the deadline.
    pub(super) fn within<'a, T, E>(
        &'a self,
        deadline: Instant,
        action: &'a str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, ReadError>>
    where
        T: Send + 'a,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let call = within(deadline, action, call);
        Box::pin(async move {
            // A service that does not answer takes no turns.
            breakers::admit(action)?;
            self.limits.turn(action, deadline).await?;
            call.await
        })
    }

    /// Whether a service is read, or an action of it used: `appconfig`, `appconfig:ListApplications`.
    pub fn reads(&self, service: &str) -> bool {
        !self.without.iter().any(|unused| service.split(':').next() == Some(unused))
    }

    /// Whether IAM writes its records elsewhere.
    pub fn is_beside_iam(&self) -> bool {
        Partition::of(&self.region).global_region != self.region
    }

    /// Whose credentials are in use, asked of AWS once.
    ///
    /// # Errors
    /// When STS cannot be asked.
    pub async fn caller(&self, deadline: Instant) -> Result<Caller, ReadError> {
        self.caller.get_or_try_init(|| who(&self.sts, deadline)).await.cloned()
    }

    /// Whose credentials an approved change is made with, asked of AWS at each call; `None` where it has no role of its
    /// own. Nothing is changed by it.
    ///
    /// # Errors
    /// Where the role cannot be assumed, or STS cannot be asked.
    pub async fn writing_caller(&self, deadline: Instant) -> Option<Result<Caller, ReadError>> {
        let role = self.write_role_arn.as_ref()?;
        let config = assume(&self.base, role, SESSION, self.external_id.as_deref()).await;
        Some(who(&aws_sdk_sts::Client::new(&config), deadline).await)
    }

    /// What an approved change is called in CloudTrail, where it has a role of its own.
    pub fn session(&self, wish: &str) -> Option<String> {
        self.write_role_arn.as_ref().map(|_| session_name(wish))
    }

    /// The client of one approved change. `session` shows in CloudTrail as the session's name where a
    /// role is assumed: letters, digits and `=,.@-_`; others become `-`.
    pub async fn writer(&self, session: &str) -> Writer {
        let once = RetryConfig::disabled();
        let config = match &self.write_role_arn {
            Some(role) => assume(&self.base, role, &session_name(session), self.external_id.as_deref()).await,
            None => self.read.clone(),
        };
        let config = config.into_builder().retry_config(once).build();
        Writer {
            lambda: aws_sdk_lambda::Client::new(&config),
            ecs: aws_sdk_ecs::Client::new(&config),
            ssm: aws_sdk_ssm::Client::new(&config),
            appconfig: aws_sdk_appconfig::Client::new(&config),
        }
    }
}

/// Whose credentials a client of STS has.
async fn who(sts: &aws_sdk_sts::Client, deadline: Instant) -> Result<Caller, ReadError> {
    const ACTION: &str = "sts:GetCallerIdentity";
    let answer = within(deadline, ACTION, sts.get_caller_identity().send()).await?;
    // The SDK takes half a document for a whole one that says less.
    let (Some(account), Some(arn)) = (answer.account(), answer.arn()) else {
        let message = "it names no account".to_owned();
        return Err(ReadError::Unreadable { action: ACTION.to_owned(), message });
    };
    Ok(Caller { account: account.to_owned(), arn: arn.to_owned() })
}

async fn assume(base: &SdkConfig, role: &str, session: &str, external_id: Option<&str>) -> SdkConfig {
    let mut builder = AssumeRoleProvider::builder(role).session_name(session).configure(base);
    if let Some(external_id) = external_id {
        builder = builder.external_id(external_id);
    }
    let provider = builder.build().await;
    base.clone()
        .into_builder()
        .credentials_provider(aws_sdk_sts::config::SharedCredentialsProvider::new(provider))
        .build()
}

/// STS takes 2 to 64 characters of a small alphabet.
fn session_name(wish: &str) -> String {
    let fit = |letter: char| {
        if letter.is_ascii_alphanumeric() || "=,.@-_".contains(letter) { letter } else { '-' }
    };
    let name: String = wish.chars().map(fit).take(64).collect();
    if name.len() < 2 { SESSION.to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_name_is_one_that_sts_takes() {
        assert_eq!(session_name("INC-7 by <U111>"), "INC-7-by--U111-");
        assert_eq!(session_name(""), SESSION);
        assert_eq!(session_name(&"x".repeat(200)).len(), 64);
    }
}
