//! Unfinished uploads: one growing file each, `uploads/<id>.<repository>`. The name binds the upload to its repository
//! (by a hash), so that a session survives a restart without a row, and an id cannot be used from another repository.
//! Nothing here is durable before [`Upload::publish`]. These functions block.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    num::NonZeroU64,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use model::{digest::Digest, name::RepoName};
use uuid::Uuid;

use crate::{blobs::Blobs, error::Error};

/// How much is written before the disk is told to begin with it.
const NUDGE_BYTES: u64 = 4 << 20;

/// An open upload: everything before its end has been written.
#[derive(Debug)]
pub struct Upload {
    file: File,
    path: PathBuf,
    len: u64,
    /// The disk was told to begin with everything before this.
    nudged: u64,
}

impl Upload {
    /// Begins an empty upload.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be made, or when the id is in use.
    pub fn create(blobs: &Blobs, id: Uuid, repository: &RepoName) -> Result<Self, Error> {
        let path = path_of(blobs, id, repository);
        let opened = OpenOptions::new().read(true).append(true).create_new(true).open(&path);
        let file = opened.map_err(|source| Error::file("create", &path, source))?;
        Ok(Self { file, path, len: 0, nudged: 0 })
    }

    /// Finds an upload that was begun before, perhaps by an earlier process. `None` when there is none of that id in that repository.
    ///
    /// # Errors
    /// [`Error::File`] when the disk cannot be asked.
    pub fn find(blobs: &Blobs, id: Uuid, repository: &RepoName) -> Result<Option<Self>, Error> {
        let path = path_of(blobs, id, repository);
        let file = match OpenOptions::new().read(true).append(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("open", path, error)),
        };
        let len = file.metadata().map_err(|source| Error::file("look at", &path, source))?.len();
        Ok(Some(Self { file, path, len, nudged: len }))
    }

    /// Bytes received so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True before the first byte.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds bytes at the end. After an error the file may hold a first part of them: find the upload again to learn how much.
    ///
    /// # Errors
    /// [`Error::File`]; its kind is `DiskFull` when no space is left.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|source| Error::file("write", &self.path, source))?;
        self.len += bytes.len() as u64;
        self.nudge();
        Ok(())
    }

    /// Has the kernel write what it keeps, so that the disk works while the rest arrives and the sync at the end is short. Nothing is waited for, and
    /// nothing is lost if it does not happen. (Linux begins to write the range on this advice, and drops only what has been written before.)
    fn nudge(&mut self) {
        let Some(more) = NonZeroU64::new(self.len - self.nudged).filter(|more| more.get() >= NUDGE_BYTES) else { return };
        let _ = rustix::fs::fadvise(&self.file, self.nudged, Some(more), rustix::fs::Advice::DontNeed);
        self.nudged = self.len;
    }

    /// Makes the bytes durable as far as they go; they have no name yet. [`Upload::publish`] has less to do afterwards.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn settle(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|source| Error::file("make durable", &self.path, source))
    }

    /// Forgets what is behind the first `len` bytes.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn cut(&mut self, len: u64) -> Result<(), Error> {
        if len < self.len {
            self.file.set_len(len).map_err(|source| Error::file("shorten", &self.path, source))?;
            (self.len, self.nudged) = (len, self.nudged.min(len));
        }
        Ok(())
    }

    /// Hands all bytes received so far to `each`, from the first, in pieces.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be read.
    pub fn replay(&mut self, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
        let failed = |source| Error::file("read", &self.path, source);
        let mut buffer = vec![0; 1 << 20];
        (&self.file).seek(SeekFrom::Start(0)).map_err(failed)?;
        loop {
            match (&self.file).read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => each(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Makes the bytes a blob: durable, under their digest, which the caller has compared. The blob is still invisible
    /// until its row is written.
    ///
    /// # Errors
    /// [`Error::File`]; the upload is then gone or still there, never half a blob.
    pub fn publish(self, blobs: &Blobs, digest: &Digest) -> Result<(), Error> {
        blobs.adopt(&self.file, &self.path, digest)
    }

    /// Forgets the upload and its bytes.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be removed.
    pub fn remove(self) -> Result<(), Error> {
        remove_file(&self.path)
    }
}

/// Finds uploads that nobody has added to for `age`, and removes them if `remove`. Returns how many, and their bytes.
///
/// # Errors
/// [`Error::File`] when the folder cannot be listed or a file cannot be removed.
pub fn sweep(blobs: &Blobs, now: SystemTime, age: Duration, remove: bool) -> Result<(u64, u64), Error> {
    let folder = blobs.uploads();
    let listed = |source| Error::file("list", folder, source);
    let (mut count, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder).map_err(listed)? {
        let path = entry.map_err(listed)?.path();
        let (modified, size) = match fs::metadata(&path).and_then(|metadata| Ok((metadata.modified()?, metadata.len()))) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::file("look at", path, error)),
        };
        if now.duration_since(modified).is_ok_and(|idle| idle >= age) {
            if remove {
                remove_file(&path)?;
            }
            count += 1;
            bytes += size;
        }
    }
    Ok((count, bytes))
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path, error)),
        _ => Ok(()),
    }
}

