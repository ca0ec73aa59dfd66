//! What a result has to look like (output standard): one file per contract, all of them over the same building blocks.
//!
//! Every violation is told by the one leaf that helps, in the words of the reference validator; the branches of `anyOf`, `oneOf` and `if` that
//! led to it are left out.

mod aion;
mod anomaly;
mod blocks;
mod concept;
mod entity;
mod held;
mod keyword;
mod language;
mod media_translated;
mod object;
mod preamble;
mod quick;
mod sense;
mod sentiment;
mod shape;
mod strip;
mod summary;
mod text;
mod tool;
mod transcript;
mod violation;

use crate::contract::json::Node;

use shape::{Checker, Path};

pub use held::{Held, Unnamed, held, held_against};
pub use quick::is_valid_transcript;
pub(crate) use sense::language_tag_for;
pub use sense::{Confidences, Places, Sense};
pub use tool::{Answer, UnknownFields, VALID, tool};
pub use violation::Violation;

/// A contract with a formal definition.
#[derive(Clone, Copy, Debug)]
pub struct Contract {
    /// Its name in `validationContracts`.
    pub name: &'static str,
    /// What it asks beyond the general format, which is always checked as well.
    check: fn(&Node<'_>, &mut Checker),
}

/// Contracts with a formal definition, in alphabetical order.
pub const CONTRACTS: &[Contract] = &[
    anomaly::CONTRACT,
    concept::CONTRACT,
    entity::CONTRACT,
    keyword::CONTRACT,
    language::CONTRACT,
    media_translated::CONTRACT,
    object::CONTRACT,
    sentiment::CONTRACT,
    summary::CONTRACT,
    text::CONTRACT,
    transcript::CONTRACT,
];

/// Names in use that have no formal definition: taken, and checked by the general format alone.
pub const INFORMAL: &[&str] = &[
    "audio-fingerprint",
    "face",
    "facial-features",
    "facialFeatures",
    "geolocation",
    "license-plate",
    "logo",
    "speaker",
    "structured-data",
    "verification",
];

/// Violations kept of one document; further ones are counted.
pub const KEPT: usize = 1_000;

/// What is wrong with a document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Violations in the order of the document, each once.
    pub violations: Vec<Violation>,
    /// How many more there are.
    pub more: u64,
}

impl Contract {
    /// The contract of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        CONTRACTS.iter().find(|contract| contract.name == name)
    }
}

/// The names in `validationContracts` that are texts; `None` if the key is absent.
pub fn names_of<'n>(root: &'n Node<'_>) -> Option<Vec<&'n str>> {
    let names = root.value.get("validationContracts")?;
    Some(names.value.list().unwrap_or_default().iter().filter_map(|name| name.value.text()).collect())
}

/// Checks a document against contracts and the general format. A contract the document does not name is checked as if it were named: that it
/// is missing is for the caller to say.
pub fn validate(root: &Node<'_>, contracts: &[&Contract]) -> Verdict {
    let mut checker = Checker::default();
    preamble::check(root, &mut checker);
    aion::check(root, &mut checker);
    for contract in contracts {
        (contract.check)(root, &mut checker);
    }
    checker.verdict()
}

/// Keys of data at the root.
const DATA: [&str; 10] = ["object", "series", "media", "language", "summary", "sentiment", "emotions", "gps", "vendor", "tags"];

/// Keys the standard knows inside its closed objects: what a misspelt key may have meant.
pub(crate) fn known_keys() -> impl Iterator<Item = &'static str> {
    blocks::known_keys()
}

/// The root of a document, as a path.
const ROOT: Path<'static> = Path::ROOT;

#[cfg(test)]
mod tests;
