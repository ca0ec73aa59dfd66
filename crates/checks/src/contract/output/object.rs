//! `object`: things in pictures, as entries of `object` or one per slice of `series`.

use super::{
    Contract, ROOT, blocks,
    shape::{Checker, Path},
};
use crate::contract::json::Node;

pub(super) const CONTRACT: Contract = Contract { name: "object", check };

fn check(root: &Node<'_>, checker: &mut Checker) {
    checker.require_any(root, &ROOT, &["object", "series"]);
    blocks::each_object(root, checker, item);
    blocks::each_series_object(root, checker, item);
}

fn item(item: &Node<'_>, path: &Path<'_>, checker: &mut Checker) {
    blocks::of_type(item, path, checker, "object");
    blocks::without_place(item, path, checker);
}
