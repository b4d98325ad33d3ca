//! SSM's parameters of a service, and the versions of those that changed lately.
//!
//! Rule: only parameters that changed since a moment have their history read, without decryption: the
//! value of a `SecureString` never arrives here, only the ciphertext, which nobody keeps.

use std::collections::BTreeSet;

use aws_sdk_ssm::types::ParameterStringFilter;
use futures::FutureExt as _;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::answer::{Kept, list, text};
use super::clients::Clients;
use super::errors::ReadError;
use crate::domain::evidence::Gap;

/// Pages of 50 that one listing is looked through.
const PAGES: usize = 10;
/// Parameters whose history is read: a rollout of more is one change by its calls.
const HISTORIES: usize = 40;
/// Parameter Store keeps a hundred versions, fifty a page.
const HISTORY_PAGES: usize = 2;
/// Versions of one parameter that are kept, newest last.
const VERSIONS: usize = 20;
/// Values of one filter.
const VALUES: usize = 50;

/// What was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParametersRead {
    /// Elements of `GetParameterHistory`'s `Parameters`; `None` where none could be listed.
    pub versions: Option<Vec<Value>>,
    pub gaps: Vec<Gap>,
}

/// Reads the versions of the parameters below `paths`; without paths, of those with one of the service's names as a
/// whole part of their path. Those of services that are `called` go by their names in any case, and are the same for
/// every incident of the same minute.
pub async fn read(
    clients: &Clients,
    paths: &[String],
    (names, called): (&[String], &[String]),
    since: Timestamp,
    deadline: Instant,
) -> ParametersRead {
    let mut read = ParametersRead::default();
    let own = async {
        if paths.is_empty() {
            return by_names(clients, names, deadline).await;
        }
        let wanted: Vec<String> = paths.iter().map(|path| rooted(path)).collect();
        by_filter(clients, "Path", "Recursive", &wanted, deadline).await
    };
    let (listed, others) = tokio::join!(own, shared_by_names(clients, called, deadline));
    let others = match others {
        Ok((others, cut)) => {
            read.gaps.extend(cut.map(|reason| Gap::new("ssm", reason)));
            others
        }
        Err(error) => {
            read.gaps.push(error.gap("ssm", "which parameters the services that it calls have"));
            Vec::new()
        }
    };
    let mut listed: Vec<Value> = match listed {
        Ok((listed, cut)) => {
            read.gaps.extend(cut.map(|reason| Gap::new("ssm", reason)));
            listed
        }
        Err(error) => {
            read.gaps.push(error.gap("ssm", "which parameters there are"));
            return read;
        }
    };
    let own: BTreeSet<String> = listed.iter().map(|one| text(one, "Name").to_owned()).collect();
    listed.extend(others.into_iter().filter(|one| !own.contains(text(one, "Name"))));
    let since = since.as_millisecond() as f64 / 1000.0;
    let modified = |one: &Value| one.get("LastModifiedDate").and_then(Value::as_f64).unwrap_or_default();
    let mut changed: Vec<&Value> = listed.iter().filter(|one| modified(one) >= since).collect();
    changed.sort_by(|one, other| modified(other).total_cmp(&modified(one)));
    if changed.len() > HISTORIES {
        let reason = format!("of {} changed parameters the newest {HISTORIES} were read", changed.len());
        read.gaps.push(Gap::new("ssm", reason));
        changed.truncate(HISTORIES);
    }
    let histories = changed.iter().map(|one| async {
        let name = text(one, "Name");
        if own.contains(name) {
            history(clients, name, deadline).await
        } else {
            shared_history(clients, name, deadline).await
        }
    });
    let mut versions = Vec::new();
    for (one, answer) in changed.iter().zip(futures::future::join_all(histories).await) {
        match answer {
            Ok(mut found) => {
                found.sort_by_key(|version| version.get("Version").and_then(Value::as_i64));
                let beyond = found.len().saturating_sub(VERSIONS);
                versions.extend(found.drain(beyond..));
            }
            Err(error) => {
                read.gaps.push(error.gap("ssm", format!("the versions of {}", text(one, "Name"))));
            }
        }
    }
    if !changed.is_empty() && versions.is_empty() {
        return read;
    }
    read.versions = Some(versions);
    read
}

