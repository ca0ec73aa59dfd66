//! Organizations, users and their sessions.

use model::{
    id::{OrganizationId, UserId},
    organization::Settings,
};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::{db::RightsChange, error::Error};

/// A person's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Id.
    pub id: UserId,
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// Login name, lower case.
    pub email: String,
    /// For people.
    pub name: String,
    /// PHC string.
    pub password_hash: String,
    /// Words of the permission table, joined by commas.
    pub roles: String,
}

#[derive(sqlx::FromRow)]
pub(crate) struct UserRow {
    id: String,
    organization_id: i64,
    email: String,
    name: String,
    password_hash: String,
    roles: String,
}

impl TryFrom<UserRow> for User {
    type Error = Error;

    fn try_from(row: UserRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.id.parse().map_err(|_| Error::row("users", "user id", &row.id))?,
            organization: OrganizationId(row.organization_id),
            email: row.email,
            name: row.name,
            password_hash: row.password_hash,
            roles: row.roles,
        })
    }
}

/// The name of an organization, if it exists.
///
/// # Errors
/// [`Error::Database`].
pub async fn organization(db: impl sqlx::SqliteExecutor<'_>, id: OrganizationId) -> Result<Option<String>, Error> {
    Ok(sqlx::query_scalar("SELECT name FROM organizations WHERE id = $1").bind(id.0).fetch_optional(db).await?)
}

/// All organizations, by number.
///
/// # Errors
/// [`Error::Database`].
pub async fn organizations(db: impl sqlx::SqliteExecutor<'_>) -> Result<Vec<(OrganizationId, String)>, Error> {
    let rows: Vec<(i64, String)> = sqlx::query_as("SELECT id, name FROM organizations ORDER BY id").fetch_all(db).await?;
    Ok(rows.into_iter().map(|(id, name)| (OrganizationId(id), name)).collect())
}

/// Adds an organization.
///
/// # Errors
/// [`Error::Database`]; an id that exists is one.
pub async fn insert_organization(tx: &mut Transaction<'_, Sqlite>, id: OrganizationId, name: &str, now: i64) -> Result<(), Error> {
    let insert = sqlx::query("INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3)");
    insert.bind(id.0).bind(name).bind(now).execute(&mut **tx).await?;
    Ok(())
}

/// What an organization decided about its own rules; the defaults for one that is not there.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn settings(db: impl sqlx::SqliteExecutor<'_>, id: OrganizationId) -> Result<Settings, Error> {
    let text: Option<String> = sqlx::query_scalar("SELECT settings FROM organizations WHERE id = $1").bind(id.0).fetch_optional(db).await?;
    let text = text.unwrap_or_else(|| "{}".into());
    serde_json::from_str(&text).map_err(|_| Error::row("organizations", "settings document", &text))
}

/// Replaces the settings and the name of an organization.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn set_settings(tx: &mut Transaction<'_, Sqlite>, id: OrganizationId, name: &str, settings: &Settings) -> Result<(), Error> {
    let text = serde_json::to_string(settings).map_err(|error| Error::row("organizations", "settings document", &error.to_string()))?;
    let update = sqlx::query("UPDATE organizations SET settings = $2, name = $3 WHERE id = $1");
    update.bind(id.0).bind(text).bind(name).execute(&mut **tx).await?;
    Ok(())
}

/// Whether this is the organization of the first start, and how many accounts it has that carry one of these roles.
///
/// # Errors
/// [`Error::Database`].
pub async fn first_and_with_roles(db: impl sqlx::SqliteExecutor<'_>, id: OrganizationId, roles: &[&str]) -> Result<(bool, i64), Error> {
    // Roles are words joined by commas; a comma on both sides makes each of them findable.
    let found: (bool, i64) = sqlx::query_as(
        "SELECT $1 = (SELECT id FROM organizations ORDER BY created_at, id LIMIT 1), (SELECT count(*) FROM users u WHERE organization_id = $1 \
         AND EXISTS (SELECT 1 FROM json_each($2) r WHERE instr(',' || u.roles || ',', ',' || r.value || ',') > 0))",
    )
    .bind(id.0)
    .bind(serde_json::to_string(roles).unwrap_or_default())
    .fetch_one(db)
    .await?;
    Ok(found)
}

/// The accounts of an organization, by login name.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn users(db: &SqlitePool, organization: OrganizationId, offset: i64, limit: i64) -> Result<Vec<User>, Error> {
    let rows: Vec<UserRow> = sqlx::query_as("SELECT * FROM users WHERE organization_id = $1 ORDER BY email LIMIT $2 OFFSET $3")
        .bind(organization.0)
        .bind(limit)
        .bind(offset)
        .fetch_all(db)
        .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// How many users there are in all.
///
/// # Errors
/// [`Error::Database`].
pub async fn count_users(db: &SqlitePool) -> Result<i64, Error> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(db).await?)
}

