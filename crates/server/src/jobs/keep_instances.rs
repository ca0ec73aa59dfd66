//! Keeps the running engines equal to the live builds: starts what is missing, also after a restart of the server, and ends what is no
//! longer live. A live engine that ended by itself is started again, more and more slowly.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use checks::evidence::Placement;
use harness::Placed;
use model::{build::BuildStatus, engine::DeploymentModel, id::BuildId, name::RepoName, run::RunRecord};
use store::{builds, engines};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{JobError, log_of};
use crate::{
    app::App,
    clock,
    error::chain,
    gate::{self, Lane},
    instances::Running,
    ops::record_deploy::record_health_loss,
};

/// How often to look without being told.
const IDLE: Duration = Duration::from_secs(30);

/// First and longest pause before an engine that does not stay is started again.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// An engine that ran for so long is well again.
const WELL: Duration = Duration::from_secs(600);

/// When an engine that does not stay may be started again.
struct Trouble {
    next: Instant,
    pause: Duration,
}

/// Engines started at one time: each takes a core while it loads.
const AT_ONCE: usize = 2;

/// How a start ended: with an engine that runs, or with why it does not.
type Started = Result<Result<(), String>, JobError>;

/// Works until `stop` is cancelled, and ends all engines then.
pub async fn keep_instances(app: Arc<App>, stop: CancellationToken) {
    let mut keeper =
        Keeper { app: app.clone(), trouble: HashMap::new(), starting: HashMap::new(), starts: JoinSet::new(), drains: JoinSet::new() };
    loop {
        let soon = match keeper.look().await {
            Ok(()) => keeper.trouble.values().map(|one| one.next.saturating_duration_since(Instant::now())).min().unwrap_or(IDLE),
            Err(error) => {
                tracing::error!(error = chain(&error), "the running engines could not be compared with the live builds; trying again");
                PAUSE.0
            }
        };
        tokio::select! {
            () = app.instances.news() => {}
            Some(done) = keeper.starts.join_next_with_id() => keeper.started(done).await,
            () = tokio::time::sleep(soon.clamp(PAUSE.0 / 10, IDLE)) => {}
            () = stop.cancelled() => break,
        }
    }
    keeper.starts.shutdown().await;
    keeper.drains.shutdown().await;
    app.instances.stop_all().await;
}

struct Keeper {
    app: Arc<App>,
    trouble: HashMap<BuildId, Trouble>,
    starting: HashMap<Id, BuildId>,
    starts: JoinSet<Started>,
    drains: JoinSet<Option<RunRecord>>,
}

impl Keeper {
    async fn look(&mut self) -> Result<(), JobError> {
        let app = self.app.clone();
        for (build, running) in app.instances.take_ended() {
            let how = match running {
                Running::Process(instance) => instance.stop().await.map_or_else(String::new, |record| format!(": {:?}", record.exit)),
                Running::PerTask => String::new(),
            };
            self.note(build, &format!("the live engine ended by itself{how}; it is started again")).await?;
        }
        for build in app.instances.builds() {
            if !stays(&app, build).await?
                && let Some(Running::Process(instance)) = app.instances.take(build)
            {
                // No new task finds it; the one it works on comes to its end.
                self.drains.spawn(async move { instance.drain().await });
            }
        }
        while self.drains.try_join_next().is_some() {}
        let live = builds::all_live(app.db.read()).await?;
        self.trouble.retain(|build, one| live.contains(build) && Instant::now() < one.next + WELL);
        let known = app.instances.builds();
        for build in live {
            let waits = self.trouble.get(&build).is_some_and(|one| Instant::now() < one.next);
            let begun = known.contains(&build) || self.starting.values().any(|other| *other == build);
            if !waits && !begun && self.starts.len() < AT_ONCE {
                let app = app.clone();
                let task = self.starts.spawn(async move { start(&app, build).await });
                self.starting.insert(task.id(), build);
            }
        }
        Ok(())
    }

    async fn started(&mut self, done: Result<(Id, Started), JoinError>) {
        // A start that panicked did not succeed either.
        let (task, result) = done.unwrap_or_else(|panic| (panic.id(), Err(JobError::Broken(panic.into()))));
        let Some(build) = self.starting.remove(&task) else { return };
        let reason = match result {
            Ok(Ok(())) => return,
            Ok(Err(reason)) => reason,
            Err(error) => chain(&error),
        };
        if let Err(error) = self.note(build, &format!("the live engine could not be started: {reason}; it is tried again")).await {
            tracing::error!(error = chain(&error), %build, "a trouble of a live engine could not be written down");
        }
    }

    /// Tells of the first trouble in a while, and makes the next start wait.
    async fn note(&mut self, build: BuildId, reason: &str) -> Result<(), JobError> {
        let now = Instant::now();
        match self.trouble.get_mut(&build) {
            Some(one) => {
                one.pause = (one.pause * 2).min(PAUSE.1);
                one.next = now + one.pause;
                tracing::warn!(%build, reason, "again");
                Ok(())
            }
            None => {
                self.trouble.insert(build, Trouble { next: now + PAUSE.0, pause: PAUSE.0 });
                record_health_loss(&self.app, build, reason).await
            }
        }
    }
}

/// Whether something may run for a build.
async fn stays(app: &App, build: BuildId) -> Result<bool, JobError> {
    let row = builds::by_id(app.db.read(), build).await?;
    Ok(row.is_some_and(|row| matches!(row.status, BuildStatus::Deployed | BuildStatus::Deploying)))
}

/// Starts the engine of a live build.
async fn start(app: &Arc<App>, id: BuildId) -> Result<Result<(), String>, JobError> {
    let Some(build) = builds::by_id(app.db.read(), id).await?.filter(|build| build.status == BuildStatus::Deployed) else {
        return Ok(Ok(()));
    };
    let Some(mut engine) = engines::by_id(app.db.read(), build.engine).await? else { return Ok(Ok(())) };
    // Changed settings count from the next deploy on; but never may it reach more than it is registered for by now.
    let under = build.life.deployed_under.as_deref().and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let model: Option<DeploymentModel> = under.and_then(|under| under["deploymentModel"].as_str()?.parse().ok());
    if model == Some(DeploymentModel::FullyNetworkIsolated) {
        engine.deployment_model = DeploymentModel::FullyNetworkIsolated;
    }
    let repository: RepoName = build.repository.parse().map_err(|_| JobError::Subject(build.repository.clone()))?;
    let looked = match gate::look(app, &repository, &build.digest).await {
        Ok(looked) => looked,
        Err(error) => return Ok(Err(chain(&*error))),
    };
    let lane = Lane { run_id: format!("{}-l{}", id.0.simple(), clock::now_ms()), log: log_of(app, id)?, spent: Duration::ZERO };
    let running = match gate::deploy(app, &engine, looked, lane).await {
        Placement::Placed(Placed::Live(instance)) => Running::Process(Arc::new(instance)),
        Placement::Placed(Placed::PerTask) => Running::PerTask,
        Placement::Placed(Placed::Failed(reason)) | Placement::Prevented(reason) => return Ok(Err(reason)),
        Placement::Refused(refusal) => return Ok(Err(refusal.reason)),
    };
    if let Some(Running::Process(former)) = app.instances.keep(id, running) {
        // A deploy was quicker, and its engine may have a task by now.
        tokio::spawn(async move { former.drain().await });
    }
    app.runs.look_again();
    // Paused while it was being started: whoever looks next takes it away.
    app.instances.look_again();
    app.tell(id);
    Ok(Ok(()))
}
