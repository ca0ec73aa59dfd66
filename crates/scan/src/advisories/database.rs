//! A compiled database: opening it reads its header and its index, a look-up reads one record per package and one per advisory that fits.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::format::{Advisory, AffectedRecord, ENTRY, FORMAT, HEADER, Header, MAGIC, Meta, PackageRecord, Place, hash, u64_at};
use crate::{Ecosystem, Error};

/// Longest record, bytes: a lying length must not make us ask for memory.
const LONGEST: u64 = 64 << 20;

/// An open database. Clones share it.
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    header: Header,
    meta: Meta,
    index: Vec<u8>,
}

impl Database {
    /// Opens a file written by [`super::Builder`]. Looks at its header, its length and its index; [`Database::verify`] reads it all.
    ///
    /// # Errors
    /// It is no database, of another format, or shorter than it says.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::file("read", path, source);
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut bytes = [0; HEADER];
        let not = || Error::NotADatabase { path: path.into() };
        file.read_exact_at(&mut bytes, 0).map_err(|_| not())?;
        if bytes[..8] != MAGIC {
            return Err(not());
        }
        let found = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        if found != FORMAT {
            return Err(Error::Format { path: path.into(), found, known: FORMAT });
        }
        let header = Header::from_bytes(&bytes);
        let damaged = |what: String| Error::Damaged { path: path.into(), what };
        if header.length != length {
            return Err(damaged(format!("it has {length} bytes and should have {}", header.length)));
        }
        let (offset, entries) = header.index;
        let index = (ENTRY as u64).checked_mul(entries).filter(|size| offset.checked_add(*size).is_some_and(|end| end <= length));
        let mut index = vec![0; usize::try_from(index.ok_or_else(|| damaged("its index lies outside".to_owned()))?).unwrap_or(0)];
        file.read_exact_at(&mut index, offset).map_err(failed)?;
        let mut inner = Inner { path: path.into(), file, header, meta: Meta::default(), index };
        inner.meta = inner.read(Place { offset: header.meta.0, length: header.meta.1 })?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Its identity: SHA-256 of its content, in hex. Equal ids give equal matches.
    pub fn id(&self) -> String {
        hex::encode(self.inner.header.id)
    }

    /// What it says of itself.
    pub fn meta(&self) -> &Meta {
        &self.inner.meta
    }

    /// Its length, bytes.
    pub fn size(&self) -> u64 {
        self.inner.header.length
    }

    /// Reads all of it and compares it with its id.
    ///
    /// # Errors
    /// It is damaged or cannot be read.
    pub fn verify(&self) -> Result<(), Error> {
        let mut hash = Sha256::new();
        let (mut at, mut buffer) = (HEADER as u64, vec![0; 1 << 20]);
        while at < self.inner.header.length {
            let wanted = usize::try_from(self.inner.header.length - at).unwrap_or(usize::MAX).min(buffer.len());
            let piece = &mut buffer[..wanted];
            self.inner.file.read_exact_at(piece, at).map_err(|source| Error::file("read", &self.inner.path, source))?;
            hash.update(&*piece);
            at += wanted as u64;
        }
        let found: [u8; 32] = hash.finalize().into();
        if found == self.inner.header.id { Ok(()) } else { Err(self.inner.damaged("its content is not what its id says")) }
    }

    /// Everything known of a package, under its normalised name.
    pub(super) fn package(&self, ecosystem: &Ecosystem, name: &str) -> Result<Vec<AffectedRecord>, Error> {
        let key = hash(ecosystem.as_str(), name);
        for place in self.inner.places(key) {
            let record: PackageRecord = self.inner.read(place)?;
            if record.ecosystem == ecosystem.as_str() && record.name == name {
                return Ok(record.affected);
            }
        }
        Ok(Vec::new())
    }

    pub(super) fn advisory(&self, place: Place) -> Result<Advisory, Error> {
        self.inner.read(place)
    }
}

impl Inner {
    fn damaged(&self, what: &str) -> Error {
        Error::Damaged { path: self.path.clone(), what: what.to_owned() }
    }

    fn read<T: DeserializeOwned>(&self, place: Place) -> Result<T, Error> {
        let inside = place.offset.checked_add(place.length).is_some_and(|end| end <= self.header.length);
        if !inside || place.length > LONGEST {
            return Err(self.damaged("a record lies outside"));
        }
        let mut bytes = vec![0; usize::try_from(place.length).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, place.offset).map_err(|source| Error::file("read", &self.path, source))?;
        postcard::from_bytes(&bytes).map_err(|_| self.damaged("a record does not read"))
    }

    /// Records whose hash is `key`; two packages may share one.
    fn places(&self, key: u64) -> impl Iterator<Item = Place> {
        let entry = |at: usize| self.index.get(at * ENTRY..(at + 1) * ENTRY);
        let count = self.index.len() / ENTRY;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if entry(middle).is_some_and(|bytes| u64_at(bytes, 0) < key) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let same = move |bytes: &&[u8]| u64_at(bytes, 0) == key;
        (low..count)
            .map_while(move |at| self.index.get(at * ENTRY..(at + 1) * ENTRY).filter(same))
            .map(|bytes| Place { offset: u64_at(bytes, 8), length: u64_at(bytes, 16) })
    }
}
