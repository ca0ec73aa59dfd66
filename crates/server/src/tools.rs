//! `POST /v3/tools/engine/validate`: is a result as the output standard wants it? Open to everybody, as documented.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};
use checks::contract::output::{Answer, UnknownFields, VALID, tool};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::{
    app::App,
    error::{Problem, chain},
};

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
    let buffer = match collected(request.into_body(), announced.unwrap_or_default() as usize).await {
        Ok(Some(buffer)) => buffer,
        Ok(None) => return Ok(too_large(None)),
        Err(error) => return Err(Problem::invalid(format!("The document did not arrive whole: {}; send it again", chain(&error)))),
    };
    let unknown = app.config.validate.unknown_fields;
    // A megabyte of faults takes its time; it must not take a thread of the runtime with it.
    let answered = tokio::task::spawn_blocking(move || answered(buffer, unknown)).await;
    let (valid, body) = answered.map_err(|error| Problem::internal(&error))?;
    let status = if valid { StatusCode::OK } else { invalid(&app) };
    Ok((status, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn invalid(app: &App) -> StatusCode {
    StatusCode::from_u16(app.config.validate.invalid_status).unwrap_or(StatusCode::BAD_REQUEST)
}

/// The document, behind the beginning of the answer to a valid one: most are, and most come back as they were sent. `None` if it is too large.
async fn collected(body: Body, announced: usize) -> Result<Option<Vec<u8>>, axum::Error> {
    let mut buffer = Vec::with_capacity(VALID.0.len() + announced.min(MAX_DOCUMENT) + VALID.1.len());
    buffer.extend_from_slice(VALID.0.as_bytes());
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if buffer.len() - VALID.0.len() + piece.len() > MAX_DOCUMENT {
            return Ok(None);
        }
        buffer.extend_from_slice(&piece);
    }
    Ok(Some(buffer))
}

/// Whether the document in the buffer is valid, and the body of the answer.
fn answered(mut buffer: Vec<u8>, unknown: UnknownFields) -> (bool, Vec<u8>) {
    let document = &buffer[VALID.0.len()..];
    let answer = tool(document, unknown);
    if !matches!(&answer, Answer::Valid(Cow::Borrowed(text)) if text.len() == document.len()) {
        return (matches!(answer, Answer::Valid(_)), answer.body().into_bytes());
    }
    buffer.extend_from_slice(VALID.1.as_bytes());
    (true, buffer)
}

/// What is wrong with a document: a sentence and the entries; `None` if nothing is.
///
/// # Errors
/// [`Problem::Internal`].
pub async fn faults(app: &App, bytes: Vec<u8>) -> Result<Option<(String, Vec<Value>)>, Problem> {
    let unknown = app.config.validate.unknown_fields;
    let judged = tokio::task::spawn_blocking(move || match tool(&bytes, unknown) {
        Answer::Valid(_) => None,
        Answer::Invalid { message, errors } => Some((message, errors)),
    });
    judged.await.map_err(|error| Problem::internal(&error))
}

/// The same for the API: true, or an error with the entries.
///
/// # Errors
/// [`Problem::InvalidInput`] with `validationErrors`.
pub async fn validate_output(app: &App, bytes: Vec<u8>) -> Result<bool, Problem> {
    if bytes.len() > MAX_DOCUMENT {
        return Err(Problem::invalid(format!("input: the document is larger than {MAX_DOCUMENT} bytes")));
    }
    match faults(app, bytes).await? {
        None => Ok(true),
        Some((message, errors)) => Err(Problem::InvalidInput { message, data: json!({ "validationErrors": errors }) }),
    }
}

fn too_large(size: Option<u64>) -> Response {
    let message = format!("The document is larger than {MAX_DOCUMENT} bytes; validate a shorter part of the result");
    let data = json!({ "limitInBytes": MAX_DOCUMENT, "requestSize": size });
    let body = json!({ "errors": [{ "name": "invalid_input", "message": message, "data": data, "validationErrors": [] }] });
    (StatusCode::PAYLOAD_TOO_LARGE, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn a_document_that_breaks_off_is_not_called_too_large() {
        let body = |pieces: Vec<std::io::Result<Vec<u8>>>| Body::from_stream(stream::iter(pieces));
        let whole = collected(body(vec![Ok(b"{".to_vec()), Ok(b"}".to_vec())]), 0).await.unwrap();
        assert_eq!(whole.as_deref(), Some([VALID.0, "{}"].concat().as_bytes()));
        assert_eq!(collected(body(vec![Ok(vec![b' '; MAX_DOCUMENT]), Ok(vec![b' '])]), 9).await.unwrap(), None);
        assert!(collected(body(vec![Ok(b"{".to_vec()), Err(std::io::Error::other("reset"))]), 9).await.is_err());
    }
}
