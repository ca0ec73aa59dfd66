//! Deeds about organizations and people: each calls one op.

use async_graphql::{Context, ID, Object, Result};
use store::accounts;

use super::{
    account::{
        AcceptInvitation, CreateOrganization, InviteUser, NewInvitation, OrganizationSettings, OrganizationUser, UpdateOrganization,
    },
    app, caller, parse_id,
    token::DeletePayload,
    visitor,
};
use crate::{
    error::Problem,
    ops::{
        accept_invitation::accept_invitation,
        create_organization::create_organization,
        invite_user::{invite_user, revoke_invitation},
        manage_user::{change_password, remove_user, set_roles},
        update_organization::update_organization,
    },
};

/// Deeds about organizations and people.
#[derive(Default)]
pub struct AccountMutation;

#[Object]
impl AccountMutation {
    /// Makes another organization and the invitation of its first admin.
    async fn create_organization(&self, ctx: &Context<'_>, input: CreateOrganization) -> Result<NewInvitation> {
        let app = app(ctx);
        let (_, invited) = create_organization(app, caller(ctx)?, input.id, &input.name, &input.admin_email).await?;
        Ok(NewInvitation { invited, public_url: app.public_url.clone() })
    }

    /// Changes the caller's organization and its rules.
    async fn update_organization(&self, ctx: &Context<'_>, input: UpdateOrganization) -> Result<OrganizationSettings> {
        let (_, settings) = update_organization(app(ctx), caller(ctx)?, input.name.as_deref(), |old| input.apply(old)).await?;
        Ok(settings.into())
    }

    /// Makes a link with which somebody joins the caller's organization. It is shown once.
    async fn invite_user(&self, ctx: &Context<'_>, input: InviteUser) -> Result<NewInvitation> {
        let app = app(ctx);
        let invited = invite_user(app, caller(ctx)?, &input.email, &input.roles).await?;
        Ok(NewInvitation { invited, public_url: app.public_url.clone() })
    }

    /// Takes an invitation back.
    async fn revoke_invitation(&self, ctx: &Context<'_>, id: ID) -> Result<DeletePayload> {
        revoke_invitation(app(ctx), caller(ctx)?, parse_id(&id, "Invitation")?).await?;
        Ok(DeletePayload { id, message: "The invitation is taken back".into() })
    }

    /// Joins an organization.
    async fn accept_invitation(&self, ctx: &Context<'_>, input: AcceptInvitation) -> Result<OrganizationUser> {
        Ok(OrganizationUser(accept_invitation(app(ctx), &input.token, &input.name, &input.password).await?))
    }

    /// Replaces the roles of somebody in the caller's organization.
    async fn set_user_roles(&self, ctx: &Context<'_>, id: ID, roles: Vec<String>) -> Result<OrganizationUser> {
        Ok(OrganizationUser(set_roles(app(ctx), caller(ctx)?, parse_id(&id, "User")?, &roles).await?))
    }

    /// Removes somebody from the caller's organization, with their sessions and tokens.
    async fn remove_user(&self, ctx: &Context<'_>, id: ID) -> Result<DeletePayload> {
        let user = remove_user(app(ctx), caller(ctx)?, parse_id(&id, "User")?).await?;
        Ok(DeletePayload { id, message: format!("{} is removed", user.email) })
    }

    /// Replaces the caller's password; all their sessions end.
    async fn change_password(&self, ctx: &Context<'_>, old_password: String, new_password: String) -> Result<bool> {
        let caller = caller(ctx)?;
        change_password(app(ctx), caller, &old_password, &new_password, &visitor(ctx).address).await?;
        let left = accounts::user_by_id(app(ctx).db.read(), caller.user).await.map_err(Problem::from)?;
        Ok(left.is_some())
    }
}
