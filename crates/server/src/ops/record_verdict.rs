//! Ends gate A: report, status, history and the end of the job in one transaction.

use model::{
    build::{BuildStatus, Circumstances, Event},
    finding::Severity,
    report::{Report, Verdict},
};
use store::{
    builds::{self, Build},
    jobs::{self, Job},
};

use super::apply_event::{NotApplied, SYSTEM, apply_event};
use crate::{app::App, clock, jobs::JobError};

/// Stores the report and moves the build to where its verdict says.
///
/// # Errors
/// [`JobError`]; nothing is changed then.
pub async fn record_verdict(app: &App, build: &Build, report: &Report, job: &Job, worker: &str) -> Result<(), JobError> {
    // What no gate can test fails nothing: it goes on to the review of a person, who reads the verdict in the report.
    let event = if report.success && report.verdict != Verdict::Running { Event::PhaseOk } else { Event::PhaseFail };
    let reason = reason(report);
    let mut tx = app.db.write().await?;
    // Deleted or invalidated meanwhile: the decision of a person stands.
    match apply_event(&mut tx, build, event, SYSTEM, &Circumstances::default(), &reason).await {
        Ok(_) => builds::insert_report(&mut tx, build.id, report, clock::now_ms()).await?,
        Err(NotApplied::Store(error)) => return Err(error.into()),
        Err(error) => tracing::info!(build = %build.id, %error, "the verdict came too late"),
    }
    if !jobs::finish(&mut tx, job.id, worker, None, clock::now_ms()).await? {
        return Err(JobError::LeaseLost);
    }
    tx.commit().await?;
    tracing::info!(build = %build.id, verdict = ?report.verdict, "certified");
    app.tell(build.id);
    Ok(())
}

fn reason(report: &Report) -> String {
    match (report.errors.first(), report.count(Severity::Error)) {
        (None, _) => String::new(),
        (Some(first), 0 | 1) => first.clone(),
        (Some(first), findings) => format!("{first} (and {} more)", findings - 1),
    }
}

/// Ends a job whose build is no longer in [`BuildStatus::Fetching`].
///
/// # Errors
/// [`JobError`].
pub async fn drop_job(app: &App, job: &Job, worker: &str, status: BuildStatus) -> Result<(), JobError> {
    let mut tx = app.db.write().await?;
    jobs::finish(&mut tx, job.id, worker, Some(&format!("the build is {status}")), clock::now_ms()).await?;
    tx.commit().await?;
    Ok(())
}

/// Notes that an earlier attempt was lost (lifecycle §6b). With `last`, the report of a build that was lost too often, it becomes `invalid`.
///
/// # Errors
/// [`JobError`].
pub async fn record_loss(app: &App, build: &Build, last: Option<&Report>) -> Result<BuildStatus, JobError> {
    let circumstances = Circumstances { attempts_left: last.is_none(), ..Circumstances::default() };
    let reason = match last {
        None => "the certification was interrupted; it begins anew",
        Some(_) => "internal_error: the certification was lost too often",
    };
    let mut tx = app.db.write().await?;
    let status = match apply_event(&mut tx, build, Event::Lost, SYSTEM, &circumstances, reason).await {
        Ok(status) => status,
        Err(NotApplied::Store(error)) => return Err(error.into()),
        Err(error) => return Err(anyhow::Error::from(error).into()),
    };
    if let Some(report) = last {
        builds::insert_report(&mut tx, build.id, report, clock::now_ms()).await?;
    }
    tx.commit().await?;
    app.tell(build.id);
    Ok(status)
}

/// A worker takes a build up whose image is already here (lifecycle §6b, `start`).
///
/// # Errors
/// [`JobError`].
pub async fn record_start(app: &App, build: &Build) -> Result<BuildStatus, JobError> {
    let mut tx = app.db.write().await?;
    let status = match apply_event(&mut tx, build, Event::Start, SYSTEM, &Circumstances::default(), "").await {
        Ok(status) => status,
        Err(NotApplied::Store(error)) => return Err(error.into()),
        Err(error) => return Err(anyhow::Error::from(error).into()),
    };
    tx.commit().await?;
    app.tell(build.id);
    Ok(status)
}
