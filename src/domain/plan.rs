//! The plan that approval is asked for: exact, and never changed once it was posted.
//!
//! The rule that is not obvious: a plan says three things apart: what will be different, what that is
//! expected to do to the symptom, and what stays wrong although the symptom is gone.

use serde::{Deserialize, Serialize};

use super::change::KeyChange;
use super::recovery::percent;
use super::report::Symptoms;
use super::rollback::RollbackTarget;
use super::rollback::words::goes;
use super::trial::{self, Design};

/// A plan names so many differences one by one; a message has its limits, and nobody reads more before pressing.
const DIFFERENCES_MAX: usize = 12;

/// What a plan is for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Aim {
    /// A change is undone, or that is taken back.
    #[default]
    Undo,
    /// A share of the traffic goes to the earlier version for a while.
    Try(Design),
    /// That is ended.
    EndTrial,
}

impl Aim {
    fn is_undo(&self) -> bool {
        *self == Self::Undo
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    #[serde(default, skip_serializing_if = "Aim::is_undo")]
    pub aim: Aim,
    /// What the call carries, values as they are: for the call alone, never shown.
    pub target: RollbackTarget,
    /// The same with secrets left out; absent in plans of earlier releases.
    #[serde(default)]
    pub shown: Option<RollbackTarget>,
    /// What it goes back to, in a few words.
    pub what: String,
    /// The call that changes something, as IAM names it: `lambda:UpdateAlias`.
    #[serde(default)]
    pub call: String,
    /// What will be different afterwards, a sentence each.
    pub effects: Vec<String>,
    /// All that differs between what is there (`after`) and what it goes back to (`before`), as it may be shown,
    /// where the step names versions and not values.
    #[serde(default)]
    pub differs: Vec<KeyChange>,
    /// Whether the code differs as well.
    #[serde(default)]
    pub code_differs: bool,
    /// What that is expected to do to the symptom.
    #[serde(default)]
    pub expected: String,
    /// What stays wrong and must be mended at its source.
    pub stays_wrong: Vec<String>,
    /// What must still hold when it is carried out, a sentence each; else nothing is changed.
    #[serde(default)]
    pub preconditions: Vec<String>,
    /// The same by hand, for the `aws` command line.
    #[serde(default)]
    pub command: String,
    /// What trying it without effect showed.
    #[serde(default)]
    pub tried: Option<String>,
    /// ARN of whoever made the change that is undone; `None` for a pipeline, which is nobody.
    pub author: Option<String>,
    /// The service whose resource it is, where that is another than the incident's: its approvers decide.
    #[serde(default)]
    pub service: Option<String>,
}

impl Plan {
    /// The plan that takes this step. Every text is made of values that passed `show`, which gets a key and its
    /// value.
    pub fn of(
        target: RollbackTarget,
        author: Option<String>,
        expected: String,
        show: &dyn Fn(&str, &str) -> String,
    ) -> Self {
        let shown = target.with_values(show);
        Self {
            aim: Aim::Undo,
            what: shown.describe(),
            call: shown.call().to_owned(),
            effects: shown.effects(),
            differs: Vec::new(),
            code_differs: false,
            expected,
            stays_wrong: shown.stays_wrong(),
            preconditions: shown.preconditions(),
            command: shown.as_command(),
            tried: None,
            author,
            service: None,
            shown: Some(shown),
            target,
        }
    }

    /// The plan that tries this design; `target` is its step with all that AWS knows of it.
    pub fn trying(design: Design, target: RollbackTarget, author: Option<String>) -> Self {
        let Design { alias, current, earlier, .. } = &design;
        let effects = vec![
            format!(
                "{} through {alias} goes to version {earlier}, the rest stays on version {current}.",
                trial::share()
            ),
            format!(
                "After {} all of it goes to version {current} again, by itself. An approver can end it sooner.",
                trial::minutes()
            ),
        ];
        let begin = target.as_command();
        let end = target.reversed().map(|end| end.without_revision()).unwrap_or_default();
        Self {
            what: design.describe(),
            effects,
            stays_wrong: vec!["What is wrong stays wrong: a test only tells two causes apart.".into()],
            command: format!("{begin}\n# after {}:\n{end}", trial::minutes()),
            ..Self::of(target, author, design.predicts(), &|_, value| value.to_owned())
        }
        .with_aim(Aim::Try(design))
    }

