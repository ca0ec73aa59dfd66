//! What nothing needs any more: found (marked with the time), and removed once it was unneeded for the grace time.
//!
//! A manifest is needed by a tag, by an undeleted build, by a push nobody has acted on yet, by an index that is needed, and, as a referrer,
//! by its subject when that is needed. A repository needs a blob as long as one of its manifests names it. The content itself is needed as
//! long as any repository holds it, or somebody is just about to say so (the registry's holds).
//!
//! Looking is done by readers, in pages, while pushes go on. Removing is done in short transactions, each of which asks again whether the row
//! is still unneeded: the writer is one, so whoever begins to need it either came first and it stays, or comes later, is told that it is
//! missing, and sends it. Whoever asks for something in order not to send it ([`want_blob`], [`want_manifest`]) starts its grace time anew.

use std::collections::HashSet;

use model::{digest::Digest, name::RepoName};
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::{Db, error::Error};

/// Rows per transaction, so that no push waits long.
const PAGE: i64 = 200;

/// Times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Now, since 1970.
    pub now: i64,
    /// How long something must have been unneeded.
    pub grace: i64,
}

/// How much there is of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Their size together.
    pub bytes: u64,
}

impl Amount {
    /// Adds one thing.
    pub fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }

    fn of((count, bytes): (i64, Option<i64>)) -> Self {
        Self { count: u64::try_from(count).unwrap_or(0), bytes: u64::try_from(bytes.unwrap_or(0)).unwrap_or(0) }
    }
}

/// What unneeded rows there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Manifests past their grace time.
    pub manifests: Amount,
    /// Blobs that a repository no longer needs, past their grace time.
    pub links: Amount,
    /// Content that no repository holds (once the above are gone).
    pub blobs: Amount,
    /// Manifests and blobs of repositories that still wait.
    pub waiting: Amount,
}

/// True for a manifest `m` when one of `m`, the indexes above it and its subjects satisfies a condition on the digest `up.digest`.
fn reaches(condition: &str) -> String {
    format!(
        "EXISTS (WITH RECURSIVE up (digest) AS (
             VALUES (m.digest)
             UNION SELECT p.digest FROM up JOIN manifest_references x ON x.digest = up.digest AND x.kind = 'manifest'
                 JOIN manifests p ON p.id = x.manifest_id AND p.repository_id = m.repository_id
             UNION SELECT s.subject FROM up JOIN manifests s ON s.repository_id = m.repository_id AND s.digest = up.digest
                 WHERE s.subject IS NOT NULL)
         SELECT 1 FROM up WHERE {condition})"
    )
}

/// A tag, a build or an open push.
const ROOT: &str = "EXISTS (SELECT 1 FROM tags t WHERE t.repository_id = m.repository_id AND t.digest = up.digest)
    OR EXISTS (SELECT 1 FROM repositories r JOIN builds b ON b.repository = r.name AND b.digest = up.digest AND b.status <> 'deleted'
        WHERE r.id = m.repository_id)
    OR EXISTS (SELECT 1 FROM repositories r JOIN push_events e ON e.repository = r.name AND e.digest = up.digest AND e.handled = 0
        WHERE r.id = m.repository_id)";

/// A manifest of this digest that is itself still in its grace time. $1 is now, $2 the latest mark that is past the grace time.
const YOUNG: &str = "EXISTS (SELECT 1 FROM manifests k WHERE k.repository_id = m.repository_id AND k.digest = up.digest
        AND coalesce(k.unneeded_since, $1) > $2)";

fn needed_manifest() -> String {
    reaches(ROOT)
}

fn kept_manifest() -> String {
    reaches(&format!("{ROOT} OR {YOUNG}"))
}

/// True for a blob `l` of a repository when one of its manifests names it, those with the ids `but` (a JSON array) left out.
fn needed_blob(but: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM manifest_references x JOIN manifests m ON m.id = x.manifest_id
            WHERE x.digest = l.digest AND x.kind = 'blob' AND m.repository_id = l.repository_id {but})"
    )
}

