//! Shapes as data, and the walk that holds a value against one. A path costs nothing until something is wrong.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value as Json, json};

use super::{KEPT, Verdict, Violation};
use crate::contract::json::{Member, Node, Value};

/// The largest whole number every JSON reader keeps exact; a bound that is no bound.
const HUGE: f64 = 9_007_199_254_740_991.0;

/// What a value has to be.
pub(super) enum Shape {
    /// Any text.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// True or false.
    Flag,
    /// A number within bounds.
    Number(f64, f64),
    /// A number without a fraction, not below this.
    Integer(f64),
    /// Any object.
    AnyObject,
    /// An object of known fields.
    Object(&'static Object),
    /// A list.
    List(&'static List),
    /// An object of free values whose keys have to be of a certain form.
    Keyed(fn(&str) -> bool),
    /// Something with a rule of its own.
    Own(fn(&Node<'_>, &Path<'_>, &mut Checker)),
}

/// A number from 0 to 1.
pub(super) const UNIT: Shape = Shape::Number(0.0, 1.0);
/// Any number.
pub(super) const NUMBER: Shape = Shape::Number(-HUGE, HUGE);
/// Any number without a fraction.
pub(super) const INTEGER: Shape = Shape::Integer(-HUGE);

/// An object.
pub(super) struct Object {
    /// Whether other fields are allowed.
    pub open: bool,
    /// Fields that must be there.
    pub required: &'static [&'static str],
    /// Known fields.
    pub fields: &'static [(&'static str, Shape)],
    /// What else holds.
    pub also: fn(&Node<'_>, &Path<'_>, &mut Checker),
}

/// A list.
pub(super) struct List {
    /// Fewest items.
    pub least: usize,
    /// Each item.
    pub of: Shape,
    /// What else holds.
    pub also: fn(&Node<'_>, &Path<'_>, &mut Checker),
}

/// Nothing else.
pub(super) fn nothing_else(_: &Node<'_>, _: &Path<'_>, _: &mut Checker) {}

/// Where a value stands: a list of steps that lives on the stack.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    above: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    pub(super) const ROOT: Path<'static> = Path { above: None, step: Step::Root };

    pub(super) fn key(&'p self, key: &'p str) -> Self {
        Self { above: Some(self), step: Step::Key(key) }
    }

    pub(super) fn index(&'p self, index: usize) -> Self {
        Self { above: Some(self), step: Step::Index(index) }
    }

    /// `.series[1]['a-b']`
    fn data(&self) -> String {
        let mut text = self.above.map(Path::data).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Index(index) => text.push_str(&format!("[{index}]")),
            Step::Key(key) if is_identifier(key) => text.push_str(&format!(".{key}")),
            Step::Key(key) => {
                let key: String = key.chars().take(200).collect();
                text.push_str(&format!("['{}']", key.replace('\\', "\\\\").replace('\'', "\\'")));
            }
        }
        text
    }

    /// `#/properties/words/items`, from the nearest key down.
    fn schema(&self) -> String {
        match (self.step, self.above) {
            (Step::Root, _) => "#".to_owned(),
            (Step::Key(key), _) => format!("#/properties/{key}"),
            (Step::Index(_), Some(above)) => format!("{}/items", above.schema()),
            (Step::Index(_), None) => "#/items".to_owned(),
        }
    }
}

