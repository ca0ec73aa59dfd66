//! `concept`: classes of content, each an entry of `object` with its categories.

use super::{Contract, ROOT, blocks, shape::Checker};
use crate::contract::json::Node;

pub(super) const CONTRACT: Contract = Contract { name: "concept", check };

fn check(root: &Node<'_>, checker: &mut Checker) {
    checker.require(root, &ROOT, "object");
    blocks::each_object(root, checker, |item, path, checker| {
        blocks::of_type(item, path, checker, "concept");
        checker.require(item, path, "objectCategory");
    });
}
