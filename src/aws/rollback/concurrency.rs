//! Reserved concurrency of a function.
//!
//! Rule: Lambda checks no revision here, so the value is looked at right before it is changed.

use tokio::time::Instant;

use super::{Outcome, outcome};
use crate::aws::clients::{Clients, Writer};
use crate::aws::errors::{ReadError, within};

pub(super) async fn reserved(
    lambda: &aws_sdk_lambda::Client,
    function: &str,
    deadline: Instant,
) -> Result<Option<i64>, ReadError> {
    let call = lambda.get_function_concurrency().function_name(function);
    let answer = within(deadline, "lambda:GetFunctionConcurrency", call.send()).await?;
    Ok(answer.reserved_concurrent_executions().map(i64::from))
}

/// Lambda checks no revision here, so the value is looked at right before.
pub(super) async fn apply(
    clients: &Clients,
    writer: &Writer,
    function: &str,
    from: Option<i64>,
    to: Option<i64>,
    deadline: Instant,
) -> Outcome {
    match reserved(&clients.lambda, function, deadline).await {
        Ok(now) if now != from => {
            return Outcome::Moved {
                what: format!("the reserved concurrency of {function} was changed in between"),
            };
        }
        Ok(_) => {}
        Err(error) => return Outcome::Refused { error },
    }
    let what = || function.to_owned();
    if let Some(reserved) = to {
        let reserved = i32::try_from(reserved).unwrap_or(i32::MAX);
        let call = writer.lambda.put_function_concurrency().function_name(function);
        let call = call.reserved_concurrent_executions(reserved);
        outcome(within(deadline, "lambda:PutFunctionConcurrency", call.send()).await, what)
    } else {
        let call = writer.lambda.delete_function_concurrency().function_name(function);
        outcome(within(deadline, "lambda:DeleteFunctionConcurrency", call.send()).await, what)
    }
}
