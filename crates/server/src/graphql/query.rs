//! Reads.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, ID, Object, Result};
use model::{
    build::BuildStatus,
    capability::Capability,
    id::{BuildId, EngineId},
};
use store::{accounts, audit, builds, engines, invitations, repositories, tokens, unclaimed_pushes};

use super::{
    account::{AuditEntry, Invitation, OrganizationSettings, OrganizationUser},
    app,
    build::Build,
    caller,
    category::{self, EngineCategory},
    engine::{Engine, EngineState},
    engine_input::{EngineFilter, EngineSortField},
    identity::{Organization, RightsListing, User},
    page::{Page, Wanted},
    parse_id, party,
    repository::Repository,
    review::ReviewItem,
    scalars::JsonData,
    token::Token,
    unclaimed_push::UnclaimedPush,
};
use crate::{
    auth::permission::{self, Permission},
    clock,
    error::Problem,
    review_queue,
};

/// Reads.
#[derive(Default)]
pub struct Query;

/// The category of an id or a word.
fn category_of(word: &str) -> Result<Capability, Problem> {
    let shown = || word.chars().take(80).collect::<String>();
    category::find(word).ok_or_else(|| Problem::invalid(format!("category: {:?} is no category; see engineCategories", shown())))
}

/// The categories that each of the criteria leaves; `None` without any.
fn categories(one: impl IntoIterator<Item = String>, filter: Option<&EngineFilter>) -> Result<Option<Vec<Capability>>, Problem> {
    let mut criteria: Vec<Vec<Capability>> = Vec::new();
    for word in one {
        criteria.push(vec![category_of(&word)?]);
    }
    if let Some(words) = filter.and_then(|filter| filter.category.as_ref()).filter(|words| !words.is_empty()) {
        criteria.push(words.iter().map(|word| category_of(word)).collect::<Result<_, _>>()?);
    }
    if let Some(words) = filter.and_then(|filter| filter.engine_type.as_ref()).filter(|words| !words.is_empty()) {
        let is_meant = |one: &Capability| words.iter().any(|word| category::type_name(*one).eq_ignore_ascii_case(word));
        criteria.push(Capability::all().filter(is_meant).collect());
    }
    let is_left = |one: &Capability| criteria.iter().all(|criterion| criterion.contains(one));
    Ok((!criteria.is_empty()).then(|| Capability::all().filter(is_left).collect()))
}

#[Object(name = "Reads")]
impl Query {
    /// Who am I?
    async fn me(&self, ctx: &Context<'_>) -> Result<User> {
        Ok(User(caller(ctx)?.clone()))
    }

    /// What may I do?
    async fn my_rights(&self, ctx: &Context<'_>) -> Result<RightsListing> {
        if let Some(token) = party(ctx)?.token() {
            let operations = ["asset:uri", "asset:all", "recording:read", "recording:update", "task:update"].map(str::to_owned).into();
            let resources = serde_json::json!({ "Job": [token.job], "Task": [token.task], "TemporalDataObject": [token.tdo.to_string()] });
            return Ok(RightsListing { operations, resources: JsonData(resources) });
        }
        let caller = caller(ctx)?;
        let granted = permission::TABLE.iter().filter(|row| caller.may(row.0)).map(|row| row.1.to_owned()).collect();
        let only = caller.via.as_ref().and_then(|via| via.only.as_ref()).map(|(repository, _)| repository.to_string());
        let resources = only.map_or_else(|| serde_json::json!({}), |repository| serde_json::json!({ "Repository": [repository] }));
        Ok(RightsListing { operations: granted, resources: JsonData(resources) })
    }

    /// The organization of whoever asks.
    async fn organization(&self, ctx: &Context<'_>) -> Result<Organization> {
        let id = caller(ctx)?.organization;
        let name = accounts::organization(app(ctx).db.read(), id).await.map_err(Problem::from)?.unwrap_or_default();
        Ok(Organization { id: id.0, name })
    }

    /// Its rules.
    async fn organization_settings(&self, ctx: &Context<'_>) -> Result<OrganizationSettings> {
        let caller = caller(ctx)?;
        caller.require(Permission::ReadEngines)?;
        Ok(accounts::settings(app(ctx).db.read(), caller.organization).await.map_err(Problem::from)?.into())
    }

