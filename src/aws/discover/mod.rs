//! From a service's name to its resources: functions, log groups, metrics, controls.
//!
//! Rule: configuration comes first and AWS's own naming adds to it; only what was seen to exist, or was
//! configured, is named, and what could not be asked is a gap.

mod functions;
mod groups;
mod metrics;
pub(super) mod tags;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::clients::Clients;
use super::containers;
use super::errors::ReadError;
use super::graph;
use super::settings::ServiceSettings;
use crate::domain::evidence::{EcsRef, Gap, MetricScope, Resources, Scope};

/// Discovery is a handful of calls made at once, and agents wait for theirs: AWS answers them within a second, and
/// whoever takes longer is left out.
pub const DEADLINE: Duration = Duration::from_secs(8);
/// Controls that are read: enough to tell a provider's trouble from the service's own.
const PEERS: usize = 6;
/// `ListMetrics` can leave out what was not measured in three hours before now, which makes an account's list
/// much shorter. For an alert longer ago than this, a series that ended with its incident would be left out too.
const RECENT: SignedDuration = SignedDuration::from_hours(1);

/// Where ECS's metrics are, by cluster and service.
const ECS_NAMESPACES: [&str; 2] = ["AWS/ECS", "ECS/ContainerInsights"];

/// One metric: namespace, name, and dimensions sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric {
    pub namespace: String,
    pub name: String,
    pub dimensions: Vec<(String, String)>,
}

/// What was found of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Discovered {
    pub scope: Scope,
    /// Its metrics and others', AWS's namespaces among them.
    pub measured: Measured,
    pub gaps: Vec<Gap>,
}

/// Metrics by whose they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// The service's own, and levels of the resources that are named after it.
    pub own: Vec<Metric>,
    /// Of the services that it calls, and of the controls.
    pub dependencies: Vec<Metric>,
    pub peers: Vec<Metric>,
    /// Where its own are.
    namespaces: Vec<String>,
    /// Who the controls are.
    controls: Vec<String>,
}

impl Measured {
    /// The namespaces of the service's own metrics.
    pub fn namespaces(&self) -> &[String] {
        &self.namespaces
    }
}

/// A part of what is found, and what could not be asked about it.
#[derive(Debug, Default)]
struct Part<T> {
    found: T,
    gaps: Vec<Gap>,
}

impl<T> Part<T> {
    fn note(&mut self, source: &str, what: &str, error: &ReadError) {
        self.gaps.push(error.gap(source, what));
    }
}

/// Looks for a service's resources, each part of them when somebody asks for it and only once: an agent waits for
/// nothing but what it needs itself. Each part waits on the heap: together they outgrow a thread's stack in a debug build.
#[derive(Debug)]
pub struct Finder<'a> {
    clients: &'a Clients,
    alerted: &'a str,
    settings: &'a ServiceSettings,
    at: Timestamp,
    now: Timestamp,
    deadline: Instant,
    /// Every name that the service goes by.
    names: Vec<String>,
    account: OnceCell<Part<String>>,
    called: OnceCell<Part<Vec<String>>>,
    tagged: OnceCell<Part<tags::Tagged>>,
    functions: OnceCell<Part<Vec<String>>>,
    /// Functions among the services that it calls, and among configured controls.
    others: OnceCell<Part<Vec<String>>>,
    groups: OnceCell<Part<Vec<String>>>,
    containers: OnceCell<Part<Vec<EcsRef>>>,
    metrics: OnceCell<Part<Measured>>,
}

