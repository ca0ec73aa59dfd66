//! A live engine: started under the limits of production, asked once whether it works, and then kept until somebody stops it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use model::run::{EngineKind, Exchange, Exit, Later, NotStarted, NotTestable, Outcome, Ready, RunRecord};
use sandbox::{LogSink, Session};

use crate::{
    Caps, Error, Job, Pace, Registration, api,
    certify::{NotRun, Plan, Staged, Waiter, certify, mode_word, plan, run_of, stage},
    client::Client,
    deadline::{Deadline, millis},
    desk::{Desk, Facts},
    hook::Hooks,
    ids::Ids,
    journal::Journal,
    run::{Ended, Run, StopOnDrop},
    task::{Done, Work, webhook_ended, webhook_task},
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
    waiter: Mutex<Option<Waiter>>,
    ready_ms: u64,
    smoke_ms: u64,
    hooks: Hooks,
    terms: Terms,
    log: Tee,
    /// One task at a time; whoever ends the engine waits for it.
    turn: tokio::sync::Mutex<()>,
    // Dropped last: the engine's network and its API go when the engine is gone.
    session: Arc<dyn Session>,
    server: api::Server,
}

/// What every task of a live engine has in common.
struct Terms {
    base_url: String,
    registration: Registration,
    mode: &'static str,
    pace: Pace,
    caps: Caps,
    streaming: bool,
    without_chunk: bool,
}

/// Where the lines of a live engine go: always to its build, and to the task it works on.
#[derive(Clone)]
struct Tee {
    build: LogSink,
    task: Arc<Mutex<Option<LogSink>>>,
}

impl Tee {
    fn new(build: LogSink) -> Self {
        Self { build, task: Arc::default() }
    }

    fn sink(&self) -> LogSink {
        let tee = self.clone();
        Arc::new(move |line| {
            let task = tee.lock().clone();
            if let Some(task) = task {
                task(line.clone());
            }
            (tee.build)(line);
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<LogSink>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever works on a task gives the log back, also when nobody waits for the task any more.
struct Borrowed<'a>(&'a Instance);

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        *self.0.log.lock() = None;
        // Its token and its hooks are good for nothing from now on.
        self.0.server.show(Arc::new(self.0.terms.desk([0; 32], jiff::Timestamp::UNIX_EPOCH)));
    }
}

impl Terms {
    fn of(job: &Job<'_>, base_url: &str, streaming: bool, without_chunk: bool) -> Self {
        Self {
            base_url: base_url.to_owned(),
            registration: job.registration.clone(),
            mode: mode_word(job.manifest),
            pace: job.pace.clone(),
            caps: job.caps.clone(),
            streaming,
            without_chunk,
        }
    }

    fn desk(&self, seed: [u8; 32], started_at: jiff::Timestamp) -> Desk {
        let facts = Facts { base_url: self.base_url.clone(), registration: self.registration.clone(), mode: self.mode, started_at };
        Desk::new(facts, self.caps.clone(), Ids::new(seed))
    }
}

/// What one task of a live engine brings along.
pub struct Turn {
    /// Randomness; never used twice.
    pub seed: [u8; 32],
    /// Now.
    pub started_at: jiff::Timestamp,
    /// Longest time.
    pub wall: Duration,
    /// Receives each line the engine writes meanwhile.
    pub log: LogSink,
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

    /// Ends it and says how it went; `None` if the sandbox could not tell, or somebody has asked already.
    pub async fn stop(&self) -> Option<RunRecord> {
        self.stop.0.stop();
        let waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner).take();
        waiter?.await.ok()?.ok()
    }

    /// Waits for the task it works on, and ends it then.
    pub async fn drain(&self) -> Option<RunRecord> {
        let _turn = self.turn.lock().await;
        self.stop().await
    }

    /// Does one task; others wait. `None`, and nothing was begun, when its process has ended before the turn came, by itself or because
    /// somebody drained it meanwhile. Dropping the future leaves the engine as it is, and nothing of the task in it.
    pub async fn perform(&self, work: &Work, turn: Turn) -> Option<Done> {
        let _turn = self.turn.lock().await;
        if self.has_ended() {
            return None;
        }
        let _borrowed = Borrowed(self);
        *self.log.lock() = Some(Arc::clone(&turn.log));
        let deadline = Deadline::start(millis(turn.wall));
        let desk = Arc::new(self.terms.desk(turn.seed, turn.started_at));
        self.server.show(Arc::clone(&desk));
        let sample = work.sample();
        let task = desk.open_for(work, &sample);
        let mut run = Run {
            samples: std::slice::from_ref(&sample),
            desk: Arc::clone(&desk),
            client: Client::new(Arc::clone(&self.session), &self.terms.pace, self.terms.caps.clone()),
            deadline,
            started: deadline.elapsed(),
            pace: &self.terms.pace,
            journal: Journal::new(turn.log, deadline),
            ended: self.ended.clone(),
            streaming: self.terms.streaming,
            without_chunk: self.terms.without_chunk,
            boundary: Ids::new(turn.seed).letters("boundary", 0, 24),
        };
        let wrong = webhook_task(&mut run, &self.hooks, &sample, &task).await;
        let handed = desk.hand_over(&task);
        Some(Done { ended: wrong.unwrap_or_else(|| webhook_ended(&handed)), handed })
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
        Some(hooks) if plan.kind == EngineKind::Webhook => live(job, &plan, hooks).await,
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

async fn live(mut job: Job<'_>, plan: &Plan, hooks: &Hooks) -> Result<Placed, Error> {
    let log = Tee::new(Arc::clone(&job.log));
    job.log = log.sink();
    let job = &job;
    let deadline = Deadline::start(TRIAL_MS);
    let journal = Journal::new(Arc::clone(&job.log), deadline);
    let staged = stage(job, plan, &journal, None).await?;
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
    let terms = Terms::of(job, &staged.desk.facts.base_url, run.streaming, run.without_chunk);
    drop(run);
    let Staged { session, server, ended, waiter, .. } = staged;
    let (waiter, turn, hooks) = (Mutex::new(Some(waiter)), tokio::sync::Mutex::default(), hooks.clone());
    let instance = Instance { stop, ended, waiter, ready_ms, smoke_ms, hooks, terms, log, turn, session, server };
    // The token of the smoke sample is good for nothing any more.
    drop(Borrowed(&instance));
    Ok(Placed::Live(instance))
}

pub(crate) fn not_started(why: &NotStarted) -> String {
    match why {
        NotStarted::NoCommand => "the image says no program to start".to_owned(),
        NotStarted::DriverWithoutCommand { driver } => format!("nothing follows the driver {driver}"),
        NotStarted::NoHook => "no variable says where the engine listens".to_owned(),
        NotStarted::BadHook { variable, value, problem } => format!("{variable} is {value:?}: {problem}"),
    }
}

pub(crate) fn not_ready(ready: &Ready) -> String {
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
