//! `sentiment`: the mood of the whole, or of entries of `object`.

use super::{
    Contract, ROOT, blocks,
    shape::{Checker, Shape},
};
use crate::contract::json::Node;

pub(super) const CONTRACT: Contract = Contract { name: "sentiment", check };

fn check(root: &Node<'_>, checker: &mut Checker) {
    checker.require_any(root, &ROOT, &["sentiment", "emotions", "object"]);
    for (key, shape) in [("sentiment", Shape::Object(&blocks::SENTIMENT)), ("emotions", Shape::List(&blocks::EMOTIONS))] {
        if let Some(node) = root.value.get(key) {
            checker.check(&shape, node, &ROOT.key(key));
        }
    }
    blocks::each_object(root, checker, |item, path, checker| checker.require_any(item, path, &["sentiment", "emotions"]));
}
