//! Errors as clients of the API know them: `{message, name, time_thrown, data, path, locations}` (GraphQL §2).

use async_graphql::{PathSegment, Response, ServerError};
use serde_json::{Map, Value, json};

/// A refusal, with one of the names clients match.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[error("{message}")]
pub struct ApiError {
    name: &'static str,
    message: String,
    data: Map<String, Value>,
}

impl ApiError {
    fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, message: message.into(), data: Map::new() }
    }

    /// No object of this type and id is visible to the caller.
    pub fn not_found(object_type: &str, object_id: &str) -> Self {
        let mut error = Self::new("not_found", "The requested object was not found");
        error.data.insert("objectId".to_owned(), object_id.chars().take(200).collect::<String>().into());
        error.data.insert("objectType".to_owned(), object_type.into());
        error
    }

    /// The caller may not do that.
    pub fn not_allowed(message: impl Into<String>) -> Self {
        Self::new("not_allowed", message)
    }

    /// The request does not make sense.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new("invalid_input", message)
    }

    /// No token, or not a valid one.
    pub fn authentication() -> Self {
        Self::new(
            "authentication_error",
            "A valid token is needed: send the header `Authorization: Bearer <token>` with the token of the task payload",
        )
    }

    /// There is no room for more.
    pub fn capacity(message: impl Into<String>) -> Self {
        Self::new("capacity_exceeded", message)
    }

    /// The name clients match, such as `not_found`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn entry(&self, path: Value, locations: Value, now: jiff::Timestamp) -> Value {
        json!({
            "message": self.message,
            "name": self.name,
            "time_thrown": iso(now),
            "data": self.data,
            "path": path,
            "locations": locations,
        })
    }

    /// A whole answer that says nothing but this.
    pub fn document(&self, now: jiff::Timestamp) -> Value {
        json!({"data": null, "errors": [self.entry(json!([]), json!([]), now)]})
    }
}

/// A time as the API writes it: with milliseconds and Z.
pub(crate) fn iso(time: jiff::Timestamp) -> String {
    format!("{time:.3}")
}

/// A response as clients of the API know it.
pub fn render(response: Response, now: jiff::Timestamp) -> Value {
    let data = response.data.into_json().unwrap_or(Value::Null);
    if response.errors.is_empty() {
        return json!({"data": data});
    }
    let errors: Vec<Value> = response.errors.iter().map(|error| entry(error, now)).collect();
    json!({"data": data, "errors": errors})
}

fn entry(error: &ServerError, now: jiff::Timestamp) -> Value {
    let path: Vec<Value> = error
        .path
        .iter()
        .map(|segment| match segment {
            PathSegment::Field(name) => Value::from(name.as_str()),
            PathSegment::Index(index) => Value::from(*index),
        })
        .collect();
    let locations: Vec<Value> = error.locations.iter().map(|at| json!({"line": at.line, "column": at.column})).collect();
    let plain = ApiError::invalid_input(error.message.as_str());
    error.source::<ApiError>().unwrap_or(&plain).entry(path.into(), locations.into(), now)
}
