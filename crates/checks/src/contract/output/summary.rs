//! `summary`: the whole in a few words, at the root; one in a slice does not count.

use super::{
    Contract, ROOT,
    shape::{Checker, Shape},
};
use crate::contract::json::Node;

pub(super) const CONTRACT: Contract = Contract { name: "summary", check };

fn check(root: &Node<'_>, checker: &mut Checker) {
    if checker.require(root, &ROOT, "summary")
        && let Some(summary) = root.value.get("summary")
    {
        checker.check(&Shape::Text, summary, &ROOT.key("summary"));
    }
}