    /// The plan that ends a test; `target` leads back to what was there before it.
    pub fn ending(design: &Design, target: RollbackTarget) -> Self {
        let Design { function, alias, current, .. } = design;
        Self {
            what: format!("{function}:{alias}, all traffic to version {current} again"),
            stays_wrong: Vec::new(),
            ..Self::of(target, None, String::new(), &|_, value| value.to_owned())
        }
        .with_aim(Aim::EndTrial)
    }

    fn with_aim(self, aim: Aim) -> Self {
        Self { aim, ..self }
    }

    /// What it is called in a sentence about it.
    pub fn noun(&self) -> &'static str {
        if self.design().is_some() { "test" } else { "rollback" }
    }

    /// What is tried, where it is a test.
    pub fn design(&self) -> Option<&Design> {
        match &self.aim {
            Aim::Try(design) => Some(design),
            Aim::Undo | Aim::EndTrial => None,
        }
    }

    /// The plan with all that differs between the two versions, not only what is blamed. A step that names its values
    /// says so itself. Every value passes `show`, which gets a key and its value.
    #[must_use]
    pub fn differing(
        mut self,
        differs: &[KeyChange],
        code: bool,
        show: &dyn Fn(&str, &str) -> String,
    ) -> Self {
        if !self.target.names_versions() {
            return self;
        }
        let side = |key: &str, value: &Option<String>| value.as_deref().map(|value| show(key, value));
        self.differs = differs
            .iter()
            .map(|one| KeyChange {
                key: one.key.clone(),
                before: side(&one.key, &one.before),
                after: side(&one.key, &one.after),
            })
            .collect();
        self.code_differs = code;
        // Of a test the rest of the traffic meets nothing of it.
        let (whom, the) = if self.design().is_some() { ("For that share ", "the") } else { ("", "The") };
        let named = self.differs.iter().take(DIFFERENCES_MAX);
        let named = named.map(|one| goes(&one.key, one.after.as_deref(), one.before.as_deref()));
        self.effects.extend(named.map(|goes| format!("{whom}{goes}")));
        if let Some(more @ 1..) = self.differs.len().checked_sub(DIFFERENCES_MAX) {
            self.effects.push(format!("And {more} more settings go back."));
        }
        if code {
            self.effects.push(format!("{whom}{the} code goes back with it."));
        }
        if self.differs.is_empty() && !code {
            self.effects.push("What differs between the two could not be read.".into());
        }
        self
    }

    /// The plan as it may be handed out: what the call carries is replaced by what may be shown of it.
    #[must_use]
    pub fn for_showing(mut self) -> Self {
        if let Some(shown) = self.shown.take() {
            self.target = shown;
        }
        self
    }
}

/// What taking a rollback back is expected to do: it did not help, so that nothing hangs on it.
pub const NOTHING_EXPECTED: &str =
    "The symptom is expected to stay as it is: the rollback did not help, and what it changed is put back.";

