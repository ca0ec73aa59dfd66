//! Changes the roles of somebody in the organization, removes them, or changes one's own password. The organization never loses its last
//! admin.

use model::id::UserId;
use store::{
    RightsChange,
    accounts::{self, User},
    audit,
};

use super::invite_user::roles_of;
use crate::{
    app::App,
    auth::{
        Caller, credentials,
        permission::{Permission, Role},
    },
    clock,
    error::Problem,
};

async fn own(change: &mut RightsChange, caller: &Caller, id: UserId) -> Result<User, Problem> {
    let found = accounts::user_by_id(&mut ***change, id).await?;
    found.filter(|user| user.organization == caller.organization).ok_or_else(|| Problem::NotFound { object: "User", id: id.to_string() })
}

/// Without an admin nobody could ever change anything again.
async fn admin_stays(change: &mut RightsChange, caller: &Caller) -> Result<(), Problem> {
    let (_, admins) = accounts::first_and_with_roles(&mut ***change, caller.organization, &[Role::Admin.as_str()]).await?;
    if admins > 0 { Ok(()) } else { Err(Problem::invalid("this is the last admin; make somebody else an admin first")) }
}

async fn note(change: &mut RightsChange, caller: &Caller, action: &str, object: &str, detail: &str) -> Result<(), store::Error> {
    audit::append(change, caller.deed(clock::now_ms(), action, object, detail)).await
}

/// Replaces somebody's roles. It counts from their next request on.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotAllowed`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn set_roles(app: &App, caller: &Caller, id: UserId, roles: &[String]) -> Result<User, Problem> {
    caller.require(Permission::ManageOrganization)?;
    caller.require_person()?;
    let roles = roles_of(caller, roles)?;
    let mut change = app.db.change_rights().await?;
    let mut user = own(&mut change, caller, id).await?;
    let was_operator = user.roles.split(',').any(|role| role == Role::Operator.as_str());
    if was_operator && !caller.roles.contains(&Role::Operator) {
        return Err(Problem::NotAllowed("only an operator changes an operator".into()));
    }
    accounts::set_roles(&mut change, id, &roles).await?;
    admin_stays(&mut change, caller).await?;
    note(&mut change, caller, "user.roles", &user.email, &format!("{} to {roles}", user.roles)).await?;
    change.commit().await?;
    user.roles = roles;
    Ok(user)
}

/// Removes somebody, with their sessions and tokens.
///
/// # Errors
/// As [`set_roles`].
pub async fn remove_user(app: &App, caller: &Caller, id: UserId) -> Result<User, Problem> {
    caller.require(Permission::ManageOrganization)?;
    caller.require_person()?;
    let mut change = app.db.change_rights().await?;
    let user = own(&mut change, caller, id).await?;
    if user.roles.split(',').any(|role| role == Role::Operator.as_str()) && !caller.roles.contains(&Role::Operator) {
        return Err(Problem::NotAllowed("only an operator removes an operator".into()));
    }
    accounts::delete_user(&mut change, id).await?;
    admin_stays(&mut change, caller).await?;
    note(&mut change, caller, "user.remove", &user.email, &user.roles).await?;
    change.commit().await?;
    Ok(user)
}

/// Replaces the caller's own password; all their sessions end.
///
/// # Errors
/// [`Problem::LoginFailed`] when the old one is wrong, [`Problem::InvalidInput`], [`Problem::NotAllowed`] for programs, [`Problem::Internal`].
pub async fn change_password(app: &App, caller: &Caller, old: &str, new: &str, address: &str) -> Result<(), Problem> {
    caller.require_person()?;
    let proved = app.credentials.check(&app.db, &caller.email, old, address).await?;
    if proved.via.is_some() {
        return Err(Problem::LoginFailed);
    }
    let chosen = new.to_owned();
    let hashed = tokio::task::spawn_blocking(move || credentials::hash(&chosen)).await.map_err(|error| Problem::internal(&error))?;
    let hashed = hashed.map_err(|why| Problem::invalid(format!("newPassword: {why}")))?;
    let mut change = app.db.change_rights().await?;
    accounts::set_password(&mut change, caller.user, &hashed).await?;
    note(&mut change, caller, "user.password", &caller.email, "").await?;
    Ok(change.commit().await?)
}
