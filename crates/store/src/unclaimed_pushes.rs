//! Pushes that became no build, with the reason. Nobody's push vanishes.

use model::{
    digest::Digest,
    id::{OrganizationId, UnclaimedPushId},
};
use serde_json::json;
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::Error;

/// A push that became no build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnclaimedPush {
    /// Id.
    pub id: UnclaimedPushId,
    /// Owner of the repository.
    pub organization: OrganizationId,
    /// Repository.
    pub repository: String,
    /// Tag.
    pub tag: String,
    /// Digest of the manifest or index that was pushed.
    pub digest: Digest,
    /// Rule that refused it, such as `manifest.missing`.
    pub code: String,
    /// What was found.
    pub reason: String,
    /// What to do.
    pub fix: String,
    /// E-mail of the account.
    pub pushed_by: String,
    /// Time of the latest push, epoch milliseconds.
    pub created_at: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    organization_id: i64,
    repository: String,
    tag: String,
    digest: String,
    code: String,
    reason: String,
    fix: String,
    pushed_by: String,
    created_at: i64,
}

impl TryFrom<Row> for UnclaimedPush {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id.parse().map_err(|_| Error::row("unclaimed_pushes", "id", &row.id))?,
            organization: OrganizationId(row.organization_id),
            repository: row.repository,
            tag: row.tag,
            digest: row.digest.parse().map_err(|_| Error::row("unclaimed_pushes", "digest", &row.digest))?,
            code: row.code,
            reason: row.reason,
            fix: row.fix,
            pushed_by: row.pushed_by,
            created_at: row.created_at,
        })
    }
}

/// Adds some, in their order, by one statement: everybody who pushes waits for the one writer. The same content refused for the same reason
/// again only renews tag, account and time.
///
/// # Errors
/// [`Error::Database`].
pub async fn upsert(tx: &mut Transaction<'_, Sqlite>, pushes: &[UnclaimedPush]) -> Result<(), Error> {
    if pushes.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = pushes
        .iter()
        .map(|push| {
            json!([
                push.id.to_string(),
                push.organization.0,
                push.repository,
                push.tag,
                push.digest.to_string(),
                push.code,
                push.reason,
                push.fix,
                push.pushed_by,
                push.created_at
            ])
        })
        .collect();
    sqlx::query(
        "INSERT INTO unclaimed_pushes (id, organization_id, repository, tag, digest, code, reason, fix, pushed_by, created_at) \
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8, \
         value ->> 9 FROM json_each($1) WHERE true ORDER BY key ON CONFLICT (repository, digest, code) DO UPDATE SET \
         tag = excluded.tag, reason = excluded.reason, fix = excluded.fix, pushed_by = excluded.pushed_by, created_at = excluded.created_at",
    )
    .bind(json!(rows).to_string())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Those of one organization, newest first.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn list(db: &SqlitePool, organization: OrganizationId, offset: i64, limit: i64) -> Result<Vec<UnclaimedPush>, Error> {
    let rows: Vec<Row> =
        sqlx::query_as("SELECT * FROM unclaimed_pushes WHERE organization_id = $1 ORDER BY created_at DESC, id LIMIT $2 OFFSET $3")
            .bind(organization.0)
            .bind(limit)
            .bind(offset)
            .fetch_all(db)
            .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Db;

    #[tokio::test]
    async fn the_same_refusal_is_listed_once() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        let mut push = UnclaimedPush {
            id: UnclaimedPushId(uuid::Uuid::from_u128(1)),
            organization: OrganizationId(1),
            repository: "1/a".into(),
            tag: "one".into(),
            digest: Digest::of(b"a"),
            code: "manifest.missing".into(),
            reason: "no manifest".into(),
            fix: "add one".into(),
            pushed_by: "dev@example.org".into(),
            created_at: 1,
        };
        let mut tx = db.write().await.unwrap();
        upsert(&mut tx, &[]).await.unwrap();
        upsert(&mut tx, std::slice::from_ref(&push)).await.unwrap();
        let first = push.clone();
        push.id = UnclaimedPushId(uuid::Uuid::from_u128(2));
        push.tag = "two".into();
        let second = push.clone();
        push.code = "manifest.json".into();
        push.reason = "it's \"no\" JSON: \u{0}\n, \u{1f980}".into();
        upsert(&mut tx, &[first, second, push.clone()]).await.unwrap();
        tx.commit().await.unwrap();
        let all = list(db.read(), OrganizationId(1), 0, 30).await.unwrap();
        assert!(all.contains(&push), "{all:?}");
        let listed = list(db.read(), OrganizationId(1), 0, 30).await.unwrap();
        assert_eq!(listed.iter().map(|p| (p.code.as_str(), p.tag.as_str())).collect::<Vec<_>>().len(), 2);
        assert!(listed.iter().all(|p| p.tag == "two"));
        assert_eq!(list(db.read(), OrganizationId(2), 0, 30).await.unwrap(), []);
    }
}
