//! Known vulnerabilities, from an advisory to a verdict: the same database blocks the same image on a laptop and at the gate.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::{fs, path::Path};

use e2e::{
    engine::Keyword,
    program::{program, run},
    registry::Registry,
    server::{Server, command},
};
use image::pack::{File, Pack};
use serde_json::{Value, json};

/// A package with a flaw that nobody has.
fn advisory() -> Value {
    json!({
        "id": "EXAMPLE-2026-1", "aliases": ["CVE-2026-99999"], "modified": "2026-01-01T00:00:00Z", "summary": "Runs what it should only read",
        "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
        "affected": [{
            "package": { "ecosystem": "PyPI", "name": "example-reader" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "1.4.2" }] }],
        }],
    })
}

fn database(folder: &Path) -> String {
    let (source, file) = (folder.join("advisory.json"), folder.join("advisories.db"));
    fs::write(&source, advisory().to_string()).unwrap();
    let built = run(command(folder).arg("advisories").arg("build").arg(&source).arg("-o").arg(&file));
    built.succeeded().says(&["1 advisories on 1 packages", "1 PyPI"]);
    file.display().to_string()
}

fn with_reader(engine: &str, version: &str) -> Pack {
    let path = format!("usr/lib/python3.11/site-packages/example_reader-{version}.dist-info/METADATA");
    Keyword::new(engine).pack().layer(vec![File::new(&path, 0o644, format!("Name: Example.Reader\nVersion: {version}\n\n"))])
}

#[test]
fn a_critical_vulnerability_blocks_at_the_gate_and_on_a_laptop() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path());
    let server = Server::start_with(&[("PLIMSOLL_ADVISORIES__PATH", &database)]);
    let api = server.api();
    let says = "Critical vulnerability: CVE-2026-99999 in example-reader 1.4.1";

    let engine = api.create_engine("Reader", "keyword");
    Registry::of(&server).push(&with_reader(&engine, "1.4.1").build().unwrap(), "1/reader", "v1");
    let build = api.verdict(&engine).is("invalid").blamed_for(&[says, "update example-reader to 1.4.2"]);
    let report = api.report(build.id());
    assert_eq!(report["vulnerabilityCounts"], json!({ "Critical": 1 }));
    let entry = &report["vulnerabilities"][0];
    assert_eq!((&entry["Name"], &entry["FixedBy"], &entry["NamespaceName"]), (&json!("CVE-2026-99999"), &json!("1.4.2"), &json!("pypi")));
    assert_eq!(entry["Aliases"], json!(["EXAMPLE-2026-1"]));

    let check = |version: &str| {
        let archive = folder.path().join(format!("{version}.tar"));
        with_reader(&engine, version).write_oci_archive(&archive).unwrap();
        let image = format!("oci-archive:{}", archive.display());
        run(command(folder.path()).args(["check", &image, "--category", "keyword", "--advisories", &database]))
    };
    check("1.4.1").exited(1).says(&["CVE-2026-99999 in example-reader 1.4.1 is critical"]);
    check("1.4.2").succeeded();

    let mended = api.create_engine("Mended reader", "keyword");
    Registry::of(&server).push(&with_reader(&mended, "1.4.2").build().unwrap(), "1/mended", "v1");
    api.verdict(&mended).is("available");
    server.is_well();
}

#[test]
fn a_database_that_cannot_be_used_stops_the_command_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("not.db");
    fs::write(&file, "no database").unwrap();
    let info = |path: &Path| run(command(folder.path()).arg("advisories").arg("info").arg(path));
    info(&file).exited(3).says(&["is not an advisory database", "plimsoll advisories build"]);
    info(&folder.path().join("gone.db")).exited(3).says(&["cannot read", "gone.db"]);
}

#[test]
fn a_database_that_was_cut_off_or_is_of_a_newer_format_checks_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read(database(folder.path())).unwrap();
    let archive = folder.path().join("engine.tar");
    with_reader("engine", "1.4.1").write_oci_archive(&archive).unwrap();
    let mut newer = good.clone();
    newer[8] = 99;
    for (bytes, words) in
        [(&good[..good.len() - 7], "is damaged"), (&newer[..], "has format 99"), (&good[..20], "is not an advisory database")]
    {
        let file = folder.path().join("bad.db");
        fs::write(&file, bytes).unwrap();
        let image = format!("oci-archive:{}", archive.display());
        run(command(folder.path()).args(["check", &image, "--advisories"]).arg(&file)).exited(3).says(&[words, "bad.db"]);
        run(command(folder.path()).args(["advisories", "info"]).arg(&file)).exited(3).says(&[words, "bad.db"]);
    }
}

/// A real program with a list of crates in a section, as cargo-auditable links it in.
#[test]
fn a_program_says_which_crates_it_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let document = br#"{"packages":[{"name":"own","version":"0.1.0","source":"local","root":true},{"name":"example-crate","version":"0.3.1","source":"crates.io"}]}"#;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, document).unwrap();
    fs::write(at("list"), encoder.finish().unwrap()).unwrap();
    fs::write(at("main.c"), "int main(void) { return 0; }\n").unwrap();
    run(program("gcc").arg("-o").arg(at("plain")).arg(at("main.c"))).succeeded();
    let section = format!(".dep-v0={}", at("list").display());
    run(program("objcopy").args(["--add-section", &section]).arg(at("plain")).arg(at("program"))).succeeded();
    let crates = json!({
        "id": "EXAMPLE-2026-2", "modified": "2026-01-01T00:00:00Z", "summary": "Frees twice", "database_specific": { "severity": "CRITICAL" },
        "affected": [{ "package": { "ecosystem": "crates.io", "name": "example-crate" },
            "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "0.0.0-0" }, { "fixed": "0.3.2" }] }] }],
    });
    fs::write(at("advisory.json"), crates.to_string()).unwrap();
    run(command(folder.path()).args(["advisories", "build"]).arg(at("advisory.json")).arg("-o").arg(at("crates.db"))).succeeded();
    let layer = vec![File::new("app/program", 0o755, fs::read(at("program")).unwrap()), File::new("app/broken.jar", 0o644, "no archive")];
    Keyword::new("engine").pack().layer(layer).write_oci_archive(&at("engine.tar")).unwrap();
    let image = format!("oci-archive:{}", at("engine.tar").display());
    let checked = run(command(folder.path()).args(["check", &image, "--category", "keyword", "--advisories"]).arg(at("crates.db")));
    checked.exited(1).says(&[
        "EXAMPLE-2026-2 in example-crate 0.3.1 is critical",
        "/app/program",
        "/app/broken.jar is no archive, or a damaged one",
    ]);
}
