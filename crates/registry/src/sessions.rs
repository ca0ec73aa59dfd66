//! Uploads under way. What is in memory of one (hash so far, tap) can always be made again by reading its file once, so it may be
//! dropped at any time: after a fault, after a while, or with the process.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use model::{
    digest::{Algorithm, Digest},
    name::RepoName,
};
use sha2::{Digest as _, Sha256, Sha512};
use store::{blobs::Blobs, uploads::Upload};
use tokio::task::{JoinError, spawn_blocking};
use uuid::Uuid;

use crate::{
    quota::{Holding, Quotas},
    tap::{Tap, TapFactory},
};

/// Batches smaller than this are hashed and tapped on one thread; handing them to two would cost more.
const SPLIT_BYTES: usize = 256 << 10;

/// What is being written.
pub(crate) struct Live {
    sink: Sink,
    tap: Option<Box<dyn Tap>>,
}

/// The file and its hash, which always agree.
struct Sink {
    upload: Upload,
    hash: Sha256,
}

impl Sink {
    fn write(&mut self, pieces: &[Bytes]) -> Result<(), store::Error> {
        for piece in pieces {
            self.upload.append(piece)?;
            self.hash.update(piece);
        }
        Ok(())
    }
}

fn feed(tap: &mut dyn Tap, pieces: &[Bytes]) {
    for piece in pieces {
        tap.write(piece);
    }
}

/// Why a write to an upload failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("a thread that wrote an upload ended unexpectedly")]
    Thread(#[from] JoinError),
}

impl Live {
    /// A new, empty upload.
    pub(crate) fn create(blobs: &Blobs, id: Uuid, repository: &RepoName, tap: Option<&TapFactory>) -> Result<Self, store::Error> {
        let upload = Upload::create(blobs, id, repository)?;
        Ok(Self { sink: Sink { upload, hash: Sha256::new() }, tap: tap.map(|make| make()) })
    }

    /// Takes up an upload by reading what it has so far. Blocks.
    fn rebuild(blobs: &Blobs, id: Uuid, repository: &RepoName, tap: Option<&TapFactory>) -> Result<Option<Self>, store::Error> {
        let Some(mut upload) = Upload::find(blobs, id, repository)? else { return Ok(None) };
        let (mut hash, mut tap) = (Sha256::new(), tap.map(|make| make()));
        upload.replay(|piece| {
            hash.update(piece);
            if let Some(tap) = &mut tap {
                tap.write(piece);
            }
        })?;
        Ok(Some(Self { sink: Sink { upload, hash }, tap }))
    }

    /// Bytes received.
    pub(crate) fn len(&self) -> u64 {
        self.sink.upload.len()
    }

    /// Writes, hashes and taps the last bytes of an upload. Blocks. After an error this state is of no use.
    pub(crate) fn take(&mut self, pieces: &[Bytes]) -> Result<(), store::Error> {
        self.sink.write(pieces)?;
        if let Some(tap) = &mut self.tap {
            feed(&mut **tap, pieces);
        }
        Ok(())
    }

    /// Writes, hashes and taps a batch. After an error this state is gone, and the file is as long as what it holds.
    pub(crate) async fn absorb(mut self, pieces: Vec<Bytes>) -> Result<Self, WriteError> {
        let large = pieces.iter().map(Bytes::len).sum::<usize>() >= SPLIT_BYTES;
        let beside = self.tap.take_if(|_| large).map(|mut tap| {
            let same = pieces.clone();
            spawn_blocking(move || {
                feed(&mut *tap, &same);
                tap
            })
        });
        let written = spawn_blocking(move || -> Result<Self, store::Error> {
            self.take(&pieces)?;
            Ok(self)
        });
        let written = written.await;
        let tap = match beside {
            Some(beside) => Some(beside.await?),
            None => None,
        };
        let mut live = written??;
        live.tap = live.tap.or(tap);
        Ok(live)
    }

    /// The digest of what was received, by the function that `like` uses. Blocks; reads the file again for anything but SHA-256.
    pub(crate) fn digest(&mut self, like: Algorithm) -> Result<Digest, store::Error> {
        match like {
            Algorithm::Sha256 => Ok(Digest::from_sha256(self.sink.hash.clone().finalize().into())),
            Algorithm::Sha512 => {
                let mut hash = Sha512::new();
                self.sink.upload.replay(|piece| hash.update(piece))?;
                Ok(Digest::from_sha512(hash.finalize().into()))
            }
        }
    }

    /// Lets the tap finish, then makes the bytes a durable blob. Blocks.
    pub(crate) fn publish(self, blobs: &Blobs, digest: &Digest) -> Result<(), store::Error> {
        let Self { sink: Sink { upload, .. }, tap } = self;
        let Some(tap) = tap else { return upload.publish(blobs, digest) };
        if upload.len() < SPLIT_BYTES as u64 {
            tap.finish(digest);
        } else {
            // The disk writes while the tap ends.
            thread::scope(|scope| {
                let settled = scope.spawn(|| upload.settle());
                tap.finish(digest);
                settled.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })?;
        }
        upload.publish(blobs, digest)
    }

