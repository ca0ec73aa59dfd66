//! One deploy: the network check again if the engine's settings changed since the test, then placing, starting, readiness, one sample. The
//! former build stays live until the new one is.

use std::{sync::Arc, time::Duration};

use checks::evidence::Placement;
use harness::Placed;
use model::{
    build::BuildStatus,
    id::EngineId,
    name::RepoName,
    report::{Report, Verdict},
    run::{LogLine, Stream},
};
use store::{
    builds::{self, Build},
    engines::{self, Engine},
    jobs::Job,
};

use super::{JobError, log_of};
use crate::{
    app::App,
    error::chain,
    gate::{self, Lane},
    instances::Running,
    ops::{
        begin_attempt::{begin_attempt, is_too_many},
        record_deploy::{Ended, keep_report, next_deploy, nothing_to_deploy, record_deploy},
    },
    standing::deploy_settings,
};

/// Does the job.
pub(crate) async fn run(app: Arc<App>, job: Job, worker: String) -> Result<(), JobError> {
    let missing = || JobError::Subject(job.subject.clone());
    let engine: EngineId = job.subject.parse().map_err(|_| missing())?;
    let begun = match next_deploy(&app, engine).await? {
        Some(build) => begin_attempt(&app, build.id, BuildStatus::Deploying).await?,
        None => None,
    };
    let Some(build) = begun else { return nothing_to_deploy(&app, engine, &job, &worker).await };
    if is_too_many(&build) {
        record_deploy(&app, build.id, Ended::Lost, &job, &worker).await?;
        return Ok(());
    }
    let engine = engines::by_id(app.db.read(), engine).await?.ok_or_else(missing)?;
    match place(&app, &build, &engine).await? {
        Err(reason) => {
            record_deploy(&app, build.id, Ended::Failed(&reason), &job, &worker).await?;
        }
        Ok(running) => {
            let reason = match &running {
                Running::Process(instance) => {
                    format!("ready after {} ms, smoke sample answered after {} ms", instance.ready_ms(), instance.smoke_ms())
                }
                Running::PerTask => "it did its work once; it is started for every task".to_owned(),
            };
            // Known before it is live, so that nobody starts a second one; what it replaces here is a former attempt of a redeploy.
            let former = app.instances.keep(build.id, running);
            let under = deploy_settings(&engine);
            let ended = record_deploy(&app, build.id, Ended::Live { under: &under, reason: &reason }, &job, &worker).await;
            if let Some(Running::Process(former)) = former {
                // The deploy does not wait for the task it works on.
                tokio::spawn(async move { former.drain().await });
            }
            // When it did not become live after all, whoever keeps the instances takes it away.
            app.instances.look_again();
            app.runs.look_again();
            ended?;
        }
    }
    Ok(())
}

/// Starts it; or says why it does not work.
async fn place(app: &Arc<App>, build: &Build, engine: &Engine) -> Result<Result<Running, String>, JobError> {
    let log = log_of(app, build.id)?;
    let lane = |part: &str| Lane {
        run_id: format!("{}-{part}{}", build.id.0.simple(), build.life.attempts),
        log: log.clone(),
        spent: Duration::ZERO,
    };
    let repository: RepoName = build.repository.parse().map_err(|_| JobError::Subject(build.repository.clone()))?;
    let look = || async { gate::look(app, &repository, &build.digest).await.map_err(|error| anyhow::anyhow!("{}", chain(&*error))) };
    log(LogLine { at_ms: 0, stream: Stream::Gate, text: format!("deploying build {} of {}", build.version, engine.name) });
    if tested_under(app, build).await?.as_deref() != Some(engine.deployment_model.as_str()) {
        let report = gate::certify(app, build, engine, look().await?, lane("c")).await;
        keep_report(app, build.id, &report).await?;
        if report.verdict != Verdict::Available {
            let first = report.errors.first().map_or("see the report", String::as_str);
            return Ok(Err(format!("it does not pass under the deployment model {}: {first}", engine.deployment_model)));
        }
    }
    Ok(match gate::deploy(app, engine, look().await?, lane("d")).await {
        Placement::Placed(Placed::Live(instance)) => Ok(Running::Process(Arc::new(instance))),
        Placement::Placed(Placed::PerTask) => Ok(Running::PerTask),
        Placement::Placed(Placed::Failed(reason)) => Err(format!("Deploying failed: {reason}")),
        Placement::Prevented(reason) => Err(reason),
        Placement::Refused(refusal) => Err(format!(
            "the gate could not start it, which is not the image's fault: {} ({}). {}",
            refusal.reason,
            refusal.details.join("; "),
            refusal.mend
        )),
    })
}

/// The deployment model of the newest report.
async fn tested_under(app: &App, build: &Build) -> Result<Option<String>, JobError> {
    let Some(text) = builds::report(app.db.read(), build.id).await? else { return Ok(None) };
    Ok(serde_json::from_str::<Report>(&text).ok().and_then(|report| report.deployment_model))
}
