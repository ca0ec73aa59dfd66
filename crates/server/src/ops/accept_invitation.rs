//! Somebody follows the link of an invitation and chooses a password.

use model::id::UserId;
use store::{
    accounts::{self, User},
    audit::{self, Deed},
    invitations,
};

use crate::{
    app::App,
    auth::{credentials, secret},
    clock,
    error::Problem,
};

/// Longest name, characters.
const NAME_MAX: usize = 200;

/// Makes the account. The link is good once.
///
/// # Errors
/// [`Problem::NotFound`] when it is not, [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn accept_invitation(app: &App, token: &str, name: &str, password: &str) -> Result<User, Problem> {
    let gone = || Problem::NotFound { object: "Invitation", id: String::new() };
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Problem::invalid(format!("name: write 1 to {NAME_MAX} characters")));
    }
    let (hash, now) = (secret::hash(token), clock::now_ms());
    if invitations::by_hash(app.db.read(), &hash, now).await?.is_none() {
        return Err(gone());
    }
    let chosen = password.to_owned();
    // Slow on purpose; not on a thread that answers others, and before the transaction for which others wait.
    let hashed = tokio::task::spawn_blocking(move || credentials::hash(&chosen)).await.map_err(|error| Problem::internal(&error))?;
    let password_hash = hashed.map_err(|why| Problem::invalid(format!("password: {why}")))?;
    let mut tx = app.db.write().await?;
    let invitation = invitations::by_hash(&mut *tx, &hash, now).await?.ok_or_else(gone)?;
    let user = User {
        id: UserId(clock::new_id()),
        organization: invitation.organization,
        email: invitation.email.clone(),
        name: name.to_owned(),
        password_hash,
        roles: invitation.roles.clone(),
    };
    accounts::insert_user(&mut tx, &user, now).await.map_err(|error| match &error {
        store::Error::Database(sqlx::Error::Database(refusal)) if refusal.is_unique_violation() => {
            Problem::invalid("this address has an account by now; log in with it")
        }
        _ => Problem::internal(&error),
    })?;
    invitations::delete(&mut tx, invitation.organization, invitation.id).await?;
    let deed = Deed {
        organization: invitation.organization,
        at: now,
        actor: &user.email,
        action: "user.join",
        object: &user.email,
        detail: &format!("as {}, invited by {}", user.roles, invitation.invited_by),
    };
    audit::append(&mut tx, deed).await?;
    tx.commit().await?;
    Ok(user)
}
