//! `language`: the language of the whole, at the root.

use super::{Contract, ROOT, shape::Checker};
use crate::contract::json::Node;

pub(super) const CONTRACT: Contract = Contract { name: "language", check };

fn check(root: &Node<'_>, checker: &mut Checker) {
    checker.require(root, &ROOT, "language");
}
