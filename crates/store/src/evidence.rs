//! What the gate found in a layer, kept per layer digest and analyser version. It can be made again from the blob, so a
//! file that is missing is the same as one that was never there: no fsync, only an atomic rename. The document is compressed and has a checksum
//! already; whoever reads it sees whether it is whole.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use model::digest::Digest;

use crate::error::Error;

/// One kept document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The layer it is about.
    pub digest: Digest,
    /// Of the analyser.
    pub version: u32,
    /// Bytes on disk.
    pub size: u64,
}

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
            file.write_all(document)?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| Error::file("write", &path, source))
    }

    /// What was found, or `None` when nothing is kept.
    pub fn get(&self, digest: &Digest, version: u32) -> Option<Vec<u8>> {
        fs::read(self.path(digest, version)).ok()
    }

    /// Shows everything that is kept, in no order.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn each(&self, mut show: impl FnMut(Kept)) -> Result<(), Error> {
        for folder in entries(&self.dir)? {
            let Some(version) = name(&folder).strip_prefix('v').and_then(|text| text.parse().ok()) else { continue };
            for shelf in entries(&folder)? {
                for path in entries(&shelf)? {
                    let Some(hex) = name(&path).strip_suffix(".zst") else { continue };
                    let Ok(digest) = format!("{}:{hex}", name(&shelf)).parse() else { continue };
                    // What is gone meanwhile is gone.
                    if let Ok(metadata) = fs::metadata(&path) {
                        show(Kept { digest, version, size: metadata.len() });
                    }
                }
            }
        }
        Ok(())
    }

    /// Forgets one document.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn remove(&self, kept: &Kept) -> Result<(), Error> {
        let path = self.path(&kept.digest, kept.version);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path, error)),
            _ => Ok(()),
        }
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::file("list", folder, source);
    fs::read_dir(folder).map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.path())).collect()
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_given_back_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let files = EvidenceFiles::open(dir.path()).unwrap();
        let digest = Digest::of(b"layer");
        assert_eq!(files.get(&digest, 1), None);
        files.put(&digest, 1, &b"found ".repeat(1000)).unwrap();
        assert_eq!(files.get(&digest, 1), Some(b"found ".repeat(1000)));
        assert_eq!(files.get(&digest, 2), None);
        let mut all = Vec::new();
        files.each(|kept| all.push(kept)).unwrap();
        assert_eq!(all.iter().map(|kept| (&kept.digest, kept.version)).collect::<Vec<_>>(), [(&digest, 1)]);
        files.remove(&all[0]).unwrap();
        files.remove(&all[0]).unwrap();
        assert_eq!(files.get(&digest, 1), None);
    }
}
