//! How a deploy ended. The build that becomes live and the one that it replaces change in one transaction.

use model::{
    build::{BuildStatus, Circumstances, Event},
    id::{BuildId, EngineId, JobId},
    report::Report,
};
use sqlx::{Sqlite, Transaction};
use store::{
    build_life,
    builds::{self, Build},
    engines,
    jobs::{self, Job},
};

use super::apply_event::{NotApplied, SYSTEM, apply_event};
use crate::{
    app::App,
    clock,
    jobs::{DEPLOY_BUILD, JobError},
};

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub enum Ended<'a> {
    /// The engine runs; these are the settings it runs under.
    Live {
        /// See [`crate::standing::deploy_settings`].
        under: &'a str,
        /// For the history.
        reason: &'a str,
    },
    /// It does not; the former build stays live.
    Failed(&'a str),
    /// It was interrupted too often.
    Lost,
}

/// The deploy of an engine that waits longest.
///
/// # Errors
/// [`JobError`].
pub async fn next_deploy(app: &App, engine: EngineId) -> Result<Option<Build>, JobError> {
    let mut tx = app.db.write().await?;
    Ok(builds::lock_all(&mut tx, engine, &[BuildStatus::Deploying]).await?.into_iter().next())
}

/// Keeps a report made on the way.
///
/// # Errors
/// [`JobError`].
pub async fn keep_report(app: &App, id: BuildId, report: &Report) -> Result<(), JobError> {
    let mut tx = app.db.write().await?;
    builds::insert_report(&mut tx, id, report, clock::now_ms()).await?;
    tx.commit().await?;
    Ok(())
}

/// Stores the end of a deploy, and ends the job; what else waits for the engine gets the next one.
///
/// # Errors
/// [`JobError`]; nothing is changed then.
pub async fn record_deploy(app: &App, id: BuildId, ended: Ended<'_>, job: &Job, worker: &str) -> Result<Build, JobError> {
    let gone = || JobError::Subject(job.subject.clone());
    let mut tx = app.db.write().await?;
    let build = builds::lock(&mut tx, id).await?.ok_or_else(gone)?;
    let (event, reason) = match ended {
        Ended::Live { reason, .. } => (Event::PhaseOk, reason),
        Ended::Failed(reason) => (Event::PhaseFail, reason),
        Ended::Lost => (Event::Lost, "internal_error: the deploy was interrupted too often"),
    };
    let circumstances = Circumstances { attempts_left: !matches!(ended, Ended::Lost), ..Circumstances::default() };
    step(&mut tx, &build, event, &circumstances, reason).await?;
    let mut build = builds::lock(&mut tx, id).await?.ok_or_else(gone)?;
    if let Ended::Live { under, .. } = ended {
        build.life.deployed_under = Some(under.to_owned());
        build_life::set(&mut tx, id, &build.life).await?;
    }
    // What happened to the engine while it was being deployed happens to the build now (lifecycle §6b).
    let engine = engines::lock(&mut tx, build.engine).await?.ok_or_else(gone)?;
    if engine.deleted {
        step(&mut tx, &build, Event::EngineDeleted, &circumstances, "the engine was deleted meanwhile").await?;
    } else if engine.disabled && build.status == BuildStatus::Deployed {
        step(&mut tx, &build, Event::EngineDisabled, &circumstances, "the engine was disabled meanwhile").await?;
    }
    finish(&mut tx, build.engine, job, worker).await?;
    let build = builds::lock(&mut tx, id).await?.ok_or_else(gone)?;
    tx.commit().await?;
    tracing::info!(build = %id, status = %build.status, "a deploy ended");
    app.work.notify_one();
    app.instances.look_again();
    app.tell(id);
    Ok(build)
}

/// Ends a job for which there is nothing to deploy.
///
/// # Errors
/// [`JobError`].
pub async fn nothing_to_deploy(app: &App, engine: EngineId, job: &Job, worker: &str) -> Result<(), JobError> {
    let mut tx = app.db.write().await?;
    finish(&mut tx, engine, job, worker).await?;
    Ok(tx.commit().await?)
}

/// Ends the job and, in the same transaction, makes another one if a deploy waits: none is ever forgotten.
async fn finish(tx: &mut Transaction<'static, Sqlite>, engine: EngineId, job: &Job, worker: &str) -> Result<(), JobError> {
    if !jobs::finish(tx, job.id, worker, None, clock::now_ms()).await? {
        return Err(JobError::LeaseLost);
    }
    if !builds::lock_all(tx, engine, &[BuildStatus::Deploying]).await?.is_empty() {
        jobs::enqueue(tx, JobId(clock::new_id()), DEPLOY_BUILD, &engine.to_string(), clock::now_ms()).await?;
    }
    Ok(())
}

async fn step(
    tx: &mut Transaction<'static, Sqlite>,
    build: &Build,
    event: Event,
    circumstances: &Circumstances,
    reason: &str,
) -> Result<(), JobError> {
    match apply_event(tx, build, event, SYSTEM, circumstances, reason).await {
        Ok(_) => Ok(()),
        Err(NotApplied::Store(error)) => Err(error.into()),
        Err(error) => Err(anyhow::Error::from(error).into()),
    }
}

/// A live engine ended by itself or could not be started again: the build stays live, the history tells (lifecycle §6b).
///
/// # Errors
/// [`JobError`].
pub async fn record_health_loss(app: &App, id: BuildId, reason: &str) -> Result<(), JobError> {
    let mut tx = app.db.write().await?;
    let Some(build) = builds::lock(&mut tx, id).await?.filter(|build| build.status == BuildStatus::Deployed) else { return Ok(()) };
    step(&mut tx, &build, Event::PhaseFail, &Circumstances::default(), reason).await?;
    tx.commit().await?;
    tracing::warn!(build = %id, reason, "a live engine is not well");
    app.tell(id);
    Ok(())
}