/// The parameters with one of these names as a whole part of their path, and why these are not all.
async fn by_names(
    clients: &Clients,
    names: &[String],
    deadline: Instant,
) -> Result<(Vec<Value>, Option<String>), ReadError> {
    let wanted: Vec<String> = names.iter().filter(|name| is_part(name)).cloned().collect();
    let (found, cut) = by_filter(clients, "Name", "Contains", &wanted, deadline).await?;
    let own = |name: &str| name.split('/').any(|part| wanted.iter().any(|one| one == part));
    Ok((found.into_iter().filter(|one| own(text(one, "Name"))).collect(), cut))
}

/// The same of services that several incidents may call.
async fn shared_by_names(
    clients: &Clients,
    names: &[String],
    deadline: Instant,
) -> Result<(Vec<Value>, Option<String>), ReadError> {
    if names.is_empty() {
        return Ok((Vec::new(), None));
    }
    let ask = || {
        let (clients, names) = (clients.clone(), names.to_vec());
        async move {
            let found = by_names(&clients, &names, deadline).await?;
            let whole = found.1.is_none();
            Ok((found, whole))
        }
        .boxed()
    };
    clients.shared.parameters.one(names.join(" "), "ssm:DescribeParameters", deadline, ask).await
}

async fn shared_history(clients: &Clients, name: &str, deadline: Instant) -> Result<Vec<Value>, ReadError> {
    let ask = || {
        let (clients, name) = (clients.clone(), name.to_owned());
        async move { history(&clients, &name, deadline).await.map(|versions| (versions, true)) }.boxed()
    };
    clients.shared.versions.one(name.to_owned(), "ssm:GetParameterHistory", deadline, ask).await
}

/// Whether a name may be part of a parameter's: anything else would only be refused.
fn is_part(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
}

/// A path begins with a slash and ends without one.
fn rooted(path: &str) -> String {
    format!("/{}", path.trim_matches('/'))
}

/// The parameters that a filter admits, and why these are not all.
async fn by_filter(
    clients: &Clients,
    key: &str,
    option: &str,
    values: &[String],
    deadline: Instant,
) -> Result<(Vec<Value>, Option<String>), ReadError> {
    const ACTION: &str = "ssm:DescribeParameters";
    if values.is_empty() {
        return Ok((Vec::new(), None));
    }
    let values = values.iter().take(VALUES).cloned().collect();
    let filter = ParameterStringFilter::builder().key(key).option(option).set_values(Some(values)).build();
    let filter = filter
        .map_err(|error| ReadError::Unreachable { action: ACTION.to_owned(), message: error.to_string() })?;
    let (mut found, mut token) = (Vec::new(), None);
    for _ in 0..PAGES {
        let kept = Kept::default();
        let call = clients
            .ssm
            .describe_parameters()
            .parameter_filters(filter.clone())
            .max_results(50)
            .set_next_token(token);
        let page = clients.within(deadline, ACTION, call.customize().interceptor(kept.clone()).send()).await;
        let page = match page {
            Ok(page) => page,
            Err(error) if !found.is_empty() => {
                return Ok((found, Some(format!("which further parameters there are: {error}"))));
            }
            Err(error) => return Err(error),
        };
        found.extend(list(&mut kept.json(ACTION)?, "Parameters"));
        token = page.next_token;
        if token.is_none() {
            return Ok((found, None));
        }
    }
    Ok((found, Some(format!("{} parameters were looked through, and there are more", PAGES * 50))))
}

async fn history(clients: &Clients, name: &str, deadline: Instant) -> Result<Vec<Value>, ReadError> {
    const ACTION: &str = "ssm:GetParameterHistory";
    let (mut found, mut token) = (Vec::new(), None);
    for _ in 0..HISTORY_PAGES {
        let kept = Kept::default();
        let call = clients.ssm.get_parameter_history().name(name).max_results(50).set_next_token(token);
        let page =
            clients.within(deadline, ACTION, call.customize().interceptor(kept.clone()).send()).await?;
        found.extend(list(&mut kept.json(ACTION)?, "Parameters"));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_parameter_store_wants_it() {
        assert_eq!(rooted("/checkout/"), "/checkout");
        assert_eq!(rooted("checkout/limits"), "/checkout/limits");
    }
}
