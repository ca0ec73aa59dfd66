//! What engines change: their task, and the assets of its recording.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Answer, ApiError, Caller,
    recording::{self, CreateStructuredData, CreateTdo, CreateTdoWithAsset, GetEngineJwt, UpdateTdo},
    scalar::{DateTime, JsonData, UploadedFile},
    types::{AssetView, EngineJwt, StructuredData, TaskLog, TaskView, TdoView},
    words::{TaskFailureReason, TaskStatus},
};
use crate::{
    Md5Sum,
    desk::{Content, NewAsset, Status, Task, essence},
};

/// Longest texts kept of what an engine says, characters.
const MAX_TEXT: usize = 2_000;

/// What an engine may change.
pub(crate) struct EngineMutation;

/// How a task stands now.
#[derive(InputObject)]
pub(crate) struct UpdateTask {
    id: ID,
    status: TaskStatus,
    job_id: Option<ID>,
    output: Option<JsonData>,
    /// Text; JSON text is taken as JSON.
    output_string: Option<String>,
    /// The key under which `outputString` is put if it is not JSON.
    output_json_key: Option<String>,
    /// The older name of `output`.
    task_output: Option<JsonData>,
    payload: Option<JsonData>,
    client_timestamp: Option<DateTime>,
    /// Only with the status `failed`.
    failure_reason: Option<TaskFailureReason>,
    /// Only with a `failureReason`.
    failure_message: Option<String>,
    execution_location_data: Option<JsonData>,
}

/// A file for a recording.
#[derive(InputObject)]
pub(crate) struct CreateAsset {
    container_id: ID,
    /// The older name of `assetType`.
    #[graphql(name = "type")]
    kind: Option<String>,
    asset_type: Option<String>,
    content_type: Option<String>,
    file: Option<UploadedFile>,
    uri: Option<String>,
    name: Option<String>,
    description: Option<String>,
    details: Option<JsonData>,
    jsondata: Option<JsonData>,
    source_data: Option<SourceData>,
    #[graphql(name = "md5sum")]
    md5sum: Option<String>,
    file_data: Option<JsonData>,
    set_as_primary: Option<bool>,
    is_user_edited: Option<bool>,
}

/// Where an asset comes from.
#[derive(InputObject)]
pub(crate) struct SourceData {
    task_id: Option<ID>,
    engine_id: Option<ID>,
    name: Option<String>,
}

/// A result.
#[derive(InputObject)]
pub(crate) struct UploadEngineResult {
    task_id: ID,
    output: Option<JsonData>,
    output_string: Option<String>,
    file: Option<UploadedFile>,
    uri: Option<String>,
    filename: Option<String>,
    asset_type: Option<String>,
    content_type: Option<String>,
    /// True, if nothing is said.
    complete_task: Option<bool>,
    /// The key under which a result that is not JSON is put in the task's output; `data`, if nothing is said.
    output_json_key: Option<String>,
    file_data: Option<JsonData>,
    set_as_primary: Option<bool>,
    skip_indexing: Option<bool>,
    /// True, if nothing is said.
    set_task_output: Option<bool>,
}

/// A log of a task.
#[derive(InputObject)]
pub(crate) struct CreateTaskLog {
    task_id: ID,
    file: Option<UploadedFile>,
}

#[Object]
impl EngineMutation {
    /// Says how a task stands.
    async fn update_task(&self, ctx: &Context<'_>, input: UpdateTask) -> Answer<TaskView> {
        Some(update_task(ctx.data_unchecked(), input))
    }

    /// Adds a file to the recording.
    async fn create_asset(&self, ctx: &Context<'_>, input: CreateAsset) -> Answer<AssetView> {
        Some(create_asset(ctx.data_unchecked(), input))
    }

    /// Hands in a result and, unless told otherwise, completes the task.
    async fn upload_engine_result(&self, ctx: &Context<'_>, input: UploadEngineResult) -> Answer<AssetView> {
        Some(upload_result(ctx.data_unchecked(), input))
    }

    /// Hands in a log.
    async fn create_task_log(&self, ctx: &Context<'_>, input: CreateTaskLog) -> Answer<TaskLog> {
        Some(create_log(ctx.data_unchecked(), &input.task_id))
    }

    /// Makes a recording.
    #[graphql(name = "createTDO")]
    async fn create_tdo(&self, ctx: &Context<'_>, input: CreateTdo) -> Answer<TdoView> {
        Some(recording::create(ctx.data_unchecked(), input))
    }

    /// Makes a recording with a first file.
    #[graphql(name = "createTDOWithAsset")]
    async fn create_tdo_with_asset(&self, ctx: &Context<'_>, input: CreateTdoWithAsset) -> Answer<TdoView> {
        Some(recording::create_with_asset(ctx.data_unchecked(), input))
    }

