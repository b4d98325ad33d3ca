//! What can be told without asking anybody: the settings and the database.

use super::Finding;
use crate::config::Settings;
use crate::store::{Store, StoreError};

pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![configuration(settings)];
    findings.extend(approvers(settings));
    findings.push(database(&settings.database_url).await);
    findings
}

fn configuration(settings: &Settings) -> Finding {
    const CHECK: &str = "configuration";
    match settings.check() {
        Ok(()) => {
            let services = settings.config.services.len();
            Finding::good(CHECK, format!("read; services with an entry of their own: {services}"))
        }
        Err(error) => Finding::failed(CHECK, error.to_string(), "`serve` starts once that is mended"),
    }
}

fn approvers(settings: &Settings) -> Option<Finding> {
    let config = &settings.config;
    let nobody = config.approvals.approvers.is_empty()
        && config.services.iter().all(|service| service.approvers.as_ref().is_none_or(Vec::is_empty));
    nobody.then(|| {
        Finding::note(
            "approvers",
            "nobody may approve a rollback",
            "list users (U…) or user groups (S…) under [approvals] approvers",
        )
    })
}

async fn database(url: &str) -> Finding {
    const CHECK: &str = "database";
    match Store::open_beside(url).await {
        Ok(store) => {
            let writable = store.can_write().await;
            store.close().await;
            if writable {
                Finding::good(CHECK, format!("{url} can be written"))
            } else {
                let what = format!("{url} cannot be written");
                Finding::failed(CHECK, what, "let the bot's user write the file and its folder")
            }
        }
        Err(StoreError::Open { path, source }) if source.kind() == std::io::ErrorKind::NotFound => {
            Finding::good(CHECK, format!("{path} is made at the first start"))
        }
        Err(error) => Finding::failed(CHECK, error.to_string(), "see DATABASE_URL or --database-url"),
    }
}
