//! What the fuzz targets of `fuzz/` do, as a test: every input of the corpus, then a fixed number of inputs made of them by chance that is
//! the same each time. The targets share these bodies, so that what a long run finds is kept here by adding it to the corpus.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod manifest;
mod mutate;
mod path;
mod query;
mod range;
mod scope;

use std::{fs, path::Path};

/// Inputs tried per parser.
const INPUTS: usize = 200_000;

/// Replays the corpus of a target, then tries inputs made of it.
fn run(name: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(corpus.len() >= 5, "the corpus in {} is too small", folder.display());
    for (path, input) in paths.iter().zip(&corpus) {
        told(&path.display().to_string(), input, body);
    }
    let mut mutator = mutate::Mutator::new(&corpus, 0x0511_2026);
    for n in 0..INPUTS {
        told(&format!("{name}, made input {n}"), mutator.next(), body);
    }
}

/// Runs the body; when it fails, says on which input.
fn told(name: &str, input: &[u8], body: fn(&[u8])) {
    let done = std::panic::catch_unwind(|| body(input));
    assert!(done.is_ok(), "{name} fails: {:?}; add it to the corpus", String::from_utf8_lossy(input));
}

#[test]
fn manifests() {
    run("registry_manifest", manifest::run);
}

#[test]
fn paths() {
    run("registry_path", path::run);
}

#[test]
fn queries() {
    run("registry_query", query::run);
}

#[test]
fn ranges() {
    run("registry_range", range::run);
}

#[test]
fn scopes() {
    run("registry_scope", scope::run);
}
