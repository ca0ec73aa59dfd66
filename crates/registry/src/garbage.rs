//! Garbage collection: what nothing needs goes, while pushes run.
//!
//! The order makes it safe to be killed at any instant: first the row goes, durably, then the file. Between the two the file is a stray that
//! nobody can see, and the next collection finds it by listing what is stored. The other way round a row could name a file that is gone.
//! A file whose row is gone is removed only while no push holds its digest (see `holds`), and after one more look whether it got a row again.

use std::time::{Duration, UNIX_EPOCH};

use model::digest::Digest;
use store::{
    garbage::{self, Amount, Times},
    repositories, uploads,
};
use tokio::{sync::mpsc, task::spawn_blocking};

use crate::{Error, Registry};

/// Stored blobs looked up at one time.
const BATCH: usize = 256;

/// What may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long something must have been unneeded.
    pub grace: Duration,
    /// Whether manifests that no tag, build, index or subject needs go too.
    pub untagged: bool,
}

/// What went, or would go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Manifests that nothing needs.
    pub manifests: Amount,
    /// Blobs that a repository had and none of its manifests names.
    pub links: Amount,
    /// Content that no repository holds any more.
    pub blobs: Amount,
    /// Stored content without a row, left by a process that was killed.
    pub strays: Amount,
    /// Uploads nobody went on with.
    pub uploads: Amount,
    /// Unneeded, but still in its grace time.
    pub waiting: Amount,
}

impl Registry {
    /// What [`Registry::collect`] would remove now. Changes nothing.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn look(&self, rules: Rules) -> Result<Collected, Error> {
        let found = garbage::find(&self.inner.db, self.times(rules), rules.untagged).await.map_err(Error::Collect)?;
        let strays = self.strays(false).await?;
        let uploads = self.expired_uploads(false).await?;
        Ok(Collected { manifests: found.manifests, links: found.links, blobs: found.blobs, waiting: found.waiting, strays, uploads })
    }

    /// Removes what nothing needs. Call it from time to time, one call at a time.
    ///
    /// # Errors
    /// [`Error`]; what was done until then stays done, and the next call goes on.
    pub async fn collect(&self, rules: Rules) -> Result<Collected, Error> {
        let (db, times) = (&self.inner.db, self.times(rules));
        let mut done = Collected { uploads: self.expired_uploads(true).await?, ..Collected::default() };
        garbage::mark(db, times.now).await.map_err(Error::Collect)?;
        if rules.untagged {
            done.manifests = garbage::remove_manifests(db, times).await.map_err(Error::Collect)?;
            // Their blobs' grace time begins now.
            garbage::mark(db, times.now).await.map_err(Error::Collect)?;
        }
        done.links = garbage::remove_links(db, times).await.map_err(Error::Collect)?;
        loop {
            let gone = garbage::remove_blobs(db).await.map_err(Error::Collect)?;
            if gone.is_empty() {
                break;
            }
            for (digest, size) in gone {
                done.blobs.add(size);
                self.remove_content(&digest).await?;
            }
        }
        done.strays = self.strays(true).await?;
        done.waiting = garbage::find(db, times, rules.untagged).await.map_err(Error::Collect)?.waiting;
        Ok(done)
    }

    /// Does `act` while no push can bring this content, if the registry has none of it: for what others keep beside it. `None` when it has,
    /// or may soon have.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn without<T: Send + 'static>(&self, digest: &Digest, act: impl FnOnce() -> T + Send + 'static) -> Result<Option<T>, Error> {
        let Some(_alone) = self.inner.holds.alone(digest) else { return Ok(None) };
        if repositories::blob_exists(&self.inner.db, digest).await.map_err(Error::Collect)? {
            return Ok(None);
        }
        spawn_blocking(act).await.map(Some).map_err(Error::Interrupted)
    }

    async fn remove_content(&self, digest: &Digest) -> Result<bool, Error> {
        let (blobs, which) = (self.inner.blobs.clone(), digest.clone());
        let removed = self.without(digest, move || blobs.remove(&which)).await?;
        removed.transpose().map_err(Error::Collect).map(|removed| removed.unwrap_or(false))
    }

    /// Finds all stored content that has no row, and removes it if `remove`. Its number does not matter: it is listed and looked up in batches.
    async fn strays(&self, remove: bool) -> Result<Amount, Error> {
        let (send, mut listed) = mpsc::channel(BATCH);
        let blobs = self.inner.blobs.clone();
        let listing = spawn_blocking(move || {
            blobs.each(|stored| {
                // Nobody listens any more only when the looking up has failed, and then its error is told.
                let _ = send.blocking_send((stored.digest, stored.size));
            })
        });
        let (mut strays, mut batch) = (Amount::default(), Vec::with_capacity(BATCH));
        while listed.recv_many(&mut batch, BATCH).await > 0 {
            let digests: Vec<Digest> = batch.iter().map(|(digest, _)| digest.clone()).collect();
            let unknown = garbage::unknown(&self.inner.db, &digests).await.map_err(Error::Collect)?;
            for (digest, size) in batch.drain(..).filter(|(digest, _)| unknown.contains(digest)) {
                if !remove || self.remove_content(&digest).await? {
                    strays.add(size);
                }
            }
        }
        listing.await.map_err(Error::Interrupted)?.map_err(Error::Collect)?;
        Ok(strays)
    }

    async fn expired_uploads(&self, remove: bool) -> Result<Amount, Error> {
        let (limits, now) = (self.inner.options.limits, self.inner.now());
        self.inner.sessions.evict(now, limits.session_idle);
        let time = UNIX_EPOCH + Duration::from_millis(u64::try_from(now).unwrap_or(0));
        let blobs = self.inner.blobs.clone();
        let swept = spawn_blocking(move || uploads::sweep(&blobs, time, limits.upload_expiry, remove)).await;
        let (count, bytes) = swept.map_err(Error::Interrupted)?.map_err(Error::Sweep)?;
        Ok(Amount { count, bytes })
    }

    /// Forgets uploads that have expired and frees the memory of those that rest. Call it at the start and every few minutes.
    /// Returns how many have expired.
    ///
    /// # Errors
    /// [`Error`] when the folder of uploads cannot be read or changed.
    pub async fn sweep(&self) -> Result<u64, Error> {
        Ok(self.expired_uploads(true).await?.count)
    }

    fn times(&self, rules: Rules) -> Times {
        Times { now: self.inner.now(), grace: i64::try_from(rules.grace.as_millis()).unwrap_or(i64::MAX) }
    }
}
