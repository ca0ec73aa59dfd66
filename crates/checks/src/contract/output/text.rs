//! `text`: text read from pictures and documents, as entries of `object` or one per slice of `series`.

use super::{
    Contract, ROOT, blocks,
    shape::{Checker, Path},
};
use crate::contract::json::Node;

pub(super) const CONTRACT: Contract = Contract { name: "text", check };

fn check(root: &Node<'_>, checker: &mut Checker) {
    checker.require_any(root, &ROOT, &["object", "series"]);
    blocks::each_object(root, checker, item);
    blocks::each_series_object(root, checker, |object, path, checker| {
        item(object, path, checker);
        blocks::without_place(object, path, checker);
    });
}

fn item(item: &Node<'_>, path: &Path<'_>, checker: &mut Checker) {
    blocks::of_type(item, path, checker, "text");
    checker.require(item, path, "text");
}
