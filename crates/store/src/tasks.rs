//! Jobs and tasks of engines, and what became of them. Every change of a task goes through [`update`], which writes its job's status and a line
//! of history with it.

use model::{
    digest::Digest,
    id::{BuildId, OrganizationId},
    task::{TaskStatus, status_of_job},
};
use serde_json::Value;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool, Transaction};

use crate::error::Error;

/// A job: tasks on one recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineJob {
    /// Id.
    pub id: String,
    /// Whose.
    pub organization: OrganizationId,
    /// Its recording.
    pub tdo: i64,
    /// By its tasks.
    pub status: TaskStatus,
    /// E-mail of an account.
    pub created_by: String,
    /// Epoch milliseconds.
    pub created_at: i64,
}

#[derive(sqlx::FromRow)]
struct JobRow {
    id: String,
    organization_id: i64,
    tdo_id: i64,
    status: String,
    created_by: String,
    created_at: i64,
}

impl TryFrom<JobRow> for EngineJob {
    type Error = Error;

    fn try_from(row: JobRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            organization: OrganizationId(row.organization_id),
            tdo: row.tdo_id,
            status: row.status.parse().map_err(|_| Error::row("engine_jobs", "task status", &row.status))?,
            created_by: row.created_by,
            created_at: row.created_at,
        })
    }
}

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Id.
    pub id: String,
    /// Its job.
    pub job: String,
    /// Whose.
    pub organization: OrganizationId,
    /// Its recording.
    pub tdo: i64,
    /// The engine that is to do it, or the id of a helper of the platform.
    pub engine: String,
    /// The build it tests, or the one that worked on it.
    pub build: Option<BuildId>,
    /// It tests a build.
    pub test: bool,
    /// Tasks of one lane are done one after the other; none: nobody here does it.
    pub lane: Option<String>,
    /// Where it stands.
    pub status: TaskStatus,
    /// What the engine gets.
    pub payload: Value,
    /// What it said in the end.
    pub output: Option<Value>,
    /// Why it failed, one of the known words.
    pub failure_reason: Option<String>,
    /// Why it failed, in words.
    pub failure_message: Option<String>,
    /// How often it was begun.
    pub tries: i64,
    /// Its log.
    pub log: Option<Digest>,
    /// E-mail of an account.
    pub created_by: String,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Epoch milliseconds.
    pub started_at: Option<i64>,
    /// Epoch milliseconds.
    pub ended_at: Option<i64>,
    /// Epoch milliseconds.
    pub modified_at: i64,
}

#[derive(sqlx::FromRow)]
struct TaskRow {
    id: String,
    job_id: String,
    organization_id: i64,
    tdo_id: i64,
    engine_id: String,
    build_id: Option<String>,
    test: bool,
    lane: Option<String>,
    status: String,
    payload: String,
    output: Option<String>,
    failure_reason: Option<String>,
    failure_message: Option<String>,
    tries: i64,
    log_digest: Option<String>,
    created_by: String,
    created_at: i64,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    modified_at: i64,
}

impl TryFrom<TaskRow> for Task {
    type Error = Error;

    fn try_from(row: TaskRow) -> Result<Self, Error> {
        let json = |text: &str| serde_json::from_str(text).map_err(|_| Error::row("engine_tasks", "JSON document", text));
        let build = row.build_id.map(|id| id.parse().map_err(|_| Error::row("engine_tasks", "build id", &id))).transpose()?;
        let log = row.log_digest.map(|digest| digest.parse().map_err(|_| Error::row("engine_tasks", "digest", &digest))).transpose()?;
        Ok(Self {
            id: row.id,
            job: row.job_id,
            organization: OrganizationId(row.organization_id),
            tdo: row.tdo_id,
            engine: row.engine_id,
            build,
            test: row.test,
            lane: row.lane,
            status: row.status.parse().map_err(|_| Error::row("engine_tasks", "task status", &row.status))?,
            payload: json(&row.payload)?,
            output: row.output.as_deref().map(json).transpose()?,
            failure_reason: row.failure_reason,
            failure_message: row.failure_message,
            tries: row.tries,
            log,
            created_by: row.created_by,
            created_at: row.created_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
            modified_at: row.modified_at,
        })
    }
}

/// One step of a task.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Step {
    /// Epoch milliseconds.
    pub at: i64,
    /// E-mail of an account, the engine, or `system`.
    pub actor: String,
    /// `None` for the first.
    pub from_status: Option<String>,
    /// The status after it.
    pub to_status: String,
    /// Why.
    pub reason: String,
}

