//! Tokens that programs log in with: kept under the SHA-256 of what was handed out, listed without it, gone when revoked.

use model::id::{OrganizationId, TokenId, UserId};
use sqlx::{FromRow, SqliteConnection, SqlitePool};

use crate::{
    RightsChange,
    accounts::{User, UserRow},
    error::Error,
};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A program that acts as a person.
    Api,
    /// A program that may use one repository.
    Robot,
    /// A registry client that stays logged in.
    Refresh,
}

impl TokenKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Api, Self::Robot, Self::Refresh];

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Robot => "robot",
            Self::Refresh => "refresh",
        }
    }
}

/// A token without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Id.
    pub id: TokenId,
    /// What it is for.
    pub kind: TokenKind,
    /// For people.
    pub name: String,
    /// Whose rights it has, at most.
    pub user: UserId,
    /// Their organization.
    pub organization: OrganizationId,
    /// The one repository of a robot.
    pub repository: Option<String>,
    /// What a robot may do there: words of the registry's actions, joined by commas.
    pub actions: Option<String>,
    /// What a refresh token was issued for.
    pub service: Option<String>,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Epoch milliseconds; `None` for one that lasts until it is revoked.
    pub expires_at: Option<i64>,
    /// When it was last seen, to a few minutes.
    pub used_at: Option<i64>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    kind: String,
    name: String,
    user_id: String,
    organization_id: i64,
    repository: Option<String>,
    actions: Option<String>,
    service: Option<String>,
    created_at: i64,
    expires_at: Option<i64>,
    used_at: Option<i64>,
}

impl TryFrom<Row> for Token {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let kind = TokenKind::ALL.into_iter().find(|kind| kind.as_str() == row.kind);
        Ok(Self {
            id: row.id.parse().map_err(|_| Error::row("tokens", "token id", &row.id))?,
            kind: kind.ok_or_else(|| Error::row("tokens", "kind of token", &row.kind))?,
            name: row.name,
            user: row.user_id.parse().map_err(|_| Error::row("tokens", "user id", &row.user_id))?,
            organization: OrganizationId(row.organization_id),
            repository: row.repository,
            actions: row.actions,
            service: row.service,
            created_at: row.created_at,
            expires_at: row.expires_at,
            used_at: row.used_at,
        })
    }
}

/// A token and the account it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The token.
    pub token: Token,
    /// Its owner.
    pub owner: User,
}

/// Adds a token, and forgets those of the same person that have expired.
///
/// # Errors
/// [`Error::Database`].
pub async fn insert(tx: &mut SqliteConnection, token: &Token, hash: &[u8]) -> Result<(), Error> {
    let expired = sqlx::query("DELETE FROM tokens WHERE user_id = $1 AND expires_at <= $2");
    expired.bind(token.user.to_string()).bind(token.created_at).execute(&mut *tx).await?;
    sqlx::query(
        "INSERT INTO tokens (id, kind, hash, name, user_id, organization_id, repository, actions, service, created_at, expires_at, used_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(token.id.to_string())
    .bind(token.kind.as_str())
    .bind(hash)
    .bind(&token.name)
    .bind(token.user.to_string())
    .bind(token.organization.0)
    .bind(&token.repository)
    .bind(&token.actions)
    .bind(&token.service)
    .bind(token.created_at)
    .bind(token.expires_at)
    .bind(token.used_at)
    .execute(tx)
    .await?;
    Ok(())
}

/// How many tokens of one kind a person has.
///
/// # Errors
/// [`Error::Database`].
pub async fn count(tx: &mut SqliteConnection, user: UserId, kind: TokenKind) -> Result<i64, Error> {
    let count = sqlx::query_scalar("SELECT count(*) FROM tokens WHERE user_id = $1 AND kind = $2");
    Ok(count.bind(user.to_string()).bind(kind.as_str()).fetch_one(tx).await?)
}

/// Removes the refresh tokens of a person but for the `kept` that were used last.
///
/// # Errors
/// [`Error::Database`].
pub async fn thin_out(change: &mut RightsChange, user: UserId, kept: i64) -> Result<(), Error> {
    sqlx::query(
        "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE user_id = $1 AND kind = 'refresh' \
         ORDER BY coalesce(used_at, created_at) DESC, id LIMIT -1 OFFSET $2)",
    )
    .bind(user.to_string())
    .bind(kept)
    .execute(&mut ***change)
    .await?;
    Ok(())
}

/// The token with this hash and its owner. Whether it has expired is for the caller to see.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn by_hash(db: &SqlitePool, hash: &[u8]) -> Result<Option<Owned>, Error> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM tokens WHERE hash = $1").bind(hash).fetch_optional(db).await?;
    owned(db, row).await
}

