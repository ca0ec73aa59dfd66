//! Python's packages: `METADATA` in `*.dist-info`, `PKG-INFO` in `*.egg-info` or in its place (Core metadata specification).

use super::{Kept, Named, Source, Teller, Telling};

pub(super) const TELLER: Teller = Teller { from: Source::File { tells, read }, ecosystem: Ok("PyPI"), whole: false };

fn tells(path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return false };
    match name {
        "METADATA" => folder.ends_with(".dist-info"),
        "PKG-INFO" => folder.ends_with(".egg-info") || folder.ends_with(".egg/EGG-INFO"),
        name => name.ends_with(".egg-info"),
    }
}

fn read(kept: &Kept<'_>) -> Telling {
    let text = String::from_utf8_lossy(kept.bytes);
    let header = |name: &str| {
        let of = |line: &str| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        text.lines().take_while(|line| !line.trim().is_empty()).find_map(of).filter(|value| !value.is_empty())
    };
    match (header("Name"), header("Version")) {
        (Some(name), Some(version)) => Telling::of(Named::new(name, version)),
        _ => Telling::trouble("names no Python package and version"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Telling {
        read(&Kept { bytes, log: b"", others: &super::super::Others::default() })
    }

    #[test]
    fn headers_end_at_the_first_empty_line() {
        let telling = of(b"Metadata-Version: 2.1\r\nName: Jinja2\r\nversion: 3.1.2\r\n\r\nVersion: 9\r\n");
        assert_eq!(telling.packages, [Named::new("Jinja2", "3.1.2")]);
        assert!(of(b"Name: x\n\nVersion: 1").trouble.is_some());
        assert!(of(b"\xff\xfe").trouble.is_some());
    }

    #[test]
    fn names_of_files() {
        for path in ["a/x-1.dist-info/METADATA", "a/x.egg-info/PKG-INFO", "a/x.egg-info", "a/x.egg/EGG-INFO/PKG-INFO"] {
            assert!(tells(path), "{path}");
        }
        for path in ["METADATA", "a/METADATA", "a/x.dist-info/RECORD"] {
            assert!(!tells(path), "{path}");
        }
    }
}
