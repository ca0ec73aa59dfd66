//! A compiled database: never panics, and what it finds has a name.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use model::digest::Digest;
use scan::{
    Database, Ecosystem, Package,
    advisories::{PRECEDENCE, matches},
};

/// One input.
pub fn run(input: &[u8]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), input).unwrap();
    let Ok(database) = Database::open(file.path()) else { return };
    let package = |ecosystem: &str, name: &str| Package {
        ecosystem: Ecosystem::from_osv(ecosystem).unwrap(),
        name: name.to_owned(),
        version: "1.0".to_owned(),
        source: None,
        path: String::new(),
        layer: Digest::of(b""),
    };
    // The names that the corpus has.
    let packages = [package("PyPI", "a"), package("npm", "b"), package("Debian:12", "c")];
    // An error has a sentence; what is found has a name unless the record was changed.
    match matches(&database, &packages, &PRECEDENCE) {
        Ok((found, _)) => assert!(found.len() <= 1000),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let _ = database.verify();
}
