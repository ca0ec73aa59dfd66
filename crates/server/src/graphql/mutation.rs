//! Deeds about sessions, tokens and repositories: each calls one op.

use async_graphql::{Context, ID, InputObject, Object, Result};
use store::accounts;

use super::{
    app, caller,
    identity::{LoginInfo, Organization},
    parse_id,
    repository::Repository,
    scalars::JsonData,
    token::{CreateApiToken, CreateRobotToken, DeletePayload, NewToken},
    visitor,
};
use crate::{
    auth::{Caller, session},
    error::Problem,
    ops::{
        create_api_token::create_api_token,
        create_robot_token::{Robot, create_robot_token},
        login,
        revoke_token::revoke_token,
        set_repository_public::set_repository_public,
    },
    tools,
};

/// Deeds about sessions, tokens and repositories.
#[derive(Default)]
pub struct IdentityMutation;

/// A login.
#[derive(InputObject)]
pub struct UserLogin {
    /// The e-mail address.
    user_name: String,
    password: String,
}

async fn login_info(ctx: &Context<'_>, token: String, caller: Caller) -> Result<LoginInfo> {
    let id = caller.organization;
    let name = accounts::organization(app(ctx).db.read(), id).await.map_err(Problem::from)?.unwrap_or_default();
    Ok(LoginInfo { token, caller, organization: Organization { id: id.0, name } })
}

#[Object]
impl IdentityMutation {
    /// Begins a session.
    async fn user_login(&self, ctx: &Context<'_>, input: UserLogin) -> Result<LoginInfo> {
        let (token, caller) = login::login(app(ctx), &input.user_name, &input.password, &visitor(ctx).address).await?;
        login_info(ctx, token, caller).await
    }

    /// Ends a session.
    async fn user_logout(&self, ctx: &Context<'_>, token: Option<String>) -> Result<bool> {
        caller(ctx)?;
        let token = token.or_else(|| visitor(ctx).token.clone()).unwrap_or_default();
        Ok(session::end(&app(ctx).db, &token).await?)
    }

    /// Whose token is this?
    async fn validate_token(&self, ctx: &Context<'_>, token: String) -> Result<LoginInfo> {
        let caller = session::caller(&app(ctx).db, &token).await?;
        login_info(ctx, token, caller).await
    }

    /// Begins a new session in place of one that is still good.
    async fn refresh_token(&self, ctx: &Context<'_>, token: String) -> Result<LoginInfo> {
        let caller = session::caller(&app(ctx).db, &token).await?;
        let fresh = session::begin(&app(ctx).db, caller.user).await?;
        session::end(&app(ctx).db, &token).await?;
        login_info(ctx, fresh, caller).await
    }

    /// Makes a token with which a program acts as the caller. It is shown once.
    async fn create_api_token(&self, ctx: &Context<'_>, input: CreateApiToken) -> Result<NewToken> {
        let caller = caller(ctx)?;
        let made = create_api_token(app(ctx), caller, &input.name, input.expires_date_time.map(|at| at.0)).await?;
        Ok(NewToken::new(made, caller))
    }

    /// Makes a token with which a program uses one repository, with the rights the caller has at the most. It is shown once.
    async fn create_robot_token(&self, ctx: &Context<'_>, input: CreateRobotToken) -> Result<NewToken> {
        let caller = caller(ctx)?;
        let robot = Robot {
            name: input.name,
            repository: input.repository,
            actions: input.actions.into_iter().map(Into::into).collect(),
            expires_at: input.expires_date_time.0,
        };
        Ok(NewToken::new(create_robot_token(app(ctx), caller, robot).await?, caller))
    }

    /// Ends a token, and what clients got with it, at once.
    async fn revoke_token(&self, ctx: &Context<'_>, id: ID) -> Result<DeletePayload> {
        let token = revoke_token(app(ctx), caller(ctx)?, parse_id(&id, "Token")?).await?;
        Ok(DeletePayload { id, message: format!("Token {:?} is revoked", token.name) })
    }

    /// Validates a result by the output standard, as the tool at `/v3/tools/engine/validate` does.
    async fn validate_engine_output(&self, ctx: &Context<'_>, input: JsonData) -> Result<bool> {
        caller(ctx)?;
        Ok(tools::validate_output(app(ctx), input.0.to_string().into_bytes()).await?)
    }

    /// Lets anybody pull from a repository of the caller's organization, or no longer.
    async fn set_repository_public(&self, ctx: &Context<'_>, name: String, is_public: bool) -> Result<Repository> {
        Ok(Repository(set_repository_public(app(ctx), caller(ctx)?, &name, is_public).await?))
    }
}
