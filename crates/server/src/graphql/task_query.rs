//! Reads of jobs, tasks, recordings and results. An engine sees its own.

use async_graphql::{Context, ID, Object, Result};
use model::task::TaskStatus as Status;
use store::{
    assets::{self, Content, Filter},
    engines,
    tasks::{self, JobFilter, Of},
    tdos,
};

use super::{
    app, category,
    page::{Page, Wanted},
    party,
    scalars::JsonData,
    task::{self, Job, JobStatusFilter, Task, TaskStatus},
    tdo::{EngineResult, EngineResultList, Tdo},
};
use crate::{
    asset_files,
    auth::{party::Party, permission::Permission},
    error::Problem,
    ops::create_tdo,
};

/// Results read by one query, and bytes of each; larger ones are files to be fetched.
const RESULTS: (i64, u64) = (100, 4 << 20);

/// Reads of jobs, tasks, recordings and results.
#[derive(Default)]
pub struct TaskQuery;

/// The caller, with the right to read.
fn reader<'a>(ctx: &Context<'a>) -> Result<&'a Party, Problem> {
    let party = party(ctx)?;
    party.require(Permission::ReadTasks)?;
    Ok(party)
}

/// A decimal number.
pub(super) fn tdo_id(id: &ID) -> Result<i64, Problem> {
    super::parse_id(id, "TemporalDataObject")
}

/// A recording the caller may see.
pub(super) async fn own_tdo(ctx: &Context<'_>, party: &Party, id: &ID) -> Result<tdos::Tdo, Problem> {
    let mut db = app(ctx).db.read().acquire().await?;
    create_tdo::own_tdo(&mut db, party, tdo_id(id)?).await
}