/// Adds a user. `user.email` must be lower case.
///
/// # Errors
/// [`Error::Database`]; an e-mail that exists is one.
pub async fn insert_user(tx: &mut Transaction<'_, Sqlite>, user: &User, now: i64) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO users (id, organization_id, email, name, password_hash, roles, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(user.id.to_string())
    .bind(user.organization.0)
    .bind(&user.email)
    .bind(&user.name)
    .bind(&user.password_hash)
    .bind(&user.roles)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The account with this login name, in any letter case.
///
/// # Errors
/// [`Error::Database`].
pub async fn user_by_email(db: &SqlitePool, email: &str) -> Result<Option<User>, Error> {
    let row: Option<UserRow> = sqlx::query_as("SELECT * FROM users WHERE email = $1").bind(email.to_lowercase()).fetch_optional(db).await?;
    row.map(TryInto::try_into).transpose()
}

/// The account with this id.
///
/// # Errors
/// [`Error::Database`].
pub async fn user_by_id(db: impl sqlx::SqliteExecutor<'_>, id: UserId) -> Result<Option<User>, Error> {
    let row: Option<UserRow> = sqlx::query_as("SELECT * FROM users WHERE id = $1").bind(id.to_string()).fetch_optional(db).await?;
    row.map(TryInto::try_into).transpose()
}

/// Replaces a password hash, and ends what the old password began: sessions and the tokens of clients that logged in with it.
///
/// # Errors
/// [`Error::Database`].
pub async fn set_password(change: &mut RightsChange, id: UserId, password_hash: &str) -> Result<(), Error> {
    let id = id.to_string();
    sqlx::query("UPDATE users SET password_hash = $2 WHERE id = $1").bind(&id).bind(password_hash).execute(&mut ***change).await?;
    sqlx::query("DELETE FROM sessions WHERE user_id = $1").bind(&id).execute(&mut ***change).await?;
    sqlx::query("DELETE FROM tokens WHERE user_id = $1 AND kind = 'refresh'").bind(&id).execute(&mut ***change).await?;
    Ok(())
}

/// Replaces the roles of a user: words of the permission table, joined by commas.
///
/// # Errors
/// [`Error::Database`].
pub async fn set_roles(change: &mut RightsChange, id: UserId, roles: &str) -> Result<(), Error> {
    sqlx::query("UPDATE users SET roles = $2 WHERE id = $1").bind(id.to_string()).bind(roles).execute(&mut ***change).await?;
    Ok(())
}

/// Removes a user with their sessions and tokens. What they did keeps their e-mail.
///
/// # Errors
/// [`Error::Database`].
pub async fn delete_user(change: &mut RightsChange, id: UserId) -> Result<bool, Error> {
    let done = sqlx::query("DELETE FROM users WHERE id = $1").bind(id.to_string()).execute(&mut ***change).await?;
    Ok(done.rows_affected() > 0)
}

/// Keeps a session under the SHA-256 of its token, and forgets the expired ones.
///
/// # Errors
/// [`Error::Database`].
pub async fn insert_session(
    tx: &mut Transaction<'_, Sqlite>,
    token_hash: &[u8],
    user: UserId,
    now: i64,
    expires: i64,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM sessions WHERE expires_at < $1").bind(now).execute(&mut **tx).await?;
    let insert = sqlx::query("INSERT INTO sessions (token_hash, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)");
    insert.bind(token_hash).bind(user.to_string()).bind(now).bind(expires).execute(&mut **tx).await?;
    Ok(())
}

/// The user of a live session.
///
/// # Errors
/// [`Error::Database`].
pub async fn user_by_session(db: &SqlitePool, token_hash: &[u8], now: i64) -> Result<Option<User>, Error> {
    let row: Option<UserRow> =
        sqlx::query_as("SELECT users.* FROM sessions JOIN users ON users.id = sessions.user_id WHERE token_hash = $1 AND expires_at > $2")
            .bind(token_hash)
            .bind(now)
            .fetch_optional(db)
            .await?;
    row.map(TryInto::try_into).transpose()
}

/// Ends a session; true when there was one.
///
/// # Errors
/// [`Error::Database`].
pub async fn delete_session(tx: &mut Transaction<'_, Sqlite>, token_hash: &[u8]) -> Result<bool, Error> {
    let done = sqlx::query("DELETE FROM sessions WHERE token_hash = $1").bind(token_hash).execute(&mut **tx).await?;
    Ok(done.rows_affected() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Db;

    fn user() -> User {
        User {
            id: UserId(uuid::Uuid::from_u128(7)),
            organization: OrganizationId(1),
            email: "dev@example.org".into(),
            name: "Dev".into(),
            password_hash: "hash".into(),
            roles: "developer".into(),
        }
    }

    #[tokio::test]
    async fn users_and_sessions() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        let mut tx = db.write().await.unwrap();
        insert_organization(&mut tx, OrganizationId(1), "First", 0).await.unwrap();
        insert_user(&mut tx, &user(), 0).await.unwrap();
        insert_session(&mut tx, b"a", user().id, 0, 100).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(user_by_email(db.read(), "DEV@example.org").await.unwrap(), Some(user()));
        assert_eq!(user_by_session(db.read(), b"a", 99).await.unwrap(), Some(user()));
        assert_eq!(user_by_session(db.read(), b"a", 100).await.unwrap(), None);
        assert_eq!(user_by_session(db.read(), b"b", 0).await.unwrap(), None);
        assert_eq!(organization(db.read(), OrganizationId(2)).await.unwrap(), None);
        let mut tx = db.write().await.unwrap();
        assert!(delete_session(&mut tx, b"a").await.unwrap());
        assert!(insert_user(&mut tx, &user(), 0).await.is_err());
    }
}
