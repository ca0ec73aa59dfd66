//! `POST /v3/graphql`: JSON, a plain form with one file, or the multi-operation form (GraphQL §1).

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    Api,
    body::{Part, Share, Trouble, content_type, read, read_form},
    refusal,
};
use crate::graphql::{ApiRequest, SentFile, execute};

pub(super) async fn wants_post() -> Response {
    refusal(StatusCode::BAD_REQUEST, "invalid_input", "Send the query with POST, as JSON or as multipart/form-data")
}

pub(super) async fn graphql(State(api): State<Arc<Api>>, request: Request) -> Response {
    let token = bearer(request.headers()).map(str::to_owned);
    let mut share = Share::new(&api.in_flight);
    let request = match understand(&api, request, &mut share).await {
        Ok(request) => request,
        Err((problem, response)) => {
            api.desk.refuse("request", &problem);
            return response;
        }
    };
    let Ok(_turn) = api.turn.acquire().await else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", "The run is over");
    };
    let worker = Arc::clone(&api);
    let runtime = tokio::runtime::Handle::current();
    // A query of ten megabytes takes its time; it must not take a thread of the runtime with it.
    let run = move || runtime.block_on(execute(&worker.schema, &worker.desk, token.as_deref(), request));
    match tokio::task::spawn_blocking(run).await {
        Ok((body, unusable)) => (if unusable { StatusCode::BAD_REQUEST } else { StatusCode::OK }, Json(body)).into_response(),
        Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "The request could not be carried out"),
    }
}

/// The token of an `Authorization: Bearer` header; the scheme in any letter case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Reads a request, or gives the reason it cannot be read and the answer to it.
async fn understand(api: &Api, request: Request, share: &mut Share) -> Result<ApiRequest, (String, Response)> {
    let caps = &api.desk.caps;
    let bad = |problem: String| (problem.clone(), refusal(StatusCode::BAD_REQUEST, "invalid_input", &problem));
    let trouble = |trouble: Trouble| (trouble.to_string(), trouble.response());
    if content_type(&request) == "multipart/form-data" {
        let parts = read_form(request, caps.json, caps.file, share).await.map_err(trouble)?;
        return from_form(parts).map_err(bad);
    }
    let is_json = matches!(content_type(&request).as_str(), "application/json" | "application/graphql+json");
    if !is_json {
        return Err(bad("send Content-Type: application/json, or multipart/form-data for a file".to_owned()));
    }
    let bytes = read(request.into_body(), caps.json, share).await.map_err(trouble)?;
    let body = serde_json::from_slice(&bytes).map_err(|error| bad(format!("the body is not JSON: {error}")))?;
    from_json(body).map_err(bad)
}

/// A JSON request; `variables` may be an object or an object as JSON text.
fn from_json(body: Value) -> Result<ApiRequest, String> {
    let Value::Object(mut body) = body else { return Err("the body is not a JSON object with a `query`".to_owned()) };
    let Some(Value::String(query)) = body.remove("query") else { return Err("the body has no `query`: send the text of one".to_owned()) };
    let operation_name = match body.remove("operationName") {
        Some(Value::String(name)) if !name.is_empty() => Some(name),
        _ => None,
    };
    Ok(ApiRequest { query, operation_name, variables: variables(body.remove("variables"))?, file: None, file_name: None })
}

fn variables(value: Option<Value>) -> Result<Value, String> {
    match value {
        None | Some(Value::Null) => Ok(Value::Null),
        Some(Value::Object(map)) => Ok(Value::Object(map)),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(Value::Null),
        Some(Value::String(text)) => match serde_json::from_str(&text) {
            Ok(value @ (Value::Object(_) | Value::Null)) => Ok(value),
            Ok(_) => Err("`variables` is not a JSON object".to_owned()),
            Err(error) => Err(format!("`variables` is not JSON: {error}")),
        },
        Some(_) => Err("`variables` is not a JSON object".to_owned()),
    }
}

/// A form: `query`, `variables`, `filename` and one file; or `operations` and `map` of the multi-operation convention.
fn from_form(parts: Vec<Part>) -> Result<ApiRequest, String> {
    let mut fields = serde_json::Map::new();
    let mut file = None;
    for part in parts {
        if part.is_file() {
            let Part { name, file_name, content_type, bytes } = part;
            if file.is_some() {
                return Err(format!("the form has more than one file; send {name:?} in a request of its own"));
            }
            file = Some(SentFile { name: file_name.filter(|name| !name.is_empty()), content_type, bytes });
        } else {
            fields.insert(part.name.clone(), part.text().into());
        }
    }
    let file_name = fields.remove("filename").and_then(|name| name.as_str().map(str::to_owned)).filter(|name| !name.is_empty());
    let request = match fields.remove("operations") {
        Some(Value::String(text)) => {
            let mut operations = serde_json::from_str(&text).map_err(|error| format!("`operations` is not JSON: {error}"))?;
            mark_files(&mut operations, fields.remove("map"));
            from_json(operations)?
        }
        _ => from_json(Value::Object(fields))?,
    };
    Ok(ApiRequest { file, file_name, ..request })
}

/// Puts a name where `map` says that a file belongs (it stands as null, which a required variable would not accept).
fn mark_files(operations: &mut Value, map: Option<Value>) {
    let map = map.as_ref().and_then(Value::as_str).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let places = map.as_ref().and_then(Value::as_object).into_iter().flat_map(|map| map.values()).filter_map(Value::as_array).flatten();
    for place in places.filter_map(Value::as_str).take(16) {
        let pointer = format!("/{}", place.replace('.', "/"));
        if let Some(slot) = operations.pointer_mut(&pointer).filter(|slot| slot.is_null()) {
            *slot = "file".into();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_are_an_object_or_its_text() {
        let expected = json!({"a": 1});
        for form in [json!({"a": 1}), json!("{\"a\": 1}")] {
            assert_eq!(from_json(json!({"query": "x", "variables": form})).unwrap().variables, expected);
        }
        for form in [json!(null), json!(""), json!("null")] {
            assert_eq!(from_json(json!({"query": "x", "variables": form})).unwrap().variables, Value::Null);
        }
        for form in [json!(3), json!("3"), json!("{"), json!([1])] {
            assert!(from_json(json!({"query": "x", "variables": form})).unwrap_err().contains("variables"));
        }
        assert!(from_json(json!({"variables": {}})).unwrap_err().contains("query"));
        assert!(from_json(json!([])).is_err());
    }

    #[test]
    fn a_required_file_variable_of_the_multi_operation_form_is_not_null() {
        let mut operations = json!({"query": "x", "variables": {"file": null, "other": null}});
        mark_files(&mut operations, Some(json!("{\"0\": [\"variables.file\", \"variables.none\"]}")));
        assert_eq!(operations["variables"], json!({"file": "file", "other": null}));
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_others_are_not() {
        let with = |value: &str| HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
        assert_eq!(bearer(&with("bEARER  abc ")), Some("abc"));
        assert_eq!(bearer(&with("Basic abc")), None);
        assert_eq!(bearer(&with("Bearer")), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