impl<'a> Finder<'a> {
    /// `alerted` is the service as the alert calls it; it is looked at as it was at `at`.
    pub fn new(
        clients: &'a Clients,
        alerted: &'a str,
        settings: &'a ServiceSettings,
        (at, now): (Timestamp, Timestamp),
        deadline: Instant,
    ) -> Self {
        Self {
            clients,
            alerted,
            settings,
            at,
            now,
            deadline,
            names: names_of(alerted, settings),
            account: OnceCell::new(),
            called: OnceCell::new(),
            tagged: OnceCell::new(),
            functions: OnceCell::new(),
            others: OnceCell::new(),
            groups: OnceCell::new(),
            containers: OnceCell::new(),
            metrics: OnceCell::new(),
        }
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The account's number; empty where it cannot be told.
    pub async fn account(&self) -> &str {
        let ask = || {
            Box::pin(async {
                let mut part = Part::default();
                match self.clients.caller(self.deadline).await {
                    Ok(caller) => part.found = caller.account,
                    Err(error) => part.note("account", "which account this is", &error),
                }
                part
            })
        };
        &self.account.get_or_init(ask).await.found
    }

    /// What carries its name as a tag, where a key for that is configured.
    async fn tagged(&self) -> &tags::Tagged {
        let ask = || {
            Box::pin(async {
                let mut part = Part::default();
                match tags::of_service(self.clients, &self.names, self.deadline).await {
                    Ok(tagged) => part.found = tagged,
                    Err(error) => part.note("tags", "which resources carry its name", &error),
                }
                part
            })
        };
        &self.tagged.get_or_init(ask).await.found
    }

    /// The service's own functions.
    pub async fn functions(&self) -> &[String] {
        let ask = || {
            Box::pin(async {
                let mut part = Part::default();
                let asked = functions::own(self.clients, &self.names, self.settings, self.deadline);
                let ((found, trouble), tagged) = tokio::join!(asked, self.tagged());
                if let Some(error) = trouble {
                    part.note("lambda", "the service's functions", &error);
                }
                part.found = dedupe(found.into_iter().chain(tagged.functions.iter().cloned()));
                part
            })
        };
        &self.functions.get_or_init(ask).await.found
    }

    /// Which of the services that it calls are functions.
    pub async fn called_functions(&self) -> Vec<&String> {
        let (others, called) = tokio::join!(self.others(), self.called());
        others.iter().filter(|name| called.contains(name)).collect()
    }

    /// The services that it calls: those of the configuration, else those that X-Ray's graph shows.
    pub async fn called(&self) -> &[String] {
        let ask = || {
            Box::pin(async {
                let mut part = Part { found: self.settings.depends_on.clone(), gaps: Vec::new() };
                for name in &self.settings.elsewhere {
                    let reason = format!(
                        "{name} runs in another Region or account, which is not read with this service's"
                    );
                    part.gaps.push(Gap::new("account", reason));
                }
                let configured = !part.found.is_empty() || !self.settings.elsewhere.is_empty();
                if configured || !self.clients.reads("xray") {
                    return part;
                }
                let functions = self.settings.lambda.iter().map(|lambda| lambda.function.clone());
                let names = dedupe(self.names.iter().cloned().chain(functions));
                match graph::called(self.clients, &names, self.at, self.deadline).await {
                    Ok(called) => part.found = called,
                    Err(error) => part.note("xray", "which services it calls", &error),
                }
                part
            })
        };
        &self.called.get_or_init(ask).await.found
    }

    async fn others(&self) -> &[String] {
        let ask = || {
            Box::pin(async {
                let mut part = Part::default();
                let names = dedupe(self.called().await.iter().chain(&self.settings.peers).cloned());
                let (found, trouble) = functions::among(self.clients, &names, self.deadline).await;
                if let Some(error) = trouble {
                    part.note("lambda", "which of the services that it calls are functions", &error);
                }
                part.found = found;
                part
            })
        };
        &self.others.get_or_init(ask).await.found
    }

    pub async fn log_groups(&self) -> &[String] {
        let ask = || {
            Box::pin(async {
                let (read, tagged) = tokio::join!(
                    groups::of_service(self.clients, &self.names, self.settings, self.deadline),
                    self.tagged()
                );
                let mut part = Part::default();
                match read {
                    Ok((found, cut)) => {
                        for missing in self.settings.log_groups.iter().filter(|group| !found.contains(group))
                        {
                            part.gaps.push(Gap::new("logs", format!("there is no log group {missing}")));
                        }
                        part.gaps.extend(cut.map(|reason| Gap::new("logs", reason)));
                        part.found = dedupe(found.into_iter().chain(tagged.log_groups.iter().cloned()));
                    }
                    Err(error) => {
                        part.note("logs", "which log groups there are", &error);
                        // The names are AWS's own for functions: they can be read without being listed.
                        let own =
                            self.functions().await.iter().map(|function| format!("/aws/lambda/{function}"));
                        part.found = dedupe(self.settings.log_groups.iter().cloned().chain(own));
                    }
                }
                part
            })
        };
        &self.groups.get_or_init(ask).await.found
    }

    /// ECS services that are configured, else those that have one of the service's names; where ECS itself
    /// shows none, those that its metrics name.
    pub async fn containers(&self) -> &[EcsRef] {
        let ask = || {
            Box::pin(async {
                if !self.clients.reads("ecs") {
                    return Part::default();
                }
                if !self.settings.ecs.is_empty() {
                    let short = |one: &EcsRef| EcsRef {
                        cluster: containers::short(&one.cluster).to_owned(),
                        service: containers::short(&one.service).to_owned(),
                    };
                    return Part { found: self.settings.ecs.iter().map(short).collect(), gaps: Vec::new() };
                }
                let found = containers::find(self.clients, &self.names, self.deadline);
                let ((mut found, gaps), tagged) = tokio::join!(found, self.tagged());
                for one in &tagged.ecs {
                    if !found.contains(one) {
                        found.push(one.clone());
                    }
                }
                let mut part = Part { found, gaps };
                if part.found.is_empty() {
                    part.found = measured_containers(&self.metrics().await.own, &self.names);
                }
                part
            })
        };
        &self.containers.get_or_init(ask).await.found
    }

    pub async fn metrics(&self) -> &Measured {
        let ask = || {
            Box::pin(async {
                let recent = self.now.duration_since(self.at) <= RECENT;
                let called = self.called().await;
                let (functions, others, listed, all) = tokio::join!(
                    self.functions(),
                    self.others(),
                    self.listed_functions(),
                    metrics::active(
                        self.clients,
                        &self.names,
                        (self.settings, called),
                        recent,
                        self.deadline
                    ),
                );
                let mut part = Part::<Measured> { gaps: listed.gaps, ..Part::default() };
                let all = all.unwrap_or_else(|error| {
                    part.note("metrics", "which metrics there are", &error);
                    Vec::new()
                });
                let of = (self.settings, called);
                part.found = measured(of, &self.names, &all, functions, others, &listed.found);
                part
            })
        };
        &self.metrics.get_or_init(ask).await.found
    }

    /// The account's functions, where controls are to be found among them.
    async fn listed_functions(&self) -> Part<Vec<String>> {
        let mut part = Part::default();
        if self.settings.peers.is_empty() {
            match functions::shared_list(self.clients, self.deadline).await {
                Ok(listed) => part.found = listed,
                Err(error) => part.note("lambda", "other functions, as controls", &error),
            }
        }
        part
    }

    /// Everything, once all of it is there.
    pub async fn found(&self) -> Discovered {
        let (account, called, functions, _, groups, ecs, measured) = tokio::join!(
            self.account(),
            self.called(),
            self.functions(),
            self.others(),
            self.log_groups(),
            self.containers(),
            self.metrics(),
        );
        let scope = Scope {
            service: self.alerted.to_owned(),
            region: self.clients.region().to_owned(),
            account: account.to_owned(),
            now: self.now,
            resources: Resources {
                lambda: functions.to_vec(),
                ecs: ecs.to_vec(),
                ssm_paths: self.settings.ssm_paths.clone(),
                appconfig: dedupe(self.settings.appconfig.iter().map(|one| one.application.clone())),
                log_groups: groups.to_vec(),
                metrics: MetricScope { namespaces: measured.namespaces.clone() },
            },
            depends_on: called.iter().chain(&self.settings.elsewhere).cloned().collect(),
            peers: measured.controls.clone(),
        };
        let gaps = [
            self.account.get().map(|part| &part.gaps),
            self.called.get().map(|part| &part.gaps),
            self.tagged.get().map(|part| &part.gaps),
            self.functions.get().map(|part| &part.gaps),
            self.others.get().map(|part| &part.gaps),
            self.groups.get().map(|part| &part.gaps),
            self.containers.get().map(|part| &part.gaps),
            self.metrics.get().map(|part| &part.gaps),
        ];
        let gaps = gaps.into_iter().flatten().flatten().cloned().collect();
        Discovered { scope, measured: measured.clone(), gaps }
    }
}

/// Sorts the account's metrics by whose they are.
fn measured(
    (settings, called): (&ServiceSettings, &[String]),
    names: &[String],
    all: &[Metric],
    functions: &[String],
    others: &[String],
    listed: &[String],
) -> Measured {
    let own_names: Vec<String> = names.iter().chain(functions).cloned().collect();
    let mut own = metrics::of_services(all, &own_names, &settings.metrics);
    metrics::add_functions(&mut own, functions);
    // That a database is named after the service does not make all that databases do its work.
    let namespaces = dedupe(own.iter().map(|metric| metric.namespace.clone()));
    for metric in metrics::used_resources(all, &own_names) {
        if !own.contains(&metric) {
            own.push(metric);
        }
    }
    let of_others = |services: &[String]| {
        let mut found = metrics::of_services(all, services, &[]);
        let known = |name: &&String| others.contains(name) || listed.contains(name);
        let known: Vec<String> = services.iter().filter(known).cloned().collect();
        metrics::add_functions(&mut found, &known);
        found
    };
    let controls = controls((settings, called), names, functions, listed);
    Measured { own, dependencies: of_others(called), peers: of_others(&controls), namespaces, controls }
}

/// ECS services of the service's names, by the dimensions of its metrics.
fn measured_containers(own: &[Metric], names: &[String]) -> Vec<EcsRef> {
    let mut found = Vec::new();
    for metric in own.iter().filter(|metric| ECS_NAMESPACES.contains(&metric.namespace.as_str())) {
        let value = |wanted: &str| {
            metric.dimensions.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        };
        if let Some((cluster, service)) = value("ClusterName").zip(value("ServiceName")) {
            let one = EcsRef { cluster, service };
            // A cluster may have the service's name too.
            if names.contains(&one.service) && !found.contains(&one) {
                found.push(one);
            }
        }
    }
    found
}

/// Every name that the service goes by, the configured one first.
fn names_of(alerted: &str, settings: &ServiceSettings) -> Vec<String> {
    let configured = Some(settings.name.clone()).filter(|name| !name.is_empty());
    dedupe(configured.into_iter().chain([alerted.to_owned()]).chain(settings.aliases.iter().cloned()))
}

fn dedupe(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !name.is_empty() && seen.insert(name.clone())).collect()
}

/// Services that do not call this one and are not called by it.
fn controls(
    (settings, called): (&ServiceSettings, &[String]),
    names: &[String],
    own: &[String],
    listed: &[String],
) -> Vec<String> {
    if !settings.peers.is_empty() {
        return settings.peers.clone();
    }
    let unrelated =
        listed.iter().filter(|name| !names.contains(name) && !own.contains(name) && !called.contains(name));
    unrelated.take(PEERS).cloned().collect()
}
