//! Unpacks one layer into a directory.
//!
//! A directory holds one layer and nothing of the layers below, ready to be mounted by an overlay file system: a whiteout is a character device
//! 0:0, an opaque directory has the attribute `trusted.overlay.opaque` (`user.overlay.opaque` when not unpacked by root of the host). A directory that the
//! layer does not list itself but has files in is made with mode 0755 and owner 0:0, and as everywhere with overlays these hide the mode and
//! owner it may have in a layer below; tools that make layers list the directories for that reason.
//!
//! One thread reads and inflates, the caller's hashes and writes.

use std::{
    io::{self, Read},
    path::Path,
    sync::mpsc::{Receiver, SyncSender, channel, sync_channel},
    thread,
};

use model::digest::{Algorithm, Hasher};

use crate::{
    caps::Caps,
    error::Error,
    evidence::{LayerEvidence, LayerProblem},
    extract::Extractor,
    inflate::Inflate,
    source::BlobSource,
    tar::TarReader,
};

/// Plain bytes handed from one thread to the other at a time.
const PIECE: usize = 256 << 10;
/// Pieces on their way.
const PIECES: usize = 4;

/// Unpacks a layer into an empty directory; the bytes it takes on disk, about.
pub(crate) fn unpack(source: &dyn BlobSource, layer: &LayerEvidence, directory: &Path, caps: &Caps) -> Result<u64, Error> {
    let digest = &layer.digest;
    let blob = source.open(digest)?;
    let failed = |source| Error::Blob { digest: digest.clone(), source };
    let mut plain = Hasher::new(Algorithm::Sha256);
    let mut reader = TarReader::new(caps);
    let mut extractor = Extractor::new(directory, digest, caps)?;
    let (full, filled) = sync_channel::<Vec<u8>>(PIECES);
    let (empty, emptied) = channel();
    let problem = thread::scope(|scope| {
        let inflating = thread::Builder::new().name("unpack".to_owned()).spawn_scoped(scope, move || inflate(blob, caps, full, emptied));
        let inflating = inflating.map_err(failed)?;
        for piece in filled {
            plain.update(&piece);
            reader.push(&piece, &mut extractor);
            extractor.check()?;
            // The other thread has ended when nobody takes it.
            let _ = empty.send(piece);
        }
        inflating.join().unwrap_or_else(|_| Err(io::Error::other("the thread that inflates panicked"))).map_err(failed)
    })?;
    if let Some(problem) = problem.filter(LayerProblem::breaks).or_else(|| reader.finish()) {
        return Err(Error::BrokenLayer { digest: digest.clone(), problem });
    }
    if Some(plain.finish()) != layer.diff_id {
        return Err(Error::BlobChanged { digest: digest.clone() });
    }
    extractor.finish()
}

/// Reads a blob to its end and hands on its plain bytes; stops when nobody takes them.
fn inflate(mut blob: impl Read, caps: &Caps, full: SyncSender<Vec<u8>>, emptied: Receiver<Vec<u8>>) -> io::Result<Option<LayerProblem>> {
    let mut inflate = Inflate::new(caps);
    let mut buffer = vec![0; 256 << 10];
    let mut piece = Vec::with_capacity(PIECE);
    let mut is_wanted = true;
    let mut sink = |bytes: &[u8]| {
        if piece.len() + bytes.len() > PIECE {
            let mut next: Vec<u8> = emptied.try_recv().unwrap_or_else(|_| Vec::with_capacity(PIECE));
            next.clear();
            is_wanted &= full.send(std::mem::replace(&mut piece, next)).is_ok();
        }
        piece.extend_from_slice(bytes);
        is_wanted
    };
    let mut goes_on = true;
    let problem = loop {
        let taken = match blob.read(&mut buffer) {
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if taken == 0 {
            break inflate.finish(&mut |bytes| goes_on = sink(bytes));
        }
        inflate.push(&buffer[..taken], &mut |bytes| goes_on = sink(bytes));
        if !goes_on {
            return Ok(None);
        }
    };
    // Whoever does not take the last piece has an error of its own.
    let _ = full.send(piece);
    Ok(problem)
}

#[cfg(test)]
mod tests;
