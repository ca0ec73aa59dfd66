//! Our side of `scripts/oracles`: what we answer to the questions that are asked of other tools. One question per run, answers on standard
//! output, fields separated by tabs.
//!
//! ```text
//! oracle build DATABASE SOURCE...  a database of these sources
//! oracle compare SCHEME            pairs of versions on standard input -> < = > or ? (one of them is none)
//! oracle packages LAYOUT           packages of an image in an OCI layout: ecosystem, name, version, path, package URL
//! oracle matches LAYOUT DATABASE   vulnerabilities of its packages: ecosystem, name, version, path, all ids, fixed by, severity
//! oracle hits DATABASE             packages on standard input (ecosystem, name, version) -> the same, then all ids of each vulnerability
//! ```

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::{
    error::Error,
    io::{self, BufRead, Write},
    path::Path,
};

use image::{Caps, Platform, Transport};
use model::digest::Digest;
use scan::{
    Database, Ecosystem, Inventory, Package, Vulnerability,
    advisories::{Builder, PRECEDENCE, matches},
    version::Scheme,
};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["build", database, ref sources @ ..] => build(Path::new(database), sources),
        ["compare", scheme] => compare(scheme),
        ["packages", layout] => packages(&inventory(layout)?),
        ["matches", layout, database] => vulnerabilities(&inventory(layout)?, Path::new(database)),
        ["hits", database] => hits(&Database::open(Path::new(database))?),
        _ => Err("what is asked? The first lines of this example's source say what there is".into()),
    }
}

fn lines() -> impl Iterator<Item = io::Result<String>> {
    io::stdin().lock().lines()
}

fn build(database: &Path, sources: &[&str]) -> Result {
    let mut builder = Builder::default();
    for source in sources {
        builder.add(Path::new(source), &mut |_| {})?;
    }
    builder.write(database)?;
    Ok(())
}

fn compare(scheme: &str) -> Result {
    let scheme = match scheme {
        "debian" => Scheme::Debian,
        "pep440" => Scheme::Pep440,
        "semver" => Scheme::SemVer,
        other => return Err(format!("no oracle for the versions of {other}").into()),
    };
    let mut out = io::stdout().lock();
    for line in lines() {
        let line = line?;
        let (a, b) = line.split_once('\t').ok_or("a pair of versions is separated by a tab")?;
        let answer = match scheme.compare(a, b) {
            None => "?",
            Some(order) if order.is_lt() => "<",
            Some(order) if order.is_gt() => ">",
            Some(_) => "=",
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

fn inventory(layout: &str) -> Result<Inventory> {
    let opened = image::open(&Transport::Oci { dir: layout.into(), tag: None })?;
    let image = image::inspect(opened.source.as_ref(), &opened.top, &Platform::host(), Caps::default(), &mut |_| None)?;
    let inventory = scan::inventory::inventory(&image);
    for warning in &inventory.warnings {
        println!("warning\t{}", warning.message);
    }
    Ok(inventory)
}

fn packages(inventory: &Inventory) -> Result {
    let mut out = io::stdout().lock();
    for package in &inventory.packages {
        let Package { ecosystem, name, version, path, .. } = package;
        writeln!(out, "{}\t{name}\t{version}\t{path}\t{}", ecosystem.as_str(), package.purl())?;
    }
    Ok(())
}

fn vulnerabilities(inventory: &Inventory, database: &Path) -> Result {
    let (found, warnings) = matches(&Database::open(database)?, &inventory.packages, &PRECEDENCE)?;
    let mut out = io::stdout().lock();
    for warning in warnings {
        writeln!(out, "warning\t{}", warning.message)?;
    }
    for one in &found {
        let Package { ecosystem, name, version, path, .. } = &one.package;
        let (fixed, severity) = (one.fixed_by.as_deref().unwrap_or("-"), one.severity.as_str());
        let kind = one.informational.as_deref().unwrap_or("vulnerability");
        writeln!(out, "{}\t{name}\t{version}\t{path}\t{}\t{fixed}\t{severity}\t{kind}", ecosystem.as_str(), ids(one))?;
    }
    Ok(())
}

fn ids(one: &Vulnerability) -> String {
    let all: Vec<&str> = std::iter::once(one.name.as_str()).chain(one.aliases.iter().map(String::as_str)).collect();
    all.join(" ")
}

fn hits(database: &Database) -> Result {
    let mut out = io::stdout().lock();
    for line in lines() {
        let line = line?;
        let mut fields = line.split('\t');
        let (Some(ecosystem), Some(name), Some(version)) = (fields.next().and_then(Ecosystem::from_osv), fields.next(), fields.next())
        else {
            return Err(format!("{line:?} is no package").into());
        };
        let (name, version) = (name.to_owned(), version.to_owned());
        let package = Package { ecosystem, name, version, source: None, path: String::new(), layer: Digest::of(b"") };
        let (found, _) = matches(database, &[package], &PRECEDENCE)?;
        let ids: Vec<String> = found.iter().map(ids).collect();
        writeln!(out, "{line}\t{}", ids.join(" "))?;
    }
    Ok(())
}
