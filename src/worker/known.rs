//! What the configuration says of a service, in the words of the rooms that read AWS.
//!
//! Rule: a service that is not configured lives where the process reads by default, and so does one that says nothing of it.

use crate::aws::{AppConfigRef, LambdaRef, MetricRef, Place, ServiceSettings};
use crate::config::{self, Config};
use crate::domain::evidence::EcsRef;

/// Where services live that are elsewhere.
pub fn places(config: &Config) -> Vec<Place> {
    let mut places: Vec<Place> = config.services.iter().map(place).collect();
    places.sort();
    places.dedup();
    places.retain(|place| *place != Place::default());
    places
}

/// Where a service lives, by any of its names.
pub fn place_of(config: &Config, name: &str) -> Place {
    config.service(name).map(place).unwrap_or_default()
}

fn place(service: &config::Service) -> Place {
    Place {
        region: service.region.clone(),
        read_role_arn: service.read_role_arn.clone(),
        write_role_arn: service.write_role_arn.clone(),
        external_id: service.external_id.clone(),
    }
}

/// What the configuration says of a service, for the agents.
pub fn service_settings(config: &Config, name: &str) -> ServiceSettings {
    let Some(service) = config.service(name) else {
        return ServiceSettings { name: name.to_owned(), ..ServiceSettings::default() };
    };
    let config::Service {
        name,
        aliases,
        lambda,
        ecs,
        ssm_paths,
        appconfig,
        log_groups,
        metrics,
        depends_on,
        peers,
        ..
    } = service;
    let place = place(service);
    // A namesake here would be somebody else.
    let is_here = |name: &&String| place_of(config, name) == place;
    let here = |names: &[String]| names.iter().filter(is_here).cloned().collect();
    let elsewhere = depends_on.iter().filter(|name| !is_here(name)).cloned().collect();
    ServiceSettings {
        name: name.clone(),
        aliases: aliases.clone(),
        lambda: lambda
            .iter()
            .map(|lambda| LambdaRef { function: lambda.function.clone(), alias: lambda.alias.clone() })
            .collect(),
        ecs: ecs
            .iter()
            .map(|ecs| EcsRef { cluster: ecs.cluster.clone(), service: ecs.service.clone() })
            .collect(),
        ssm_paths: ssm_paths.clone(),
        appconfig: appconfig
            .iter()
            .map(|one| AppConfigRef {
                application: one.application.clone(),
                environment: one.environment.clone(),
                profile: one.profile.clone(),
            })
            .collect(),
        log_groups: log_groups.clone(),
        metrics: metrics
            .iter()
            .map(|metric| MetricRef {
                namespace: metric.namespace.clone(),
                dimensions: metric.dimensions.clone().into_iter().collect(),
            })
            .collect(),
        depends_on: here(depends_on),
        peers: here(peers),
        elsewhere,
        place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_called_at_another_place_is_not_taken_for_a_namesake_here() {
        let config = Config::parse(
            r#"
            [[service]]
            name = "checkout"
            depends_on = ["payments", "Stock", "ledger"]
            peers = ["ledger", "search"]
            [[service]]
            name = "ledger"
            region = "eu-central-1"
            [[service]]
            name = "stock"
            "#,
        )
        .unwrap();
        let known = service_settings(&config, "checkout");
        assert_eq!(known.place, Place::default());
        assert_eq!(known.depends_on, ["payments", "Stock"]);
        assert_eq!(known.peers, ["search"]);
        assert_eq!(known.elsewhere, ["ledger"]);
        let there = service_settings(&config, "LEDGER").place;
        assert_eq!(there.region.as_deref(), Some("eu-central-1"));
        assert_eq!(places(&config), [there]);
    }
}
