//! How an answer or an error looks on the wire, in each of the four protocols that the services speak.
//!
//! Rule: a CBOR number is a double wherever AWS's model says so, and a time is a tagged double: the
//! SDK refuses anything else.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use ciborium::Value as Cbor;
use jiff::Timestamp;
use serde_json::{Value, json};

/// What a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// CloudWatch Logs, CloudTrail, ECS, SSM and CodeDeploy.
    AwsJson,
    /// CloudWatch.
    Cbor,
    /// Lambda and AppConfig.
    RestJson,
    /// STS and CloudFormation.
    Query,
}

/// A refusal with the code that AWS uses for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl ApiError {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }
}

/// The body of a successful answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Json(StatusCode, Value),
    Cbor(Cbor),
    Xml(String),
    /// Content as it is, with what is told about it in headers.
    Blob {
        content: Vec<u8>,
        headers: Vec<(&'static str, String)>,
    },
}

impl Answer {
    pub fn ok(value: Value) -> Self {
        Self::Json(StatusCode::OK, value)
    }
}

/// One encoded answer, before faults are worked into it.
#[derive(Debug, Clone)]
pub struct Encoded {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Encoded {
    pub fn into_response(self, request_id: &str) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert("x-amzn-requestid", id);
        }
        response
    }
}

pub fn encode(protocol: Protocol, outcome: Result<Answer, ApiError>, request_id: &str) -> Encoded {
    match outcome {
        Ok(Answer::Json(status, value)) => Encoded {
            status,
            content_type: json_type(protocol),
            headers: Vec::new(),
            body: if value.is_null() { Vec::new() } else { value.to_string().into_bytes() },
        },
        Ok(Answer::Cbor(value)) => Encoded {
            status: StatusCode::OK,
            content_type: "application/cbor",
            headers: vec![("smithy-protocol", "rpc-v2-cbor".to_owned())],
            body: cbor_bytes(&value),
        },
        Ok(Answer::Xml(text)) => Encoded {
            status: StatusCode::OK,
            content_type: "text/xml",
            headers: Vec::new(),
            body: text.into_bytes(),
        },
        Ok(Answer::Blob { content, headers }) => Encoded {
            status: StatusCode::OK,
            content_type: "application/octet-stream",
            headers,
            body: content,
        },
        Err(error) => encode_error(protocol, &error, request_id),
    }
}

fn json_type(protocol: Protocol) -> &'static str {
    if protocol == Protocol::RestJson { "application/json" } else { "application/x-amz-json-1.1" }
}

fn encode_error(protocol: Protocol, error: &ApiError, request_id: &str) -> Encoded {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fault = if error.status < 500 { "Sender" } else { "Receiver" };
    match protocol {
        Protocol::AwsJson => Encoded {
            status,
            content_type: json_type(protocol),
            headers: Vec::new(),
            body: json!({"__type": error.code, "message": error.message}).to_string().into_bytes(),
        },
        Protocol::RestJson => Encoded {
            status,
            content_type: json_type(protocol),
            headers: vec![("x-amzn-errortype", error.code.clone())],
            body: json!({"Type": "User", "Message": error.message, "message": error.message})
                .to_string()
                .into_bytes(),
        },
        Protocol::Cbor => Encoded {
            status,
            content_type: "application/cbor",
            headers: vec![
                ("smithy-protocol", "rpc-v2-cbor".to_owned()),
                ("x-amzn-query-error", format!("{};{fault}", error.code)),
            ],
            body: cbor_bytes(&map([
                ("__type", text(format!("com.amazonaws.cloudwatch#{}", error.code))),
                ("message", text(&error.message)),
            ])),
        },
        Protocol::Query => Encoded {
            status,
            content_type: "text/xml",
            headers: Vec::new(),
            body: format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{fault}</Type>\
                 <Code>{}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
                xml_text(&error.code),
                xml_text(&error.message)
            )
            .into_bytes(),
        },
    }
}

/// Escapes text for an XML element.
pub fn xml_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cbor_bytes(value: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    match ciborium::into_writer(value, &mut bytes) {
        Ok(()) => bytes,
        Err(error) => {
            tracing::error!(%error, "a CBOR answer cannot be written");
            Vec::new()
        }
    }
}

pub fn map<const N: usize>(entries: [(&str, Cbor); N]) -> Cbor {
    Cbor::Map(entries.into_iter().map(|(key, value)| (text(key), value)).collect())
}

pub fn text(value: impl Into<String>) -> Cbor {
    Cbor::Text(value.into())
}

/// A time as CBOR tag 1 holds it: epoch seconds, as a double.
pub fn cbor_time(at: Timestamp) -> Cbor {
    Cbor::Tag(1, Box::new(Cbor::Float(epoch_seconds(at))))
}

/// Epoch seconds with milliseconds behind the point, as the JSON protocols write times.
pub fn epoch_seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// Reads a CBOR request as JSON, which the operations read; tags (times) fall away to their numbers.
pub fn json_of_cbor(value: &Cbor) -> Value {
    match value {
        Cbor::Integer(number) => {
            let number = i128::from(*number);
            i64::try_from(number).map_or(Value::Null, Value::from)
        }
        Cbor::Float(number) => Value::from(*number),
        Cbor::Text(text) => Value::from(text.as_str()),
        Cbor::Bool(flag) => Value::from(*flag),
        Cbor::Tag(_, inner) => json_of_cbor(inner),
        Cbor::Array(items) => items.iter().map(json_of_cbor).collect(),
        Cbor::Map(entries) => Value::Object(
            entries
                .iter()
                .filter_map(|(key, value)| Some((key.as_text()?.to_owned(), json_of_cbor(value))))
                .collect(),
        ),
        _ => Value::Null,
    }
}
