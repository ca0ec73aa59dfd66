//! The few system calls that unpacking is made of, each unable to leave the directory it starts from.

use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags},
    io::{Errno, Result},
};

/// A directory, and what is under it.
pub(crate) struct Beneath(OwnedFd);

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);
const STAY: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_XDEV);

impl Beneath {
    pub fn open(directory: &Path) -> Result<Self> {
        fs::open(directory, OFlags::PATH | DIRECTORY, Mode::empty()).map(Self)
    }

    /// Opens a directory under it by its normal path (empty for itself). No symbolic link is followed, in none of its parts.
    pub fn directory(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        fs::openat2(&self.0, path, flags | DIRECTORY, Mode::empty(), STAY)
    }

    /// Opens a directory by its one name in another.
    pub fn child(parent: &OwnedFd, name: &[u8]) -> Result<OwnedFd> {
        fs::openat2(parent, name, OFlags::PATH | DIRECTORY, Mode::empty(), STAY)
    }
}

/// What is under a name. `None` if there is nothing.
pub(crate) fn kind(parent: &OwnedFd, name: &[u8]) -> Result<Option<FileType>> {
    match fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// What an overlay file system takes for a whiteout.
pub(crate) fn make_whiteout(parent: &OwnedFd, name: &[u8]) -> Result<()> {
    fs::mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), fs::makedev(0, 0))
}

/// Removes a file, or a directory with all that is in it. Whether it was a directory.
///
/// One descriptor is open per level; the depth of a path is capped far below the usual limit of open files.
pub(crate) fn remove(parent: impl AsFd, name: &[u8]) -> Result<bool> {
    let parent = parent.as_fd();
    match fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(false),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    let mut entries = fs::Dir::new(open_to_empty(parent, name)?)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let inner = entry.file_name().to_bytes();
        if !matches!(inner, b"." | b"..") {
            remove(entries.fd()?, inner)?;
        }
    }
    match fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(errno) => Err(errno),
    }
}

/// Opens a directory whose content is to go. Its mode may lock out its own owner, unless that is root.
fn open_to_empty(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    let parent = parent.as_fd();
    let open = |flags: OFlags| fs::openat2(parent, name, flags | DIRECTORY, Mode::empty(), STAY);
    let directory = match open(OFlags::RDONLY) {
        Err(Errno::ACCESS) => {
            let locked = open(OFlags::PATH)?;
            // The descriptor itself, whatever has its name by now.
            fs::chmod(format!("/proc/self/fd/{}", locked.as_raw_fd()), Mode::RWXU)?;
            open(OFlags::RDONLY)?
        }
        other => other?,
    };
    if !rustix::process::geteuid().is_root() {
        fs::fchmod(&directory, Mode::RWXU)?;
    }
    Ok(directory)
}

/// Removes a file or directory by its path, with all that is in it.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::INVAL) };
    match fs::open(above, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(parent) => remove(&parent, name.as_encoded_bytes()).map(drop),
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("in/side")).unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("in/out")).unwrap();
        std::os::unix::fs::symlink("side", dir.path().join("in/near")).unwrap();
        let beneath = Beneath::open(dir.path()).unwrap();
        assert!(beneath.directory(b"in/side", OFlags::PATH).is_ok());
        assert!(beneath.directory(b"", OFlags::PATH).is_ok());
        for path in [&b"in/out"[..], b"in/out/apt", b"in/near", b"..", b"in/../..", b"/etc"] {
            assert!(beneath.directory(path, OFlags::PATH).is_err(), "{}", String::from_utf8_lossy(path));
        }
    }

    #[test]
    fn removing_does_not_follow_links() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("precious"), "x").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
        std::fs::write(dir.path().join("a/b/file"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("a/b/c/link")).unwrap();
        let root = Beneath::open(dir.path()).unwrap().directory(b"", OFlags::PATH).unwrap();
        assert_eq!(remove(&root, b"a"), Ok(true));
        assert_eq!(remove(&root, b"a"), Ok(false));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(outside.path().join("precious").exists());
    }
}
