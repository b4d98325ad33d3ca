//! App Home, made anew each time that somebody opens it.
//!
//! The rule that is not obvious: it is published after the event was answered. Who may decide what needs
//! Slack's word on its groups, and nobody is kept waiting for that.

use super::desk::Desk;
use crate::domain::incident::State;
use crate::slack::answers::ListLine;
use crate::slack::home::{self, Home, Waiting};
use crate::store::{IncidentRow, Result};

/// So many incidents are looked at, the newest first.
const LOOKED_AT: i64 = 200;

impl Desk {
    /// Shows somebody their Home, in the background.
    pub(super) fn open_home(&self, user: String) {
        let desk = self.clone();
        tokio::spawn(async move {
            let view = match desk.home(&user).await {
                Ok(home) => home::home(&home),
                Err(error) => {
                    tracing::error!(%error, "App Home cannot be read from the database");
                    return;
                }
            };
            if let Err(error) = desk.slack.publish_home(&user, &view).await {
                tracing::warn!(%error, "App Home could not be published");
            }
        });
    }

    async fn home(&self, user: &str) -> Result<Home> {
        let now = self.clock.now();
        let (mut open, mut waiting, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
        let open_in_all = self.store.open_incidents(None).await?.len();
        for line in self.store.list(LOOKED_AT).await? {
            let is_open = line.state != State::Resolved;
            let is_wanted = if is_open {
                open.len() < home::OPEN_MAX
                    || matches!(line.state, State::AwaitingApproval | State::NotRecovered)
            } else {
                line.verdict.is_some() && verdicts.len() < home::VERDICTS_MAX
            };
            let Some(row) = self.store.incident_row(line.id).await?.filter(|_| is_wanted) else { continue };
            if is_open && waiting.len() < home::WAITING_MAX {
                waiting.extend(self.waits_for(user, &row, now).await?);
            }
            let shown = ListLine {
                id: line.id,
                service: line.service,
                state: line.state,
                opened_at: line.opened_at,
                verdict: line.verdict,
                link: self.link(row.channel.as_deref(), row.thread_ts.as_deref()),
            };
            if is_open { open.push(shown) } else { verdicts.push(shown) }
        }
        Ok(Home { open, open_in_all, waiting, verdicts, scorecard: self.store.scorecard().await?, now })
    }

    /// The plan of an incident that waits for somebody's decision, where it may be this person's.
    async fn waits_for(
        &self,
        user: &str,
        row: &IncidentRow,
        now: jiff::Timestamp,
    ) -> Result<Option<Waiting>> {
        if !matches!(row.state, State::AwaitingApproval | State::NotRecovered) {
            return Ok(None);
        }
        let Some(approval) = self.store.pending_approval(row.id).await? else { return Ok(None) };
        let service = approval.plan.service.as_deref().unwrap_or(&row.service);
        let approvers = self.config.approvers_of(service).iter().chain(&self.config.approvals.break_glass);
        let mut may = false;
        for one in approvers {
            may |= one == user
                || one.starts_with('S')
                    && self
                        .slack
                        .group_members(one)
                        .await
                        .inspect_err(
                            |error| tracing::warn!(group = one, %error, "a user group cannot be read"),
                        )
                        .is_ok_and(|members| members.iter().any(|member| member == user));
        }
        if !may || now >= approval.expires_at {
            return Ok(None);
        }
        Ok(Some(Waiting {
            id: row.id,
            service: row.service.clone(),
            what: approval.plan.what.clone(),
            expires_at: approval.expires_at,
            link: self.link(approval.channel.as_deref(), approval.message_ts.as_deref()),
        }))
    }
}
