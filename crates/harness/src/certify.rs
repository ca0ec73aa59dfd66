//! One certification run from start to record: surroundings, API, engine, driver, end.

use std::{net::SocketAddr, sync::Arc};

use model::{
    manifest::{EngineMode, Manifest},
    run::{EngineKind, EngineRun, Exit, InjectedFile, Limits, NotStarted, NotTestable, Outcome, Phase, Ready, RunRecord, RunSpec},
};
use sandbox::{Running, Session};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    Error, Job, Sample, api, batch,
    client::Client,
    deadline::{Deadline, millis},
    desk::{Desk, Facts, Task},
    hook::{Hooks, hooks_of},
    ids::Ids,
    journal::Journal,
    kind::{args_of, driver_for, env_of, kind_of},
    run::{Ended, Run, StopOnDrop},
    samples::formats_of,
    task::Work,
    wake, webhook,
};

/// Variable that says that the engine fetches its input itself.
const WITHOUT_CHUNK: &str = "VERITONE_DISABLE_CHUNK_DOWNLOAD";

/// A webhook engine is ended by us when the time is over, so that what was going on is known; the sandbox's own clock is the second line.
const HEAD_START_MS: u64 = 2_000;

/// Runs an engine once, talks to it as its kind wants, and says what happened.
///
/// Ends at the latest when `limits.wall_ms` and `pace.clear_up` have passed. Dropping the future ends the engine.
///
/// # Errors
/// We could not run it. What the engine does wrong is in the [`Outcome`].
pub async fn certify(job: Job<'_>) -> Result<Outcome, Error> {
    let plan = match plan(&job) {
        Ok(plan) => plan,
        Err(NotRun::Started(why)) => return Ok(Outcome::NotStarted(why)),
        Err(NotRun::Testable(why)) => return Ok(Outcome::NotTestable(why)),
    };
    let deadline = Deadline::start(job.limits.wall_ms);
    let journal = Journal::new(Arc::clone(&job.log), deadline);
    let staged = stage(&job, &plan, &journal, None).await?;
    let _stop = StopOnDrop(Arc::clone(&staged.running));
    let mut run = run_of(&job, &staged, deadline, &journal);
    let Staged { session, desk, batch_task, server: _server, running, waiter, .. } = staged;
    let report = drive(&mut run, &plan).await;
    if let Some(phase) = report.ran_out_in {
        journal.say(&format!("the time of the run ({} s) is over: {phase:?}", job.limits.wall_ms / 1000));
    }
    let batch_at_work = report.ran_out_in == Some(Phase::Batch);
    let mut record = finish(&job, &running, waiter, batch_at_work).await?;
    if let Some((task, data)) = wake::wanted(&desk, batch_task.as_ref(), &record).filter(|_| !deadline.is_over()) {
        journal.say("its task is paused and its address was called: waking the engine up");
        let again = Again { session: &session, desk: &desk, task: &task, data: &data };
        record = wake::joined(record, wake_up(&job, &plan, again, deadline).await?);
    }
    // The sandbox may have been faster than we were to see that the time of a batch engine is over.
    let ended_by_clock = plan.kind == EngineKind::Batch && record.exit == Exit::TimedOut;
    let ran_out_in = if ended_by_clock { Some(Phase::Batch) } else { report.ran_out_in };
    let (outputs, task) = desk.close();
    Ok(Outcome::Ran(EngineRun {
        kind: plan.kind,
        args: plan.args,
        ready: report.ready,
        exchanges: report.exchanges,
        outputs,
        task,
        ran_out_in,
        wall_ms: job.limits.wall_ms,
        listening: report.listening,
        repeats: report.repeats,
        record,
    }))
}

/// What an engine is started with a second time.
struct Again<'a> {
    session: &'a Arc<dyn Session>,
    desk: &'a Desk,
    task: &'a Arc<Task>,
    data: &'a str,
}

/// Starts a batch engine once more, in what is left of the time, and waits for its end.
async fn wake_up(job: &Job<'_>, plan: &Plan, again: Again<'_>, deadline: Deadline) -> Result<RunRecord, Error> {
    let mut spec = spec(job, plan, again.desk, Some((again.task, Some(again.data))));
    spec.limits.wall_ms = millis(deadline.remaining()).max(1);
    let running = start(job, again.session, spec).await?;
    let _stop = StopOnDrop(Arc::clone(&running));
    let (mut ended, waiter) = watch_end(&running);
    let in_time = ended.within(deadline.remaining()).await;
    finish(job, &running, waiter, !in_time).await
}

