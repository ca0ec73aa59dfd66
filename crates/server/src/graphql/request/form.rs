//! Forms: `query`, `variables` and one file (GraphQL contract §1), or `operations` and `map` of the multi-operation convention. The file is written
//! to the disk as it comes.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Multipart, Request, multipart::Field},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::{MAX_BODY, Query, malformed, too_large};
use crate::{
    app::App,
    asset_files::{FILE_MAX, Incoming, Sent},
    clock,
    error::Problem,
};

/// Fields of one form.
const MAX_FIELDS: usize = 64;

/// Longest name of a file or a type, characters.
const NAME_MAX: usize = 300;

/// Reads a form. Only whoever is known may send a file.
pub(super) async fn read(app: &App, request: Request, length: Option<usize>, may_send: bool) -> Result<Query, Response> {
    let most = MAX_BODY + usize::try_from(FILE_MAX).unwrap_or(usize::MAX);
    if length.is_some_and(|length| length > most) {
        return Err(file_too_large(length));
    }
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| malformed(&error.body_text()))?;
    let (mut fields, mut file, mut texts) = (Map::new(), None, MAX_BODY);
    for _ in 0..MAX_FIELDS {
        let Some(field) = form.next_field().await.map_err(|error| malformed(&error.body_text()))? else {
            return query(fields, file.map(Arc::new)).map_err(IntoResponse::into_response);
        };
        let name: String = field.name().unwrap_or("").chars().take(NAME_MAX).collect();
        if field.file_name().is_none() {
            let text = text(field, &mut texts).await?;
            fields.insert(name, text.into());
        } else if file.is_some() {
            return Err(malformed(&format!("the form has more than one file; send {name:?} in a request of its own")));
        } else if may_send {
            file = Some(receive(app, field).await?);
        } else {
            return Err(Problem::Unauthenticated.into_response());
        }
    }
    Err(malformed(&format!("the form has more than {MAX_FIELDS} fields")))
}

async fn text(mut field: Field<'_>, left: &mut usize) -> Result<String, Response> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| malformed(&error.body_text()))? {
        *left = left.checked_sub(piece.len()).ok_or_else(|| too_large(None))?;
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| malformed("a text field of the form is not UTF-8"))
}

async fn receive(app: &App, mut field: Field<'_>) -> Result<Sent, Response> {
    let short = |text: &str| text.chars().take(NAME_MAX).collect::<String>();
    let name = field.file_name().map(short).filter(|name| !name.is_empty());
    let content_type = field.content_type().map(short);
    let mut incoming = Incoming::begin(app).await.map_err(IntoResponse::into_response)?;
    while let Some(piece) = field.chunk().await.map_err(|error| malformed(&error.body_text()))? {
        if incoming.size() + piece.len() as u64 > FILE_MAX {
            return Err(file_too_large(None));
        }
        incoming.add(piece).await.map_err(IntoResponse::into_response)?;
    }
    Ok(Sent::new(name, content_type, incoming))
}

fn file_too_large(size: Option<usize>) -> Response {
    let data = json!({"limitInBytes": FILE_MAX, "requestSize": size, "errorId": clock::new_id(), "code": "LIMIT_FILE_SIZE"});
    let message = format!("the file is larger than {FILE_MAX} bytes");
    (StatusCode::PAYLOAD_TOO_LARGE, axum::Json(json!({"errors": [{"name": "invalid_input", "message": message, "data": data}]})))
        .into_response()
}

fn query(mut fields: Map<String, Value>, file: Option<Arc<Sent>>) -> Result<Query, Problem> {
    let map = fields.remove("map");
    let given = match fields.remove("operations") {
        Some(Value::String(text)) => {
            let mut operations =
                serde_json::from_str(&text).map_err(|error| Problem::invalid(format!("\"operations\" is no JSON: {error}")))?;
            mark_files(&mut operations, map.as_ref());
            operations
        }
        _ => Value::Object(fields),
    };
    let query: Query = serde_json::from_value(given).map_err(|_| Problem::invalid("the form has no field \"query\""))?;
    Ok(Query { file, ..query })
}

/// Puts a name where `map` says that a file belongs: it stands as null, which a required variable would not accept.
fn mark_files(operations: &mut Value, map: Option<&Value>) {
    let map = map.and_then(Value::as_str).and_then(|text| serde_json::from_str::<Value>(text).ok());
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
    use super::*;

    #[test]
    fn forms_of_both_conventions_are_the_same_query() {
        let fields = |value: Value| value.as_object().unwrap().clone();
        let plain = query(fields(json!({"query": "{ me { id } }", "variables": "{\"a\": 1}", "filename": "x"})), None).unwrap();
        assert_eq!((plain.query.as_str(), plain.variables), ("{ me { id } }", json!("{\"a\": 1}")));
        let operations = json!({"query": "q", "variables": {"file": null, "other": null}}).to_string();
        let many = query(fields(json!({"operations": operations, "map": "{\"0\": [\"variables.file\"]}"})), None).unwrap();
        assert_eq!(many.variables, json!({"file": "file", "other": null}));
        assert!(query(fields(json!({"variables": "{}"})), None).is_err());
        assert!(query(fields(json!({"operations": "{"})), None).is_err());
    }
}
