//! Hands out the tasks that wait: each lane, an engine or a build under test, does one after the other; so many lanes at one time as are configured.
//! A task of a live engine is done by its running instance, every other by an engine that is started for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use checks::evidence::Performance;
use harness::{
    Instance, Turn,
    task::{Done, Ended, Handed},
};
use model::{
    build::BuildStatus,
    id::{BuildId, EngineId},
    name::RepoName,
    run::{LogLine, Stream},
    task::TaskStatus,
};
use sandbox::LogSink;
use store::{
    builds::{self, Build},
    engines::{self, Engine},
    tasks::{self, Task},
};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use super::JobError;
use crate::{
    app::App,
    clock,
    error::chain,
    gate::{self, Lane},
    instances::Running,
    ops::record_task::{begin_task, end_task, fail_task, give_back},
    task_work::{NoWork, work_of},
};

/// How often to look without being told.
const IDLE: Duration = Duration::from_secs(10);

/// How long a task waits for an engine that is not live, milliseconds.
const WAIT_MS: i64 = 24 * 3_600_000;

/// Most bytes kept of the log of a task.
const LOG_MAX: usize = 1 << 20;

/// What may take longer than the task itself: unpacking before it, clearing up after it.
const AROUND: Duration = Duration::from_secs(120);

/// Works until `stop` is cancelled; tasks in progress are given back.
pub async fn run_tasks(app: Arc<App>, stop: CancellationToken) {
    let mut desk = Dispatcher { app: app.clone(), stop: stop.clone(), lanes: HashMap::new(), work: JoinSet::new() };
    while !stop.is_cancelled() {
        if let Err(error) = desk.hand_out().await {
            tracing::error!(error = chain(&error), "tasks that wait could not be handed out; trying again");
        }
        tokio::select! {
            () = app.runs.news() => {}
            Some(done) = desk.work.join_next_with_id() => desk.over(done.map(|(id, ())| id)).await,
            () = tokio::time::sleep(IDLE) => {}
            () = stop.cancelled() => {}
        }
    }
    while let Some(done) = desk.work.join_next_with_id().await {
        desk.over(done.map(|(id, ())| id)).await;
    }
}

struct Dispatcher {
    app: Arc<App>,
    stop: CancellationToken,
    lanes: HashMap<Id, Task>,
    work: JoinSet<()>,
}

/// Who does a task.
enum Target {
    Live(Arc<Instance>, Build),
    Start(Build),
    /// Nobody yet.
    Later,
    /// Nobody ever; with the reason.
    Never(&'static str),
}

impl Dispatcher {
    async fn hand_out(&mut self) -> Result<(), JobError> {
        if self.app.config.tasks.concurrent == 0 {
            return Ok(());
        }
        for task in tasks::waiting(self.app.db.read()).await? {
            if self.lanes.len() >= self.app.config.tasks.concurrent {
                break;
            }
            if self.lanes.values().any(|busy| busy.lane == task.lane) {
                continue;
            }
            let (build, instance) = match target(&self.app, &task).await? {
                Target::Live(instance, build) => (build, Some(instance)),
                Target::Start(build) => (build, None),
                Target::Later if clock::now_ms() - task.modified_at < WAIT_MS => continue,
                Target::Later => {
                    let why = "its engine was not live for a day";
                    fail_task(&self.app, &task, TaskStatus::Failed, "system_dependency_missing", why).await?;
                    continue;
                }
                Target::Never(why) => {
                    fail_task(&self.app, &task, TaskStatus::Aborted, "system_dependency_missing", why).await?;
                    continue;
                }
            };
            let end = self.app.runs.begin(&task.id);
            let Some(task) = begin_task(&self.app, &task, build.id).await? else {
                self.app.runs.over(&task.id);
                continue;
            };
            let (app, stop, begun) = (self.app.clone(), self.stop.clone(), task.clone());
            let handle = self.work.spawn(async move { one(&app, &begun, build, instance, end, stop).await });
            self.lanes.insert(handle.id(), task);
        }
        Ok(())
    }

