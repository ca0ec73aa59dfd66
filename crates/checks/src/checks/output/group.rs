//! From what is wrong in many documents to findings: one cause, one finding, with a list of the places.

use model::{
    capability::Capability,
    finding::{Finding, Severity},
};
use serde_json::Value;

use super::{document::Judged, sense};
use crate::{
    contract::output::{Unnamed, Violation, known_keys},
    judge::Draft,
    spelling,
    wording::{clip, list},
};

/// Kinds of violations told one by one; the rest is counted.
const KINDS: usize = 20;
/// Entries of one kind kept in a finding.
const ENTRIES: usize = 20;
/// Values quoted in a finding.
const QUOTED: usize = 3;
/// Samples and places named in a sentence.
const NAMED: usize = 5;

/// Every finding that documents share.
pub(super) fn findings(documents: &[Judged], capability: Option<Capability>) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = violations(documents).into_iter().map(Draft::from).collect();
    drafts.extend(unnamed(documents, capability));
    drafts.extend(sense::findings(documents).into_iter().map(Draft::from));
    drafts.extend(foreign_types(documents, capability).map(Draft::from));
    drafts.extend(lacking(documents, capability).map(Draft::from));
    drafts
}

/// One kind of violation: the same rule at the same place of every item.
struct Kind<'a> {
    key: (String, String),
    first: &'a Violation,
    document: &'a Judged,
    entries: Vec<&'a Violation>,
    values: Vec<&'a str>,
    samples: Vec<&'a str>,
    count: usize,
}

/// Alternatives at one place are one cause, whatever each of them asks for.
fn key_of(violation: &Violation) -> (String, String) {
    let rule = match violation.schema_path.starts_with("#/anyOf/") {
        true => "anyOf".to_owned(),
        false => format!("{} {}", violation.keyword, violation.params),
    };
    // The two items named by uniqueItems, and lengths, differ from list to list.
    let rule = if matches!(violation.keyword, "uniqueItems" | "requireBestPath") { violation.keyword.to_owned() } else { rule };
    (violation.pattern(), rule)
}

fn violations(documents: &[Judged]) -> Vec<Finding> {
    placed(documents).into_iter().map(|(finding, _)| finding).collect()
}

/// A finding for each kind of violation, with the offsets where it is broken.
pub(super) fn placed(documents: &[Judged]) -> Vec<(Finding, Vec<usize>)> {
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    let mut untold: u64 = 0;
    for document in documents {
        untold += document.more;
        for (violation, value) in &document.violations {
            let key = key_of(violation);
            if let Some(kind) = kinds.iter_mut().find(|kind| kind.key == key) {
                kind.add(document, violation, value);
            } else if kinds.len() < KINDS {
                let mut kind = Kind { key, first: violation, document, entries: vec![], values: vec![], samples: vec![], count: 0 };
                kind.add(document, violation, value);
                kinds.push(kind);
            } else {
                untold += 1;
            }
        }
    }
    let mut findings = merged(&kinds);
    if untold > 0 {
        let finding = Finding::new(
            "output.schema",
            Severity::Error,
            format!("{untold} further violations of the output contract"),
            "So many faults usually have one cause.",
            "Mend the first ones and check again.",
        );
        findings.push((finding.message("Output check: further violations"), Vec::new()));
    }
    findings
}

/// A finding per kind, but one only for a key that is missing because it is misspelt.
fn merged(kinds: &[Kind<'_>]) -> Vec<(Finding, Vec<usize>)> {
    let meant = |kind: &Kind<'_>| {
        if kind.first.keyword == "additionalProperties" { spelling::nearest(kind.param("additionalProperty"), known_keys()) } else { None }
    };
    let lacks = |kind: &Kind<'_>, key: &str| kind.first.keyword == "required" && kind.param("missingProperty") == key;
    let misspelt = |wanted: &Kind<'_>| {
        let same = |kind: &&Kind<'_>| {
            kind.key.0 == wanted.key.0 && kind.count == wanted.count && meant(kind).is_some_and(|key| lacks(wanted, key))
        };
        kinds.iter().find(same)
    };
    let explains = |kind: &Kind<'_>| kinds.iter().any(|wanted| misspelt(wanted).is_some_and(|found| std::ptr::eq(found, kind)));
    let offsets = |kind: &Kind<'_>| kind.entries.iter().map(|violation| violation.at).collect();
    kinds.iter().filter(|kind| !explains(kind)).map(|kind| (kind.finding(misspelt(kind)), offsets(kind))).collect()
}

