//! What the demo shows of the scanner: an advisory that is made up, and the package it is about.

use std::path::{Path, PathBuf};

use anyhow::Context;
use image::pack::File;
use scan::advisories::Builder;
use serde_json::Value;

const ADVISORY: &str = include_str!("../../../examples/advisories/EXAMPLE-2026-0001.json");

/// A database with the advisory alone, dated `now` (epoch milliseconds): a demo is not the place to warn of old knowledge.
///
/// # Errors
/// The file cannot be written.
pub fn database(folder: &Path, now: i64) -> anyhow::Result<PathBuf> {
    let mut advisory: Value = serde_json::from_str(ADVISORY).context("the example's advisory")?;
    advisory["modified"] = server::clock::iso(now).into();
    let (source, to) = (folder.join("example.json"), folder.join("example-advisories.db"));
    std::fs::write(&source, advisory.to_string()).with_context(|| format!("{} cannot be written", source.display()))?;
    let mut builder = Builder::default();
    builder.add(&source, &mut |_| {})?;
    builder.write(&to)?;
    Ok(to)
}

/// The files by which Python packages are known, of a version that the advisory is about.
pub fn package() -> Vec<File> {
    let metadata = "Metadata-Version: 2.1\nName: plimsoll-example-reader\nVersion: 1.4.1\nSummary: Made up for the demo\n\n";
    vec![File::new("usr/lib/python3/site-packages/plimsoll_example_reader-1.4.1.dist-info/METADATA", 0o644, metadata)]
}
