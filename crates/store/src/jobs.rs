//! Work that must be done, and who holds it. A job belongs to its worker only until its lease ends: a dead worker loses it.

use model::id::JobId;
use sqlx::{Sqlite, Transaction};

use crate::{Db, error::Error};

/// A job taken by a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Id.
    pub id: JobId,
    /// Which code does it.
    pub kind: String,
    /// What it is about, such as a build id.
    pub subject: String,
    /// How often it was taken, this time included.
    pub attempts: i64,
}

/// Adds a job unless the same work is already waiting or running; true when it was added.
///
/// # Errors
/// [`Error::Database`].
pub async fn enqueue(tx: &mut Transaction<'_, Sqlite>, id: JobId, kind: &str, subject: &str, now: i64) -> Result<bool, Error> {
    let insert =
        sqlx::query("INSERT INTO jobs (id, kind, subject, state, created_at) VALUES ($1, $2, $3, 'queued', $4) ON CONFLICT DO NOTHING");
    let done = insert.bind(id.to_string()).bind(kind).bind(subject).bind(now).execute(&mut **tx).await?;
    Ok(done.rows_affected() == 1)
}

/// Takes the oldest job that is waiting or whose lease ended.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn take(db: &Db, worker: &str, now: i64, lease_ms: i64) -> Result<Option<Job>, Error> {
    let mut tx = db.write().await?;
    let row: Option<(String, String, String, i64)> = sqlx::query_as(
        "UPDATE jobs SET state = 'running', worker = $1, lease_until = $2 + $3, attempts = attempts + 1, started_at = $2 WHERE id = \
         (SELECT id FROM jobs WHERE state = 'queued' OR (state = 'running' AND lease_until < $2) ORDER BY created_at, id LIMIT 1) \
         RETURNING id, kind, subject, attempts",
    )
    .bind(worker)
    .bind(now)
    .bind(lease_ms)
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    let Some((id, kind, subject, attempts)) = row else { return Ok(None) };
    Ok(Some(Job { id: id.parse().map_err(|_| Error::row("jobs", "job id", &id))?, kind, subject, attempts }))
}

/// Renews a lease; false when the job is no longer this worker's.
///
/// # Errors
/// [`Error::Database`].
pub async fn renew(db: &Db, id: JobId, worker: &str, until: i64) -> Result<bool, Error> {
    let mut tx = db.write().await?;
    let update = sqlx::query("UPDATE jobs SET lease_until = $3 WHERE id = $1 AND worker = $2 AND state = 'running'");
    let done = update.bind(id.to_string()).bind(worker).bind(until).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a job, in the transaction that stores its result; false when it is no longer this worker's.
///
/// # Errors
/// [`Error::Database`].
pub async fn finish(tx: &mut Transaction<'_, Sqlite>, id: JobId, worker: &str, error: Option<&str>, now: i64) -> Result<bool, Error> {
    let update =
        sqlx::query("UPDATE jobs SET state = 'done', ended_at = $4, error = $3 WHERE id = $1 AND worker = $2 AND state = 'running'");
    let done = update.bind(id.to_string()).bind(worker).bind(error).bind(now).execute(&mut **tx).await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a job back so that it is taken again at once; it keeps its count of attempts.
///
/// # Errors
/// [`Error::Database`].
pub async fn release(db: &Db, id: JobId, worker: &str) -> Result<(), Error> {
    let mut tx = db.write().await?;
    let update = sqlx::query("UPDATE jobs SET state = 'queued', worker = NULL, lease_until = NULL WHERE id = $1 AND worker = $2");
    update.bind(id.to_string()).bind(worker).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Gives a job back as if it had not been taken; false when it is no longer this worker's.
///
/// # Errors
/// [`Error::Database`].
pub async fn give_back(tx: &mut Transaction<'_, Sqlite>, id: JobId, worker: &str) -> Result<bool, Error> {
    let update = sqlx::query(
        "UPDATE jobs SET state = 'queued', worker = NULL, lease_until = NULL, attempts = attempts - 1 \
         WHERE id = $1 AND worker = $2 AND state = 'running'",
    );
    let done = update.bind(id.to_string()).bind(worker).execute(&mut **tx).await?;
    Ok(done.rows_affected() == 1)
}

/// Frees every job held by somebody else, for a server that knows it is the only one on this database.
///
/// # Errors
/// [`Error::Database`].
pub async fn free_all(db: &Db) -> Result<u64, Error> {
    let mut tx = db.write().await?;
    let update = sqlx::query("UPDATE jobs SET state = 'queued', worker = NULL, lease_until = NULL WHERE state = 'running'");
    let done = update.execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(done.rows_affected())
}

/// How many jobs wait or run.
///
/// # Errors
/// [`Error::Database`].
pub async fn open_count(db: &Db) -> Result<i64, Error> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM jobs WHERE state <> 'done'").fetch_one(db.read()).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> JobId {
        JobId(uuid::Uuid::from_u128(n))
    }

    #[tokio::test]
    async fn a_lease_that_ended_frees_the_job() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        let mut tx = db.write().await.unwrap();
        assert!(enqueue(&mut tx, id(1), "certify_build", "b", 0).await.unwrap());
        assert!(!enqueue(&mut tx, id(2), "certify_build", "b", 0).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(take(&db, "one", 10, 100).await.unwrap().unwrap().attempts, 1);
        assert_eq!(take(&db, "two", 50, 100).await.unwrap(), None);
        assert!(renew(&db, id(1), "one", 200).await.unwrap());
        assert_eq!(take(&db, "two", 150, 100).await.unwrap(), None);
        assert_eq!(take(&db, "two", 201, 100).await.unwrap().unwrap().attempts, 2);
        assert!(!renew(&db, id(1), "one", 400).await.unwrap());
        let mut tx = db.write().await.unwrap();
        assert!(!finish(&mut tx, id(1), "one", None, 300).await.unwrap());
        assert!(finish(&mut tx, id(1), "two", None, 300).await.unwrap());
        assert!(enqueue(&mut tx, id(3), "certify_build", "b", 300).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(open_count(&db).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_restarted_server_takes_up_what_it_left() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        let mut tx = db.write().await.unwrap();
        enqueue(&mut tx, id(1), "certify_build", "b", 0).await.unwrap();
        tx.commit().await.unwrap();
        take(&db, "dead", 0, 1_000_000).await.unwrap().unwrap();
        assert_eq!(free_all(&db).await.unwrap(), 1);
        let job = take(&db, "new", 1, 100).await.unwrap().unwrap();
        assert_eq!(job.attempts, 2);
        release(&db, job.id, "new").await.unwrap();
        assert_eq!(take(&db, "new", 2, 100).await.unwrap().unwrap().attempts, 3);
        let mut tx = db.write().await.unwrap();
        assert!(!give_back(&mut tx, job.id, "old").await.unwrap());
        assert!(give_back(&mut tx, job.id, "new").await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(take(&db, "new", 3, 100).await.unwrap().unwrap().attempts, 3, "given back, it was not lost");
    }
}
