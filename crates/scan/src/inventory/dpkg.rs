//! Debian's packages: `var/lib/dpkg/status`, and a file per package in `status.d` of images without dpkg. Advisories speak of source packages.

use super::{Named, Teller, Telling};

pub(super) const TELLER: Teller = Teller { tells: |path| path == "var/lib/dpkg/status", read, ecosystem: None, whole: true };

/// Images of Debian's files without dpkg keep one file per package.
pub(super) const DISTROLESS: Teller = Teller {
    tells: |path| path.strip_prefix("var/lib/dpkg/status.d/").is_some_and(|name| !name.contains(['/', '.'])),
    read,
    ecosystem: None,
    whole: false,
};

/// Debian Policy reserves these folders to its own packages; what people install goes to `/usr/local`.
pub(super) fn owns(path: &str) -> bool {
    ["usr/lib/python3/dist-packages/", "usr/share/nodejs/", "usr/lib/nodejs/", "usr/lib/python2.7/dist-packages/"]
        .iter()
        .any(|folder| path.starts_with(folder))
}

fn read(bytes: &[u8]) -> Telling {
    let text = String::from_utf8_lossy(bytes);
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
        telling.packages.push(Named { name, version, source: Some(source) });
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
        let telling = read(text.as_bytes());
        let named = |name: &str, version: &str, source: (&str, &str)| Named {
            name: name.into(),
            version: version.into(),
            source: Some((source.0.into(), source.1.into())),
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
        assert!((DISTROLESS.tells)("var/lib/dpkg/status.d/libc6"));
        assert!(!(DISTROLESS.tells)("var/lib/dpkg/status.d/libc6.md5sums"));
        assert!(owns("usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO"));
        assert!(!owns("usr/local/lib/python3.11/dist-packages/six-1.16.0.dist-info/METADATA"));
    }
}