/// The token with this id and its owner.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn by_id(db: &SqlitePool, id: TokenId) -> Result<Option<Owned>, Error> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM tokens WHERE id = $1").bind(id.to_string()).fetch_optional(db).await?;
    owned(db, row).await
}

async fn owned(db: &SqlitePool, row: Option<Row>) -> Result<Option<Owned>, Error> {
    let Some(token) = row.map(Token::try_from).transpose()? else { return Ok(None) };
    let owner: Option<UserRow> =
        sqlx::query_as("SELECT * FROM users WHERE id = $1").bind(token.user.to_string()).fetch_optional(db).await?;
    Ok(owner.map(User::try_from).transpose()?.map(|owner| Owned { token, owner }))
}

/// Tokens of an organization, or of one person in it, newest first.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn list(
    db: &SqlitePool,
    organization: OrganizationId,
    user: Option<UserId>,
    offset: i64,
    limit: i64,
) -> Result<Vec<(Token, String)>, Error> {
    #[derive(FromRow)]
    struct Listed {
        #[sqlx(flatten)]
        token: Row,
        email: String,
    }
    let rows: Vec<Listed> = sqlx::query_as(
        "SELECT tokens.*, users.email FROM tokens JOIN users ON users.id = tokens.user_id \
         WHERE tokens.organization_id = $1 AND ($2 IS NULL OR tokens.user_id = $2) ORDER BY tokens.created_at DESC, tokens.id LIMIT $3 OFFSET $4",
    )
    .bind(organization.0)
    .bind(user.map(|id| id.to_string()))
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok((row.token.try_into()?, row.email))).collect()
}

/// Remembers that a token was used; a refresh token that is used lasts until `expires_at`.
///
/// # Errors
/// [`Error::Database`].
pub async fn touch(tx: &mut SqliteConnection, id: TokenId, now: i64, expires_at: Option<i64>) -> Result<(), Error> {
    let update = sqlx::query("UPDATE tokens SET used_at = $2, expires_at = coalesce($3, expires_at) WHERE id = $1");
    update.bind(id.to_string()).bind(now).bind(expires_at).execute(tx).await?;
    Ok(())
}

