//! Debian's packages: `var/lib/dpkg/status`, and a file per package in `status.d` of images without dpkg. Advisories speak of source packages.

use super::{Kept, Named, Source, Teller, Telling};

pub(super) const TELLER: Teller =
    Teller { from: Source::File { tells: |path| path == "var/lib/dpkg/status", read }, ecosystem: Err("deb"), whole: true };

/// Images of Debian's files without dpkg keep one file per package.
pub(super) const DISTROLESS: Teller = Teller { from: Source::File { tells, read }, ecosystem: Err("deb"), whole: true };

fn tells(path: &str) -> bool {
    path.strip_prefix("var/lib/dpkg/status.d/").is_some_and(|name| !name.contains('/') && !name.ends_with(".md5sums"))
}

fn read(kept: &Kept<'_>) -> Telling {
    let text = String::from_utf8_lossy(kept.bytes);
    let mut telling = Telling::default();
    let mut incomplete = 0;
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let field = |name: &str| {
            let value = |line: &str| line.strip_prefix(name)?.strip_prefix(':').map(|value| value.trim().to_owned());
            paragraph.lines().find_map(value)
        };
        // What was removed leaves its paragraph behind as long as its settings are there. Images without dpkg have no status.
        if field("Status").is_some_and(|status| !status.ends_with(" installed")) {
            continue;
        }
        let (Some(name), Some(version)) = (field("Package"), field("Version")) else {
            incomplete += 1;
            continue;
        };
        let source = match field("Source") {
            Some(source) => match source.split_once(" (") {
                Some((name, version)) => (name.to_owned(), version.trim_end_matches(')').to_owned()),
                None => (source, version.clone()),
            },
            None => (name.clone(), version.clone()),
        };
        telling.packages.push(Named { source: Some(source), ..Named::new(name, version) });
    }
    telling.trouble = (incomplete > 0).then(|| format!("has {incomplete} paragraphs without a name or a version"));
    telling
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_packages_and_their_sources() {
        let text = "Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.11-1~deb12u2\nDescription: x\n Version: no\n\n\
                    Package: libgcc-s1\nStatus: install ok installed\nSource: gcc-12 (12.2.0-14)\nVersion: 12.2.0-14+b1\n\n\
                    Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
                    Package: broken\nStatus: install ok installed\n";
        let telling = read(&Kept { bytes: text.as_bytes(), log: b"", others: &super::super::Others::default() });
        let named = |name: &str, version: &str, source: (&str, &str)| Named {
            name: name.into(),
            version: version.into(),
            source: Some((source.0.into(), source.1.into())),
            inside: None,
        };
        let expected = [
            named("libssl3", "3.0.11-1~deb12u2", ("openssl", "3.0.11-1~deb12u2")),
            named("libgcc-s1", "12.2.0-14+b1", ("gcc-12", "12.2.0-14")),
        ];
        assert_eq!(telling.packages, expected);
        assert!(telling.trouble.unwrap().starts_with("has 1 paragraphs"));
    }

    #[test]
    fn names_of_files() {
        assert!(tells("var/lib/dpkg/status.d/libc6") && tells("var/lib/dpkg/status.d/libpython3.11-minimal"));
        assert!(!tells("var/lib/dpkg/status.d/libc6.md5sums") && !tells("var/lib/dpkg/status.d/a/b"));
    }
}