    /// One has ended, perhaps by a fault of ours.
    async fn over(&mut self, done: Result<Id, tokio::task::JoinError>) {
        let broke = done.is_err();
        let id = done.unwrap_or_else(|error| error.id());
        let Some(task) = self.lanes.remove(&id) else { return };
        self.app.runs.over(&task.id);
        if broke {
            let why = "the server broke down while it was done; the operator finds the reason in the log";
            if let Err(error) = fail_task(&self.app, &task, TaskStatus::Failed, "internal_error", why).await {
                tracing::error!(task = task.id, error = chain(&error), "the end of a task could not be written down");
            }
        }
    }
}

async fn target(app: &App, task: &Task) -> Result<Target, JobError> {
    let engine: Option<EngineId> = task.engine.parse().ok();
    let engine = match engine {
        Some(id) => engines::by_id(app.db.read(), id).await?,
        None => None,
    };
    let Some(engine) = engine.filter(|engine| !engine.deleted) else { return Ok(Target::Never("the engine was deleted")) };
    if task.test {
        let build = match task.build {
            Some(id) => builds::by_id(app.db.read(), id).await?,
            None => None,
        };
        let build = build.filter(|build| build.status != BuildStatus::Deleted);
        return Ok(build.map_or(Target::Never("the build was deleted"), Target::Start));
    }
    let Some(build) = builds::live(app.db.read(), engine.id).await? else { return Ok(Target::Later) };
    Ok(match app.instances.get(build.id) {
        Some(Running::Process(instance)) => Target::Live(instance, build),
        Some(Running::PerTask) => Target::Start(build),
        None => Target::Later,
    })
}

/// Does one task and writes down what became of it.
async fn one(app: &Arc<App>, task: &Task, build: Build, instance: Option<Arc<Instance>>, end: CancellationToken, stop: CancellationToken) {
    let log = TaskLog::default();
    let most = Duration::from_secs(app.config.tasks.seconds) + AROUND;
    let written = tokio::select! {
        biased;
        () = stop.cancelled() => give_back(app, task, "the server was stopped while it was done").await.map_err(|error| chain(&error)),
        // Whoever ended it has written that down.
        () = end.cancelled() => Ok(()),
        done = tokio::time::timeout(most, perform(app, task, &build, instance, log.sink())) => match done {
            Ok(Ok(done)) => end_task(app, task, done, log.text()).await.map_err(|problem| problem.message()),
            Ok(Err(why)) => {
                tracing::error!(task = task.id, why, "a task could not be done");
                // Without a pause a fault that stays would use up all tries in a moment.
                tokio::time::sleep(Duration::from_secs(1)).await;
                give_back(app, task, &why).await.map_err(|error| chain(&error))
            }
            Err(_) => {
                let ended = failed("system_error", format!("it did not end within {} s", most.as_secs()));
                end_task(app, task, Done { ended, handed: Handed::default() }, log.text()).await.map_err(|problem| problem.message())
            }
        },
    };
    if let Err(why) = written {
        tracing::error!(task = task.id, why, "the end of a task could not be written down; it is begun again after the next start");
    }
}

fn failed(reason: &str, message: String) -> Ended {
    Ended::Failed { reason: reason.to_owned(), message }
}

/// What came of it; or why we could not do it.
async fn perform(app: &Arc<App>, task: &Task, build: &Build, instance: Option<Arc<Instance>>, log: LogSink) -> Result<Done, String> {
    let not = |ended: Ended| Ok(Done { ended, handed: Handed::default() });
    let engine = engines::by_id(app.db.read(), build.engine).await.map_err(|error| chain(&error))?;
    let Some(engine) = engine else { return not(failed("system_dependency_missing", "the engine is gone".to_owned())) };
    let work = match work_of(app, task, build, engine.category).await {
        Ok(work) => work,
        Err(NoWork::Input(why)) => return not(failed("invalid_data", why)),
        Err(NoWork::Problem(problem)) => return Err(problem.message()),
    };
    let wall = Duration::from_secs(app.config.tasks.seconds);
    log(LogLine { at_ms: 0, stream: Stream::Gate, text: format!("task {} on build {} of {}", task.id, build.version, engine.name) });
    if let Some(instance) = instance {
        let started_at = jiff::Timestamp::from_millisecond(clock::now_ms()).unwrap_or_default();
        let done = instance.perform(&work, Turn { seed: clock::random(), started_at, wall, log }).await;
        return done.ok_or_else(|| "its engine had ended before it was the task's turn".to_owned());
    }
    match start(app, task, build, &engine, (work, wall, log)).await? {
        Performance::Done(done) => Ok(*done),
        Performance::Prevented(why) => not(failed("system_dependency_missing", why)),
        Performance::Refused(refusal) => Err(format!("{} ({}). {}", refusal.reason, refusal.details.join("; "), refusal.mend)),
    }
}

async fn start(
    app: &Arc<App>,
    task: &Task,
    build: &Build,
    engine: &Engine,
    (work, wall, log): (harness::task::Work, Duration, LogSink),
) -> Result<Performance, String> {
    let repository: RepoName = build.repository.parse().map_err(|error| format!("repository {}: {error}", build.repository))?;
    let looked = gate::look(app, &repository, &build.digest).await.map_err(|error| chain(&*error))?;
    let lane = Lane { run_id: format!("{}-t{}", run_of(build.id), clock::now_ms()), log, spent: Duration::ZERO };
    tracing::debug!(task = task.id, run = lane.run_id, "an engine is started for a task");
    Ok(gate::perform(app, engine, looked, lane, &work, wall).await)
}

fn run_of(build: BuildId) -> String {
    build.0.simple().to_string()
}

/// The log of a task: the lines of its engine and of the gate, so many as are kept.
#[derive(Clone, Default)]
struct TaskLog(Arc<Mutex<String>>);

impl TaskLog {
    fn sink(&self) -> LogSink {
        let log = self.clone();
        let begun = std::time::Instant::now();
        Arc::new(move |line| log.add(begun.elapsed(), &line))
    }

    fn add(&self, at: Duration, line: &LogLine) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if text.len() > LOG_MAX {
            return;
        }
        let stream = match line.stream {
            Stream::Gate => "gate",
            Stream::Stdout => "out",
            Stream::Stderr => "err",
        };
        text.push_str(&format!("{:>9.3} {stream:<4} {}\n", at.as_secs_f64(), line.text));
        if text.len() > LOG_MAX {
            text.push_str("(the log is longer; the rest was not kept)\n");
        }
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_an_end() {
        let log = TaskLog::default();
        let line = LogLine { at_ms: 0, stream: Stream::Stdout, text: "x".repeat(1_000) };
        for _ in 0..5_000 {
            log.add(Duration::from_millis(1_500), &line);
        }
        let text = log.text();
        assert!(text.starts_with("    1.500 out  xxx") && text.len() < LOG_MAX + 2_000, "{}", text.len());
        assert_eq!(text.matches("not kept").count(), 1);
    }
}
