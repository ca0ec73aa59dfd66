//! Begins a session for a person who knows their password.

use crate::{
    app::App,
    auth::{Caller, session},
    error::Problem,
};

/// Checks the password and begins a session; returns its token and whose it is.
///
/// # Errors
/// [`Problem::LoginFailed`], [`Problem::RateLimited`], [`Problem::Internal`].
pub async fn login(app: &App, email: &str, password: &str, address: &str) -> Result<(String, Caller), Problem> {
    let caller = app.credentials.check(&app.db, email, password, address).await?;
    if caller.via.is_some() {
        // A session would outlive the token it came from.
        return Err(Problem::invalid("this is a token, not a password: programs send it as \"Authorization: Bearer TOKEN\""));
    }
    let token = session::begin(&app.db, caller.user).await?;
    tracing::info!(user = %caller.user, "logged in");
    Ok((token, Caller::clone(&caller)))
}
