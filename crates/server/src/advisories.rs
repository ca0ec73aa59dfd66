//! The advisory database of the settings. When its file is replaced, the new one is read from the next question on; a file that cannot be
//! used changes nothing, and the log says so.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::Context;
use scan::Database;

use crate::error::chain;

/// The database, if one is set.
#[derive(Debug)]
pub struct Advisories {
    path: PathBuf,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    database: Option<Database>,
    /// The file last looked at, whether or not it could be used.
    file: Option<File>,
}

/// What tells one file at a path from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct File {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl File {
    fn at(path: &Path) -> std::io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self { device: found.dev(), inode: found.ino(), size: found.len(), modified: (found.mtime(), found.mtime_nsec()) })
    }
}

impl Advisories {
    /// Opens the database at `path`; an empty path means that there is none. A database that is named must be there: a gate that was told
    /// to scan never goes on without.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let (file, database) = if path.as_os_str().is_empty() {
            (None, None)
        } else {
            // Looked at first: if it is replaced in between, it is opened once more.
            let file = File::at(path).ok();
            let database =
                open(path).with_context(|| format!("the advisory database {} cannot be used; check advisories.path", path.display()))?;
            (file, Some(database))
        };
        Ok(Self { path: path.into(), held: Mutex::new(Held { database, file }) })
    }

    /// The database as it is now. Blocks.
    pub fn current(&self) -> Option<Database> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.database.as_ref()?;
        let found = File::at(&self.path).ok();
        if found == held.file {
            return held.database.clone();
        }
        held.file = found;
        match open(&self.path) {
            Ok(database) => {
                tracing::info!(id = database.id(), newest = database.meta().newest, "the advisory database was replaced");
                held.database = Some(database);
            }
            Err(error) => {
                let path = self.path.display().to_string();
                tracing::error!(path, error = chain(&error), "the new advisory database cannot be used; the former one goes on being used");
            }
        }
        held.database.clone()
    }
}

/// Opens a file and compares all of it with its id.
fn open(path: &Path) -> Result<Database, scan::Error> {
    let database = Database::open(path)?;
    database.verify()?;
    Ok(database)
}

#[cfg(test)]
mod tests {
    use scan::advisories::Builder;

    use super::*;

    fn write(dir: &Path, name: &str, id: &str) -> PathBuf {
        let (source, to) = (dir.join(format!("{id}.json")), dir.join(name));
        let record =
            format!(r#"{{"id": "{id}", "affected": [{{"package": {{"ecosystem": "npm", "name": "a"}}, "versions": ["1.0.0"]}}]}}"#);
        fs::write(&source, record).unwrap();
        let mut builder = Builder::default();
        builder.add(&source, &mut |_| {}).unwrap();
        builder.write(&to).unwrap();
        to
    }

    #[test]
    fn a_replaced_file_is_used_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), "a.db", "X-1");
        let advisories = Advisories::open(&path).unwrap();
        let id = || advisories.current().unwrap().id();
        let first = id();
        fs::rename(write(dir.path(), "b.db", "X-2"), &path).unwrap();
        let second = id();
        assert_ne!(first, second);
        fs::write(dir.path().join("c.db"), "no database").unwrap();
        fs::rename(dir.path().join("c.db"), &path).unwrap();
        assert_eq!(id(), second);
        fs::remove_file(&path).unwrap();
        assert_eq!(id(), second);
        write(dir.path(), "a.db", "X-1");
        assert_eq!(id(), first);
    }

    #[test]
    fn none_is_none_and_a_named_one_must_be_there() {
        assert!(Advisories::open(Path::new("")).unwrap().current().is_none());
        let error = Advisories::open(Path::new("/nowhere/a.db")).unwrap_err();
        assert!(format!("{error:#}").contains("check advisories.path"), "{error:#}");
    }
}
