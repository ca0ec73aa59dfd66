//! `sentiment`: the mood of the whole, or of entries of `object`.

use super::{Contract, ROOT, blocks, shape::Checker};
use crate::contract::json::Node;

pub(super) const CONTRACT: Contract = Contract { name: "sentiment", check };

fn check(root: &Node<'_>, checker: &mut Checker) {
    checker.require_any(root, &ROOT, &["sentiment", "emotions", "object"]);
    blocks::each_object(root, checker, |item, path, checker| checker.require_any(item, path, &["sentiment", "emotions"]));
}