    /// Changes a recording.
    #[graphql(name = "updateTDO")]
    async fn update_tdo(&self, ctx: &Context<'_>, input: UpdateTdo) -> Answer<TdoView> {
        Some(recording::update(ctx.data_unchecked(), input))
    }

    /// Hands in a document under the id of a schema.
    async fn create_structured_data(&self, ctx: &Context<'_>, input: CreateStructuredData) -> Answer<StructuredData> {
        Some(recording::structured_data(ctx.data_unchecked(), input))
    }

    /// A token for the caller's own engine, job and task.
    #[graphql(name = "getEngineJWT")]
    async fn get_engine_jwt(&self, ctx: &Context<'_>, input: GetEngineJwt) -> Answer<EngineJwt> {
        Some(recording::engine_jwt(ctx.data_unchecked(), input))
    }
}

/// The caller's task, if `id` is the one its token is good for.
pub(super) fn own<'a>(caller: &'a Caller, what: &str, id: &ID, own_id: impl Fn(&Task) -> &str) -> Result<&'a Arc<Task>, ApiError> {
    let task = caller.task()?;
    if own_id(task) == id.0 {
        return Ok(task);
    }
    let shown: String = id.0.chars().take(80).collect();
    Err(ApiError::not_allowed(format!("This token is good for {what} {}, not for {shown}", own_id(task))))
}

/// What a token is not good for.
pub(super) fn foreign(what: &str, id: &ID) -> ApiError {
    let shown: String = id.0.chars().take(80).collect();
    ApiError::not_allowed(format!("This token is good for its own {what}, not for {shown}"))
}

pub(super) fn cut(text: String) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// Text as JSON: as it is, or under a key if it is none.
pub(super) fn as_json(text: &str, key: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!({ key: text }))
}

