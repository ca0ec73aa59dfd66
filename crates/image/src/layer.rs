//! One pass over a layer, as its bytes arrive: digest, decompression, diffID, members. Nothing is buffered but the evidence itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::digest::{Algorithm, Digest, Hasher};

use crate::{
    caps::Caps,
    evidence::{Compression, Entry, EntryKind, KeptFile, LayerEvidence, LayerProblem, by_path, wanted},
    inflate::Inflate,
    member::{self, Kind, Member},
    path,
    tar::{RawMember, TarReader, Visitor},
    told::{Look, Told},
};

/// Bytes hashed together, so that plain bytes are still in the processor's cache when the next stage reads them.
const PIECE: usize = 64 << 10;

/// Bytes of all kept files of one layer together; what comes after them is kept empty and marked as truncated.
const KEPT: usize = 96 << 20;

/// Reads a layer that is pushed into it piece by piece.
pub struct LayerReader {
    /// `None` when somebody else hashes the same bytes and will say the digest.
    digest: Option<Hasher>,
    algorithm: Algorithm,
    inflate: Inflate,
    walk: Walk,
    seen: u64,
}

impl LayerReader {
    /// Begins a layer whose digest is SHA-256.
    pub fn new(caps: Caps) -> Self {
        Self::with_algorithm(caps, Algorithm::Sha256)
    }

    /// Begins a layer whose digest is of this kind; the diffID is SHA-256 whatever it is.
    pub fn with_algorithm(caps: Caps, algorithm: Algorithm) -> Self {
        Self { digest: Some(Hasher::new(algorithm)), algorithm, inflate: Inflate::new(&caps), walk: Walk::new(caps), seen: 0 }
    }

    /// Begins a layer whose SHA-256 somebody else computes; end it with [`LayerReader::finish_as`].
    pub fn unhashed(caps: Caps) -> Self {
        Self { digest: None, ..Self::new(caps) }
    }

    /// Takes the next bytes. Never fails: bad content becomes a problem in the evidence, and hashing goes on.
    pub fn write(&mut self, chunk: &[u8]) {
        self.seen += chunk.len() as u64;
        for piece in chunk.chunks(PIECE) {
            if let Some(digest) = &mut self.digest {
                digest.update(piece);
            }
            // The digest of plain content is its diffID already.
            let hash = self.algorithm != Algorithm::Sha256 || !self.inflate.is_plain();
            let walk = &mut self.walk;
            self.inflate.push(piece, &mut |plain| walk.take(plain, hash));
        }
    }

    /// Bytes taken so far.
    pub fn bytes_seen(&self) -> u64 {
        self.seen
    }

    /// Ends the layer. For one that is not hashed here use [`LayerReader::finish_as`]; its digest would be that of nothing.
    pub fn finish(mut self) -> LayerEvidence {
        let digest = self.digest.take().unwrap_or_else(|| Hasher::new(self.algorithm)).finish();
        self.finish_as(digest)
    }

    /// Ends a layer with the digest of its bytes as they came.
    pub fn finish_as(self, digest: Digest) -> LayerEvidence {
        let Self { digest: _, algorithm, mut inflate, mut walk, seen } = self;
        let stream = inflate.finish(&mut |plain| walk.take(plain, true));
        let inflated = !stream.as_ref().is_some_and(LayerProblem::breaks);
        let compression = inflate.compression();
        let archive = walk.reader.failed().cloned().or_else(|| walk.reader.finish().filter(|_| inflated));
        // Plain content that is no archive at all is some other blob, such as a config: it has no diffID.
        let other_blob = compression == Compression::None && archive == Some(LayerProblem::NotATar);
        let plain = walk.plain.finish();
        let diff_id = match (compression, algorithm) {
            _ if !inflated || other_blob => None,
            (Compression::None, Algorithm::Sha256) => Some(digest.clone()),
            _ => Some(plain),
        };
        let Collected { entries, files, told, problems } = walk.collector.finish([archive, stream]);
        let uncompressed_size = inflate.produced();
        let by_path = by_path(&entries);
        LayerEvidence { digest, diff_id, compression, size: seen, uncompressed_size, entries, by_path, files, told, problems }
    }
}

/// The stages behind decompression.
struct Walk {
    plain: Hasher,
    reader: TarReader,
    collector: Collector,
}

impl Walk {
    fn new(caps: Caps) -> Self {
        Self { plain: Hasher::new(Algorithm::Sha256), reader: TarReader::new(&caps), collector: Collector::new(caps) }
    }

    fn take(&mut self, plain: &[u8], hash: bool) {
        if hash {
            self.plain.update(plain);
        }
        self.reader.push(plain, &mut self.collector);
    }
}

/// Makes evidence of members.
struct Collector {
    caps: Caps,
    entries: Vec<Entry>,
    files: HashMap<String, KeptFile>,
    told: Told,
    /// Bytes in `files` and `told`.
    kept: usize,
    problems: Vec<LayerProblem>,
    more: u64,
    keeping: Option<Keeping>,
    looking: Option<Looking>,
    /// Symbolic links of this layer, while no member lies behind them.
    links: HashSet<String>,
    has_hard_links: bool,
}

struct Keeping {
    path: String,
    cap: usize,
    file: KeptFile,
}

/// A file that is looked into and not kept.
struct Looking {
    path: String,
    size: u64,
    look: Look,
}

/// What the members of a layer gave.
struct Collected {
    entries: Vec<Entry>,
    files: BTreeMap<String, KeptFile>,
    told: Told,
    problems: Vec<LayerProblem>,
}

impl Keeping {
    fn room(&mut self, length: usize) -> usize {
        let taken = length.min(self.cap - self.file.bytes.len());
        self.file.truncated |= taken < length;
        taken
    }
}

