//! Blobs on disk, by content: `blobs/sha256/ab/<hex>`. A file stands under its digest only after its bytes are durable,
//! and it is never changed afterwards. These functions block; call them where blocking is allowed.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::digest::Digest;

use crate::error::Error;

/// The folders of blobs and unfinished uploads. Clones share them.
#[derive(Clone, Debug)]
pub struct Blobs {
    blobs: Arc<Path>,
    uploads: Arc<Path>,
}

impl Blobs {
    /// Uses `dir/blobs` and `dir/uploads`, creating them if they are not there. Both must be on one file system.
    ///
    /// # Errors
    /// [`Error::File`] when a folder cannot be made.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let opened = Self { blobs: dir.join("blobs").into(), uploads: dir.join("uploads").into() };
        for folder in [&opened.blobs, &opened.uploads] {
            fs::create_dir_all(folder).map_err(|source| Error::file("create folder", &**folder, source))?;
        }
        sync_folder(dir)?;
        Ok(opened)
    }

    /// Where the content of `digest` is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.algorithm().as_str()).join(digest.hex().get(..2).unwrap_or("__")).join(digest.hex())
    }

    /// The folder of unfinished uploads.
    pub(crate) fn uploads(&self) -> &Path {
        &self.uploads
    }

    /// Bytes of a blob, `None` when there is no file of it.
    ///
    /// # Errors
    /// [`Error::File`] when the disk cannot be asked.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("look at", path, error)),
        }
    }

    /// Opens a blob that the database says is there.
    ///
    /// # Errors
    /// [`Error::BlobLost`] when its file is missing, [`Error::File`] when it cannot be opened.
    pub fn open_blob(&self, digest: &Digest) -> Result<File, Error> {
        let path = self.path(digest);
        File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::BlobLost { digest: digest.clone(), path },
            _ => Error::file("open", path, source),
        })
    }

    /// Makes a finished file durable under its digest: two syncs, one for the bytes and one for the name.
    /// The caller has compared the digest.
    pub(crate) fn adopt(&self, file: &File, from: &Path, digest: &Digest) -> Result<(), Error> {
        file.sync_data().map_err(|source| Error::file("make durable", from, source))?;
        let to = self.path(digest);
        let folder = to.parent().unwrap_or(&self.blobs);
        match fs::rename(from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && from.exists() => {
                self.make_shelf(folder)?;
                fs::rename(from, &to).map_err(|source| Error::file("rename into place", &to, source))?;
            }
            Err(error) => return Err(Error::file("rename into place", to, error)),
        }
        sync_folder(folder)
    }

    /// Creates the folder of the first two hex characters; its own name must be durable before a blob in it is.
    fn make_shelf(&self, shelf: &Path) -> Result<(), Error> {
        fs::create_dir_all(shelf).map_err(|source| Error::file("create folder", shelf, source))?;
        sync_folder(shelf.parent().unwrap_or(&self.blobs))?;
        sync_folder(&self.blobs)
    }
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(|source| Error::file("make durable", folder, source))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn file_with(blobs: &Blobs, bytes: &[u8]) -> (File, PathBuf) {
        let path = blobs.uploads().join("u");
        fs::write(&path, bytes).unwrap();
        (File::open(&path).unwrap(), path)
    }

    #[test]
    fn a_blob_moves_under_its_digest_and_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let digest = Digest::of(b"hello");
        assert_eq!(blobs.size(&digest).unwrap(), None);
        let (file, path) = file_with(&blobs, b"hello");
        blobs.adopt(&file, &path, &digest).unwrap();
        assert!(!path.exists());
        assert_eq!(blobs.path(&digest), dir.path().join("blobs/sha256").join(&digest.hex()[..2]).join(digest.hex()));
        let mut text = String::new();
        blobs.open_blob(&digest).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), blobs.size(&digest).unwrap()), ("hello", Some(5)));
    }

    #[test]
    fn the_same_content_twice_is_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let digest = Digest::of(b"x");
        for _ in 0..2 {
            let (file, path) = file_with(&blobs, b"x");
            blobs.adopt(&file, &path, &digest).unwrap();
        }
        assert_eq!(blobs.size(&digest).unwrap(), Some(1));
    }

    #[test]
    fn a_lost_blob_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let digest = Digest::of(b"gone");
        let error = blobs.open_blob(&digest).unwrap_err();
        assert!(matches!(&error, Error::BlobLost { .. }) && error.to_string().contains(digest.hex()), "{error}");
    }

    #[test]
    fn an_upload_that_is_gone_is_an_error_and_makes_no_blob() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let (file, path) = file_with(&blobs, b"x");
        fs::remove_file(&path).unwrap();
        assert!(blobs.adopt(&file, &path, &Digest::of(b"x")).is_err());
        assert_eq!(blobs.size(&Digest::of(b"x")).unwrap(), None);
    }
}
