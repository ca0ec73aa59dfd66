//! People who were asked to join an organization. Only the hash of the secret in their link is kept.

use model::id::{InvitationId, OrganizationId};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::Error;

/// An open invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Id.
    pub id: InvitationId,
    /// Where to.
    pub organization: OrganizationId,
    /// Whom, lower case.
    pub email: String,
    /// Words of the permission table, joined by commas.
    pub roles: String,
    /// E-mail of whoever asked.
    pub invited_by: String,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Epoch milliseconds.
    pub expires_at: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    organization_id: i64,
    email: String,
    roles: String,
    invited_by: String,
    created_at: i64,
    expires_at: i64,
}

impl TryFrom<Row> for Invitation {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id.parse().map_err(|_| Error::row("invitations", "id", &row.id))?,
            organization: OrganizationId(row.organization_id),
            email: row.email,
            roles: row.roles,
            invited_by: row.invited_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

/// Keeps an invitation; an earlier one of the same person to the same organization ends.
///
/// # Errors
/// [`Error::Database`].
pub async fn insert(tx: &mut Transaction<'_, Sqlite>, invitation: &Invitation, hash: &[u8]) -> Result<(), Error> {
    sqlx::query("DELETE FROM invitations WHERE expires_at < $1 OR (organization_id = $2 AND email = $3)")
        .bind(invitation.created_at)
        .bind(invitation.organization.0)
        .bind(&invitation.email)
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "INSERT INTO invitations (id, organization_id, hash, email, roles, invited_by, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(invitation.id.to_string())
    .bind(invitation.organization.0)
    .bind(hash)
    .bind(&invitation.email)
    .bind(&invitation.roles)
    .bind(&invitation.invited_by)
    .bind(invitation.created_at)
    .bind(invitation.expires_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The living invitation behind a secret.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn by_hash(db: impl sqlx::SqliteExecutor<'_>, hash: &[u8], now: i64) -> Result<Option<Invitation>, Error> {
    let row: Option<Row> =
        sqlx::query_as("SELECT * FROM invitations WHERE hash = $1 AND expires_at > $2").bind(hash).bind(now).fetch_optional(db).await?;
    row.map(TryInto::try_into).transpose()
}

/// The living invitations of an organization, newest first.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn list(db: &SqlitePool, organization: OrganizationId, now: i64) -> Result<Vec<Invitation>, Error> {
    let rows: Vec<Row> =
        sqlx::query_as("SELECT * FROM invitations WHERE organization_id = $1 AND expires_at > $2 ORDER BY created_at DESC, id LIMIT 1000")
            .bind(organization.0)
            .bind(now)
            .fetch_all(db)
            .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Ends an invitation of an organization; true when there was one.
///
/// # Errors
/// [`Error::Database`].
pub async fn delete(tx: &mut Transaction<'_, Sqlite>, organization: OrganizationId, id: InvitationId) -> Result<bool, Error> {
    let done = sqlx::query("DELETE FROM invitations WHERE id = $1 AND organization_id = $2")
        .bind(id.to_string())
        .bind(organization.0)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() == 1)
}