/// An engine that was started, with everything around it.
pub(crate) struct Staged {
    pub(crate) session: Arc<dyn Session>,
    pub(crate) desk: Arc<Desk>,
    /// The task of a batch engine.
    pub(crate) batch_task: Option<Arc<Task>>,
    pub(crate) server: api::Server,
    pub(crate) running: Arc<dyn Running>,
    pub(crate) ended: Ended,
    pub(crate) waiter: Waiter,
}

/// Makes the surroundings and starts the engine. A batch engine is given `work`, or else the first sample.
pub(crate) async fn stage(job: &Job<'_>, plan: &Plan, journal: &Journal, work: Option<&Work>) -> Result<Staged, Error> {
    let session = open(job).await?;
    let (listener, address) = listen(job, &session).await?;
    let desk = Arc::new(desk(job, address));
    let server = api::serve(listener, Arc::clone(&desk));
    let open = |sample: &Sample| work.map_or_else(|| desk.open(sample), |work| desk.open_for(work, sample));
    let batch_task = if plan.kind == EngineKind::Batch { job.samples.first().map(open) } else { None };
    let spec = spec(job, plan, &desk, batch_task.as_ref().map(|task| (task, None)));
    journal.say(&format!("starting {}", plan.args.join(" ").chars().take(300).collect::<String>()));
    let running = start(job, &session, spec).await?;
    let (ended, waiter) = watch_end(&running);
    Ok(Staged { session, desk, batch_task, server, running, ended, waiter })
}

/// What the drivers of an engine share.
pub(crate) fn run_of<'a>(job: &'a Job<'_>, staged: &Staged, deadline: Deadline, journal: &Journal) -> Run<'a> {
    Run {
        samples: &job.samples,
        desk: Arc::clone(&staged.desk),
        client: Client::new(Arc::clone(&staged.session), &job.pace, job.caps.clone()),
        deadline,
        started: deadline.elapsed(),
        pace: &job.pace,
        journal: journal.clone(),
        ended: staged.ended.clone(),
        streaming: matches!(job.manifest.engine_mode, EngineMode::Stream | EngineMode::Batch),
        without_chunk: job.command.var(WITHOUT_CHUNK).is_some_and(|value| value.trim().eq_ignore_ascii_case("true")),
        boundary: Ids::new(job.seed).letters("boundary", 0, 24),
    }
}

/// What is to be done, decided before anything is started.
pub(crate) struct Plan {
    pub(crate) kind: EngineKind,
    pub(crate) args: Vec<String>,
    pub(crate) hooks: Option<Hooks>,
}

/// Why nothing is started.
pub(crate) enum NotRun {
    Started(NotStarted),
    Testable(NotTestable),
}

impl From<NotStarted> for NotRun {
    fn from(why: NotStarted) -> Self {
        Self::Started(why)
    }
}

pub(crate) fn plan(job: &Job<'_>) -> Result<Plan, NotRun> {
    let kind = kind_of(&job.command, job.manifest);
    let waits = |word: &str| word.trim().eq_ignore_ascii_case("push");
    if kind != EngineKind::Webhook && job.manifest.category.as_deref().is_some_and(waits) {
        return Err(NotRun::Testable(NotTestable::Push));
    }
    if kind == EngineKind::Queue {
        return Err(NotRun::Testable(NotTestable::Queue));
    }
    let args = args_of(&job.command)?;
    let hooks = match kind {
        EngineKind::Webhook => Some(hooks_of(&job.command)?),
        EngineKind::Batch | EngineKind::Queue => None,
    };
    if job.samples.is_empty() {
        return Err(NotRun::Testable(NotTestable::NoSample { formats: formats_of(job.manifest) }));
    }
    Ok(Plan { kind, args, hooks })
}

/// Runs a blocking call into the sandbox on a thread of its own.
async fn blocking<T: Send + 'static>(
    job: &Job<'_>,
    doing: &'static str,
    call: impl FnOnce() -> Result<T, sandbox::Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result.map_err(|source| Error::Sandbox { doing, run_id: job.run_id.clone(), source }),
        Err(source) => Err(Error::Thread { run_id: job.run_id.clone(), source }),
    }
}

async fn open(job: &Job<'_>) -> Result<Arc<dyn Session>, Error> {
    let (sandbox, id) = (Arc::clone(&job.sandbox), job.run_id.clone());
    blocking(job, "make the surroundings", move || sandbox.open(&id).map(Arc::from)).await
}

