//! Recordings and documents that an engine makes: what adapters live on.

use async_graphql::{ID, InputObject};
use bytes::Bytes;

use super::{
    ApiError, Caller,
    mutation::{as_json, content, cut, file_name, foreign, hand_in, own},
    scalar::{DateTime, JsonData, UploadedFile},
    types::{EngineJwt, StructuredData, TdoView},
};
use crate::{
    desk::{NewAsset, NewTdo, TdoChange},
    task::Document,
};

/// A recording to be.
#[derive(InputObject)]
#[graphql(name = "CreateTDO")]
pub(crate) struct CreateTdo {
    start_date_time: DateTime,
    stop_date_time: DateTime,
    name: Option<String>,
    description: Option<String>,
    status: Option<String>,
    details: Option<JsonData>,
    source: Option<JsonData>,
    source_data: Option<JsonData>,
    source_id: Option<ID>,
    application_id: Option<ID>,
    parent_folder_id: Option<ID>,
    add_to_index: Option<bool>,
    is_public: Option<bool>,
    thumbnail_url: Option<String>,
    source_image_url: Option<String>,
}

/// A recording to be, with its first file.
#[derive(InputObject)]
#[graphql(name = "CreateTDOWithAsset")]
pub(crate) struct CreateTdoWithAsset {
    start_date_time: Option<DateTime>,
    stop_date_time: Option<DateTime>,
    name: Option<String>,
    description: Option<String>,
    status: Option<String>,
    details: Option<JsonData>,
    source: Option<JsonData>,
    source_data: Option<JsonData>,
    application_id: Option<ID>,
    parent_folder_id: Option<ID>,
    add_to_index: Option<bool>,
    is_public: Option<bool>,
    thumbnail_url: Option<String>,
    /// The older name of `assetType`.
    #[graphql(name = "type")]
    kind: Option<String>,
    asset_type: Option<String>,
    content_type: Option<String>,
    file: Option<UploadedFile>,
    uri: Option<String>,
    asset_details: Option<JsonData>,
    file_data: Option<JsonData>,
    #[graphql(name = "md5sum")]
    md5sum: Option<String>,
}

/// What changes in a recording.
#[derive(InputObject)]
#[graphql(name = "UpdateTDO")]
pub(crate) struct UpdateTdo {
    id: ID,
    start_date_time: Option<DateTime>,
    stop_date_time: Option<DateTime>,
    name: Option<String>,
    description: Option<String>,
    status: Option<String>,
    details: Option<JsonData>,
    source: Option<JsonData>,
    source_data: Option<JsonData>,
    application_id: Option<ID>,
    add_to_index: Option<bool>,
    is_public: Option<bool>,
    thumbnail_url: Option<String>,
    source_image_url: Option<String>,
    primary_asset: Option<JsonData>,
}

/// A document under the id of a schema.
#[derive(InputObject)]
pub(crate) struct CreateStructuredData {
    id: Option<ID>,
    schema_id: ID,
    data: Option<JsonData>,
    /// The same as JSON text.
    data_string: Option<String>,
}

/// What a token is wanted for.
#[derive(InputObject)]
#[graphql(name = "GetEngineJWT")]
pub(crate) struct GetEngineJwt {
    engine_id: ID,
    resource: Option<JwtResource>,
}

/// The objects a token is wanted for.
#[derive(InputObject)]
#[graphql(name = "JWTResource")]
pub(crate) struct JwtResource {
    tdo_id: Option<ID>,
    job_id: ID,
    task_id: ID,
}

pub(super) fn create(caller: &Caller, input: CreateTdo) -> Result<TdoView, ApiError> {
    let task = caller.task()?;
    let new = NewTdo {
        name: input.name.map(cut),
        description: input.description.map(cut),
        status: input.status.map(cut),
        details: input.details.map(|details| details.0),
        start: input.start_date_time.0,
        stop: input.stop_date_time.0,
    };
    Ok(TdoView { tdo: caller.desk.add_tdo(task, new)?, task: task.clone() })
}

