//! Gate B of one build: what the image alone tells with today's advisories and policy, then what may have changed since its test run, then
//! the organization's rule. Or one check anew, when a reviewer asked for it.

use std::{sync::Arc, time::Duration};

use model::{
    build::{BuildStatus, Phase},
    finding::Severity,
    id::BuildId,
    name::RepoName,
    report::{Report, Verdict},
    run::{LogLine, Stream},
};
use store::{
    accounts,
    builds::{self, Build},
    engines::{self, Engine},
    jobs::Job,
};

use super::{JobError, left, log_of};
use crate::{
    app::App,
    auto_approval,
    error::chain,
    gate::{self, Lane, Looked},
    ops::{
        begin_attempt::{begin_attempt, is_too_many},
        record_review::{PhaseResult, record_phase, record_recheck},
        record_verdict::drop_job,
    },
};

/// Does the job.
pub(super) async fn run(app: Arc<App>, job: Job, worker: String) -> Result<(), JobError> {
    let id: BuildId = job.subject.parse().map_err(|_| JobError::Subject(job.subject.clone()))?;
    tokio::select! {
        done = review(&app, id, &job, &worker) => done,
        status = left(&app, id, BuildStatus::Pending) => drop_job(&app, &job, &worker, status).await,
    }
}

async fn review(app: &Arc<App>, id: BuildId, job: &Job, worker: &str) -> Result<(), JobError> {
    let missing = || JobError::Subject(job.subject.clone());
    loop {
        let Some(build) = begin_attempt(app, id, BuildStatus::Pending).await? else {
            let status = builds::by_id(app.db.read(), id).await?.ok_or_else(missing)?.status;
            return drop_job(app, job, worker, status).await;
        };
        let engine = engines::by_id(app.db.read(), build.engine).await?.ok_or_else(missing)?;
        let stored = builds::report(app.db.read(), id).await?.ok_or_else(missing)?;
        let stored: Report = serde_json::from_str(&stored).map_err(anyhow::Error::from)?;
        let work = Work { app, build: &build, engine: &engine, stored };
        let after = match build.life.phase.unwrap_or(Phase::Security) {
            Phase::Security => record_phase(app, &build, work.security().await?, job, worker).await?,
            Phase::Certification => record_phase(app, &build, work.certification().await?, job, worker).await?,
            Phase::AwaitingApproval => {
                let Some(check) = build.life.recheck.as_deref() else {
                    return drop_job(app, job, worker, build.status).await;
                };
                let report = work.recheck(check).await?;
                let unproven = unproven(&report);
                return record_recheck(app, &build, &report, unproven, check, job, worker).await;
            }
        };
        if after.status != BuildStatus::Pending || after.life.phase == Some(Phase::AwaitingApproval) {
            return Ok(());
        }
    }
}

struct Work<'a> {
    app: &'a Arc<App>,
    build: &'a Build,
    engine: &'a Engine,
    stored: Report,
}

impl Work<'_> {
    async fn look(&self) -> Result<Looked, JobError> {
        let repository: RepoName = self.build.repository.parse().map_err(|_| JobError::Subject(self.build.repository.clone()))?;
        Ok(gate::look(self.app, &repository, &self.build.digest).await.map_err(|error| anyhow::anyhow!("{}", chain(&*error)))?)
    }

    fn lane(&self) -> Result<Lane, JobError> {
        let run_id = format!("{}-b{}", self.build.id.0.simple(), self.build.life.attempts);
        Ok(Lane { run_id, log: log_of(self.app, self.build.id)?, spent: Duration::ZERO })
    }

    fn say(&self, text: String) -> Result<(), JobError> {
        (self.lane()?.log)(LogLine { at_ms: 0, stream: Stream::Gate, text });
        Ok(())
    }

    async fn security(&self) -> Result<PhaseResult, JobError> {
        if is_too_many(self.build) {
            let why = "today's advisories and policy could not be applied: the image cannot be read from the gate's own store".to_owned();
            return Ok(PhaseResult { report: None, passed: true, auto_approve: false, unproven: Some(why.clone()), reason: why });
        }
        self.say("gate B, security: today's advisories and policy".to_owned())?;
        let report = gate::review_static(self.app, self.build, self.engine, &self.look().await?, &self.stored);
        let blocking = report.checks.iter().filter(|check| gate::is_static(&check.id)).flat_map(|check| &check.findings);
        let blocking = blocking.filter(|finding| finding.severity == Severity::Error).map(|finding| finding.message.clone()).next();
        Ok(PhaseResult {
            passed: blocking.is_none(),
            auto_approve: false,
            unproven: None,
            reason: blocking.unwrap_or_else(|| "security: nothing blocks with today's advisories and policy".to_owned()),
            report: Some(report),
        })
    }

    async fn certification(&self) -> Result<PhaseResult, JobError> {
        if is_too_many(self.build) {
            let why = "the certification was lost too often; the results are those of the earlier test run".to_owned();
            return Ok(PhaseResult { report: None, passed: true, auto_approve: false, unproven: Some(why.clone()), reason: why });
        }
        self.say("gate B, certification: what may have changed since the test run".to_owned())?;
        let report = gate::review_run(self.app, self.build, self.engine, self.look().await?, &self.stored, self.lane()?).await;
        let unproven = unproven(&report);
        if report.verdict == Verdict::Disapproved {
            let reason = report.errors.first().cloned().unwrap_or_else(|| "it failed".to_owned());
            return Ok(PhaseResult { report: Some(report), passed: false, auto_approve: false, unproven, reason });
        }
        let how = report.reused.as_ref().map_or_else(
            || "certification: tested anew".to_owned(),
            |reused| format!("certification: results of {} taken over, because {}", reused.checks.join(", "), reused.because),
        );
        let (auto_approve, rule) = self.rule(&report).await?;
        let auto_approve = auto_approve && self.build.life.unproven.is_none();
        let reason = format!("{how}; {rule}");
        Ok(PhaseResult { report: Some(report), passed: true, auto_approve, unproven, reason })
    }

    /// What the organization's rule says, and whether it approves.
    async fn rule(&self, report: &Report) -> Result<(bool, String), JobError> {
        let settings = accounts::settings(self.app.db.read(), self.engine.organization).await?;
        if !settings.auto_approve {
            return Ok((false, "a reviewer decides".to_owned()));
        }
        let live = match builds::live(self.app.db.read(), self.engine.id).await? {
            Some(live) => builds::report(self.app.db.read(), live.id).await?,
            None => None,
        };
        let live: Option<Report> = live.and_then(|text| serde_json::from_str(&text).ok());
        let objections = auto_approval::objections(report, live.as_ref());
        Ok(match objections.as_slice() {
            [] => (true, format!("approved by {}", auto_approval::KEPT)),
            why => (false, format!("a reviewer decides: {}", why.join("; "))),
        })
    }

    async fn recheck(&self, check: &str) -> Result<Report, JobError> {
        self.say(format!("check {check} is run again"))?;
        Ok(gate::recheck(self.app, self.build, self.engine, self.look().await?, &self.stored, check, self.lane()?).await)
    }
}

fn unproven(report: &Report) -> Option<String> {
    let titles = auto_approval::unproven(report);
    (!titles.is_empty()).then(|| titles.join(", "))
}
