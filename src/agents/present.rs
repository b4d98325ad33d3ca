//! What a service is configured like now, for the recorder: nobody waits for it, so its calls go one after the other.
//!
//! Rule: what cannot be read is left out and is no gap: the next look sees it again.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws::discover::Finder;
use crate::aws::{Clients, ServiceSettings, configs, configurations, containers, parameters};
use crate::bundle::{self, ecs};
use crate::domain::evidence::EcsRef;
use crate::domain::snapshot::Present;

/// Parameters that changed since then are read: Parameter Store keeps the history of the others.
const CHANGED: Duration = Duration::from_hours(7 * 24);

/// Reads functions, container services, parameters and AppConfig's configurations as they are now.
pub async fn present(
    clients: &Clients,
    service: &str,
    settings: &ServiceSettings,
    now: Timestamp,
    deadline: Instant,
) -> Present {
    let finder = Finder::new(clients, service, settings, (now, now), deadline);
    let mut present = Present::default();
    for function in finder.functions().await {
        let (history, limit) = configs::present(clients, function, deadline).await;
        present.functions.insert(function.clone(), history);
        if let Some(limit) = limit {
            present.limits.insert(function.clone(), limit);
        }
    }
    let wanted: Vec<EcsRef> = if !clients.reads("ecs") {
        Vec::new()
    } else if settings.ecs.is_empty() {
        containers::find(clients, finder.names(), deadline).await.0
    } else {
        settings.ecs.clone()
    };
    let read = containers::read(clients, &wanted, now, deadline).await;
    let services = read.services.into_iter();
    present.ecs_services =
        services.map(|(one, shown)| ecs::read_service(one.cluster, one.service, &shown, now)).collect();
    present.task_definitions = read.definitions.iter().flatten().filter_map(ecs::task_definition).collect();
    if clients.reads("ssm") {
        let names: (&[String], &[String]) = (finder.names(), &[]);
        let read = parameters::read(clients, &settings.ssm_paths, names, now - CHANGED, deadline).await;
        present.parameters =
            read.versions.iter().flatten().filter_map(bundle::parameters::parameter).collect();
    }
    if clients.reads("appconfig") {
        let read = configurations::present(clients, &settings.appconfig, finder.names(), deadline).await;
        present.configurations = read.iter().map(|one| bundle::appconfig::deployment(one, now)).collect();
    }
    present
}
