//! An answer as AWS sent it, beside what the SDK makes of it.
//!
//! Rule: evidence has AWS's own shape. The JSON of an answer is kept whole, so that a field which
//! nobody lists here is not lost, and an export holds what AWS said and not a copy made by hand.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ecs::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_ecs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecs::error::BoxError;
use serde_json::Value;

use super::errors::ReadError;

/// Keeps the body of the last answer of the call that it is given to.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    /// The answer as JSON.
    pub fn json(&self, action: &str) -> Result<Value, ReadError> {
        let body = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        serde_json::from_slice(&body).map_err(|error| ReadError::Unreadable {
            action: action.to_owned(),
            message: format!("it is not JSON: {error}"),
        })
    }
}

impl Intercept for Kept {
    fn name(&self) -> &'static str {
        "KeptAnswer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        body.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}

/// Takes the list under `key` out of an answer.
pub(super) fn list(answer: &mut Value, key: &str) -> Vec<Value> {
    match answer.get_mut(key).map(Value::take) {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    }
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
