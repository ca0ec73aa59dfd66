//! What became of a task here: it was begun, it ended, it was given back. What its engine handed in is written with its end, in one transaction: a
//! task that was cut off has left nothing, so that it can be begun again.

use harness::task::{Done, Ended, Handed, Kept as Given};
use model::{
    id::{BuildId, EngineId},
    task::{MAX_TRIES, TaskStatus, failure_reason},
};
use serde_json::{Value, json};
use sqlx::{Sqlite, Transaction};
use store::{
    Db,
    assets::{self, Asset, Content},
    tasks::{self, Task},
    tdos::{self, Document, Tdo},
};

use crate::{
    app::App,
    asset_files::{self, Kept},
    clock,
    error::Problem,
    task_ids,
};

const SYSTEM: &str = "system";

/// Begins a task that waits; `None` when it does not wait any more.
///
/// # Errors
/// [`store::Error`].
pub async fn begin_task(app: &App, waiting: &Task, build: BuildId) -> Result<Option<Task>, store::Error> {
    let mut tx = app.db.write().await?;
    let Some(mut task) = tasks::task(&mut tx, waiting.organization, &waiting.id).await?.filter(|task| task.status.is_waiting()) else {
        return Ok(None);
    };
    let (before, now) = (task.status, clock::now_ms());
    task.status = TaskStatus::Running;
    task.build = Some(build);
    task.tries += 1;
    task.started_at = Some(now);
    task.modified_at = now;
    let reason = if task.tries > 1 { format!("try {}", task.tries) } else { String::new() };
    let begun = tasks::update(&mut tx, before, &task, SYSTEM, &reason).await?;
    tx.commit().await?;
    Ok(begun.then_some(task))
}

/// Ends a task that cannot be done.
///
/// # Errors
/// [`store::Error`].
pub async fn fail_task(app: &App, failed: &Task, to: TaskStatus, reason: &str, message: &str) -> Result<(), store::Error> {
    let mut tx = app.db.write().await?;
    if let Some(mut task) = tasks::task(&mut tx, failed.organization, &failed.id).await?.filter(|task| !task.status.is_over()) {
        let before = task.status;
        end(&mut task, to, Some((reason, message)));
        tasks::update(&mut tx, before, &task, SYSTEM, message).await?;
    }
    tx.commit().await.map_err(Into::into)
}

fn end(task: &mut Task, to: TaskStatus, why: Option<(&str, &str)>) {
    let now = clock::now_ms();
    (task.status, task.modified_at) = (to, now);
    task.ended_at = to.is_over().then_some(now);
    if let Some((reason, message)) = why {
        task.failure_reason = Some(failure_reason(reason).to_owned());
        task.failure_message = Some(message.chars().take(super::create_tdo::TEXT_MAX).collect());
    }
}

/// Gives a task back that was cut off, through no fault of its own; after too many tries it is given up.
///
/// # Errors
/// [`store::Error`].
pub async fn give_back(app: &App, running: &Task, why: &str) -> Result<(), store::Error> {
    let mut tx = app.db.write().await?;
    if let Some(task) = tasks::task(&mut tx, running.organization, &running.id).await? {
        back(&mut tx, task, why).await?;
    }
    Ok(tx.commit().await?)
}

async fn back(tx: &mut Transaction<'static, Sqlite>, mut task: Task, why: &str) -> Result<(), store::Error> {
    let before = task.status;
    if before != TaskStatus::Running {
        return Ok(());
    }
    if task.tries >= MAX_TRIES {
        let message = format!("{why}; it was begun {} times and is given up", task.tries);
        end(&mut task, TaskStatus::Failed, Some(("system_error", &message)));
        tasks::update(tx, before, &task, SYSTEM, &message).await?;
        return Ok(());
    }
    task.status = TaskStatus::Queued;
    task.modified_at = clock::now_ms();
    tasks::update(tx, before, &task, SYSTEM, &format!("{why}; it is begun anew")).await?;
    Ok(())
}

