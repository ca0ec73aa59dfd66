//! OpenVEX documents (specification 0.2.0) as waivers. `not_affected` and `fixed` waive, `affected` and `under_investigation` do not; of
//! several statements about the same vulnerability of the same product the latest counts.

use std::collections::BTreeMap;

use model::waiver::Waiver;
use serde::Deserialize;
use serde_json::Value;

use super::{Error, LONGEST, at_most, time};

const DAY: i64 = 86_400_000;

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
        subcomponents: Vec<Product>,
    },
}

/// Whether a document is one.
pub(super) fn is_one(value: &Value) -> bool {
    value.get("@context").and_then(Value::as_str).is_some_and(|context| context.contains("openvex.dev/ns"))
}

pub(super) fn waivers(value: Value, days: u32) -> Result<Vec<Waiver>, Error> {
    let document: Document = serde_json::from_value(value)?;
    at_most(document.statements.len())?;
    // By vulnerability and package: the latest statement, a waiver or none.
    let mut latest: BTreeMap<(String, Option<String>), (i64, Option<Waiver>)> = BTreeMap::new();
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
        for package in statement.packages() {
            at_most(latest.len())?;
            let waiver = reason.clone().map(|reason| Waiver {
                vulnerability: name.clone(),
                package: package.clone(),
                engine: None,
                reason,
                author: clipped(&document.author),
                expires_at,
                until_fixed: false,
            });
            if let Some(waiver) = &waiver {
                super::check(waiver).map_err(wrong)?;
            }
            let newer = latest.get(&(name.clone(), package.clone())).is_none_or(|known| known.0 <= said_at);
            if newer {
                latest.insert((name.clone(), package), (said_at, waiver));
            }
        }
    }
    Ok(latest.into_values().filter_map(|(_, waiver)| waiver).collect())
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

    /// The packages meant; `None` is the product as a whole.
    fn packages(&self) -> Vec<Option<String>> {
        if self.products.is_empty() {
            return vec![None];
        }
        let packages = self.products.iter().flat_map(|product| match product {
            Product::Known { subcomponents, .. } if !subcomponents.is_empty() => subcomponents.iter().map(Product::package).collect(),
            whole => vec![whole.package()],
        });
        packages.collect()
    }
}

fn joined<'a>(word: &str, notes: impl Iterator<Item = &'a str>) -> String {
    let notes: Vec<&str> = notes.filter(|note| !note.trim().is_empty()).collect();
    if notes.is_empty() { word.to_owned() } else { format!("{word}: {}", notes.join("; ")) }
}

impl Product {
    /// Its package URL or name; `None` when it is the image itself, and so everything in it.
    fn package(&self) -> Option<String> {
        let id = match self {
            Self::Id(id) => id,
            Self::Known { id, identifiers, .. } => identifiers.get("purl").or(id.as_ref())?,
        };
        (!id.starts_with("pkg:oci/") && !id.starts_with("pkg:docker/")).then(|| id.clone())
    }
}
