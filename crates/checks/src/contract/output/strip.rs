//! A document without what its closed objects do not list, as the reference validator gave it back before it became strict.

use serde_json::{Map, Value as Json};

use super::{aion::ROOT_OBJECT, shape::Shape};
use crate::contract::json::{Node, Value};

/// The document, stripped. What is free stays as it is; so does what has another shape than it should.
pub(super) fn strip(root: &Node<'_>) -> Json {
    stripped(&Shape::Object(&ROOT_OBJECT), root)
}

fn stripped(shape: &Shape, node: &Node<'_>) -> Json {
    match (shape, &node.value) {
        (Shape::Object(object), Value::Object(members)) => {
            let mut kept = Map::new();
            for member in members {
                match object.fields.iter().find(|(key, _)| *key == member.key) {
                    Some((key, shape)) => drop(kept.insert((*key).to_owned(), stripped(shape, &member.node))),
                    None if object.open => drop(kept.insert(member.key.as_ref().to_owned(), member.node.value.plain())),
                    None => {}
                }
            }
            Json::Object(kept)
        }
        (Shape::List(list), Value::List(items)) => items.iter().map(|item| stripped(&list.of, item)).collect(),
        (Shape::Keyed(fits), Value::Object(members)) => members
            .iter()
            .filter(|member| fits(&member.key))
            .map(|member| (member.key.as_ref().to_owned(), member.node.value.plain()))
            .collect::<Map<_, _>>()
            .into(),
        (_, value) => value.plain(),
    }
}
