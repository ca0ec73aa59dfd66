//! What people and engines elsewhere do with a task: say how it stands, hand in its result or its log, wake it up, end it.

use model::task::{TaskStatus, failure_reason};
use serde_json::{Map, Value};
use sqlx::{Sqlite, SqliteConnection, Transaction};
use store::{
    assets::Asset,
    tasks::{self, EngineJob, Task},
};

use super::{
    create_asset::{NewAsset, NewContent, insert, ready},
    create_job::object,
    create_tdo::{own_tdo, short, small},
};
use crate::{
    app::App,
    auth::{party::Party, permission::Permission},
    clock,
    error::Problem,
};

/// What is said of a task.
#[derive(Clone, Debug)]
pub struct TaskChange {
    /// Which.
    pub task: String,
    /// The job they take it to belong to.
    pub job: Option<String>,
    /// How it stands now.
    pub status: TaskStatus,
    /// Its output; what it had stays if this is `None`.
    pub output: Option<Value>,
    /// Its payload from now on.
    pub payload: Option<Value>,
    /// Only with `failed`.
    pub failure_reason: Option<String>,
    /// Only with a reason.
    pub failure_message: Option<String>,
}

/// A task the party may see.
async fn own(db: &mut SqliteConnection, party: &Party, id: &str) -> Result<Task, Problem> {
    let task = tasks::task(db, party.organization(), id).await?.ok_or_else(|| party.no_task(id))?;
    party.own_task(&task)?;
    Ok(task)
}

/// An engine may add nothing any more once its task is over.
///
/// # Errors
/// [`Problem::NotAllowed`].
pub(super) async fn still_open(tx: &mut Transaction<'static, Sqlite>, party: &Party) -> Result<(), Problem> {
    let Some(token) = party.token() else { return Ok(()) };
    match tasks::task(tx, token.organization, &token.task).await? {
        Some(task) if !task.status.is_over() => Ok(()),
        Some(task) => Err(Problem::NotAllowed(format!("task {} is {} already; its token is good for reading only", task.id, task.status))),
        None => Err(Problem::Unauthenticated),
    }
}

/// Moves a task in memory; the documented refusal if that is not possible.
fn go(task: &mut Task, to: TaskStatus, now: i64) -> Result<TaskStatus, Problem> {
    let before = task.status;
    if !before.may_become(to) {
        let message = format!("Task {} is {before} already and cannot become {to}", task.id);
        let data = serde_json::json!({"objectType": "Task", "objectId": task.id, "status": before, "action": to});
        return Err(Problem::InvalidInput { message, data });
    }
    (task.status, task.modified_at) = (to, now);
    if before != to {
        if to == TaskStatus::Running {
            task.started_at.get_or_insert(now);
        }
        task.ended_at = to.is_over().then_some(now);
    }
    Ok(before)
}

fn raced(task: &Task) -> Problem {
    Problem::invalid(format!("Task {} was changed by somebody else at the same time; look again", task.id))
}

/// # Errors
/// [`Problem::InvalidInput`] for an output that is too large.
pub(super) fn check_output(app: &App, output: Option<Value>) -> Result<Option<Value>, Problem> {
    let most = app.config.tasks.output_bytes;
    match &output {
        Some(value) if value.to_string().len() > most => {
            Err(Problem::invalid(format!("output: at most {most} bytes of JSON; hand in larger results as files with uploadEngineResult")))
        }
        _ => Ok(output),
    }
}

/// Somebody outside decided about it: whoever works on it here stops, and others may follow.
fn tell(app: &App, before: TaskStatus, task: &Task) {
    if before != task.status {
        app.runs.end(&task.id);
    }
    app.runs.look_again();
}

