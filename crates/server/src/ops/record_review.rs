//! What gate B found: report, phase, status and history in one transaction. A decision that a person made meanwhile stands.

use model::{
    build::{BuildStatus, Circumstances, Event, Phase},
    report::Report,
};
use store::{
    build_life::{self, Life},
    builds::{self, Build, HistoryLine},
    jobs::{self, Job},
};

use super::apply_event::{NotApplied, SYSTEM, apply_event};
use crate::{app::App, clock, jobs::JobError};

/// How a phase ended.
#[derive(Debug)]
pub struct PhaseResult {
    /// The report as it is now.
    pub report: Option<Report>,
    /// It passed, or could not be judged; not: it failed.
    pub passed: bool,
    /// The organization's rule approves it.
    pub auto_approve: bool,
    /// What could not be checked.
    pub unproven: Option<String>,
    /// For the history.
    pub reason: String,
}

/// Stores the end of a phase and returns the build as it is then. The job ends with the last phase.
///
/// # Errors
/// [`JobError`]; nothing is changed then.
pub async fn record_phase(app: &App, build: &Build, result: PhaseResult, job: &Job, worker: &str) -> Result<Build, JobError> {
    let gone = || JobError::Subject(job.subject.clone());
    let mut tx = app.db.write().await?;
    let now = builds::lock(&mut tx, build.id).await?.ok_or_else(gone)?;
    let mut after = now.clone();
    if now.status == BuildStatus::Pending && now.life.phase == build.life.phase {
        let circumstances = Circumstances {
            phase: now.life.phase.unwrap_or(Phase::Security),
            auto_approve: result.auto_approve,
            ..Circumstances::default()
        };
        let event = if result.passed { Event::PhaseOk } else { Event::PhaseFail };
        match apply_event(&mut tx, &now, event, SYSTEM, &circumstances, &result.reason).await {
            Ok(_) => {}
            Err(NotApplied::Store(error)) => return Err(error.into()),
            Err(error) => return Err(anyhow::Error::from(error).into()),
        }
        if let Some(report) = &result.report {
            builds::insert_report(&mut tx, build.id, report, clock::now_ms()).await?;
        }
        after = builds::lock(&mut tx, build.id).await?.ok_or_else(gone)?;
        after.life.unproven = result.unproven.or(now.life.unproven);
        build_life::set(&mut tx, build.id, &after.life).await?;
    }
    let goes_on = after.status == BuildStatus::Pending && after.life.phase == Some(Phase::Certification);
    let is_held = if goes_on { true } else { jobs::finish(&mut tx, job.id, worker, None, clock::now_ms()).await? };
    if !is_held {
        return Err(JobError::LeaseLost);
    }
    tx.commit().await?;
    tracing::info!(build = %build.id, status = %after.status, phase = after.life.phase.map(Phase::as_str), "reviewed");
    app.tell(build.id);
    Ok(after)
}

/// Stores a report in which one check was run again. Whatever it found, a person decides.
///
/// # Errors
/// [`JobError`].
pub async fn record_recheck(
    app: &App,
    build: &Build,
    report: &Report,
    unproven: Option<String>,
    check: &str,
    job: &Job,
    worker: &str,
) -> Result<(), JobError> {
    let mut tx = app.db.write().await?;
    let now = builds::lock(&mut tx, build.id).await?.ok_or_else(|| JobError::Subject(job.subject.clone()))?;
    if now.status == BuildStatus::Pending {
        builds::insert_report(&mut tx, build.id, report, clock::now_ms()).await?;
        let found = report.checks.iter().find(|one| one.id == check).map_or("gone", |one| one.status.as_str());
        let word = now.status.as_str().to_owned();
        let line = HistoryLine {
            at: clock::now_ms(),
            actor: SYSTEM.name.to_owned(),
            event: "rechecked".to_owned(),
            from_status: Some(word.clone()),
            to_status: word,
            reason: format!("{check}: {found}"),
        };
        builds::append_history(&mut tx, build.id, &line).await?;
        build_life::set(&mut tx, build.id, &Life { recheck: None, unproven, attempts: 0, ..now.life }).await?;
    }
    if !jobs::finish(&mut tx, job.id, worker, None, clock::now_ms()).await? {
        return Err(JobError::LeaseLost);
    }
    tx.commit().await?;
    app.tell(build.id);
    Ok(())
}
