//! Blobs in a folder: `blobs/sha256/ab/<hex>`.

use std::{
    fs::{self, DirEntry, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use model::digest::{Algorithm, Digest};

use super::{Stored, shelf, sync_folder};
use crate::error::Error;

/// The folder. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: Arc<Path>,
    /// The hash functions whose shelves this process knows to be durable.
    shelved: Arc<Mutex<Vec<Algorithm>>>,
}

impl Folder {
    pub(super) fn open(root: &Path) -> Result<Self, Error> {
        fs::create_dir_all(root).map_err(|source| Error::file("create folder", root, source))?;
        Ok(Self { root: root.into(), shelved: Arc::default() })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let mut path = self.root.to_path_buf();
        path.extend(shelf(digest));
        path
    }

    pub(super) fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("look at", path, error)),
        }
    }

    pub(super) fn file(&self, digest: &Digest) -> Result<File, Error> {
        let path = self.path(digest);
        File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::BlobLost { digest: digest.clone(), path },
            _ => Error::file("open", path, source),
        })
    }

    /// Two syncs: one for the bytes and one for the name.
    pub(super) fn adopt(&self, file: &File, from: &Path, digest: &Digest) -> Result<(), Error> {
        file.sync_data().map_err(|source| Error::file("make durable", from, source))?;
        self.make_shelves(digest.algorithm())?;
        let to = self.path(digest);
        fs::rename(from, &to).map_err(|source| Error::file("rename into place", &to, source))?;
        sync_folder(to.parent().unwrap_or(&self.root))
    }

    /// Creates the folders of the first two hex characters, all at once: each of them would otherwise cost a push two syncs. The name of a folder must be
    /// durable before a blob in it is, so everybody waits for whoever comes first, and a process does not trust what one before it left.
    fn make_shelves(&self, algorithm: Algorithm) -> Result<(), Error> {
        let mut shelved = self.shelved.lock().unwrap_or_else(PoisonError::into_inner);
        if shelved.contains(&algorithm) {
            return Ok(());
        }
        let shelves = self.root.join(algorithm.as_str());
        for number in u8::MIN..=u8::MAX {
            let shelf = shelves.join(format!("{number:02x}"));
            fs::create_dir_all(&shelf).map_err(|source| Error::file("create folder", shelf, source))?;
        }
        sync_folder(&shelves)?;
        sync_folder(&self.root)?;
        shelved.push(algorithm);
        Ok(())
    }

    pub(super) fn remove(&self, digest: &Digest) -> Result<bool, Error> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::file("remove", path, error)),
        }
    }

    pub(super) fn each(&self, mut show: impl FnMut(Stored)) -> Result<(), Error> {
        for algorithm in entries(&self.root)? {
            for shelf in entries(&algorithm.path())? {
                for entry in entries(&shelf.path())? {
                    let name = format!("{}:{}", algorithm.file_name().display(), entry.file_name().display());
                    // Something that is not named like a blob was put here by somebody else.
                    let Ok(digest) = name.parse() else { continue };
                    match entry.metadata().and_then(|metadata| Ok((metadata.len(), metadata.modified()?))) {
                        Ok((size, modified)) => show(Stored { digest, size, modified }),
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => return Err(Error::file("look at", entry.path(), error)),
                    }
                }
            }
        }
        Ok(())
    }
}

fn entries(folder: &Path) -> Result<Vec<DirEntry>, Error> {
    let listed = fs::read_dir(folder).and_then(Iterator::collect);
    match listed {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Vec::new()),
        listed => listed.map_err(|source| Error::file("list", folder, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_lies_on_the_shelf_of_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let from = dir.path().join("u");
        fs::write(&from, b"hello").unwrap();
        let digest = Digest::of(b"hello");
        folder.adopt(&File::open(&from).unwrap(), &from, &digest).unwrap();
        assert!(!from.exists());
        assert_eq!(fs::read(dir.path().join("sha256").join(&digest.hex()[..2]).join(digest.hex())).unwrap(), b"hello");
    }

    #[test]
    fn what_is_no_blob_is_not_listed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        fs::create_dir_all(dir.path().join("sha256/ab")).unwrap();
        fs::write(dir.path().join("sha256/ab/notes"), b"x").unwrap();
        fs::write(dir.path().join("README"), b"x").unwrap();
        folder.each(|stored| panic!("{stored:?}")).unwrap();
    }

    #[test]
    fn an_upload_that_is_gone_is_an_error_and_makes_no_blob() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let from = dir.path().join("u");
        fs::write(&from, b"x").unwrap();
        let file = File::open(&from).unwrap();
        fs::remove_file(&from).unwrap();
        assert!(folder.adopt(&file, &from, &Digest::of(b"x")).is_err());
        assert_eq!(folder.size(&Digest::of(b"x")).unwrap(), None);
    }
}
