//! Background work. A worker takes a job, renews its lease while it works, and stops when it lost it; each kind has a deadline.

mod certify_build;
mod collect_garbage;
mod deploy_build;
mod keep_instances;
mod rematch_builds;
mod review_build;
mod run_tasks;
mod take_pushes;
mod watch_advisories;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use model::{build::BuildStatus, id::BuildId, run::LogLine};
use store::{
    builds,
    jobs::{self, Job},
};
use tokio_util::sync::CancellationToken;

use crate::{app::App, clock, error::chain, ops::give_back::give_back};
pub use collect_garbage::collect_garbage;
#[cfg(test)]
pub(crate) use deploy_build::run as run_deploy;
pub use keep_instances::keep_instances;
pub use run_tasks::run_tasks;
pub use take_pushes::take_pushes;
pub use watch_advisories::watch_advisories;

/// Gate A for one build; the subject is the build's id.
pub const CERTIFY_BUILD: &str = "certify_build";

/// New advisories for every build; the subject is their identity.
pub const REMATCH_BUILDS: &str = "rematch_builds";

/// The oldest deploy that waits; the subject is the engine's id, so that an engine has one deploy at a time.
pub const DEPLOY_BUILD: &str = "deploy_build";

/// Gate B for one build, or one check of it anew; the subject is the build's id.
pub const REVIEW_BUILD: &str = "review_build";

/// A job dies with its lease unless it is renewed.
const LEASE: Duration = Duration::from_secs(30);

/// How often a lease is renewed.
const HEARTBEAT: Duration = Duration::from_secs(8);

/// How long an idle worker sleeps if nobody wakes it; leases of dead workers end without a call.
const IDLE: Duration = Duration::from_secs(10);

type Work = Pin<Box<dyn Future<Output = Result<(), JobError>> + Send>>;

/// One kind of job.
struct Kind {
    name: &'static str,
    deadline: Duration,
    work: fn(Arc<App>, Job, String) -> Work,
}

/// All kinds, by name.
const KINDS: &[Kind] = &[
    Kind { name: CERTIFY_BUILD, deadline: LONGEST, work: |app, job, worker| Box::pin(certify_build::run(app, job, worker)) },
    Kind { name: DEPLOY_BUILD, deadline: LONGEST, work: |app, job, worker| Box::pin(deploy_build::run(app, job, worker)) },
    Kind { name: REMATCH_BUILDS, deadline: LONGEST, work: |app, job, worker| Box::pin(rematch_builds::run(app, job, worker)) },
    Kind { name: REVIEW_BUILD, deadline: LONGEST, work: |app, job, worker| Box::pin(review_build::run(app, job, worker)) },
];

/// Ten minutes of test run, and room for unpacking before and judging after it.
const LONGEST: Duration = Duration::from_secs(20 * 60);

/// Why a job could not be done. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The database or a file.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The subject is malformed or gone.
    #[error("the job's subject {0:?} is not there")]
    Subject(String),
    /// The job took too long.
    #[error("the job did not end within {0:?}")]
    Deadline(Duration),
    /// Its lease ended: another worker has it now.
    #[error("the lease was lost")]
    LeaseLost,
    /// Anything else of ours.
    #[error("{0}")]
    Broken(#[from] anyhow::Error),
}

impl From<sqlx::Error> for JobError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Works until `stop` is cancelled; a job in progress is given back.
pub async fn work(app: Arc<App>, name: String, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let taken = jobs::take(&app.db, &name, clock::now_ms(), LEASE.as_millis() as i64).await;
        match taken {
            Ok(Some(job)) => {
                tokio::select! {
                    () = one(&app, job.clone(), &name) => {}
                    () = stop.cancelled() => {
                        if let Err(error) = give_back(&app, &job, &name).await {
                            tracing::warn!(error = chain(&error), "a job could not be given back; the next server takes it up as lost");
                        }
                    }
                }
            }
            Ok(None) => {
                tokio::select! {
                    () = app.work.notified() => {}
                    () = tokio::time::sleep(IDLE) => {}
                    () = stop.cancelled() => {}
                }
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "jobs cannot be read; trying again in a second");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn one(app: &Arc<App>, job: Job, worker: &str) {
    let Some(kind) = KINDS.iter().find(|kind| kind.name == job.kind) else {
        tracing::error!(kind = job.kind, "nobody knows this kind of job; it was left by another version");
        return;
    };
    let work = (kind.work)(app.clone(), job.clone(), worker.to_owned());
    let result = tokio::select! {
        done = tokio::time::timeout(kind.deadline, work) => done.unwrap_or(Err(JobError::Deadline(kind.deadline))),
        () = keep_lease(app, &job, worker) => Err(JobError::LeaseLost),
    };
    if let Err(error) = result {
        tracing::warn!(job = %job.id, subject = job.subject, attempt = job.attempts, error = chain(&error), "job failed; it is tried again");
        if let Err(error) = jobs::release(&app.db, job.id, worker).await {
            tracing::error!(error = chain(&error), "the job could not be given back; its lease will end");
        }
        // Without a pause a fault that stays would be tried many times a second.
        tokio::time::sleep(Duration::from_secs(1)).await;
        app.work.notify_one();
    }
}

/// Renews the lease; returns only when it is lost.
async fn keep_lease(app: &App, job: &Job, worker: &str) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        match jobs::renew(&app.db, job.id, worker, clock::now_ms() + LEASE.as_millis() as i64).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(error = chain(&error), "the lease could not be renewed; trying again"),
        }
    }
}

/// Waits until a build is no longer in this status, because somebody decided about it; returns where it is.
async fn left(app: &App, id: BuildId, status: BuildStatus) -> BuildStatus {
    // Subscribed before the first look, so that nothing is missed between the two.
    let mut moved = app.moved.subscribe();
    loop {
        match builds::by_id(app.db.read(), id).await {
            Ok(Some(build)) if build.status != status => return build.status,
            Ok(_) => {}
            Err(error) => tracing::warn!(error = chain(&error), "a build cannot be read; trying again"),
        }
        // When so much was told that some of it was missed, it is looked at again too.
        let told = async { while moved.recv().await.is_ok_and(|other| other != id) {} };
        let _ = tokio::time::timeout(HEARTBEAT, told).await;
    }
}

/// Each line goes to the build's log at once and wakes whoever watches. Its time counts from here, whoever wrote it: engine, harness and
/// this job have clocks that began at different moments.
fn log_of(app: &Arc<App>, build: BuildId) -> Result<sandbox::LogSink, JobError> {
    let file = Mutex::new(app.logs.append_to(build)?);
    let (app, begun) = (app.clone(), Instant::now());
    Ok(Arc::new(move |mut line: LogLine| {
        line.at_ms = begun.elapsed().as_millis() as u64;
        let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Err(error) = file.append(&line) {
            tracing::warn!(%build, error = chain(&error), "a log line was lost");
        }
        app.tell_line(build);
    }))
}
