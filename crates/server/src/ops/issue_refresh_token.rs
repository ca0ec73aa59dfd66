//! Keeps a registry client logged in: it gets a token that it can exchange for others, instead of keeping the password.

use model::id::TokenId;
use secrecy::SecretString;
use store::tokens::{self, Token, TokenKind};

use crate::{
    app::App,
    auth::{Caller, access_token::SERVICE, credentials::REFRESH_MS, secret},
    clock,
    error::Problem,
};

/// Most clients of one person that stay logged in; of more, those that were not used for longest have to log in again.
const MOST: i64 = 100;

/// Makes one for a client that calls itself `client`.
///
/// # Errors
/// [`Problem::NotAllowed`] for whoever showed a token, [`Problem::Internal`].
pub async fn issue_refresh_token(app: &App, caller: &Caller, client: &str) -> Result<SecretString, Problem> {
    caller.require_person()?;
    let client: String = client.chars().filter(char::is_ascii_graphic).take(60).collect();
    let now = clock::now_ms();
    let token = Token {
        id: TokenId(clock::new_id()),
        kind: TokenKind::Refresh,
        name: if client.is_empty() { "registry client".into() } else { client },
        user: caller.user,
        organization: caller.organization,
        repository: None,
        actions: None,
        service: Some(SERVICE.into()),
        created_at: now,
        expires_at: Some(now + REFRESH_MS),
        used_at: None,
    };
    let secret = secret::make(TokenKind::Refresh);
    let mut change = app.db.change_rights().await?;
    tokens::insert(&mut change, &token, &secret::hash_of(&secret)).await?;
    tokens::thin_out(&mut change, caller.user, MOST).await?;
    change.commit().await?;
    Ok(secret)
}