/// Says how a task stands.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotAllowed`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn update_task(app: &App, party: &Party, change: TaskChange) -> Result<Task, Problem> {
    party.require(Permission::RunTasks)?;
    if change.failure_reason.is_some() && change.status != TaskStatus::Failed {
        return Err(Problem::invalid("failureReason: only a task with status failed has one"));
    }
    if change.failure_message.is_some() && change.failure_reason.is_none() {
        return Err(Problem::invalid("failureMessage: give a failureReason with it"));
    }
    let output = check_output(app, change.output)?;
    let payload = change.payload.map(|payload| object(app, "payload", payload)).transpose()?;
    let message = short("failureMessage", change.failure_message)?;
    let mut tx = app.db.write().await?;
    let mut task = own(&mut tx, party, &change.task).await?;
    if change.job.as_ref().is_some_and(|job| *job != task.job) {
        return Err(Problem::invalid(format!("jobId: task {} belongs to job {}", task.id, task.job)));
    }
    let was_over = task.status.is_over();
    let before = go(&mut task, change.status, clock::now_ms())?;
    if was_over && (output.as_ref().is_some_and(|output| task.output.as_ref().is_some_and(|had| had != output)) || payload.is_some()) {
        return Err(Problem::invalid(format!("Task {} is {before} already; what it was given and what it gave stay", task.id)));
    }
    task.output = output.or(task.output);
    task.payload = payload.unwrap_or(task.payload);
    if change.status == TaskStatus::Failed && !was_over {
        task.failure_reason = Some(change.failure_reason.as_deref().map_or("unknown", failure_reason).to_owned());
        task.failure_message = message;
    }
    if !tasks::update(&mut tx, before, &task, &party.name(), "").await? {
        return Err(raced(&task));
    }
    tx.commit().await?;
    tell(app, before, &task);
    Ok(task)
}

/// Wakes up a task whose engine has stopped until then; `more` is added to its payload.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotAllowed`], [`Problem::InvalidInput`] for a task that does not sleep, [`Problem::Internal`].
pub async fn poll_task(app: &App, party: &Party, id: &str, job: &str, more: Map<String, Value>) -> Result<Task, Problem> {
    party.require(Permission::RunTasks)?;
    let mut tx = app.db.write().await?;
    let mut task = own(&mut tx, party, id).await?;
    if task.job != job {
        return Err(Problem::invalid(format!("jobId: task {} belongs to job {}", task.id, task.job)));
    }
    if !matches!(task.status, TaskStatus::Paused | TaskStatus::Waiting) || task.lane.is_none() {
        return Err(Problem::invalid(format!("Task {} is {}; only one that is paused or waiting is woken up", task.id, task.status)));
    }
    if let Value::Object(payload) = &mut task.payload {
        payload.extend(more);
        payload.insert("isCallback".to_owned(), true.into());
    }
    task.payload = small(app, "pollPayload", Some(task.payload))?.unwrap_or_default();
    let before = go(&mut task, TaskStatus::Queued, clock::now_ms())?;
    if !tasks::update(&mut tx, before, &task, &party.name(), "woken up").await? {
        return Err(raced(&task));
    }
    tx.commit().await?;
    tell(app, before, &task);
    Ok(task)
}

/// Ends what is not over of a job.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotAllowed`], [`Problem::InvalidInput`] for a job that is over, [`Problem::Internal`].
pub async fn cancel_job(app: &App, party: &Party, id: &str) -> Result<EngineJob, Problem> {
    let caller = party.person()?;
    caller.require(Permission::RunTasks)?;
    let missing = || Problem::NotFound { object: "Job", id: id.chars().take(80).collect() };
    let mut tx = app.db.write().await?;
    let job = tasks::job(&mut tx, caller.organization, id).await?.ok_or_else(missing)?;
    if job.status.is_over() {
        return Err(Problem::invalid(format!("Job {} is {} already; there is nothing to cancel", job.id, job.status)));
    }
    let now = clock::now_ms();
    let mut touched = Vec::new();
    for mut task in tasks::tasks(&mut tx, caller.organization, &tasks::Of::Job(job.id.clone()), &[], 0, i64::MAX).await? {
        if task.status.is_over() {
            continue;
        }
        let before = go(&mut task, TaskStatus::Cancelled, now)?;
        if !tasks::update(&mut tx, before, &task, &caller.email, "").await? {
            return Err(raced(&task));
        }
        touched.push((before, task));
    }
    let job = tasks::job(&mut tx, caller.organization, id).await?.ok_or_else(missing)?;
    tx.commit().await?;
    touched.iter().for_each(|(before, task)| tell(app, *before, task));
    Ok(job)
}