impl<'a> Kind<'a> {
    fn param(&self, name: &str) -> &str {
        self.first.params.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn add(&mut self, document: &'a Judged, violation: &'a Violation, value: &'a str) {
        self.count += 1;
        if self.entries.len() < ENTRIES {
            self.entries.push(violation);
        }
        if self.values.len() < QUOTED && !value.is_empty() && !self.values.contains(&value) {
            self.values.push(value);
        }
        if !self.samples.contains(&document.sample.as_str()) {
            self.samples.push(&document.sample);
        }
    }

    /// `misspelt` is the kind that says which key stands in the place of the missing one.
    fn finding(&self, misspelt: Option<&Self>) -> Finding {
        let Violation { data_path, message, keyword, params, .. } = self.first;
        let path = if data_path.is_empty() { "document".to_owned() } else { data_path.clone() };
        let alternatives: Vec<&str> = if self.key.1 == "anyOf" { self.missing_keys() } else { Vec::new() };
        let said = match alternatives.as_slice() {
            [] => message.clone(),
            keys => format!("should have one of the properties {}", list(keys, "or")),
        };
        let places = self.count / alternatives.len().max(1);
        let times = if places > 1 { format!(", {places} times") } else { String::new() };
        let contracts = if self.document.contracts.is_empty() {
            "the output standard".to_owned()
        } else {
            format!("contract {}", list(&self.document.contracts, "and"))
        };
        let (mut title, mut suggestion) = title(keyword, params, &path, &said);
        let mut fix = fix(keyword, params, &path, &said, suggestion);
        if let Some((kind, wanted)) = misspelt.zip(known_keys().find(|key| *key == self.param("missingProperty"))) {
            let written = clip(kind.param("additionalProperty"), 25);
            title = format!("Result: {} has {written} where {wanted} should be", clip(&path, 30));
            suggestion = Some(wanted);
            fix = format!("Write \"{wanted}\" instead of \"{written}\".");
        }
        let mut finding = Finding::new(
            "output.schema",
            Severity::Error,
            format!("{}{times}", clip(&title, 90 - times.len())),
            format!("Applications rely on {contracts}: they read exactly these keys, in exactly this form."),
            fix,
        );
        let whole = format!("Output check: {} {said}", clip(data_path, 200)).replace("  ", " ");
        finding.place = Some(format!(
            "{}{}",
            self.document.place,
            if data_path.is_empty() { String::new() } else { format!(", {}", clip(data_path, 200)) }
        ));
        finding.sample = self.samples.first().map(|sample| (*sample).to_owned());
        finding.suggestion = suggestion.map(str::to_owned);
        finding.evidence = self.values.iter().map(|value| (*value).to_owned()).collect();
        if self.samples.len() > 1 {
            finding.evidence.push(format!(
                "also in {}",
                list(self.samples.get(1..).unwrap_or_default().iter().take(NAMED).collect::<Vec<_>>().as_slice(), "and")
            ));
        }
        let entries = self.entries.iter().chain(misspelt.iter().flat_map(|kind| &kind.entries));
        finding.validation_errors = entries.map(|violation| violation.entry()).collect();
        finding.message(whole)
    }

    /// The keys of which one is needed, each once.
    fn missing_keys(&self) -> Vec<&'a str> {
        let mut keys: Vec<&str> = Vec::new();
        for key in self.entries.iter().filter_map(|violation| violation.params.get("missingProperty")?.as_str()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }
}

/// The fact in few words, and what was probably meant.
fn title(keyword: &str, params: &Value, path: &str, said: &str) -> (String, Option<&'static str>) {
    let param = |name: &str| params.get(name).and_then(Value::as_str).unwrap_or_default();
    let path = clip(path, 45);
    match keyword {
        "additionalProperties" => {
            let key = param("additionalProperty");
            (format!("Result: {path} has the unknown key {}", clip(key, 25)), spelling::nearest(key, known_keys()))
        }
        "const" => (format!("Result: {path} is not \"{}\"", param("allowedValue")), None),
        "enum" => (format!("Result: {path} has a value that is not allowed"), None),
        "false schema" => (format!("Result: {path} is not allowed here"), None),
        _ => (format!("Result: {path} {said}"), None),
    }
}

fn fix(keyword: &str, params: &Value, path: &str, said: &str, suggestion: Option<&str>) -> String {
    let param = |name: &str| params.get(name).and_then(Value::as_str).unwrap_or_default();
    let last = path.rsplit(['.', ']']).next().unwrap_or(path);
    match (keyword, suggestion) {
        ("additionalProperties", Some(near)) => format!("Write \"{near}\" instead of \"{}\".", clip(param("additionalProperty"), 60)),
        ("additionalProperties", None) => {
            format!("Remove \"{}\", or put it into a vendor object, which is free.", clip(param("additionalProperty"), 60))
        }
        ("required", _) if said.contains("one of") => format!("Add what {path} lacks: it {said}."),
        ("required", _) => format!("Add \"{}\" to {path}.", param("missingProperty")),
        ("const", _) => format!("Write \"{}\".", param("allowedValue")),
        ("enum", _) => match params.get("allowedValues").and_then(Value::as_array) {
            Some(values) => format!("Write one of: {}.", values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")),
            None => "Write one of the allowed values.".to_owned(),
        },
        ("maximum", _) if params.get("limit") == Some(&Value::from(1)) => {
            format!("Write {last} as a fraction from 0 to 1, not in percent or pixels.")
        }
        ("type", _) if param("type") == "integer" => format!("Round {last} to a whole number."),
        ("type", _) => format!("Write {last} as {} {}.", if param("type").starts_with(['a', 'o']) { "an" } else { "a" }, param("type")),
        ("false schema", _) => format!("Remove {last}."),
        ("requireBestPath", _) => "Mark exactly one of the alternative words with \"bestPath\": true.".to_owned(),
        ("minItems", _) if path.ends_with("boundingPoly") => "Give one point, or three and more; a box is its four corners.".to_owned(),
        _ => format!("Change it: {path} {said}."),
    }
}

/// Documents that do not name the contract they should keep, all in one finding.
pub(super) fn unnamed(documents: &[Judged], capability: Option<Capability>) -> Option<Draft> {
    let group: Vec<(&Judged, &Unnamed)> = documents.iter().filter_map(|document| Some((document, document.unnamed.as_ref()?))).collect();
    let (first, unnamed) = group.first()?;
    let has = if unnamed.named.is_empty() { "names no contract".to_owned() } else { format!("names {}", list(&unnamed.named, "and")) };
    let (wanted, fix) = match (unnamed.wanted, capability) {
        (Some(wanted), _) => (format!(", not {wanted}"), format!("Add \"validationContracts\": [\"{wanted}\"] to the result.")),
        (None, Some(_)) => return None,
        (None, None) => {
            (String::new(), "Add \"validationContracts\" with the contract of your category, and \"category\" to the manifest.".to_owned())
        }
    };
    let title = if unnamed.named.is_empty() {
        format!("Result of {} names no contract in validationContracts", clip(&first.sample, 30))
    } else {
        format!("Result of {} {has}{wanted}", clip(&first.sample, 25))
    };
    let finding = Finding::new(
        "output.contract.missing",
        Severity::Warning,
        title,
        "The contract says how a result is to be read. It was checked as if it were named.",
        fix,
    );
    let said = if unnamed.named.is_empty() { String::new() } else { wanted };
    let mut finding = finding.message(format!(
        "Output check: validationContracts {}{said}",
        if unnamed.named.is_empty() { "is missing".to_owned() } else { has }
    ));
    finding.suggestion = unnamed.wanted.map(str::to_owned);
    Some(Draft::strictly(finding.at(first.place.clone()).sample(&first.sample), Severity::Error))
}

fn foreign_types(documents: &[Judged], capability: Option<Capability>) -> Option<Finding> {
    let first = documents.iter().find(|document| !document.foreign_types.is_empty())?;
    let (capability, found) = (capability?, list(&first.foreign_types, "and"));
    let wanted = list(capability.object_types(), "or");
    let mut finding = Finding::new(
        "output.type",
        Severity::Warning,
        format!("Result: entries of type {}, expected {wanted}", clip(&found, 40)),
        "Applications look for the results of a category by the type of its entries.",
        format!("Write \"type\": \"{wanted}\"."),
    );
    finding.allowed = capability.object_types().iter().map(|kind| (*kind).to_owned()).collect();
    Some(finding.message(format!("Output check: entries of type {found}, expected {wanted}")).at(first.place.clone()).sample(&first.sample))
}

fn lacking(documents: &[Judged], capability: Option<Capability>) -> Option<Finding> {
    let first = documents.iter().find(|document| document.lacks.is_some())?;
    let (key, capability) = (first.lacks?, capability?);
    let finding = Finding::new(
        "output.data",
        Severity::Error,
        format!("Result of {} has no {key}", clip(&first.sample, 40)),
        format!("The results of category {capability} are in {key}; without it there is nothing to show."),
        format!("Add {key} to the document, to an entry of object, or to a slice of series."),
    );
    Some(finding.message(format!("Output check: should have {key}")).at(first.place.clone()).sample(&first.sample))
}
