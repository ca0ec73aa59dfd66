//! Operations that the origin of the contract has and we do not, as far as clients often call them: they are known by name, so that the answer is
//! `not_implemented` and not a riddle about fields.

use async_graphql::parser::types::{ExecutableDocument, Selection};
use serde_json::{Map, Value, json};

use crate::{clock, error::Problem};

const ABSENT: &[&str] = &[
    "createExportRequest",
    "createLibrary",
    "createSource",
    "createTrigger",
    "createTriggers",
    "exportRequest",
    "exportRequests",
    "libraries",
    "library",
    "retryJob",
    "schema",
    "schemas",
    "searchMedia",
    "source",
    "sources",
];

/// The operations in a document that we do not have, by name.
pub fn operations(document: &ExecutableDocument, operation: Option<&str>) -> Vec<String> {
    let chosen = document.operations.iter().filter(|(name, _)| operation.is_none_or(|wanted| name.is_none_or(|name| name == wanted)));
    let fields = chosen.flat_map(|(_, operation)| &operation.node.selection_set.node.items).filter_map(|selection| match &selection.node {
        Selection::Field(field) => Some(field.node.name.node.as_str()),
        _ => None,
    });
    fields.filter(|name| ABSENT.contains(name)).map(str::to_owned).collect()
}

/// The answer.
pub fn refusal(operations: &[String]) -> Value {
    let data: Map<String, Value> = operations.iter().map(|name| (name.clone(), Value::Null)).collect();
    let error = |name: &String| {
        let problem = Problem::NotImplemented(format!("{name} is not offered by this server"));
        let (message, word) = (problem.message(), problem.name());
        json!({"message": message, "name": word, "time_thrown": clock::iso(clock::now_ms()), "data": {}, "path": [name], "locations": []})
    };
    json!({ "data": data, "errors": operations.iter().map(error).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_sorted_and_not_served() {
        assert!(ABSENT.is_sorted());
        let sdl = crate::graphql::sdl();
        for root in ["type Query {", "type Mutation {"] {
            let fields = sdl.split(root).nth(1).unwrap().split("\n}").next().unwrap();
            for name in ABSENT {
                assert!(!fields.contains(&format!("\t{name}(")) && !fields.contains(&format!("\t{name}:")), "{name} is served");
            }
        }
        let document = harness::graphql::parse("mutation { a: createSource { id } updateTask { id } }").unwrap();
        let found = operations(&document, None);
        assert_eq!(found, ["createSource"]);
        let answer = refusal(&found);
        assert_eq!((&answer["data"], &answer["errors"][0]["name"]), (&json!({"createSource": null}), &json!("not_implemented")));
    }
}
