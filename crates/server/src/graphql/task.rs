//! Jobs and tasks as the API shows them (GraphQL contract §4, §7).

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
pub use harness::graphql::{TaskFailureReason, TaskStatus};
use model::{id::EngineId, task};
use store::{
    builds, engine_use, engines,
    tasks::{self, EngineJob, Of, Task as Row},
    tdos,
};

use super::{
    app,
    build::Build,
    caller,
    engine::Engine,
    page::{Page, Wanted},
    scalars::{DateTime, Json, JsonData},
    tdo::Tdo,
};
use crate::{asset_files, error::Problem};

/// Bytes of a log that are shown as text; the rest is behind its uri.
const LOG_SHOWN: u64 = 1 << 20;

/// Which jobs a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(rename_items = "snake_case")]
#[allow(missing_docs, reason = "the words are the contract's own")]
pub enum JobStatusFilter {
    Pending,
    Running,
    Complete,
    Cancelled,
    Queued,
    Failed,
}

impl From<JobStatusFilter> for task::TaskStatus {
    fn from(filter: JobStatusFilter) -> Self {
        match filter {
            JobStatusFilter::Pending => Self::Pending,
            JobStatusFilter::Running => Self::Running,
            JobStatusFilter::Complete => Self::Complete,
            JobStatusFilter::Cancelled => Self::Cancelled,
            JobStatusFilter::Queued => Self::Queued,
            JobStatusFilter::Failed => Self::Failed,
        }
    }
}

/// One unit of work for one engine.
pub struct Task(pub Row);

/// The log of a task that has ended.
#[derive(SimpleObject)]
pub struct TaskLog {
    /// Where all of it is; good for a while.
    pub uri: String,
    /// Its beginning.
    pub text: Option<String>,
    pub jsondata: Option<JsonData>,
}

/// One step of a task.
pub struct TaskStep(tasks::Step);

#[Object]
impl TaskStep {
    async fn time(&self) -> DateTime {
        DateTime(self.0.at)
    }

    async fn actor(&self) -> &str {
        &self.0.actor
    }

    async fn from(&self) -> Option<&str> {
        self.0.from_status.as_deref()
    }

    async fn to(&self) -> &str {
        &self.0.to_status
    }

    async fn reason(&self) -> &str {
        &self.0.reason
    }
}

/// One unit of work for one engine.
#[Object]
impl Task {
    async fn id(&self) -> ID {
        self.0.id.clone().into()
    }

    async fn job_id(&self) -> ID {
        self.0.job.clone().into()
    }

    async fn job(&self, ctx: &Context<'_>) -> Result<Option<Job>> {
        let mut db = app(ctx).db.read().acquire().await.map_err(Problem::from)?;
        Ok(tasks::job(&mut db, self.0.organization, &self.0.job).await.map_err(Problem::from)?.map(Job))
    }

    async fn target_id(&self) -> ID {
        self.0.tdo.to_string().into()
    }

    async fn target(&self, ctx: &Context<'_>) -> Result<Option<Tdo>> {
        let mut db = app(ctx).db.read().acquire().await.map_err(Problem::from)?;
        Ok(tdos::by_id(&mut db, self.0.organization, self.0.tdo).await.map_err(Problem::from)?.map(Tdo))
    }

    async fn engine_id(&self) -> ID {
        self.0.engine.clone().into()
    }

    /// Null for what the platform does itself.
    async fn engine(&self, ctx: &Context<'_>) -> Result<Option<Engine>> {
        // An engine's token does not reach beyond its task.
        caller(ctx)?;
        let Ok(id) = self.0.engine.parse::<EngineId>() else { return Ok(None) };
        let row = engines::by_id(app(ctx).db.read(), id).await.map_err(Problem::from)?;
        Ok(row.filter(|engine| engine.organization == self.0.organization).map(Engine::from))
    }

    /// The build it tests, or the one that worked on it.
    async fn build_id(&self) -> Option<ID> {
        self.0.build.map(|id| id.to_string().into())
    }

    async fn build(&self, ctx: &Context<'_>) -> Result<Option<Build>> {
        caller(ctx)?;
        let Some(id) = self.0.build else { return Ok(None) };
        Ok(builds::by_id(app(ctx).db.read(), id).await.map_err(Problem::from)?.map(Build::from))
    }

    async fn status(&self) -> TaskStatus {
        self.0.status.into()
    }

    /// What the engine was given.
    async fn payload(&self) -> JsonData {
        JsonData(self.0.payload.clone())
    }

    /// The same as text.
    async fn payload_string(&self) -> String {
        self.0.payload.to_string()
    }

    /// The older name of `payload`.
    async fn task_payload(&self) -> Json {
        Json(self.0.payload.clone())
    }

    /// What the engine said in the end.
    async fn output(&self) -> Option<JsonData> {
        self.0.output.clone().map(JsonData)
    }