/// What undoing the cause is expected to do, from the levels before and during the incident.
pub fn expected_effect(levels: &Symptoms) -> String {
    let rates = levels.incident_error_rate.zip(levels.baseline_error_rate);
    let latencies = levels.incident_latency_p99.zip(levels.baseline_latency_p99);
    match (rates, latencies) {
        (Some((now, before)), _) if now > before + 0.005 => {
            format!(
                "The error rate goes from {} back to about {}, as before the incident.",
                percent(now),
                percent(before)
            )
        }
        (_, Some((now, before))) if now > before * 1.2 => {
            format!("p99 latency goes from {now:.0} ms back to about {before:.0} ms, as before the incident.")
        }
        _ => {
            "No figure of the symptom stands out, so what it does to it cannot be told in figures.".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_secret_is_in_any_text_of_a_plan_and_the_call_still_carries_it() {
        let environment = RollbackTarget::LambdaConfiguration {
            function: "checkout".into(),
            keys: [("DB_PASSWORD".to_owned(), (Some("hunter2".to_owned()), Some("hunter1".to_owned())))]
                .into(),
            settings: [].into(),
            revision_id: "r".into(),
        };
        let parameter = RollbackTarget::SsmParameter {
            name: "/checkout/db_password".into(),
            from_version: 2,
            from_value: Some("hunter2".into()),
            to_value: "hunter1".into(),
        };
        for target in [environment, parameter] {
            let plan = Plan::of(target.clone(), None, String::new(), &|_, _| "a secret, not shown".into());
            assert_eq!(plan.target, target);
            assert!(plan.effects[0].contains("a secret, not shown"), "{:?}", plan.effects);
            let handed_out = serde_json::to_string(&plan.for_showing()).unwrap();
            assert!(!handed_out.contains("hunter"), "{handed_out}");
        }
    }

    #[test]
    fn the_expected_effect_names_the_level_that_differs() {
        let mut levels = Symptoms {
            baseline_error_rate: Some(0.05),
            incident_error_rate: Some(0.4),
            ..Symptoms::default()
        };
        assert_eq!(
            expected_effect(&levels),
            "The error rate goes from 40.0 % back to about 5.0 %, as before the incident."
        );
        levels.incident_error_rate = Some(0.05);
        (levels.baseline_latency_p99, levels.incident_latency_p99) = (Some(300.0), Some(2_100.0));
        assert!(
            expected_effect(&levels).contains("2100 ms back to about 300 ms"),
            "{}",
            expected_effect(&levels)
        );
        assert!(expected_effect(&Symptoms::default()).contains("cannot be told in figures"));
    }

    fn alias() -> RollbackTarget {
        RollbackTarget::LambdaAlias {
            function: "checkout".into(),
            alias: "live".into(),
            from_version: "39".into(),
            to_version: "38".into(),
            from_weights: [].into(),
            to_weights: [].into(),
            revision_id: "r".into(),
        }
    }

    #[test]
    fn a_test_says_what_it_does_for_how_long_and_what_either_cause_predicts() {
        let design = Design {
            function: "checkout".into(),
            alias: "live".into(),
            current: "39".into(),
            earlier: "38".into(),
            change: "alias move of checkout".into(),
            other: "parameter change of /checkout/limit".into(),
            if_change: 0.01,
            if_other: 0.4,
            needed: 7,
            expected: 16,
        };
        let differs = [KeyChange { key: "POOL".into(), before: Some("10".into()), after: Some("5".into()) }];
        let show = |_: &str, value: &str| value.to_owned();
        let plan = Plan::trying(design.clone(), design.step(), None).differing(&differs, true, &show);
        assert_eq!(
            plan.effects,
            [
                "5 % of the traffic through live goes to version 38, the rest stays on version 39.",
                "After 5 minutes all of it goes to version 39 again, by itself. An approver can end it sooner.",
                "For that share POOL goes from 5 to 10.",
                "For that share the code goes back with it."
            ]
        );
        assert_eq!(
            (plan.what.as_str(), plan.call.as_str()),
            (design.describe().as_str(), "lambda:UpdateAlias")
        );
        assert!(
            plan.expected.contains("about 1.0 % of the requests to version 38 fail"),
            "{}",
            plan.expected
        );
        for part in
            ["'AdditionalVersionWeights={\"38\"=0.05}'", "# after 5 minutes", "'AdditionalVersionWeights={}'"]
        {
            assert!(plan.command.contains(part), "{part}: {}", plan.command);
        }
        let stored: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(stored, plan);
        let end = Plan::ending(&design, design.step().reversed().unwrap());
        assert_eq!(end.effects[0], "All traffic through live goes to version 39.");
    }

    #[test]
    fn a_plan_says_all_that_differs_between_two_versions_and_not_only_what_is_blamed() {
        let key = |key: &str, before: Option<&str>, after: Option<&str>| KeyChange {
            key: key.into(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        let show = |key: &str, value: &str| {
            if key == "TOKEN" { "a secret, not shown".to_owned() } else { value.to_owned() }
        };
        let differs = [
            key("DB_POOL_SIZE", Some("10"), Some("5")),
            key("NEW_CHECKOUT", None, Some("on")),
            key("TOKEN", Some("hunter1"), Some("hunter2")),
        ];
        let plan = Plan::of(alias(), None, String::new(), &show).differing(&differs, true, &show);
        assert_eq!(
            plan.effects,
            [
                "All traffic through live goes to version 38.",
                "DB_POOL_SIZE goes from 5 to 10.",
                "NEW_CHECKOUT goes from on to unset.",
                "TOKEN goes from a secret, not shown to a secret, not shown.",
                "The code goes back with it."
            ]
        );
        assert!(!serde_json::to_string(&plan).unwrap().contains("hunter"));
        // A step that names its values says it all by itself.
        let setting = RollbackTarget::LambdaConcurrency { function: "f".into(), from: Some(1), to: None };
        let plan = Plan::of(setting, None, String::new(), &show).differing(&differs, true, &show);
        assert_eq!(plan.effects.len(), 1);
        let many: Vec<KeyChange> = (0..20).map(|n| key(&format!("K{n}"), Some("1"), Some("2"))).collect();
        let plan = Plan::of(alias(), None, String::new(), &show).differing(&many, false, &show);
        assert_eq!(plan.effects.last().unwrap(), "And 8 more settings go back.");
    }
}
