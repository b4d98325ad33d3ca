//! Why AWS could not be read, in the few kinds that a caller tells apart.
//!
//! Rule: a reason names the missing permission, the limit or the resource; it never holds a secret or
//! a request id that nobody can use.

use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;

use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use tokio::time::Instant;

use super::{breakers, ledger};
use crate::domain::evidence::{Gap, GapKind};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error(
        "access denied: {action} is not allowed to these credentials; \
         {{\"Effect\": \"Allow\", \"Action\": \"{action}\", \"Resource\": \"*\"}} would allow it"
    )]
    AccessDenied { action: String },
    #[error("throttled: {action} was refused as too frequent, also when it was repeated")]
    Throttled { action: String },
    #[error("no answer in time from {action}")]
    TimedOut { action: String },
    /// Not asked at all.
    #[error(
        "{action} is not asked: {service} gave no answer in time, or an error of its own, {times} times in a row"
    )]
    Spared { action: String, service: String, times: u32 },
    #[error("not found: {message} ({action})")]
    NotFound { action: String, message: String },
    /// No credentials, expired ones, or ones that AWS does not know.
    #[error("the AWS credentials cannot be used: {message}")]
    Credentials { message: String },
    #[error("{action} cannot be reached: {message}")]
    Unreachable { action: String, message: String },
    #[error("the answer of {action} cannot be read: {message}")]
    Unreadable { action: String, message: String },
    /// AWS says that it is out of order itself.
    #[error("{action} failed inside AWS: {code}: {message}")]
    Failing { action: String, code: String, message: String },
    #[error("{action} was refused: {code}: {message}")]
    Refused { action: String, code: String, message: String },
}

impl ReadError {
    /// Tells what became of a call. `action` is its IAM action, `lambda:GetAlias`.
    pub fn of<E>(action: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let action = action.to_owned();
        match error {
            SdkError::TimeoutError(_) => Self::TimedOut { action },
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::TimedOut { action },
            SdkError::DispatchFailure(failure) => {
                let message = failure.as_connector_error().map(|error| chain(error)).unwrap_or_default();
                if failure.is_io() {
                    Self::Unreachable { action, message }
                } else {
                    of_message(action, message)
                }
            }
            SdkError::ResponseError(failed) => match failed.raw().status().as_u16() {
                status @ 500.. => without_code(action, status),
                _ => Self::Unreadable { action, message: chain(error) },
            },
            SdkError::ServiceError(refused) => {
                let code = refused.err().code().unwrap_or_default().to_owned();
                let message = refused.err().message().unwrap_or_default().to_owned();
                match refused.raw().status().as_u16() {
                    status if !code.is_empty() => of_code(action, status, code, message),
                    status @ 500.. => without_code(action, status),
                    _ => Self::Unreadable { action, message: chain(error) },
                }
            }
            _ => of_message(action, chain(error)),
        }
    }

    pub(super) fn timed_out(action: &str) -> Self {
        Self::TimedOut { action: action.to_owned() }
    }

    /// Whether the same call may be answered when it is made once more.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Throttled { .. }
            | Self::TimedOut { .. }
            | Self::Spared { .. }
            | Self::Unreachable { .. }
            | Self::Unreadable { .. }
            | Self::Failing { .. } => true,
            Self::AccessDenied { .. }
            | Self::NotFound { .. }
            | Self::Credentials { .. }
            | Self::Refused { .. } => false,
        }
    }

    pub fn kind(&self) -> GapKind {
        if self.may_pass() { GapKind::Passing } else { GapKind::Lasting }
    }

    /// What is missing with it: `what` says which part of the source.
    pub fn gap(&self, source: &str, what: impl Display) -> Gap {
        Gap::of(self.kind(), source, format!("{what}: {self}"))
    }
}

/// An error with its causes, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let part = error.to_string();
        if parts.last() != Some(&part) {
            parts.push(part);
        }
        next = error.source();
    }
    parts.join(": ")
}

/// A failure before anything was sent: in practice, credentials that cannot be had.
fn of_message(action: String, message: String) -> ReadError {
    if message.to_lowercase().contains("credential") {
        ReadError::Credentials { message }
    } else {
        ReadError::Unreachable { action, message }
    }
}

