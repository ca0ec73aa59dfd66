//! From an HTTP request to a query and back: JSON or plain form bodies, `variables` as object or text, errors in the shape of the
//! GraphQL contract §2.

use std::{net::SocketAddr, sync::Arc};

use async_graphql::parser::types::OperationType;
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

mod form;

use super::{MAX_COMPLEXITY, MAX_DEPTH, Visitor, absent};
use crate::{
    app::App,
    asset_files::Sent,
    auth::{self, party::Party, session},
    clock,
    error::Problem,
};

/// Largest JSON body, bytes (GraphQL contract §1).
pub const MAX_BODY: usize = 10 << 20;

/// Longest message of an error, characters.
const MAX_MESSAGE: usize = 4_000;

#[derive(Deserialize)]
struct Query {
    query: String,
    #[serde(default)]
    variables: Value,
    #[serde(default, rename = "operationName")]
    operation_name: Option<String>,
    #[serde(skip)]
    file: Option<Arc<Sent>>,
}

/// `POST /v3/graphql`.
pub async fn handle(State(app): State<Arc<App>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let visitor = match visitor(&app, peer, request.headers()).await {
        Ok(visitor) => visitor,
        Err(problem) => return problem.into_response(),
    };
    let query = match read(&app, request, visitor.party.is_some()).await {
        Ok(query) => query,
        Err(answer) => return answer,
    };
    match execute(&app, visitor, query).await {
        Ok(answer) => answer,
        Err(problem) => problem.into_response(),
    }
}

async fn read(app: &App, request: Request, may_send: bool) -> Result<Query, Response> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("").to_lowercase();
    if content_type.starts_with("multipart/form-data") {
        return form::read(app, request, length, may_send).await;
    }
    if length.is_some_and(|length: usize| length > MAX_BODY) {
        return Err(too_large(length));
    }
    if !content_type.starts_with("application/json") {
        let message = "send the query as application/json or multipart/form-data with a field \"query\"";
        return Err(Problem::invalid(message).into_response());
    }
    let body = axum::body::to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| too_large(length))?;
    serde_json::from_slice(&body).map_err(|error| malformed(&format!("the body is no JSON with a text field \"query\": {error}")))
}

fn malformed(message: &str) -> Response {
    Problem::invalid(message).into_response()
}

fn too_large(size: Option<usize>) -> Response {
    let data = json!({"limitInBytes": MAX_BODY, "requestSize": size, "errorId": clock::new_id()});
    let message = format!("the request is larger than {MAX_BODY} bytes");
    (StatusCode::PAYLOAD_TOO_LARGE, axum::Json(json!({"errors": [{"name": "invalid_input", "message": message, "data": data}]})))
        .into_response()
}

/// Variables are an object, or an object written as JSON text (GraphQL contract §1).
fn variables(value: Value) -> Result<Value, Problem> {
    match value {
        Value::Null => Ok(json!({})),
        Value::Object(_) => Ok(value),
        Value::String(text) if text.trim().is_empty() => Ok(json!({})),
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(Value::Null) => Ok(json!({})),
            _ => Err(Problem::invalid("variables: a JSON object, or the text of one, is expected")),
        },
        _ => Err(Problem::invalid("variables: a JSON object, or the text of one, is expected")),
    }
}

/// Who calls. Counted before anything is read of what they send.
async fn visitor(app: &App, peer: SocketAddr, headers: &HeaderMap) -> Result<Visitor, Problem> {
    let token = session::bearer(headers).map(str::to_owned);
    let address = auth::address::of(peer.ip(), headers, &app.config.trusted_proxies);
    let party = match (&token, own_page(headers)) {
        (Some(token), _) => {
            Some(auth::party(app, token, &address).await).filter(|party| *party != Err(Problem::Unauthenticated)).transpose()?
        }
        (None, Some(cookie)) => session::caller(&app.db, cookie).await.ok().map(Party::Person),
        (None, None) => None,
    };
    let person = party.as_ref().and_then(|party| party.person().ok());
    app.windows.count(person, token.as_deref().unwrap_or(&address), clock::now_ms())?;
    Ok(Visitor { party, token, address, house: None })
}

async fn execute(app: &Arc<App>, mut visitor: Visitor, query: Query) -> Result<Response, Problem> {
    let document = harness::graphql::parse(&query.query).map_err(|error| Problem::invalid(error.to_string()))?;
    let absent = absent::operations(&document, query.operation_name.as_deref());
    if !absent.is_empty() {
        return Ok(axum::Json(absent::refusal(&absent)).into_response());
    }
    let only_reads = document.operations.iter().all(|(_, operation)| operation.node.ty == OperationType::Query);
    visitor.house = only_reads.then(OnceCell::new);
    let mut request = async_graphql::Request::new(query.query)
        .variables(async_graphql::Variables::from_json(variables(query.variables)?))
        .data(app.clone())
        .data(visitor);
    if let Some(file) = query.file {
        request = request.data(file);
    }
    if let Some(name) = query.operation_name {
        request = request.operation_name(name);
    }
    request.set_parsed_query(document);
    Ok(answered(shape(app.schema.execute(request).await)))
}

/// The cookie of a request of our own query page. Only a browser that says so is believed: another site's page cannot.
fn own_page(headers: &HeaderMap) -> Option<&str> {
    let from_us = headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
    session::cookie(headers).filter(|_| from_us)
}

/// 200 whatever the fields say, but for whoever must slow down: they are told so that programs understand it.
fn answered(answer: Value) -> Response {
    let errors = answer["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let wait = errors.iter().filter(|error| error["name"] == "rate_limited").filter_map(|error| error["data"]["retryAfter"].as_u64()).max();
    match wait {
        Some(wait) => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, wait.to_string())], axum::Json(answer)).into_response(),
        None => axum::Json(answer).into_response(),
    }
}

/// The documented answer: data first, then errors with name and time.
fn shape(response: async_graphql::Response) -> Value {
    let mut answer = Map::new();
    answer.insert("data".into(), response.data.into_json().unwrap_or(Value::Null));
    if !response.errors.is_empty() {
        answer.insert("errors".into(), response.errors.into_iter().map(shape_error).collect());
    }
    Value::Object(answer)
}

fn shape_error(error: async_graphql::ServerError) -> Value {
    let message = match error.message.as_str() {
        "Query is nested too deep." => format!("The query is nested deeper than {MAX_DEPTH} levels; ask for less at once"),
        "Query is too complex." => format!("The query asks for more than {MAX_COMPLEXITY} fields; ask for less at once"),
        // Somebody's own words come back to them, but not all of them.
        other => other.chars().take(MAX_MESSAGE).collect(),
    };
    let extension = |key: &str| error.extensions.as_ref().and_then(|all| all.get(key)).cloned().and_then(|value| value.into_json().ok());
    json!({
        "message": message,
        "name": extension("name").unwrap_or_else(|| "invalid_input".into()),
        "time_thrown": clock::iso(clock::now_ms()),
        "data": extension("data").unwrap_or_else(|| json!({})),
        "path": error.path,
        "locations": error.locations,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_may_be_text() {
        assert_eq!(variables(json!("{\"a\": 1}")), Ok(json!({"a": 1})));
        assert_eq!(variables(Value::Null), Ok(json!({})));
        assert!(variables(json!("[1]")).is_err());
        assert!(variables(json!(3)).is_err());
    }
}