impl Visitor for Collector {
    fn member(&mut self, raw: RawMember) {
        match member::interpret(&raw, &self.caps) {
            Ok(Some(member)) => self.add(member),
            Ok(None) => {}
            Err(problem) => self.problem(problem),
        }
    }

    fn data(&mut self, bytes: &[u8]) {
        if let Some(keeping) = &mut self.keeping {
            let taken = keeping.room(bytes.len());
            keeping.file.bytes.extend_from_slice(&bytes[..taken]);
        } else if let Some(looking) = &mut self.looking {
            looking.look.data(bytes, KEPT.saturating_sub(self.kept));
        }
    }

    fn hole(&mut self, length: u64) {
        if let Some(keeping) = &mut self.keeping {
            let taken = keeping.room(usize::try_from(length).unwrap_or(usize::MAX));
            keeping.file.bytes.resize(keeping.file.bytes.len() + taken, 0);
        } else if let Some(looking) = &mut self.looking {
            looking.look.hole(length, KEPT.saturating_sub(self.kept));
        }
    }

    fn end(&mut self) {
        if let Some(Keeping { path, file, .. }) = self.keeping.take() {
            self.kept += file.bytes.len();
            self.files.insert(path, file);
        }
        if let Some(Looking { path, size, look }) = self.looking.take() {
            self.kept += look.end(path, size, KEPT.saturating_sub(self.kept), &mut self.told);
        }
    }
}

impl Collector {
    fn new(caps: Caps) -> Self {
        Self {
            caps,
            entries: Vec::new(),
            files: HashMap::new(),
            told: Told::default(),
            kept: 0,
            problems: Vec::new(),
            more: 0,
            keeping: None,
            looking: None,
            links: HashSet::new(),
            has_hard_links: false,
        }
    }

    fn problem(&mut self, problem: LayerProblem) {
        if self.problems.len() < self.caps.problems {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }

    fn add(&mut self, member: Member) {
        let entry = Entry::from(member);
        if !matches!(entry.kind, EntryKind::Whiteout | EntryKind::OpaqueDir) {
            self.replace(&entry);
        }
        self.has_hard_links |= matches!(entry.kind, EntryKind::Hardlink(_));
        self.entries.push(entry);
    }

    /// Keeps what is known of the layer's paths true: the last member of a path counts.
    fn replace(&mut self, entry: &Entry) {
        if !self.links.is_empty() {
            self.links.remove(&entry.path);
            let behind = path::ancestors(&entry.path).find_map(|above| self.links.take(above));
            if let Some(link) = behind {
                self.problem(LayerProblem::BehindSymlink { path: entry.path.clone(), link });
            }
        }
        if matches!(entry.kind, EntryKind::Symlink(_)) {
            self.links.insert(entry.path.clone());
        }
        self.told.forget(&entry.path);
        let cap = wanted(&entry.path);
        if cap.is_none() && entry.kind == EntryKind::File {
            self.looking = Some(Looking { path: entry.path.clone(), size: entry.size, look: Look::at(&entry.path) });
        }
        if let Some(cap) = cap {
            if let Some(replaced) = self.files.remove(&entry.path) {
                self.kept -= replaced.bytes.len();
            }
            if entry.kind == EntryKind::File {
                let file = KeptFile { bytes: Vec::new(), truncated: false };
                let cap = (cap as usize).min(KEPT.saturating_sub(self.kept));
                self.keeping = Some(Keeping { path: entry.path.clone(), cap, file });
            }
        }
    }

    fn finish(mut self, last: [Option<LayerProblem>; 2]) -> Collected {
        let entries = std::mem::take(&mut self.entries);
        if self.has_hard_links {
            missing_targets(&entries, |problem| self.problem(problem));
        }
        if self.more > 0 {
            self.problems.push(LayerProblem::More { count: self.more });
        }
        // What ended the pass is always kept, whatever came before it.
        self.problems.extend(last.into_iter().flatten());
        let Self { files, mut told, problems, .. } = self;
        told.keep_owned(files.keys());
        Collected { entries, files: files.into_iter().collect(), told, problems }
    }
}

/// Hard links to something that is not an earlier file of the layer.
fn missing_targets(entries: &[Entry], mut report: impl FnMut(LayerProblem)) {
    let mut files = HashSet::new();
    for entry in entries {
        match &entry.kind {
            EntryKind::Hardlink(target) if !files.contains(target.as_str()) => {
                report(LayerProblem::LinkTargetMissing { path: entry.path.clone(), target: target.clone() });
            }
            EntryKind::File | EntryKind::Symlink(_) | EntryKind::Hardlink(_) | EntryKind::Fifo => {
                files.insert(entry.path.as_str());
            }
            EntryKind::Dir | EntryKind::Device => {
                files.remove(entry.path.as_str());
            }
            EntryKind::Whiteout | EntryKind::OpaqueDir => {}
        }
    }
}

impl From<Member> for Entry {
    fn from(member: Member) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        let kind = match member.kind {
            Kind::File => EntryKind::File,
            Kind::Dir => EntryKind::Dir,
            Kind::Symlink(target) => EntryKind::Symlink(text(target)),
            Kind::Hardlink(target) => EntryKind::Hardlink(text(target)),
            Kind::Device => EntryKind::Device,
            Kind::Fifo => EntryKind::Fifo,
            Kind::Whiteout => EntryKind::Whiteout,
            Kind::OpaqueDir => EntryKind::OpaqueDir,
        };
        Self { path: text(member.path), kind, mode: member.mode, uid: member.uid, gid: member.gid, size: member.size }
    }
}

#[cfg(test)]
mod tests;
