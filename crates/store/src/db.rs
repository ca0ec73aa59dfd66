//! The database: SQLite in one file. Everybody reads through a pool of read-only connections; whoever writes takes
//! the one writing connection and begins with the intent to write, so that two writers queue here instead of failing
//! half-way with "database is locked". A commit that returned is on the disk.

use std::{
    ops::{Deref, DerefMut},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    error::Error,
    grouped::{Grouped, Log},
    manifests::{Manifest, Queue},
    recent::Recent,
};

/// Readers at one time. They are cheap, but each keeps its own page cache.
const READERS: u32 = 4;

/// Pages that a connection keeps, as the pragma wants it: half a MiB. What does not fit comes from the system's own cache, a few microseconds away.
const PAGE_CACHE: &str = "-512";

/// How long a caller waits for a connection before [`crate::error::ErrorKind::Busy`].
const WAIT: Duration = Duration::from_secs(30);

/// An open database. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Db {
    readers: SqlitePool,
    writer: SqlitePool,
    rights: Arc<AtomicU64>,
    log: Arc<Log>,
    manifests: Arc<Recent<Option<Manifest>>>,
    tag_lists: Arc<Recent<Option<String>>>,
    queue: Arc<Queue>,
}

/// A transaction that takes rights away: of accounts, tokens, repositories. Whoever remembers rights compares
/// [`Db::rights_version`], which grows before [`RightsChange::commit`] returns. The functions that change rights take nothing else, so that
/// none of them can be forgotten.
#[derive(Debug)]
pub struct RightsChange {
    tx: Transaction<'static, Sqlite>,
    rights: Arc<AtomicU64>,
}

impl RightsChange {
    /// Makes the change durable and ends what was remembered before it.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn commit(self) -> Result<(), Error> {
        // In a task of its own: who waits may go away between the commit and what must follow it.
        let committing = tokio::spawn(async move {
            let done = self.tx.commit().await;
            // Also after an error: it does not say that nothing was written.
            self.rights.fetch_add(1, Ordering::SeqCst);
            done
        });
        Ok(committing.await.map_err(|_| sqlx::Error::WorkerCrashed)??)
    }
}

impl Deref for RightsChange {
    type Target = Transaction<'static, Sqlite>;

    fn deref(&self) -> &Self::Target {
        &self.tx
    }
}

impl DerefMut for RightsChange {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.tx
    }
}

impl Db {
    /// Opens the file, creating it if it is not there, and brings its tables to this version.
    ///
    /// # Errors
    /// [`Error::Open`] when the file cannot be used, [`Error::Migrate`] when its tables are of a newer version.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .pragma("cache_size", PAGE_CACHE);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(WAIT)
            .test_before_acquire(false)
            .connect_with(options.clone().create_if_missing(true))
            .await
            .map_err(|source| Error::Open { path: path.into(), source })?;
        sqlx::migrate!("./migrations").run(&writer).await.map_err(|source| Error::Migrate { path: path.into(), source })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(WAIT)
            .test_before_acquire(false)
            .connect_with(options.read_only(true))
            .await
            .map_err(|source| Error::Open { path: path.into(), source })?;
        let (log, manifests, tag_lists) = (Arc::new(Log::of(path)), Arc::new(Recent::of(path)), Arc::new(Recent::of(path)));
        Ok(Self { readers, writer, rights: Arc::default(), log, manifests, tag_lists, queue: Arc::default() })
    }

    /// The readers. A statement that writes fails here.
    pub fn read(&self) -> &SqlitePool {
        &self.readers
    }

    /// Begins a transaction on the writing connection, waiting for whoever has it. Dropped without
    /// [`Transaction::commit`], it leaves nothing behind. Keep it short: everybody else waits.
    ///
    /// # Errors
    /// [`Error::Database`]; its kind is `Busy` when the wait took too long.
    pub async fn write(&self) -> Result<Transaction<'static, Sqlite>, Error> {
        Ok(self.writer.begin_with("PRAGMA synchronous = FULL; BEGIN IMMEDIATE").await?)
    }

    /// Begins a transaction whose commit shares a sync with others; otherwise as [`Db::write`]. For what many clients do at the same time.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn write_grouped(&self) -> Result<Grouped, Error> {
        let tx = self.writer.begin_with("PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE").await?;
        Ok(Grouped::new(tx, Arc::clone(&self.log)))
    }

    /// Manifests that were read since the last commit.
    pub(crate) fn manifests(&self) -> &Recent<Option<Manifest>> {
        &self.manifests
    }

    /// Lists of tags that were read since the last commit, joined by commas.
    pub(crate) fn tag_lists(&self) -> &Recent<Option<String>> {
        &self.tag_lists
    }

    /// Manifests that wait to be stored.
    pub(crate) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// What makes a grouped commit durable.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Begins a transaction that takes rights away; otherwise as [`Db::write`].
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn change_rights(&self) -> Result<RightsChange, Error> {
        Ok(RightsChange { tx: self.write().await?, rights: Arc::clone(&self.rights) })
    }

    /// Grows with every change of rights. Read it before you read rights: what was read is good as long as this stays the same.
    pub fn rights_version(&self) -> u64 {
        self.rights.load(Ordering::SeqCst)
    }

    /// Closes all connections, which folds the write-ahead log into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_committed_is_there_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.db");
        let db = Db::open(&path).await.unwrap();
        for (n, commit) in [(1, true), (2, false)] {
            let mut tx = db.write().await.unwrap();
            sqlx::query("INSERT INTO repositories (name, organization_id, created_at) VALUES ($1, 1, 0)")
                .bind(format!("1/r{n}"))
                .execute(&mut *tx)
                .await
                .unwrap();
            if commit {
                tx.commit().await.unwrap();
            }
        }
        drop(db);
        let db = Db::open(&path).await.unwrap();
        let names: Vec<String> = sqlx::query_scalar("SELECT name FROM repositories").fetch_all(db.read()).await.unwrap();
        assert_eq!(names, ["1/r1"]);
    }

    #[tokio::test]
    async fn the_settings_that_keep_a_commit_are_on() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        let mut tx = db.write().await.unwrap();
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *tx).await.unwrap();
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *tx).await.unwrap();
        let keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut *tx).await.unwrap();
        assert_eq!((mode.as_str(), synchronous, keys), ("wal", 2, 1));
    }

    #[tokio::test]
    async fn rights_have_a_new_version_once_they_changed() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        let before = db.rights_version();
        drop(db.change_rights().await.unwrap());
        db.write().await.unwrap().commit().await.unwrap();
        assert_eq!(db.rights_version(), before);
        db.change_rights().await.unwrap().commit().await.unwrap();
        assert_eq!(db.clone().rights_version(), before + 1);
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        let refused = sqlx::query("DELETE FROM repositories").execute(db.read()).await.unwrap_err();
        assert!(refused.to_string().contains("readonly"), "{refused}");
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_named() {
        let error = Db::open(Path::new("/nonexistent/p.db")).await.unwrap_err();
        assert!(error.to_string().contains("/nonexistent/p.db"), "{error}");
    }
}
