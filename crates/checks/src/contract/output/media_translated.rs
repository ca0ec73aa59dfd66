//! `media-translated`: translated media, each an asset with its language.

use super::{
    Contract, ROOT, blocks,
    shape::{Checker, Shape},
};
use crate::contract::json::Node;

pub(super) const CONTRACT: Contract = Contract { name: "media-translated", check };

fn check(root: &Node<'_>, checker: &mut Checker) {
    checker.require(root, &ROOT, "media");
    let path = ROOT.key("media");
    let Some(media) = root.value.get("media") else { return };
    checker.check(&Shape::List(&blocks::MEDIA), media, &path);
    for (index, item) in media.value.list().unwrap_or_default().iter().enumerate().filter(|(_, item)| item.value.object().is_some()) {
        checker.require(item, &path.index(index), "language");
    }
}
