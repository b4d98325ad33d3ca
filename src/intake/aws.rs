//! What is done with what AWS says: an alarm is an alert like any other, a change is evidence.

use serde_json::Value;

use super::aws_event::{self, Alarm, Message};
use super::desk::{Came, Desk, Heard};
use super::matching::{self, Meant};
use crate::domain::alert::Alert;
use crate::domain::incident::IncidentId;
use crate::domain::redact;
use crate::store::{AwsEvent, JobKind, Result};

/// Dimensions whose value is the name of what serves, the most telling first.
const NAMING: &[&str] = &[
    "FunctionName",
    "ServiceName",
    "service",
    "Service",
    "service.name",
    "ServiceId",
    "ApiName",
    "QueueName",
    "TableName",
    "DBInstanceIdentifier",
    "LoadBalancer",
    "TargetGroup",
    "LogGroupName",
];

impl Desk {
    /// A notification of a topic, by the id that SNS gave it.
    pub async fn aws_message(&self, message_id: &str, message: &str) -> Result<Heard> {
        let delivery = format!("sns/{message_id}");
        match aws_event::read(message) {
            Message::Nothing(why) => Ok(Heard::Nothing(why)),
            Message::Change(event) => self.aws_change(&delivery, event).await,
            Message::Alarm(alarm) => {
                let meant = self.service_of(&alarm);
                let alert = Alert {
                    service: alarm.name.clone(),
                    at: alarm.at.unwrap_or_else(|| self.clock.now()),
                    metric: alarm.metric,
                    value: None,
                    threshold: alarm.threshold,
                    severity: None,
                    alert_name: Some(alarm.name),
                    source: Some("CloudWatch".to_owned()),
                };
                self.heard(alert, alarm.state, meant, Came { delivery, channel: None, thread_ts: None }).await
            }
        }
    }

    /// The service that an alarm is about: whose resource it watches, by configuration or by AWS's own
    /// naming; else whom its name mentions.
    pub(super) fn service_of(&self, alarm: &Alarm) -> Meant {
        let configured = self.config.services.iter().find(|service| {
            let lambda = |name: &str| service.lambda.iter().any(|lambda| lambda.function == name);
            let ecs = |name: &str| service.ecs.iter().any(|ecs| ecs.service == name);
            alarm.dimensions.iter().any(|(dimension, value)| match dimension.as_str() {
                "FunctionName" => lambda(value),
                "ServiceName" => ecs(value),
                "LogGroupName" => service.log_groups.contains(value),
                _ => service.metrics.iter().any(|metric| metric.dimensions.get(dimension) == Some(value)),
            })
        });
        let named: Vec<&str> = NAMING
            .iter()
            .flat_map(|wanted| alarm.dimensions.iter().filter(move |(name, _)| name == wanted))
            .map(|(_, value)| resource_name(value))
            .collect();
        let known = || {
            let names = named.iter().copied().chain(std::iter::once(alarm.name.as_str()));
            names.into_iter().find_map(|name| self.config.service(name))
        };
        match (configured.or_else(known), named.first()) {
            (Some(service), _) => Meant::One(service.name.clone()),
            (None, Some(name)) => Meant::One((*name).to_owned()),
            (None, None) => matching::meant(&self.config, None, Some(&alarm.name)),
        }
    }

    /// Keeps a change; the open incidents of the services that it names look again.
    async fn aws_change(&self, delivery: &str, event: AwsEvent) -> Result<Heard> {
        let names = aws_event::names_in(&event);
        let event = AwsEvent { body: masked(event.body), ..event };
        let now = self.clock.now();
        // Beyond the delays of the configuration: one look, and no further ones after it.
        let after_all = self.config.incidents.look_again.len();
        let mut looks: Vec<(Option<IncidentId>, JobKind)> = Vec::new();
        for id in self.store.open_incidents(None).await? {
            let Some(row) = self.store.incident_row(id).await? else { continue };
            if row.report.is_some() && self.names_of(&row.service).iter().any(|name| names.contains(name)) {
                looks.push((Some(id), JobKind::LookAgain { round: row.round, times: after_all }));
            }
        }
        if self.config.aws.record {
            let changed = self.config.services.iter().map(|service| &service.name);
            let changed = changed.filter(|name| self.names_of(name).iter().any(|name| names.contains(name)));
            looks.extend(changed.map(|name| (None, JobKind::Record { service: name.clone() })));
        }
        let first = self.store.keep_aws_event(delivery, &event, &looks, now).await?;
        if first && !looks.is_empty() {
            for id in looks.iter().filter_map(|(id, _)| *id) {
                self.store.note(id, &format!("AWS delivered: {}", event.kind), now).await?;
            }
            self.wake.notify_one();
        }
        Ok(Heard::Nothing(if first { "a change, kept as evidence" } else { "a change that is known" }))
    }

    /// What events may call a service, in lower case: itself, its functions and ECS services, and the
    /// services that it calls.
    fn names_of(&self, service: &str) -> Vec<String> {
        let mut names = vec![service.to_lowercase()];
        if let Some(entry) = self.config.service(service) {
            names.extend(entry.lambda.iter().map(|lambda| lambda.function.to_lowercase()));
            names.extend(entry.ecs.iter().map(|ecs| ecs.service.to_lowercase()));
            names.extend(entry.depends_on.iter().map(|name| name.to_lowercase()));
        }
        names
    }
}

/// Nothing is kept in clear that looks like a secret.
fn masked(mut body: Value) -> Value {
    redact::json(&mut body);
    body
}

/// `app/shop/1a2b` is `shop`, `targetgroup/shop/1a2b` too, and the last part of a log group's path; other values are the name.
fn resource_name(value: &str) -> &str {
    let mut parts = value.split('/');
    match (parts.next(), parts.next()) {
        (Some("app" | "net" | "gwy" | "targetgroup"), Some(name)) => name,
        (Some(""), Some(_)) => value.rsplit('/').next().unwrap_or(value),
        _ => value,
    }
}
