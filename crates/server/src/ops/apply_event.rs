//! Moves a build: compare-and-set, history, the hold on its tag and the work that follows, all in the caller's transaction.

use model::{
    build::{self, Actor, BuildStatus, Circumstances, Event, Phase, Refusal, Rule},
    id::JobId,
};
use sqlx::{Sqlite, Transaction};
use store::{
    audit::{self, Deed},
    build_life::{self, Life},
    builds::{self, Build, HistoryLine},
    engines,
    held_tags::{self, Hold},
    jobs,
};

use crate::{
    clock,
    error::Problem,
    jobs::{CERTIFY_BUILD, DEPLOY_BUILD, REVIEW_BUILD},
};

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

/// Applies an event to a build read earlier; returns the status it has now. A build that becomes live pauses the one that was. The caller
/// commits.
///
/// # Errors
/// [`NotApplied`]; the caller must then drop the transaction.
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
    if rule.to == BuildStatus::Deployed && build.status != BuildStatus::Deployed {
        // First out, then in: the table never holds two live builds, and nobody sees the moment between.
        for live in builds::lock_all(tx, build.engine, &[BuildStatus::Deployed]).await? {
            let rule = build::transition(live.status, Event::Superseded, Actor::System, circumstances)?;
            apply_rule(tx, &live, rule, SYSTEM, &format!("build {} became live", build.version)).await?;
        }
    }
    apply_rule(tx, build, rule, acting, reason).await?;
    Ok(rule.to)
}

async fn apply_rule(
    tx: &mut Transaction<'static, Sqlite>,
    build: &Build,
    rule: &Rule,
    acting: Acting<'_>,
    reason: &str,
) -> Result<(), NotApplied> {
    let now = clock::now_ms();
    if !builds::set_status(tx, build.id, build.status, rule.to, now).await? {
        return Err(NotApplied::Raced);
    }
    let line = HistoryLine {
        at: now,
        actor: acting.name.to_owned(),
        event: rule.event.as_str().to_owned(),
        from_status: Some(build.status.as_str().to_owned()),
        to_status: rule.to.as_str().to_owned(),
        reason: reason.to_owned(),
    };
    builds::append_history(tx, build.id, &line).await?;
    if rule.from == BuildStatus::Pending && matches!(rule.to, BuildStatus::Approved | BuildStatus::Disapproved) {
        let waited = now - build.life.submitted_at.unwrap_or(now);
        build_life::record_decision(tx, build.id, now, waited, rule.to == BuildStatus::Approved).await?;
    }
    let life = life_after(&build.life, rule, acting, now);
    if life != build.life {
        build_life::set(tx, build.id, &life).await?;
    }
    if rule.from == rule.to {
        return Ok(());
    }
    if acting.actor != Actor::System {
        note_deed(tx, build, rule, acting, reason, now).await?;
    }
    hold_tag(tx, build, rule.to).await?;
    let job = match rule.to {
        BuildStatus::Fetching => Some((CERTIFY_BUILD, build.id.to_string())),
        BuildStatus::Pending => Some((REVIEW_BUILD, build.id.to_string())),
        // One job per engine: its deploys take place one after the other.
        BuildStatus::Deploying => Some((DEPLOY_BUILD, build.engine.to_string())),
        _ => None,
    };
    if let Some((kind, subject)) = job {
        jobs::enqueue(tx, JobId(clock::new_id()), kind, &subject, now).await?;
    }
    Ok(())
}

async fn note_deed(
    tx: &mut Transaction<'static, Sqlite>,
    build: &Build,
    rule: &Rule,
    acting: Acting<'_>,
    reason: &str,
    now: i64,
) -> Result<(), store::Error> {
    let Some(engine) = engines::lock(tx, build.engine).await? else { return Ok(()) };
    let deed = Deed {
        organization: engine.organization,
        at: now,
        actor: acting.name,
        action: &format!("build.{}", rule.event.as_str()),
        object: &format!("build {} of {} ({})", build.version, engine.name, build.id),
        detail: &format!("{} to {}{}{reason}", rule.from, rule.to, if reason.is_empty() { "" } else { ": " }),
    };
    audit::append(tx, deed).await
}

/// What a step changes besides the status.
fn life_after(life: &Life, rule: &Rule, acting: Acting<'_>, now: i64) -> Life {
    let mut life = life.clone();
    if rule.from != rule.to || rule.event == Event::PhaseOk {
        life.attempts = 0;
    }
    match (rule.from, rule.to) {
        (BuildStatus::Pending, BuildStatus::Pending) if rule.event == Event::PhaseOk => life.phase = life.phase.map(Phase::next),
        (BuildStatus::Pending, BuildStatus::Pending) => {}
        (_, BuildStatus::Pending) => {
            life.phase = Some(Phase::Security);
            (life.submitted_at, life.submitted_by) = (Some(now), Some(acting.name.to_owned()));
            (life.changes_asked, life.unproven, life.override_until) = (false, None, None);
        }
        (BuildStatus::Pending, _) => (life.phase, life.changes_asked, life.recheck) = (None, false, None),
        (from, BuildStatus::Deployed) if from != BuildStatus::Deployed => life.deployed_at = Some(now),
        (_, BuildStatus::Approved | BuildStatus::Fetching | BuildStatus::Deleted) => life.appealed_at = None,
        _ => {}
    }
    life
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
