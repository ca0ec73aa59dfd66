//! An advisory in the OSV format: never panics; what is compiled can be opened and is whole; the same text gives the same database.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use model::digest::Digest;
use scan::{
    Database, Ecosystem, Package,
    advisories::{Builder, PRECEDENCE, matches},
};

/// One input.
pub fn run(input: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (folder.path().join("a.json"), folder.path().join("a.db"));
    std::fs::write(&source, input).unwrap();
    let build = || {
        let mut builder = Builder::default();
        builder.add(&source, &mut |_| {}).unwrap();
        builder.write(&out).map(|_| Database::open(&out).unwrap())
    };
    let Ok(database) = build() else { return };
    database.verify().unwrap();
    assert_eq!(database.id(), build().unwrap().id());
    for version in ["0", "1.0.0", "2.5", "x"] {
        let package = Package {
            ecosystem: Ecosystem::from_osv("PyPI").unwrap(),
            name: "a".to_owned(),
            version: version.to_owned(),
            source: None,
            path: String::new(),
            layer: Digest::of(b""),
        };
        let (found, _) = matches(&database, &[package], &PRECEDENCE).unwrap();
        assert!(found.iter().all(|one| !one.name.is_empty()));
    }
}