/// Removes a token; false when it is not there.
///
/// # Errors
/// [`Error::Database`].
pub async fn delete(change: &mut RightsChange, id: TokenId) -> Result<bool, Error> {
    let done = sqlx::query("DELETE FROM tokens WHERE id = $1").bind(id.to_string()).execute(&mut ***change).await?;
    Ok(done.rows_affected() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Db, accounts};

    const ORG: OrganizationId = OrganizationId(1);

    fn user(n: u128) -> User {
        User {
            id: UserId(uuid::Uuid::from_u128(n)),
            organization: ORG,
            email: format!("dev{n}@example.org"),
            name: "Dev".into(),
            password_hash: "hash".into(),
            roles: "developer".into(),
        }
    }

    fn token(n: u128, kind: TokenKind, owner: u128, created_at: i64) -> Token {
        Token {
            id: TokenId(uuid::Uuid::from_u128(n)),
            kind,
            name: format!("token {n}"),
            user: user(owner).id,
            organization: ORG,
            repository: (kind == TokenKind::Robot).then(|| "1/a".into()),
            actions: (kind == TokenKind::Robot).then(|| "pull".into()),
            service: (kind == TokenKind::Refresh).then(|| "plimsoll".into()),
            created_at,
            expires_at: Some(1000),
            used_at: None,
        }
    }

    async fn db(dir: &std::path::Path) -> Db {
        let db = Db::open(&dir.join("p.db")).await.unwrap();
        let mut tx = db.write().await.unwrap();
        accounts::insert_organization(&mut tx, ORG, "First", 0).await.unwrap();
        for n in [7, 8] {
            accounts::insert_user(&mut tx, &user(n), 0).await.unwrap();
        }
        tx.commit().await.unwrap();
        db
    }

    async fn add(db: &Db, token: &Token) {
        let mut tx = db.write().await.unwrap();
        insert(&mut tx, token, token.name.as_bytes()).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn names(db: &Db, user: Option<UserId>) -> Vec<String> {
        list(db.read(), ORG, user, 0, 10).await.unwrap().into_iter().map(|(token, email)| format!("{} of {email}", token.name)).collect()
    }

    #[tokio::test]
    async fn a_token_is_found_by_its_hash_until_it_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let db = db(dir.path()).await;
        let robot = token(1, TokenKind::Robot, 7, 0);
        add(&db, &robot).await;
        let found = by_hash(db.read(), b"token 1").await.unwrap().unwrap();
        assert_eq!(found, Owned { token: robot.clone(), owner: user(7) });
        assert_eq!(by_id(db.read(), robot.id).await.unwrap(), Some(found));
        assert_eq!(by_hash(db.read(), b"token 2").await.unwrap(), None);
        let mut tx = db.write().await.unwrap();
        touch(&mut tx, robot.id, 5, None).await.unwrap();
        tx.commit().await.unwrap();
        let used = by_id(db.read(), robot.id).await.unwrap().unwrap().token;
        assert_eq!((used.used_at, used.expires_at), (Some(5), Some(1000)));
        let mut change = db.change_rights().await.unwrap();
        assert!(delete(&mut change, robot.id).await.unwrap());
        assert!(!delete(&mut change, robot.id).await.unwrap());
        change.commit().await.unwrap();
        assert_eq!(by_hash(db.read(), b"token 1").await.unwrap(), None);
    }

    #[tokio::test]
    async fn lists_are_of_an_organization_or_a_person_and_expired_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let db = db(dir.path()).await;
        for token in [token(1, TokenKind::Api, 7, 1), token(2, TokenKind::Robot, 8, 2), token(3, TokenKind::Refresh, 7, 3)] {
            add(&db, &token).await;
        }
        assert_eq!(names(&db, None).await, ["token 3 of dev7@example.org", "token 2 of dev8@example.org", "token 1 of dev7@example.org"]);
        assert_eq!(names(&db, Some(user(8).id)).await, ["token 2 of dev8@example.org"]);
        assert_eq!(list(db.read(), OrganizationId(2), None, 0, 10).await.unwrap(), []);
        add(&db, &Token { created_at: 1000, expires_at: None, ..token(4, TokenKind::Api, 7, 0) }).await;
        assert_eq!(names(&db, None).await, ["token 4 of dev7@example.org", "token 2 of dev8@example.org"]);
    }

    #[tokio::test]
    async fn a_new_password_and_a_lost_account_end_tokens() {
        let dir = tempfile::tempdir().unwrap();
        let db = db(dir.path()).await;
        add(&db, &token(1, TokenKind::Api, 7, 1)).await;
        add(&db, &token(2, TokenKind::Refresh, 7, 2)).await;
        let mut change = db.change_rights().await.unwrap();
        accounts::insert_session(&mut change, b"s", user(7).id, 0, 1000).await.unwrap();
        accounts::set_password(&mut change, user(7).id, "new").await.unwrap();
        change.commit().await.unwrap();
        assert_eq!(names(&db, None).await, ["token 1 of dev7@example.org"]);
        assert_eq!(accounts::user_by_session(db.read(), b"s", 1).await.unwrap(), None);
        let mut change = db.change_rights().await.unwrap();
        assert!(accounts::delete_user(&mut change, user(7).id).await.unwrap());
        change.commit().await.unwrap();
        assert_eq!(names(&db, None).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn only_the_refresh_tokens_used_last_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let db = db(dir.path()).await;
        add(&db, &token(9, TokenKind::Api, 7, 0)).await;
        for n in 1..=4 {
            add(&db, &token(n, TokenKind::Refresh, 7, n as i64)).await;
        }
        let mut change = db.change_rights().await.unwrap();
        touch(&mut change, token(1, TokenKind::Refresh, 7, 1).id, 50, Some(2000)).await.unwrap();
        thin_out(&mut change, user(7).id, 2).await.unwrap();
        assert_eq!(count(&mut change, user(7).id, TokenKind::Refresh).await.unwrap(), 2);
        change.commit().await.unwrap();
        assert_eq!(names(&db, None).await, ["token 4 of dev7@example.org", "token 1 of dev7@example.org", "token 9 of dev7@example.org"]);
        assert_eq!(by_hash(db.read(), b"token 1").await.unwrap().unwrap().token.expires_at, Some(2000));
    }
}
