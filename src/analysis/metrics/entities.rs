//! Series sorted by whose they are (the service's own, a dependency's, a peer's), on one grid, with
//! the same hours of a day and a week ago beside them.

use std::collections::BTreeMap;

use super::{Gauge, Measure, measure};
use crate::analysis::grid::Grid;
use crate::analysis::kin::Kin;
use crate::analysis::words;
use crate::domain::evidence::{Scope, Series};

/// Longest look back that is analysed, in seconds: what is older is habit, not history.
const LONGEST_WINDOW: i64 = 4 * 3600;
/// A hole of this many seconds separates today's window from the history before it.
const GAP_BETWEEN_WINDOWS: i64 = 3 * 3600;
const DAY: i64 = 86_400;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Own,
    Dependency,
    Peer,
}

/// One series on the grid.
#[derive(Debug, Clone)]
pub struct Track {
    pub namespace: String,
    pub metric: String,
    pub stat: String,
    pub dimensions: Vec<(String, String)>,
    pub measure: Measure,
    /// Latencies in milliseconds, all else in the metric's own unit.
    pub values: Vec<Option<f64>>,
    pub day_ago: Vec<Option<f64>>,
    pub week_ago: Vec<Option<f64>>,
}

impl Track {
    /// What was read, for the report: `AWS/Lambda Errors Sum`.
    pub fn query(&self) -> String {
        format!("{} {} {}", self.namespace, self.metric, self.stat)
    }

    pub fn mean(&self, from: usize, to: usize) -> Option<f64> {
        mean(self.values.get(from..to.min(self.values.len()))?)
    }
}

/// The mean of what is known.
pub fn mean(values: &[Option<f64>]) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values.iter().flatten() {
        sum += value;
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}

/// One service and its series.
#[derive(Debug, Clone)]
pub struct Entity {
    pub name: String,
    pub role: Role,
    pub tracks: Vec<Track>,
}

impl Entity {
    pub fn of_measure(&self, measure: Measure) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(move |track| track.measure == measure)
    }

    /// The requests that a failure count is a share of: of the same dimensions, else of the same
    /// namespace, else the service's busiest.
    pub fn requests_for(&self, failures: &Track) -> Option<Vec<Option<f64>>> {
        let candidates: Vec<&Track> = self.of_measure(Measure::Requests).collect();
        let sum = |track: &Track| track.values.iter().flatten().sum::<f64>();
        let busiest = |filter: &dyn Fn(&Track) -> bool| {
            candidates
                .iter()
                .filter(|track| filter(track) && sum(track) > 0.0)
                .max_by(|a, b| sum(a).total_cmp(&sum(b)))
                .map(|track| track.values.clone())
        };
        busiest(&|track| track.dimensions == failures.dimensions && track.namespace == failures.namespace)
            .or_else(|| {
                // Successes and failures of one namespace make its total.
                let successes = self.of_measure(Measure::Successes).find(|track| {
                    track.namespace == failures.namespace && track.dimensions == failures.dimensions
                })?;
                Some(
                    successes
                        .values
                        .iter()
                        .zip(&failures.values)
                        .map(|(good, bad)| good.zip(*bad).map(|(good, bad)| good + bad))
                        .collect(),
                )
            })
            .or_else(|| busiest(&|track| track.namespace == failures.namespace))
            .or_else(|| busiest(&|_| true))
    }

    /// What callers tried: requests, and calls that were throttled before they became requests.
    pub fn offered(&self) -> Option<Vec<Option<f64>>> {
        let demand = self.demand()?;
        let mut offered = demand.values.clone();
        if let Some(throttles) =
            self.of_measure(Measure::Throttles).find(|track| track.namespace == demand.namespace)
        {
            for (value, refused) in offered.iter_mut().zip(&throttles.values) {
                if let (Some(value), Some(refused)) = (value.as_mut(), refused) {
                    *value += refused;
                }
            }
        }
        Some(offered)
    }

    /// The service's demand: its busiest request count.
    pub fn demand(&self) -> Option<&Track> {
        let sum = |track: &Track| track.values.iter().flatten().sum::<f64>();
        self.of_measure(Measure::Requests)
            .filter(|track| sum(track) > 0.0)
            .max_by(|a, b| sum(a).total_cmp(&sum(b)).then_with(|| b.query().cmp(&a.query())))
    }
}

