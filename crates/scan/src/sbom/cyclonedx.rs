//! CycloneDX 1.6 (ECMA-424).

use serde_json::{Value, json};

use super::{Subject, origin, uuid};
use crate::{Inventory, Package};

/// The image, within the document.
const IMAGE: &str = "image";

pub(super) fn document(subject: &Subject<'_>, inventory: &Inventory) -> Value {
    let components: Vec<Value> = inventory.packages.iter().enumerate().map(|(at, package)| component(at, package)).collect();
    let refs: Vec<String> = (0..components.len()).map(reference).collect();
    // Nobody can say that a list is complete; where something could not be read it certainly is not.
    let aggregate = if inventory.warnings.is_empty() { "unknown" } else { "incomplete" };
    let mut image = json!({
        "type": "container",
        "bom-ref": IMAGE,
        "name": subject.name,
        "version": subject.digest,
        "hashes": [{ "alg": if subject.is_sha512() { "SHA-512" } else { "SHA-256" }, "content": subject.digest.hex() }],
        "purl": subject.purl(),
    });
    if let Some(system) = &inventory.system {
        image["properties"] = json!([{ "name": "plimsoll:system", "value": system }]);
    }
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": 1,
        "metadata": {
            "timestamp": subject.created(),
            "tools": { "components": [{ "type": "application", "name": "plimsoll", "version": env!("CARGO_PKG_VERSION") }] },
            "component": image,
        },
        "components": components,
        "dependencies": [{ "ref": IMAGE, "dependsOn": refs }],
        "compositions": [{ "aggregate": aggregate, "assemblies": [IMAGE] }],
    });
    document["serialNumber"] = format!("urn:uuid:{}", uuid(&document)).into();
    document
}

fn reference(at: usize) -> String {
    format!("package-{}", at + 1)
}

fn component(at: usize, package: &Package) -> Value {
    let mut properties = vec![json!({ "name": "plimsoll:layer", "value": package.layer })];
    properties.extend(origin(package).map(|source| json!({ "name": "plimsoll:source", "value": source })));
    json!({
        "type": "library",
        "bom-ref": reference(at),
        "name": package.name,
        "version": package.version,
        "purl": package.purl(),
        "properties": properties,
        "evidence": { "occurrences": [{ "location": format!("/{}", package.path) }] },
    })
}