    /// Its people, by address.
    async fn users(&self, ctx: &Context<'_>, offset: Option<i64>, limit: Option<i64>) -> Result<Page<OrganizationUser>> {
        let caller = caller(ctx)?;
        caller.require(Permission::ManageOrganization)?;
        let wanted = Wanted::new(offset, limit);
        let rows = accounts::users(app(ctx).db.read(), caller.organization, wanted.offset, wanted.limit).await.map_err(Problem::from)?;
        Ok(wanted.page(rows, OrganizationUser))
    }

    /// Its open invitations, newest first.
    async fn invitations(&self, ctx: &Context<'_>) -> Result<Vec<Invitation>> {
        let caller = caller(ctx)?;
        caller.require(Permission::ManageOrganization)?;
        let rows = invitations::list(app(ctx).db.read(), caller.organization, clock::now_ms()).await.map_err(Problem::from)?;
        Ok(rows.into_iter().map(Invitation).collect())
    }

    /// Who changed and decided what in it, newest first.
    async fn audit_log(&self, ctx: &Context<'_>, offset: Option<i64>, limit: Option<i64>) -> Result<Page<AuditEntry>> {
        let caller = caller(ctx)?;
        caller.require(Permission::ReadAudit)?;
        let wanted = Wanted::new(offset, limit);
        let rows = audit::list(app(ctx).db.read(), caller.organization, wanted.offset, wanted.limit).await.map_err(Problem::from)?;
        Ok(wanted.page(rows, AuditEntry::from))
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
    ) -> Result<Page<EngineCategory>> {
        caller(ctx)?.require(Permission::ReadEngines)?;
        let page = Wanted::new(offset, limit);
        let name = name.map(|name| name.to_lowercase());
        let wanted = |capability: &Capability| {
            id.as_ref().is_none_or(|id| category::find(id) == Some(*capability))
                && name.as_ref().is_none_or(|name| capability.as_str().contains(name))
                && category_type.as_ref().is_none_or(|wanted| category::type_name(*capability).eq_ignore_ascii_case(wanted))
        };
        let found = Capability::all().filter(wanted).skip(page.offset as usize).take(page.limit as usize).collect();
        Ok(page.page(found, EngineCategory))
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
        let missing = || Problem::NotFound { object: "Engine", id: engine_id.to_string() };
        Ok(Some(mine.map(Engine::from).ok_or_else(missing)?))
    }

    /// Engines of the caller's organization, newest first.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the contract")]
    async fn engines(
        &self,
        ctx: &Context<'_>,
        id: Option<ID>,
        ids: Option<Vec<ID>>,
        category_id: Option<ID>,
        category: Option<String>,
        state: Option<Vec<EngineState>>,
        owned: Option<bool>,
        library_required: Option<bool>,
        #[graphql(name = "createsTDO")] creates_tdo: Option<bool>,
        name: Option<String>,
        offset: Option<i64>,
        limit: Option<i64>,
        filter: Option<EngineFilter>,
        order_by: Option<Vec<EngineSortField>>,
    ) -> Result<Page<Engine>> {
        let caller = caller(ctx)?;
        caller.require(Permission::ReadEngines)?;
        // Engines of other organizations are not shown anyway.
        let _ = owned;
        let wanted = Wanted::new(offset, limit);
        let categories = categories(category_id.map(|id| id.0).into_iter().chain(category), filter.as_ref())?;
        if categories.as_ref().is_some_and(Vec::is_empty) {
            return Ok(wanted.page(Vec::new(), |row: engines::Engine| Engine::from(row)));
        }
        let mut narrowed = engines::Filter { name, categories: categories.unwrap_or_default(), ..engines::Filter::default() };
        for id in id.into_iter().chain(ids.unwrap_or_default()) {
            narrowed.ids.push(parse_id(&id, "Engine")?);
        }
        narrowed.states = state.unwrap_or_default().into_iter().map(Into::into).collect();
        narrowed.flags.extend(library_required.map(|wanted| ("libraryRequired", wanted)));
        narrowed.flags.extend(creates_tdo.map(|wanted| ("createsTDO", wanted)));
        if let Some(filter) = filter {
            narrowed.deployment_model = filter.deployment_model.map(Into::into);
            narrowed.price = (filter.price_min, filter.price_max);
        }
        let order = order_by.as_deref().and_then(<[_]>::first).map(EngineSortField::order).unwrap_or_default();
        let rows = engines::list(app(ctx).db.read(), caller.organization, &narrowed, order, wanted.offset, wanted.limit).await;
        Ok(wanted.page(rows.map_err(Problem::from)?, Engine::from))
    }