/// Marks what has become unneeded and unmarks what is needed again.
///
/// # Errors
/// [`Error::Database`].
pub async fn mark(db: &Db, now: i64) -> Result<(), Error> {
    let needed = needed_manifest();
    let (new, again) = (format!("m.unneeded_since IS NULL AND NOT {needed}"), format!("m.unneeded_since IS NOT NULL AND {needed}"));
    for (condition, value) in [(new, Some(now)), (again, None)] {
        let look = format!("SELECT m.id FROM manifests m WHERE m.id > $1 AND {condition} ORDER BY m.id LIMIT {PAGE}");
        let set = format!("UPDATE manifests AS m SET unneeded_since = $2 WHERE m.id IN (SELECT value FROM json_each($1)) AND {condition}");
        let mut last = i64::MIN;
        loop {
            let ids: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(look.clone())).bind(last).fetch_all(db.read()).await?;
            let Some(end) = ids.last() else { break };
            last = *end;
            let mut tx = db.write().await?;
            sqlx::query(AssertSqlSafe(set.clone())).bind(json!(ids).to_string()).bind(value).execute(&mut *tx).await?;
            tx.commit().await?;
        }
    }
    let needed = needed_blob("");
    let (new, again) = (format!("l.unneeded_since IS NULL AND NOT {needed}"), format!("l.unneeded_since IS NOT NULL AND {needed}"));
    for (condition, value) in [(new, Some(now)), (again, None)] {
        let look = format!(
            "SELECT l.repository_id, l.digest FROM repository_blobs l WHERE (l.repository_id, l.digest) > ($1, $2) AND {condition}
             ORDER BY l.repository_id, l.digest LIMIT {PAGE}"
        );
        let set =
            format!("UPDATE repository_blobs AS l SET unneeded_since = $3 WHERE l.repository_id = $1 AND l.digest = $2 AND {condition}");
        let mut last = (i64::MIN, String::new());
        loop {
            let page: Vec<(i64, String)> =
                sqlx::query_as(AssertSqlSafe(look.clone())).bind(last.0).bind(last.1).fetch_all(db.read()).await?;
            let Some(end) = page.last() else { break };
            last = end.clone();
            let mut tx = db.write().await?;
            for (repository, digest) in page {
                sqlx::query(AssertSqlSafe(set.clone())).bind(repository).bind(digest).bind(value).execute(&mut *tx).await?;
            }
            tx.commit().await?;
        }
    }
    Ok(())
}

/// Removes manifests past their grace time, with all that goes with them.
///
/// # Errors
/// [`Error::Database`].
pub async fn remove_manifests(db: &Db, times: Times) -> Result<Amount, Error> {
    let kept = kept_manifest();
    let condition = format!("m.unneeded_since <= $2 AND NOT {kept}");
    let look = format!("SELECT m.id FROM manifests m WHERE {condition} LIMIT {PAGE}");
    let delete =
        format!("DELETE FROM manifests AS m WHERE m.id IN (SELECT value FROM json_each($3)) AND {condition} RETURNING length(bytes)");
    let mut gone = Amount::default();
    loop {
        let past = times.now.saturating_sub(times.grace);
        let ids: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(look.clone())).bind(times.now).bind(past).fetch_all(db.read()).await?;
        if ids.is_empty() {
            return Ok(gone);
        }
        let mut tx = db.write().await?;
        let sizes: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(delete.clone()))
            .bind(times.now)
            .bind(past)
            .bind(json!(ids).to_string())
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        for size in sizes {
            gone.add(u64::try_from(size).unwrap_or(0));
        }
    }
}

