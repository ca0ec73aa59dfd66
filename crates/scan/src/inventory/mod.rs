//! What is in an image: packages, each with the file that says so and the layer that brought it. Made of the evidence of the layers alone;
//! no blob is read.

mod apk;
mod dpkg;
mod npm;
mod python;
mod system;

use std::collections::{BTreeSet, HashSet};

use image::{Inspection, KeptFile};
use model::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::Ecosystem;

/// Most packages of one image that are looked at. A large distribution has 5,000.
pub const MOST: usize = 100_000;

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Where it comes from.
    pub ecosystem: Ecosystem,
    /// Its name as installed.
    pub name: String,
    /// Its version as installed.
    pub version: String,
    /// What it was built from, where advisories speak of that: name and version of the source package.
    pub source: Option<(String, String)>,
    /// The file that says it is there, from the image root, without a leading slash.
    pub path: String,
    /// The layer from which on it is there.
    pub layer: Digest,
}

impl Package {
    /// Name and version under which advisories know it.
    pub fn matched(&self) -> (String, &str) {
        match &self.source {
            Some((name, version)) => (self.ecosystem.normalise(name), version),
            None => (self.ecosystem.normalise(&self.name), &self.version),
        }
    }

    /// Its package URL.
    pub fn purl(&self) -> String {
        self.ecosystem.purl(&self.name, &self.version)
    }
}

/// Something that could not be read or compared: the list may lack what it would have told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The file.
    pub path: String,
    /// What is wrong, in a sentence.
    pub message: String,
}

/// The packages of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// `PRETTY_NAME` of the operating system, if the image has one.
    pub system: Option<String>,
    /// Ordered by ecosystem, name, version and path.
    pub packages: Vec<Package>,
    /// What could not be read.
    pub warnings: Vec<Warning>,
}

/// A file that tells of packages, as it is in the topmost layer.
struct Told<'a> {
    path: &'a str,
    file: &'a KeptFile,
    /// Index of its layer.
    layer: usize,
}

/// A package as a file tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Named {
    name: String,
    version: String,
    source: Option<(String, String)>,
}

/// What a file tells.
#[derive(Default)]
struct Telling {
    packages: Vec<Named>,
    /// Files that belong to packages of the operating system.
    owned: Vec<String>,
    /// What is wrong with the file.
    trouble: Option<String>,
}

/// One way in which images tell of packages.
struct Teller {
    /// Whether a path is such a file.
    tells: fn(&str) -> bool,
    /// Reads it.
    read: fn(&[u8]) -> Telling,
    /// The ecosystem; `None` is that of the operating system.
    ecosystem: Option<&'static str>,
    /// The file lists many packages, and each layer that changes one of them has it whole.
    whole: bool,
}

/// All of them, in alphabetical order.
const TELLERS: &[Teller] = &[apk::TELLER, dpkg::TELLER, dpkg::DISTROLESS, npm::TELLER, python::TELLER];

/// Lists the packages of an inspected image.
pub fn inventory(image: &Inspection) -> Inventory {
    let system = system::of(image);
    let mut made = Inventory { system: system.name, ..Inventory::default() };
    let mut owned = HashSet::new();
    for teller in TELLERS {
        for told in told(image, teller) {
            let telling = (teller.read)(&told.file.bytes);
            let trouble = if told.file.truncated && (teller.whole || telling.packages.is_empty()) {
                Some("is too long to be read to its end".to_owned())
            } else {
                telling.trouble
            };
            made.warnings
                .extend(trouble.map(|trouble| Warning { path: told.path.to_owned(), message: format!("/{} {trouble}", told.path) }));
            let ecosystem = match teller.ecosystem {
                Some(name) => Ecosystem::from_osv(name),
                None => system.ecosystem.clone(),
            };
            let Some(ecosystem) = ecosystem else {
                if !telling.packages.is_empty() {
                    made.warnings.push(system::unknown(told.path, telling.packages.len()));
                }
                continue;
            };
            owned.extend(telling.owned);
            if teller.ecosystem.is_some() && (owned.contains(told.path) || dpkg::owns(told.path)) {
                continue;
            }
            let layers = introduced(image, teller, &told, &telling.packages);
            made.packages.extend(telling.packages.into_iter().zip(layers).map(|(named, layer)| Package {
                ecosystem: ecosystem.clone(),
                name: named.name,
                version: named.version,
                source: named.source,
                path: told.path.to_owned(),
                layer,
            }));
        }
    }
    made.packages.sort_by(|a, b| (&a.ecosystem, &a.name, &a.version, &a.path).cmp(&(&b.ecosystem, &b.name, &b.version, &b.path)));
    if made.packages.len() > MOST {
        made.packages.truncate(MOST);
        made.warnings
            .push(Warning { path: String::new(), message: format!("the image has more than {MOST} packages; the rest is not looked at") });
    }
    made
}

/// The files of a kind that a container of the image would see.
fn told<'a>(image: &'a Inspection, teller: &Teller) -> Vec<Told<'a>> {
    let paths: BTreeSet<&str> =
        image.layers.iter().flat_map(|layer| layer.files.keys()).map(String::as_str).filter(|path| (teller.tells)(path)).collect();
    let visible = |path: &'a str| {
        let node = image.tree.get(path)?;
        let (layer, entry) = node.content?;
        let layer_evidence = image.layers.get(layer)?;
        // A hard link has its content under another name.
        let file = layer_evidence.files.get(&layer_evidence.entries.get(entry)?.path)?;
        Some(Told { path, file, layer })
    };
    paths.into_iter().filter_map(visible).collect()
}

/// For each package the lowest layer from which on it is there up to the top.
fn introduced(image: &Inspection, teller: &Teller, told: &Told<'_>, packages: &[Named]) -> Vec<Digest> {
    let digest = |layer: usize| image.layers.get(layer).map_or_else(|| image.image.manifest_digest.clone(), |layer| layer.digest.clone());
    let mut since = vec![told.layer; packages.len()];
    if teller.whole {
        let mut open: Vec<bool> = vec![true; packages.len()];
        for (layer, evidence) in image.layers.iter().enumerate().take(told.layer).rev() {
            let Some(file) = evidence.files.get(told.path) else { continue };
            let there: HashSet<Named> = (teller.read)(&file.bytes).packages.into_iter().collect();
            for (at, named) in packages.iter().enumerate().filter(|(at, _)| open.get(*at).copied().unwrap_or(false)).collect::<Vec<_>>() {
                if there.contains(named) { since[at] = layer } else { open[at] = false }
            }
        }
    }
    since.into_iter().map(digest).collect()
}

#[cfg(test)]
mod tests;