    /// Forgets it all. Blocks.
    pub(crate) fn remove(self) -> Result<(), store::Error> {
        self.sink.upload.remove()
    }
}

/// An upload between its POST and its PUT.
pub(crate) struct Session {
    repository: RepoName,
    received: AtomicU64,
    touched: AtomicI64,
    live: Arc<tokio::sync::Mutex<Option<Live>>>,
    /// Its part of the organization's quota.
    pub(crate) holding: Holding,
}

/// The right to write to a session. While it is held nobody else writes.
pub(crate) type Writing = tokio::sync::OwnedMutexGuard<Option<Live>>;

impl Session {
    /// Bytes received, as far as they are written.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Says how many bytes are written now.
    pub(crate) fn advance(&self, received: u64, now: i64) {
        self.received.store(received, Ordering::Relaxed);
        self.touched.store(now, Ordering::Relaxed);
    }

    /// Waits for the right to write; `None` when another request keeps it for longer than `patience`.
    pub(crate) async fn write(&self, patience: Duration) -> Option<Writing> {
        tokio::time::timeout(patience, Arc::clone(&self.live).lock_owned()).await.ok()
    }

    fn idle(&self, now: i64) -> Duration {
        Duration::from_millis(u64::try_from(now.saturating_sub(self.touched.load(Ordering::Relaxed))).unwrap_or(0))
    }
}

/// All sessions in memory.
#[derive(Default)]
pub(crate) struct Sessions {
    by_id: Mutex<HashMap<Uuid, Arc<Session>>>,
}

impl Sessions {
    fn map(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Session>>> {
        // The map is whole after any panic: each change to it is one call.
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of sessions in memory.
    pub(crate) fn count(&self) -> usize {
        self.map().len()
    }

    /// Keeps a session that was just begun or found.
    pub(crate) fn insert(
        &self,
        id: Uuid,
        repository: &RepoName,
        received: u64,
        live: Option<Live>,
        holding: Holding,
        now: i64,
    ) -> Arc<Session> {
        let fresh = || {
            Arc::new(Session {
                repository: repository.clone(),
                received: AtomicU64::new(received),
                touched: AtomicI64::new(now),
                live: Arc::new(tokio::sync::Mutex::new(live)),
                holding,
            })
        };
        Arc::clone(self.map().entry(id).or_insert_with(fresh))
    }

    /// The session of this id in this repository: from memory, else from its file.
    pub(crate) async fn find(
        &self,
        blobs: &Blobs,
        quotas: &Quotas,
        id: Uuid,
        repository: &RepoName,
        now: i64,
    ) -> Result<Option<Arc<Session>>, WriteError> {
        let known = self.map().get(&id).cloned();
        if let Some(session) = known {
            return Ok((session.repository == *repository).then_some(session));
        }
        let (blobs, name) = (blobs.clone(), repository.clone());
        let found = spawn_blocking(move || Upload::find(&blobs, id, &name)).await??;
        Ok(found.map(|upload| self.insert(id, repository, upload.len(), None, quotas.holding(repository.organization()), now)))
    }

    /// Takes what is in memory of a session, or makes it again from its file; `None` when the file is gone too.
    pub(crate) async fn resume(
        &self,
        writing: &mut Writing,
        blobs: &Blobs,
        id: Uuid,
        repository: &RepoName,
        tap: Option<&TapFactory>,
    ) -> Result<Option<Live>, WriteError> {
        if let Some(live) = writing.take() {
            return Ok(Some(live));
        }
        let (blobs, repository, tap) = (blobs.clone(), repository.clone(), tap.cloned());
        Ok(spawn_blocking(move || Live::rebuild(&blobs, id, &repository, tap.as_ref())).await??)
    }

    /// Looks up how long the file of a session is, after writing to it has failed. What is behind `keep` is given back to the disk first.
    pub(crate) async fn measure(session: &Session, blobs: &Blobs, id: Uuid, keep: Option<u64>, now: i64) -> Result<(), WriteError> {
        let (blobs, repository) = (blobs.clone(), session.repository.clone());
        let found = spawn_blocking(move || -> Result<u64, store::Error> {
            let Some(mut upload) = Upload::find(&blobs, id, &repository)? else { return Ok(0) };
            if let Some(keep) = keep {
                upload.cut(keep)?;
            }
            Ok(upload.len())
        });
        session.advance(found.await??, now);
        Ok(())
    }

    /// Forgets a session; its file is the caller's to remove.
    pub(crate) fn forget(&self, id: Uuid) {
        self.map().remove(&id);
    }

    /// Drops from memory the sessions nobody has used for `idle`. A request that has one in hand keeps it here, so that there are
    /// never two sessions of one file.
    pub(crate) fn evict(&self, now: i64, idle: Duration) {
        self.map().retain(|_, session| session.idle(now) < idle || Arc::strong_count(session) > 1);
    }
}
