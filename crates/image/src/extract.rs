//! Writes the members of one layer into a directory, without ever following a symbolic link and without ever leaving it.
//!
//! Every path is opened from the directory's own descriptor with `openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)`, so that the kernel itself
//! refuses what a hostile layer prepared; the last part is then made, linked or removed relative to its parent's descriptor. No devices, no
//! setuid, no setgid, no extended attributes of the layer.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    ops::Bound,
    os::fd::OwnedFd,
    path::Path,
};

use model::digest::Digest;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};

use crate::{
    beneath::{self, Beneath},
    caps::Caps,
    error::Error,
    member::{self, Kind, Member},
    owners::Owners,
    path,
    tar::{RawMember, Visitor},
};

/// Writes members as they come. The first error stops it; [`Extractor::check`] and [`Extractor::finish`] tell it.
pub(crate) struct Extractor {
    root: Beneath,
    digest: Digest,
    caps: Caps,
    owners: Owners,
    /// The directory the last member was in: most members are beside their neighbour.
    parent: Option<(Vec<u8>, OwnedFd)>,
    /// Directories by path, given their attributes in the end: a file made in them would change their time, a strict mode would keep us out.
    directories: BTreeMap<Vec<u8>, Directory>,
    current: Option<Current>,
    /// What it takes on disk, about.
    bytes: u64,
    failed: Option<Error>,
}

#[derive(Clone, Copy)]
struct Attributes {
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: (i64, u32),
}

struct Directory {
    attributes: Attributes,
    opaque: bool,
}

/// A directory the layer does not list.
const IMPLIED: Attributes = Attributes { mode: 0o755, uid: 0, gid: 0, mtime: (0, 0) };

/// What a file takes besides its content: its inode and its name.
const INODE: u64 = 512;
/// File systems give room in blocks of this size.
const FILE_BLOCK: u64 = 4096;

struct Current {
    path: Vec<u8>,
    file: File,
    attributes: Attributes,
    written: u64,
    ends_in_hole: bool,
}

/// What can go wrong with one member.
enum Failure {
    System(io::Error),
    Target(Vec<u8>),
}

impl From<rustix::io::Errno> for Failure {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::System(errno.into())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl Visitor for Extractor {
    fn member(&mut self, raw: RawMember) {
        if self.failed.is_some() {
            return;
        }
        // What is ignored here is a problem in the evidence already, because both read members through the same function.
        let Ok(Some(member)) = member::interpret(&raw, &self.caps) else { return };
        self.bytes += INODE;
        if let Err(failure) = self.write(&member) {
            self.fail(&member.path, failure);
        }
    }

    fn data(&mut self, bytes: &[u8]) {
        let Some(current) = &mut self.current else { return };
        current.written += bytes.len() as u64;
        current.ends_in_hole = false;
        self.bytes += bytes.len() as u64;
        if let Err(error) = current.file.write_all(bytes) {
            self.abandon(error);
        }
    }

    fn hole(&mut self, length: u64) {
        let Some(current) = &mut self.current else { return };
        current.written += length;
        current.ends_in_hole = true;
        if let Err(error) = current.file.seek(SeekFrom::Start(current.written)) {
            self.abandon(error);
        }
    }

    fn end(&mut self) {
        let Some(current) = self.current.take() else { return };
        self.bytes += current.written.wrapping_neg() % FILE_BLOCK;
        let finished = || {
            if current.ends_in_hole {
                current.file.set_len(current.written)?;
            }
            self.dress(&current.file, &current.attributes, 0o777)
        };
        if let Err(error) = finished() {
            self.fail(&current.path, error.into());
        }
    }
}

impl Extractor {
    /// Writes into `directory`, which must be empty and nobody else's.
    pub fn new(directory: &Path, digest: &Digest, caps: &Caps) -> Result<Self, Error> {
        let root =
            Beneath::open(directory).map_err(|errno| Error::File { action: "open", path: directory.to_owned(), source: errno.into() })?;
        let directories = BTreeMap::from([(Vec::new(), Directory { attributes: IMPLIED, opaque: false })]);
        let owners = Owners::of_process();
        Ok(Self {
            root,
            digest: digest.clone(),
            caps: caps.clone(),
            owners,
            parent: None,
            directories,
            current: None,
            bytes: 0,
            failed: None,
        })
    }

    /// The error that stopped it.
    pub fn check(&mut self) -> Result<(), Error> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Gives the directories their attributes, the deepest first. The bytes everything takes on disk, about.
    pub fn finish(mut self) -> Result<u64, Error> {
        self.check()?;
        let directories = std::mem::take(&mut self.directories);
        for (path, directory) in directories.iter().rev() {
            if let Err(failure) = self.finish_directory(path, directory) {
                self.fail(path, failure);
                self.check()?;
            }
        }
        Ok(self.bytes)
    }

