use std::{fs, path::PathBuf};

use model::digest::Digest;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{Ecosystem, Error, Package, Severity};

struct World {
    dir: TempDir,
}

impl World {
    fn new(records: &[&str]) -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(world.path("osv")).unwrap();
        for (at, record) in records.iter().enumerate() {
            fs::write(world.path(&format!("osv/{at}.json")), record).unwrap();
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::default();
        builder.add(&self.path("osv"), &mut |_| {}).unwrap();
        builder
    }

    fn build(&self) -> (Database, Meta) {
        let meta = self.builder().write(&self.path("a.db")).unwrap();
        (Database::open(&self.path("a.db")).unwrap(), meta)
    }
}

fn package(ecosystem: &str, name: &str, version: &str) -> Package {
    Package {
        ecosystem: Ecosystem::from_osv(ecosystem).unwrap(),
        name: name.into(),
        version: version.into(),
        source: None,
        path: "p".into(),
        layer: Digest::of(b"layer"),
    }
}

fn record(id: &str, aliases: &[&str], ecosystem: &str, name: &str, events: &str, more: &str) -> String {
    let aliases = serde_json::to_string(aliases).unwrap();
    format!(
        r#"{{"id": "{id}", "modified": "2026-01-01T00:00:00Z", "summary": "about {id}", "aliases": {aliases}, "affected": [{{"package":
        {{"ecosystem": "{ecosystem}", "name": "{name}"}}, "ranges": [{{"type": "ECOSYSTEM", "events": [{events}]}}]}}]{more}}}"#
    )
}

fn until(fixed: &str) -> String {
    format!(r#"{{"introduced": "0"}}, {{"fixed": "{fixed}"}}"#)
}

fn found(database: &Database, package: Package) -> Vec<Vulnerability> {
    matches(database, &[package], &PRECEDENCE).unwrap().0
}

#[test]
fn aliases_are_one_vulnerability_and_the_last_fix_counts() {
    let world = World::new(&[
        &record("PYSEC-1", &["CVE-2026-1"], "PyPI", "Some.Pkg", &until("1.5"), ""),
        &record("GHSA-1", &["CVE-2026-1", "PYSEC-1"], "PyPI", "some-pkg", &until("1.6"), ""),
        &record("GHSA-2", &["GHSA-1x"], "PyPI", "some-pkg", &until("1.2"), ""),
    ]);
    let (database, meta) = world.build();
    assert_eq!((meta.advisories, meta.packages), (3, 1));
    let all = found(&database, package("PyPI", "some_pkg", "1.4"));
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].name.as_str(), all[0].fixed_by.as_deref()), ("CVE-2026-1", Some("1.6")));
    assert_eq!(all[0].aliases, ["GHSA-1", "PYSEC-1"]);
    assert_eq!(found(&database, package("PyPI", "some_pkg", "1.1")).len(), 2);
    assert!(found(&database, package("PyPI", "some_pkg", "1.6")).is_empty());
    assert!(found(&database, package("npm", "some-pkg", "1.1.0")).is_empty());
}

#[test]
fn a_chain_and_a_circle_of_aliases_end() {
    let of = |id: &str, aliases: &[&str]| record(id, aliases, "npm", "a", &until("2.0.0"), "");
    let world = World::new(&[&of("A", &["B"]), &of("B", &["C"]), &of("C", &["A"]), &of("D", &["E"]), &of("F", &["E"])]);
    let (database, _) = world.build();
    let names: Vec<String> = found(&database, package("npm", "a", "1.0.0")).into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["A", "D"]);
}

