//! `keyword`: the words that matter, each an entry of `object` with a label.

use super::{Contract, ROOT, blocks, shape::Checker};
use crate::contract::json::Node;

pub(super) const CONTRACT: Contract = Contract { name: "keyword", check };

fn check(root: &Node<'_>, checker: &mut Checker) {
    checker.require(root, &ROOT, "object");
    blocks::each_object(root, checker, |item, path, checker| {
        blocks::of_type(item, path, checker, "keyword");
        checker.require(item, path, "label");
    });
}
