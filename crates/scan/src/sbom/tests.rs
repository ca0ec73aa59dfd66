use std::collections::BTreeSet;

use super::*;
use crate::{Ecosystem, Warning};

fn inventory() -> Inventory {
    let package = |ecosystem: &str, name: &str, source: Option<&str>, path: &str| Package {
        ecosystem: Ecosystem::from_osv(ecosystem).unwrap(),
        name: name.into(),
        version: "1:1.0+b~1".into(),
        source: source.map(|source| (source.to_owned(), "1.0".to_owned())),
        path: path.into(),
        layer: Digest::of(b"layer"),
    };
    Inventory {
        system: Some("Debian GNU/Linux 12".into()),
        packages: vec![
            package("Debian:12", "libssl3", Some("openssl"), "var/lib/dpkg/status"),
            package("npm", "@a/b", None, "x/node_modules/@a/b/package.json"),
            package("npm", "@a/b", None, "y/node_modules/@a/b/package.json"),
        ],
        warnings: Vec::new(),
    }
}

fn document(format: Format, inventory: &Inventory) -> Value {
    let subject = Subject { name: "1/Word", digest: &Digest::of(b"image"), created: Some("2026-01-02T03:04:05.678Z") };
    serde_json::from_str(&render(format, &subject, inventory)).unwrap()
}

#[test]
fn cyclonedx_has_every_package_once_and_refers_to_nothing_else() {
    let document = document(Format::CycloneDx, &inventory());
    assert_eq!((document["bomFormat"].as_str(), document["specVersion"].as_str()), (Some("CycloneDX"), Some("1.6")));
    let refs: BTreeSet<&str> = document["components"].as_array().unwrap().iter().map(|one| one["bom-ref"].as_str().unwrap()).collect();
    let needed: BTreeSet<&str> =
        document["dependencies"][0]["dependsOn"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!((refs.len(), &refs), (3, &needed));
    assert_eq!(document["metadata"]["timestamp"], "2026-01-02T03:04:05Z");
    assert_eq!(document["components"][0]["properties"][1]["value"], "openssl 1.0");
    assert!(document["metadata"]["component"]["purl"].as_str().unwrap().starts_with("pkg:oci/word@sha256%3A"));
}

#[test]
fn spdx_describes_the_image_that_contains_every_package() {
    let document = document(Format::Spdx, &inventory());
    let ids: BTreeSet<&str> = document["packages"].as_array().unwrap().iter().map(|one| one["SPDXID"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 4);
    let relationships = document["relationships"].as_array().unwrap();
    assert!(relationships.iter().all(|one| ids.contains(one["relatedSpdxElement"].as_str().unwrap())));
    assert_eq!(relationships.iter().filter(|one| one["relationshipType"] == "CONTAINS").count(), 3);
    assert_eq!(document["creationInfo"]["created"], "2026-01-02T03:04:05Z");
}

#[test]
fn the_same_packages_give_the_same_bytes_and_others_another_identity() {
    let digest = Digest::of(b"image");
    for format in Format::ALL {
        for created in [None, Some("yesterdayZ"), Some("2026-01-02T03:04:05+02:00"), Some("2026-01-02T03:04:05Z")] {
            let subject = Subject { name: "1/word", digest: &digest, created };
            let one = render(format, &subject, &inventory());
            assert_eq!(one, render(format, &subject, &inventory()));
            assert_eq!(one.contains("1970"), created != Some("2026-01-02T03:04:05Z"), "{created:?}");
        }
        let fewer = Inventory { packages: inventory().packages[1..].to_vec(), ..inventory() };
        let identity = if format == Format::Spdx { "documentNamespace" } else { "serialNumber" };
        assert_ne!(document(format, &inventory())[identity], document(format, &fewer)[identity]);
    }
    assert!("pdf".parse::<Format>().unwrap_err().to_string().contains("\"pdf\""));
}

#[test]
fn what_could_not_be_read_is_said() {
    let warning = Warning { path: "a".into(), message: "cut off".into() };
    let partial = Inventory { warnings: vec![warning], ..inventory() };
    assert_eq!(document(Format::CycloneDx, &partial)["compositions"][0]["aggregate"], "incomplete");
    assert!(document(Format::Spdx, &partial)["packages"][0]["comment"].as_str().unwrap().contains("Incomplete"));
}
