//! Waivers. They end or are revoked, and are never removed.

use model::{
    id::{EngineId, OrganizationId, WaiverId},
    waiver::Waiver,
};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::Error;

/// A waiver as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Id.
    pub id: WaiverId,
    /// Whose.
    pub organization: OrganizationId,
    /// What it says.
    pub waiver: Waiver,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// When somebody took it back, and who, by e-mail.
    pub revoked: Option<(i64, String)>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    organization_id: i64,
    vulnerability: String,
    package: Option<String>,
    engine_id: Option<String>,
    image: Option<String>,
    reason: String,
    author: String,
    until_fixed: bool,
    created_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
    revoked_by: Option<String>,
}

impl TryFrom<Row> for Kept {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let engine = row.engine_id.map(|id| id.parse::<EngineId>().map_err(|_| Error::row("waivers", "engine id", &id))).transpose()?;
        Ok(Self {
            id: row.id.parse().map_err(|_| Error::row("waivers", "waiver id", &row.id))?,
            organization: OrganizationId(row.organization_id),
            waiver: Waiver {
                vulnerability: row.vulnerability,
                package: row.package,
                engine,
                image: row.image,
                reason: row.reason,
                author: row.author,
                expires_at: row.expires_at,
                until_fixed: row.until_fixed,
            },
            created_at: row.created_at,
            revoked: row.revoked_at.map(|at| (at, row.revoked_by.unwrap_or_default())),
        })
    }
}

/// Adds one.
///
/// # Errors
/// [`Error::Database`].
pub async fn insert(tx: &mut Transaction<'_, Sqlite>, kept: &Kept) -> Result<(), Error> {
    let waiver = &kept.waiver;
    sqlx::query(
        "INSERT INTO waivers (id, organization_id, vulnerability, package, engine_id, reason, author, until_fixed, created_at, expires_at, \
         image) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(kept.id.to_string())
    .bind(kept.organization.0)
    .bind(&waiver.vulnerability)
    .bind(&waiver.package)
    .bind(waiver.engine.map(|engine| engine.to_string()))
    .bind(&waiver.reason)
    .bind(&waiver.author)
    .bind(waiver.until_fixed)
    .bind(kept.created_at)
    .bind(waiver.expires_at)
    .bind(&waiver.image)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes one of an organization back; false when there is none, or it was taken back before.
///
/// # Errors
/// [`Error::Database`].
pub async fn revoke(tx: &mut Transaction<'_, Sqlite>, owner: OrganizationId, id: WaiverId, by: &str, now: i64) -> Result<bool, Error> {
    let update =
        sqlx::query("UPDATE waivers SET revoked_at = $3, revoked_by = $4 WHERE id = $1 AND organization_id = $2 AND revoked_at IS NULL");
    let done = update.bind(id.to_string()).bind(owner.0).bind(now).bind(by).execute(&mut **tx).await?;
    Ok(done.rows_affected() == 1)
}

/// One of an organization.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn by_id(db: &SqlitePool, owner: OrganizationId, id: WaiverId) -> Result<Option<Kept>, Error> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM waivers WHERE id = $1 AND organization_id = $2")
        .bind(id.to_string())
        .bind(owner.0)
        .fetch_optional(db)
        .await?;
    row.map(TryInto::try_into).transpose()
}

/// Those of an organization, newest first; with `engine` only those that are for it.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn list(db: &SqlitePool, owner: OrganizationId, engine: Option<EngineId>, offset: i64, limit: i64) -> Result<Vec<Kept>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM waivers WHERE organization_id = $1 AND ($2 IS NULL OR engine_id IS NULL OR engine_id = $2) \
         ORDER BY created_at DESC, id LIMIT $3 OFFSET $4",
    )
    .bind(owner.0)
    .bind(engine.map(|engine| engine.to_string()))
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Those of an organization that nobody took back and that ended, if they did, after `since`: an end is told for a while.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn standing(db: &SqlitePool, owner: OrganizationId, since: i64) -> Result<Vec<Waiver>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM waivers WHERE organization_id = $1 AND revoked_at IS NULL AND expires_at > $2 ORDER BY expires_at DESC, id LIMIT 20000",
    )
    .bind(owner.0)
    .bind(since)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Kept::try_from(row).map(|kept| kept.waiver)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builds::tests::with_builds;

    #[tokio::test]
    async fn a_waiver_is_kept_for_its_organization_until_it_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let (db, _) = with_builds(dir.path(), 1).await;
        let (mine, other, id) = (OrganizationId(1), OrganizationId(2), WaiverId(uuid::Uuid::from_u128(7)));
        let waiver = Waiver {
            vulnerability: "CVE-1".into(),
            package: Some("openssl".into()),
            engine: Some(EngineId(uuid::Uuid::from_u128(1))),
            image: Some("pkg:oci/reader".into()),
            reason: "not reachable".into(),
            author: "rev@example.org".into(),
            expires_at: 100,
            until_fixed: true,
        };
        let kept = Kept { id, organization: mine, waiver, created_at: 5, revoked: None };
        let mut tx = db.write().await.unwrap();
        insert(&mut tx, &kept).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(by_id(db.read(), mine, id).await.unwrap(), Some(kept.clone()));
        assert_eq!(by_id(db.read(), other, id).await.unwrap(), None);
        let for_engine = async |n| list(db.read(), mine, Some(EngineId(uuid::Uuid::from_u128(n))), 0, 10).await.unwrap().len();
        assert_eq!((for_engine(1).await, for_engine(2).await), (1, 0));
        assert_eq!(standing(db.read(), mine, 99).await.unwrap(), std::slice::from_ref(&kept.waiver));
        assert_eq!(standing(db.read(), mine, 100).await.unwrap(), []);
        let mut tx = db.write().await.unwrap();
        assert!(!revoke(&mut tx, other, id, "x", 9).await.unwrap());
        assert!(revoke(&mut tx, mine, id, "admin@example.org", 9).await.unwrap());
        assert!(!revoke(&mut tx, mine, id, "late", 10).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(standing(db.read(), mine, 0).await.unwrap(), []);
        assert_eq!(list(db.read(), mine, None, 0, 10).await.unwrap()[0].revoked, Some((9, "admin@example.org".into())));
    }
}
