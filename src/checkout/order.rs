//! An order as it comes in, and the ways in which placing it can fail.

use serde_json::Value;

/// Longest order id that is taken.
const ORDER_ID_MAX: usize = 128;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub id: String,
}

/// Why a body is not an order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    #[error("the body is not a JSON object")]
    NotAnObject,
    #[error("`order_id` is missing: a text of 1 to 128 characters or a whole number is needed")]
    IdMissing,
    #[error("`order_id` cannot be read: a text of 1 to 128 characters or a whole number is needed")]
    Id,
}

impl OrderError {
    /// The field to blame, where it is one.
    pub fn field(&self) -> Option<&'static str> {
        matches!(self, Self::IdMissing | Self::Id).then_some("order_id")
    }
}

impl Order {
    /// Reads `{"order_id": "TEST-1"}`; other fields are let pass.
    ///
    /// # Errors
    /// Says what is missing or cannot be read.
    pub fn from_body(body: &[u8]) -> Result<Self, OrderError> {
        let value: Value =
            serde_json::from_slice(body).map_err(|error| OrderError::NotJson(error.to_string()))?;
        let object = value.as_object().ok_or(OrderError::NotAnObject)?;
        let id = match object.get("order_id") {
            None | Some(Value::Null) => return Err(OrderError::IdMissing),
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
            Some(_) => return Err(OrderError::Id),
        };
        if id.is_empty() || id.chars().count() > ORDER_ID_MAX {
            return Err(OrderError::Id);
        }
        Ok(Self { id })
    }
}

/// An order that was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub number: i64,
    pub took: std::time::Duration,
}

/// Why an order was not placed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("Order refused - no order handler came free")]
    Refused,
    #[error("Database connection timeout - pool exhausted")]
    PoolExhausted,
    #[error("Database query timeout - stock row is locked")]
    RowLocked,
    #[error("Payment authorisation failed - payments answered 503")]
    Payment,
    #[error("Database error: {0}")]
    Database(String),
}

impl Failure {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::PoolExhausted => "pool_exhausted",
            Self::RowLocked => "row_locked",
            Self::Payment => "payment",
            Self::Database(_) => "database",
        }
    }

    /// Time-outs of the database are counted by themselves.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::PoolExhausted | Self::RowLocked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_its_id_whatever_else_it_carries() {
        assert_eq!(Order::from_body(br#"{"order_id": "TEST-1", "x": []}"#).unwrap().id, "TEST-1");
        assert_eq!(Order::from_body(br#"{"order_id": 17}"#).unwrap().id, "17");
    }

    #[test]
    fn a_missing_or_unreadable_id_is_named() {
        for body in [
            "{}",
            r#"{"order_id": null}"#,
            r#"{"order_id": " "}"#,
            r#"{"order_id": []}"#,
            r#"{"order_id": 1.5}"#,
        ] {
            assert_eq!(Order::from_body(body.as_bytes()).unwrap_err().field(), Some("order_id"), "{body}");
        }
        let long = format!(r#"{{"order_id": "{}"}}"#, "x".repeat(ORDER_ID_MAX + 1));
        assert_eq!(Order::from_body(long.as_bytes()), Err(OrderError::Id));
        assert!(matches!(Order::from_body(b"order_id=1"), Err(OrderError::NotJson(_))));
        assert_eq!(Order::from_body(b"[]"), Err(OrderError::NotAnObject));
    }
}