/// What an answer means that is an error of this HTTP status and code.
pub(super) fn of_code(action: String, status: u16, code: String, message: String) -> ReadError {
    match code.as_str() {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "AuthorizationError" => {
            // IAM names the action that it missed, which may be another than the one called.
            let named = message.split_once("perform: ").and_then(|(_, rest)| rest.split_whitespace().next());
            ReadError::AccessDenied { action: named.map_or(action, str::to_owned) }
        }
        "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "ThrottledException"
        | "RequestThrottled"
        | "LimitExceededException" => ReadError::Throttled { action },
        "ResourceNotFoundException"
        | "NotFoundException"
        | "NoSuchEntity"
        | "ParameterNotFound"
        | "ServiceNotFoundException"
        | "ClusterNotFoundException" => ReadError::NotFound { action, message },
        "ExpiredToken"
        | "ExpiredTokenException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "IncompleteSignature" => ReadError::Credentials { message: format!("{code}: {message}") },
        // Some services' protocols have one status for all errors.
        _ if status >= 500 || is_internal(&code) => ReadError::Failing { action, code, message },
        _ => ReadError::Refused { action, code, message },
    }
}

/// An answer of 500 and above that says no more: mostly of something in front of AWS, or of AWS's own front.
pub(super) fn without_code(action: String, status: u16) -> ReadError {
    ReadError::Failing { action, code: format!("HTTP {status}"), message: "without an error code".to_owned() }
}

fn is_internal(code: &str) -> bool {
    matches!(
        code,
        "ServiceException"
            | "InternalFailure"
            | "InternalError"
            | "InternalServerError"
            | "InternalServerException"
            | "InternalServiceFault"
            | "ServerException"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
    )
}

/// Waits for a call until the deadline, and no longer.
///
/// The SDK's calls are some kilobytes large each, and an investigation holds dozens: they wait on the heap.
pub(super) fn within<'a, T, E>(
    deadline: Instant,
    action: &'a str,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
) -> Pin<Box<dyn Future<Output = Result<T, ReadError>> + Send + 'a>>
where
    T: Send + 'a,
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    Box::pin(async move {
        breakers::admit(action)?;
        ledger::note_call(action);
        let asked_at = Instant::now();
        let outcome = match tokio::time::timeout_at(deadline, call).await {
            Err(_) => Err(ReadError::timed_out(action)),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::debug!(action, error = %DisplayErrorContext(&error), "an AWS call failed");
                Err(ReadError::of(action, &error))
            }
        };
        breakers::note(action, asked_at, outcome.as_ref().err());
        if let Err(error) = &outcome {
            ledger::note_failure(action, error);
        }
        outcome
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_stays() {
        let action = || "logs:StartQuery".to_owned();
        let message = || "m".to_owned();
        for (error, passes) in [
            (ReadError::AccessDenied { action: action() }, false),
            (ReadError::NotFound { action: action(), message: message() }, false),
            (ReadError::Credentials { message: message() }, false),
            (ReadError::Throttled { action: action() }, true),
            (ReadError::timed_out("logs:StartQuery"), true),
            (ReadError::Unreachable { action: action(), message: message() }, true),
            (ReadError::Unreadable { action: action(), message: message() }, true),
            (of_code(action(), 500, "Surprise".to_owned(), message()), true),
            (of_code(action(), 400, "InternalFailure".to_owned(), message()), true),
            (of_code(action(), 503, "SlowDown".to_owned(), message()), true),
            (of_code(action(), 400, "ValidationException".to_owned(), message()), false),
            // Whatever the resource is called.
            (ReadError::NotFound { action: action(), message: "throttled-orders".to_owned() }, false),
        ] {
            let gap = error.gap("logs", "the lines");
            assert_eq!(gap.may_pass(), passes, "{error}");
            let stored: Gap = serde_json::from_value(serde_json::to_value(&gap).unwrap()).unwrap();
            assert_eq!(stored, gap);
        }
        let earlier: Gap = serde_json::from_str(r#"{"source": "logs", "reason": "throttled"}"#).unwrap();
        assert_eq!(earlier, Gap::new("logs", "throttled"), "what earlier versions stored is read");
    }

    #[test]
    fn a_denial_names_the_action_that_iam_names() {
        let message =
            "User: arn:aws:iam::1:user/x is not authorized to perform: lambda:ListTags on resource: y";
        let error = of_code(
            "lambda:ListFunctions".to_owned(),
            403,
            "AccessDeniedException".to_owned(),
            message.to_owned(),
        );
        let told = error.to_string();
        assert!(told.starts_with("access denied: lambda:ListTags is not allowed"), "{told}");
        assert!(
            told.contains(r#"{"Effect": "Allow", "Action": "lambda:ListTags", "Resource": "*"}"#),
            "{told}"
        );
        let error =
            of_code("logs:StartQuery".to_owned(), 400, "AccessDeniedException".to_owned(), String::new());
        assert_eq!(error, ReadError::AccessDenied { action: "logs:StartQuery".to_owned() });
    }
}
