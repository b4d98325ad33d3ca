//! The account as it stands on the morning of the story: functions with their past versions, and who
//! acts in it.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::Digest as _;

use super::neighbours::NEIGHBOURS;
use super::plot::{Actor, Story};
use super::recorder::ALIAS;
use crate::checkout::SERVICE_NAME;
use crate::demo::aws::{ApiError, AwsWorld, FunctionSettings, Identity};

/// The role that people of the team have through SSO.
pub const DEVELOPER_ROLE: &str = "AWSReservedSSO_Developer_4f3b2a1908c7d6e5";
/// How many versions a function has before the day.
const PAST_VERSIONS: u32 = 37;
/// How many of them differ in nothing that matters, and so are made of code alone.
const NEIGHBOUR_VERSIONS: u32 = 11;

/// A time of the story's day.
pub fn on(day: Date, time: jiff::civil::Time) -> Timestamp {
    let instant = day.to_datetime(time).to_zoned(TimeZone::UTC);
    instant.map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp())
}

pub fn identity(world: &AwsWorld, actor: Actor) -> Identity {
    let account = world.account();
    match actor {
        Actor::Pipeline => Identity::session(&account, "github-actions-deploy", "gha-run-1300922925"),
        Actor::Person(name) => Identity::session(&account, DEVELOPER_ROLE, &format!("{name}@shop.example")),
    }
}

/// A package's hash, as Lambda shows it, of whatever names its content.
pub fn code_sha256(content: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(content.as_bytes()))
}

/// The environment of a function as a map.
pub fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Makes all functions with the versions that they had before the day.
///
/// # Errors
/// Where a function is there already.
pub fn set_up(world: &AwsWorld, story: &Story, day: Date) -> Result<(), ApiError> {
    let midnight = on(day, jiff::civil::Time::midnight());
    let morning =
        |days: i64| midnight.saturating_sub(SignedDuration::from_hours(days * 24 - 14)).unwrap_or(midnight);
    let checkout = variables(&story.environment);
    create(world, SERVICE_NAME, checkout, PAST_VERSIONS, 512, morning(9))?;
    let released =
        if story.released_this_morning { on(day, jiff::civil::time(9, 52, 14, 0)) } else { morning(3) };
    let pipeline = identity(world, Actor::Pipeline);
    world.update_function_code(SERVICE_NAME, &code_sha256("delivery day"), &pipeline, released)?;
    let version =
        world.publish_version(SERVICE_NAME, "Show the delivery day", &pipeline, later(released, 11))?;
    world.update_alias(SERVICE_NAME, ALIAS, &version, &BTreeMap::new(), &pipeline, later(released, 19))?;
    for neighbour in &NEIGHBOURS {
        let environment = variables(neighbour.environment);
        create(world, neighbour.name, environment, NEIGHBOUR_VERSIONS, 256, morning(6))?;
    }
    Ok(())
}

fn create(
    world: &AwsWorld,
    name: &str,
    environment: BTreeMap<String, String>,
    versions: u32,
    memory_size: i64,
    newest: Timestamp,
) -> Result<(), ApiError> {
    let pipeline = identity(world, Actor::Pipeline);
    let before = |version: u32| {
        let days = i64::from(versions - version) * 4;
        newest.saturating_sub(SignedDuration::from_hours(days * 24)).unwrap_or(newest)
    };
    let settings = FunctionSettings {
        code_sha256: code_sha256(name),
        memory_size,
        role: format!("arn:aws:iam::{}:role/{name}", world.account()),
        ..FunctionSettings::default()
    };
    world.create_function(name, environment, settings, &pipeline, before(0))?;
    let mut published = "1".to_owned();
    for version in 1..=versions {
        let at = before(version);
        world.update_function_code(name, &code_sha256(&format!("{name} {version}")), &pipeline, at)?;
        published = world.publish_version(name, "", &pipeline, later(at, 9))?;
    }
    world.update_alias(name, ALIAS, &published, &BTreeMap::new(), &pipeline, later(newest, 16))
}

pub fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(at)
}
