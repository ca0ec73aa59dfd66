//! The validation tool for people: paste or upload a result, read what is wrong with it and where. Open to everybody, as the tool for programs is.

use std::sync::Arc;

use axum::{
    extract::{
        Multipart, State,
        multipart::{MultipartError, MultipartRejection},
    },
    http::{HeaderMap, StatusCode},
    response::Response,
};
use checks::{contract::output::Contract, judge_pasted};

use super::{
    page::{PageError, page},
    views::{Account, Section, Shell, Typed, ValidatePage},
    visitor::who,
};
use crate::{app::App, error::Problem, tools::MAX_DOCUMENT};

/// Largest form, bytes: one document pasted, one uploaded, and what is around them.
pub const MAX_BODY: usize = 2 * MAX_DOCUMENT + (64 << 10);

/// `GET /tools/validate`.
pub async fn form(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, PageError> {
    Ok(page(StatusCode::OK, &ValidatePage::empty(shell(&app, &headers).await?)))
}

async fn shell(app: &App, headers: &HeaderMap) -> Result<Shell, Problem> {
    let account = who(app, headers).await?.map_or(Account::Stranger, |caller| Account::Known(caller.email));
    Ok(Shell::new("Validate a result", Section::Tools, account))
}

/// `POST /tools/validate`. An uploaded file counts more than what was pasted.
pub async fn judge(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, PageError> {
    let shell = shell(&app, &headers).await?;
    let read = match form {
        Ok(form) => typed(form).await,
        Err(_) => Err((StatusCode::BAD_REQUEST, "The form could not be read; open the page again.".to_owned())),
    };
    let typed = match read {
        Ok(typed) => typed,
        Err((status, problem)) => return Ok(page(status, &ValidatePage::refused(shell, Typed::default(), problem))),
    };
    let contract = Contract::named(&typed.contract);
    let problem = match contract {
        None if !typed.contract.is_empty() => Some("Contract: choose one of the list".to_owned()),
        _ if typed.document.trim_ascii().is_empty() => Some("Document: paste a result or choose a file".to_owned()),
        _ if typed.document.len() > MAX_DOCUMENT => {
            Some("Document: it is larger than 1 MiB; validate a shorter part of the result".to_owned())
        }
        _ => None,
    };
    if let Some(problem) = problem {
        return Ok(page(StatusCode::BAD_REQUEST, &ValidatePage::refused(shell, typed, problem)));
    }
    // A megabyte of faults takes its time; it must not take a thread of the runtime with it.
    let judged = tokio::task::spawn_blocking(move || {
        let findings = judge_pasted(&typed.document, contract);
        (typed, findings)
    });
    let (typed, findings) = judged.await.map_err(|error| Problem::internal(&error))?;
    Ok(page(StatusCode::OK, &ValidatePage::judged(shell, typed, &findings)))
}

async fn typed(mut form: Multipart) -> Result<Typed, (StatusCode, String)> {
    let broken = |error: MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            (StatusCode::PAYLOAD_TOO_LARGE, "Document: it is larger than 1 MiB; validate a shorter part of the result".to_owned())
        }
        _ => (StatusCode::BAD_REQUEST, "The form did not arrive as a whole; send it again.".to_owned()),
    };
    let mut typed = Typed::default();
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        let file_name = field.file_name().unwrap_or_default().chars().take(200).collect::<String>();
        let bytes = field.bytes().await.map_err(broken)?;
        match name.as_str() {
            "contract" => typed.contract = String::from_utf8_lossy(&bytes).chars().take(100).collect(),
            "document" if typed.file_name.is_empty() => typed.document = bytes.into(),
            "file" if !bytes.is_empty() => (typed.document, typed.file_name) = (bytes.into(), file_name),
            _ => {}
        }
    }
    Ok(typed)
}
