//! `POST /v3/tools/engine/validate`: is a result as the output standard wants it? Open to everybody, as documented.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};
use checks::contract::output::{Answer, UnknownFields, tool};
use serde_json::json;

use crate::{app::App, error::Problem};

/// Largest document, bytes.
pub const MAX_DOCUMENT: usize = 1 << 20;

/// The tool.
pub fn route() -> MethodRouter<Arc<App>> {
    post(validate).get(wants_post)
}

async fn wants_post() -> Problem {
    Problem::invalid("Send the result document with POST, as JSON: curl -X POST --data-binary @result.json ADDRESS")
}

async fn validate(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if let Some(size) = announced.filter(|size| *size > MAX_DOCUMENT as u64) {
        return Ok(too_large(Some(size)));
    }
    let Ok(bytes) = axum::body::to_bytes(request.into_body(), MAX_DOCUMENT).await else {
        return Ok(too_large(None));
    };
    let answer = judged(&app, bytes.into()).await?;
    let status = match answer {
        Answer::Valid(_) => StatusCode::OK,
        Answer::Invalid { .. } => StatusCode::from_u16(app.config.validate.invalid_status).unwrap_or(StatusCode::BAD_REQUEST),
    };
    Ok((status, [(header::CONTENT_TYPE, "application/json")], answer.body()).into_response())
}

/// A megabyte of faults takes its time; it must not take a thread of the runtime with it.
async fn judged(app: &App, bytes: Vec<u8>) -> Result<Answer, Problem> {
    let unknown: UnknownFields = app.config.validate.unknown_fields;
    tokio::task::spawn_blocking(move || tool(&bytes, unknown)).await.map_err(|error| Problem::internal(&error))
}

/// The same for the API: true, or an error with the entries.
///
/// # Errors
/// [`Problem::InvalidInput`] with `validationErrors`.
pub async fn validate_output(app: &App, bytes: Vec<u8>) -> Result<bool, Problem> {
    if bytes.len() > MAX_DOCUMENT {
        return Err(Problem::invalid(format!("input: the document is larger than {MAX_DOCUMENT} bytes")));
    }
    match judged(app, bytes).await? {
        Answer::Valid(_) => Ok(true),
        Answer::Invalid { message, errors } => Err(Problem::InvalidInput { message, data: json!({ "validationErrors": errors }) }),
    }
}

fn too_large(size: Option<u64>) -> Response {
    let message = format!("The document is larger than {MAX_DOCUMENT} bytes; validate a shorter part of the result");
    let data = json!({ "limitInBytes": MAX_DOCUMENT, "requestSize": size });
    let body = json!({ "errors": [{ "name": "invalid_input", "message": message, "data": data, "validationErrors": [] }] });
    (StatusCode::PAYLOAD_TOO_LARGE, Json(body)).into_response()
}
