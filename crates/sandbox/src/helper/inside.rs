//! Files inside the engine's root, as the engine would see them: links lead nowhere outside.
//!
//! No process of the engine runs yet, so only what lies in the image can be hostile, not what happens meanwhile.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::Path,
};

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, mkdirat, openat, openat2, statat, unlinkat},
    io::Errno,
};

use super::{Trouble, during};

/// The engine's root.
pub(crate) struct Inside {
    root: OwnedFd,
    /// To whom what is made belongs.
    owner: (Uid, Gid),
}

impl Inside {
    pub(crate) fn open(root: &Path, owner: (Uid, Gid)) -> Result<Self, Trouble> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(rustix::fs::CWD, root, flags, Mode::empty()).map_err(during("open the root file system"))?;
        Ok(Self { root, owner })
    }

    fn give_away(&self, dir: &OwnedFd, name: &str) -> Result<(), Errno> {
        chownat(dir, name, Some(self.owner.0), Some(self.owner.1), AtFlags::SYMLINK_NOFOLLOW)
    }

    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    /// The beginning of a regular file, at most `cap` bytes; `None` if there is none that can be read.
    pub(crate) fn read(&self, path: &str, cap: u64) -> Option<Vec<u8>> {
        let found = self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).ok()?;
        let file = File::from(found);
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(cap).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Kind and permissions of what a path leads to; `None` if it leads to nothing.
    pub(crate) fn mode(&self, path: &str) -> Option<u32> {
        let found = self.resolve(path, OFlags::PATH).ok()?;
        Some(rustix::fs::fstat(&found).ok()?.st_mode)
    }

    /// Opens a directory, making what is missing of it.
    pub(crate) fn make_dir(&self, path: &str) -> Result<OwnedFd, Errno> {
        let mut at = self.resolve("/", OFlags::PATH | OFlags::DIRECTORY)?;
        let mut walked = String::new();
        for part in parts(path) {
            walked = format!("{walked}/{part}");
            at = match self.resolve(&walked, OFlags::PATH | OFlags::DIRECTORY) {
                Err(Errno::NOENT) => {
                    mkdirat(&at, part, Mode::from_raw_mode(0o755))?;
                    self.give_away(&at, part)?;
                    self.resolve(&walked, OFlags::PATH | OFlags::DIRECTORY)?
                }
                other => other?,
            };
        }
        Ok(at)
    }

    /// Puts a file there, in place of whatever is there.
    pub(crate) fn put(&self, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        let (dir, name) = path.rsplit_once('/').ok_or(Errno::INVAL)?;
        let dir = self.make_dir(dir)?;
        remove_other_than(&dir, name, FileType::Unknown)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&dir, name, flags, Mode::from_raw_mode(mode))?;
        self.give_away(&dir, name)?;
        File::from(file).write_all(bytes)
    }

    /// Sees to it that a file can be mounted over `path`, without following a link there.
    pub(crate) fn make_file_mount_point(&self, path: &str) -> io::Result<()> {
        let (dir, name) = path.rsplit_once('/').ok_or(Errno::INVAL)?;
        let dir = self.make_dir(dir)?;
        remove_other_than(&dir, name, FileType::RegularFile)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&dir, name, flags, Mode::from_raw_mode(0o644))?;
        Ok(())
    }

    /// Whether a top-level name is taken, by whatever.
    pub(crate) fn has(&self, name: &str) -> bool {
        statat(&self.root, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Sees to it that a top-level name is a directory and no link: libcontainer follows links there, out of the root and into the host.
    pub(crate) fn make_real_dir(&self, name: &str, mode: u32) -> io::Result<()> {
        remove_other_than(&self.root, name, FileType::Directory)?;
        match mkdirat(&self.root, name, Mode::from_raw_mode(mode & 0o777)) {
            // The mask would take bits away, and the sticky bit of /tmp needs its own call.
            Ok(()) => {
                self.give_away(&self.root, name)?;
                Ok(rustix::fs::chmodat(&self.root, name, Mode::from_raw_mode(mode), AtFlags::empty())?)
            }
            Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Removes what has this name unless it is of the wanted kind; a directory in the way of a file is an error.
fn remove_other_than(dir: &OwnedFd, name: &str, wanted: FileType) -> Result<(), Errno> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
        Ok(found) if FileType::from_raw_mode(found.st_mode) == wanted => Ok(()),
        Ok(_) => unlinkat(dir, name, AtFlags::empty()),
    }
}

/// The parts of a path with `.` and `..` worked out as far as the text goes.
pub(crate) fn parts(path: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                found.pop();
            }
            name => found.push(name),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    fn inside() -> (tempfile::TempDir, Inside) {
        let dir = tempfile::tempdir().unwrap();
        let inside = Inside::open(dir.path(), (rustix::process::getuid(), rustix::process::getgid())).unwrap();
        (dir, inside)
    }

    #[test]
    fn links_lead_nowhere_outside() {
        let (dir, inside) = inside();
        symlink("/etc", dir.path().join("etc")).unwrap();
        symlink("../../../../etc/passwd", dir.path().join("up")).unwrap();
        assert_eq!(inside.read("/etc/passwd", 100), None);
        assert_eq!(inside.read("/up", 100), None);
        inside.make_dir("/real").unwrap();
        symlink("/real", dir.path().join("link")).unwrap();
        inside.put("/link/a", 0o600, b"x").unwrap();
        assert_eq!(fs::read(dir.path().join("real/a")).unwrap(), b"x");
        assert_eq!(inside.read("/link/a", 100).unwrap(), b"x");
    }

    #[test]
    fn a_dangling_link_is_no_way_to_make_something_outside() {
        let (dir, inside) = inside();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path().join("new"), dir.path().join("link")).unwrap();
        assert!(inside.make_dir("/link").is_err());
        inside.put("/link", 0o644, b"x").unwrap();
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert!(dir.path().join("link").symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn mount_points_become_what_they_must_be() {
        let (dir, inside) = inside();
        symlink("/etc", dir.path().join("dev")).unwrap();
        inside.make_real_dir("dev", 0o755).unwrap();
        inside.make_real_dir("tmp", 0o1777).unwrap();
        assert!(dir.path().join("dev").symlink_metadata().unwrap().is_dir());
        assert_eq!(dir.path().join("tmp").metadata().unwrap().permissions().mode() & 0o7777, 0o1777);
        inside.make_dir("/a/b").unwrap();
        assert!(inside.make_file_mount_point("/a/b").is_err(), "a directory is in the way");
        inside.make_file_mount_point("/a/c").unwrap();
        assert!(dir.path().join("a/c").is_file());
    }

    #[test]
    fn what_is_no_regular_file_is_not_read() {
        let (dir, inside) = inside();
        fs::create_dir(dir.path().join("d")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert_eq!(inside.read("/d", 9), None);
        assert_eq!(inside.read("/fifo", 9), None);
        fs::write(dir.path().join("f"), "0123456789").unwrap();
        assert_eq!(inside.read("/f", 4).unwrap(), b"0123");
    }

    #[test]
    fn dots_cannot_climb() {
        assert_eq!(parts("/../a/./b/../c//"), ["a", "c"]);
    }
}
