//! Heartbeat and result hooks (engine contract §1.4), and the address that wakes a paused task up (§2). The key in the address names the task and is the permission.

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
/// Bytes of what wakes an engine up.
const MAX_CALLBACK: u64 = 64 << 10;
/// Characters kept of what a heartbeat says.
const MAX_TEXT: usize = 2_000;

pub(super) async fn heartbeat(State(api): State<Arc<Api>>, Path(key): Path<String>, request: Request) -> Response {
    let Some(task) = api.desk.by_hook(&key) else { return unknown(&api, "heartbeat") };
    let mut share = Share::new(&api.in_flight);
    let bytes = match read(request.into_body(), MAX_HEARTBEAT, &mut share).await {
        Ok(bytes) => bytes,
        Err(trouble) => return refuse(&api, "heartbeat", &trouble.to_string(), trouble.response()),
    };
    match object(&bytes).and_then(|body| beat(&body).map(|status| (body, status))) {
        Ok((body, _)) if of_another(&body, &task).is_some() => other_task(&api, "heartbeat", &task, &body),
        Ok((_, status)) if task.has_ended() && status.status == "running" => {
            api.desk.late("heartbeat", &task, "status running");
            StatusCode::NO_CONTENT.into_response()
        }
        Ok((_, status)) => {
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
        match read(request.into_body(), caps.json, &mut share).await.map(|bytes| object(&bytes)) {
            Ok(Ok(body)) if of_another(&body, &task).is_some() => return other_task(&api, "result", &task, &body),
            Ok(Ok(body)) => match output(body) {
                Ok(result) => vec![result],
                Err(problem) => return refuse(&api, "result", &problem, refusal(StatusCode::BAD_REQUEST, "invalid_input", &problem)),
            },
            Ok(Err(problem)) => return refuse(&api, "result", &problem, refusal(StatusCode::BAD_REQUEST, "invalid_input", &problem)),
            Err(trouble) => return refuse(&api, "result", &trouble.to_string(), trouble.response()),
        }
    };
    keep(&api, &task, &results)
}

/// What is sent to it is handed to the engine when it is woken up: the body, or else what stands behind the question mark.
pub(super) async fn callback(State(api): State<Arc<Api>>, Path(key): Path<String>, request: Request) -> Response {
    let Some(task) = api.desk.by_hook(&key) else { return unknown(&api, "callback") };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let mut share = Share::new(&api.in_flight);
    match read(request.into_body(), MAX_CALLBACK, &mut share).await {
        Ok(bytes) => {
            let data = if bytes.is_empty() { query } else { String::from_utf8_lossy(&bytes).into_owned() };
            api.desk.call_back(&task, data);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(trouble) => refuse(&api, "callback", &trouble.to_string(), trouble.response()),
    }
}

fn keep(api: &Api, task: &Task, results: &[(String, Bytes)]) -> Response {
    if results.is_empty() {
        let problem = "the form has neither a file nor a field `output`";
        return refuse(api, "result", problem, refusal(StatusCode::BAD_REQUEST, "invalid_input", problem));
    }
    if task.has_ended() {
        api.desk.late("result", task, &format!("{} bytes", results.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()));
        return StatusCode::NO_CONTENT.into_response();
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

/// The id of another task that a body names, with its key.
fn of_another<'b>(body: &'b Map<String, Value>, task: &Task) -> Option<(&'static str, &'b str)> {
    let own = |key: &str, id: &str| match key {
        "jobId" | "internalJobId" => id == task.job_id,
        // `TASK:INDEX`, as we gave it.
        "chunkContext" => id.split(':').next() == Some(task.id.as_str()),
        _ => id == task.id,
    };
    let named = ["taskId", "internalTaskId", "jobId", "internalJobId", "chunkContext"].into_iter();
    named.filter_map(|key| Some((key, body.get(key)?.as_str()?))).find(|(key, id)| !id.is_empty() && !own(key, id))
}

fn other_task(api: &Api, hook: &str, task: &Task, body: &Map<String, Value>) -> Response {
    let (key, id) = of_another(body, task).unwrap_or_default();
    let what = format!("{key} {}", id.chars().take(80).collect::<String>());
    api.desk.foreign(hook, task, &what);
    refusal(StatusCode::FORBIDDEN, "not_allowed", &format!("This hook is that of task {}; the body names {what}", task.id))
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("the body is not a JSON object".to_owned()),
        Err(error) => Err(format!("the body is not JSON: {error}")),
    }
}

/// A heartbeat's status and, if it failed, why.
fn beat(body: &Map<String, Value>) -> Result<Status, String> {
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
fn output(mut body: Map<String, Value>) -> Result<(String, Bytes), String> {
    let output = body.remove("output").filter(|output| !output.is_null()).ok_or("`output` is missing")?;
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

    fn read_beat(body: &str) -> Result<Status, String> {
        beat(&object(body.as_bytes())?)
    }

    fn read_output(body: &str) -> Result<(String, Bytes), String> {
        output(object(body.as_bytes())?)
    }

    #[test]
    fn heartbeats_are_read_as_the_contract_says() {
        let ok = read_beat(r#"{"status":"failed","failureReason":"invalid_data","failureMsg":"no words","infoMsg":{"a":1}}"#).unwrap();
        assert_eq!(
            (ok.status.as_str(), ok.failure_reason.as_deref(), ok.failure_message.as_deref()),
            ("failed", Some("invalid_data"), Some("no words"))
        );
        assert_eq!(read_beat(r#"{"status":"running","failureReason":"x"}"#).unwrap().failure_reason, None);
        for (body, reason) in [
            ("{}", "status"),
            (r#"{"status":"done"}"#, "done"),
            (r#"{"status":"failed"}"#, "failureReason"),
            ("[]", "object"),
            ("x", "JSON"),
        ] {
            assert!(read_beat(body).unwrap_err().contains(reason), "{body}");
        }
    }

    #[test]
    fn an_output_may_be_json_or_its_text() {
        let (json, text) = (read_output(r#"{"output":{"series":[]}}"#).unwrap(), read_output(r#"{"output":"{\"series\":[]}"}"#).unwrap());
        assert_eq!(json, text);
        assert_eq!(read_output(r#"{"output":"plain words"}"#).unwrap().0, "application/octet-stream");
        assert!(read_output(r#"{"chunkContext":"x"}"#).unwrap_err().contains("output"));
    }

    #[test]
    fn a_body_may_name_its_own_task_and_no_other() {
        let desk = crate::desk::tests::desk(crate::Caps::default());
        let task = desk.open(&crate::desk::tests::sample("a", false));
        let named = |body: Value| of_another(body.as_object().unwrap(), &task).map(|(key, _)| key);
        assert_eq!(named(serde_json::json!({"taskId": task.id, "jobId": task.job_id, "chunkContext": format!("{}:0", task.id)})), None);
        assert_eq!(named(serde_json::json!({"status": "running", "taskId": 7, "chunkContext": ""})), None);
        assert_eq!(named(serde_json::json!({"internalTaskId": "other"})), Some("internalTaskId"));
        assert_eq!(named(serde_json::json!({"chunkContext": "other:0"})), Some("chunkContext"));
    }
}
