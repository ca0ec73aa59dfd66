//! The databases of the corpus. Made by the program itself, so that they are of the present format: inputs made of those of another would all
//! be refused by their first bytes.

use std::{fs, path::Path};

use scan::advisories::Builder;

/// By name in the corpus. The packages are those that the target asks for.
pub fn databases() -> Vec<(&'static str, Vec<u8>)> {
    let all = [record("A-1", "PyPI", "a"), record("B-1", "npm", "b"), record("C-1", "Debian:12", "c"), bundle()];
    vec![("00", built(&all[..1])), ("01", built(&all[1..2])), ("02", built(&all[2..3])), ("03", built(&all[..3])), ("04", built(&all[2..]))]
}

fn record(id: &str, ecosystem: &str, name: &str) -> String {
    format!(
        r#"{{"id": "{id}", "modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z", "summary": "s", "aliases": ["CVE-2026-1"],
        "severity": [{{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}],
        "affected": [{{"package": {{"ecosystem": "{ecosystem}", "name": "{name}"}}, "versions": ["odd"],
        "ranges": [{{"type": "ECOSYSTEM", "events": [{{"introduced": "0"}}, {{"fixed": "2"}}]}}]}}]}}"#
    )
}

/// One about several vulnerabilities.
fn bundle() -> String {
    let upstream = r#""upstream": ["CVE-2026-1", "CVE-2026-2"], "aliases": []"#;
    record("DSA-1", "Debian:12", "c").replace(r#""aliases": ["CVE-2026-1"]"#, upstream)
}

fn built(records: &[String]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (at, record) in records.iter().enumerate() {
        fs::write(folder.path().join(format!("{at}.json")), record).unwrap();
    }
    let mut builder = Builder::default();
    builder.add(folder.path(), &mut |_| {}).unwrap();
    let file = folder.path().join("a.db");
    builder.write(&file).unwrap();
    fs::read(file).unwrap()
}

/// Compares the corpus with what it should be, or writes it.
pub fn hold(folder: &Path) {
    for (name, bytes) in databases() {
        let path = folder.join(name);
        if std::env::var_os("PLIMSOLL_WRITE_CORPUS").is_some() {
            fs::write(&path, &bytes).unwrap();
        }
        let same = fs::read(&path).is_ok_and(|found| found == bytes);
        assert!(
            same,
            "{} is of another format; write it anew: PLIMSOLL_WRITE_CORPUS=1 cargo nextest run -p scan databases",
            path.display()
        );
    }
}