    fn finish_directory(&self, path: &[u8], directory: &Directory) -> Result<(), Failure> {
        let opened = File::from(self.root.directory(path, OFlags::RDONLY)?);
        if directory.opaque && !path.is_empty() {
            rustix::fs::fsetxattr(&opened, self.owners.opaque(), b"y", rustix::fs::XattrFlags::empty())?;
        }
        Ok(self.dress(&opened, &directory.attributes, 0o1777)?)
    }

    fn fail(&mut self, path: &[u8], failure: Failure) {
        self.current = None;
        let (digest, path) = (self.digest.clone(), String::from_utf8_lossy(path).into_owned());
        let error = match failure {
            Failure::System(source) => Error::Unpack { digest, path, source },
            Failure::Target(target) => Error::LinkTarget { digest, path, target: String::from_utf8_lossy(&target).into_owned() },
        };
        self.failed.get_or_insert(error);
    }

    fn abandon(&mut self, error: io::Error) {
        let path = self.current.take().map(|current| current.path).unwrap_or_default();
        self.fail(&path, error.into());
    }

    /// Owner first: changing it takes mode bits away.
    fn dress(&self, file: &File, attributes: &Attributes, mask: u32) -> io::Result<()> {
        if let Some((uid, gid)) = self.owners.of(attributes.uid, attributes.gid) {
            rustix::fs::fchown(file, Some(uid), Some(gid))?;
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(attributes.mode & mask))?;
        Ok(rustix::fs::futimens(file, &times(attributes.mtime))?)
    }

    fn write(&mut self, member: &Member) -> Result<(), Failure> {
        let attributes = Attributes { mode: member.mode, uid: member.uid, gid: member.gid, mtime: member.mtime };
        match &member.kind {
            Kind::Dir => self.directory(&member.path, Some(attributes)),
            Kind::OpaqueDir => self.opaque(&member.path),
            _ => {
                let (above, name) = path::split(&member.path);
                self.enter(above)?;
                // Nothing to enter means that entering failed, and that was told.
                let Some((_, parent)) = self.parent.take() else { return Ok(()) };
                let outcome = self.write_in(&parent, name, member, attributes);
                self.parent = Some((above.to_vec(), parent));
                outcome
            }
        }
    }

