//! A document without what its closed objects do not list, as the reference validator gave it back before it became strict.

use std::fmt::Write as _;

use super::{aion::ROOT_OBJECT, shape::Shape};
use crate::contract::json::{Node, Value};

/// Strips a document where it stands; says whether there was anything to strip. What is free stays as it is; so does what has another shape than it
/// should.
pub(super) fn strip(root: &mut Node<'_>) -> bool {
    stripped(&Shape::Object(&ROOT_OBJECT), root)
}

fn stripped(shape: &Shape, node: &mut Node<'_>) -> bool {
    match (shape, &mut node.value) {
        (Shape::Object(object), Value::Object(members)) => {
            let (before, mut inside) = (members.len(), false);
            members.retain_mut(|member| match object.fields.iter().find(|(key, _)| *key == member.key) {
                Some((_, shape)) => {
                    inside |= stripped(shape, &mut member.node);
                    true
                }
                None => object.open,
            });
            inside || members.len() < before
        }
        (Shape::List(list), Value::List(items)) => {
            let mut any = false;
            for item in items {
                any |= stripped(&list.of, item);
            }
            any
        }
        (Shape::Keyed(fits), Value::Object(members)) => {
            let before = members.len();
            members.retain(|member| fits(&member.key));
            members.len() < before
        }
        _ => false,
    }
}

/// Writes a document as JSON: numbers as they were written, keys in their order, of duplicate keys all.
pub(super) fn write(node: &Node<'_>, out: &mut String) {
    match &node.value {
        Value::Null => out.push_str("null"),
        Value::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(text) => out.push_str(text),
        Value::Text(text) => quote(text, out),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, member) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(&member.key, out);
                out.push(':');
                write(&member.node, out);
            }
            out.push('}');
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| matches!(c, '"' | '\\' | '\0'..='\u{1f}')) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let byte = special.as_bytes()[0];
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            // Writing into a text cannot fail.
            _ => drop(write!(out, "\\u{byte:04x}")),
        }
        rest = &special[1..];
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;
    use crate::contract::json::{Caps, read};

    proptest! {
        #[test]
        fn what_is_written_is_what_was_read(text in any::<String>(), number in any::<i32>(), flag in any::<bool>()) {
            let document = serde_json::json!({"a": [text, number, flag, null], text.clone(): {"\u{1}": text}});
            let mut written = String::new();
            write(&read(document.to_string().as_bytes(), Caps::RESULT).unwrap().root, &mut written);
            prop_assert_eq!(serde_json::from_str::<Json>(&written).unwrap(), document);
        }
    }
}
