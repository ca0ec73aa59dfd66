//! Gate A of one build: run it, judge everything, record the verdict. Begins anew when an earlier attempt was lost.

use std::{sync::Arc, time::Instant};

use model::{
    build::{BuildStatus, MAX_ATTEMPTS},
    id::BuildId,
    name::RepoName,
    report::Verdict,
    run::{LogLine, Stream},
};
use store::{builds, engines, jobs::Job};

use super::{JobError, left, log_of};
use crate::{
    app::App,
    error::chain,
    gate::{self, Lane},
    ops::{
        attach_sbom::attach_sbom,
        keep_inventory::keep_inventory,
        record_verdict::{drop_job, record_loss, record_start, record_verdict},
    },
};

/// Does the job.
pub(super) async fn run(app: Arc<App>, job: Job, worker: String) -> Result<(), JobError> {
    let missing = || JobError::Subject(job.subject.clone());
    let id: BuildId = job.subject.parse().map_err(|_| missing())?;
    let mut build = builds::by_id(app.db.read(), id).await?.ok_or_else(missing)?;
    if build.status == BuildStatus::Uploaded {
        build.status = record_start(&app, &build).await?;
    }
    let engine = engines::by_id(app.db.read(), build.engine).await?.ok_or_else(missing)?;
    if build.status != BuildStatus::Fetching {
        return drop_job(&app, &job, &worker, build.status).await;
    }
    let log = log_of(&app, id)?;
    let note = |text: String| log(LogLine { at_ms: 0, stream: Stream::Gate, text });
    let repository: RepoName = build.repository.parse().map_err(|_| missing())?;
    let began = Instant::now();
    let looked = gate::look(&app, &repository, &build.digest).await.map_err(|error| anyhow::anyhow!("{}", chain(&*error)))?;
    if job.attempts > 1 {
        let last = (job.attempts > i64::from(MAX_ATTEMPTS)).then(|| gate::lost_report(&app, &build, &engine, &looked));
        note(format!("attempt {} begins; the former one was lost", job.attempts));
        let status = record_loss(&app, &build, last.as_ref()).await?;
        if status != BuildStatus::Fetching {
            return drop_job(&app, &job, &worker, status).await;
        }
    }
    keep_inventory(&app, &build, &looked).await?;
    if let Err(error) = attach_sbom(&app, &build, &looked).await {
        // Such as a full quota: the verdict does not depend on it.
        tracing::warn!(%build.id, error = chain(&error), "the list of packages could not be attached to the image");
        note(format!("the list of packages could not be attached to the image: {error}"));
    }
    note(format!("certifying build {} of {}", build.version, engine.name));
    let run_id = format!("{}-{}", build.id.0.simple(), job.attempts);
    let lane = Lane { run_id, log: log.clone(), spent: began.elapsed() };
    let report = tokio::select! {
        report = gate::certify(&app, &build, &engine, looked, lane) => report,
        status = left(&app, id, BuildStatus::Fetching) => return drop_job(&app, &job, &worker, status).await,
    };
    note(format!("verdict: {}", word(report.verdict)));
    record_verdict(&app, &build, &report, &job, &worker).await
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Running => "running",
        Verdict::Available => "available",
        Verdict::Invalid => "invalid",
        Verdict::NotTestable => "not testable",
        Verdict::ApprovedCandidate => "ready to be approved",
        Verdict::Disapproved => "disapproved",
    }
}
