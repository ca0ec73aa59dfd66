//! SPDX 2.3 (ISO/IEC 5962).

use serde_json::{Value, json};

use super::{Subject, origin, uuid};
use crate::{Inventory, Package};

/// The image, within the document.
const IMAGE: &str = "SPDXRef-Image";

pub(super) fn document(subject: &Subject<'_>, inventory: &Inventory) -> Value {
    let mut packages = vec![image(subject, inventory)];
    packages.extend(inventory.packages.iter().enumerate().map(|(at, found)| package(at, found)));
    let mut relationships = vec![relationship("SPDXRef-DOCUMENT", "DESCRIBES", IMAGE)];
    relationships.extend((0..inventory.packages.len()).map(|at| relationship(IMAGE, "CONTAINS", &reference(at))));
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": subject.name,
        "documentNamespace": "",
        "creationInfo": {
            "created": subject.created(),
            "creators": [format!("Tool: plimsoll-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships,
    });
    document["documentNamespace"] = format!("https://spdx.org/spdxdocs/plimsoll-{}", uuid(&document)).into();
    document
}

fn reference(at: usize) -> String {
    format!("SPDXRef-Package-{}", at + 1)
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

fn image(subject: &Subject<'_>, inventory: &Inventory) -> Value {
    let algorithm = if subject.is_sha512() { "SHA512" } else { "SHA256" };
    let mut image = json!({
        "SPDXID": IMAGE,
        "name": subject.name,
        "versionInfo": subject.digest,
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "checksums": [{ "algorithm": algorithm, "checksumValue": subject.digest.hex() }],
        "externalRefs": [external(&subject.purl())],
    });
    let mut told: Vec<String> = inventory.system.iter().map(|system| format!("System: {system}.")).collect();
    if !inventory.warnings.is_empty() {
        told.push(format!("Incomplete: {} files could not be read.", inventory.warnings.len()));
    }
    if !told.is_empty() {
        image["comment"] = told.join(" ").into();
    }
    image
}

fn package(at: usize, package: &Package) -> Value {
    let built = origin(package).map(|source| format!(", built from {source}")).unwrap_or_default();
    json!({
        "SPDXID": reference(at),
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "sourceInfo": format!("found in /{}{built}, in layer {}", package.path, package.layer),
        "externalRefs": [external(&package.purl())],
    })
}

fn external(purl: &str) -> Value {
    json!({ "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl })
}
