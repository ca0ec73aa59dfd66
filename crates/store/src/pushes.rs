//! The outbox of pushes. A row is written in the transaction that moved a tag, and marked handled in the transaction that
//! acted on it: a push is never lost and never acted on twice, whenever the process ends.

use std::collections::HashSet;

use model::{
    digest::Digest,
    name::{RepoName, Tag},
};
use serde_json::json;
use sqlx::{FromRow, SqliteConnection};

use crate::{Db, error::Error};

/// A manifest that was pushed under a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Grows with every push.
    pub id: i64,
    /// The repository.
    pub repository: RepoName,
    /// The tag that was moved.
    pub tag: Tag,
    /// What it names now.
    pub digest: Digest,
    /// Who pushed, as the registry was told.
    pub account: String,
    /// Milliseconds since 1970.
    pub pushed_at: i64,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    repository: String,
    tag: String,
    digest: String,
    account: String,
    pushed_at: i64,
}

impl TryFrom<Row> for Push {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            repository: row.repository.parse().map_err(|_| Error::row("push_events", "repository", &row.repository))?,
            tag: row.tag.parse().map_err(|_| Error::row("push_events", "tag", &row.tag))?,
            digest: row.digest.parse().map_err(|_| Error::row("push_events", "digest", &row.digest))?,
            account: row.account,
            pushed_at: row.pushed_at,
        })
    }
}

/// Pushes nobody has handled yet, oldest first, at most `limit`.
///
/// # Errors
/// [`Error::Database`], and [`Error::Row`] for a row that breaks its types.
pub async fn unhandled(db: &Db, limit: u32) -> Result<Vec<Push>, Error> {
    let rows: Vec<Row> =
        sqlx::query_as("SELECT id, repository, tag, digest, account, pushed_at FROM push_events WHERE handled = 0 ORDER BY id LIMIT $1")
            .bind(limit)
            .fetch_all(db.read())
            .await?;
    rows.into_iter().map(Push::try_from).collect()
}

/// Marks pushes handled, inside the transaction that acts on them. Returns those that were not handled before: only on these act.
///
/// # Errors
/// [`Error::Database`].
pub async fn mark_handled(tx: &mut SqliteConnection, ids: &[i64]) -> Result<HashSet<i64>, Error> {
    let marked: Vec<i64> =
        sqlx::query_scalar("UPDATE push_events SET handled = 1 WHERE id IN (SELECT value FROM json_each($1)) AND handled = 0 RETURNING id")
            .bind(json!(ids).to_string())
            .fetch_all(tx)
            .await?;
    Ok(marked.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::{self, NewManifest, Put};

    async fn recorded(db: &Db, tag: &str) -> i64 {
        let new = NewManifest {
            repository: "1/a".parse().unwrap(),
            tags: vec![tag.parse().unwrap()],
            digest: Digest::of(b"m"),
            media_type: "m".into(),
            artifact_type: None,
            subject: None,
            annotations: None,
            bytes: b"m".as_slice().into(),
            blobs: vec![],
            manifests: vec![],
            account: "ann@example.com".into(),
            now: 5,
            quota: 0,
        };
        let Put::Stored(ids) = manifests::put(db, new).await.unwrap() else { panic!("not stored") };
        ids[0]
    }

    #[tokio::test]
    async fn a_push_is_handed_out_until_it_is_handled() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        let (first, second) = (recorded(&db, "v1").await, recorded(&db, "v2").await);
        let open = unhandled(&db, 10).await.unwrap();
        assert_eq!(open.iter().map(|push| push.id).collect::<Vec<_>>(), [first, second]);
        assert_eq!((open[0].tag.as_str(), open[0].account.as_str(), open[0].pushed_at), ("v1", "ann@example.com", 5));

        let mut tx = db.write().await.unwrap();
        assert_eq!(mark_handled(&mut tx, &[first, 999]).await.unwrap(), HashSet::from([first]));
        drop(tx);
        assert_eq!(unhandled(&db, 10).await.unwrap().len(), 2, "a handler that did not commit has done nothing");

        let mut tx = db.write().await.unwrap();
        assert_eq!(mark_handled(&mut tx, &[first, 999]).await.unwrap(), HashSet::from([first]));
        tx.commit().await.unwrap();
        assert_eq!(unhandled(&db, 10).await.unwrap()[0].id, second);
        let mut tx = db.write().await.unwrap();
        assert_eq!(mark_handled(&mut tx, &[first]).await.unwrap(), HashSet::new());
    }

    #[tokio::test]
    async fn the_limit_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        recorded(&db, "v1").await;
        recorded(&db, "v2").await;
        assert_eq!(unhandled(&db, 1).await.unwrap().len(), 1);
    }
}
