//! The files an engine left, seen in the upper directory of its overlay once it is gone. What is in there was made by the engine: names, depth and
//! number are its choice, so the look has caps and follows nothing.

use std::{
    collections::{BTreeSet, HashSet},
    os::fd::OwnedFd,
    path::Path,
};

use model::run::{FilesWritten, WrittenFile};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat};

/// Directories below each other that are looked into; one descriptor is open per level.
const DEPTH: usize = 64;
/// Characters of a path in the record.
const PATH: usize = 200;

/// Files as they were before the engine began: inode and time of the latest change.
#[derive(Default)]
pub(super) struct Before(HashSet<(u64, i64, i64)>);

impl Before {
    /// Remembers what is there already, which is ours: `/etc/hosts` and the like.
    pub(super) fn new(upper: &Path) -> Self {
        let nothing = Self::default();
        let mut look = Look::new(&nothing);
        look.everything(upper);
        Self(look.seen)
    }
}

/// Looks at everything under `upper` that is new or changed.
pub(super) fn files(upper: &Path, before: &Before) -> FilesWritten {
    let mut look = Look::new(before);
    look.everything(upper);
    FilesWritten { first: look.first.into_iter().collect(), ..look.found }
}

struct Look<'a> {
    before: &'a Before,
    seen: HashSet<(u64, i64, i64)>,
    found: FilesWritten,
    first: BTreeSet<WrittenFile>,
}

impl<'a> Look<'a> {
    fn new(before: &'a Before) -> Self {
        Self { before, seen: HashSet::new(), found: FilesWritten::default(), first: BTreeSet::new() }
    }

    fn everything(&mut self, upper: &Path) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(CWD, upper, flags, Mode::empty()) {
            Ok(root) => self.directory(&root, "", 0),
            Err(_) => self.found.more_below = true,
        }
    }

    fn directory(&mut self, directory: &OwnedFd, path: &str, depth: usize) {
        let Ok(entries) = Dir::read_from(directory) else {
            self.found.more_below = true;
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(stat) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let path = format!("{path}/{}", name.to_string_lossy());
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => self.file(path, &stat),
                FileType::Symlink => self.keep(path, 0),
                FileType::Directory if depth == DEPTH => self.found.more_below = true,
                FileType::Directory => {
                    match openat(directory, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
                        Ok(inner) => self.directory(&inner, &path, depth + 1),
                        Err(_) => self.found.more_below = true,
                    }
                }
                _ => {}
            }
        }
    }

    fn file(&mut self, path: String, stat: &Stat) {
        let state = (stat.st_ino, stat.st_ctime, stat.st_ctime_nsec as i64);
        if self.before.0.contains(&state) {
            return;
        }
        // A file with several names takes its space once.
        let is_new = self.seen.insert(state);
        let stored = (stat.st_size.max(0) as u64).min((stat.st_blocks.max(0) as u64) * 512);
        self.keep(path, if is_new { stored } else { 0 });
    }

    fn keep(&mut self, path: String, bytes: u64) {
        self.found.count += 1;
        self.found.bytes += bytes;
        let path = if path.chars().nth(PATH).is_some() { path.chars().take(PATH).collect() } else { path };
        self.first.insert(WrittenFile { path, bytes });
        if self.first.len() > FilesWritten::LISTED {
            self.first.pop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn look(dir: &Path) -> FilesWritten {
        files(dir, &Before::default())
    }

    #[test]
    fn files_are_counted_and_ours_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("etc/deep/er")).unwrap();
        fs::write(path("etc/hosts"), "ours").unwrap();
        fs::write(path("etc/deep/er/b"), "before").unwrap();
        let before = Before::new(dir.path());
        // Longer than the resolution of the times a file system keeps.
        let made = fs::metadata(path("etc/deep/er/b")).unwrap().modified().unwrap();
        while fs::metadata(path("etc/deep/er/b")).unwrap().modified().unwrap() == made {
            fs::write(path("etc/deep/er/b"), "12345").unwrap();
        }
        fs::write(path("a"), "123").unwrap();
        fs::hard_link(path("a"), path("z")).unwrap();
        fs::File::create(path("hole")).unwrap().set_len(1 << 40).unwrap();
        std::os::unix::fs::symlink("/etc", path("link")).unwrap();
        let found = files(dir.path(), &before);
        assert_eq!((found.count, found.bytes, found.more_below), (5, 8, false));
        let names: Vec<&str> = found.first.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(names, ["/a", "/etc/deep/er/b", "/hole", "/link", "/z"]);
    }

    #[test]
    fn neither_depth_nor_number_nor_length_is_the_engine_s_to_choose() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..300 {
            fs::write(dir.path().join(format!("{n:03}{}", "x".repeat(240))), "").unwrap();
        }
        let mut deep = dir.path().join("deep");
        for _ in 0..80 {
            deep.push("d");
        }
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("bottom"), "x").unwrap();
        let found = look(dir.path());
        assert_eq!((found.count, found.first.len(), found.more_below), (300, FilesWritten::LISTED, true));
        assert!(found.first[0].path.starts_with("/000x") && found.first[99].path.starts_with("/099x"));
        assert_eq!(found.first[0].path.len(), 200);
    }

    #[test]
    fn what_cannot_be_looked_at_is_said() {
        assert!(look(Path::new("/nonexistent")).more_below);
    }
}
