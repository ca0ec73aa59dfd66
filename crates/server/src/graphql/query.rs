//! Reads.

use async_graphql::{Context, ID, Object, Result};
use model::{
    capability::Capability,
    id::{BuildId, EngineId},
};
use store::{accounts, builds, engines, repositories, tokens, unclaimed_pushes};

use super::{
    app,
    build::Build,
    caller,
    category::{self, EngineCategory, EngineCategoryList},
    engine::{Engine, EngineList},
    identity::{Organization, User},
    page, parse_id,
    repository::{Repository, RepositoryList},
    token::Token,
    unclaimed_push::{UnclaimedPush, UnclaimedPushList},
};
use crate::{auth::permission::Permission, error::Problem};

/// Reads.
#[derive(Default)]
pub struct Query;

#[Object(name = "Reads")]
impl Query {
    /// Who am I?
    async fn me(&self, ctx: &Context<'_>) -> Result<User> {
        Ok(User(caller(ctx)?.clone()))
    }

    /// The organization of whoever asks.
    async fn organization(&self, ctx: &Context<'_>) -> Result<Organization> {
        let id = caller(ctx)?.organization;
        let name = accounts::organization(app(ctx).db.read(), id).await.map_err(Problem::from)?.unwrap_or_default();
        Ok(Organization { id: id.0, name })
    }

    /// What an engine can be registered for.
    async fn engine_categories(
        &self,
        ctx: &Context<'_>,
        id: Option<ID>,
        name: Option<String>,
        #[graphql(name = "type")] category_type: Option<String>,
        offset: Option<i64>,
        limit: Option<i64>,
    ) -> Result<EngineCategoryList> {
        caller(ctx)?.require(Permission::ReadEngines)?;
        let (offset, limit) = page(offset, limit);
        let name = name.map(|name| name.to_lowercase());
        let wanted = |capability: &Capability| {
            id.as_ref().is_none_or(|id| category::find(id) == Some(*capability))
                && name.as_ref().is_none_or(|name| capability.as_str().contains(name))
                && category_type.as_ref().is_none_or(|wanted| category::type_name(*capability).eq_ignore_ascii_case(wanted))
        };
        let records = Capability::all().filter(wanted).skip(offset as usize).take(limit as usize).map(EngineCategory).collect();
        Ok(EngineCategoryList { records, offset, limit })
    }

    /// One category.
    async fn engine_category(&self, ctx: &Context<'_>, id: ID) -> Result<EngineCategory> {
        caller(ctx)?.require(Permission::ReadEngines)?;
        Ok(category::find(&id).map(EngineCategory).ok_or_else(|| Problem::NotFound { object: "EngineCategory", id: id.to_string() })?)
    }

    /// One engine of the caller's organization.
    async fn engine(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Engine>> {
        let caller = caller(ctx)?;
        caller.require(Permission::ReadEngines)?;
        let engine_id: EngineId = parse_id(&id, "Engine")?;
        let row = engines::by_id(app(ctx).db.read(), engine_id).await.map_err(Problem::from)?;
        let mine = row.filter(|engine| engine.organization == caller.organization);
        Ok(Some(mine.map(Engine).ok_or_else(|| Problem::NotFound { object: "Engine", id: id.to_string() })?))
    }

    /// Engines of the caller's organization, newest first.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the contract")]
    async fn engines(
        &self,
        ctx: &Context<'_>,
        id: Option<ID>,
        name: Option<String>,
        category_id: Option<ID>,
        category: Option<String>,
        offset: Option<i64>,
        limit: Option<i64>,
    ) -> Result<EngineList> {
        let caller = caller(ctx)?;
        caller.require(Permission::ReadEngines)?;
        let (offset, limit) = page(offset, limit);
        let word = category_id.map(|id| id.0).or(category);
        let category = match &word {
            Some(word) => Some(
                category::find(word).ok_or_else(|| Problem::invalid(format!("category: {word:?} is no category; see engineCategories")))?,
            ),
            None => None,
        };
        let filter = engines::Filter { name, category, id: id.map(|id| parse_id(&id, "Engine")).transpose()? };
        let rows = engines::list(app(ctx).db.read(), caller.organization, &filter, offset, limit).await.map_err(Problem::from)?;
        Ok(EngineList { records: rows.into_iter().map(Engine).collect(), offset, limit })
    }

    /// One build of the caller's organization.
    async fn engine_build(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Build>> {
        let caller = caller(ctx)?;
        caller.require(Permission::ReadEngines)?;
        let missing = || Problem::NotFound { object: "Build", id: id.to_string() };
        let build_id: BuildId = parse_id(&id, "Build")?;
        let owner = builds::organization(app(ctx).db.read(), build_id).await.map_err(Problem::from)?;
        if owner != Some(caller.organization) {
            return Err(missing().into());
        }
        let row = builds::by_id(app(ctx).db.read(), build_id).await.map_err(Problem::from)?;
        Ok(Some(row.map(Build).ok_or_else(missing)?))
    }

    /// Pushes of the caller's organization that became no build, newest first.
    async fn unclaimed_pushes(&self, ctx: &Context<'_>, offset: Option<i64>, limit: Option<i64>) -> Result<UnclaimedPushList> {
        let caller = caller(ctx)?;
        caller.require(Permission::ReadEngines)?;
        let (offset, limit) = page(offset, limit);
        let rows = unclaimed_pushes::list(app(ctx).db.read(), caller.organization, offset, limit).await.map_err(Problem::from)?;
        Ok(UnclaimedPushList { records: rows.into_iter().map(UnclaimedPush).collect(), offset, limit })
    }

    /// Repositories of the caller's organization, by name.
    async fn repositories(&self, ctx: &Context<'_>, offset: Option<i64>, limit: Option<i64>) -> Result<RepositoryList> {
        let caller = caller(ctx)?;
        caller.require(Permission::ReadEngines)?;
        let (offset, limit) = page(offset, limit);
        let rows = repositories::list(&app(ctx).db, caller.organization, offset, limit).await.map_err(Problem::from)?;
        Ok(RepositoryList { records: rows.into_iter().map(Repository).collect(), offset, limit })
    }

    /// Tokens of the caller, for administrators of everybody in the organization; newest first.
    async fn tokens(&self, ctx: &Context<'_>, offset: Option<i64>, limit: Option<i64>) -> Result<Vec<Token>> {
        let caller = caller(ctx)?;
        let (offset, limit) = page(offset, limit);
        let only = (!caller.may(Permission::ManageTokens)).then_some(caller.user);
        let rows = tokens::list(app(ctx).db.read(), caller.organization, only, offset, limit).await.map_err(Problem::from)?;
        Ok(rows.into_iter().map(|(token, owner)| Token { token, owner }).collect())
    }
}
