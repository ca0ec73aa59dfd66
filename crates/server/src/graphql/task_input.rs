//! What clients send about jobs, tasks, recordings and files (GraphQL contract §7). Fields of the contract that mean nothing here are taken and
//! not looked at; each says so.

use async_graphql::{ID, InputObject};

use super::{
    scalars::{DateTime, JsonData, UploadedFile},
    task::{TaskFailureReason, TaskStatus},
};

/// A job.
#[derive(InputObject)]
pub struct CreateJob {
    /// The recording to work on; a new one if absent.
    pub target_id: Option<ID>,
    /// Beginning and end of the new recording.
    pub target: Option<CreateJobTarget>,
    pub tasks: Vec<CreateTask>,
    /// `standby_pending`: nobody works on the tasks until they are set to pending. Nothing else is looked at.
    pub status: Option<TaskStatus>,
    /// Not looked at: what an engine fails at stays failed; a task that was cut off is begun anew, three times at most.
    pub retries: Option<i32>,
    /// Not looked at.
    pub cluster_id: Option<ID>,
    /// Not looked at.
    pub is_reprocess_job: Option<bool>,
    /// Not looked at.
    pub scheduled_job_id: Option<ID>,
    /// Not looked at.
    pub job_template_id: Option<ID>,
    /// Not looked at.
    pub skip_decider: Option<bool>,
    /// Not looked at.
    pub job_config: Option<JsonData>,
    /// Not looked at: one engine needs no routes.
    pub routes: Option<Vec<JsonData>>,
}

/// Beginning and end of a new recording.
#[derive(InputObject)]
pub struct CreateJobTarget {
    pub name: Option<String>,
    pub start_date_time: Option<DateTime>,
    pub stop_date_time: Option<DateTime>,
    pub status: Option<String>,
}

/// A task of a job.
#[derive(InputObject)]
pub struct CreateTask {
    /// The engine, or one of the platform's own helpers.
    pub engine_id: Option<ID>,
    /// Only tasks of engines are done here.
    pub task_type: Option<String>,
    /// What the engine gets, a JSON object.
    pub payload: Option<JsonData>,
    /// The same as JSON text.
    pub payload_string: Option<String>,
    /// The build to test, with `testTask`; otherwise the deployed one.
    pub build_id: Option<ID>,
    /// Runs a build that need not be deployed.
    #[graphql(default_with = "Some(false)")]
    pub test_task: Option<bool>,
    /// Nobody works on it until it is set to pending.
    #[graphql(default_with = "Some(false)")]
    pub standby_task: Option<bool>,
    /// Not looked at.
    pub is_clone: Option<bool>,
    /// Not looked at: one engine needs no folders.
    pub io_folders: Option<Vec<JsonData>>,
    /// Not looked at.
    pub execution_preferences: Option<JsonData>,
}

/// A job of one engine, from its own template.
#[derive(InputObject)]
pub struct SingleEngineJobInput {
    pub engine_id: ID,
    /// Address of a file of this server.
    pub upload_url: Option<String>,
    /// A recording.
    pub target_id: Option<ID>,
    pub fields: Option<Vec<SingleEngineJobInputField>>,
}

/// A custom field.
#[derive(InputObject)]
pub struct SingleEngineJobInputField {
    pub field_name: String,
    pub field_value: Option<JsonData>,
}

/// How a task stands now.
#[derive(InputObject)]
pub struct UpdateTask {
    pub id: ID,
    pub status: TaskStatus,
    pub job_id: Option<ID>,
    pub output: Option<JsonData>,
    /// Text; JSON text is taken as JSON.
    pub output_string: Option<String>,
    /// The key under which `outputString` is put if it is not JSON.
    pub output_json_key: Option<String>,
    /// The older name of `output`.
    pub task_output: Option<JsonData>,
    pub payload: Option<JsonData>,
    /// Not looked at.
    pub client_timestamp: Option<DateTime>,
    /// Only with the status `failed`.
    pub failure_reason: Option<TaskFailureReason>,
    /// Only with a `failureReason`.
    pub failure_message: Option<String>,
    /// Not looked at.
    pub execution_location_data: Option<JsonData>,
}

/// Wakes a task up.
#[derive(InputObject)]
pub struct PollTask {
    pub id: ID,
    pub job_id: ID,
    /// Added to the payload.
    pub poll_payload: Option<JsonData>,
}

/// A log of a task.
#[derive(InputObject)]
pub struct CreateTaskLog {
    pub task_id: ID,
    pub file: Option<UploadedFile>,
}

/// A result.
#[derive(InputObject)]
pub struct UploadEngineResult {
    pub task_id: ID,
    pub output: Option<JsonData>,
    pub output_string: Option<String>,
    pub file: Option<UploadedFile>,
    pub uri: Option<String>,
    pub filename: Option<String>,
    pub asset_type: Option<String>,
    pub content_type: Option<String>,
    #[graphql(default_with = "Some(true)")]
    pub complete_task: Option<bool>,
    /// The key under which a result that is not JSON is put in the task's output.
    #[graphql(default_with = "Some(\"data\".to_owned())")]
    pub output_json_key: Option<String>,
    /// Not looked at.
    pub file_data: Option<JsonData>,
    #[graphql(default_with = "Some(false)")]
    pub set_as_primary: Option<bool>,
    /// Not looked at.
    #[graphql(default_with = "Some(false)")]
    pub skip_indexing: Option<bool>,
    /// The task's output becomes what is given as `output` or `outputString`; or, if that is larger than an output may be, the id of the file
    /// it becomes. What a `file` holds does not.
    #[graphql(default_with = "Some(true)")]
    pub set_task_output: Option<bool>,
}

