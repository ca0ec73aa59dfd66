//! Puts a new database in the place of the present one, in one step, once it is proved.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::Database;
use crate::Error;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installed {
    /// The present one is the same.
    Same,
    /// The new one is in place.
    New {
        /// Where the one before is kept, if there was one.
        former: Option<PathBuf>,
    },
}

/// Reads the new database from its first byte to its last, and moves it to `target`. Both are on one file system. The one before is kept beside
/// it, with `.former` at the end of its name. Whoever opens `target` meanwhile finds the one or the other, whole.
///
/// # Errors
/// The new one cannot be used; it is older than the present one, unless that is allowed; a file cannot be written. The present one is then
/// untouched.
pub fn install(new: &Path, target: &Path, allow_older: bool) -> Result<Installed, Error> {
    let found = Database::open(new)?;
    found.verify()?;
    // A present one that cannot be used keeps nobody from a good one.
    if let Ok(present) = Database::open(target) {
        let (present_is_whole, known) = (present.verify().is_ok(), present.meta());
        if present_is_whole && present.id() == found.id() {
            return Ok(Installed::Same);
        }
        // Time by time from the youngest: what both have, such as a date in the future, says nothing.
        let differs = found.meta().recent.iter().zip(&known.recent).find(|(new, present)| new != present);
        if let Some((new, present)) = differs.filter(|(new, present)| !allow_older && new < present) {
            return Err(Error::Older { new: new.clone(), present: present.clone() });
        }
    }
    let former = swap(new, target, &mut || Ok(()))?;
    Ok(Installed::New { former })
}

