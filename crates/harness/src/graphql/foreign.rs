//! Operations of the platform that are nothing for an engine. They are known by name, so that the answer is `not_allowed` and not a riddle.

use async_graphql::parser::types::{ExecutableDocument, Selection};
use serde_json::{Map, Value, json};

use super::error::ApiError;
use crate::desk::Desk;

/// They take hold of engines, builds, accounts or other people's data.
const GRAVE: &[&str] = &[
    "createApiKey",
    "createEngine",
    "createEngineBuild",
    "createOrganization",
    "createUser",
    "deleteAsset",
    "deleteEngine",
    "deleteEngineBuild",
    "deleteFolder",
    "deleteLibrary",
    "deleteStructuredData",
    "deleteTDO",
    "deleteUser",
    "engineWorkflow",
    "revokeApiKey",
    "updateEngine",
    "updateEngineBuild",
    "updateOrganization",
    "updateUser",
    "userLogin",
];

/// They read or start what is not the engine's.
const OTHER: &[&str] = &[
    "cancelJob",
    "createCollection",
    "createExportRequest",
    "createFolder",
    "createJob",
    "createLibrary",
    "createSource",
    "createTrigger",
    "createTriggers",
    "emitEvent",
    "engineBuild",
    "engineCategories",
    "engineCategory",
    "engineResults",
    "engines",
    "folder",
    "folders",
    "jobs",
    "launchSingleEngineJob",
    "libraries",
    "library",
    "organization",
    "organizations",
    "pollTask",
    "refreshToken",
    "retryJob",
    "rootFolders",
    "schema",
    "schemas",
    "searchMedia",
    "sendEmail",
    "source",
    "sources",
    "structuredData",
    "temporalDataObjects",
    "tokens",
    "unclaimedPushes",
    "updateAsset",
    "updateJobs",
    "updateLibrary",
    "updateSource",
    "user",
    "userLogout",
    "users",
    "validateToken",
    "verifyJWT",
];

/// The operations in a document that no engine may call, by name.
pub(super) fn operations(document: &ExecutableDocument, operation: Option<&str>) -> Vec<String> {
    let chosen = document.operations.iter().filter(|(name, _)| operation.is_none_or(|wanted| name.is_none_or(|name| name == wanted)));
    let fields = chosen.flat_map(|(_, operation)| &operation.node.selection_set.node.items).filter_map(|selection| match &selection.node {
        Selection::Field(field) => Some(field.node.name.node.as_str()),
        _ => None,
    });
    fields.filter(|name| GRAVE.contains(name) || OTHER.contains(name)).map(str::to_owned).collect()
}

/// The answer; the calls are remembered.
pub(super) fn refusal(desk: &Desk, operations: &[String]) -> Value {
    let mut data = Map::new();
    let mut errors = Vec::new();
    for name in operations {
        if GRAVE.contains(&name.as_str()) {
            desk.forbid(name);
        } else {
            desk.refuse(name, "not_allowed: nothing for an engine");
        }
        data.insert(name.clone(), Value::Null);
        let error = ApiError::not_allowed(format!("{name} is nothing for an engine: this token is good for its own task alone"));
        errors.extend(error.document(desk.now())["errors"].as_array().into_iter().flatten().map(|entry| {
            let mut entry = entry.clone();
            entry["path"] = json!([name]);
            entry
        }));
    }
    json!({ "data": data, "errors": errors })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_name_nothing_that_is_served() {
        assert!(GRAVE.is_sorted() && OTHER.is_sorted());
        let sdl = super::super::schema().sdl();
        for name in GRAVE.iter().chain(OTHER) {
            assert!(!sdl.contains(&format!("\t{name}(")), "{name} is served");
        }
    }

    #[test]
    fn operations_are_found_whatever_else_is_asked() {
        let found = |text: &str, operation: Option<&str>| operations(&super::super::parse(text).unwrap(), operation);
        assert_eq!(found("mutation { a: deleteEngine(id: 1) { id } updateTask { id } }", None), ["deleteEngine"]);
        assert_eq!(found("query A { jobs { id } } query B { me { id } }", Some("B")), [""; 0]);
        assert_eq!(found("{ me { id } }", None), [""; 0]);
    }
}
