//! Transactions that share a sync. Each is committed to the write-ahead log on its own and at once; what makes it durable is a sync of
//! the log, and one sync is good for everybody who committed before it began. So eight clients that push together wait for about two syncs
//! instead of eight, and while a sync is under way the next transactions are already being written.
//!
//! Others may read a transaction before its sync is done. Whatever they write then lies behind it in the log, which is only ever recovered
//! from its front, so nothing durable can rest on something that was lost.

use std::{
    fs::File,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sqlx::{Sqlite, Transaction};

use crate::error::Error;

/// A transaction whose commit waits for a shared sync. Dropped without [`Grouped::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct Grouped {
    tx: Transaction<'static, Sqlite>,
    log: Arc<Log>,
}

impl Grouped {
    pub(crate) fn new(tx: Transaction<'static, Sqlite>, log: Arc<Log>) -> Self {
        Self { tx, log }
    }

    /// Makes the changes visible and returns when they are durable.
    ///
    /// # Errors
    /// [`Error::Database`] when nothing was changed, [`Error::File`] when it is not known whether the changes are durable.
    pub async fn commit(self) -> Result<(), Error> {
        let log = Arc::clone(&self.log);
        self.publish().await?;
        log.sync().await
    }

    /// Makes the changes visible only. Nobody may be told of them before [`Log::sync`] has returned.
    ///
    /// # Errors
    /// [`Error::Database`]: nothing was changed.
    pub(crate) async fn publish(self) -> Result<(), Error> {
        Ok(self.tx.commit().await?)
    }
}

impl Deref for Grouped {
    type Target = Transaction<'static, Sqlite>;

    fn deref(&self) -> &Self::Target {
        &self.tx
    }
}

impl DerefMut for Grouped {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.tx
    }
}

/// The write-ahead log of a database, as a file to be synced.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    commits: AtomicU64,
    synced: tokio::sync::Mutex<u64>,
}

impl Log {
    pub(crate) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self { path: path.into(), commits: AtomicU64::new(0), synced: tokio::sync::Mutex::new(0) }
    }

    /// Returns when everything that was committed before the call is durable.
    pub(crate) async fn sync(&self) -> Result<(), Error> {
        let mine = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        let mut synced = self.synced.lock().await;
        if *synced >= mine {
            return Ok(());
        }
        // Whoever is counted here has committed before the sync begins.
        let (all, path) = (self.commits.load(Ordering::SeqCst), self.path.clone());
        // Opened anew each time: SQLite may have put another file in its place.
        let done = tokio::task::spawn_blocking(move || {
            File::open(&path).and_then(|file| file.sync_data()).map_err(|source| Error::file("make durable", path, source))
        });
        done.await.map_err(|_| Error::Interrupted)??;
        *synced = all;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::Db;

    async fn names(db: &Db) -> Vec<String> {
        sqlx::query_scalar("SELECT name FROM repositories ORDER BY name").fetch_all(db.read()).await.unwrap()
    }

    #[tokio::test]
    async fn many_at_once_are_all_there_and_what_was_dropped_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        let writes = (0..20).map(|n| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut tx = db.write_grouped().await.unwrap();
                let insert = sqlx::query("INSERT INTO repositories (name, organization_id, created_at) VALUES ($1, 1, 0)");
                insert.bind(format!("1/r{n:02}")).execute(&mut **tx).await.unwrap();
                if n % 2 == 0 {
                    tx.commit().await.unwrap();
                }
            })
        });
        for write in writes.collect::<Vec<_>>() {
            write.await.unwrap();
        }
        let expected: Vec<String> = (0..20).step_by(2).map(|n| format!("1/r{n:02}")).collect();
        assert_eq!(names(&db).await, expected);
    }

    #[tokio::test]
    async fn each_commit_waits_for_a_sync_that_began_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        for n in 1..=3 {
            db.write_grouped().await.unwrap().commit().await.unwrap();
            assert_eq!(*db.log().synced.lock().await, n);
        }
        // The log cannot be synced: the answer must not be yes.
        std::fs::remove_file(dir.path().join("p.db-wal")).unwrap();
        let refused = db.write_grouped().await.unwrap().commit().await.unwrap_err();
        assert!(refused.to_string().contains("p.db-wal"), "{refused}");
    }

    #[tokio::test]
    async fn a_transaction_of_its_own_still_syncs_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        for (grouped, expected) in [(true, 1), (false, 2), (true, 1)] {
            let level: i64 = if grouped {
                let mut tx = db.write_grouped().await.unwrap();
                sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut **tx).await.unwrap()
            } else {
                let mut tx = db.write().await.unwrap();
                sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *tx).await.unwrap()
            };
            assert_eq!(level, expected);
        }
    }
}
