//! Makes another organization. Its first admin comes by invitation.

use model::id::OrganizationId;
use store::{
    accounts,
    audit::{self, Deed},
};

use super::{
    invite_user::{Invited, free_address, invite},
    update_organization::NAME_MAX,
};
use crate::{
    app::App,
    auth::{
        Caller,
        permission::{Permission, Role},
    },
    clock,
    error::Problem,
};

/// Highest number of an organization; it stands in front of the names of repositories.
const HIGHEST: i64 = 999_999_999;

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
    if id.is_some_and(|id| !(1..=HIGHEST).contains(&id)) {
        return Err(Problem::invalid(format!("id: a number from 1 to {HIGHEST} is expected; leave it out to get the next one")));
    }
    let email = free_address(app, admin, "adminEmail").await?;
    let now = clock::now_ms();
    let mut tx = app.db.write().await?;
    let known = accounts::organizations(&mut *tx).await?;
    let is_free = |wanted: &i64| !known.iter().any(|(id, _)| id.0 == *wanted);
    let after = known.iter().map(|(id, _)| id.0).max().unwrap_or(0) + 1;
    let next = (after..=HIGHEST).next().or_else(|| (1..=HIGHEST).find(is_free));
    let next = next.ok_or_else(|| Problem::invalid("id: every number is taken"))?;
    let organization = OrganizationId(id.unwrap_or(next));
    if known.iter().any(|(id, _)| *id == organization) {
        return Err(Problem::invalid(format!("id: organization {organization} exists already; {next} is free")));
    }
    accounts::insert_organization(&mut tx, organization, name, now).await?;
    let roles = [Role::Developer, Role::Reviewer, Role::Admin].map(Role::as_str).join(",");
    let invited = invite(&mut tx, caller, organization, (email, roles), LIFE_MS).await?;
    for log in [caller.organization, organization] {
        let object = format!("organization {organization}");
        let deed = Deed { organization: log, at: now, actor: &caller.email, action: "organization.create", object: &object, detail: name };
        audit::append(&mut tx, deed).await?;
    }
    tx.commit().await?;
    Ok((organization, invited))
}
