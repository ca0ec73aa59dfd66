//! What takes long to make and does not change: made once, by whoever needs it first, and kept for the next run.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::built;

/// The folder: `PLIMSOLL_TEST_CACHE`, else `target/test-cache`. It may be removed at any time.
fn folder() -> PathBuf {
    let chosen = std::env::var_os("PLIMSOLL_TEST_CACHE").filter(|path| !path.is_empty()).map(PathBuf::from);
    chosen.unwrap_or_else(|| built().parent().unwrap().join("test-cache"))
}

/// The file `name` of the cache. If it is not there, `make` writes it under another name and it is moved into place; meanwhile everybody
/// else who wants it waits.
pub fn kept(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let folder = folder();
    let path = folder.join(name);
    if path.exists() {
        return path;
    }
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !path.exists() {
        let unfinished = folder.join(format!("{name}.unfinished"));
        make(&unfinished);
        fs::rename(&unfinished, &path).unwrap();
    }
    path
}
