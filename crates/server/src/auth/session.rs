//! Sessions: an opaque random token, of which only the hash is kept. The API sends it as a bearer token, the console as a cookie.

use axum::http::{HeaderMap, header};
use model::id::UserId;
use sha2::{Digest, Sha256};
use store::{Db, accounts};

use super::Caller;
use crate::{clock, error::Problem};

/// Life of a session, milliseconds: one day (GraphQL contract §1).
pub const LIFE_MS: i64 = 24 * 3_600_000;

/// Name of the console's cookie.
pub const COOKIE: &str = "plimsoll_session";

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Begins a session and returns its token, in the form of a UUID.
///
/// # Errors
/// [`Problem::Internal`].
pub async fn begin(db: &Db, user: UserId) -> Result<String, Problem> {
    let token = uuid::Uuid::from_bytes(clock::random::<16>()).to_string();
    let now = clock::now_ms();
    let mut tx = db.write().await?;
    accounts::insert_session(&mut tx, &hash(&token), user, now, now + LIFE_MS).await?;
    tx.commit().await?;
    Ok(token)
}

/// The caller of a token.
///
/// # Errors
/// [`Problem::Unauthenticated`] when it is unknown or expired.
pub async fn caller(db: &Db, token: &str) -> Result<Caller, Problem> {
    let user = accounts::user_by_session(db.read(), &hash(token), clock::now_ms()).await?;
    user.map(Into::into).ok_or(Problem::Unauthenticated)
}

/// Ends a session; true when there was one.
///
/// # Errors
/// [`Problem::Internal`].
pub async fn end(db: &Db, token: &str) -> Result<bool, Problem> {
    let mut tx = db.write().await?;
    let ended = accounts::delete_session(&mut tx, &hash(token)).await?;
    tx.commit().await?;
    Ok(ended)
}

/// The token of an `Authorization: Bearer` header, the scheme in any letter case.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The token of the console's cookie.
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_in_headers() {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "bEaReR  abc".parse().unwrap());
        headers.insert(header::COOKIE, "a=b; plimsoll_session=xyz".parse().unwrap());
        assert_eq!((bearer(&headers), cookie(&headers)), (Some("abc"), Some("xyz")));
        headers.insert(header::AUTHORIZATION, "Basic abc".parse().unwrap());
        assert_eq!(bearer(&headers), None);
    }
}
