//! A result held against what an engine of its category should give (output standard §6): its contracts, the general format, and what catches the eye.

use model::capability::Capability;

use super::{Contract, DATA, Sense, Verdict, names_of, quick, sense::sense, transcript, validate};
use crate::{
    contract::json::{self, Caps, Node, Problem, Value},
    wording::clip,
};

/// Names and types told of one document, and characters of each.
const TOLD: (usize, usize) = (5, 40);

/// What is to be said of a document that is JSON.
#[derive(Clone, Debug)]
pub struct Held {
    /// The contracts it was held against, besides the general format.
    pub contracts: Vec<&'static Contract>,
    /// The contract that was meant although the document does not name it.
    pub unnamed: Option<Unnamed>,
    /// What is wrong.
    pub verdict: Verdict,
    /// What catches the eye.
    pub sense: Sense,
    /// It is an object without any key of data.
    pub without_data: bool,
    /// Types of entries that are not those of the capability.
    pub foreign_types: Vec<String>,
    /// The key that every result of this capability has, and this one has not.
    pub lacks: Option<&'static str>,
}

/// A contract the document should have named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unnamed {
    /// Which.
    pub wanted: Option<&'static str>,
    /// The names it has instead.
    pub named: Vec<String>,
}

/// Reads a result and holds it against its contracts. A transcript that is right, which most are, is judged while it is read.
///
/// # Errors
/// It is not JSON.
pub fn held(bytes: &[u8], capability: Option<Capability>) -> Result<Held, Problem> {
    held_against(bytes, capability.map(Capability::contracts).unwrap_or_default(), capability)
}

/// The same with the names of contracts of which the document should keep one.
///
/// # Errors
/// It is not JSON.
pub fn held_against(bytes: &[u8], expected: &[&'static str], capability: Option<Capability>) -> Result<Held, Problem> {
    let may_be_transcript = expected.contains(&transcript::CONTRACT.name) || (expected.is_empty() && capability.is_none());
    if may_be_transcript && let Some(sense) = quick::transcript(bytes) {
        return Ok(Held {
            contracts: vec![&transcript::CONTRACT],
            unnamed: None,
            verdict: Verdict::default(),
            sense,
            without_data: false,
            foreign_types: Vec::new(),
            lacks: None,
        });
    }
    let document = json::read(bytes, Caps::RESULT)?;
    Ok(thoroughly(&document.root, expected, capability))
}

fn thoroughly(root: &Node<'_>, expected: &[&'static str], capability: Option<Capability>) -> Held {
    let (contracts, unnamed) = contracts_of(root, expected);
    Held {
        verdict: validate(root, &contracts),
        sense: sense(root),
        without_data: root.value.object().is_some() && !has_data(root),
        foreign_types: foreign_types(root, capability),
        lacks: capability.and_then(Capability::required_data).filter(|key| !occurs(root, key)),
        contracts,
        unnamed,
    }
}

/// The contracts to check: those the document names, and the one it should keep.
fn contracts_of(root: &Node<'_>, expected: &[&'static str]) -> (Vec<&'static Contract>, Option<Unnamed>) {
    let names = names_of(root).unwrap_or_default();
    let mut contracts: Vec<&'static Contract> = names.iter().filter_map(|name| Contract::named(name)).collect();
    contracts.sort_by_key(|contract| contract.name);
    contracts.dedup_by_key(|contract| contract.name);
    let met = contracts.iter().any(|contract| expected.contains(&contract.name));
    let unnamed =
        |wanted: Option<&'static str>| Unnamed { wanted, named: names.iter().take(TOLD.0).map(|name| clip(name, TOLD.1)).collect() };
    if met || (expected.is_empty() && !names.is_empty()) {
        return (contracts, None);
    }
    // Where several would do, the one that fits best was meant.
    let candidates = expected.iter().filter_map(|name| Contract::named(name));
    let wrong = |contract: &&'static Contract| {
        let verdict = validate(root, &[contract]);
        verdict.violations.len() as u64 + verdict.more
    };
    let best = if expected.len() > 1 { candidates.min_by_key(wrong) } else { candidates.into_iter().next() };
    contracts.extend(best);
    (contracts, Some(unnamed(best.map(|contract| contract.name))))
}

/// Whether there is any key of data at all, be it empty.
fn has_data(root: &Node<'_>) -> bool {
    DATA.iter().any(|key| root.value.get(key).is_some_and(|node| node.value != Value::Null))
}

/// Every entry of `object`, at the root and in slices.
fn entries<'n, 'a>(root: &'n Node<'a>) -> impl Iterator<Item = &'n Node<'a>> {
    let list = |key: &str| root.value.get(key).and_then(|node| node.value.list()).unwrap_or_default();
    list("object").iter().chain(list("series").iter().filter_map(|slice| slice.value.get("object")))
}

/// Types that do not belong to a capability without a formal contract; a formal contract says so itself.
fn foreign_types(root: &Node<'_>, capability: Option<Capability>) -> Vec<String> {
    let Some(capability) = capability.filter(|capability| capability.contracts().is_empty() && !capability.object_types().is_empty())
    else {
        return Vec::new();
    };
    let mut found: Vec<String> = Vec::new();
    for kind in entries(root).filter_map(|entry| entry.value.get("type")?.value.text()) {
        let kind = clip(kind, TOLD.1);
        if !capability.object_types().contains(&kind.as_str()) && !found.contains(&kind) && found.len() < TOLD.0 {
            found.push(kind);
        }
    }
    found
}

/// Whether a key occurs at the root, in an entry, or in a slice.
fn occurs(root: &Node<'_>, key: &str) -> bool {
    let slices = root.value.get("series").and_then(|series| series.value.list()).unwrap_or_default();
    std::iter::once(root).chain(entries(root)).chain(slices).any(|node| node.value.get(key).is_some())
}