async fn listen(job: &Job<'_>, session: &Arc<dyn Session>) -> Result<(tokio::net::TcpListener, SocketAddr), Error> {
    let session = Arc::clone(session);
    let listener = blocking(job, "open a socket", move || session.listen(0)).await?;
    let ready = listener.local_addr().and_then(|address| Ok((tokio::net::TcpListener::from_std(listener)?, address)));
    ready.map_err(|source| Error::Listen { run_id: job.run_id.clone(), source })
}

fn desk(job: &Job<'_>, address: SocketAddr) -> Desk {
    let facts = Facts {
        base_url: format!("http://{address}"),
        registration: job.registration.clone(),
        mode: mode_word(job.manifest),
        started_at: job.started_at,
    };
    Desk::new(facts, job.caps.clone(), Ids::new(job.seed))
}

pub(crate) fn mode_word(manifest: &Manifest) -> &'static str {
    match manifest.engine_mode {
        EngineMode::Legacy | EngineMode::Batch => "Batch",
        EngineMode::Chunk => "Chunk",
        EngineMode::Stream => "Stream",
    }
}

/// `batch_task` is the task of a batch engine, and what it is woken up with.
fn spec(job: &Job<'_>, plan: &Plan, desk: &Desk, batch_task: Option<(&Arc<Task>, Option<&str>)>) -> RunSpec {
    let mut env = env_of(&job.command);
    let payload = batch_task.map(|(task, woken)| batch::equip(desk, task, woken, &mut env));
    let files: Vec<InjectedFile> = payload.into_iter().chain(driver_for(&job.command)).collect();
    RunSpec {
        args: plan.args.clone(),
        env,
        working_dir: format!("/{}", job.command.working_dir.trim_start_matches('/')),
        user: job.command.user.clone(),
        limits: Limits {
            wall_ms: job.limits.wall_ms.saturating_add(if plan.kind == EngineKind::Webhook { HEAD_START_MS } else { 0 }),
            ..job.limits
        },
        files,
        network: job.network.clone(),
        read_only_root: job.read_only_root,
    }
}

async fn start(job: &Job<'_>, session: &Arc<dyn Session>, spec: RunSpec) -> Result<Arc<dyn Running>, Error> {
    let (session, rootfs, log) = (Arc::clone(session), job.rootfs.clone(), Arc::clone(&job.log));
    blocking(job, "start the engine", move || session.start(&rootfs, &spec, log).map(Arc::from)).await
}

pub(crate) type Waiter = JoinHandle<Result<RunRecord, sandbox::Error>>;

/// Waits for the end on a thread of its own and tells everybody when it is there.
fn watch_end(running: &Arc<dyn Running>) -> (Ended, Waiter) {
    let (tell, ended) = watch::channel(false);
    let running = Arc::clone(running);
    let waiter = tokio::task::spawn_blocking(move || {
        let record = running.wait();
        tell.send_replace(true);
        record
    });
    (Ended::new(ended), waiter)
}

/// What the driver of a kind found.
#[derive(Default)]
struct Driven {
    ready: Option<Ready>,
    exchanges: Vec<model::run::Exchange>,
    ran_out_in: Option<Phase>,
    listening: Option<model::run::Listening>,
    repeats: Vec<model::run::Repeat>,
}

async fn drive(run: &mut Run<'_>, plan: &Plan) -> Driven {
    match &plan.hooks {
        Some(hooks) => {
            let talk = webhook::talk(run, hooks).await;
            Driven {
                ready: Some(talk.ready),
                exchanges: talk.exchanges,
                ran_out_in: talk.ran_out_in,
                listening: talk.listening,
                repeats: talk.repeats,
            }
        }
        None => Driven { ran_out_in: batch::wait(run).await, ..Driven::default() },
    }
}

/// Ends the engine and fetches the record. An engine whose own time ran out is ended by the sandbox, so that the record says so.
pub(crate) async fn finish(job: &Job<'_>, running: &Arc<dyn Running>, mut waiter: Waiter, by_itself: bool) -> Result<RunRecord, Error> {
    let half = job.pace.clear_up / 2;
    let mut joined = None;
    if by_itself {
        joined = tokio::time::timeout(half, &mut waiter).await.ok();
    }
    running.stop();
    if joined.is_none() {
        joined = tokio::time::timeout(half, &mut waiter).await.ok();
    }
    match joined {
        None => Err(Error::Stuck { run_id: job.run_id.clone(), waited_ms: millis(job.pace.clear_up) }),
        Some(Err(source)) => Err(Error::Thread { run_id: job.run_id.clone(), source }),
        Some(Ok(record)) => record.map_err(|source| Error::Sandbox { doing: "end the engine", run_id: job.run_id.clone(), source }),
    }
}