/// Adds a job with its tasks.
///
/// # Errors
/// [`Error::Database`].
pub async fn insert(tx: &mut Transaction<'_, Sqlite>, job: &EngineJob, tasks: &[Task]) -> Result<(), Error> {
    sqlx::query("INSERT INTO engine_jobs (id, organization_id, tdo_id, status, created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(&job.id)
        .bind(job.organization.0)
        .bind(job.tdo)
        .bind(job.status.as_str())
        .bind(&job.created_by)
        .bind(job.created_at)
        .execute(&mut **tx)
        .await?;
    for task in tasks {
        sqlx::query(
            "INSERT INTO engine_tasks (id, job_id, organization_id, tdo_id, engine_id, build_id, test, lane, status, payload, created_by, \
             created_at, ended_at, modified_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $12)",
        )
        .bind(&task.id)
        .bind(&task.job)
        .bind(task.organization.0)
        .bind(task.tdo)
        .bind(&task.engine)
        .bind(task.build.map(|id| id.to_string()))
        .bind(task.test)
        .bind(&task.lane)
        .bind(task.status.as_str())
        .bind(task.payload.to_string())
        .bind(&task.created_by)
        .bind(task.created_at)
        .bind(task.ended_at)
        .execute(&mut **tx)
        .await?;
        let first = Step {
            at: task.created_at,
            actor: task.created_by.clone(),
            from_status: None,
            to_status: task.status.to_string(),
            reason: String::new(),
        };
        append(tx, &task.id, &first).await?;
    }
    settle_job(tx, &job.id).await
}

async fn append(tx: &mut Transaction<'_, Sqlite>, task: &str, step: &Step) -> Result<(), Error> {
    sqlx::query("INSERT INTO engine_task_history (task_id, at, actor, from_status, to_status, reason) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(task)
        .bind(step.at)
        .bind(&step.actor)
        .bind(&step.from_status)
        .bind(&step.to_status)
        .bind(&step.reason)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Writes a task that was read in the same transaction as `before`; false, and nothing happens, when it is another by now.
///
/// # Errors
/// [`Error::Database`].
pub async fn update(tx: &mut Transaction<'_, Sqlite>, before: TaskStatus, task: &Task, actor: &str, reason: &str) -> Result<bool, Error> {
    let done = sqlx::query(
        "UPDATE engine_tasks SET build_id = $3, status = $4, payload = $5, output = $6, failure_reason = $7, failure_message = $8, \
         tries = $9, log_digest = $10, started_at = $11, ended_at = $12, modified_at = $13 WHERE id = $1 AND status = $2",
    )
    .bind(&task.id)
    .bind(before.as_str())
    .bind(task.build.map(|id| id.to_string()))
    .bind(task.status.as_str())
    .bind(task.payload.to_string())
    .bind(task.output.as_ref().map(Value::to_string))
    .bind(&task.failure_reason)
    .bind(&task.failure_message)
    .bind(task.tries)
    .bind(task.log.as_ref().map(ToString::to_string))
    .bind(task.started_at)
    .bind(task.ended_at)
    .bind(task.modified_at)
    .execute(&mut **tx)
    .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    if before != task.status || !reason.is_empty() {
        let step = Step {
            at: task.modified_at,
            actor: actor.to_owned(),
            from_status: Some(before.to_string()),
            to_status: task.status.to_string(),
            reason: reason.to_owned(),
        };
        append(tx, &task.id, &step).await?;
    }
    settle_job(tx, &task.job).await?;
    Ok(true)
}

async fn settle_job(tx: &mut Transaction<'_, Sqlite>, job: &str) -> Result<(), Error> {
    let words: Vec<String> = sqlx::query_scalar("SELECT status FROM engine_tasks WHERE job_id = $1").bind(job).fetch_all(&mut **tx).await?;
    let statuses: Vec<TaskStatus> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let update = sqlx::query("UPDATE engine_jobs SET status = $2 WHERE id = $1");
    update.bind(job).bind(status_of_job(&statuses).as_str()).execute(&mut **tx).await?;
    Ok(())
}

/// A job of an organization.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn job(db: &mut SqliteConnection, organization: OrganizationId, id: &str) -> Result<Option<EngineJob>, Error> {
    let query = sqlx::query_as::<_, JobRow>("SELECT * FROM engine_jobs WHERE id = $1 AND organization_id = $2");
    query.bind(id).bind(organization.0).fetch_optional(db).await?.map(TryInto::try_into).transpose()
}

/// Which jobs.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// This one.
    pub id: Option<String>,
    /// On this recording.
    pub tdo: Option<i64>,
    /// In one of these statuses; any if empty.
    pub statuses: Vec<TaskStatus>,
    /// With a task for one of these engines; any if empty.
    pub engines: Vec<String>,
}

/// The jobs of an organization that pass a filter, newest first.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn jobs(
    db: &SqlitePool,
    organization: OrganizationId,
    filter: &JobFilter,
    offset: i64,
    limit: i64,
) -> Result<Vec<EngineJob>, Error> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT * FROM engine_jobs j WHERE organization_id = ");
    query.push_bind(organization.0);
    if let Some(id) = &filter.id {
        query.push(" AND id = ").push_bind(id.clone());
    }
    if let Some(tdo) = filter.tdo {
        query.push(" AND tdo_id = ").push_bind(tdo);
    }
    if !filter.statuses.is_empty() {
        query.push(" AND status IN (");
        let mut list = query.separated(", ");
        filter.statuses.iter().for_each(|status| {
            list.push_bind(status.as_str());
        });
        query.push(")");
    }
    if !filter.engines.is_empty() {
        query.push(" AND EXISTS (SELECT 1 FROM engine_tasks t WHERE t.job_id = j.id AND t.engine_id IN (");
        let mut list = query.separated(", ");
        filter.engines.iter().for_each(|engine| {
            list.push_bind(engine.clone());
        });
        query.push("))");
    }
    query.push(" ORDER BY seq DESC LIMIT ").push_bind(limit).push(" OFFSET ").push_bind(offset);
    let rows: Vec<JobRow> = query.build_query_as().fetch_all(db).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// A task of an organization.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn task(db: &mut SqliteConnection, organization: OrganizationId, id: &str) -> Result<Option<Task>, Error> {
    let query = sqlx::query_as::<_, TaskRow>("SELECT * FROM engine_tasks WHERE id = $1 AND organization_id = $2");
    query.bind(id).bind(organization.0).fetch_optional(db).await?.map(TryInto::try_into).transpose()
}

