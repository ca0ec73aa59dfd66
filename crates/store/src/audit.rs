//! Every change of configuration and every decision of a person, append-only.

use model::id::OrganizationId;
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::Error;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct AuditLine {
    /// Grows with every line.
    pub id: i64,
    /// Epoch milliseconds.
    pub at: i64,
    /// E-mail of a person.
    pub actor: String,
    /// What was done, such as `build.approve` or `user.invite`.
    pub action: String,
    /// What it was done to, such as `build 0190...`.
    pub object: String,
    /// What changed, in words.
    pub detail: String,
}

/// What is written down.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// Whose log.
    pub organization: OrganizationId,
    /// Epoch milliseconds.
    pub at: i64,
    /// E-mail of a person.
    pub actor: &'a str,
    /// What was done.
    pub action: &'a str,
    /// What it was done to.
    pub object: &'a str,
    /// What changed, in words.
    pub detail: &'a str,
}

/// Appends a line, in the transaction of the deed.
///
/// # Errors
/// [`Error::Database`].
pub async fn append(tx: &mut Transaction<'_, Sqlite>, deed: Deed<'_>) -> Result<(), Error> {
    sqlx::query("INSERT INTO audit_log (organization_id, at, actor, action, object, detail) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(deed.organization.0)
        .bind(deed.at)
        .bind(deed.actor)
        .bind(deed.action)
        .bind(deed.object)
        .bind(deed.detail)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The log of an organization, newest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn list(db: &SqlitePool, organization: OrganizationId, offset: i64, limit: i64) -> Result<Vec<AuditLine>, Error> {
    let lines = sqlx::query_as(
        "SELECT id, at, actor, action, object, detail FROM audit_log WHERE organization_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3",
    );
    Ok(lines.bind(organization.0).bind(limit).bind(offset).fetch_all(db).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Db;

    #[tokio::test]
    async fn what_was_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        let mut tx = db.write().await.unwrap();
        let deed = Deed { organization: OrganizationId(1), at: 5, actor: "a@x", action: "user.invite", object: "b@x", detail: "reviewer" };
        append(&mut tx, deed).await.unwrap();
        for change in ["DELETE FROM audit_log", "UPDATE audit_log SET actor = 'c@x'"] {
            let refused = sqlx::query(change).execute(&mut *tx).await.unwrap_err();
            assert!(refused.to_string().contains("append-only"), "{refused}");
        }
        tx.commit().await.unwrap();
        let lines = list(db.read(), OrganizationId(1), 0, 10).await.unwrap();
        assert_eq!((lines.len(), lines[0].actor.as_str(), lines[0].detail.as_str()), (1, "a@x", "reviewer"));
        assert_eq!(list(db.read(), OrganizationId(2), 0, 10).await.unwrap(), []);
    }
}
