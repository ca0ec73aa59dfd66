//! `transcript`: what was said when; slices of time in `series`, each with its words.

use serde_json::json;

use super::{Contract, ROOT, blocks, shape::Checker};
use crate::contract::json::{Node, Value};

pub(super) const CONTRACT: Contract = Contract { name: "transcript", check };

fn check(root: &Node<'_>, checker: &mut Checker) {
    checker.require(root, &ROOT, "series");
    blocks::each_slice(root, checker, |item, path, checker| {
        checker.require(item, path, "words");
        let Some(words) = item.value.get("words") else { return };
        let list = words.value.list().unwrap_or_default();
        if list.len() > 1 && best_paths(list) != 1 {
            let message = "there should be one and only one bestPath in a transcription lattice";
            checker.fail(words, &path.key("words"), "requireBestPath", json!({ "words": list.len() }), message);
        }
    });
}

/// How many of some alternatives are marked as the best.
pub(super) fn best_paths(words: &[Node<'_>]) -> usize {
    words.iter().filter(|word| word.value.get("bestPath").is_some_and(|best| best.value == Value::Flag(true))).count()
}