/// Gives back what a server was doing that has ended meanwhile. What was begun elsewhere goes on there.
///
/// # Errors
/// [`store::Error`].
pub async fn recover_tasks(db: &Db) -> Result<(), store::Error> {
    let mut tx = db.write().await?;
    for task in tasks::running(&mut tx).await?.into_iter().filter(|task| task.tries > 0) {
        back(&mut tx, task, "the server ended while it was done").await?;
    }
    Ok(tx.commit().await?)
}

/// Ends all tasks of an engine that is deleted; returns their ids.
///
/// # Errors
/// [`store::Error`].
pub async fn abort_tasks(tx: &mut Transaction<'static, Sqlite>, engine: EngineId, by: &str) -> Result<Vec<String>, store::Error> {
    let mut ended = Vec::new();
    for mut task in tasks::open_of(tx, &engine.to_string()).await? {
        let before = task.status;
        end(&mut task, TaskStatus::Aborted, Some(("system_dependency_missing", "the engine was deleted")));
        tasks::update(tx, before, &task, by, "the engine was deleted").await?;
        ended.push(task.id);
    }
    Ok(ended)
}

/// Writes down how a task ended, with everything its engine handed in. Does nothing when somebody else decided about it meanwhile.
///
/// # Errors
/// [`Problem::Internal`].
pub async fn end_task(app: &App, running: &Task, done: Done, log: String) -> Result<(), Problem> {
    let (mut ended, handed) = (done.ended, fitted(app, running, done.handed));
    if let Err(message) = &handed {
        ended = Ended::Failed { reason: "invalid_data".to_owned(), message: message.clone() };
    }
    let handed = handed.unwrap_or_default();
    let log = asset_files::keep(app, log.into()).await?;
    let mut kept = Vec::new();
    for asset in &handed.assets {
        kept.push(match &asset.content {
            Given::Bytes(bytes) => Some(asset_files::keep(app, bytes.clone()).await?),
            Given::Uri(_) => None,
        });
    }
    let mut tx = app.db.write().await?;
    let found = tasks::task(&mut tx, running.organization, &running.id).await?;
    // Also when it was given back and begun anew: only the try that wrote this down last may end it.
    let Some(mut task) = found.filter(|task| task.status == TaskStatus::Running && task.tries == running.tries) else { return Ok(()) };
    let before = task.status;
    let needs = kept.iter().flatten().map(|kept| kept.size).sum::<u64>();
    let most = app.config.tasks.asset_bytes;
    if most > 0 && assets::usage(&mut tx, task.organization).await?.saturating_add(needs) > most {
        let message = format!("its results have {needs} bytes, and the organization may keep {most} bytes in files of recordings");
        ended = Ended::Failed { reason: "file_write_error".to_owned(), message };
    } else {
        write(&mut tx, &task, &handed, &kept).await?;
        task.output = output_of(app, &handed).or(task.output);
    }
    match &ended {
        Ended::Complete => end(&mut task, TaskStatus::Complete, None),
        Ended::Paused => end(&mut task, TaskStatus::Paused, None),
        Ended::Failed { reason, message } => end(&mut task, TaskStatus::Failed, Some((reason, message))),
    }
    task.log = Some(log.digest.clone());
    tasks::update(&mut tx, before, &task, &actor(&task), task.failure_message.as_deref().unwrap_or_default()).await?;
    Ok(tx.commit().await?)
}

fn actor(task: &Task) -> String {
    format!("engine {}", task.engine)
}