    fn write_in(&mut self, parent: &OwnedFd, name: &[u8], member: &Member, attributes: Attributes) -> Result<(), Failure> {
        match &member.kind {
            Kind::File => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let make = || rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR);
                let file = File::from(self.in_place(parent, name, &member.path, make)?);
                self.current = Some(Current { path: member.path.clone(), file, attributes, written: 0, ends_in_hole: false });
            }
            Kind::Symlink(target) => {
                self.in_place(parent, name, &member.path, || rustix::fs::symlinkat(&target[..], parent, name))?;
                self.dress_in(parent, name, &attributes)?;
            }
            Kind::Hardlink(target) => self.hard_link(parent, name, &member.path, target)?,
            Kind::Fifo => {
                let mode = Mode::from_raw_mode(attributes.mode & 0o777);
                self.in_place(parent, name, &member.path, || rustix::fs::mknodat(parent, name, FileType::Fifo, mode, 0))?;
                self.dress_in(parent, name, &attributes)?;
            }
            // A device is never made; a whiteout in its place keeps what is below from showing through.
            Kind::Device => self.in_place(parent, name, &member.path, || beneath::make_whiteout(parent, name))?,
            Kind::Whiteout => self.whiteout(parent, name, &member.path)?,
            Kind::Dir | Kind::OpaqueDir => {}
        }
        Ok(())
    }

    /// Makes something under a name, in the place of whatever the layer had there before.
    fn in_place<T>(&mut self, parent: &OwnedFd, name: &[u8], full: &[u8], make: impl Fn() -> rustix::io::Result<T>) -> Result<T, Failure> {
        match make() {
            Err(rustix::io::Errno::EXIST) => {
                self.remove(parent, name, full)?;
                Ok(make()?)
            }
            other => Ok(other?),
        }
    }

    fn remove(&mut self, parent: &OwnedFd, name: &[u8], full: &[u8]) -> Result<(), Failure> {
        if beneath::remove(parent, name)? {
            let inside = [full, b"/"].concat();
            let behind = [full, b"0"].concat();
            self.directories.remove(full);
            let gone: Vec<Vec<u8>> = self
                .directories
                .range::<[u8], _>((Bound::Included(&inside[..]), Bound::Excluded(&behind[..])))
                .map(|(path, _)| path.clone())
                .collect();
            for path in gone {
                self.directories.remove(&path);
            }
        }
        Ok(())
    }

    fn dress_in(&self, parent: &OwnedFd, name: &[u8], attributes: &Attributes) -> Result<(), Failure> {
        if let Some((uid, gid)) = self.owners.of(attributes.uid, attributes.gid) {
            rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(rustix::fs::utimensat(parent, name, &times(attributes.mtime), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Links to a file of this very layer; nothing else is known here.
    fn hard_link(&mut self, parent: &OwnedFd, name: &[u8], full: &[u8], target: &[u8]) -> Result<(), Failure> {
        let missing = || Failure::Target(target.to_vec());
        if full == target {
            return Ok(());
        }
        let (above, target_name) = path::split(target);
        let from = self.root.directory(above, OFlags::PATH).map_err(|_| missing())?;
        let found = beneath::kind(&from, target_name)?;
        if !matches!(found, Some(FileType::RegularFile | FileType::Symlink | FileType::Fifo)) {
            return Err(missing());
        }
        // The target may have been inside a directory that had to go for the link.
        self.in_place(parent, name, full, || rustix::fs::linkat(&from, target_name, parent, name, AtFlags::empty())).map_err(|failure| {
            match failure {
                Failure::System(error) if error.kind() == io::ErrorKind::NotFound => missing(),
                other => other,
            }
        })
    }

    /// A whiteout hides what is below only: beside a file of the same layer it adds nothing, a directory of the same layer it makes opaque.
    fn whiteout(&mut self, parent: &OwnedFd, name: &[u8], full: &[u8]) -> Result<(), Failure> {
        match beneath::make_whiteout(parent, name) {
            Err(rustix::io::Errno::EXIST) => {
                if let Some(directory) = self.directories.get_mut(full) {
                    directory.opaque = true;
                }
                Ok(())
            }
            other => Ok(other?),
        }
    }

    fn opaque(&mut self, path: &[u8]) -> Result<(), Failure> {
        self.directory(path, None)?;
        if let Some(directory) = self.directories.get_mut(path) {
            directory.opaque = true;
        }
        Ok(())
    }

    /// Makes a directory, or gives the one that is there new attributes.
    fn directory(&mut self, path: &[u8], attributes: Option<Attributes>) -> Result<(), Failure> {
        if !path.is_empty() {
            let (above, name) = path::split(path);
            self.enter(above)?;
            let Some((_, parent)) = self.parent.take() else { return Ok(()) };
            let outcome = self.directory_in(&parent, name, path);
            self.parent = Some((above.to_vec(), parent));
            outcome?;
        }
        if let (Some(directory), Some(attributes)) = (self.directories.get_mut(path), attributes) {
            directory.attributes = attributes;
        }
        Ok(())
    }

    fn directory_in(&mut self, parent: &OwnedFd, name: &[u8], full: &[u8]) -> Result<(), Failure> {
        let make = || rustix::fs::mkdirat(parent, name, Mode::RWXU);
        let opaque = match make() {
            Ok(()) => false,
            Err(rustix::io::Errno::EXIST) => match beneath::kind(parent, name)? {
                Some(FileType::Directory) => return Ok(()),
                _ => {
                    // What was here, a whiteout or a file, hid what is below; the directory in its place must go on doing so.
                    self.remove(parent, name, full)?;
                    make()?;
                    true
                }
            },
            Err(errno) => return Err(errno.into()),
        };
        self.directories.insert(full.to_vec(), Directory { attributes: IMPLIED, opaque });
        Ok(())
    }

    /// Opens a directory as the parent of what comes next, making what is missing of it.
    fn enter(&mut self, path: &[u8]) -> Result<(), Failure> {
        if self.parent.as_ref().is_some_and(|(known, _)| known == path && self.directories.contains_key(path)) {
            return Ok(());
        }
        self.parent = None;
        let opened = match self.root.directory(path, OFlags::PATH) {
            Ok(opened) => opened,
            Err(_) => {
                self.make_all(path)?;
                self.root.directory(path, OFlags::PATH)?
            }
        };
        self.parent = Some((path.to_vec(), opened));
        Ok(())
    }

    fn make_all(&mut self, path: &[u8]) -> Result<(), Failure> {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut parent = self.root.directory(b"", OFlags::PATH)?;
        for end in slashes.chain([path.len()]) {
            let above = &path[..end];
            let name = path::split(above).1;
            self.directory_in(&parent, name, above)?;
            parent = Beneath::child(&parent, name)?;
        }
        Ok(())
    }
}

fn times((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: i64::from(nanos) };
    Timestamps { last_access: time, last_modification: time }
}
