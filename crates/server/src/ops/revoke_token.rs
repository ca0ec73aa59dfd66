//! Ends a token. Whatever was issued for it is refused from the next request on.

use model::id::TokenId;
use store::{
    audit,
    tokens::{self, Token},
};

use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
};

/// Ends a token of the caller, or for administrators of anybody in the organization. A token of somebody else does not exist.
///
/// # Errors
/// [`Problem::NotAllowed`] for programs, [`Problem::NotFound`], [`Problem::Internal`].
pub async fn revoke_token(app: &App, caller: &Caller, id: TokenId) -> Result<Token, Problem> {
    caller.require_person()?;
    let missing = || Problem::NotFound { object: "Token", id: id.to_string() };
    let found = tokens::by_id(app.db.read(), id).await?.ok_or_else(missing)?.token;
    let is_mine = found.user == caller.user;
    if !is_mine && (found.organization != caller.organization || !caller.may(Permission::ManageTokens)) {
        return Err(missing());
    }
    let mut change = app.db.change_rights().await?;
    if !tokens::delete(&mut change, id).await? {
        return Err(missing());
    }
    let object = format!("{} token {} ({id})", found.kind.as_str(), found.name);
    audit::append(&mut change, caller.deed(clock::now_ms(), "token.revoke", &object, "")).await?;
    change.commit().await?;
    tracing::info!(token = %id, user = %caller.user, "a token was revoked");
    Ok(found)
}