/// A series that belongs to no service by name: a database, a disk, a quota of the account.
#[derive(Debug, Clone)]
pub struct Resource {
    pub track: Track,
    /// Its name holds the service's: `checkout-db`. Else others may use it too, or it is theirs alone.
    pub own: bool,
}

/// All series of an incident.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub grid: Grid,
    pub entities: Vec<Entity>,
    /// Read for what runs out, and for nothing else: what they count is not the service's own work.
    pub resources: Vec<Resource>,
}

impl Metrics {
    pub fn own(&self) -> Option<&Entity> {
        self.entities.iter().find(|entity| entity.role == Role::Own)
    }

    pub fn others(&self, role: Role) -> impl Iterator<Item = &Entity> {
        self.entities.iter().filter(move |entity| entity.role == role)
    }

    pub fn of(series: &[Series], scope: &Scope) -> Self {
        let names = Names::of(scope);
        let mut owners: Vec<Option<(Role, String)>> =
            series.iter().map(|one| names.owner(&one.dimensions)).collect();
        if !owners.iter().flatten().any(|(role, _)| *role == Role::Own) {
            // A namespace of the service without a dimension that names it.
            for (owner, one) in owners.iter_mut().zip(series) {
                if owner.is_none() && scope.resources.metrics.namespaces.contains(&one.namespace) {
                    *owner = Some((Role::Own, scope.service.clone()));
                }
            }
        }
        let now = scope.now.as_second();
        let mine: Vec<&Series> = series
            .iter()
            .zip(&owners)
            .filter(|(_, owner)| owner.as_ref().is_some_and(|(role, _)| *role == Role::Own))
            .map(|(one, _)| one)
            .collect();
        let basis: Vec<&Series> = if mine.is_empty() { series.iter().collect() } else { mine };
        let grid = window(&basis, now);
        let mut entities: BTreeMap<(Role, String), Entity> = BTreeMap::new();
        let mut resources = Vec::new();
        for (one, owner) in series.iter().zip(owners) {
            let Some((role, name)) = owner else {
                if let Some(own) = names.uses(&one.dimensions) {
                    resources.push(Resource { track: track(one, grid), own });
                }
                continue;
            };
            let entity = entities.entry((role, name.clone())).or_insert_with(|| Entity {
                name,
                role,
                tracks: Vec::new(),
            });
            entity.tracks.push(track(one, grid));
        }
        // Whom a firewall in front of the service turns away, the service would have served.
        if let Some(own) = entities.get_mut(&(Role::Own, scope.service.clone())) {
            let (before, behind): (Vec<Resource>, Vec<Resource>) = resources
                .into_iter()
                .partition(|resource| resource.own && resource.track.measure == Measure::Blocked);
            own.tracks.extend(before.into_iter().map(|resource| resource.track));
            resources = behind;
        }
        let mut entities: Vec<Entity> = entities.into_values().collect();
        for entity in &mut entities {
            entity.tracks.sort_by(by_name);
            fill_absent_failures(entity);
            drop_idle_latency(entity);
        }
        resources.sort_by(|a, b| by_name(&a.track, &b.track));
        Self { grid, entities, resources }
    }
}

fn by_name(a: &Track, b: &Track) -> std::cmp::Ordering {
    (&a.namespace, &a.metric, &a.stat, &a.dimensions).cmp(&(&b.namespace, &b.metric, &b.stat, &b.dimensions))
}

/// Who is called how.
struct Names<'a> {
    own: Vec<&'a str>,
    dependencies: Vec<&'a str>,
    peers: Vec<&'a str>,
    service: &'a str,
    kin: Kin,
}

