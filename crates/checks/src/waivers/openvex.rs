//! OpenVEX documents (specification 0.2.0) as waivers. `not_affected` and `fixed` waive, `affected` and `under_investigation` do not; of
//! several statements about the same vulnerability of the same product the latest counts. A product is the image (package URL, digest or
//! name) or a package in it (package URL); what it is about and nobody can compare waives nothing, and is told.

use std::collections::BTreeMap;

use model::waiver::Waiver;
use serde::Deserialize;
use serde_json::Value;

use super::{Error, LONGEST, Read, at_most, time};
use crate::standing::is_of_an_image;

const DAY: i64 = 86_400_000;
/// Statements that are told of because nobody can say what they are about; a few more may be.
const TOLD: usize = 20;

/// The labels of the specification.
const JUSTIFICATIONS: [&str; 5] = [
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
];

#[derive(Deserialize)]
struct Document {
    author: String,
    timestamp: String,
    last_updated: Option<String>,
    statements: Vec<Statement>,
}

#[derive(Deserialize)]
struct Statement {
    vulnerability: Vulnerability,
    #[serde(default)]
    products: Vec<Product>,
    status: Status,
    timestamp: Option<String>,
    last_updated: Option<String>,
    justification: Option<String>,
    impact_statement: Option<String>,
    status_notes: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Status {
    NotAffected,
    Affected,
    Fixed,
    UnderInvestigation,
}

/// Documents of version 0.0.1 wrote the bare name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Vulnerability {
    Name(String),
    Known { name: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Product {
    Id(String),
    Known {
        #[serde(rename = "@id")]
        id: Option<String>,
        #[serde(default)]
        identifiers: BTreeMap<String, String>,
        #[serde(default)]
        hashes: BTreeMap<String, String>,
        #[serde(default)]
        subcomponents: Vec<Product>,
    },
}

/// What a statement is about: the image meant and the package in it, each of them or any.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    image: Option<String>,
    package: Option<String>,
}

/// Whether a document is one.
pub(super) fn is_one(value: &Value) -> bool {
    value.get("@context").and_then(Value::as_str).is_some_and(|context| context.contains("openvex.dev/ns"))
}

pub(super) fn waivers(value: Value, days: u32) -> Result<Read, Error> {
    let document: Document = serde_json::from_value(value)?;
    at_most(document.statements.len())?;
    let mut left_out = Vec::new();
    // By vulnerability and what it is in: the latest statement, a waiver or none.
    let mut latest: BTreeMap<(String, Subject), (i64, Option<Waiver>)> = BTreeMap::new();
    for (at, statement) in document.statements.iter().enumerate() {
        let wrong = |what: String| Error::Entry { number: at + 1, what };
        let said = [&statement.last_updated, &statement.timestamp, &document.last_updated];
        let said = said.into_iter().find_map(Option::as_ref).unwrap_or(&document.timestamp);
        let said_at = time(said).ok_or_else(|| wrong(format!("its timestamp {said:?} is no RFC 3339 time")))?;
        let reason = statement.reason().map_err(wrong)?;
        let expires_at = said_at.saturating_add(i64::from(days).saturating_mul(DAY));
        let name = match &statement.vulnerability {
            Vulnerability::Name(name) | Vulnerability::Known { name } => name.clone(),
        };
        let (subjects, unknown) = statement.subjects();
        if reason.is_some() && left_out.len() < TOLD {
            left_out.extend(unknown.into_iter().map(|what| format!("entry {}, {name}: {what}", at + 1)));
        }
        for subject in subjects {
            at_most(latest.len())?;
            let waiver = reason.clone().map(|reason| Waiver {
                vulnerability: name.clone(),
                package: subject.package.clone(),
                engine: None,
                image: subject.image.clone(),
                reason,
                author: clipped(&document.author),
                expires_at,
                until_fixed: false,
            });
            if let Some(waiver) = &waiver {
                super::check(waiver).map_err(wrong)?;
            }
            let newer = latest.get(&(name.clone(), subject.clone())).is_none_or(|known| known.0 <= said_at);
            if newer {
                latest.insert((name.clone(), subject), (said_at, waiver));
            }
        }
    }
    Ok(Read { waivers: latest.into_values().filter_map(|(_, waiver)| waiver).collect(), left_out })
}

fn clipped(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

impl Statement {
    /// Why the vulnerability does not matter here; `None` if it does, or may.
    fn reason(&self) -> Result<Option<String>, String> {
        let notes = [&self.impact_statement, &self.status_notes].into_iter().flatten().map(String::as_str);
        match self.status {
            Status::Affected | Status::UnderInvestigation => Ok(None),
            Status::Fixed => Ok(Some(clipped(&joined("fixed", notes)))),
            Status::NotAffected => match &self.justification {
                Some(label) if JUSTIFICATIONS.contains(&label.as_str()) => Ok(Some(clipped(&joined(label, notes)))),
                Some(label) => Err(format!("its justification {label:?} is none of {}", JUSTIFICATIONS.join(", "))),
                None if self.impact_statement.as_ref().is_some_and(|text| !text.trim().is_empty()) => {
                    Ok(Some(clipped(&joined("not affected", notes))))
                }
                None => Err("its status is not_affected, which needs a justification or an impact_statement".to_owned()),
            },
        }
    }

    /// What it is about, and what of it cannot be compared with anything.
    fn subjects(&self) -> (Vec<Subject>, Vec<String>) {
        if self.products.is_empty() {
            return (vec![Subject::default()], Vec::new());
        }
        let (mut subjects, mut unknown) = (Vec::new(), Vec::new());
        for product in &self.products {
            match product.subjects() {
                Ok(found) => subjects.extend(found),
                Err(what) => unknown.push(what),
            }
        }
        (subjects, unknown)
    }
}

fn joined<'a>(word: &str, notes: impl Iterator<Item = &'a str>) -> String {
    let notes: Vec<&str> = notes.filter(|note| !note.trim().is_empty()).collect();
    if notes.is_empty() { word.to_owned() } else { format!("{word}: {}", notes.join("; ")) }
}

impl Product {
    /// By what it can be compared: a package URL, a digest, or a name.
    fn name(&self) -> Option<String> {
        match self {
            Self::Id(id) => Some(id.clone()),
            Self::Known { id, identifiers, hashes, .. } => {
                let digest = || hashes.get("sha-256").map(|hex| format!("sha256:{hex}"));
                identifiers.get("purl").cloned().or_else(digest).or_else(|| id.clone())
            }
        }
        .filter(|name| !name.trim().is_empty())
    }

    fn parts(&self) -> &[Self] {
        if let Self::Known { subcomponents, .. } = self { subcomponents } else { &[] }
    }

    fn subjects(&self) -> Result<Vec<Subject>, String> {
        const FORMS: &str = "name an image by pkg:oci/..., its digest or its name, a package by its package URL";
        let name = self.name().ok_or_else(|| format!("a product has neither @id nor purl nor sha-256; {FORMS}"))?;
        let parts = self.parts();
        if !is_of_an_image(&name) {
            // The part of a package may well be elsewhere in the image too, and matter there.
            return match parts {
                [] => Ok(vec![Subject { image: None, package: Some(name) }]),
                _ => Err(format!("the product {name} is a package with subcomponents, and where they are cannot be compared; {FORMS}")),
            };
        }
        if parts.is_empty() {
            return Ok(vec![Subject { image: Some(name), package: None }]);
        }
        let of = |part: &Self| {
            let package = part.name().filter(|part| !is_of_an_image(part));
            let package = package.ok_or_else(|| format!("a subcomponent of {name} is no package URL; {FORMS}"))?;
            Ok(Subject { image: Some(name.clone()), package: Some(package) })
        };
        parts.iter().map(of).collect()
    }
}
