//! Blobs, by content: in a folder of the data folder, or in a bucket of an S3 service. Whatever the place, a blob stands under its
//! digest only after all its bytes are durable there, and it is never changed afterwards. An upload grows in a local file first
//! ([`crate::uploads`]), wherever it goes in the end.
//!
//! Functions that are not `async` block: call them where blocking is allowed.

mod folder;
mod pieces;
#[cfg(feature = "s3")]
mod s3;

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use model::digest::Digest;

pub use self::pieces::Pieces;
#[cfg(feature = "s3")]
pub use self::s3::S3Options;
use self::{folder::Folder, pieces::Buffers};
use crate::error::Error;

/// The blobs and the unfinished uploads. Clones share them.
#[derive(Clone, Debug)]
pub struct Blobs {
    uploads: Arc<Path>,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(Folder, Buffers),
    #[cfg(feature = "s3")]
    Bucket(s3::Bucket),
}

/// A blob as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its content.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// When it was stored, or stored again.
    pub modified: SystemTime,
}

impl Blobs {
    /// Uses `dir/blobs` and `dir/uploads`, creating them if they are not there. Both must be on one file system.
    ///
    /// # Errors
    /// [`Error::File`] when a folder cannot be made.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let uploads = uploads(dir)?;
        let place = Place::Folder(Folder::open(&dir.join("blobs"))?, Buffers::default());
        sync_folder(dir)?;
        Ok(Self { uploads, place })
    }

    /// Uses a bucket; uploads grow in `dir/uploads` until they are complete. Asks the service once whether the bucket can be used. Call it
    /// where blocking is allowed and a runtime is at hand.
    ///
    /// # Errors
    /// [`Error::Bucket`] when the bucket cannot be used as the options say, [`Error::File`] when the folder cannot be made.
    #[cfg(feature = "s3")]
    pub fn open_bucket(dir: &Path, options: &S3Options) -> Result<Self, Error> {
        let place = Place::Bucket(s3::Bucket::open(options)?);
        Ok(Self { uploads: uploads(dir)?, place })
    }

    /// The folder of unfinished uploads.
    pub(crate) fn uploads(&self) -> &Path {
        &self.uploads
    }

    /// Bytes of a blob, `None` when it is not there.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Bucket`] when the place cannot be asked.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        match &self.place {
            Place::Folder(folder, _) => folder.size(digest),
            #[cfg(feature = "s3")]
            Place::Bucket(bucket) => bucket.size(digest),
        }
    }

    /// True when asking for [`Blobs::size`] costs next to nothing.
    pub fn is_near(&self) -> bool {
        matches!(self.place, Place::Folder(..))
    }

    /// A blob that the database says is there, from its first byte, for whoever may block.
    ///
    /// # Errors
    /// [`Error::BlobLost`] when it is missing, [`Error::File`] or [`Error::Bucket`] when it cannot be opened.
    pub fn reader(&self, digest: &Digest) -> Result<Box<dyn Read + Send>, Error> {
        match &self.place {
            Place::Folder(folder, _) => Ok(Box::new(folder.file(digest)?)),
            #[cfg(feature = "s3")]
            Place::Bucket(bucket) => Ok(Box::new(bucket.reader(digest)?)),
        }
    }

    /// `count` bytes from `first` on of a blob that the database says is there.
    ///
    /// # Errors
    /// As for [`Blobs::reader`].
    pub async fn pieces(&self, digest: &Digest, first: u64, count: u64) -> Result<Pieces, Error> {
        match &self.place {
            Place::Folder(folder, buffers) => {
                let (folder, digest) = (folder.clone(), digest.clone());
                let opened = tokio::task::spawn_blocking(move || folder.file(&digest)).await;
                let file = opened.map_err(|_| Error::Interrupted)??;
                Ok(Pieces::of_file(file, buffers.clone(), first, count))
            }
            #[cfg(feature = "s3")]
            Place::Bucket(bucket) => Ok(Pieces::of_object(bucket.object(digest, first, count))),
        }
    }

    /// Removes a blob; its rows must be gone. False when it was not there.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Bucket`].
    pub fn remove(&self, digest: &Digest) -> Result<bool, Error> {
        match &self.place {
            Place::Folder(folder, _) => folder.remove(digest),
            #[cfg(feature = "s3")]
            Place::Bucket(bucket) => bucket.remove(digest),
        }
    }

    /// Shows all blobs that are there, whether or not there is a row of them, in no order.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Bucket`] when the place cannot be listed.
    pub fn each(&self, show: impl FnMut(Stored)) -> Result<(), Error> {
        match &self.place {
            Place::Folder(folder, _) => folder.each(show),
            #[cfg(feature = "s3")]
            Place::Bucket(bucket) => bucket.each(show),
        }
    }

    /// Makes a finished local file a durable blob; the file is gone then. The caller has compared the digest.
    pub(crate) fn adopt(&self, file: &File, from: &Path, digest: &Digest) -> Result<(), Error> {
        match &self.place {
            Place::Folder(folder, _) => folder.adopt(file, from, digest),
            #[cfg(feature = "s3")]
            Place::Bucket(bucket) => {
                bucket.put(file, from, digest)?;
                fs::remove_file(from).map_err(|source| Error::file("remove", from, source))
            }
        }
    }
}

fn uploads(dir: &Path) -> Result<Arc<Path>, Error> {
    let uploads = dir.join("uploads");
    fs::create_dir_all(&uploads).map_err(|source| Error::file("create folder", &uploads, source))?;
    Ok(uploads.into())
}

/// Where a blob is below the root of its place: `sha256/ab/abcd...`.
fn shelf(digest: &Digest) -> [&str; 3] {
    [digest.algorithm().as_str(), digest.hex().get(..2).unwrap_or("__"), digest.hex()]
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(|source| Error::file("make durable", folder, source))
}
