//! Which files a container would see, and since which layer.

use std::collections::{BTreeSet, HashSet};

use image::{EntryKind, Inspection, LayerEvidence, Node};
use model::digest::Digest;

use super::{Named, Others, Source, Teller, Telling};

/// A file that tells of packages, as it is in the topmost layer.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    /// Where a container sees it.
    pub path: &'a str,
    /// Where its layer has it: a hard link has its content under another name.
    stored: &'a str,
    evidence: &'a LayerEvidence,
    /// Index of its layer.
    layer: usize,
}

/// The layers of an image.
pub(super) struct Layers<'a> {
    image: &'a Inspection,
    /// For each layer what it hides below.
    hidden: Vec<HashSet<&'a str>>,
    /// Other names of files: hard links.
    links: Vec<Told<'a>>,
}

impl<'a> Layers<'a> {
    pub(super) fn new(image: &'a Inspection) -> Self {
        let hides = |layer: &'a LayerEvidence| {
            let entries = layer.entries.iter().filter(|entry| matches!(entry.kind, EntryKind::Whiteout | EntryKind::OpaqueDir));
            entries.map(|entry| entry.path.as_str()).collect()
        };
        let links = image.tree.iter().filter_map(|node| stored(image, node)).filter(|told| told.path != told.stored).collect();
        Self { image, hidden: image.layers.iter().map(|layer| hides(layer)).collect(), links }
    }

    /// The files of a kind that a container of the image would see, each under one name.
    pub(super) fn told(&self, from: &Source) -> Vec<Told<'a>> {
        let paths: BTreeSet<&str> = self.image.layers.iter().flat_map(|layer| from.paths(layer)).map(String::as_str).collect();
        let own = paths.into_iter().filter_map(|path| self.visible(path));
        let mut seen = HashSet::new();
        own.chain(self.links.iter().copied()).filter(|told| from.has(told) && seen.insert((told.layer, told.stored))).collect()
    }

    fn visible(&self, path: &str) -> Option<Told<'a>> {
        stored(self.image, self.image.tree.get(path)?)
    }

    /// What a file tells.
    pub(super) fn read(&self, teller: &Teller, told: &Told<'_>, others: &Others) -> Option<Telling> {
        let log = format!("{}-wal", told.path);
        let log = self.visible(&log).and_then(|told| told.evidence.files.get(told.stored)).map(|file| file.bytes.as_slice());
        let mut telling = teller.from.read(told.evidence, told.stored, log, others)?;
        let truncated = told.evidence.files.get(told.stored).is_some_and(|file| file.truncated);
        if truncated && (teller.whole || telling.packages.is_empty()) {
            telling.trouble = Some("is too long to be read to its end".to_owned());
        }
        Some(telling)
    }

    /// Files that belong to packages of the operating system by lists of their own.
    pub(super) fn owned(&self) -> impl Iterator<Item = &'a str> {
        let lists =
            self.image.layers.iter().enumerate().flat_map(|(layer, evidence)| evidence.told.owned.iter().map(move |list| (layer, list)));
        // A list that was removed or replaced says nothing any more.
        let there = |layer: usize, path: &str| self.image.tree.get(path).and_then(|node| node.content).is_some_and(|(at, _)| at == layer);
        lists.filter(move |(layer, (path, _))| there(*layer, path)).flat_map(|(_, (_, paths))| paths.iter().map(String::as_str))
    }

    /// For each package the lowest layer from which on it is there up to the top.
    pub(super) fn introduced(&self, teller: &Teller, told: &Told<'_>, packages: &[Named]) -> Vec<Digest> {
        let nothing = Others::default();
        let mut since = vec![told.layer; packages.len()];
        let mut open = vec![true; packages.len()];
        for (layer, evidence) in self.image.layers.iter().enumerate().take(told.layer).rev() {
            match teller.from.read(evidence, told.path, None, &nothing) {
                Some(telling) => {
                    let there: HashSet<Named> = telling.packages.into_iter().collect();
                    for ((named, since), open) in packages.iter().zip(&mut since).zip(&mut open) {
                        *open &= there.contains(named);
                        if *open {
                            *since = layer;
                        }
                    }
                }
                None if self.hides(layer, told.path) => break,
                None => {}
            }
            if !open.contains(&true) {
                break;
            }
        }
        let digest = |layer: usize| {
            self.image.layers.get(layer).map_or_else(|| self.image.image.manifest_digest.clone(), |layer| layer.digest.clone())
        };
        since.into_iter().map(digest).collect()
    }

    fn hides(&self, layer: usize, path: &str) -> bool {
        let Some(hidden) = self.hidden.get(layer).filter(|hidden| !hidden.is_empty()) else { return false };
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        above.chain([path, ""]).any(|path| hidden.contains(path))
    }
}

fn stored<'a>(image: &'a Inspection, node: Node<'a>) -> Option<Told<'a>> {
    let (layer, entry) = node.content?;
    let evidence = image.layers.get(layer)?;
    Some(Told { path: &node.entry.path, stored: &evidence.entries.get(entry)?.path, evidence, layer })
}

impl Source {
    /// Whether the layer kept anything of the file that is seen: it may be another one than was named.
    fn has(&self, told: &Told<'_>) -> bool {
        match self {
            Self::File { .. } => told.evidence.files.contains_key(told.stored),
            Self::Program(_) => told.evidence.told.programs.contains_key(told.stored),
            Self::Archive(_) => told.evidence.told.archives.contains_key(told.stored),
        }
    }
}
