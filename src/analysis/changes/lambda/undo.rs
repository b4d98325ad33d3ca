//! What undoing a deployment of a function would mean, or why it is not possible.
//!
//! The rule that is not obvious: an alias can go back only while it still points to what the
//! deployment brought, and `$LATEST` only where every value that changed is known from before.

use std::collections::BTreeMap;

use super::super::difference::masked;
use super::Function;
use crate::domain::change::{Change, KeyChange};
use crate::domain::rollback::RollbackTarget;

impl Function<'_, '_> {
    pub(super) fn undo_alias(&self, alias: Option<&str>, change: &Change) -> Result<RollbackTarget, String> {
        if change.no_op {
            return Err("it changed nothing but labels".to_owned());
        }
        let (Some(from), Some(to)) = (change.from_version.as_deref(), change.to_version.as_deref()) else {
            return Err("nothing shows which version served before".to_owned());
        };
        let aliases = self.history.and_then(|history| history.aliases.as_ref());
        let Some(aliases) = aliases else {
            return Err("the function's aliases could not be read".to_owned());
        };
        let Some(now) = aliases.iter().find(|known| alias.is_none_or(|alias| alias == known.name)) else {
            return Err("the alias does not exist any more".to_owned());
        };
        let weighted = now.weights.contains_key(to);
        if now.version != to && !weighted {
            return Err(format!("the alias {} has moved on to version {}", now.name, now.version));
        }
        for version in [from, to] {
            // What differs between the two belongs into the plan.
            if self.version(version).is_none() {
                return Err(format!("version {version} does not exist any more, or could not be read"));
            }
        }
        Ok(RollbackTarget::LambdaAlias {
            function: self.name.to_owned(),
            alias: now.name.clone(),
            // Of a canary it is the version beside it that is undone.
            from_version: now.version.clone(),
            to_version: from.to_owned(),
            from_weights: now.weights.clone(),
            to_weights: BTreeMap::new(),
            revision_id: now.revision_id.clone(),
        })
    }

    /// `again`: the configuration was asked to change once more since.
    pub(super) fn undo_latest(
        &self,
        change: &Change,
        again: bool,
        environment_known: bool,
    ) -> Result<RollbackTarget, String> {
        if change.code_changed {
            return Err("$LATEST serves, and Lambda keeps no earlier package of it".to_owned());
        }
        if !environment_known {
            return Err("$LATEST serves, and nothing shows the environment that it had before".to_owned());
        }
        if change.no_op || change.keys.is_empty() {
            return Err("it changed nothing that could be put back".to_owned());
        }
        let Some(latest) = self.version("$LATEST") else {
            return Err("the function's configuration could not be read".to_owned());
        };
        let (variables, settings): (Vec<&KeyChange>, Vec<&KeyChange>) = change.keys.iter().partition(|key| {
            key.after.as_ref().is_some_and(|after| latest.environment.get(&key.key) == Some(after))
                || (key.after.is_none() && !latest.settings.contains_key(&key.key))
        });
        if again {
            return Err("the configuration was changed again since".to_owned());
        }
        if variables.iter().any(|key| latest.environment.get(&key.key).is_some_and(|value| masked(value))) {
            return Err("a variable that changed is secret, and its earlier value is not known".to_owned());
        }
        let mut restored = BTreeMap::new();
        for key in settings {
            let (Some(before), Some(after)) = (&key.before, &key.after) else {
                return Err(format!("nothing shows what {} was before", key.key));
            };
            if !matches!(key.key.as_str(), "Timeout" | "MemorySize") {
                return Err(format!("{} is not put back by itself", key.key));
            }
            if latest.settings.get(&key.key) != Some(after) {
                return Err(format!("{} was changed again since", key.key));
            }
            restored.insert(key.key.clone(), (after.clone(), before.clone()));
        }
        Ok(RollbackTarget::LambdaConfiguration {
            function: self.name.to_owned(),
            keys: variables
                .iter()
                .map(|key| (key.key.clone(), (key.after.clone(), key.before.clone())))
                .collect(),
            settings: restored,
            revision_id: latest.revision_id.clone(),
        })
    }
}
