//! `GET` and `POST {redisETUrl}/keys/j{jobId}/{key}` and `/keys/t{taskId}/{key}` (engine contract §1.4).

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{Path, Query, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    Api,
    body::{Share, content_type, read},
    refusal,
};
use crate::desk::{Kept, Scope, Task};

/// How long a value is kept unless its sender says otherwise, seconds.
const DAY: u64 = 24 * 3600;
/// Bytes of one value.
const MAX_VALUE: u64 = 1 << 20;
/// Characters of a key.
const MAX_KEY: usize = 200;

type Address = Path<(String, String, String)>;

pub(super) async fn get(State(api): State<Arc<Api>>, Path((hook, scope, name)): Address) -> Response {
    let kept = whose(&api, &hook, &scope).and_then(|(task, scope)| api.desk.kept(&task, scope, &name));
    match kept {
        Some(Kept { bytes, content_type }) => ([(header::CONTENT_TYPE, content_type)], bytes).into_response(),
        None => nothing(),
    }
}

pub(super) async fn put(
    State(api): State<Arc<Api>>,
    Path((hook, scope, name)): Address,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    let Some((task, scope)) = whose(&api, &hook, &scope) else {
        api.desk.refuse("key-value", "not a key of this task");
        return nothing();
    };
    let content_type =
        Some(content_type(&request)).filter(|kind| !kind.is_empty()).unwrap_or_else(|| "application/octet-stream".to_owned());
    let mut share = Share::new(&api.in_flight);
    let bytes = match read(request.into_body(), MAX_VALUE, &mut share).await {
        Ok(bytes) => bytes,
        Err(trouble) => return trouble.response(),
    };
    if bytes.is_empty() || name.len() > MAX_KEY {
        return refusal(StatusCode::BAD_REQUEST, "invalid_input", "Send the value as the body, under a key of at most 200 characters");
    }
    let seconds = query.get("ttlInSeconds").and_then(|text| text.parse().ok()).unwrap_or(DAY);
    if api.desk.keep(&task, scope, &name, Kept { bytes, content_type }, seconds.min(DAY)) {
        StatusCode::OK.into_response()
    } else {
        refusal(StatusCode::INTERNAL_SERVER_ERROR, "capacity_exceeded", "This test run has taken as much as it keeps")
    }
}

/// The task whose hook it is, if `scope` is its own id or that of its job.
fn whose(api: &Api, hook: &str, scope: &str) -> Option<(Arc<Task>, Scope)> {
    let task = api.desk.by_hook(hook)?;
    let kind = match (scope.strip_prefix('j'), scope.strip_prefix('t')) {
        (Some(id), _) if id == task.job_id => Scope::Job,
        (_, Some(id)) if id == task.id => Scope::Task,
        _ => return None,
    };
    Some((task, kind))
}

fn nothing() -> Response {
    refusal(StatusCode::NOT_FOUND, "not_found", "Nothing is kept under this key")
}
