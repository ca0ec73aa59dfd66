//! `media-translated`: translated media, each an asset with its language.

use super::{Contract, ROOT, shape::Checker};
use crate::contract::json::Node;

pub(super) const CONTRACT: Contract = Contract { name: "media-translated", check };

fn check(root: &Node<'_>, checker: &mut Checker) {
    checker.require(root, &ROOT, "media");
    let path = ROOT.key("media");
    let items = root.value.get("media").and_then(|media| media.value.list()).unwrap_or_default();
    for (index, item) in items.iter().enumerate().filter(|(_, item)| item.value.object().is_some()) {
        checker.require(item, &path.index(index), "language");
    }
}