/// A recording.
#[derive(InputObject)]
#[graphql(name = "CreateTDO")]
pub struct CreateTdo {
    pub start_date_time: DateTime,
    pub stop_date_time: DateTime,
    pub name: Option<String>,
    pub description: Option<String>,
    pub status: Option<String>,
    pub details: Option<JsonData>,
    /// Not looked at.
    pub source: Option<JsonData>,
    /// Not looked at.
    pub source_data: Option<JsonData>,
    /// Not looked at.
    pub source_id: Option<ID>,
    /// Not looked at.
    pub application_id: Option<ID>,
    /// Not looked at.
    pub parent_folder_id: Option<ID>,
    /// Not looked at.
    pub add_to_index: Option<bool>,
    /// Not looked at.
    pub is_public: Option<bool>,
    /// Not looked at.
    pub thumbnail_url: Option<String>,
    /// Not looked at.
    pub source_image_url: Option<String>,
}

/// A recording with its first file.
#[derive(InputObject)]
#[graphql(name = "CreateTDOWithAsset")]
pub struct CreateTdoWithAsset {
    pub start_date_time: Option<DateTime>,
    pub stop_date_time: Option<DateTime>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub status: Option<String>,
    pub details: Option<JsonData>,
    /// The older name of `assetType`.
    #[graphql(name = "type")]
    pub kind: Option<String>,
    pub asset_type: Option<String>,
    pub content_type: Option<String>,
    pub file: Option<UploadedFile>,
    pub uri: Option<String>,
    pub asset_details: Option<JsonData>,
    /// Not looked at.
    pub file_data: Option<JsonData>,
    /// The MD5 sum of the content, 32 hexadecimal digits; refused if that has another. Of what is elsewhere it is not looked at.
    #[graphql(name = "md5sum")]
    pub md5sum: Option<String>,
    /// Not looked at.
    pub source: Option<JsonData>,
    /// Not looked at.
    pub source_data: Option<JsonData>,
    /// Not looked at.
    pub application_id: Option<ID>,
    /// Not looked at.
    pub parent_folder_id: Option<ID>,
    /// Not looked at.
    pub add_to_index: Option<bool>,
    /// Not looked at.
    pub is_public: Option<bool>,
    /// Not looked at.
    pub thumbnail_url: Option<String>,
}

/// What changes in a recording; what is not said stays.
#[derive(InputObject)]
#[graphql(name = "UpdateTDO")]
pub struct UpdateTdo {
    pub id: ID,
    pub start_date_time: Option<DateTime>,
    pub stop_date_time: Option<DateTime>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub status: Option<String>,
    pub details: Option<JsonData>,
    /// Not looked at.
    pub source: Option<JsonData>,
    /// Not looked at.
    pub source_data: Option<JsonData>,
    /// Not looked at.
    pub application_id: Option<ID>,
    /// Not looked at.
    pub add_to_index: Option<bool>,
    /// Not looked at.
    pub is_public: Option<bool>,
    /// Not looked at.
    pub thumbnail_url: Option<String>,
    /// Not looked at.
    pub source_image_url: Option<String>,
    /// Not looked at: createAsset has `setAsPrimary`.
    pub primary_asset: Option<JsonData>,
}

/// A file for a recording.
#[derive(InputObject)]
pub struct CreateAsset {
    pub container_id: ID,
    /// The older name of `assetType`.
    #[graphql(name = "type")]
    pub kind: Option<String>,
    pub asset_type: Option<String>,
    pub content_type: Option<String>,
    pub file: Option<UploadedFile>,
    /// Where it is, if no file is sent. A file of this server is named by its address; others are not fetched.
    pub uri: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub details: Option<JsonData>,
    /// The older name of `details`.
    pub jsondata: Option<JsonData>,
    pub source_data: Option<SourceData>,
    /// Not looked at.
    pub file_data: Option<JsonData>,
    /// The MD5 sum of the content, 32 hexadecimal digits; refused if that has another. Of what is elsewhere it is not looked at.
    #[graphql(name = "md5sum")]
    pub md5sum: Option<String>,
    #[graphql(default_with = "Some(false)")]
    pub set_as_primary: Option<bool>,
    #[graphql(default_with = "Some(false)")]
    pub is_user_edited: Option<bool>,
}

/// Where a file comes from.
#[derive(InputObject)]
pub struct SourceData {
    pub task_id: Option<ID>,
    pub engine_id: Option<ID>,
    pub name: Option<String>,
}

/// A document under the id of a schema.
#[derive(InputObject)]
pub struct CreateStructuredData {
    pub id: Option<ID>,
    pub schema_id: ID,
    pub data: Option<JsonData>,
    /// The same as JSON text.
    pub data_string: Option<String>,
}

/// What a token is wanted for.
#[derive(InputObject)]
#[graphql(name = "GetEngineJWT")]
pub struct GetEngineJwt {
    pub engine_id: ID,
    pub resource: JwtResource,
}

/// The objects a token is wanted for.
#[derive(InputObject)]
#[graphql(name = "JWTResource")]
pub struct JwtResource {
    pub tdo_id: Option<ID>,
    pub job_id: ID,
    pub task_id: ID,
}