fn update_task(caller: &Caller, input: UpdateTask) -> Result<TaskView, ApiError> {
    let task = own(caller, "task", &input.id, |task| &task.id)?;
    if input.job_id.as_ref().is_some_and(|id| id.0 != task.job_id) {
        return Err(ApiError::invalid_input(format!("jobId: task {} belongs to job {}", task.id, task.job_id)));
    }
    if input.failure_reason.is_some() && input.status != TaskStatus::Failed {
        return Err(ApiError::invalid_input("failureReason: only a task with status failed has one"));
    }
    if input.failure_message.is_some() && input.failure_reason.is_none() {
        return Err(ApiError::invalid_input("failureMessage: give a failureReason with it"));
    }
    let key = input.output_json_key.as_deref().unwrap_or("data");
    let text = input.output_string.filter(|text| !text.is_empty()).map(|text| as_json(&text, key));
    let output = input.output.or(input.task_output).map(|output| output.0).or(text);
    if let Some(output) = output.as_ref().filter(|output| !is_empty(output)) {
        let bytes = Bytes::from(output.to_string());
        if !caller.desk.add_output(task, "updateTask", "application/json", &bytes, false) {
            return Err(ApiError::capacity("output: this test run has taken as many results as it keeps"));
        }
    }
    let status = Status {
        status: model::task::TaskStatus::from(input.status).to_string(),
        output,
        failure_reason: input.failure_reason.map(|reason| reason.as_str().to_owned()),
        failure_message: input.failure_message.map(cut),
        ..Status::default()
    };
    caller.desk.set_status(task, status);
    Ok(TaskView(Arc::clone(task)))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The content of an asset: the request's file, or else where it is said to be. A URL of ours means the bytes behind it; any other
/// is never fetched. A sum that is given with it must be that of the content, if that is here.
pub(super) fn content(caller: &Caller, uri: Option<String>, md5sum: Option<&str>) -> Result<(Content, Option<String>), ApiError> {
    let sum = md5sum.map(Md5Sum::given).transpose().map_err(ApiError::invalid_input)?;
    let found = found(caller, uri)?;
    if let (Some(sum), Content::Bytes(bytes)) = (sum, &found.0) {
        sum.with(bytes).check().map_err(ApiError::invalid_input)?;
    }
    Ok(found)
}

fn found(caller: &Caller, uri: Option<String>) -> Result<(Content, Option<String>), ApiError> {
    if let Some(file) = &caller.file {
        return Ok((Content::Bytes(file.bytes.clone()), file.content_type.clone()));
    }
    let Some(uri) = uri.filter(|uri| !uri.is_empty()) else {
        return Err(ApiError::invalid_input("One of uri or file (upload) must be provided to create an asset"));
    };
    if uri.len() > 2048 {
        return Err(ApiError::invalid_input("uri: longer than 2,048 characters"));
    }
    let ours = uri.strip_prefix(&caller.desk.url("/files/")).and_then(|rest| rest.split('/').next());
    Ok(match ours.and_then(|key| caller.desk.file(key)) {
        Some(file) => (Content::Bytes(file.bytes), Some(file.content_type)),
        None => (Content::Uri(uri), None),
    })
}

pub(super) fn file_name(caller: &Caller) -> Option<String> {
    caller.file_name.clone().or_else(|| caller.file.as_ref().and_then(|file| file.name.clone()))
}

fn create_asset(caller: &Caller, input: CreateAsset) -> Result<AssetView, ApiError> {
    let task = caller.task()?;
    let tdo = caller.desk.tdo(task, &input.container_id.0).ok_or_else(|| foreign("recording", &input.container_id))?;
    let asset_type = input.asset_type.or(input.kind).filter(|kind| !kind.is_empty());
    let asset_type =
        asset_type.ok_or_else(|| ApiError::invalid_input("assetType: say what kind of asset this is, such as vtn-standard"))?;
    let (content, sent_type) = content(caller, input.uri, input.md5sum.as_deref())?;
    let content_type = input.content_type.or(sent_type).unwrap_or_else(|| "application/octet-stream".to_owned());
    let new = NewAsset {
        asset_type: cut(asset_type),
        content_type: cut(content_type),
        name: input.name.or_else(|| file_name(caller)).map(cut),
        description: input.description.map(cut),
        details: input.details.or(input.jsondata).map(|details| details.0),
        content,
    };
    hand_in(caller, task, &tdo.id, "createAsset", new)
}

/// Keeps an asset, and its bytes as a result.
pub(super) fn hand_in(caller: &Caller, task: &Arc<Task>, tdo_id: &str, via: &str, new: NewAsset) -> Result<AssetView, ApiError> {
    let (bytes, content_type) = match &new.content {
        Content::Bytes(bytes) => (bytes.clone(), new.content_type.clone()),
        Content::Uri(uri) => (Bytes::from(uri.clone()), "text/uri-list".to_owned()),
    };
    let asset = caller.desk.add_asset(task, tdo_id, new)?;
    if !caller.desk.add_output(task, via, &content_type, &bytes, false) {
        return Err(ApiError::capacity("this test run has taken as many results as it keeps"));
    }
    Ok(AssetView(asset))
}

fn upload_result(caller: &Caller, input: UploadEngineResult) -> Result<AssetView, ApiError> {
    let task = own(caller, "task", &input.task_id, |task| &task.id)?;
    let text = input.output.map(|output| output.0.to_string()).or(input.output_string);
    let (content, sent_type) = match text {
        Some(text) => {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            (Content::Bytes(Bytes::from(text)), Some(if is_json { "application/json" } else { "text/plain" }.to_owned()))
        }
        None => content(caller, input.uri, None)?,
    };
    let content_type = cut(input.content_type.or(sent_type).unwrap_or_else(|| "application/json".to_owned()));
    let output = match &content {
        Content::Bytes(bytes) if input.set_task_output.unwrap_or(true) && is_text(&content_type) => {
            std::str::from_utf8(bytes).ok().map(|text| as_json(text, input.output_json_key.as_deref().unwrap_or("data")))
        }
        _ => None,
    };
    let new = NewAsset {
        asset_type: cut(input.asset_type.unwrap_or_else(|| "vtn-standard".to_owned())),
        content_type,
        name: input.filename.or_else(|| file_name(caller)).map(cut),
        description: None,
        details: None,
        content,
    };
    let asset = hand_in(caller, task, &task.tdo_id, "uploadEngineResult", new)?;
    let completes = input.complete_task.unwrap_or(true);
    let word = if completes { "complete".to_owned() } else { caller.desk.status_of(task).status };
    if completes || output.is_some() {
        caller.desk.set_status(task, Status { status: word, output, ..Status::default() });
    }
    Ok(asset)
}

fn is_text(content_type: &str) -> bool {
    let essence = essence(content_type);
    essence.starts_with("text/") || essence.ends_with("json")
}

fn create_log(caller: &Caller, task_id: &ID) -> Result<TaskLog, ApiError> {
    let task = own(caller, "task", task_id, |task| &task.id)?;
    let file = caller.file.as_ref().ok_or_else(|| ApiError::invalid_input("file: send the log as the file part of a multipart request"))?;
    let new = NewAsset {
        asset_type: "task-log".to_owned(),
        content_type: file.content_type.clone().unwrap_or_else(|| "text/plain".to_owned()),
        name: file_name(caller).map(cut),
        description: None,
        details: None,
        content: Content::Bytes(file.bytes.clone()),
    };
    let asset = caller.desk.add_asset(task, &task.tdo_id, new)?;
    let text = std::str::from_utf8(&file.bytes).ok().map(|text| cut(text.to_owned()));
    Ok(TaskLog { uri: caller.desk.url(&asset.uri), text })
}