/// The log of a task of any organization, for whoever has a signed address of it.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn signed_log(db: &SqlitePool, id: &str) -> Result<Option<Digest>, Error> {
    let query = sqlx::query_scalar("SELECT log_digest FROM engine_tasks WHERE id = $1");
    let digest: Option<String> = query.bind(id).fetch_optional(db).await?.flatten();
    digest.map(|digest| digest.parse().map_err(|_| Error::row("engine_tasks", "digest", &digest))).transpose()
}

/// Which tasks.
#[derive(Clone, Debug)]
pub enum Of {
    /// Of a job, in order.
    Job(String),
    /// Of an engine, newest first.
    Engine(String),
    /// On a recording, newest first.
    Tdo(i64),
    /// Of the organization, newest first.
    All,
}

/// Tasks of an organization.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn tasks(
    db: &mut SqliteConnection,
    organization: OrganizationId,
    of: &Of,
    statuses: &[TaskStatus],
    offset: i64,
    limit: i64,
) -> Result<Vec<Task>, Error> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT * FROM engine_tasks WHERE organization_id = ");
    query.push_bind(organization.0);
    match of {
        Of::Job(id) => query.push(" AND job_id = ").push_bind(id.clone()),
        Of::Engine(id) => query.push(" AND engine_id = ").push_bind(id.clone()),
        Of::Tdo(id) => query.push(" AND tdo_id = ").push_bind(*id),
        Of::All => &mut query,
    };
    if !statuses.is_empty() {
        query.push(" AND status IN (");
        let mut list = query.separated(", ");
        statuses.iter().for_each(|status| {
            list.push_bind(status.as_str());
        });
        query.push(")");
    }
    let direction = if matches!(of, Of::Job(_)) { "ASC" } else { "DESC" };
    query.push(format_args!(" ORDER BY seq {direction} LIMIT ")).push_bind(limit).push(" OFFSET ").push_bind(offset);
    let rows: Vec<TaskRow> = query.build_query_as().fetch_all(db).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// What happened to a task, oldest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn history(db: &SqlitePool, task: &str) -> Result<Vec<Step>, Error> {
    let query = sqlx::query_as("SELECT at, actor, from_status, to_status, reason FROM engine_task_history WHERE task_id = $1 ORDER BY id");
    Ok(query.bind(task).fetch_all(db).await?)
}

/// The task of each lane that has waited longest, the longest first.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn waiting(db: &SqlitePool) -> Result<Vec<Task>, Error> {
    let query = sqlx::query_as::<_, TaskRow>(
        "SELECT * FROM engine_tasks WHERE seq IN (SELECT min(seq) FROM engine_tasks WHERE lane IS NOT NULL AND status IN ('pending', 'queued') \
         GROUP BY lane) ORDER BY seq",
    );
    query.fetch_all(db).await?.into_iter().map(TryInto::try_into).collect()
}

/// All tasks in a status, for a server that has just started.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn running(db: &mut SqliteConnection) -> Result<Vec<Task>, Error> {
    let query = sqlx::query_as::<_, TaskRow>("SELECT * FROM engine_tasks WHERE status = 'running' ORDER BY seq");
    query.fetch_all(db).await?.into_iter().map(TryInto::try_into).collect()
}

/// The tasks of an engine that are not over.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn open_of(db: &mut SqliteConnection, engine: &str) -> Result<Vec<Task>, Error> {
    let query = sqlx::query_as::<_, TaskRow>(
        "SELECT * FROM engine_tasks WHERE engine_id = $1 AND status NOT IN ('complete', 'failed', 'cancelled', 'aborted') ORDER BY seq",
    );
    query.bind(engine).fetch_all(db).await?.into_iter().map(TryInto::try_into).collect()
}

/// How many tasks of an organization are not over.
///
/// # Errors
/// [`Error::Database`].
pub async fn open_count(db: &mut SqliteConnection, organization: OrganizationId) -> Result<i64, Error> {
    let query = sqlx::query_scalar(
        "SELECT count(*) FROM engine_tasks WHERE organization_id = $1 AND status NOT IN ('complete', 'failed', 'cancelled', 'aborted')",
    );
    Ok(query.bind(organization.0).fetch_one(db).await?)
}