/// What was handed in, if it can be kept; or why not.
fn fitted(app: &App, task: &Task, mut handed: Handed) -> Result<Handed, String> {
    let limits = &app.config.tasks;
    let large = |value: &Option<Value>| value.as_ref().is_some_and(|value| value.to_string().len() > limits.payload_bytes);
    if handed.assets.iter().any(|asset| large(&asset.details)) || handed.documents.iter().any(|one| large(&Some(one.data.clone()))) {
        return Err(format!("details and documents may have {} bytes of JSON", limits.payload_bytes));
    }
    if let Some(tdo) = handed.recordings.iter().find(|tdo| tdo.id.parse::<i64>().is_err() || large(&Some(tdo.details.clone()))) {
        return Err(format!("recording {}: its details may have {} bytes of JSON", tdo.id, limits.payload_bytes));
    }
    let output = handed.output.as_ref().map(Value::to_string).filter(|text| text.len() > limits.output_bytes);
    if let Some(text) = output {
        // Too large for the row, not too large to keep.
        let id = task_ids::asset(task.tdo);
        handed.assets.push(harness::task::MadeAsset {
            id: id.clone(),
            recording: task.tdo.to_string(),
            asset_type: "task-output".to_owned(),
            content_type: "application/json".to_owned(),
            name: None,
            description: None,
            details: None,
            content: Given::Bytes(text.into()),
        });
        handed.output = Some(json!({ "assetId": id }));
    }
    Ok(handed)
}

/// The output of a task: what its engine said, or else its last result.
fn output_of(app: &App, handed: &Handed) -> Option<Value> {
    if handed.output.is_some() {
        return handed.output.clone();
    }
    let last = handed.assets.iter().rev().find(|asset| asset.asset_type == "vtn-standard")?;
    let Given::Bytes(bytes) = &last.content else { return None };
    let fits = bytes.len() <= app.config.tasks.output_bytes && last.content_type.contains("json");
    let value = if fits { serde_json::from_slice(bytes).ok() } else { None };
    Some(value.unwrap_or_else(|| json!({ "assetId": last.id })))
}

async fn write(tx: &mut Transaction<'static, Sqlite>, task: &Task, handed: &Handed, kept: &[Option<Kept>]) -> Result<(), store::Error> {
    let now = clock::now_ms();
    for made in &handed.recordings {
        let Ok(id) = made.id.parse::<i64>() else { continue };
        let former = if made.is_new { None } else { tdos::by_id(tx, task.organization, id).await? };
        let tdo = Tdo {
            id,
            organization: task.organization,
            name: made.name.clone(),
            description: made.description.clone(),
            status: made.status.clone(),
            details: made.details.clone(),
            start_at: made.start.as_millisecond(),
            stop_at: made.stop.as_millisecond(),
            task: Some(task.id.clone()),
            created_by: actor(task),
            created_at: now,
            modified_at: now,
        };
        match former {
            Some(_) => tdos::update(tx, &tdo).await?,
            None if made.is_new => tdos::insert(tx, &tdo).await?,
            None => {}
        }
    }
    for (made, kept) in handed.assets.iter().zip(kept) {
        let content = match (&made.content, kept) {
            (_, Some(kept)) => Content::Blob(kept.digest.clone()),
            (Given::Uri(uri), None) => Content::Uri(uri.clone()),
            (Given::Bytes(_), None) => continue,
        };
        let asset = Asset {
            id: made.id.clone(),
            tdo: made.recording.parse().unwrap_or(task.tdo),
            organization: task.organization,
            asset_type: made.asset_type.clone(),
            content_type: made.content_type.clone(),
            name: made.name.clone(),
            description: made.description.clone(),
            details: made.details.clone(),
            source: Some(json!({ "taskId": task.id, "engineId": task.engine })),
            task: Some(task.id.clone()),
            engine: Some(task.engine.clone()),
            content,
            size: kept.as_ref().map_or(0, |kept| kept.size),
            user_edited: false,
            is_primary: false,
            created_by: actor(task),
            created_at: now,
        };
        assets::insert(tx, &asset).await?;
    }
    for made in &handed.documents {
        let document = Document {
            organization: task.organization,
            schema: made.schema.clone(),
            id: made.id.clone(),
            data: made.data.clone(),
            task: Some(task.id.clone()),
            created_by: actor(task),
            at: now,
        };
        tdos::put_document(tx, &document).await?;
    }
    Ok(())
}
