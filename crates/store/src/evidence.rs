//! What the gate found in a layer, kept per layer digest and analyser version. It can be made again from the blob, so a
//! file that is missing or cut off is the same as none: no fsync, only an atomic rename.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use model::digest::Digest;

use crate::error::Error;

/// The folder of all evidence.
#[derive(Clone, Debug)]
pub struct EvidenceFiles {
    dir: PathBuf,
}

impl EvidenceFiles {
    /// Uses `dir`, creating it if needed.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(|source| Error::file("create", dir, source))?;
        Ok(Self { dir: dir.into() })
    }

    fn path(&self, digest: &Digest, version: u32) -> PathBuf {
        self.dir.join(format!("v{version}/{}/{}.zst", digest.algorithm().as_str(), digest.hex()))
    }

    /// Keeps what was found.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn put(&self, digest: &Digest, version: u32, document: &[u8]) -> Result<(), Error> {
        let path = self.path(digest, version);
        let write = || -> io::Result<()> {
            let folder = path.parent().unwrap_or(&self.dir);
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            zstd::stream::copy_encode(document, &mut file, 1)?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| Error::file("write", &path, source))
    }

    /// What was found, or `None` when nothing usable is kept.
    pub fn get(&self, digest: &Digest, version: u32) -> Option<Vec<u8>> {
        let file = fs::File::open(self.path(digest, version)).ok()?;
        zstd::stream::decode_all(file).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_counts_as_missing() {
        let dir = tempfile::tempdir().unwrap();
        let files = EvidenceFiles::open(dir.path()).unwrap();
        let digest = Digest::of(b"layer");
        assert_eq!(files.get(&digest, 1), None);
        files.put(&digest, 1, &b"found ".repeat(1000)).unwrap();
        assert_eq!(files.get(&digest, 1), Some(b"found ".repeat(1000)));
        assert_eq!(files.get(&digest, 2), None);
        let path = files.path(&digest, 1);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(files.get(&digest, 1), None);
    }
}
