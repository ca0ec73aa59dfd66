//! One result document: read, held against its contracts. What is wrong is kept as data, so that equal faults of many documents are told once.

use model::{
    capability::Capability,
    finding::{Finding, Severity},
    run::EngineOutput,
};

use super::place;
use crate::{
    contract::{
        json::{self, Caps, Node, Value},
        output::{Contract, Verdict, Violation, holds_something, names_of, validate},
    },
    wording::clip,
};

/// Characters of a quoted value.
const SNIPPET: usize = 160;
/// Violations whose value is quoted.
const QUOTED: usize = 40;

/// A document that could be read.
pub(super) struct Judged {
    /// Id of its sample.
    pub sample: String,
    /// Where it came from.
    pub place: String,
    /// Names of the contracts it was held against.
    pub contracts: Vec<&'static str>,
    /// The contract that was meant although the document does not name it.
    pub unnamed: Option<Unnamed>,
    /// What is wrong, with the value as written.
    pub violations: Vec<(Violation, String)>,
    /// Violations beyond those kept.
    pub more: u64,
    /// It has the lists its contract wants, and nothing in them.
    pub found_nothing: bool,
    /// Slices that end before they start, by their paths.
    pub backward: Vec<String>,
    /// The slice that ends last: its path, and when, milliseconds.
    pub latest: Option<(String, u64)>,
    /// Types of entries that are not those of the capability.
    pub foreign_types: Vec<String>,
    /// The key that every result of this capability has, and this one has not.
    pub lacks: Option<&'static str>,
}

/// A contract the document should have named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unnamed {
    /// Which.
    pub wanted: Option<&'static str>,
    /// The names it has instead.
    pub named: Vec<String>,
}

/// Reads a result and holds it against its contracts.
pub(super) fn judge(output: &EngineOutput, capability: Option<Capability>) -> Result<Judged, Box<Finding>> {
    let document = json::read(&output.body, Caps::RESULT).map_err(|problem| Box::new(not_json(output, &problem)))?;
    let root = &document.root;
    if root.value.object().is_some() && !has_data(root) {
        return Err(Box::new(nothing(output)));
    }
    let (contracts, unnamed) = contracts_of(root, capability);
    let Verdict { violations, more } = validate(root, &contracts);
    let quoted = |(index, violation): (usize, Violation)| {
        let text = if index < QUOTED { json::excerpt(&output.body, violation.at, SNIPPET) } else { String::new() };
        (violation, text)
    };
    Ok(Judged {
        sample: output.sample.clone(),
        place: place(output),
        contracts: contracts.iter().map(|contract| contract.name).collect(),
        unnamed,
        violations: violations.into_iter().enumerate().map(quoted).collect(),
        more,
        found_nothing: !holds_something(root),
        backward: backward(root),
        latest: latest(root),
        foreign_types: foreign_types(root, capability),
        lacks: capability.and_then(Capability::required_data).filter(|key| !occurs(root, key)),
    })
}

/// The contracts to check: those the document names, and that of the capability.
fn contracts_of(root: &Node<'_>, capability: Option<Capability>) -> (Vec<&'static Contract>, Option<Unnamed>) {
    let names = names_of(root).unwrap_or_default();
    let mut contracts: Vec<&'static Contract> = names.iter().filter_map(|name| Contract::named(name)).collect();
    contracts.sort_by_key(|contract| contract.name);
    contracts.dedup_by_key(|contract| contract.name);
    let expected = capability.map(Capability::contracts).unwrap_or_default();
    let met = contracts.iter().any(|contract| expected.contains(&contract.name));
    let unnamed = |wanted: Option<&'static str>| Unnamed { wanted, named: names.iter().take(5).map(|name| clip(name, 40)).collect() };
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
    const DATA: [&str; 10] = ["object", "series", "media", "language", "summary", "sentiment", "emotions", "gps", "vendor", "tags"];
    DATA.iter().any(|key| root.value.get(key).is_some_and(|node| node.value != Value::Null))
}

fn not_json(output: &EngineOutput, problem: &json::Problem) -> Finding {
    let (line, column) = json::line_and_column(&output.body, problem.at);
    let kind = problem.kind.to_string();
    let (fact, mend) = kind.split_once("; ").map_or((kind.as_str(), None), |(fact, mend)| (fact, Some(mend)));
    let fix = mend.map_or_else(
        || "Let the JSON library of your language write the result, such as json.dumps in Python.".to_owned(),
        |mend| format!("In the result, {mend}. Let a JSON library write it, such as json.dumps in Python."),
    );
    let finding = Finding::new(
        "output.not_json",
        Severity::Error,
        format!("Result of {} is not JSON: it {}", clip(&output.sample, 25), clip(fact, 45)),
        "A result is read by programs; one that is not JSON is read by none.",
        fix,
    );
    let finding = finding
        .message(format!("Output check: the result is not JSON: it {fact}"))
        .at(format!("{}, line {line}, column {column}", place(output)));
    finding.sample(&output.sample).quote(json::line_at(&output.body, problem.at, SNIPPET))
}

fn nothing(output: &EngineOutput) -> Finding {
    let finding = Finding::new(
        "output.missing",
        Severity::Error,
        format!("Result of {} holds no data", clip(&output.sample, 50)),
        "A result document says what was found: in object, series, or another block of the output standard.",
        "Write what was found into the block of your category; see the example on the page of this check.",
    );
    let text = String::from_utf8_lossy(output.body.get(..SNIPPET).unwrap_or(&output.body)).into_owned();
    finding
        .message(format!("Output check: the result for {} holds no data", output.sample))
        .at(place(output))
        .sample(&output.sample)
        .quote(clip(&text, SNIPPET))
}

/// Slices of `series` that end before they start: no contract forbids it, and no player shows them.
fn backward(root: &Node<'_>) -> Vec<String> {
    let slices = root.value.get("series").and_then(|series| series.value.list()).unwrap_or_default();
    let time = |slice: &Node<'_>, key: &str| slice.value.get(key).and_then(|time| time.value.number());
    let wrong =
        |slice: &Node<'_>| matches!((time(slice, "startTimeMs"), time(slice, "stopTimeMs")), (Some(start), Some(stop)) if start > stop);
    slices.iter().enumerate().filter(|(_, slice)| wrong(slice)).map(|(index, _)| format!(".series[{index}]")).collect()
}

/// The slice of `series` that ends last.
fn latest(root: &Node<'_>) -> Option<(String, u64)> {
    let slices = root.value.get("series").and_then(|series| series.value.list()).unwrap_or_default();
    let ends =
        |slice: &Node<'_>| slice.value.get("stopTimeMs")?.value.number().filter(|time| (0.0..1e15).contains(time)).map(|time| time as u64);
    let last = slices.iter().enumerate().filter_map(|(index, slice)| Some((index, ends(slice)?))).max_by_key(|(_, time)| *time);
    last.map(|(index, time)| (format!(".series[{index}]"), time))
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
        let kind = clip(kind, 40);
        if !capability.object_types().contains(&kind.as_str()) && !found.contains(&kind) && found.len() < 5 {
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
