//! Which clients a service is read with: one set for each account, Region and role that the configuration names.
//!
//! Rule: what AWS limits belongs to an account and Region, so whoever reads there shares its pace, by whatever role. Whose
//! account the process's own credentials are is not asked for at the start: they count as an account of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::clients::Clients;
use super::errors::ReadError;
use super::pace::Limits;
use super::settings::{AwsSettings, Place};

/// Results of Insights queries that are taken in at the same time, of all incidents together.
/// Ten thousand rows are some twenty megabytes while they are taken in.
const RESULTS_AT_ONCE: usize = 5;

/// Clients by where a service lives.
#[derive(Debug)]
pub struct Accounts {
    own: Clients,
    others: BTreeMap<Place, Clients>,
}

impl Accounts {
    /// Prepares all of them; nothing is called and no role is assumed yet.
    ///
    /// # Errors
    /// [`ReadError::Credentials`] where no Region is configured anywhere.
    pub async fn connect(settings: &AwsSettings) -> Result<Self, ReadError> {
        let base = Clients::base(settings).await;
        let mut grounds = Grounds::default();
        let own = Clients::enter(&base, settings, &mut grounds).await?;
        let mut others = BTreeMap::new();
        for place in &settings.places {
            let there = settings.at(place);
            let is_here = there.region.as_deref().is_none_or(|region| region == own.region())
                && there.read_role_arn == settings.read_role_arn
                && there.write_role_arn == settings.write_role_arn
                && there.external_id == settings.external_id;
            let there =
                if is_here { own.clone() } else { Clients::enter(&base, &there, &mut grounds).await? };
            others.insert(place.clone(), there);
        }
        Ok(Self { own, others })
    }

    /// The clients of a service that lives there.
    pub fn at(&self, place: &Place) -> &Clients {
        self.others.get(place).unwrap_or(&self.own)
    }

    /// The clients of every service that names no place.
    pub fn own(&self) -> &Clients {
        &self.own
    }

    /// Assumes every role beforehand, so that the first alert does not wait for it. What fails is found again by whoever
    /// needs it.
    pub async fn warm_up(&self, deadline: Instant) {
        let all = std::iter::once(&self.own).chain(self.others.values());
        futures::future::join_all(all.map(|clients| clients.caller(deadline))).await;
    }

    /// The services that are read, as `/readyz` names them, and whether each answers everywhere as far as is known.
    pub fn answering(&self) -> Vec<(&'static str, bool)> {
        let mut answering = self.own.answering();
        for there in self.others.values() {
            for ((_, answers), (_, too)) in answering.iter_mut().zip(there.answering()) {
                *answers &= too;
            }
        }
        answering
    }
}

/// What those share who read in the same account and Region, or in the same process.
#[derive(Debug)]
pub(super) struct Grounds {
    by_account_and_region: BTreeMap<(String, String), Arc<Limits>>,
    /// Who may take a query's results in.
    pub results: Arc<Semaphore>,
}

impl Default for Grounds {
    fn default() -> Self {
        Self { by_account_and_region: BTreeMap::new(), results: Arc::new(Semaphore::new(RESULTS_AT_ONCE)) }
    }
}

impl Grounds {
    /// The limits of a role's account in a Region.
    pub fn limits(&mut self, role_arn: Option<&str>, region: &str) -> Arc<Limits> {
        // arn:aws:iam::123456789012:role/reader
        let account = role_arn.and_then(|arn| arn.split(':').nth(4)).unwrap_or_default();
        self.by_account_and_region.entry((account.to_owned(), region.to_owned())).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(account: &str, name: &str) -> String {
        format!("arn:aws:iam::{account}:role/{name}")
    }

    #[test]
    fn roles_of_one_account_share_its_limits_in_each_region() {
        let mut grounds = Grounds::default();
        let mut of =
            |account: &str, name: &str, region: &str| grounds.limits(Some(&role(account, name)), region);
        let first = of("111111111111", "reader", "eu-central-1");
        assert!(Arc::ptr_eq(&first, &of("111111111111", "other", "eu-central-1")));
        assert!(!Arc::ptr_eq(&first, &of("111111111111", "reader", "us-east-1")));
        assert!(!Arc::ptr_eq(&first, &of("222222222222", "reader", "eu-central-1")));
    }

    #[test]
    fn a_place_with_a_reading_role_of_its_own_takes_no_role_of_the_general_ones() {
        let general = AwsSettings {
            region: Some("us-east-1".to_owned()),
            read_role_arn: Some(role("111111111111", "reader")),
            write_role_arn: Some(role("111111111111", "writer")),
            external_id: Some("general".to_owned()),
            ..AwsSettings::default()
        };
        let elsewhere = Place { region: Some("eu-central-1".to_owned()), ..Place::default() };
        let at = general.at(&elsewhere);
        assert_eq!(at.region.as_deref(), Some("eu-central-1"));
        assert_eq!(
            (at.read_role_arn, at.write_role_arn),
            (general.read_role_arn.clone(), general.write_role_arn.clone())
        );
        let other = Place { read_role_arn: Some(role("222222222222", "reader")), ..Place::default() };
        let at = general.at(&other);
        assert_eq!(at.read_role_arn, Some(role("222222222222", "reader")));
        assert_eq!(at.write_role_arn, None, "the general writing role is of another account");
        assert_eq!((at.region.as_deref(), at.external_id.as_deref()), (Some("us-east-1"), Some("general")));
    }
}
