//! Installed npm packages: `package.json` of each folder under `node_modules`.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
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
    match serde_json::from_slice(kept.bytes) {
        Ok(Head { name: Some(name), version: Some(version) }) => Telling::of(Named::new(name, version)),
        // Folders that only steer module loaders have neither.
        Ok(_) => Telling::default(),
        Err(error) => Telling::trouble(format!("is no JSON: {error}")),
    }
}

/// The two texts that count. The rest of a document is gone past: an image has thousands of them.
#[derive(Default)]
struct Head {
    name: Option<String>,
    version: Option<String>,
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeadVisitor)
    }
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head, A::Error> {
        let mut head = Head::default();
        let text = |value: Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => head.name = text(map.next_value()?),
                "version" => head.version = text(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(head)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Head, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Head::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Head, E> {
        Ok(Head::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Head, E> {
        Ok(Head::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Head, E> {
        Ok(Head::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Head, E> {
        Ok(Head::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Head, E> {
        Ok(Head::default())
    }

    fn visit_unit<E>(self) -> Result<Head, E> {
        Ok(Head::default())
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
        assert_eq!(of(br#"{"x": {"name": "b"}, "name": "a", "version": "1", "version": "2"}"#).packages, [Named::new("a", "2")]);
        for other in ["[{\"name\": \"a\"}]", "5", "-5", "0.5", "\"a\"", "true", "null"] {
            let telling = of(other.as_bytes());
            assert!(telling.packages.is_empty() && telling.trouble.is_none(), "{other}");
        }
    }
}
