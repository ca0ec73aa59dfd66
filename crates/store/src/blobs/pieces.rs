//! A blob on its way out, piece by piece. What lies in the page cache is read at once, without another thread: that is a copy of some
//! microseconds. What has to come from the disk is read where blocking is allowed.

use std::{
    fs::File,
    io::{self, IoSliceMut},
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use rustix::{
    fs::{Advice, fadvise},
    io::{Errno, ReadWriteFlags, preadv2},
};

use crate::error::Error;

/// Small enough to stay in the processor's cache between reading and sending.
const PIECE_BYTES: usize = 128 << 10;

/// Buffers kept for the next download.
const KEPT_BUFFERS: usize = 16;

/// Bytes of a blob still to come.
#[derive(Debug)]
pub struct Pieces(From);

#[derive(Debug)]
enum From {
    File(Reading),
    #[cfg(feature = "s3")]
    Object(super::s3::Object),
}

impl Pieces {
    pub(super) fn of_file(file: File, buffers: Buffers, first: u64, count: u64) -> Self {
        // Advice only; a file system that takes none reads as well.
        let _ = fadvise(&file, first, None, Advice::Sequential);
        Self(From::File(Reading { file: Arc::new(file), buffers, at: first, left: count }))
    }

    #[cfg(feature = "s3")]
    pub(super) fn of_object(object: super::s3::Object) -> Self {
        Self(From::Object(object))
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Bucket`] when the blob cannot be read, also when it is shorter than it should be.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match &mut self.0 {
            From::File(reading) => reading.next().await.map_err(|source| Error::file("read", "a blob", source)),
            #[cfg(feature = "s3")]
            From::Object(object) => object.next().await,
        }
    }
}

/// A file and which bytes of it are still wanted.
#[derive(Debug)]
struct Reading {
    file: Arc<File>,
    buffers: Buffers,
    at: u64,
    left: u64,
}

impl Reading {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        if want == 0 {
            return Ok(None);
        }
        let mut lent = self.buffers.lend(want);
        let (buffer, at) = (lent.bytes.get_mut(..want).unwrap_or_default(), self.at);
        let read = match preadv2(&self.file, &mut [IoSliceMut::new(buffer)], at, ReadWriteFlags::NOWAIT) {
            Ok(read) => read,
            // Not in the page cache, or a file system that cannot tell.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => {
                let file = Arc::clone(&self.file);
                let waited = tokio::task::spawn_blocking(move || {
                    let read = file.read_at(lent.bytes.get_mut(..want).unwrap_or_default(), at)?;
                    Ok::<_, io::Error>((lent, read))
                });
                let (back, read) = waited.await.map_err(io::Error::other)??;
                lent = back;
                read
            }
            Err(error) => return Err(error.into()),
        };
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a blob's file is shorter than its row says"));
        }
        lent.filled = read;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(Some(Bytes::from_owner(lent)))
    }
}

/// Buffers that come back when they are sent: new memory for each piece would cost more than the copying.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    fn lend(&self, want: usize) -> Lent {
        if want < PIECE_BYTES {
            return Lent { bytes: vec![0; want], filled: 0, home: self.clone() };
        }
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lent { bytes: kept.unwrap_or_else(|| vec![0; PIECE_BYTES]), filled: 0, home: self.clone() }
    }
}

struct Lent {
    bytes: Vec<u8>,
    filled: usize,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if self.bytes.len() == PIECE_BYTES && kept.len() < KEPT_BUFFERS {
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(content: &[u8], first: u64, count: u64) -> Result<Vec<u8>, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, content).unwrap();
        let mut pieces = Pieces::of_file(File::open(path).unwrap(), Buffers::default(), first, count);
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().await? {
            assert!(!piece.is_empty());
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn a_file_that_is_too_short_is_an_error() {
        let error = read(b"abc", 0, 4).await.unwrap_err();
        assert!(matches!(&error, Error::File { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof), "{error}");
    }

    #[tokio::test]
    async fn a_buffer_that_comes_back_is_used_again_and_holds_nothing_of_before() {
        let dir = tempfile::tempdir().unwrap();
        let (path, buffers) = (dir.path().join("f"), Buffers::default());
        let content: Vec<u8> = (0..PIECE_BYTES * 3).map(|n| (n / PIECE_BYTES) as u8 + 1).collect();
        std::fs::write(&path, &content).unwrap();
        let mut pieces = Pieces::of_file(File::open(path).unwrap(), buffers.clone(), 0, content.len() as u64);
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().await.unwrap() {
            all.extend_from_slice(&piece);
            drop(piece);
            assert_eq!(buffers.0.lock().unwrap().len(), 1);
        }
        assert!(all == content);
    }
}
