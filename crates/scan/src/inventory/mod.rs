//! What is in an image: packages, each with the file that says so and the layer that brought it. Made of the evidence of the layers alone;
//! no blob is read.

mod apk;
mod cargo;
mod dpkg;
mod gem;
mod go;
mod java;
mod layers;
mod npm;
mod owners;
mod python;
mod rpm;
mod system;

use image::{Archive, Inspection, LayerEvidence, Program};
use model::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::Ecosystem;
use layers::Layers;
use owners::Others;

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
    /// What it was built from, where that has a name of its own: name and version of the source package.
    pub source: Option<(String, String)>,
    /// The file that says it is there, from the image root, without a leading slash; `!/` leads into an archive.
    pub path: String,
    /// The layer from which on it is there.
    pub layer: Digest,
}

impl Package {
    /// Name and version under which advisories know it.
    pub fn matched(&self) -> (String, &str) {
        match &self.source {
            Some((name, version)) if self.ecosystem.speaks_of_sources() => (self.ecosystem.normalise(name), version),
            _ => (self.ecosystem.normalise(&self.name), &self.version),
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

/// A package as a file tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Named {
    name: String,
    version: String,
    source: Option<(String, String)>,
    /// Where in the file it is told, if the file is an archive.
    inside: Option<String>,
}

impl Named {
    fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), source: None, inside: None }
    }
}

/// What a file tells.
#[derive(Default)]
struct Telling {
    packages: Vec<Named>,
    /// Files that belong to packages of the operating system, of those that tell of other packages.
    owned: Vec<String>,
    /// What is wrong with the file.
    trouble: Option<String>,
}

impl Telling {
    fn of(named: Named) -> Self {
        Self { packages: vec![named], ..Self::default() }
    }

    fn trouble(what: impl Into<String>) -> Self {
        Self { trouble: Some(what.into()), ..Self::default() }
    }
}

/// A kept file, with what is needed to read it.
struct Kept<'a> {
    bytes: &'a [u8],
    /// Its write-ahead log, of databases that have one.
    log: &'a [u8],
    /// Which files tell of packages of other ecosystems.
    others: &'a Others,
}

/// One way in which images tell of packages.
struct Teller {
    from: Source,
    /// The ecosystem; `None` is that of the operating system, and these are its packages' type in package URLs.
    ecosystem: Result<&'static str, &'static str>,
    /// The file lists many packages, and each layer that changes one of them has it whole.
    whole: bool,
}

/// What a teller reads.
enum Source {
    File { tells: fn(&str) -> bool, read: fn(&Kept<'_>) -> Telling },
    Program(fn(&Program) -> Telling),
    Archive(fn(&str, &Archive) -> Telling),
}

impl Source {
    /// The files of a layer that it may read.
    fn paths<'a>(&self, layer: &'a LayerEvidence) -> Box<dyn Iterator<Item = &'a String> + 'a> {
        match *self {
            Self::File { tells, .. } => Box::new(layer.files.keys().filter(move |path| tells(path))),
            Self::Program(_) => Box::new(layer.told.programs.keys()),
            Self::Archive(_) => Box::new(layer.told.archives.keys()),
        }
    }

    /// Reads one of them.
    fn read(&self, layer: &LayerEvidence, path: &str, log: Option<&[u8]>, others: &Others) -> Option<Telling> {
        match self {
            Self::File { read, .. } => {
                let file = layer.files.get(path)?;
                let telling = read(&Kept { bytes: &file.bytes, log: log.unwrap_or_default(), others });
                Some(telling)
            }
            Self::Program(read) => Some(read(layer.told.programs.get(path)?)),
            Self::Archive(read) => Some(read(path, layer.told.archives.get(path)?)),
        }
    }
}

/// All of them: those of operating systems first, each half in alphabetical order.
const TELLERS: &[Teller] = &[
    apk::TELLER,
    dpkg::DISTROLESS,
    dpkg::TELLER,
    rpm::TELLER,
    cargo::TELLER,
    gem::TELLER,
    go::TELLER,
    java::TELLER,
    npm::TELLER,
    python::TELLER,
];

/// Lists the packages of an inspected image.
pub fn inventory(image: &Inspection) -> Inventory {
    let system = system::of(image);
    let layers = Layers::new(image);
    let (systems, languages): (Vec<&Teller>, Vec<&Teller>) = TELLERS.iter().partition(|teller| teller.ecosystem.is_err());
    let telling: Vec<_> = languages.into_iter().map(|teller| (teller, layers.told(&teller.from))).collect();
    let mut others = Others::new(telling.iter().flat_map(|(_, told)| told.iter().map(|told| told.path)));
    let mut made = Inventory::default();
    for teller in systems {
        for told in layers.told(&teller.from) {
            let Some(telling) = layers.read(teller, &told, &others) else { continue };
            let kind = teller.ecosystem.err().unwrap_or_default();
            // A system of one kind may carry the database of another.
            let ecosystem = system.ecosystem.clone().filter(|ecosystem| ecosystem.is_of(kind)).unwrap_or_else(|| {
                if !telling.packages.is_empty() {
                    made.warnings.push(system::unknown(told.path, telling.packages.len()));
                }
                Ecosystem::of_unknown_system(kind, &system.id)
            });
            others.own(telling.owned.iter().map(String::as_str));
            made.add(&layers, teller, &told, &ecosystem, telling);
        }
    }
    others.own(layers.owned());
    for (teller, told) in telling {
        let Some(ecosystem) = teller.ecosystem.ok().and_then(Ecosystem::from_osv) else { continue };
        for told in told.into_iter().filter(|told| !others.owned(told.path)) {
            if let Some(telling) = layers.read(teller, &told, &others) {
                made.add(&layers, teller, &told, &ecosystem, telling);
            }
        }
    }
    made.system = system.name;
    made.packages.sort_by(|a, b| (&a.ecosystem, &a.name, &a.version, &a.path).cmp(&(&b.ecosystem, &b.name, &b.version, &b.path)));
    // An archive may say the same in two places.
    made.packages.dedup();
    if made.packages.len() > MOST {
        made.packages.truncate(MOST);
        made.warnings
            .push(Warning { path: String::new(), message: format!("the image has more than {MOST} packages; the rest is not looked at") });
    }
    made
}

impl Inventory {
    fn add(&mut self, layers: &Layers<'_>, teller: &Teller, told: &layers::Told<'_>, ecosystem: &Ecosystem, telling: Telling) {
        let trouble = telling.trouble.map(|trouble| Warning { path: told.path.to_owned(), message: format!("/{} {trouble}", told.path) });
        self.warnings.extend(trouble);
        let since = layers.introduced(teller, told, &telling.packages);
        self.packages.extend(telling.packages.into_iter().zip(since).map(|(named, layer)| Package {
            ecosystem: ecosystem.clone(),
            name: named.name,
            version: named.version,
            source: named.source,
            path: named.inside.map_or_else(|| told.path.to_owned(), |inside| format!("{}!/{inside}", told.path)),
            layer,
        }));
    }
}

#[cfg(test)]
mod tests;