fn path_of(blobs: &Blobs, id: Uuid, repository: &RepoName) -> PathBuf {
    let owner = Digest::of(repository.as_str().as_bytes());
    blobs.uploads().join(format!("{}.{}", id.as_hyphenated(), owner.short()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo(name: &str) -> RepoName {
        name.parse().unwrap()
    }

    fn replayed(upload: &mut Upload) -> Vec<u8> {
        let mut all = Vec::new();
        upload.replay(|piece| all.extend_from_slice(piece)).unwrap();
        all
    }

    #[test]
    fn an_upload_survives_being_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let id = Uuid::from_u128(7);
        let mut upload = Upload::create(&blobs, id, &repo("1/a")).unwrap();
        upload.append(b"hel").unwrap();
        drop(upload);
        let mut upload = Upload::find(&Blobs::open(dir.path()).unwrap(), id, &repo("1/a")).unwrap().unwrap();
        assert_eq!((upload.len(), replayed(&mut upload)), (3, b"hel".to_vec()));
        upload.append(b"lo").unwrap();
        assert_eq!(replayed(&mut upload), b"hello");
        let digest = Digest::of(b"hello");
        upload.publish(&blobs, &digest).unwrap();
        assert_eq!(blobs.size(&digest).unwrap(), Some(5));
        assert!(Upload::find(&blobs, id, &repo("1/a")).unwrap().is_none());
    }

    #[test]
    fn an_upload_belongs_to_its_repository() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        Upload::create(&blobs, Uuid::nil(), &repo("1/a")).unwrap();
        assert!(Upload::find(&blobs, Uuid::nil(), &repo("1/b")).unwrap().is_none());
        assert!(Upload::create(&blobs, Uuid::nil(), &repo("1/a")).is_err());
    }

    #[test]
    fn sweeping_takes_only_the_old_ones() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        for n in 0..3u128 {
            Upload::create(&blobs, Uuid::from_u128(n), &repo("1/a")).unwrap();
        }
        let hour = Duration::from_secs(3600);
        let now = SystemTime::UNIX_EPOCH + 1_000_000 * hour;
        for (n, age) in [(0, 0), (1, 2), (2, 1)] {
            let file = File::options().write(true).open(path_of(&blobs, Uuid::from_u128(n), &repo("1/a"))).unwrap();
            file.set_modified(now - age * hour).unwrap();
        }
        assert_eq!(sweep(&blobs, now, 2 * hour, false).unwrap(), (1, 0));
        assert!(Upload::find(&blobs, Uuid::from_u128(1), &repo("1/a")).unwrap().is_some());
        assert_eq!(sweep(&blobs, now, 2 * hour, true).unwrap(), (1, 0));
        assert!(Upload::find(&blobs, Uuid::from_u128(1), &repo("1/a")).unwrap().is_none());
        assert!(Upload::find(&blobs, Uuid::from_u128(2), &repo("1/a")).unwrap().is_some());
    }

    #[test]
    fn a_full_disk_is_told_as_such() {
        let file = File::options().append(true).open("/dev/full").unwrap();
        let mut upload = Upload { file, path: "/dev/full".into(), len: 0, nudged: 0 };
        assert_eq!(upload.append(b"x").unwrap_err().kind(), crate::ErrorKind::DiskFull);
        assert!(upload.is_empty());
    }

    #[test]
    fn an_upload_that_was_cut_goes_on_from_there() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let mut upload = Upload::create(&blobs, Uuid::nil(), &repo("1/a")).unwrap();
        upload.append(b"hello").unwrap();
        upload.cut(9).unwrap();
        assert_eq!(upload.len(), 5);
        upload.cut(3).unwrap();
        upload.append(b"p").unwrap();
        assert_eq!((upload.len(), replayed(&mut upload)), (4, b"help".to_vec()));
    }

    #[test]
    fn removing_twice_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let upload = Upload::create(&blobs, Uuid::nil(), &repo("1/a")).unwrap();
        let again = Upload::find(&blobs, Uuid::nil(), &repo("1/a")).unwrap().unwrap();
        upload.remove().unwrap();
        again.remove().unwrap();
    }
}
