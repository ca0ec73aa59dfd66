//! Reading one file of an image: from the bytes kept in the evidence, or by going through that one layer again.

use std::io::Read;

use model::digest::Digest;

use crate::{
    caps::Caps,
    error::Error,
    evidence::{EntryKind, LayerEvidence},
    inflate::Inflate,
    inspection::Inspection,
    member,
    source::BlobSource,
    tar::{RawMember, TarReader, Visitor},
    tree::ResolveError,
};

/// A file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContent {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Its length, bytes.
    pub size: u64,
    /// Index of the layer it comes from, 0 at the bottom.
    pub layer: usize,
    /// Where it really is, links followed; without a leading slash.
    pub path: String,
}

/// Why a file of an image could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadFileError {
    /// Nothing there.
    #[error("{path:?} does not exist in the image")]
    Missing {
        /// The path up to the missing part, links followed.
        path: String,
    },
    /// It is a directory.
    #[error("{path:?} is a directory, not a file")]
    IsDir {
        /// Where.
        path: String,
    },
    /// A device, a pipe, or something behind a file.
    #[error("{path:?} is not a regular file")]
    NotAFile {
        /// Where.
        path: String,
    },
    /// Longer than the cap.
    #[error("{path:?} has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Where.
        path: String,
        /// Its size.
        size: u64,
        /// The cap.
        limit: u64,
    },
    /// More than 40 symbolic links.
    #[error("{path:?} leads through more than 40 symbolic links")]
    Loop {
        /// As asked.
        path: String,
    },
    /// The layer could not be read again.
    #[error(transparent)]
    Read(#[from] Error),
}

impl From<ResolveError> for ReadFileError {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Missing { path } => Self::Missing { path },
            ResolveError::NotADirectory { path } => Self::NotAFile { path },
            ResolveError::Loop { path } => Self::Loop { path },
        }
    }
}

/// Reads `path` of an inspected image.
pub(crate) fn read(inspection: &Inspection, source: &dyn BlobSource, path: &str, cap: u64) -> Result<FileContent, ReadFileError> {
    let node = inspection.tree.resolve(path)?;
    let path = node.entry.path.clone();
    let (layer, index) = match (&node.entry.kind, node.content) {
        (EntryKind::Dir, _) => return Err(ReadFileError::IsDir { path }),
        (_, None) => return Err(ReadFileError::NotAFile { path }),
        (_, Some(place)) => place,
    };
    let size = node.entry.size;
    if size > cap {
        return Err(ReadFileError::TooLarge { path, size, limit: cap });
    }
    let evidence = &inspection.layers[layer];
    let bytes = match kept(evidence, index) {
        Some(bytes) => bytes,
        None => extract(source, &inspection.image.layers[layer].digest, index, size)?,
    };
    Ok(FileContent { bytes, size, layer: node.layer, path })
}

/// The bytes kept by the pass, if they are those of this very member and complete.
fn kept(evidence: &LayerEvidence, index: usize) -> Option<Vec<u8>> {
    let path = &evidence.entries.get(index)?.path;
    let file = evidence.files.get(path).filter(|file| !file.truncated)?;
    let last = evidence.entries.iter().rposition(|entry| entry.path == *path && entry.kind == EntryKind::File)?;
    (last == index).then(|| file.bytes.clone())
}

/// Goes through a layer again until the content of its member number `index` is complete.
fn extract(source: &dyn BlobSource, digest: &Digest, index: usize, size: u64) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Blob { digest: digest.clone(), source };
    let mut blob = source.open(digest)?;
    // The pass that made the evidence had its caps; here the walk ends with the member.
    let caps = Caps { entries: u64::MAX, names: u64::MAX, uncompressed: u64::MAX, ratio: u64::MAX, ..Caps::default() };
    let mut inflate = Inflate::new(&caps);
    let mut reader = TarReader::new(&caps);
    let mut picker = Picker { caps, left: index, size, state: Picking::Waiting, bytes: Vec::new() };
    let mut buffer = vec![0; 256 << 10];
    while !picker.done() {
        let taken = match blob.read(&mut buffer) {
            Ok(taken) => taken,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        let mut sink = |plain: &[u8]| reader.push(plain, &mut picker);
        if taken == 0 {
            inflate.finish(&mut sink);
            break;
        }
        inflate.push(&buffer[..taken], &mut sink);
    }
    match picker.done() && picker.bytes.len() as u64 == size {
        true => Ok(picker.bytes),
        false => Err(Error::BlobChanged { digest: digest.clone() }),
    }
}

/// Takes the content of one member.
struct Picker {
    caps: Caps,
    /// Members to go past.
    left: usize,
    size: u64,
    state: Picking,
    bytes: Vec<u8>,
}

#[derive(PartialEq, Eq)]
enum Picking {
    Waiting,
    Taking,
    Done,
}

impl Picker {
    fn done(&self) -> bool {
        self.state == Picking::Done
    }

    /// How much of `length` still belongs to the content, which is never longer than the evidence says.
    fn room(&self, length: u64) -> usize {
        let room = if self.state == Picking::Taking { self.size.saturating_sub(self.bytes.len() as u64) } else { 0 };
        length.min(room) as usize
    }
}

impl Visitor for Picker {
    fn member(&mut self, raw: RawMember) {
        if self.state == Picking::Waiting && matches!(member::interpret(&raw, &self.caps), Ok(Some(_))) {
            match self.left.checked_sub(1) {
                Some(left) => self.left = left,
                None => self.state = Picking::Taking,
            }
        }
    }

    fn data(&mut self, bytes: &[u8]) {
        let taken = self.room(bytes.len() as u64);
        self.bytes.extend_from_slice(&bytes[..taken]);
    }

    fn hole(&mut self, length: u64) {
        let taken = self.room(length);
        self.bytes.resize(self.bytes.len() + taken, 0);
    }

    fn end(&mut self) {
        if self.state == Picking::Taking {
            self.state = Picking::Done;
        }
    }
}
