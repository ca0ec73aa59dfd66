//! What the fuzz targets of `fuzz/` do with the scanner's parsers, as a test: every input of the corpus, then a fixed number of inputs made of
//! them by chance that is the same each time. The targets share these bodies, so that what a long run finds is kept here by adding it to the
//! corpus.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod archive;
mod corpus;
mod database;
#[path = "../../../registry/tests/fuzz/mutate.rs"]
mod mutate;
mod osv;
mod told;
mod versions;

use std::{
    fs,
    path::{Path, PathBuf},
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name)
}

/// Replays the corpus of a target, then tries as many inputs made of it.
fn run(name: &str, inputs: usize, body: fn(&[u8])) {
    let folder = folder(name);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(corpus.len() >= 3, "the corpus in {} is too small", folder.display());
    for (path, input) in paths.iter().zip(&corpus) {
        said(&path.display().to_string(), input, body);
    }
    let mut mutator = mutate::Mutator::new(&corpus, 0x0511_2026);
    for n in 0..inputs {
        said(&format!("{name}, made input {n}"), mutator.next(), body);
    }
}

/// Runs the body; when it fails, says on which input.
fn said(name: &str, input: &[u8], body: fn(&[u8])) {
    let done = std::panic::catch_unwind(|| body(input));
    assert!(done.is_ok(), "{name} fails: {:?}; add it to the corpus", String::from_utf8_lossy(input));
}

#[test]
fn apk() {
    run("scan_apk", 2_000, told::apk);
}

#[test]
fn archives() {
    run("scan_archive", 2_000, archive::run);
}

#[test]
fn databases() {
    corpus::hold(&folder("scan_database"));
    run("scan_database", 4_000, database::run);
}

#[test]
fn dpkg() {
    run("scan_dpkg", 2_000, told::dpkg);
}

#[test]
fn gems() {
    run("scan_gem", 2_000, told::gem);
}

#[test]
fn java() {
    run("scan_java", 2_000, told::java);
}

#[test]
fn npm() {
    run("scan_npm", 2_000, told::npm);
}

#[test]
fn osv() {
    run("scan_osv", 1_500, osv::run);
}

#[test]
fn programs() {
    run("scan_program", 2_000, told::program);
}

#[test]
fn python() {
    run("scan_python", 2_000, told::python);
}

#[test]
fn rpm() {
    run("scan_rpm", 4_000, told::rpm);
}

#[test]
fn versions() {
    run("scan_versions", 50_000, versions::run);
}