impl<'a> Names<'a> {
    fn of(scope: &'a Scope) -> Self {
        let mut own: Vec<&str> = vec![&scope.service];
        own.extend(scope.resources.lambda.iter().map(String::as_str));
        own.extend(scope.resources.ecs.iter().map(|ecs| ecs.service.as_str()));
        let others = |list: &'a [String]| -> Vec<&'a str> {
            list.iter().map(String::as_str).filter(|name| *name != scope.service).collect()
        };
        Self {
            own,
            dependencies: others(&scope.depends_on),
            peers: others(&scope.peers),
            service: &scope.service,
            kin: Kin::of(scope),
        }
    }

    /// The service that the dimensions name. A target group names it more exactly than a balancer.
    fn owner(&self, dimensions: &[(String, String)]) -> Option<(Role, String)> {
        let named = |names: &[&'a str]| -> Option<&'a str> {
            names
                .iter()
                .find(|name| {
                    dimensions.iter().any(|(_, value)| {
                        value.eq_ignore_ascii_case(name)
                            || value.split('/').any(|part| part.eq_ignore_ascii_case(name))
                    })
                })
                .copied()
        };
        if named(&[self.service]).is_some() {
            return Some((Role::Own, self.service.to_owned()));
        }
        if let Some(name) = named(&self.dependencies) {
            return Some((Role::Dependency, name.to_owned()));
        }
        if let Some(name) = named(&self.peers) {
            return Some((Role::Peer, name.to_owned()));
        }
        named(&self.own).map(|_| (Role::Own, self.service.to_owned()))
    }

    /// Whether a resource that is no service may be the service's: `Some(true)` where its name holds the
    /// service's as a whole part, or begins with its own word, `None` where it holds that of another service, which it then feeds.
    fn uses(&self, dimensions: &[(String, String)]) -> Option<bool> {
        let longest = |names: &[&str]| {
            let holds = |name: &&&str| {
                let name = name.to_lowercase();
                dimensions.iter().any(|(_, value)| words::holds_part(&value.to_lowercase(), &name))
            };
            names.iter().filter(|name| !name.is_empty()).filter(holds).map(|name| name.len()).max()
        };
        let mine = longest(&self.own);
        let theirs = longest(&self.dependencies).max(longest(&self.peers));
        let kin = theirs.is_none() && dimensions.iter().any(|(_, value)| self.kin.is(value));
        (theirs <= mine).then_some(mine.is_some() || kin)
    }
}

/// Today's window: back from now to the first long hole, on the commonest period.
fn window(series: &[&Series], now: i64) -> Grid {
    let mut periods: BTreeMap<u32, usize> = BTreeMap::new();
    for one in series {
        *periods.entry(one.period.max(1)).or_insert(0) += one.points.len();
    }
    let step = periods.iter().max_by_key(|(_, points)| **points).map_or(60, |(period, _)| i64::from(*period));
    let mut seconds: Vec<i64> = series
        .iter()
        .flat_map(|one| one.points.iter().map(|(at, _)| at.as_second()))
        .filter(|at| *at <= now)
        .collect();
    seconds.sort_unstable();
    seconds.dedup();
    let Some(&last) = seconds.last() else { return Grid::covering(now - 7200, now, 60) };
    let mut first = last;
    for &second in seconds.iter().rev() {
        if first - second > GAP_BETWEEN_WINDOWS || last - second > LONGEST_WINDOW {
            break;
        }
        first = second;
    }
    Grid::covering(first, now.max(last), step)
}

fn track(series: &Series, grid: Grid) -> Track {
    let measure = measure::of(&series.namespace, &series.metric, &series.stat);
    let mut values = vec![None; grid.len];
    let mut day_ago = vec![None; grid.len];
    let mut week_ago = vec![None; grid.len];
    for (at, value) in &series.points {
        if !value.is_finite() {
            continue;
        }
        let second = at.as_second();
        for (target, shift) in [(&mut values, 0), (&mut day_ago, DAY), (&mut week_ago, 7 * DAY)] {
            if let Some(index) = grid.index_of_second(second + shift) {
                target[index] = Some(*value);
            }
        }
    }
    if measure == Measure::Latency {
        let mut known: Vec<f64> = values.iter().flatten().copied().collect();
        known.sort_by(f64::total_cmp);
        let typical = known.get(known.len() / 2).copied().unwrap_or(0.0);
        let factor = measure::milliseconds_per_unit(&series.namespace, &series.metric, typical);
        for value in values.iter_mut().chain(&mut day_ago).chain(&mut week_ago).flatten() {
            *value *= factor;
        }
    }
    let measure =
        if counts_days(&values, &day_ago, &week_ago) { Measure::Gauge(Gauge::DaysLeft) } else { measure };
    Track {
        namespace: series.namespace.clone(),
        metric: series.metric.clone(),
        stat: series.stat.clone(),
        dimensions: series.dimensions.clone(),
        measure,
        values,
        day_ago,
        week_ago,
    }
}

/// Whether a level was one more a day ago and seven more a week ago: whatever its name, it counts days.
fn counts_days(values: &[Option<f64>], day_ago: &[Option<f64>], week_ago: &[Option<f64>]) -> bool {
    const EXACT: f64 = 0.05;
    let median = |values: &[Option<f64>]| {
        let mut known: Vec<f64> = values.iter().flatten().copied().collect();
        known.sort_by(f64::total_cmp);
        known.get(known.len() / 2).copied()
    };
    match (median(values), median(day_ago), median(week_ago)) {
        (Some(now), Some(day), Some(week)) => {
            (day - now - 1.0).abs() < EXACT && (week - now - 7.0).abs() < EXACT
        }
        _ => false,
    }
}

/// Load balancers publish no zero: a period with requests and no 5XX point had none. Other metrics
/// publish zeros, so their holes stay holes.
fn fill_absent_failures(entity: &mut Entity) {
    let requests: Vec<Track> = entity.of_measure(Measure::Requests).cloned().collect();
    for track in &mut entity.tracks {
        if !matches!(track.measure, Measure::Failures | Measure::Refusals) {
            continue;
        }
        let Some(total) = requests
            .iter()
            .find(|total| total.namespace == track.namespace && total.dimensions == track.dimensions)
        else {
            continue;
        };
        let sparse = !track.values.iter().flatten().any(|value| *value == 0.0);
        if !sparse {
            continue;
        }
        for (mine, theirs) in [
            (&mut track.values, &total.values),
            (&mut track.day_ago, &total.day_ago),
            (&mut track.week_ago, &total.week_ago),
        ] {
            for (value, requests) in mine.iter_mut().zip(theirs) {
                if value.is_none() && requests.is_some() {
                    *value = Some(0.0);
                }
            }
        }
    }
}

/// A latency of nothing is that of no request: zeros of periods in which none came are no measurement.
fn drop_idle_latency(entity: &mut Entity) {
    let Some(demand) = entity.demand().cloned() else { return };
    for track in entity.tracks.iter_mut().filter(|track| track.measure == Measure::Latency) {
        for (mine, theirs) in [
            (&mut track.values, &demand.values),
            (&mut track.day_ago, &demand.day_ago),
            (&mut track.week_ago, &demand.week_ago),
        ] {
            for (value, requests) in mine.iter_mut().zip(theirs) {
                let idle = requests.is_none_or(|requests| requests <= 0.0);
                *value = value.filter(|value| *value > 0.0 || !idle);
            }
        }
    }
}

/// Gauges of an entity, with what they count.
pub fn gauges(entity: &Entity) -> impl Iterator<Item = (Gauge, &Track)> {
    entity.tracks.iter().filter_map(|track| match track.measure {
        Measure::Gauge(gauge) => Some((gauge, track)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loses_one_a_day_counts_days_whatever_it_is_called() {
        let level = |value: f64| vec![Some(value); 30];
        assert!(counts_days(&level(0.0), &level(1.0), &level(7.0)));
        // A little more or less on other days is a level that moves.
        assert!(!counts_days(&level(12.0), &level(13.0), &level(12.0)));
        assert!(!counts_days(&level(40.0), &level(41.3), &level(47.0)));
        assert!(!counts_days(&level(0.0), &level(1.0), &vec![None; 30]));
    }
}
