//! Alpine's packages: `lib/apk/db/installed`. Advisories speak of origins.

use super::{Kept, Named, Source, Teller, Telling};

pub(super) const TELLER: Teller = Teller { from: Source::File { tells, read }, ecosystem: Err("apk"), whole: true };

fn tells(path: &str) -> bool {
    matches!(path, "lib/apk/db/installed" | "usr/lib/apk/db/installed")
}

fn read(kept: &Kept<'_>) -> Telling {
    let text = String::from_utf8_lossy(kept.bytes);
    let mut telling = Telling::default();
    let mut incomplete = 0;
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let (mut name, mut version, mut origin, mut folder) = (None, None, None, "");
        for line in paragraph.lines() {
            match line.split_once(':') {
                Some(("P", value)) => name = Some(value.to_owned()),
                Some(("V", value)) => version = Some(value.to_owned()),
                Some(("o", value)) => origin = Some(value.to_owned()),
                Some(("F", value)) => folder = value,
                Some(("R", value)) => telling.owned.extend(kept.others.at(folder, value)),
                _ => {}
            }
        }
        match (name, version) {
            (Some(name), Some(version)) => {
                let source = Some((origin.unwrap_or_else(|| name.clone()), version.clone()));
                telling.packages.push(Named { source, ..Named::new(name, version) });
            }
            _ => incomplete += 1,
        }
    }
    telling.trouble = (incomplete > 0).then(|| format!("has {incomplete} paragraphs without a name or a version"));
    telling
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_origins_and_owned_files() {
        let text = "C:Q1x\nP:libcrypto3\nV:3.1.4-r5\no:openssl\nF:lib\nR:libcrypto.so.3\n\nP:py3-six\nV:1.16.0-r6\n\
                    F:usr/lib/python3.11/site-packages/six-1.16.0.egg-info\nR:PKG-INFO\n\nC:Q1\n";
        let owned = "usr/lib/python3.11/site-packages/six-1.16.0.egg-info/PKG-INFO";
        let telling = read(&Kept { bytes: text.as_bytes(), log: b"", others: &super::super::Others::new([owned].into_iter()) });
        let of = |at: usize| telling.packages[at].source.clone().unwrap();
        assert_eq!(of(0), ("openssl".to_owned(), "3.1.4-r5".to_owned()));
        assert_eq!(of(1), ("py3-six".to_owned(), "1.16.0-r6".to_owned()));
        assert_eq!(telling.owned, [owned]);
        assert!(telling.trouble.is_some());
    }
}
