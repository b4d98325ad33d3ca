//! Reserved concurrency of a function.
//!
//! Rule: Lambda keeps no revision of it, so that the same value as before may have been changed in between.

use tokio::time::Instant;

use super::{Outcome, outcome};
use crate::aws::clients::Writer;
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

pub(super) async fn apply(writer: &Writer, function: &str, to: Option<i64>, deadline: Instant) -> Outcome {
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
