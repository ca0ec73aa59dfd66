//! Makes a token with which a program acts as a person.

use model::id::TokenId;
use secrecy::SecretString;
use store::{
    audit,
    tokens::{self, Token, TokenKind},
};

use crate::{
    app::App,
    auth::{Caller, secret},
    clock,
    error::Problem,
};

/// Longest name, characters.
const NAME_MAX: usize = 100;

/// Most tokens of one kind that a person may have.
const MOST: i64 = 200;

/// A token that was made. The secret is shown once.
#[derive(Debug)]
pub struct Made {
    /// What the program sends.
    pub secret: SecretString,
    /// What is kept.
    pub token: Token,
}

/// Makes one; without `expires_at` it lasts until it is revoked.
///
/// # Errors
/// [`Problem::NotAllowed`] for programs, [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn create_api_token(app: &App, caller: &Caller, name: &str, expires_at: Option<i64>) -> Result<Made, Problem> {
    let token = blank(caller, TokenKind::Api, name)?;
    if expires_at.is_some_and(|at| at <= token.created_at) {
        return Err(Problem::invalid("expiresDateTime: the end must lie in the future"));
    }
    keep(app, caller, Token { expires_at, ..token }).await
}

/// A token with nothing but a name.
pub(super) fn blank(caller: &Caller, kind: TokenKind, name: &str) -> Result<Token, Problem> {
    caller.require_person()?;
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Problem::invalid(format!("name: say in 1 to {NAME_MAX} characters what the token is for")));
    }
    Ok(Token {
        id: TokenId(clock::new_id()),
        kind,
        name: name.to_owned(),
        user: caller.user,
        organization: caller.organization,
        repository: None,
        actions: None,
        service: None,
        created_at: clock::now_ms(),
        expires_at: None,
        used_at: None,
    })
}

/// Keeps a token and makes its secret.
pub(super) async fn keep(app: &App, caller: &Caller, token: Token) -> Result<Made, Problem> {
    let secret = secret::make(token.kind);
    let mut tx = app.db.write().await?;
    if tokens::count(&mut tx, token.user, token.kind).await? >= MOST {
        return Err(Problem::invalid(format!("you have {MOST} tokens of this kind; revoke those that are no longer used")));
    }
    tokens::insert(&mut tx, &token, &secret::hash_of(&secret)).await?;
    let object = format!("{} token {} ({})", token.kind.as_str(), token.name, token.id);
    let detail = token.repository.as_deref().unwrap_or_default();
    audit::append(&mut tx, caller.deed(token.created_at, "token.create", &object, detail)).await?;
    tx.commit().await?;
    tracing::info!(token = %token.id, kind = token.kind.as_str(), user = %token.user, "a token was made");
    Ok(Made { secret, token })
}
