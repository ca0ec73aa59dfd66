//! Asks somebody to join the organization: makes a link that is shown once. Sending it is up to whoever asked.

use model::id::{InvitationId, OrganizationId};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Sqlite, Transaction};
use store::{
    accounts, audit,
    invitations::{self, Invitation},
};

use crate::{
    app::App,
    auth::{
        Caller,
        permission::{Permission, Role},
        secret,
    },
    clock,
    error::Problem,
};

/// An invitation ends after this time, milliseconds.
const LIFE_MS: i64 = 7 * 24 * 3_600_000;

/// An invitation and the secret of its link, which is not kept.
pub struct Invited {
    /// What is kept.
    pub invitation: Invitation,
    /// The last part of the link.
    pub secret: SecretString,
}

/// An address as it is kept; only its shape is checked.
///
/// # Errors
/// [`Problem::InvalidInput`].
fn address(email: &str) -> Result<String, Problem> {
    let email = email.trim().to_lowercase();
    let is_good = email.len() <= 254
        && email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
        && !email.chars().any(|c| c.is_whitespace() || c.is_control() || c == ',');
    if is_good { Ok(email) } else { Err(Problem::invalid("email: write an address such as ann@example.org")) }
}

/// Roles as they are kept.
///
/// # Errors
/// [`Problem::InvalidInput`] naming the roles there are, [`Problem::NotAllowed`] for operators, whom only operators make.
pub(super) fn roles_of(caller: &Caller, roles: &[String]) -> Result<String, Problem> {
    let known = Role::ALL.map(Role::as_str).join(", ");
    let mut words = Vec::new();
    for role in roles {
        let shown = || role.chars().take(80).collect::<String>();
        let role = Role::parse(role).ok_or_else(|| Problem::invalid(format!("roles: {:?} is none; choose of {known}", shown())))?;
        if role == Role::Operator && !caller.roles.contains(&Role::Operator) {
            return Err(Problem::NotAllowed("only an operator makes somebody an operator".into()));
        }
        if !words.contains(&role.as_str()) {
            words.push(role.as_str());
        }
    }
    if words.is_empty() {
        return Err(Problem::invalid(format!("roles: choose at least one of {known}")));
    }
    Ok(words.join(","))
}

/// An address as it is kept, if nobody has an account with it yet; `field` is what the API calls it.
///
/// # Errors
/// [`Problem::InvalidInput`], [`Problem::Internal`].
pub(super) async fn free_address(app: &App, email: &str, field: &str) -> Result<String, Problem> {
    let email = address(email)?;
    if accounts::user_by_email(app.db.read(), &email).await?.is_some() {
        return Err(Problem::invalid(format!(
            "{field}: this address has an account already; an address has one account in one organization"
        )));
    }
    Ok(email)
}

/// Keeps an invitation into an organization and makes the secret of its link. The caller commits.
///
/// # Errors
/// [`store::Error`].
pub(super) async fn invite(
    tx: &mut Transaction<'static, Sqlite>,
    caller: &Caller,
    organization: OrganizationId,
    guest: (String, String),
    life_ms: i64,
) -> Result<Invited, store::Error> {
    let (email, roles) = guest;
    let (now, secret) = (clock::now_ms(), SecretString::from(hex::encode(clock::random::<32>())));
    let invitation = Invitation {
        id: InvitationId(clock::new_id()),
        organization,
        email,
        roles,
        invited_by: caller.email.clone(),
        created_at: now,
        expires_at: now + life_ms,
    };
    invitations::insert(tx, &invitation, &secret::hash(secret.expose_secret())).await?;
    Ok(Invited { invitation, secret })
}

/// Makes one; an earlier one for the same address ends.
///
/// # Errors
/// [`Problem::NotAllowed`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn invite_user(app: &App, caller: &Caller, email: &str, roles: &[String]) -> Result<Invited, Problem> {
    caller.require(Permission::ManageOrganization)?;
    caller.require_person()?;
    let email = free_address(app, email, "email").await?;
    let guest = (email, roles_of(caller, roles)?);
    let mut tx = app.db.write().await?;
    let invited = invite(&mut tx, caller, caller.organization, guest, LIFE_MS).await?;
    let made = &invited.invitation;
    audit::append(&mut tx, caller.deed(made.created_at, "user.invite", &made.email, &made.roles)).await?;
    tx.commit().await?;
    Ok(invited)
}

/// Takes an invitation back.
///
/// # Errors
/// [`Problem::NotAllowed`], [`Problem::NotFound`], [`Problem::Internal`].
pub async fn revoke_invitation(app: &App, caller: &Caller, id: InvitationId) -> Result<(), Problem> {
    caller.require(Permission::ManageOrganization)?;
    let mut tx = app.db.write().await?;
    if !invitations::delete(&mut tx, caller.organization, id).await? {
        return Err(Problem::NotFound { object: "Invitation", id: id.to_string() });
    }
    let object = id.to_string();
    audit::append(&mut tx, caller.deed(clock::now_ms(), "user.uninvite", &object, "")).await?;
    Ok(tx.commit().await?)
}