/// A result to be handed in.
pub struct NewResult {
    /// Of which task.
    pub task: String,
    /// The file it becomes.
    pub asset: NewAsset,
    /// What the task's output becomes.
    pub output: Option<Value>,
    /// The task is complete with it.
    pub complete: bool,
}

/// Hands in a result: the file, the output and the status, all or nothing.
///
/// # Errors
/// As [`update_task`]; [`Problem::Capacity`].
pub async fn upload_result(app: &App, party: &Party, mut new: NewResult) -> Result<Asset, Problem> {
    party.require(Permission::RunTasks)?;
    own(&mut *app.db.read().acquire().await?, party, &new.task).await?;
    let ready = ready(app, party, &mut new.asset).await?;
    let mut tx = app.db.write().await?;
    let mut task = own(&mut tx, party, &new.task).await?;
    if task.status.is_over() {
        return Err(Problem::invalid(format!("Task {} is {} already; its result cannot be handed in any more", task.id, task.status)));
    }
    let tdo = own_tdo(&mut tx, party, task.tdo).await?;
    let source = serde_json::json!({ "taskId": task.id, "engineId": task.engine });
    let asset = insert(app, &mut tx, party, &tdo, NewAsset { source: Some(source), ..new.asset }, &ready).await?;
    // A result that is too large for an output is a file all the same, which the output names.
    let fits = |output: &Value| output.to_string().len() <= app.config.tasks.output_bytes;
    let named = || serde_json::json!({ "assetId": asset.id });
    task.output = new.output.map(|output| if fits(&output) { output } else { named() }).or(task.output);
    let to = if new.complete { TaskStatus::Complete } else { task.status };
    let before = go(&mut task, to, clock::now_ms())?;
    if !tasks::update(&mut tx, before, &task, &party.name(), "").await? {
        return Err(raced(&task));
    }
    tx.commit().await?;
    tell(app, before, &task);
    Ok(asset)
}

/// Hands in the log of a task, as a file of its recording and as the task's own if it has none.
///
/// # Errors
/// As [`upload_result`].
pub async fn create_task_log(app: &App, party: &Party, id: &str, mut new: NewAsset) -> Result<(Task, Asset), Problem> {
    party.require(Permission::RunTasks)?;
    own(&mut *app.db.read().acquire().await?, party, id).await?;
    if matches!(new.content, NewContent::Uri(_)) {
        return Err(Problem::invalid("file: send the log as the file part of a multipart request"));
    }
    let ready = ready(app, party, &mut new).await?;
    let mut tx = app.db.write().await?;
    still_open(&mut tx, party).await?;
    let mut task = own(&mut tx, party, id).await?;
    let tdo = own_tdo(&mut tx, party, task.tdo).await?;
    let source = serde_json::json!({ "taskId": task.id, "engineId": task.engine });
    let asset = insert(app, &mut tx, party, &tdo, NewAsset { source: Some(source), ..new }, &ready).await?;
    if let (None, store::assets::Content::Blob(digest)) = (&task.log, &asset.content) {
        task.log = Some(digest.clone());
        task.modified_at = clock::now_ms();
        if !tasks::update(&mut tx, task.status, &task, &party.name(), "").await? {
            return Err(raced(&task));
        }
    }
    tx.commit().await?;
    Ok((task, asset))
}
