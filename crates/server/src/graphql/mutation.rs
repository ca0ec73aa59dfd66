//! Deeds: each calls one op.

use async_graphql::{Context, InputObject, Object, Result};
use store::accounts;

use super::{
    app, caller, category,
    engine::{CreateEngine, Engine},
    identity::{LoginInfo, Organization},
    parse_id, visitor,
};
use crate::{
    auth::{Caller, session},
    error::Problem,
    ops::{
        create_engine::{self, NewEngine},
        login,
    },
};

/// Deeds.
pub struct Mutation;

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
impl Mutation {
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

    /// Registers an engine.
    async fn create_engine(&self, ctx: &Context<'_>, input: CreateEngine) -> Result<Engine> {
        let caller = caller(ctx)?;
        let category = category::find(&input.category_id)
            .ok_or_else(|| Problem::invalid(format!("categoryId: {:?} is no category; see engineCategories", input.category_id.0)))?;
        let new = NewEngine {
            id: match &input.id {
                Some(id) => Some(parse_id(id, "Engine").map_err(|_| Problem::invalid("id: a UUID is expected"))?),
                None => None,
            },
            extra: input.extra(),
            name: input.name,
            description: input.description.unwrap_or_default(),
            category,
            deployment_model: input.deployment_model.into(),
        };
        Ok(Engine(create_engine::create_engine(app(ctx), caller, new).await?))
    }
}
