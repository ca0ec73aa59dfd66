//! Moves a build: compare-and-set, history, the hold on its tag and the work that follows, all in the caller's transaction.

use model::{
    build::{self, Actor, BuildStatus, Circumstances, Event, Refusal},
    id::JobId,
};
use sqlx::{Sqlite, Transaction};
use store::{
    builds::{self, Build, HistoryLine},
    engines,
    held_tags::{self, Hold},
    jobs,
};

use crate::{clock, error::Problem, jobs::CERTIFY_BUILD};

/// Who causes an event.
#[derive(Clone, Copy, Debug)]
pub struct Acting<'a> {
    /// Their part in the state machine.
    pub actor: Actor,
    /// E-mail of a person, or `system`.
    pub name: &'a str,
}

/// The gate itself.
pub const SYSTEM: Acting<'static> = Acting { actor: Actor::System, name: "system" };

/// Why a build was not moved.
#[derive(Debug, thiserror::Error)]
pub enum NotApplied {
    /// The state machine refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Somebody else moved it first.
    #[error("the build was changed by somebody else at the same time")]
    Raced,
    /// A reason text is required.
    #[error("give a reason")]
    ReasonMissing,
    /// The database refused.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<NotApplied> for Problem {
    fn from(error: NotApplied) -> Self {
        match error {
            NotApplied::Store(error) => Self::internal(&error),
            NotApplied::Refused(Refusal::NotFound) => Self::NotFound { object: "Build", id: String::new() },
            NotApplied::Refused(Refusal::NotAllowed { .. }) => Self::NotAllowed(error.to_string()),
            other => Self::invalid(other.to_string()),
        }
    }
}

/// Applies an event to a build read earlier; returns the status it has now. The caller commits.
///
/// # Errors
/// [`NotApplied`]; the transaction has then changed nothing for this build.
pub async fn apply_event(
    tx: &mut Transaction<'static, Sqlite>,
    build: &Build,
    event: Event,
    acting: Acting<'_>,
    circumstances: &Circumstances,
    reason: &str,
) -> Result<BuildStatus, NotApplied> {
    let rule = build::transition(build.status, event, acting.actor, circumstances)?;
    if rule.needs_reason && reason.trim().is_empty() {
        return Err(NotApplied::ReasonMissing);
    }
    let now = clock::now_ms();
    if !builds::set_status(tx, build.id, build.status, rule.to, now).await? {
        return Err(NotApplied::Raced);
    }
    let line = HistoryLine {
        at: now,
        actor: acting.name.to_owned(),
        event: event.as_str().to_owned(),
        from_status: Some(build.status.as_str().to_owned()),
        to_status: rule.to.as_str().to_owned(),
        reason: reason.to_owned(),
    };
    builds::append_history(tx, build.id, &line).await?;
    hold_tag(tx, build, rule.to).await?;
    if rule.to == BuildStatus::Fetching && build.status != BuildStatus::Fetching {
        jobs::enqueue(tx, JobId(clock::new_id()), CERTIFY_BUILD, &build.id.to_string(), now).await?;
    }
    Ok(rule.to)
}

/// Whether the tag of a build in this status must go on naming it: people have decided, or are deciding, about what it names.
fn holds_tag(status: BuildStatus) -> bool {
    match status {
        BuildStatus::Pending
        | BuildStatus::Approved
        | BuildStatus::Deploying
        | BuildStatus::Deployed
        | BuildStatus::DeployFailed
        | BuildStatus::Paused => true,
        BuildStatus::Uploaded
        | BuildStatus::Fetching
        | BuildStatus::Available
        | BuildStatus::Invalid
        | BuildStatus::Disapproved
        | BuildStatus::Deleted => false,
    }
}

async fn hold_tag(tx: &mut Transaction<'static, Sqlite>, build: &Build, status: BuildStatus) -> Result<(), store::Error> {
    let holder = build.id.to_string();
    let Some(repository) = build.repository.parse().ok().filter(|_| holds_tag(status)) else {
        return held_tags::release(tx, &holder).await;
    };
    let name = engines::name(tx, build.engine).await?;
    let reason = format!(
        "it names build {} of engine {name}, which is {status}; push under another tag, which makes a new build, or delete that build first",
        build.version
    );
    let hold = Hold { tag: build.tag.clone(), digest: build.digest.clone(), reason, page: format!("/builds/{}", build.id) };
    held_tags::hold(tx, &holder, &repository, &hold).await
}

#[cfg(test)]
mod tests;