    /// The same as text.
    async fn output_string(&self) -> Option<String> {
        self.0.output.as_ref().map(ToString::to_string)
    }

    /// The older name of `output`.
    async fn task_output(&self) -> Option<Json> {
        self.0.output.clone().map(Json)
    }

    /// Its log, once it has ended.
    async fn log(&self, ctx: &Context<'_>) -> Result<Option<TaskLog>> {
        let Some(digest) = &self.0.log else { return Ok(None) };
        let app = app(ctx);
        let text = asset_files::beginning(app, digest, LOG_SHOWN).await?;
        let uri = asset_files::signed(app, &asset_files::log_path_of(&self.0.id));
        Ok(Some(TaskLog { uri, text: Some(text), jsondata: None }))
    }

    async fn failure_reason(&self) -> Option<TaskFailureReason> {
        self.0.failure_reason.as_deref().map(TaskFailureReason::of)
    }

    async fn failure_message(&self) -> Option<&str> {
        self.0.failure_message.as_deref()
    }

    /// Whether it tests a build.
    async fn test_task(&self) -> bool {
        self.0.test
    }

    /// How often it was begun.
    async fn tries(&self) -> i64 {
        self.0.tries
    }

    /// E-mail of who asked for it.
    async fn created_by(&self) -> &str {
        &self.0.created_by
    }

    async fn created_date_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    async fn modified_date_time(&self) -> DateTime {
        DateTime(self.0.modified_at)
    }

    async fn started_date_time(&self) -> Option<DateTime> {
        self.0.started_at.map(DateTime)
    }

    async fn completed_date_time(&self) -> Option<DateTime> {
        self.0.ended_at.map(DateTime)
    }

    /// What happened to it, oldest first.
    async fn history(&self, ctx: &Context<'_>) -> Result<Vec<TaskStep>> {
        let steps = tasks::history(app(ctx).db.read(), &self.0.id).await.map_err(Problem::from)?;
        Ok(steps.into_iter().map(TaskStep).collect())
    }
}

/// Tasks on one recording.
pub struct Job(pub EngineJob);

/// Tasks on one recording.
#[Object]
impl Job {
    async fn id(&self) -> ID {
        self.0.id.clone().into()
    }

    async fn target_id(&self) -> ID {
        self.0.tdo.to_string().into()
    }

    async fn target(&self, ctx: &Context<'_>) -> Result<Option<Tdo>> {
        let mut db = app(ctx).db.read().acquire().await.map_err(Problem::from)?;
        Ok(tdos::by_id(&mut db, self.0.organization, self.0.tdo).await.map_err(Problem::from)?.map(Tdo))
    }

    /// By its tasks.
    async fn status(&self) -> TaskStatus {
        self.0.status.into()
    }

    /// E-mail of who asked for it.
    async fn created_by(&self) -> &str {
        &self.0.created_by
    }

    async fn created_date_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// Its tasks, in order.
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        status: Option<Vec<TaskStatus>>,
        offset: Option<i64>,
        limit: Option<i64>,
    ) -> Result<Page<Task>> {
        page(ctx, self.0.organization, Of::Job(self.0.id.clone()), status, Wanted::new(offset, limit)).await
    }
}

/// A page of tasks.
pub async fn page(
    ctx: &Context<'_>,
    organization: model::id::OrganizationId,
    of: Of,
    status: Option<Vec<TaskStatus>>,
    wanted: Wanted,
) -> Result<Page<Task>> {
    let statuses: Vec<task::TaskStatus> = status.unwrap_or_default().into_iter().map(Into::into).collect();
    let mut db = app(ctx).db.read().acquire().await.map_err(Problem::from)?;
    let rows = tasks::tasks(&mut db, organization, &of, &statuses, wanted.offset, wanted.limit).await.map_err(Problem::from)?;
    Ok(wanted.page(rows, Task))
}

/// Who used an engine lately, and what it is doing: to be seen before it is paused or another build takes its place.
pub struct EngineUsage(pub engine_use::Use);

/// Who used an engine lately, and what it is doing.
#[Object]
impl EngineUsage {
    /// When the latest task was asked for.
    async fn last_task_date_time(&self) -> Option<DateTime> {
        self.0.last_at.map(DateTime)
    }

    /// E-mail of who asked for it.
    async fn last_used_by(&self) -> Option<&str> {
        self.0.last_by.as_deref()
    }

    /// Who asked for a task within the last seven days, the latest first; ten at most.
    async fn recent_users(&self) -> &[String] {
        &self.0.lately_by
    }

    /// Tasks asked for within the last seven days.
    async fn recent_task_count(&self) -> i64 {
        self.0.lately
    }

    /// Tasks it works on.
    async fn running_task_count(&self) -> i64 {
        self.0.running
    }

    /// Tasks that wait for it.
    async fn waiting_task_count(&self) -> i64 {
        self.0.waiting
    }
}
