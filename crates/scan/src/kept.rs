//! A list of packages as it is kept.

use serde::Deserialize;

use crate::{Ecosystem, Inventory, Package};

/// Grows whenever an older program would misread it.
const FORM: u8 = 1;

impl Inventory {
    /// For keeping.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Writing plain data into memory has no way to fail.
        let mut bytes = vec![FORM];
        bytes.extend(postcard::to_stdvec(self).unwrap_or_default());
        bytes
    }

    /// What was kept; `None` when it is of another version or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        (*form == FORM).then(|| postcard::from_bytes(rest).ok())?
    }
}

/// A package of a kept list, where it lies. Matching ten thousand lists again needs few of the texts in them for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub(crate) struct Listed<'a> {
    pub ecosystem: &'a str,
    pub name: &'a str,
    pub version: &'a str,
    pub source: Option<(&'a str, &'a str)>,
    pub path: &'a str,
    layer: &'a str,
}

/// The beginning of a kept list, in the order of the fields of [`Inventory`].
#[derive(Deserialize)]
struct Beginning<'a> {
    #[serde(borrow)]
    _system: Option<&'a str>,
    packages: Vec<Listed<'a>>,
}

/// The packages of a kept list; `None` when it is of another version or damaged.
pub(crate) fn listed(bytes: &[u8]) -> Option<Vec<Listed<'_>>> {
    let (form, rest) = bytes.split_first()?;
    let (beginning, _) = postcard::take_from_bytes::<Beginning<'_>>(rest).ok().filter(|_| *form == FORM)?;
    Some(beginning.packages)
}

impl Listed<'_> {
    /// What it was made of.
    pub(crate) fn package(&self) -> Option<Package> {
        Some(Package {
            ecosystem: Ecosystem::kept(self.ecosystem),
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            source: self.source.map(|(name, version)| (name.to_owned(), version.to_owned())),
            path: self.path.to_owned(),
            layer: self.layer.parse().ok()?,
        })
    }
}

/// For keeping: what was known.
pub fn pack_known(known: &[crate::rematch::Known]) -> Vec<u8> {
    let mut bytes = vec![FORM];
    bytes.extend(postcard::to_stdvec(known).unwrap_or_default());
    bytes
}

/// What was kept; `None` when it is of another version or damaged.
pub fn unpack_known(bytes: &[u8]) -> Option<Vec<crate::rematch::Known>> {
    let (form, rest) = bytes.split_first()?;
    (*form == FORM).then(|| postcard::from_bytes(rest).ok())?
}

#[cfg(test)]
mod tests {
    use model::digest::Digest;
    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::Warning;

    fn package() -> impl Strategy<Value = Package> {
        let ecosystem = prop_oneof![Just("npm"), Just("Debian:12"), Just("PyPI")];
        (ecosystem, any::<(String, String, String)>(), option::of(any::<(String, String)>()), any::<[u8; 32]>()).prop_map(
            |(ecosystem, (name, version, path), source, layer)| Package {
                ecosystem: Ecosystem::kept(ecosystem),
                name,
                version,
                source,
                path,
                layer: Digest::from_sha256(layer),
            },
        )
    }

    proptest! {
        #[test]
        fn both_readers_of_a_list_agree(system in option::of(any::<String>()), packages in vec(package(), 0..6), warning in any::<String>()) {
            let warnings = vec![Warning { path: warning.clone(), message: warning }];
            let inventory = Inventory { system, packages, warnings };
            let bytes = inventory.to_bytes();
            let listed: Option<Vec<Package>> = listed(&bytes).and_then(|all| all.iter().map(Listed::package).collect());
            prop_assert_eq!(listed.as_ref(), Some(&inventory.packages));
            prop_assert_eq!(Inventory::from_bytes(&bytes), Some(inventory));
        }

        #[test]
        fn what_is_damaged_is_refused_by_both_or_read_by_both(bytes in vec(any::<u8>(), 0..80)) {
            let bytes = [&[FORM][..], &bytes].concat();
            prop_assert!(listed(&bytes).is_some() || Inventory::from_bytes(&bytes).is_none());
        }
    }
}