#[Object(name = "TaskReads")]
impl TaskQuery {
    /// A recording and its files.
    async fn temporal_data_object(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Tdo>> {
        let party = reader(ctx)?;
        Ok(Some(Tdo(own_tdo(ctx, party, &id).await?)))
    }

    /// Recordings of the caller's organization, newest first.
    async fn temporal_data_objects(&self, ctx: &Context<'_>, offset: Option<i64>, limit: Option<i64>) -> Result<Page<Tdo>> {
        let caller = reader(ctx)?.person()?;
        let wanted = Wanted::new(offset, limit);
        let rows = tdos::list(app(ctx).db.read(), caller.organization, wanted.offset, wanted.limit).await.map_err(Problem::from)?;
        Ok(wanted.page(rows, Tdo))
    }

    /// A task.
    async fn task(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Task>> {
        let party = reader(ctx)?;
        if let Some(token) = party.token().filter(|token| token.task != id.0) {
            return Err(Problem::NotAllowed(format!("this token is good for task {} alone", token.task)).into());
        }
        let mut db = app(ctx).db.read().acquire().await.map_err(Problem::from)?;
        let row = tasks::task(&mut db, party.organization(), &id).await.map_err(Problem::from)?;
        Ok(Some(Task(row.ok_or_else(|| Problem::NotFound { object: "Task", id: id.chars().take(80).collect() })?)))
    }

    /// Tasks of the caller's organization, newest first.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the contract")]
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        id: Option<ID>,
        task_template_id: Option<ID>,
        engine_id: Option<ID>,
        status: Option<Vec<TaskStatus>>,
        offset: Option<i64>,
        limit: Option<i64>,
    ) -> Result<Page<Task>> {
        let party = reader(ctx)?;
        let wanted = Wanted::new(offset, limit);
        let organization = party.organization();
        if task_template_id.is_some() {
            // Nobody has made one here.
            return Ok(wanted.page(Vec::new(), Task));
        }
        let only = id.map(|id| id.0).or_else(|| party.token().map(|token| token.task.clone()));
        if let Some(id) = only {
            let mut db = app(ctx).db.read().acquire().await.map_err(Problem::from)?;
            let row = tasks::task(&mut db, organization, &id).await.map_err(Problem::from)?;
            let row = row.filter(|row| wanted.offset == 0 && party.own_task(row).is_ok());
            return Ok(wanted.page(row.into_iter().collect(), Task));
        }
        let of = engine_id.map_or(Of::All, |id| Of::Engine(id.to_lowercase()));
        task::page(ctx, organization, of, status, wanted).await
    }

    /// A job.
    async fn job(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Job>> {
        let party = reader(ctx)?;
        party.own_job(&id)?;
        let mut db = app(ctx).db.read().acquire().await.map_err(Problem::from)?;
        let row = tasks::job(&mut db, party.organization(), &id).await.map_err(Problem::from)?;
        Ok(Some(Job(row.ok_or_else(|| Problem::NotFound { object: "Job", id: id.chars().take(80).collect() })?)))
    }

    /// Jobs of the caller's organization, newest first.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the contract")]
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        id: Option<ID>,
        status: Option<Vec<JobStatusFilter>>,
        target_id: Option<ID>,
        engine_ids: Option<Vec<ID>>,
        offset: Option<i64>,
        limit: Option<i64>,
    ) -> Result<Page<Job>> {
        let caller = reader(ctx)?.person()?;
        let wanted = Wanted::new(offset, limit);
        let filter = JobFilter {
            id: id.map(|id| id.0),
            tdo: target_id.as_ref().map(tdo_id).transpose()?,
            statuses: status.unwrap_or_default().into_iter().map(Status::from).collect(),
            engines: engine_ids.unwrap_or_default().into_iter().map(|id| id.to_lowercase()).collect(),
        };
        let rows = tasks::jobs(app(ctx).db.read(), caller.organization, &filter, wanted.offset, wanted.limit).await;
        Ok(wanted.page(rows.map_err(Problem::from)?, Job))
    }

    /// What engines found: by recording or by job, of all engines or of some.
    async fn engine_results(
        &self,
        ctx: &Context<'_>,
        tdo_id: Option<ID>,
        job_id: Option<ID>,
        engine_ids: Option<Vec<ID>>,
        engine_category_ids: Option<Vec<ID>>,
    ) -> Result<EngineResultList> {
        let party = reader(ctx)?;
        if tdo_id.is_none() && job_id.is_none() {
            return Err(Problem::invalid("engineResults: give a tdoId or a jobId").into());
        }
        let mut filter = Filter { types: vec!["vtn-standard".to_owned()], ..Filter::default() };
        if let Some(id) = &tdo_id {
            filter.tdos.push(own_tdo(ctx, party, id).await?.id);
        }
        if let Some(id) = &job_id {
            party.own_job(id)?;
            filter.job = Some(id.0.clone());
        }
        filter.engines = engine_ids.unwrap_or_default().into_iter().map(|id| id.to_lowercase()).collect();
        let rows = {
            let mut db = app(ctx).db.read().acquire().await.map_err(Problem::from)?;
            assets::list(&mut db, party.organization(), &filter, 0, RESULTS.0).await.map_err(Problem::from)?
        };
        let mut records = Vec::new();
        for asset in rows {
            if !of_category(ctx, &asset, engine_category_ids.as_deref()).await? {
                continue;
            }
            if let (Content::Blob(digest), true) = (&asset.content, asset.size <= RESULTS.1) {
                let bytes = asset_files::read(&app(ctx).assets, digest, asset.size).await.map_err(Problem::from)?;
                if let Ok(jsondata) = serde_json::from_slice(&bytes) {
                    records.push(EngineResult { asset, jsondata });
                }
            }
        }
        Ok(EngineResultList { source_id: tdo_id, records })
    }

    /// A document under the id of a schema.
    async fn structured_data(&self, ctx: &Context<'_>, id: ID, schema_id: ID) -> Result<Option<JsonData>> {
        let caller = reader(ctx)?.person()?;
        let data = tdos::document(app(ctx).db.read(), caller.organization, &schema_id, &id).await.map_err(Problem::from)?;
        let missing = || Problem::NotFound { object: "StructuredData", id: id.chars().take(80).collect() };
        Ok(Some(JsonData(data.ok_or_else(missing)?)))
    }
}

async fn of_category(ctx: &Context<'_>, asset: &assets::Asset, categories: Option<&[ID]>) -> Result<bool, Problem> {
    let Some(categories) = categories else { return Ok(true) };
    let Some(Ok(id)) = asset.engine.as_deref().map(str::parse) else { return Ok(false) };
    let engine = engines::by_id(app(ctx).db.read(), id).await?;
    Ok(engine.is_some_and(|engine| categories.iter().any(|id| category::find(id) == Some(engine.category))))
}