fn is_identifier(key: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$';
    key.len() <= 100 && key.starts_with(letter) && key.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// Collects violations.
#[derive(Default)]
pub(super) struct Checker {
    violations: Vec<Violation>,
    /// Keyword, path and parameters of those kept: the same rule may be looked at by two contracts.
    seen: HashSet<(&'static str, String, String)>,
    more: u64,
}

impl Checker {
    /// Nothing was found.
    pub(super) fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.more == 0
    }

    /// Everything found, in the order of the document.
    pub(super) fn verdict(mut self) -> Verdict {
        self.violations.sort_by_key(|violation| violation.at);
        Verdict { violations: self.violations, more: self.more }
    }

    /// Notes a violation of the value at `path`.
    pub(super) fn fail(&mut self, node: &Node<'_>, path: &Path<'_>, keyword: &'static str, params: Json, message: impl Into<String>) {
        let schema = path.schema();
        self.note(node.at, path, keyword, format!("{schema}/{keyword}"), params, message.into());
    }

    /// Notes a violation of an object's own rule: its place in the schema is the object's definition.
    fn fail_object(&mut self, at: usize, path: &Path<'_>, keyword: &'static str, params: Json, message: String) {
        self.note(at, path, keyword, format!("#/{keyword}"), params, message);
    }

    fn note(&mut self, at: usize, path: &Path<'_>, keyword: &'static str, schema_path: String, params: Json, message: String) {
        if self.violations.len() >= KEPT {
            self.more += 1;
            return;
        }
        let data_path = path.data();
        if self.seen.insert((keyword, data_path.clone(), params.to_string())) {
            self.violations.push(Violation { keyword, data_path, schema_path, params, message, at });
        }
    }

    fn wrong_type(&mut self, node: &Node<'_>, path: &Path<'_>, wanted: &str) {
        self.fail(node, path, "type", json!({ "type": wanted }), format!("should be {wanted}"));
    }

    /// Holds a value against a shape.
    pub(super) fn check(&mut self, shape: &Shape, node: &Node<'_>, path: &Path<'_>) {
        match (shape, &node.value) {
            (Shape::Text, Value::Text(_)) | (Shape::Flag, Value::Flag(_)) | (Shape::AnyObject, Value::Object(_)) => {}
            (Shape::Text, _) => self.wrong_type(node, path, "string"),
            (Shape::Flag, _) => self.wrong_type(node, path, "boolean"),
            (Shape::AnyObject | Shape::Object(_) | Shape::Keyed(_), value) if value.object().is_none() => {
                self.wrong_type(node, path, "object")
            }
            (Shape::OneOf(words), value) => self.one_of(words, value.text(), node, path),
            (Shape::Number(least, most), value) => match value.number() {
                Some(number) => self.bounds(number, *least, *most, node, path),
                None => self.wrong_type(node, path, "number"),
            },
            (Shape::Integer(least), value) => match value.number().filter(|_| value.is_integer()) {
                Some(number) => self.bounds(number, *least, HUGE, node, path),
                None => self.wrong_type(node, path, "integer"),
            },
            (Shape::Object(object), _) => self.object(object, node, path),
            (Shape::List(list), Value::List(items)) => self.list(list, items, node, path),
            (Shape::List(_), _) => self.wrong_type(node, path, "array"),
            (Shape::Keyed(fits), value) => {
                value.object().unwrap_or_default().iter().filter(|member| !fits(&member.key)).for_each(|member| self.unknown(member, path));
            }
            (Shape::Own(own), _) => own(node, path, self),
            (Shape::AnyObject, _) => {}
        }
    }

    fn one_of(&mut self, words: &'static [&'static str], text: Option<&str>, node: &Node<'_>, path: &Path<'_>) {
        match text {
            Some(text) if words.contains(&text) => {}
            Some(_) => self.fail(node, path, "enum", json!({ "allowedValues": words }), "should be equal to one of the allowed values"),
            None => self.wrong_type(node, path, "string"),
        }
    }

    fn bounds(&mut self, number: f64, least: f64, most: f64, node: &Node<'_>, path: &Path<'_>) {
        let broken = match number {
            number if number < least => Some(("minimum", ">=", least)),
            number if number > most => Some(("maximum", "<=", most)),
            _ => None,
        };
        if let Some((keyword, comparison, limit)) = broken {
            let limit = if limit.fract() == 0.0 { json!(limit as i64) } else { json!(limit) };
            let params = json!({ "comparison": comparison, "limit": limit, "exclusive": false });
            self.fail(node, path, keyword, params, format!("should be {comparison} {limit}"));
        }
    }

    fn object(&mut self, object: &Object, node: &Node<'_>, path: &Path<'_>) {
        let members = node.value.object().unwrap_or_default();
        for key in object.required {
            self.require(node, path, key);
        }
        for member in members {
            match object.fields.iter().find(|(key, _)| *key == member.key) {
                Some((key, shape)) => self.check(shape, &member.node, &path.key(key)),
                None if object.open => {}
                None => self.unknown(member, path),
            }
        }
        (object.also)(node, path, self);
    }

    fn unknown(&mut self, member: &Member<'_>, path: &Path<'_>) {
        let params = json!({ "additionalProperty": member.key });
        self.fail_object(member.at, path, "additionalProperties", params, "should NOT have additional properties".to_owned());
    }

    /// A key that must be there.
    pub(super) fn require(&mut self, node: &Node<'_>, path: &Path<'_>, key: &str) -> bool {
        let there = node.value.get(key).is_some();
        if !there {
            let message = format!("should have required property '{key}'");
            self.fail_object(node.at, path, "required", json!({ "missingProperty": key }), message);
        }
        there
    }

    /// At least one of several keys must be there: one leaf per key, as the reference has it.
    pub(super) fn require_any(&mut self, node: &Node<'_>, path: &Path<'_>, keys: &[&str]) {
        if keys.iter().any(|key| node.value.get(key).is_some()) {
            return;
        }
        for (branch, key) in keys.iter().enumerate() {
            let message = format!("should have required property '{key}'");
            self.note(node.at, path, "required", format!("#/anyOf/{branch}/required"), json!({ "missingProperty": key }), message);
        }
    }

    fn list(&mut self, list: &List, items: &[Node<'_>], node: &Node<'_>, path: &Path<'_>) {
        self.at_least(items.len(), list.least, node, path);
        for (index, item) in items.iter().enumerate() {
            self.check(&list.of, item, &path.index(index));
        }
        (list.also)(node, path, self);
    }

    /// A list that must not be shorter.
    pub(super) fn at_least(&mut self, length: usize, least: usize, node: &Node<'_>, path: &Path<'_>) {
        if length < least {
            self.fail(node, path, "minItems", json!({ "limit": least }), format!("should NOT have fewer than {least} items"));
        }
    }

    /// No two items may be equal.
    pub(super) fn unique(&mut self, items: &[Node<'_>], node: &Node<'_>, path: &Path<'_>) {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for (index, item) in items.iter().enumerate() {
            if let Some(first) = seen.insert(canonical(&item.value), index) {
                let message = format!("should NOT have duplicate items (items ## {first} and {index} are identical)");
                return self.fail(node, path, "uniqueItems", json!({ "i": index, "j": first }), message);
            }
        }
    }
}

/// A text that is equal for equal values: keys sorted, the last of duplicates, numbers by value.
fn canonical(value: &Value<'_>) -> String {
    match value {
        Value::Number(_) => value.number().unwrap_or_default().to_string(),
        Value::Object(members) => {
            let sorted: BTreeMap<&str, &Node<'_>> = members.iter().map(|member| (member.key.as_ref(), &member.node)).collect();
            let inner: Vec<String> = sorted.into_iter().map(|(key, node)| format!("{key:?}:{}", canonical(&node.value))).collect();
            format!("{{{}}}", inner.join(","))
        }
        Value::List(items) => format!("[{}]", items.iter().map(|item| canonical(&item.value)).collect::<Vec<_>>().join(",")),
        Value::Text(text) => format!("{text:?}"),
        Value::Null | Value::Flag(_) => value.to_string(),
    }
}
