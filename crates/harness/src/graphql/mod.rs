//! The part of the platform's GraphQL API that engines call (GraphQL §7, §8), and how its requests and errors look on the wire.
//!
//! A token is good for one task, its job, its recordings and their assets. Everything else is `not_allowed`.

use std::sync::Arc;

use async_graphql::{EmptySubscription, Request, Schema};
use serde_json::Value;

use crate::desk::{Desk, Task};

mod error;
mod foreign;
mod mutation;
mod query;
mod recording;
mod scalar;
mod text;
mod types;
mod words;

pub use error::{ApiError, render};
pub use scalar::{Json, JsonData, UploadedFile};
pub use text::{QueryError, parse};
pub use words::{AssetOrderBy, TaskFailureReason, TaskStatus};

/// What a resolver gives: absent, an answer, or a refusal that leaves the other fields of the request alone.
type Answer<T> = Option<Result<T, ApiError>>;

/// The engine-side schema.
pub(crate) type EngineSchema = Schema<query::EngineQuery, mutation::EngineMutation, EmptySubscription>;

/// Builds the schema. Depth and complexity are capped; the text itself is by [`parse`].
pub(crate) fn schema() -> EngineSchema {
    Schema::build(query::EngineQuery, mutation::EngineMutation, EmptySubscription)
        .limit_depth(40)
        .limit_complexity(2_000)
        .limit_directives(20)
        .finish()
}

/// A file that came with a request.
#[derive(Clone, Debug)]
pub(crate) struct SentFile {
    pub(crate) name: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: bytes::Bytes,
}

/// One request, read but not looked at.
#[derive(Debug, Default)]
pub(crate) struct ApiRequest {
    pub(crate) query: String,
    pub(crate) operation_name: Option<String>,
    pub(crate) variables: Value,
    pub(crate) file: Option<SentFile>,
    /// The `filename` field of a plain form.
    pub(crate) file_name: Option<String>,
}

/// Who asks, and what came along.
pub(crate) struct Caller {
    pub(crate) desk: Arc<Desk>,
    task: Option<Arc<Task>>,
    pub(crate) file: Option<SentFile>,
    pub(crate) file_name: Option<String>,
}

impl Caller {
    /// The caller's task, or the refusal.
    pub(crate) fn task(&self) -> Result<&Arc<Task>, ApiError> {
        self.task.as_ref().ok_or_else(ApiError::authentication)
    }
}

/// Runs one request. The second value is true if the request was no valid query at all.
pub(crate) async fn execute(schema: &EngineSchema, desk: &Arc<Desk>, token: Option<&str>, request: ApiRequest) -> (Value, bool) {
    desk.count_call();
    let document = match parse(&request.query) {
        Ok(document) => document,
        Err(error) => {
            desk.refuse("query", &error.to_string());
            return (ApiError::invalid_input(error.to_string()).document(desk.now()), true);
        }
    };
    let foreign = foreign::operations(&document, request.operation_name.as_deref());
    if !foreign.is_empty() {
        return (foreign::refusal(desk, &foreign), false);
    }
    let task = token.and_then(|token| desk.by_token(token));
    if task.is_none() && token.is_some() {
        desk.refuse("authorization", "the token is not one of this run");
    }
    let caller = Caller { desk: Arc::clone(desk), task, file: request.file, file_name: request.file_name };
    let mut query = Request::new(request.query).variables(async_graphql::Variables::from_json(request.variables)).data(caller);
    query.operation_name = request.operation_name;
    query.set_parsed_query(document);
    let response = schema.execute(query).await;
    for error in &response.errors {
        let operation = match error.path.first() {
            Some(async_graphql::PathSegment::Field(name)) => name.as_str(),
            _ => "query",
        };
        desk.refuse(operation, &error.message);
    }
    let unusable = response.errors.iter().any(|error| error.path.is_empty()) && response.data == async_graphql::Value::Null;
    (render(response, desk.now()), unusable)
}
