//! Deeds about jobs, tasks, recordings and files: each calls one op.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use serde_json::{Map, Value, json};
use store::tasks;

use super::{
    app, party,
    scalars::JsonData,
    task::{Job, Task, TaskLog, TaskStatus},
    task_input::{
        CreateAsset, CreateJob, CreateStructuredData, CreateTask, CreateTaskLog, CreateTdo, CreateTdoWithAsset, GetEngineJwt, PollTask,
        SingleEngineJobInput, UpdateTask, UpdateTdo, UploadEngineResult,
    },
    task_query::tdo_id,
    tdo::{Asset, Tdo},
};
use crate::{
    asset_files::{self, Sent},
    auth::{engine_token::EngineToken, party::Party},
    error::Problem,
    ops::{
        create_asset::{NewAsset, NewContent, create_asset, create_structured_data, create_tdo_with_asset},
        create_job::{Input, NewJob, NewTask, create_job, launch_single_engine_job},
        create_tdo::{NewTdo, TdoChange, create_tdo, update_tdo},
        issue_engine_token::issue_engine_token,
        update_task::{NewResult, TaskChange, cancel_job, create_task_log, poll_task, update_task, upload_result},
    },
};

/// Bytes of a log that are shown in the answer.
const LOG_SHOWN: u64 = 2_000;

/// Deeds about jobs, tasks, recordings and files.
#[derive(Default)]
pub struct TaskMutation;

/// A job that was cancelled.
#[derive(SimpleObject)]
pub struct CancelJob {
    id: ID,
    message: String,
}

/// A document under the id of a schema.
#[derive(SimpleObject)]
pub struct StructuredData {
    id: ID,
    schema_id: ID,
    data: JsonData,
}

/// A token for an engine, and what it is good for.
#[derive(SimpleObject)]
#[graphql(name = "EngineJWT")]
pub struct EngineJwt {
    engine_id: ID,
    token: String,
    /// The recording, job and task.
    resource: JsonData,
}

impl EngineJwt {
    fn new(text: String, token: &EngineToken) -> Self {
        let resource = json!({ "tdoId": token.tdo.to_string(), "jobId": token.job, "taskId": token.task });
        Self { engine_id: token.engine.clone().into(), token: text, resource: JsonData(resource) }
    }
}

/// Text as JSON: as it is, or under a key if it is none.
fn as_json(text: &str, key: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!({ key: text }))
}

/// The file of the request, or else where it is said to be; with the type the client gave the file.
fn content(ctx: &Context<'_>, uri: Option<String>) -> (NewContent, Option<String>, Option<String>) {
    let sent = ctx.data_opt::<Arc<Sent>>().and_then(|sent| Some((sent, sent.take()?)));
    match sent {
        Some((sent, incoming)) => (NewContent::File(incoming), sent.content_type.clone(), sent.name.clone()),
        // Without an address there is nothing, which is told when it is known what it is for.
        None => (NewContent::Uri(uri.unwrap_or_default()), None, None),
    }
}

fn blank_asset(asset_type: impl Into<String>, content: NewContent) -> NewAsset {
    NewAsset {
        asset_type: asset_type.into(),
        content_type: None,
        name: None,
        description: None,
        details: None,
        source: None,
        content,
        md5sum: None,
        is_primary: false,
        user_edited: false,
    }
}

fn new_task(task: CreateTask, standby: bool) -> Result<NewTask, Problem> {
    if let (None, None, Some(kind)) = (&task.engine_id, &task.build_id, &task.task_type) {
        let kind: String = kind.chars().take(80).collect();
        return Err(Problem::NotImplemented(format!("taskType {kind}: only tasks of engines are done here; name one with engineId")));
    }
    let text = task.payload_string.filter(|text| !text.trim().is_empty());
    let text = text.map(|text| serde_json::from_str(&text).map_err(|error| Problem::invalid(format!("payloadString: no JSON: {error}"))));
    Ok(NewTask {
        engine: task.engine_id.map(|id| id.0),
        payload: task.payload.map(|payload| payload.0).or(text.transpose()?),
        build: task.build_id.map(|id| id.0),
        test: task.test_task.unwrap_or_default(),
        standby: task.standby_task.unwrap_or_default() || standby,
    })
}

#[Object]
impl TaskMutation {
    /// Makes a job of one engine on a recording.
    async fn create_job(&self, ctx: &Context<'_>, input: CreateJob) -> Result<Job> {
        let caller = party(ctx)?.person()?;
        let standby = input.status == Some(TaskStatus::StandbyPending);
        let tasks = input.tasks.into_iter().map(|task| new_task(task, standby)).collect::<Result<_, _>>()?;
        let target = input.target_id.as_ref().map(tdo_id).transpose()?;
        let new_target = input.target.map_or_else(NewTdo::default, |target| NewTdo {
            name: target.name,
            status: target.status,
            start_at: target.start_date_time.map(|at| at.0),
            stop_at: target.stop_date_time.map(|at| at.0),
            ..NewTdo::default()
        });
        Ok(Job(create_job(app(ctx), caller, NewJob { target, new_target, tasks }).await?))
    }

