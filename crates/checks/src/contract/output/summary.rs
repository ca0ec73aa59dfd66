//! `summary`: the whole in a few words, at the root; one in a slice does not count.

use super::{Contract, ROOT, shape::Checker};
use crate::contract::json::Node;

pub(super) const CONTRACT: Contract = Contract { name: "summary", check };

fn check(root: &Node<'_>, checker: &mut Checker) {
    checker.require(root, &ROOT, "summary");
}