/// Where the one before is kept. `step` is called between any two steps; whatever ends it there, the present one or the new one is in place.
fn swap(new: &Path, target: &Path, step: &mut dyn FnMut() -> Result<(), Error>) -> Result<Option<PathBuf>, Error> {
    let failed = |action: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| Error::file(action, path, source)
    };
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(new).and_then(|file| file.sync_all()).map_err(failed("sync", new))?;
    step()?;
    let former = target.exists().then(|| with(target, ".former"));
    if let Some(former) = &former {
        // A second name first, so that the present one never lacks its own.
        let link = with(target, ".former.new");
        match fs::remove_file(&link) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed("remove", &link)(error)),
            _ => {}
        }
        step()?;
        fs::hard_link(target, &link).map_err(failed("keep", target))?;
        step()?;
        fs::rename(&link, former).map_err(failed("keep", former))?;
        step()?;
    }
    fs::rename(new, target).map_err(failed("replace", target))?;
    step()?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))?;
    Ok(former)
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisories::Builder;

    fn made(dir: &Path, name: &str, id: &str, modified: &str) -> PathBuf {
        let (source, to) = (dir.join(format!("{id}.json")), dir.join(name));
        let record = format!(
            r#"{{"id": "{id}", "modified": "{modified}", "affected": [{{"package": {{"ecosystem": "npm", "name": "a"}}, "versions": ["1.0.0"]}}]}}"#
        );
        fs::write(&source, record).unwrap();
        let mut builder = Builder::default();
        builder.add(&source, &mut |_| {}).unwrap();
        builder.write(&to).unwrap();
        to
    }

    #[test]
    fn the_newer_takes_the_place_and_the_former_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.db");
        let former = dir.path().join("a.db.former");
        let id = |path: &Path| Database::open(path).unwrap().id();
        assert_eq!(install(&made(dir.path(), "1", "A", "2026-01-01T00:00:00Z"), &target, false).unwrap(), Installed::New { former: None });
        let first = id(&target);
        assert_eq!(install(&made(dir.path(), "1", "A", "2026-01-01T00:00:00Z"), &target, false).unwrap(), Installed::Same);
        let newer = made(dir.path(), "2", "B", "2026-02-01T00:00:00Z");
        assert_eq!(install(&newer, &target, false).unwrap(), Installed::New { former: Some(former.clone()) });
        assert_eq!((id(&former), newer.exists()), (first.clone(), false));
        let second = id(&target);
        let older = made(dir.path(), "3", "A", "2026-01-01T00:00:00Z");
        let error = install(&older, &target, false).unwrap_err().to_string();
        assert!(error.contains("2026-01-01") && error.contains("--allow-older"), "{error}");
        assert_eq!(id(&target), second);
        install(&older, &target, true).unwrap();
        assert_eq!((id(&target), id(&former)), (first, second));
    }

    #[test]
    fn whatever_ends_it_between_two_steps_one_of_them_is_in_place_and_the_next_attempt_succeeds() {
        let dir = tempfile::tempdir().unwrap();
        let (target, former) = (dir.path().join("a.db"), dir.path().join("a.db.former"));
        let whole = |path: &Path| {
            let database = Database::open(path).unwrap();
            database.verify().unwrap();
            database.id()
        };
        let present = || made(dir.path(), "1", "A", "2026-01-01T00:00:00Z");
        let newer = || made(dir.path(), "2", "B", "2026-02-01T00:00:00Z");
        let ids = [whole(&present()), whole(&newer())];
        let mut seen = Vec::new();
        for last in 0.. {
            install(&present(), &target, true).unwrap();
            let mut left = last;
            let ended = swap(&newer(), &target, &mut || {
                left -= 1;
                if left < 0 { Err(Error::NotADatabase { path: "the end".into() }) } else { Ok(()) }
            });
            if ended.is_ok() {
                break;
            }
            seen.push(whole(&target));
            assert!(!former.exists() || ids.contains(&whole(&former)));
            install(&newer(), &target, false).unwrap();
            assert_eq!((whole(&target), whole(&former)), (ids[1].clone(), ids[0].clone()), "after step {last}");
        }
        assert_eq!(seen, [[&ids[0]; 4].as_slice(), &[&ids[1]]].concat().into_iter().cloned().collect::<Vec<_>>());
    }

    #[test]
    fn a_record_dated_into_the_future_keeps_nothing_young() {
        let dir = tempfile::tempdir().unwrap();
        made(dir.path(), "1", "A", "2026-01-01T00:00:00Z");
        made(dir.path(), "1", "B", "2099-01-01T00:00:00Z");
        let build = |names: &[&str], to: &str| {
            let mut builder = Builder::default();
            names.iter().for_each(|name| builder.add(&dir.path().join(format!("{name}.json")), &mut |_| {}).unwrap());
            builder.write(&dir.path().join(to)).unwrap()
        };
        let meta = build(&["A", "B"], "older.db");
        assert_eq!(meta.newest_until("2026-02-01T00:00:00Z"), Some("2026-01-01T00:00:00Z"));
        assert_eq!(meta.newest_until("2025-02-01T00:00:00Z"), None);
        made(dir.path(), "1", "C", "2026-01-15T00:00:00Z");
        build(&["A", "B", "C"], "newer.db");
        let target = dir.path().join("a.db");
        install(&dir.path().join("newer.db"), &target, false).unwrap();
        let error = install(&dir.path().join("older.db"), &target, false).unwrap_err().to_string();
        assert!(error.contains("2026-01-01") && error.contains("2026-01-15"), "{error}");
    }

    #[test]
    fn what_cannot_be_used_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.db");
        install(&made(dir.path(), "1", "A", "2026-01-01T00:00:00Z"), &target, false).unwrap();
        let bytes = fs::read(&target).unwrap();
        let bad = dir.path().join("bad.db");
        for content in [b"no database".to_vec(), bytes[..bytes.len() - 1].to_vec(), [&bytes[..90], b"?", &bytes[91..]].concat()] {
            fs::write(&bad, content).unwrap();
            install(&bad, &target, true).unwrap_err();
            assert_eq!(fs::read(&target).unwrap(), bytes);
        }
        fs::write(&target, "broken").unwrap();
        install(&made(dir.path(), "2", "A", "2026-01-01T00:00:00Z"), &target, false).unwrap();
        assert_eq!(fs::read(&target).unwrap(), bytes);
    }
}
