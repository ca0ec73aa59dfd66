//! A live engine: started under the limits of production, asked once whether it works, and then kept until somebody stops it.

use std::sync::Arc;

use model::run::{EngineKind, Exchange, Exit, Later, NotStarted, NotTestable, Outcome, Ready, RunRecord};
use sandbox::Session;

use crate::{
    Error, Job, api,
    certify::{NotRun, Plan, Staged, Waiter, certify, plan, run_of, stage},
    deadline::{Deadline, millis},
    hook::Hooks,
    journal::Journal,
    run::{Ended, StopOnDrop},
    webhook,
};

/// How long the start and the smoke sample may take together, milliseconds.
const TRIAL_MS: u64 = 600_000;

/// What came of placing an engine.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Placed {
    /// It runs and has answered one sample.
    Live(Instance),
    /// It ran once and did its work; its kind is started anew for every task.
    PerTask,
    /// It does not work; with the reason, in a sentence.
    Failed(String),
}

/// A live engine. Dropping it ends it.
pub struct Instance {
    stop: StopOnDrop,
    ended: Ended,
    waiter: Waiter,
    ready_ms: u64,
    smoke_ms: u64,
    // Dropped last: the engine's network and its API go when the engine is gone.
    _session: Arc<dyn Session>,
    _server: api::Server,
}

impl Instance {
    /// How long it took until it was ready, milliseconds.
    pub fn ready_ms(&self) -> u64 {
        self.ready_ms
    }

    /// How long it took for the smoke sample, milliseconds.
    pub fn smoke_ms(&self) -> u64 {
        self.smoke_ms
    }

    /// Whether its process has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.ended.yet()
    }

    /// Waits until its process has ended. May be dropped and asked again.
    pub fn watch(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.ended.clone();
        async move { ended.always().await }
    }

    /// Ends its process and keeps the rest, as if it had ended by itself.
    pub fn kill(&self) {
        self.stop.0.stop();
    }

    /// Ends it and says how it went; `None` if the sandbox could not tell.
    pub async fn stop(self) -> Option<RunRecord> {
        self.stop.0.stop();
        self.waiter.await.ok()?.ok()
    }
}

/// Starts an engine that is to stay. `job.samples` are its smoke test: the first that it should accept is sent.
///
/// # Errors
/// We could not run it. What the engine does wrong is [`Placed::Failed`].
pub async fn place(mut job: Job<'_>) -> Result<Placed, Error> {
    job.samples.retain(|sample| !sample.expect_refusal);
    job.samples.truncate(1);
    let plan = match plan(&job) {
        Ok(plan) => plan,
        Err(NotRun::Started(why)) => return Ok(Placed::Failed(not_started(&why))),
        Err(NotRun::Testable(NotTestable::Push)) => {
            return Ok(Placed::Failed("it waits to be pushed to, which cannot be tried here".to_owned()));
        }
        Err(NotRun::Testable(NotTestable::Queue)) => {
            return Ok(Placed::Failed("it reads a message queue, which cannot be run here".to_owned()));
        }
        Err(NotRun::Testable(NotTestable::NoSample { formats })) => {
            return Ok(Placed::Failed(format!("there is no sample of a type it takes ({})", formats.join(", "))));
        }
    };
    match &plan.hooks {
        Some(hooks) if plan.kind == EngineKind::Webhook => live(&job, &plan, hooks).await,
        _ => once(job).await,
    }
}

/// A batch engine shows that it works by doing its work once.
async fn once(mut job: Job<'_>) -> Result<Placed, Error> {
    job.limits.wall_ms = TRIAL_MS;
    let Outcome::Ran(run) = certify(job).await? else { return Ok(Placed::Failed("it could not be started".to_owned())) };
    Ok(match (&run.record.exit, run.task.statuses.last().map(String::as_str)) {
        (_, Some("failed" | "aborted")) => {
            Placed::Failed(format!("its task failed: {}", run.task.failure_message.as_deref().unwrap_or("it gave no reason")))
        }
        (Exit::Exited { code: 0 }, _) => Placed::PerTask,
        (Exit::Exited { code }, _) => Placed::Failed(format!("it ended with exit code {code}")),
        (exit, _) => Placed::Failed(format!("it did not end by itself: {exit:?}")),
    })
}

async fn live(job: &Job<'_>, plan: &Plan, hooks: &Hooks) -> Result<Placed, Error> {
    let deadline = Deadline::start(TRIAL_MS);
    let journal = Journal::new(Arc::clone(&job.log), deadline);
    let staged = stage(job, plan, &journal).await?;
    let stop = StopOnDrop(Arc::clone(&staged.running));
    let mut run = run_of(job, &staged, deadline, &journal);
    let ready_ms = match webhook::wait_until_ready(&mut run, &hooks.ready).await.0 {
        Ready::Ready { after_ms, .. } => after_ms,
        other => return Ok(Placed::Failed(not_ready(&other))),
    };
    let began = deadline.elapsed();
    let mut exchanges = Vec::new();
    for sample in &job.samples {
        let ran_out = webhook::send(&mut run, &hooks.process, 0, sample, &mut exchanges).await;
        if let Some(wrong) = wrong_with(exchanges.last(), ran_out.is_some()) {
            return Ok(Placed::Failed(wrong));
        }
    }
    let smoke_ms = millis(deadline.elapsed().saturating_sub(began));
    journal.say(&format!("live: ready after {ready_ms} ms, smoke sample answered after {smoke_ms} ms"));
    let Staged { session, desk, server, ended, waiter, .. } = staged;
    // The token of the smoke sample is good for nothing any more.
    drop(desk.close());
    Ok(Placed::Live(Instance { stop, ended, waiter, ready_ms, smoke_ms, _session: session, _server: server }))
}

fn not_started(why: &NotStarted) -> String {
    match why {
        NotStarted::NoCommand => "the image says no program to start".to_owned(),
        NotStarted::DriverWithoutCommand { driver } => format!("nothing follows the driver {driver}"),
        NotStarted::NoHook => "no variable says where the engine listens".to_owned(),
        NotStarted::BadHook { variable, value, problem } => format!("{variable} is {value:?}: {problem}"),
    }
}

fn not_ready(ready: &Ready) -> String {
    match ready {
        Ready::NotInTime { waited_ms, last } => format!("it was not ready after {} s: {last}", waited_ms / 1000),
        Ready::GaveUp { said } => format!("it gave up while it was getting ready: {said}"),
        Ready::ProcessEnded => "its process ended before it was ready".to_owned(),
        Ready::Ready { .. } => "it was ready".to_owned(),
    }
}

/// What is wrong with the last answer, if anything is.
fn wrong_with(last: Option<&Exchange>, ran_out: bool) -> Option<String> {
    if ran_out {
        return Some("it did not answer the smoke sample in time".to_owned());
    }
    let Some(exchange) = last else { return Some("the smoke sample was not sent".to_owned()) };
    let first_line = exchange.body_excerpt.lines().next().unwrap_or_default().chars().take(200).collect::<String>();
    match (exchange.status, &exchange.error) {
        (_, Some(error)) => Some(format!("the smoke sample failed: {error}")),
        (Some(200 | 204), None) => match &exchange.later {
            Some(Later::Done { .. }) | None => None,
            Some(later) => Some(format!("the promised result of the smoke sample did not come: {later:?}")),
        },
        (Some(status), None) => Some(format!("the smoke sample was answered with HTTP {status}: {first_line}")),
        (None, None) => Some("the smoke sample was not answered".to_owned()),
    }
}
