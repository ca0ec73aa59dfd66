//! Makes another organization. Its first admin comes by invitation.

use model::id::{InvitationId, OrganizationId};
use secrecy::{ExposeSecret, SecretString};
use store::{
    accounts,
    audit::{self, Deed},
    invitations::{self, Invitation},
};

use super::{
    invite_user::{Invited, address},
    update_organization::NAME_MAX,
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

/// The invitation of a first admin ends after this time, milliseconds.
const LIFE_MS: i64 = 30 * 24 * 3_600_000;

/// Makes it, with the number that is asked for or the next free one.
///
/// # Errors
/// [`Problem::NotAllowed`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn create_organization(
    app: &App,
    caller: &Caller,
    id: Option<i64>,
    name: &str,
    admin: &str,
) -> Result<(OrganizationId, Invited), Problem> {
    caller.require(Permission::CreateOrganizations)?;
    caller.require_person()?;
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Problem::invalid(format!("name: write 1 to {NAME_MAX} characters")));
    }
    if id.is_some_and(|id| id <= 0) {
        return Err(Problem::invalid("id: a positive number is expected; leave it out to get the next one"));
    }
    let email = address(admin)?;
    if accounts::user_by_email(app.db.read(), &email).await?.is_some() {
        return Err(Problem::invalid("adminEmail: this address has an account already; an address has one account in one organization"));
    }
    let now = clock::now_ms();
    let mut tx = app.db.write().await?;
    let known = accounts::organizations(&mut *tx).await?;
    let next = known.iter().map(|(id, _)| id.0).max().unwrap_or(0) + 1;
    let organization = OrganizationId(id.unwrap_or(next));
    if known.iter().any(|(id, _)| *id == organization) {
        return Err(Problem::invalid(format!("id: organization {organization} exists already; {next} is free")));
    }
    accounts::insert_organization(&mut tx, organization, name, now).await?;
    let roles = [Role::Developer, Role::Reviewer, Role::Admin].map(Role::as_str).join(",");
    let secret = SecretString::from(hex::encode(clock::random::<32>()));
    let invitation = Invitation {
        id: InvitationId(clock::new_id()),
        organization,
        email,
        roles,
        invited_by: caller.email.clone(),
        created_at: now,
        expires_at: now + LIFE_MS,
    };
    invitations::insert(&mut tx, &invitation, &secret::hash(secret.expose_secret())).await?;
    for log in [caller.organization, organization] {
        let object = format!("organization {organization}");
        let deed = Deed { organization: log, at: now, actor: &caller.email, action: "organization.create", object: &object, detail: name };
        audit::append(&mut tx, deed).await?;
    }
    tx.commit().await?;
    Ok((organization, Invited { invitation, secret }))
}
