//! An archive of advisories as it is fetched: never panics; what cannot be read is an error or counted; what is compiled is whole.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use scan::{Database, advisories::Builder};

/// One input.
pub fn run(input: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (folder.path().join("a.zip"), folder.path().join("a.db"));
    std::fs::write(&source, input).unwrap();
    let mut builder = Builder::default();
    if let Err(error) = builder.add(&source, &mut |_| {}) {
        assert!(!error.to_string().is_empty());
        return;
    }
    match builder.write(&out) {
        Ok(meta) => {
            let database = Database::open(&out).unwrap();
            database.verify().unwrap();
            assert_eq!(database.meta(), &meta);
        }
        Err(error) => assert!(!error.to_string().is_empty() && !out.exists()),
    }
}
