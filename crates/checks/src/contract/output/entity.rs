//! `entity`: names of people, places and organizations, each an entry of `object` with a label or the id of a known entity.

use super::{Contract, ROOT, blocks, shape::Checker};
use crate::contract::json::Node;

pub(super) const CONTRACT: Contract = Contract { name: "entity", check };

fn check(root: &Node<'_>, checker: &mut Checker) {
    checker.require(root, &ROOT, "object");
    blocks::each_object(root, checker, |item, path, checker| {
        blocks::of_type(item, path, checker, "namedEntity");
        checker.require_any(item, path, &["label", "entityId"]);
    });
}