pub(super) fn create_with_asset(caller: &Caller, input: CreateTdoWithAsset) -> Result<TdoView, ApiError> {
    let task = caller.task()?;
    let (content, sent_type) = content(caller, input.uri, input.md5sum.as_deref())?;
    let start = input.start_date_time.map_or_else(|| caller.desk.now(), |time| time.0);
    let new = NewTdo {
        name: input.name.map(cut),
        description: input.description.map(cut),
        status: input.status.map(cut),
        details: input.details.map(|details| details.0),
        start,
        stop: input.stop_date_time.map_or(start, |time| time.0),
    };
    let tdo = caller.desk.add_tdo(task, new)?;
    let asset = NewAsset {
        asset_type: cut(input.asset_type.or(input.kind).unwrap_or_else(|| "media".to_owned())),
        content_type: cut(input.content_type.or(sent_type).unwrap_or_else(|| "application/octet-stream".to_owned())),
        name: file_name(caller).map(cut),
        description: None,
        details: input.asset_details.map(|details| details.0),
        content,
    };
    hand_in(caller, task, &tdo.id, "createTDOWithAsset", asset)?;
    Ok(TdoView { tdo, task: task.clone() })
}

pub(super) fn update(caller: &Caller, input: UpdateTdo) -> Result<TdoView, ApiError> {
    let task = caller.task()?;
    let change = TdoChange {
        name: input.name.map(cut),
        description: input.description.map(cut),
        status: input.status.map(cut),
        details: input.details.map(|details| details.0),
        start: input.start_date_time.map(|time| time.0),
        stop: input.stop_date_time.map(|time| time.0),
    };
    let tdo = caller.desk.change_tdo(task, &input.id.0, change)?.ok_or_else(|| foreign("recording", &input.id))?;
    Ok(TdoView { tdo, task: task.clone() })
}

pub(super) fn structured_data(caller: &Caller, input: CreateStructuredData) -> Result<StructuredData, ApiError> {
    let task = caller.task()?;
    let data = input.data.map(|data| data.0).or_else(|| input.data_string.map(|text| as_json(&text, "data")));
    let data = data.ok_or_else(|| ApiError::invalid_input("data: give the document, or its JSON text as dataString"))?;
    if !caller.desk.add_output(task, "createStructuredData", "application/json", &Bytes::from(data.to_string()), false) {
        return Err(ApiError::capacity("this test run has taken as many results as it keeps"));
    }
    let id = input.id.unwrap_or_else(|| ID(format!("{}_{}", task.id, caller.desk.structured_data_made() + 1)));
    caller.desk.keep_structured_data(Document { schema: cut(input.schema_id.0.clone()), id: cut(id.0.clone()), data: data.clone() });
    Ok(StructuredData { id, schema_id: input.schema_id, data: JsonData(data) })
}

/// The token is the one the caller has: it is good for nothing else, and neither would be another.
pub(super) fn engine_jwt(caller: &Caller, input: GetEngineJwt) -> Result<EngineJwt, ApiError> {
    let task = caller.task()?;
    let engine = caller.desk.facts.registration.engine.to_string();
    if !input.engine_id.0.eq_ignore_ascii_case(&engine) {
        return Err(foreign("engine", &input.engine_id));
    }
    if let Some(resource) = &input.resource {
        own(caller, "job", &resource.job_id, |task| &task.job_id)?;
        own(caller, "task", &resource.task_id, |task| &task.id)?;
        if let Some(tdo) = resource.tdo_id.as_ref().filter(|id| caller.desk.tdo(task, &id.0).is_none()) {
            return Err(foreign("recording", tdo));
        }
    }
    let resource = serde_json::json!({ "tdoId": task.tdo_id, "jobId": task.job_id, "taskId": task.id });
    Ok(EngineJwt { engine_id: ID(engine), token: task.token.clone(), resource: JsonData(resource) })
}
