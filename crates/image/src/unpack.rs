//! Layers on disk, each in its own directory, made once and shared by every image that has them.
//!
//! A directory holds one layer and nothing of the layers below, ready to be mounted by an overlay file system: a whiteout is a character device
//! 0:0, an opaque directory has the attribute `trusted.overlay.opaque` (`user.overlay.opaque` when not unpacked by root). A directory that the
//! layer does not list itself but has files in is made with mode 0755 and owner 0:0, and as everywhere with overlays these hide the mode and
//! owner it may have in a layer below; tools that make layers list the directories for that reason.

use std::{
    collections::HashMap,
    fs, io,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use model::digest::{Algorithm, Digest, Hasher};

use crate::{
    caps::Caps,
    error::Error,
    evidence::{LayerEvidence, LayerProblem},
    extract::Extractor,
    inflate::Inflate,
    source::BlobSource,
    tar::TarReader,
};

/// In front of the names of directories that are being made.
const UNFINISHED: &str = ".unpacking-";

/// Unpacked layers, by diffID.
#[derive(Debug)]
pub struct LayerCache {
    dir: PathBuf,
    /// One lock per layer being unpacked by this process.
    busy: Mutex<HashMap<Digest, Arc<Mutex<()>>>>,
}

impl LayerCache {
    /// Uses `dir`, made when it is first needed.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), busy: Mutex::default() }
    }

    /// Removes what a killed process left half done. Call it before anybody else uses the directory.
    pub fn sweep(&self) -> Result<(), Error> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { action, path, source }
        };
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(failed("list", &self.dir))?,
        };
        for entry in entries {
            let entry = entry.map_err(failed("list", &self.dir))?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                fs::remove_dir_all(entry.path()).map_err(failed("remove", &entry.path()))?;
            }
        }
        Ok(())
    }

    /// The directory of an unpacked layer; unpacks it first if need be. Callers at the same time wait for one of them, or, in other processes,
    /// the first to finish wins.
    pub fn ensure(&self, source: &dyn BlobSource, layer: &LayerEvidence, caps: &Caps) -> Result<PathBuf, Error> {
        let broken = |problem: &LayerProblem| Error::BrokenLayer { digest: layer.digest.clone(), problem: problem.clone() };
        if let Some(problem) = layer.broken() {
            return Err(broken(problem));
        }
        let diff_id = layer.diff_id.as_ref().ok_or_else(|| broken(&LayerProblem::NotATar))?;
        let finished = self.dir.join(diff_id.hex());
        let lock = Arc::clone(self.busy.lock().unwrap_or_else(PoisonError::into_inner).entry(diff_id.clone()).or_default());
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = if finished.is_dir() { Ok(()) } else { self.make(source, layer, diff_id, &finished, caps) };
        drop(guard);
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(diff_id);
        outcome.map(|()| finished)
    }

    fn make(&self, source: &dyn BlobSource, layer: &LayerEvidence, diff_id: &Digest, finished: &Path, caps: &Caps) -> Result<(), Error> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { action, path, source }
        };
        fs::create_dir_all(&self.dir).map_err(failed("make", &self.dir))?;
        let unfinished = self.new_directory(diff_id).map_err(failed("make a folder in", &self.dir))?;
        let outcome = unpack(source, layer, diff_id, &unfinished, caps).and_then(|()| match fs::rename(&unfinished, finished) {
            // Another process was faster; a layer's content is the same whoever unpacks it.
            Err(_) if finished.is_dir() => fs::remove_dir_all(&unfinished).map_err(failed("remove", &unfinished)),
            other => other.map_err(failed("rename", &unfinished)),
        });
        if outcome.is_err() {
            // The first error is the one worth telling; what is left here goes with the next sweep.
            let _ = fs::remove_dir_all(&unfinished);
        }
        outcome
    }

    /// A directory nobody else uses, in the same file system as the finished one.
    fn new_directory(&self, diff_id: &Digest) -> io::Result<PathBuf> {
        let mut attempt = 0u32;
        loop {
            let path = self.dir.join(format!("{UNFINISHED}{}-{}-{attempt}", diff_id.short(), std::process::id()));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 10_000 => attempt += 1,
                other => return other.map(|()| path),
            }
        }
    }
}

/// Unpacks a layer into an empty directory.
fn unpack(source: &dyn BlobSource, layer: &LayerEvidence, diff_id: &Digest, directory: &Path, caps: &Caps) -> Result<(), Error> {
    let digest = &layer.digest;
    let mut blob = source.open(digest)?;
    let mut plain = Hasher::new(Algorithm::Sha256);
    let mut inflate = Inflate::new(caps);
    let mut reader = TarReader::new(caps);
    let mut extractor = Extractor::new(directory, digest, caps)?;
    let mut buffer = vec![0; 256 << 10];
    let problem = loop {
        let taken = match blob.read(&mut buffer) {
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(Error::Blob { digest: digest.clone(), source }),
        };
        let mut sink = |bytes: &[u8]| {
            plain.update(bytes);
            reader.push(bytes, &mut extractor);
        };
        if taken == 0 {
            break inflate.finish(&mut sink);
        }
        inflate.push(&buffer[..taken], &mut sink);
        extractor.check()?;
    };
    extractor.check()?;
    if let Some(problem) = problem.filter(LayerProblem::breaks).or_else(|| reader.finish()) {
        return Err(Error::BrokenLayer { digest: digest.clone(), problem });
    }
    if plain.finish() != *diff_id {
        return Err(Error::BlobChanged { digest: digest.clone() });
    }
    extractor.finish()
}

#[cfg(test)]
mod tests;
