//! Installed npm packages: `package.json` of each folder under `node_modules`.

use serde_json::Value;

use super::{Kept, Named, Source, Teller, Telling};

pub(super) const TELLER: Teller = Teller { from: Source::File { tells, read }, ecosystem: Ok("npm"), whole: false };

/// `.../node_modules/NAME/package.json` or `.../node_modules/@SCOPE/NAME/package.json`; packages have further files of that name inside.
fn tells(path: &str) -> bool {
    let Some(folder) = path.strip_suffix("/package.json") else { return false };
    let at = match folder.rsplit_once("node_modules/") {
        Some((before, name)) if before.is_empty() || before.ends_with('/') => name,
        _ => return false,
    };
    match at.split_once('/') {
        None => !at.is_empty() && !at.starts_with(['@', '.']),
        Some((scope, name)) => scope.starts_with('@') && !name.is_empty() && !name.contains('/'),
    }
}

fn read(kept: &Kept<'_>) -> Telling {
    let document: Value = match serde_json::from_slice(kept.bytes) {
        Ok(document) => document,
        Err(error) => return Telling::trouble(format!("is no JSON: {error}")),
    };
    let text = |key: &str| document.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    match (text("name"), text("version")) {
        (Some(name), Some(version)) => Telling::of(Named::new(name, version)),
        // Folders that only steer module loaders have neither.
        _ => Telling::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Telling {
        read(&Kept { bytes, log: b"", others: &super::super::Others::default() })
    }

    #[test]
    fn installed_packages_only() {
        for path in ["app/node_modules/a/package.json", "node_modules/@s/b/package.json", "x/node_modules/a/node_modules/c/package.json"] {
            assert!(tells(path), "{path}");
        }
        for path in
            ["app/package.json", "node_modules/a/lib/package.json", "node_modules/@s/package.json", "my_node_modules/a/package.json"]
        {
            assert!(!tells(path), "{path}");
        }
    }

    #[test]
    fn names_and_versions() {
        assert_eq!(of(br#"{"name": "a", "version": "1.2.3"}"#).packages, [Named::new("a", "1.2.3")]);
        assert!(of(b"{").trouble.unwrap().starts_with("is no JSON"));
        assert!(of(br#"{"type": "module"}"#).packages.is_empty());
        assert!(of(br#"{"name": 5, "version": "1"}"#).packages.is_empty());
    }
}