/// Takes from repositories the blobs they no longer need, past their grace time.
///
/// # Errors
/// [`Error::Database`].
pub async fn remove_links(db: &Db, times: Times) -> Result<Amount, Error> {
    let needed = needed_blob("");
    let condition = format!("l.unneeded_since <= $1 AND NOT {needed}");
    let look = format!(
        "SELECT l.repository_id, l.digest, b.size FROM repository_blobs l JOIN blobs b ON b.digest = l.digest WHERE {condition} LIMIT {PAGE}"
    );
    let delete = format!("DELETE FROM repository_blobs AS l WHERE l.repository_id = $2 AND l.digest = $3 AND {condition}");
    let past = times.now.saturating_sub(times.grace);
    let mut gone = Amount::default();
    loop {
        let page: Vec<(i64, String, i64)> = sqlx::query_as(AssertSqlSafe(look.clone())).bind(past).fetch_all(db.read()).await?;
        if page.is_empty() {
            return Ok(gone);
        }
        let mut tx = db.write().await?;
        for (repository, digest, size) in page {
            let done = sqlx::query(AssertSqlSafe(delete.clone())).bind(past).bind(repository).bind(digest).execute(&mut *tx).await?;
            if done.rows_affected() > 0 {
                gone.add(u64::try_from(size).unwrap_or(0));
            }
        }
        tx.commit().await?;
    }
}

/// Removes the rows of content that no repository holds, a page of them, and returns what it was. Their files are garbage from here on.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn remove_blobs(db: &Db) -> Result<Vec<(Digest, u64)>, Error> {
    let held = "EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = blobs.digest)";
    let look = format!("SELECT digest FROM blobs WHERE NOT {held} LIMIT {PAGE}");
    let digests: Vec<String> = sqlx::query_scalar(AssertSqlSafe(look)).fetch_all(db.read()).await?;
    if digests.is_empty() {
        return Ok(Vec::new());
    }
    let delete = format!("DELETE FROM blobs WHERE digest IN (SELECT value FROM json_each($1)) AND NOT {held} RETURNING digest, size");
    let mut tx = db.write().await?;
    let rows: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(delete)).bind(json!(digests).to_string()).fetch_all(&mut *tx).await?;
    tx.commit().await?;
    let read = |(text, size): (String, i64)| {
        let digest = text.parse().map_err(|_| Error::row("blobs", "digest", &text))?;
        Ok((digest, u64::try_from(size).unwrap_or(0)))
    };
    rows.into_iter().map(read).collect()
}

/// What [`mark`] and the removals after it would remove now, if nothing changed between. Writes nothing. `manifests`: whether manifests are
/// collected at all.
///
/// # Errors
/// [`Error::Database`].
pub async fn find(db: &Db, times: Times, manifests: bool) -> Result<Found, Error> {
    let past = times.now.saturating_sub(times.grace);
    let (needed, kept) = (needed_manifest(), kept_manifest());
    let look = format!("SELECT m.id, length(m.bytes) FROM manifests m WHERE coalesce(m.unneeded_since, $1) <= $2 AND NOT {kept}");
    let rows: Vec<(i64, i64)> = match manifests {
        true => sqlx::query_as(AssertSqlSafe(look)).bind(times.now).bind(past).fetch_all(db.read()).await?,
        false => Vec::new(),
    };
    let mut found = Found::default();
    rows.iter().for_each(|(_, size)| found.manifests.add(u64::try_from(*size).unwrap_or(0)));
    let gone = json!(rows.iter().map(|(id, _)| *id).collect::<Vec<_>>()).to_string();
    let needed_blob = needed_blob("AND m.id NOT IN (SELECT value FROM json_each($3))");
    let goes = format!("coalesce(l.unneeded_since, $1) <= $2 AND NOT {needed_blob}");
    for (amount, query) in [
        (
            &mut found.links,
            format!("SELECT count(*), sum(b.size) FROM repository_blobs l JOIN blobs b ON b.digest = l.digest WHERE {goes}"),
        ),
        (
            &mut found.blobs,
            format!(
                "SELECT count(*), sum(b.size) FROM blobs b
                 WHERE NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.digest = b.digest AND NOT ({goes}))"
            ),
        ),
    ] {
        *amount = Amount::of(sqlx::query_as(AssertSqlSafe(query)).bind(times.now).bind(past).bind(&gone).fetch_one(db.read()).await?);
    }
    let wait = format!(
        "SELECT count(*), sum(size) FROM (
             SELECT length(m.bytes) AS size FROM manifests m WHERE $4 AND coalesce(m.unneeded_since, $1) > $2 AND NOT {needed}
             UNION ALL
             SELECT b.size FROM repository_blobs l JOIN blobs b ON b.digest = l.digest
             WHERE coalesce(l.unneeded_since, $1) > $2 AND NOT {needed_blob})"
    );
    let row = sqlx::query_as(AssertSqlSafe(wait)).bind(times.now).bind(past).bind(&gone).bind(manifests).fetch_one(db.read()).await?;
    found.waiting = Amount::of(row);
    Ok(found)
}