    /// One build of the caller's organization.
    async fn engine_build(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Build>> {
        let caller = caller(ctx)?;
        caller.require(Permission::ReadEngines)?;
        let build_id: BuildId = parse_id(&id, "Build")?;
        let missing = || Problem::NotFound { object: "Build", id: build_id.to_string() };
        let owner = builds::organization(app(ctx).db.read(), build_id).await.map_err(Problem::from)?;
        if owner != Some(caller.organization) {
            return Err(missing().into());
        }
        let row = builds::by_id(app(ctx).db.read(), build_id).await.map_err(Problem::from)?;
        let row = row.filter(|row| row.status != BuildStatus::Deleted).ok_or_else(missing)?;
        Ok(Some(Build::from(row)))
    }

    /// What waits for a decision in the caller's organization, the longest waiting first.
    async fn review_queue(&self, ctx: &Context<'_>, offset: Option<i64>, limit: Option<i64>) -> Result<Page<ReviewItem>> {
        let caller = caller(ctx)?;
        caller.require(Permission::ReadEngines)?;
        let wanted = Wanted::new(offset, limit);
        let rows = review_queue::queue(&app(ctx).db, caller.organization, wanted.offset, wanted.limit).await.map_err(Problem::from)?;
        let ids: Vec<EngineId> = rows.iter().map(|row| row.build.engine).collect();
        let engines = engines::by_ids(app(ctx).db.read(), &ids).await.map_err(Problem::from)?;
        let engines: HashMap<EngineId, Arc<engines::Engine>> = engines.into_iter().map(|engine| (engine.id, Arc::new(engine))).collect();
        Ok(wanted.page(rows, |row| {
            let engine = engines.get(&row.build.engine).cloned();
            ReviewItem(row, engine)
        }))
    }

    /// Pushes of the caller's organization that became no build, newest first.
    async fn unclaimed_pushes(&self, ctx: &Context<'_>, offset: Option<i64>, limit: Option<i64>) -> Result<Page<UnclaimedPush>> {
        let caller = caller(ctx)?;
        caller.require(Permission::ReadEngines)?;
        let wanted = Wanted::new(offset, limit);
        let rows = unclaimed_pushes::list(app(ctx).db.read(), caller.organization, wanted.offset, wanted.limit).await;
        Ok(wanted.page(rows.map_err(Problem::from)?, UnclaimedPush))
    }

    /// Repositories of the caller's organization, by name.
    async fn repositories(&self, ctx: &Context<'_>, offset: Option<i64>, limit: Option<i64>) -> Result<Page<Repository>> {
        let caller = caller(ctx)?;
        caller.require(Permission::ReadEngines)?;
        let wanted = Wanted::new(offset, limit);
        let rows = repositories::list(&app(ctx).db, caller.organization, wanted.offset, wanted.limit).await.map_err(Problem::from)?;
        Ok(wanted.page(rows, Repository))
    }

    /// Tokens of the caller, for administrators of everybody in the organization; newest first.
    async fn tokens(&self, ctx: &Context<'_>, offset: Option<i64>, limit: Option<i64>) -> Result<Vec<Token>> {
        let caller = caller(ctx)?;
        let wanted = Wanted::new(offset, limit);
        let only = (!caller.may(Permission::ManageTokens)).then_some(caller.user);
        let rows = tokens::list(app(ctx).db.read(), caller.organization, only, wanted.offset, wanted.limit).await.map_err(Problem::from)?;
        Ok(rows.into_iter().map(|(token, owner)| Token { token, owner }).collect())
    }
}
