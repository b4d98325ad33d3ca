//! What can be told without asking anybody: the settings and the database.
//!
//! The rule that is not obvious: what `serve` would refuse fails here too, and nothing is left behind by finding out.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Finding;
use crate::config::Settings;
use crate::store::{Store, StoreError, path_of};

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

/// Whoever is listed is looked for in Slack, by the kind of their id; an id of no kind is nobody's.
fn approvers(settings: &Settings) -> Vec<Finding> {
    const CHECK: &str = "approvers";
    let listed = super::approvers(settings);
    if listed.is_empty() {
        let remedy = "list users (U…) or user groups (S…) under [approvals] approvers";
        return vec![Finding::note(CHECK, "nobody may approve a rollback", remedy)];
    }
    let nobodys = listed.iter().filter(|id| !id.starts_with(['S', 'U', 'W']));
    nobodys
        .map(|id| {
            let what = format!("{id:?} is no id of a user (U…, W…) or of a user group (S…)");
            Finding::failed(CHECK, what, "a user's id stands in their profile, under '⋮' → 'Copy member ID'")
        })
        .collect()
}

const DATABASE: &str = "database";

async fn database(url: &str) -> Finding {
    let store = match Store::open_beside(url).await {
        Ok(store) => store,
        Err(StoreError::Open { path, .. }) => return to_be_made(Path::new(&path)),
        Err(error) => {
            return Finding::failed(DATABASE, error.to_string(), "see DATABASE_URL or --database-url");
        }
    };
    let (writable, version) = (store.can_write().await, store.expect_current().await);
    store.close().await;
    match version {
        Err(StoreError::Version { found, known }) if found < known => Finding::note(
            DATABASE,
            format!("{url} is of version {found}, and this program makes {known} of it"),
            "`serve` does that at its start, and there is no way back: `incident-commander backup` comes first",
        ),
        Err(error @ StoreError::Version { .. }) => Finding::failed(
            DATABASE,
            error.to_string(),
            "start that one again, or put the copy from before the upgrade in its place",
        ),
        Err(error) => Finding::failed(DATABASE, error.to_string(), "see DATABASE_URL or --database-url"),
        Ok(()) if !writable => {
            let what = format!("{url} cannot be written");
            Finding::failed(DATABASE, what, "let the bot's user write the file and its folder")
        }
        Ok(()) => path_of(url).ok().and_then(|path| of_another_user(&path)).unwrap_or_else(|| {
            Finding::good(DATABASE, format!("{url} can be written, and is of this program's version"))
        }),
    }
}

/// Whether a database that is not there can be made: in its folder, or in the nearest one that is there.
fn to_be_made(path: &Path) -> Finding {
    let here = Path::new(".");
    let above = path.ancestors().skip(1).map(|one| if one.as_os_str().is_empty() { here } else { one });
    let folder = above.into_iter().find(|one| one.exists()).unwrap_or(here);
    // It is tried: neither modes nor a read-only file system are seen by who may do everything.
    let probe = folder.join(format!(".incident-commander-doctor-{}", std::process::id()));
    let tried = std::fs::OpenOptions::new().write(true).create_new(true).open(&probe);
    match tried.and_then(|_| std::fs::remove_file(&probe)) {
        Ok(()) => Finding::good(DATABASE, format!("{} is made at the first start", path.display())),
        Err(reason) => Finding::failed(
            DATABASE,
            format!("{} cannot be made: {}: {reason}", path.display(), folder.display()),
            "let the bot's user write that folder, or name another file with DATABASE_URL",
        ),
    }
}

/// A restored copy that is the superuser's still: whoever owns the folder, and is the bot, cannot write it.
fn of_another_user(file: &Path) -> Option<Finding> {
    let owner = |path: &Path| std::fs::metadata(path).ok().map(|about| about.uid());
    let folder =
        file.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?;
    let (me, owner_of_file, owner_of_folder) =
        (owner(Path::new("/proc/self"))?, owner(file)?, owner(folder)?);
    keeps_the_bot_out(me, owner_of_file, owner_of_folder).then(|| {
        let (file, folder) = (file.display(), folder.display());
        Finding::failed(
            DATABASE,
            format!("{file} belongs to root and its folder to user {owner_of_folder}, who cannot write it"),
            format!("chown --reference={folder}/. {file}"),
        )
    })
}

/// By the ids of users. Only the superuser, who may write everything, is fooled by what they can write themselves.
fn keeps_the_bot_out(me: u32, owner_of_file: u32, owner_of_folder: u32) -> bool {
    me == 0 && owner_of_file == 0 && owner_of_folder != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_superusers_in_the_bots_folder_keeps_the_bot_out() {
        assert!(keeps_the_bot_out(0, 0, 61_234));
        assert!(!keeps_the_bot_out(0, 61_234, 61_234), "it is the bot's");
        assert!(!keeps_the_bot_out(0, 0, 0), "the bot is root");
        assert!(!keeps_the_bot_out(1000, 0, 61_234), "whether it can be written was seen");
    }
}