/// Somebody was told that a repository holds this blob, and will not send it: its grace time begins anew.
///
/// # Errors
/// [`Error::Database`].
pub async fn want_blob(db: &Db, repository: &RepoName, digest: &Digest) -> Result<(), Error> {
    let row = "repository_id = (SELECT id FROM repositories WHERE name = $1) AND digest = $2 AND unneeded_since IS NOT NULL";
    want(db, "repository_blobs", row, repository, digest).await
}

/// The same for a manifest.
///
/// # Errors
/// [`Error::Database`].
pub async fn want_manifest(db: &Db, repository: &RepoName, digest: &Digest) -> Result<(), Error> {
    let row = "repository_id = (SELECT id FROM repositories WHERE name = $1) AND digest = $2 AND unneeded_since IS NOT NULL";
    want(db, "manifests", row, repository, digest).await
}

async fn want(db: &Db, table: &str, row: &str, repository: &RepoName, digest: &Digest) -> Result<(), Error> {
    // Nearly always there is no mark, and nothing to write.
    let look = format!("SELECT 1 FROM {table} WHERE {row}");
    let marked = sqlx::query(AssertSqlSafe(look)).bind(repository.as_str()).bind(digest.to_string()).fetch_optional(db.read()).await?;
    if marked.is_none() {
        return Ok(());
    }
    let mut tx = db.write().await?;
    let clear = format!("UPDATE {table} SET unneeded_since = NULL WHERE {row}");
    sqlx::query(AssertSqlSafe(clear)).bind(repository.as_str()).bind(digest.to_string()).execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

/// Those of some digests that have no row.
///
/// # Errors
/// [`Error::Database`].
pub async fn unknown(db: &Db, digests: &[Digest]) -> Result<HashSet<Digest>, Error> {
    let texts: Vec<String> = digests.iter().map(Digest::to_string).collect();
    let known: HashSet<String> = sqlx::query_scalar("SELECT digest FROM blobs WHERE digest IN (SELECT value FROM json_each($1))")
        .bind(json!(texts).to_string())
        .fetch_all(db.read())
        .await?
        .into_iter()
        .collect();
    Ok(digests.iter().zip(texts).filter(|(_, text)| !known.contains(text)).map(|(digest, _)| digest.clone()).collect())
}

/// Forgets pushes that were acted on and jobs that have ended before `before`, which nobody looks at any more.
///
/// # Errors
/// [`Error::Database`].
pub async fn forget_done(db: &Db, before: i64) -> Result<u64, Error> {
    let mut tx = db.write().await?;
    let pushes = sqlx::query("DELETE FROM push_events WHERE handled = 1 AND pushed_at < $1").bind(before).execute(&mut *tx).await?;
    let jobs = sqlx::query("DELETE FROM jobs WHERE state = 'done' AND ended_at < $1").bind(before).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(pushes.rows_affected() + jobs.rows_affected())
}

#[cfg(test)]
mod tests;