    /// Makes a job of one engine from the engine's own template.
    async fn launch_single_engine_job(&self, ctx: &Context<'_>, input: SingleEngineJobInput) -> Result<Job> {
        let caller = party(ctx)?.person()?;
        let what = match (input.target_id, input.upload_url) {
            (Some(id), _) => Input::Target(tdo_id(&id)?),
            (None, Some(url)) => Input::Url(url),
            (None, None) => return Err(Problem::invalid("One of uploadUrl or targetId must be provided").into()),
        };
        let fields: Map<String, Value> = input
            .fields
            .unwrap_or_default()
            .into_iter()
            .map(|field| (field.field_name, field.field_value.map_or(Value::Null, |value| value.0)))
            .collect();
        Ok(Job(launch_single_engine_job(app(ctx), caller, &input.engine_id, what, fields).await?))
    }

    /// Ends what is not over of a job.
    async fn cancel_job(&self, ctx: &Context<'_>, id: ID) -> Result<CancelJob> {
        let job = cancel_job(app(ctx), party(ctx)?, &id).await?;
        Ok(CancelJob { message: format!("Job {} is {}", job.id, job.status), id: job.id.into() })
    }

    /// Says how a task stands.
    async fn update_task(&self, ctx: &Context<'_>, input: UpdateTask) -> Result<Task> {
        let key = input.output_json_key.as_deref().unwrap_or("data");
        let text = input.output_string.filter(|text| !text.is_empty()).map(|text| as_json(&text, key));
        let change = TaskChange {
            task: input.id.0,
            job: input.job_id.map(|id| id.0),
            status: input.status.into(),
            output: input.output.or(input.task_output).map(|output| output.0).or(text),
            payload: input.payload.map(|payload| payload.0),
            failure_reason: input.failure_reason.map(|reason| reason.as_str().to_owned()),
            failure_message: input.failure_message,
        };
        Ok(Task(update_task(app(ctx), party(ctx)?, change).await?))
    }

