//! Which functions are a service's, and which of other services are functions.
//!
//! Rule: a name is asked for itself: in an account with thousands of functions a listing that ends early would
//! miss it. The account's list is for controls alone.

use futures::FutureExt as _;
use tokio::time::Instant;

use super::dedupe;
use crate::aws::clients::Clients;
use crate::aws::errors::ReadError;
use crate::aws::settings::ServiceSettings;

const GET: &str = "lambda:GetFunctionConfiguration";
const LIST: &str = "lambda:ListFunctions";
/// Pages of 50 functions that are looked through for controls.
const PAGES: usize = 4;

/// Functions that are configured, or that have one of the service's names, as far as they could be asked for.
pub(super) async fn own(
    clients: &Clients,
    names: &[String],
    settings: &ServiceSettings,
    deadline: Instant,
) -> (Vec<String>, Option<ReadError>) {
    let mut found: Vec<String> = dedupe(settings.lambda.iter().map(|lambda| lambda.function.clone()));
    let candidates: Vec<&String> =
        names.iter().filter(|name| !found.contains(name) && is_name(name)).collect();
    let asked = candidates.iter().map(|name| exists(clients, name, deadline));
    let mut trouble = None;
    for (name, answer) in candidates.iter().zip(futures::future::join_all(asked).await) {
        match answer {
            Ok(true) => found.push((*name).clone()),
            Ok(false) => {}
            Err(error) => trouble = Some(error),
        }
    }
    (found, trouble)
}

/// Which names of other services are functions, as far as they could be asked for. Incidents of the same minute ask once.
pub(super) async fn among(
    clients: &Clients,
    names: &[String],
    deadline: Instant,
) -> (Vec<String>, Option<ReadError>) {
    let names: Vec<&String> = names.iter().filter(|name| is_name(name)).collect();
    let asked = names.iter().map(|name| {
        let ask = || {
            let (clients, name) = (clients.clone(), (*name).clone());
            async move { exists(&clients, &name, deadline).await.map(|known| (known, true)) }.boxed()
        };
        clients.shared.known_functions.one((*name).clone(), GET, deadline, ask)
    });
    let (mut found, mut trouble) = (Vec::new(), None);
    for (name, answer) in names.iter().zip(futures::future::join_all(asked).await) {
        match answer {
            Ok(true) => found.push((*name).clone()),
            Ok(false) => {}
            Err(error) => trouble = Some(error),
        }
    }
    (found, trouble)
}

async fn exists(clients: &Clients, name: &str, deadline: Instant) -> Result<bool, ReadError> {
    let call = clients.lambda.get_function_configuration().function_name(name);
    match clients.within(deadline, GET, call.send()).await {
        Ok(_) => Ok(true),
        Err(ReadError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lambda's own rule for names; anything else would only be refused.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
}

/// Names of the account's functions, as far as a few pages go. They are the same for every incident.
pub(super) async fn shared_list(clients: &Clients, deadline: Instant) -> Result<Vec<String>, ReadError> {
    let ask = || {
        let clients = clients.clone();
        async move { list(&clients, deadline).await.map(|names| (names, true)) }.boxed()
    };
    clients.shared.functions.one(String::new(), LIST, deadline, ask).await
}

async fn list(clients: &Clients, deadline: Instant) -> Result<Vec<String>, ReadError> {
    let (mut names, mut marker) = (Vec::new(), None);
    for _ in 0..PAGES {
        let call = clients.lambda.list_functions().set_marker(marker);
        let page = clients.within(deadline, LIST, call.send()).await?;
        names.extend(
            page.functions().iter().filter_map(|function| function.function_name()).map(str::to_owned),
        );
        marker = page.next_marker;
        if marker.is_none() {
            break;
        }
    }
    Ok(names)
}
