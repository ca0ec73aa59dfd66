//! Python's packages: `METADATA` in `*.dist-info`, `PKG-INFO` in `*.egg-info` or in its place (Core metadata specification).

use super::{Named, Teller, Telling};

pub(super) const TELLER: Teller = Teller { tells, read, ecosystem: Some("PyPI"), whole: false };

fn tells(path: &str) -> bool {
    let Some((folder, name)) = path.rsplit_once('/') else { return false };
    match name {
        "METADATA" => folder.ends_with(".dist-info"),
        "PKG-INFO" => folder.ends_with(".egg-info") || folder.ends_with(".egg/EGG-INFO"),
        name => name.ends_with(".egg-info"),
    }
}

fn read(bytes: &[u8]) -> Telling {
    let text = String::from_utf8_lossy(bytes);
    let header = |name: &str| {
        let of = |line: &str| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        text.lines().take_while(|line| !line.trim().is_empty()).find_map(of).filter(|value| !value.is_empty())
    };
    match (header("Name"), header("Version")) {
        (Some(name), Some(version)) => Telling { packages: vec![Named { name, version, source: None }], ..Telling::default() },
        _ => Telling { trouble: Some("names no Python package and version".to_owned()), ..Telling::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_end_at_the_first_empty_line() {
        let telling = read(b"Metadata-Version: 2.1\r\nName: Jinja2\r\nversion: 3.1.2\r\n\r\nVersion: 9\r\n");
        assert_eq!(telling.packages, [Named { name: "Jinja2".into(), version: "3.1.2".into(), source: None }]);
        assert!(read(b"Name: x\n\nVersion: 1").trouble.is_some());
        assert!(read(b"\xff\xfe").trouble.is_some());
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