    /// Wakes up a task whose engine has stopped until then.
    async fn poll_task(&self, ctx: &Context<'_>, input: PollTask) -> Result<Task> {
        let party = party(ctx)?;
        let more = match input.poll_payload.map(|payload| payload.0) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(map)) => map,
            Some(_) => return Err(Problem::invalid("pollPayload: a JSON object is expected").into()),
        };
        Ok(Task(poll_task(app(ctx), party, &input.id, &input.job_id, more).await?))
    }

    /// Hands in a log of a task.
    async fn create_task_log(&self, ctx: &Context<'_>, input: CreateTaskLog) -> Result<TaskLog> {
        let (content, content_type, name) = content(ctx, None);
        let new = NewAsset { content_type, name, ..blank_asset("task-log", content) };
        let (_, asset) = create_task_log(app(ctx), party(ctx)?, &input.task_id, new).await?;
        let text = match &asset.content {
            store::assets::Content::Blob(digest) => Some(asset_files::beginning(app(ctx), digest, LOG_SHOWN).await?),
            store::assets::Content::Uri(_) => None,
        };
        Ok(TaskLog { uri: asset_files::signed(app(ctx), &asset_files::path_of(&asset.id)), text, jsondata: None })
    }

    /// Hands in a result and, unless told otherwise, completes the task.
    async fn upload_engine_result(&self, ctx: &Context<'_>, input: UploadEngineResult) -> Result<Asset> {
        let text = input.output.map(|output| output.0.to_string()).or(input.output_string);
        let (new, content_type, name, output) = match text {
            Some(text) => {
                let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
                let output =
                    input.set_task_output.unwrap_or(true).then(|| as_json(&text, input.output_json_key.as_deref().unwrap_or("data")));
                let kind = if is_json { "application/json" } else { "text/plain" };
                (NewContent::Bytes(text.into()), Some(kind.to_owned()), None, output)
            }
            None => {
                let (content, content_type, name) = content(ctx, input.uri);
                (content, content_type, name, None)
            }
        };
        let asset = NewAsset {
            content_type: input.content_type.or(content_type),
            name: input.filename.or(name),
            is_primary: input.set_as_primary.unwrap_or_default(),
            ..blank_asset(input.asset_type.unwrap_or_else(|| "vtn-standard".to_owned()), new)
        };
        let new = NewResult { task: input.task_id.0, asset, output, complete: input.complete_task.unwrap_or(true) };
        Ok(Asset(upload_result(app(ctx), party(ctx)?, new).await?))
    }

    /// Makes a recording.
    #[graphql(name = "createTDO")]
    async fn create_tdo(&self, ctx: &Context<'_>, input: CreateTdo) -> Result<Tdo> {
        let new = NewTdo {
            name: input.name,
            description: input.description,
            status: input.status,
            details: input.details.map(|details| details.0),
            start_at: Some(input.start_date_time.0),
            stop_at: Some(input.stop_date_time.0),
        };
        Ok(Tdo(create_tdo(app(ctx), party(ctx)?, new).await?))
    }

    /// Makes a recording with a first file.
    #[graphql(name = "createTDOWithAsset")]
    async fn create_tdo_with_asset(&self, ctx: &Context<'_>, input: CreateTdoWithAsset) -> Result<Tdo> {
        let party = party(ctx)?;
        let (content, content_type, name) = content(ctx, input.uri);
        let asset = NewAsset {
            content_type: input.content_type.or(content_type),
            name,
            details: input.asset_details.map(|details| details.0),
            md5sum: input.md5sum,
            ..blank_asset(input.asset_type.or(input.kind).unwrap_or_else(|| "media".to_owned()), content)
        };
        let new = NewTdo {
            name: input.name,
            description: input.description,
            status: input.status,
            details: input.details.map(|details| details.0),
            start_at: input.start_date_time.map(|at| at.0),
            stop_at: input.stop_date_time.map(|at| at.0),
        };
        Ok(Tdo(create_tdo_with_asset(app(ctx), party, new, asset).await?))
    }

    /// Changes a recording.
    #[graphql(name = "updateTDO")]
    async fn update_tdo(&self, ctx: &Context<'_>, input: UpdateTdo) -> Result<Tdo> {
        let new = NewTdo {
            name: input.name,
            description: input.description,
            status: input.status,
            details: input.details.map(|details| details.0),
            start_at: input.start_date_time.map(|at| at.0),
            stop_at: input.stop_date_time.map(|at| at.0),
        };
        Ok(Tdo(update_tdo(app(ctx), party(ctx)?, TdoChange { id: tdo_id(&input.id)?, new }).await?))
    }

    /// Adds a file to a recording.
    async fn create_asset(&self, ctx: &Context<'_>, input: CreateAsset) -> Result<Asset> {
        let party = party(ctx)?;
        let tdo = tdo_id(&input.container_id)?;
        let asset_type = input.asset_type.or(input.kind).unwrap_or_default();
        let (content, content_type, name) = content(ctx, input.uri);
        let source = input.source_data.map(|source| json!({ "taskId": source.task_id, "engineId": source.engine_id, "name": source.name }));
        let new = NewAsset {
            content_type: input.content_type.or(content_type),
            name: input.name.or(name),
            description: input.description,
            details: input.details.or(input.jsondata).map(|details| details.0),
            source,
            md5sum: input.md5sum,
            is_primary: input.set_as_primary.unwrap_or_default(),
            user_edited: input.is_user_edited.unwrap_or_default(),
            ..blank_asset(asset_type, content)
        };
        Ok(Asset(create_asset(app(ctx), party, tdo, new).await?))
    }

    /// Keeps a document under the id of a schema.
    async fn create_structured_data(&self, ctx: &Context<'_>, input: CreateStructuredData) -> Result<StructuredData> {
        let party = party(ctx)?;
        let data = input.data.map(|data| data.0).or_else(|| input.data_string.map(|text| as_json(&text, "data")));
        let data = data.ok_or_else(|| Problem::invalid("data: give the document, or its JSON text as dataString"))?;
        let id = create_structured_data(app(ctx), party, &input.schema_id, input.id.map(|id| id.0), data.clone()).await?;
        Ok(StructuredData { id: id.into(), schema_id: input.schema_id, data: JsonData(data) })
    }

    /// A token that is good for one task of an engine, its job and its recording.
    #[graphql(name = "getEngineJWT")]
    async fn get_engine_jwt(&self, ctx: &Context<'_>, input: GetEngineJwt) -> Result<EngineJwt> {
        let (party, resource) = (party(ctx)?, input.resource);
        let tdo = resource.tdo_id.as_ref().map(tdo_id).transpose()?;
        let (text, token) = issue_engine_token(app(ctx), party, &input.engine_id, &resource.job_id, &resource.task_id, tdo).await?;
        Ok(EngineJwt::new(text, &token))
    }

    /// What a token of an engine is good for.
    #[graphql(name = "verifyJWT")]
    async fn verify_jwt(&self, ctx: &Context<'_>, jwt_token: String) -> Result<EngineJwt> {
        let party = party(ctx)?;
        let app = app(ctx);
        let refused = || Problem::invalid("jwtToken: it is no token of an engine of yours, or no longer good");
        let token = app.engine_tokens.read(&jwt_token).filter(|token| token.organization == party.organization()).ok_or_else(refused)?;
        if let Party::Engine(own) = party
            && *own != token
        {
            return Err(refused().into());
        }
        let mut db = app.db.read().acquire().await.map_err(Problem::from)?;
        tasks::task(&mut db, token.organization, &token.task).await.map_err(Problem::from)?.ok_or_else(refused)?;
        Ok(EngineJwt::new(jwt_token, &token))
    }
}
