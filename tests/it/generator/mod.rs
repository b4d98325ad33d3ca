//! The project's own incidents: a simulator that writes bundles whose truth is known.
//!
//! The rule that is not obvious: it shares nothing with the engine but the bundle's format. It turns
//! knobs of a simulated service and lets queues, pools and clocks make the symptoms; no word list,
//! no ontology and no threshold of the engine is read here.

mod clock;
pub mod families;
mod fleet;
mod logs;
mod metrics;
mod model;
mod names;
mod physics;
mod play;
mod random;
mod series;
mod settings;
mod stage;
mod style;
mod trail;
mod wording;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use families::{FAMILIES, Family, Truth};
use random::Random;
use serde_json::{Value, json};

/// An incident, before anybody has looked at it.
pub struct Incident {
    /// The family, what misleads in it, and its number: a folder's name.
    pub name: String,
    pub family: &'static str,
    /// Every file of the bundle but its truth, by path.
    pub files: BTreeMap<String, Vec<u8>>,
    pub truth: Truth,
    /// The service's configuration keys.
    pub keys: Vec<String>,
}

impl Incident {
    pub fn truth_json(&self) -> Value {
        json!({
            "cause": self.truth.cause, "event_ids": self.truth.event_ids, "config_keys": self.truth.config_keys,
            "rollback": self.truth.rollback, "max_confidence": self.truth.max_confidence, "min_confidence": 0.0,
        })
    }

    /// Writes the bundle, with its truth, into a folder of its own below `folder`.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let home = folder.join(&self.name);
        for (path, content) in &self.files {
            let path = home.join(path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, content)?;
        }
        std::fs::write(home.join("truth.json"), serde_json::to_vec(&self.truth_json())?)
    }
}

/// `count` incidents of `seed`: in every hundred, each family as often as its weight says.
pub fn generate(seed: u64, count: usize) -> impl Iterator<Item = Incident> {
    let deck: Vec<&'static Family> =
        FAMILIES.iter().flat_map(|family| std::iter::repeat_n(family, family.weight)).collect();
    (0..count).map(move |index| {
        let mut order: Vec<usize> = (0..deck.len()).collect();
        Random::for_incident(seed, u64::MAX - (index / deck.len()) as u64).shuffle(&mut order);
        incident(seed, index, deck[order[index % deck.len()]])
    })
}

fn incident(seed: u64, index: usize, family: &'static Family) -> Incident {
    let mut stage = stage::Stage::new(Random::for_incident(seed, index as u64));
    let mut worn = families::disguises::before(&mut stage, family.disguise);
    let truth = (family.act)(&mut stage);
    if stage.now - stage.onset < 1000 {
        // Five-minute periods would show nothing of it yet.
        stage.period = 60;
    }
    worn.extend(families::disguises::after(&mut stage, family.disguise));
    let mut name = format!("{}-{index:05}", family.name);
    for disguise in worn {
        name.push('+');
        name.push_str(disguise);
    }
    let keys = stage.fleet.current().config.iter().map(|entry| entry.key.clone()).collect();
    Incident { name, family: family.name, files: play::files(stage), truth, keys }
}
