//! The members of a manifest by the keys they are meant to have: aliases and near misses are resolved here, and nowhere else.

use std::collections::BTreeMap;

use super::table::FIELDS;
use crate::{
    contract::json::{self, Member, Node, Value},
    spelling,
};

/// A key that holds others; it is known, and what is in it is found under its own name.
const CONTAINER: &str = "ingestion";

/// Unknown keys whose spelling is looked at.
const LOOKED_AT: usize = 1_000;

/// A value and where it was found.
#[derive(Clone, Debug)]
pub(super) struct Found<'a> {
    /// The value.
    pub node: &'a Node<'a>,
    /// JSON pointer of the value.
    pub pointer: String,
}

/// A key that is nearly a known one.
#[derive(Clone, Debug)]
pub(super) struct Misspelt<'a> {
    /// As written.
    pub written: &'a str,
    /// Offset of the key, bytes.
    pub at: usize,
    /// The known key.
    pub meant: &'static str,
    /// Its value counts, because the right key is absent.
    pub used: bool,
}

/// What a manifest has, by known key.
#[derive(Debug, Default)]
pub(super) struct Members<'a> {
    by_key: BTreeMap<&'static str, Found<'a>>,
    /// Keys that are nearly right.
    pub misspelt: Vec<Misspelt<'a>>,
    /// Keys nobody knows, and their offsets.
    pub unknown: Vec<(&'a str, usize)>,
}

impl<'a> Members<'a> {
    /// Sorts the members of an object; of anything else, nothing.
    pub(super) fn of(root: &'a Value<'a>) -> Self {
        let mut members = Self::default();
        let all = root.object().unwrap_or_default();
        let mut strangers: Vec<&Member<'a>> = Vec::new();
        for member in all {
            match FIELDS.iter().find(|field| field.key == member.key) {
                Some(field) => members.put(field.key, &member.node, &member.key),
                None => strangers.push(member),
            }
        }
        for member in strangers {
            members.take_stranger(member);
        }
        members
    }

    fn put(&mut self, key: &'static str, node: &'a Node<'a>, written: &str) {
        self.by_key.insert(key, Found { node, pointer: format!("/{}", json::pointer_step(written)) });
    }

    fn take_stranger(&mut self, member: &'a Member<'a>) {
        let key = member.key.as_ref();
        if key == CONTAINER {
            return self.take_container(member);
        }
        if let Some(field) = FIELDS.iter().find(|field| field.aliases.contains(&key)) {
            if !self.by_key.contains_key(field.key) {
                self.put(field.key, &member.node, key);
            }
            return;
        }
        let near = if self.unknown.len() < LOOKED_AT { spelling::nearest(key, FIELDS.iter().map(|field| field.key)) } else { None };
        let Some(meant) = near.filter(|near| self.misspelt.iter().all(|other| other.meant != *near)) else {
            self.unknown.push((key, member.at));
            return;
        };
        let used = !self.by_key.contains_key(meant);
        if used {
            self.put(meant, &member.node, key);
        }
        self.misspelt.push(Misspelt { written: key, at: member.at, meant, used });
    }

    /// Source types are also found inside `ingestion`.
    fn take_container(&mut self, member: &'a Member<'a>) {
        let key = "supportedSourceTypes";
        if let (Some(node), false) = (member.node.value.get(key), self.by_key.contains_key(key)) {
            self.by_key.insert(key, Found { node, pointer: format!("/{CONTAINER}/{key}") });
        }
    }

    /// What is written under a key, be it null or empty.
    pub(super) fn written(&self, key: &str) -> Option<&Found<'a>> {
        self.by_key.get(key)
    }

    /// The value of a key; null and empty values count as absent.
    pub(super) fn get(&self, key: &str) -> Option<&Found<'a>> {
        self.written(key).filter(|found| match &found.node.value {
            Value::Null => false,
            Value::Text(text) => !text.trim().is_empty(),
            Value::List(items) => !items.is_empty(),
            _ => true,
        })
    }
}
