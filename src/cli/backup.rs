//! `backup`: a copy of the database while it is in use.

use std::path::PathBuf;

use clap::Args;

use super::DEFAULT_DATABASE;

#[derive(Debug, Args)]
pub struct BackupArgs {
    #[arg(long, env = "DATABASE_URL", default_value = DEFAULT_DATABASE)]
    database_url: String,
    /// Made whole or not at all; a file that is there is not replaced.
    file: PathBuf,
}

pub async fn backup(args: BackupArgs) -> anyhow::Result<()> {
    let store = super::open_beside(&args.database_url).await?;
    store.back_up(&args.file).await?;
    eprintln!("{} is a whole copy; docs/operations.md says how it is restored", args.file.display());
    Ok(())
}