#[test]
fn an_advisory_about_several_vulnerabilities_is_one_about_each() {
    let several = r#", "upstream": ["CVE-2026-2", "CVE-2026-1", "DEBIAN-CVE-2026-2"], "severity": [{"type": "Ubuntu", "score": "high"}]"#;
    let low = r#", "upstream": ["CVE-2026-2"], "database_specific": {"severity": "LOW"}"#;
    let related = r#", "related": ["CVE-2026-1", "CVE-2026-3", "RHSA-1"]"#;
    let world = World::new(&[
        &record("DSA-1", &[], "Debian:12", "openssl", &until("3.0.11"), several),
        &record("DEBIAN-CVE-2026-2", &[], "Debian:12", "openssl", &until("3.0.12"), low),
        &record("ALSA-1", &[], "AlmaLinux:9", "openssl", &until("3.0.11"), related).replace("about ALSA-1", "Important: openssl"),
        &record("GHSA-1", &[], "npm", "openssl", &until("3.0.11"), related),
    ]);
    fs::write(world.path("kev.json"), r#"{"vulnerabilities": [{"cveID": "CVE-2026-1"}]}"#).unwrap();
    let mut builder = world.builder();
    builder.add_exploited(&world.path("kev.json")).unwrap();
    let meta = builder.write(&world.path("a.db")).unwrap();
    assert_eq!(meta.advisories, 4);
    let database = Database::open(&world.path("a.db")).unwrap();
    let of = |ecosystem: &str| {
        let mut all = found(&database, package(ecosystem, "openssl", "3.0.1"));
        all.sort_by(|a, b| a.name.cmp(&b.name));
        let line = |one: Vulnerability| {
            format!("{} ({}) {:?} {:?} {}", one.name, one.aliases.join(" "), one.severity, one.fixed_by, one.exploited)
        };
        all.into_iter().map(line).collect::<Vec<_>>()
    };
    let debian = [
        "CVE-2026-1 (DSA-1) High Some(\"3.0.11\") true",
        // What else is known of one of them is not said of the other.
        "CVE-2026-2 (DEBIAN-CVE-2026-2 DSA-1) High Some(\"3.0.12\") false",
    ];
    assert_eq!(of("Debian:12"), debian);
    let alma = ["CVE-2026-1 (ALSA-1) High Some(\"3.0.11\") true", "CVE-2026-3 (ALSA-1) High Some(\"3.0.11\") false"];
    assert_eq!(of("AlmaLinux:9"), alma);
    assert_eq!(of("npm"), ["GHSA-1 () Unknown Some(\"3.0.11\") false"]);
}

#[test]
fn severity_follows_the_precedence_and_names_its_source() {
    let vector = r#", "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]"#;
    let word = r#", "database_specific": {"severity": "MODERATE"}"#;
    let world = World::new(&[
        &record("CVE-2026-1", &[], "npm", "scored", &until("2.0.0"), vector),
        &record("CVE-2026-2", &[], "npm", "said", &until("2.0.0"), &format!("{vector}{word}")),
        &record("X-3", &["CVE-2026-3"], "npm", "listed", &until("2.0.0"), ""),
        &record("X-4", &[], "npm", "silent", &until("2.0.0"), ""),
        &record("MAL-2026-5", &[], "npm", "malicious", r#"{"introduced": "0"}"#, ""),
    ]);
    fs::write(world.path("cvss.json"), r#"{"CVE-2026-3": {"vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"}}"#).unwrap();
    fs::write(world.path("kev.json"), r#"{"vulnerabilities": [{"cveID": "CVE-2026-3"}]}"#).unwrap();
    let mut builder = world.builder();
    builder.add_scores(&world.path("cvss.json")).unwrap();
    builder.add_exploited(&world.path("kev.json")).unwrap();
    builder.write(&world.path("a.db")).unwrap();
    let database = Database::open(&world.path("a.db")).unwrap();
    let rated = |name: &str, order: &[SeveritySource]| {
        let one = matches(&database, &[package("npm", name, "1.0.0")], order).unwrap().0.remove(0);
        (one.severity, one.severity_source, one.exploited)
    };
    assert_eq!(rated("scored", &PRECEDENCE), (Severity::Critical, SeveritySource::Advisory, false));
    assert_eq!(rated("said", &PRECEDENCE), (Severity::Medium, SeveritySource::Distribution, false));
    assert_eq!(rated("said", &[SeveritySource::Advisory]), (Severity::Critical, SeveritySource::Advisory, false));
    assert_eq!(rated("listed", &PRECEDENCE), (Severity::Medium, SeveritySource::Nvd, true));
    assert_eq!(rated("silent", &PRECEDENCE), (Severity::Unknown, SeveritySource::None, false));
    assert_eq!(rated("malicious", &PRECEDENCE), (Severity::Critical, SeveritySource::Distribution, false));
}

#[test]
fn what_cannot_be_used_is_counted() {
    let git = r#"{"id": "G", "affected": [{"package": {"ecosystem": "PyPI", "name": "g"}, "ranges": [{"type": "GIT", "events": []}]}]}"#;
    let listed = r#"{"id": "L", "affected": [{"package": {"ecosystem": "PyPI", "name": "l"}, "versions": ["1.0", "odd"]}]}"#;
    let empty = r#"{"id": "E", "affected": [{"package": {"ecosystem": "PyPI", "name": "e"}, "ranges": [{"type": "ECOSYSTEM", "events": []}, {"type": "SEMVER"}]}]}"#;
    let world = World::new(&[
        "{",
        "[]",
        git,
        empty,
        listed,
        &record("W", &[], "PyPI", "w", &until("1"), r#", "withdrawn": "2026-01-01T00:00:00Z""#),
        &record("H", &[], "Hex", "h", &until("1"), ""),
        &record("U", &[], "npm", "u", &until("never"), ""),
    ]);
    let (database, meta) = world.build();
    let left = LeftOut { withdrawn: 1, malformed: 2, foreign: 1, git_ranges: 1, unordered_ranges: 1, without_versions: 3 };
    assert_eq!((meta.advisories, &meta.left_out), (1, &left));
    for (version, hit) in [("1.0.0", true), ("odd", true), ("1.1", false), ("other", false)] {
        assert_eq!(!found(&database, package("PyPI", "l", version)).is_empty(), hit, "{version}");
    }
}

#[test]
fn versions_that_no_rule_takes_are_said() {
    let world = World::new(&[&record("X", &[], "npm", "a", &until("2.0.0"), "")]);
    let (database, _) = world.build();
    let (found, warnings) = matches(&database, &[package("npm", "a", "main")], &PRECEDENCE).unwrap();
    assert!(found.is_empty());
    assert!(warnings[0].message.contains("\"main\"") && warnings[0].message.contains("npm"), "{warnings:?}");
}

#[test]
fn packages_of_which_the_database_knows_nothing_are_said() {
    let world = World::new(&[&record("X", &[], "npm", "a", &until("2.0.0"), "")]);
    let (database, _) = world.build();
    let packages = [package("npm", "b", "1.0.0"), package("PyPI", "a", "1.0"), package("PyPI", "b", "1.0"), package("Debian:12", "a", "1")];
    let (found, warnings) = matches(&database, &packages, &PRECEDENCE).unwrap();
    let said: Vec<&str> = warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert!(found.is_empty() && said.len() == 2, "{said:?}");
    assert!(said[0].contains("none of Debian:12, so 1 package was") && said[1].contains("none of PyPI, so 2 packages were"), "{said:?}");
}

#[test]
fn system_packages_are_matched_by_their_source() {
    let world = World::new(&[&record("DEBIAN-CVE-2026-1", &["CVE-2026-1"], "Debian:12", "openssl", &until("3.0.11-1~deb12u3"), "")]);
    let (database, _) = world.build();
    let mut libssl = package("Debian:12", "libssl3", "3.0.11-1~deb12u2+b1");
    libssl.source = Some(("openssl".into(), "3.0.11-1~deb12u2".into()));
    assert_eq!(found(&database, libssl.clone())[0].package.name, "libssl3");
    libssl.ecosystem = Ecosystem::from_osv("Debian:11").unwrap();
    assert!(found(&database, libssl).is_empty());
}

#[test]
fn the_same_sources_give_the_same_bytes() {
    let one = [record("A", &["CVE-1"], "npm", "a", &until("1.0.0"), ""), record("B", &[], "PyPI", "b", &until("2"), "")];
    let (first, second) = (World::new(&[&one[0], &one[1]]), World::new(&[&one[1], &one[0]]));
    let (a, b) = (first.build().0, second.build().0);
    assert_eq!(fs::read(first.path("a.db")).unwrap(), fs::read(second.path("a.db")).unwrap());
    assert_eq!(a.id(), b.id());
    a.verify().unwrap();
}

#[test]
fn nothing_usable_writes_nothing() {
    let world = World::new(&["{"]);
    assert!(matches!(world.builder().write(&world.path("a.db")), Err(Error::Empty)));
    assert!(!world.path("a.db").exists());
    assert!(matches!(Builder::default().add(&world.path("osv/../nope"), &mut |_| {}), Err(Error::File { .. })));
    fs::write(world.path("x.txt"), "x").unwrap();
    assert!(matches!(Builder::default().add(&world.path("x.txt"), &mut |_| {}), Err(Error::NotASource { .. })));
    fs::write(world.path("x.zip"), "x").unwrap();
    assert!(matches!(Builder::default().add(&world.path("x.zip"), &mut |_| {}), Err(Error::Archive { .. })));
}

#[test]
fn damaged_databases_are_refused_with_the_reason() {
    let world = World::new(&[&record("A", &[], "npm", "a", &until("1.0.0"), "")]);
    world.build();
    let good = fs::read(world.path("a.db")).unwrap();
    let open = |bytes: &[u8]| {
        fs::write(world.path("b.db"), bytes).unwrap();
        Database::open(&world.path("b.db"))
    };
    assert!(matches!(open(b"PLIMADV"), Err(Error::NotADatabase { .. })));
    assert!(matches!(open(&vec![0; 500]), Err(Error::NotADatabase { .. })));
    assert!(matches!(open(&good[..good.len() - 1]), Err(Error::Damaged { .. })));
    let mut newer = good.clone();
    newer[8] = 9;
    assert!(open(&newer).unwrap_err().to_string().contains("has format 9"));
    let mut flipped = good;
    flipped[90] ^= 1;
    let opened = open(&flipped).unwrap();
    assert!(opened.verify().unwrap_err().to_string().contains("not what its id says"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_damaged_database_never_panics(at in 0_usize..2000, byte: u8, cut in 0_usize..2000) {
        let world = World::new(&[&record("A", &["CVE-1"], "npm", "a", &until("1.0.0"), "")]);
        world.build();
        let mut bytes = fs::read(world.path("a.db")).unwrap();
        let length = bytes.len();
        bytes[at % length] ^= byte;
        if cut % 3 == 0 {
            bytes.truncate(cut % length);
        }
        fs::write(world.path("b.db"), bytes).unwrap();
        if let Ok(database) = Database::open(&world.path("b.db")) {
            let _ = matches(&database, &[package("npm", "a", "0.1.0")], &PRECEDENCE);
        }
    }
}
