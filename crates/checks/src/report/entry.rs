//! One vulnerability as the report and the API show it, in Clair's key names (build report §2).

use scan::Vulnerability;
use serde_json::{Map, Value, json};

use crate::standing::{Standing, day, last_day};

/// The entry.
pub fn of(one: &Vulnerability, standing: Standing<'_>) -> Value {
    let (feature, version) = one.package.matched();
    let mut entry = json!({
        "Name": one.name,
        "NamespaceName": one.package.ecosystem.namespace(),
        "Description": one.description,
        "Link": one.link,
        "Severity": one.severity.as_str(),
        "SeveritySource": one.severity_source,
        "Metadata": metadata(one),
        "FeatureName": feature,
        "FeatureVersion": version,
        "Package": one.package.name,
        "Path": format!("/{}", one.package.path),
        "Layer": one.package.layer,
        "Aliases": one.aliases,
        "KEV": one.exploited,
        "Blocks": standing == Standing::Blocks,
    });
    if let Some(members) = entry.as_object_mut() {
        let texts = [("FixedBy", &one.fixed_by), ("Published", &one.published), ("Informational", &one.informational)];
        members.extend(texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::from(text.as_deref()?)))));
        match standing {
            Standing::Waived(waiver) => {
                let waived = json!({
                    "By": waiver.author, "Why": waiver.reason, "Until": last_day(waiver.expires_at), "UntilFixed": waiver.until_fixed,
                });
                members.insert("Waived".to_owned(), waived);
            }
            Standing::Grace(end) => {
                members.insert("BlocksFrom".to_owned(), Value::from(day(end)));
            }
            _ => {}
        }
    }
    entry
}

fn metadata(one: &Vulnerability) -> Map<String, Value> {
    let mut metadata = Map::new();
    let Some(score) = &one.score else { return metadata };
    let key = if score.vector.starts_with("CVSS:4") {
        "CVSSv4"
    } else if score.vector.starts_with("CVSS:3") {
        "CVSSv3"
    } else {
        "CVSSv2"
    };
    // One decimal, as scores are written; a binary fraction would show as 9.800000190734863.
    let tenths = f64::from((score.score * 10.0).round()) / 10.0;
    let mut scores = Map::new();
    scores.insert(key.to_owned(), json!({ "Score": tenths, "Vectors": score.vector }));
    metadata.insert("NVD".to_owned(), Value::Object(scores));
    metadata
}
