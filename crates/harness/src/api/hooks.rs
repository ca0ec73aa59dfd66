//! Heartbeat and result hooks (engine contract §1.4). The key in the address names the task and is the permission.

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    Api,
    body::{Share, content_type, read, read_form},
    refusal,
};
use crate::desk::{Status, Task};

/// Bytes of one heartbeat.
const MAX_HEARTBEAT: u64 = 1 << 20;
/// Characters kept of what a heartbeat says.
const MAX_TEXT: usize = 2_000;

pub(super) async fn heartbeat(State(api): State<Arc<Api>>, Path(key): Path<String>, request: Request) -> Response {
    let Some(task) = api.desk.by_hook(&key) else { return unknown(&api, "heartbeat") };
    let mut share = Share::new(&api.in_flight);
    let bytes = match read(request.into_body(), MAX_HEARTBEAT, &mut share).await {
        Ok(bytes) => bytes,
        Err(trouble) => return refuse(&api, "heartbeat", &trouble.to_string(), trouble.response()),
    };
    match beat(&bytes) {
        Ok(status) => {
            api.desk.set_status(&task, status);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(problem) => refuse(&api, "heartbeat", &problem, refusal(StatusCode::BAD_REQUEST, "invalid_input", &problem)),
    }
}

pub(super) async fn result(State(api): State<Arc<Api>>, Path(key): Path<String>, request: Request) -> Response {
    let Some(task) = api.desk.by_hook(&key) else { return unknown(&api, "result") };
    let mut share = Share::new(&api.in_flight);
    let caps = &api.desk.caps;
    let results = if content_type(&request) == "multipart/form-data" {
        match read_form(request, caps.json, caps.file, &mut share).await {
            Ok(parts) => parts
                .into_iter()
                .filter(|part| part.is_file() || part.name == "output")
                .map(|part| {
                    let kind = part.content_type.clone().unwrap_or_else(|| guess(&part.bytes).to_owned());
                    (kind, part.bytes)
                })
                .collect(),
            Err(trouble) => return refuse(&api, "result", &trouble.to_string(), trouble.response()),
        }
    } else {
        match read(request.into_body(), caps.json, &mut share).await.map(|bytes| output(&bytes)) {
            Ok(Ok(result)) => vec![result],
            Ok(Err(problem)) => return refuse(&api, "result", &problem, refusal(StatusCode::BAD_REQUEST, "invalid_input", &problem)),
            Err(trouble) => return refuse(&api, "result", &trouble.to_string(), trouble.response()),
        }
    };
    keep(&api, &task, &results)
}

fn keep(api: &Api, task: &Task, results: &[(String, Bytes)]) -> Response {
    if results.is_empty() {
        let problem = "the form has neither a file nor a field `output`";
        return refuse(api, "result", problem, refusal(StatusCode::BAD_REQUEST, "invalid_input", problem));
    }
    if results.iter().all(|(kind, bytes)| api.desk.add_output(task, "resultWebhook", kind, bytes, false)) {
        return StatusCode::NO_CONTENT.into_response();
    }
    let problem = "this test run has taken as many results as it keeps";
    refuse(api, "result", problem, refusal(StatusCode::PAYLOAD_TOO_LARGE, "capacity_exceeded", problem))
}

fn unknown(api: &Api, hook: &str) -> Response {
    refuse(api, hook, "not a hook of this run", refusal(StatusCode::NOT_FOUND, "not_found", "No hook is at this address"))
}

fn refuse(api: &Api, hook: &str, problem: &str, response: Response) -> Response {
    api.desk.refuse(hook, problem);
    response
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("the body is not a JSON object".to_owned()),
        Err(error) => Err(format!("the body is not JSON: {error}")),
    }
}

/// A heartbeat's status and, if it failed, why.
fn beat(bytes: &[u8]) -> Result<Status, String> {
    let body = object(bytes)?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(|text| text.chars().take(MAX_TEXT).collect::<String>());
    let status = text("status").ok_or("`status` is missing; it is running, complete or failed")?;
    if !matches!(status.as_str(), "running" | "complete" | "failed") {
        let shown: String = status.chars().take(40).collect();
        return Err(format!("`status` is {shown:?}; it is running, complete or failed"));
    }
    let failed = status == "failed";
    if failed && text("failureReason").is_none() {
        return Err("`failureReason` is missing; a failed task needs one".to_owned());
    }
    let reason = |key| text(key).filter(|_| failed);
    Ok(Status { failure_reason: reason("failureReason"), failure_message: reason("failureMsg"), status, ..Status::default() })
}

/// The `output` of a result; text that is JSON is taken as JSON.
fn output(bytes: &[u8]) -> Result<(String, Bytes), String> {
    let output = object(bytes)?.remove("output").filter(|output| !output.is_null()).ok_or("`output` is missing")?;
    Ok(match output {
        Value::String(text) => (guess(text.as_bytes()).to_owned(), Bytes::from(text)),
        other => ("application/json".to_owned(), Bytes::from(other.to_string())),
    })
}

fn guess(bytes: &[u8]) -> &'static str {
    if serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() { "application/json" } else { "application/octet-stream" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_read_as_the_contract_says() {
        let ok = beat(br#"{"status":"failed","failureReason":"invalid_data","failureMsg":"no words","infoMsg":{"a":1}}"#).unwrap();
        assert_eq!(
            (ok.status.as_str(), ok.failure_reason.as_deref(), ok.failure_message.as_deref()),
            ("failed", Some("invalid_data"), Some("no words"))
        );
        assert_eq!(beat(br#"{"status":"running","failureReason":"x"}"#).unwrap().failure_reason, None);
        for (body, reason) in [
            ("{}", "status"),
            (r#"{"status":"done"}"#, "done"),
            (r#"{"status":"failed"}"#, "failureReason"),
            ("[]", "object"),
            ("x", "JSON"),
        ] {
            assert!(beat(body.as_bytes()).unwrap_err().contains(reason), "{body}");
        }
    }

    #[test]
    fn an_output_may_be_json_or_its_text() {
        let (json, text) = (output(br#"{"output":{"series":[]}}"#).unwrap(), output(br#"{"output":"{\"series\":[]}"}"#).unwrap());
        assert_eq!(json, text);
        assert_eq!(output(br#"{"output":"plain words"}"#).unwrap().0, "application/octet-stream");
        assert!(output(br#"{"chunkContext":"x"}"#).unwrap_err().contains("output"));
    }
}
