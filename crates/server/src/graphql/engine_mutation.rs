//! Deeds about engines and builds: each calls one op.

use async_graphql::{Context, ID, Object, Result};
use model::build::Event;

use super::{
    app,
    build::{Build, CreateBuild, DeleteBuild, UpdateBuild},
    caller, category,
    engine::Engine,
    engine_input::{CreateEngine, EngineWorkflow, EngineWorkflowAction, UpdateEngine},
    parse_id,
    review::{BuildNoteKind, CreateBuildNote},
    token::DeletePayload,
};
use crate::{
    error::Problem,
    ops::{
        act_on_build::{Wanted, act_on_build},
        create_build::create_build,
        create_engine::{self, NewEngine},
        set_engine_state::{EngineDeed, set_engine_state},
        update_engine::{self, Changes},
        write_note::{ask_recheck, write_note},
    },
};

/// Deeds about engines and builds.
#[derive(Default)]
pub struct EngineMutation;

fn category_of(id: &ID) -> Result<model::capability::Capability, Problem> {
    category::find(id).ok_or_else(|| {
        let shown: String = id.chars().take(80).collect();
        Problem::invalid(format!("categoryId: {shown:?} is no category; see engineCategories"))
    })
}

#[Object]
impl EngineMutation {
    /// Registers an engine.
    async fn create_engine(&self, ctx: &Context<'_>, input: CreateEngine) -> Result<Engine> {
        let caller = caller(ctx)?;
        let new = NewEngine {
            id: match &input.id {
                Some(id) => Some(parse_id(id, "Engine").map_err(|_| Problem::invalid("id: a UUID is expected"))?),
                None => None,
            },
            extra: input.extra(),
            category: category_of(&input.category_id)?,
            name: input.name,
            description: input.description.unwrap_or_default(),
            deployment_model: input.deployment_model.into(),
        };
        Ok(Engine::from(create_engine::create_engine(app(ctx), caller, new).await?))
    }

    /// Changes the registration of an engine.
    async fn update_engine(&self, ctx: &Context<'_>, input: UpdateEngine) -> Result<Engine> {
        let caller = caller(ctx)?;
        let changes = Changes {
            extra: input.extra(),
            category: input.category_id.as_ref().map(category_of).transpose()?,
            name: input.name,
            description: input.description,
            deployment_model: input.deployment_model.map(Into::into),
        };
        Ok(Engine::from(update_engine::update_engine(app(ctx), caller, parse_id(&input.id, "Engine")?, changes).await?))
    }

    /// Removes an engine with all its builds.
    async fn delete_engine(&self, ctx: &Context<'_>, id: ID) -> Result<DeletePayload> {
        let engine = set_engine_state(app(ctx), caller(ctx)?, parse_id(&id, "Engine")?, EngineDeed::Delete).await?;
        Ok(DeletePayload { id, message: format!("Engine {} is deleted, and its builds with it", engine.name) })
    }

    /// Takes an engine back that was removed. Its builds stay deleted.
    async fn undelete_engine(&self, ctx: &Context<'_>, id: ID) -> Result<Engine> {
        Ok(Engine::from(set_engine_state(app(ctx), caller(ctx)?, parse_id(&id, "Engine")?, EngineDeed::Undelete).await?))
    }

    /// Switches an engine on or off.
    async fn engine_workflow(&self, ctx: &Context<'_>, input: EngineWorkflow) -> Result<Engine> {
        let deed = match input.action {
            EngineWorkflowAction::Enable => EngineDeed::Enable,
            EngineWorkflowAction::Disable => EngineDeed::Disable,
        };
        Ok(Engine::from(set_engine_state(app(ctx), caller(ctx)?, parse_id(&input.id, "Engine")?, deed).await?))
    }

    /// Makes a build of an image that is in the registry already.
    async fn create_engine_build(&self, ctx: &Context<'_>, input: CreateBuild) -> Result<Build> {
        let caller = caller(ctx)?;
        let image = input.docker_image.ok_or_else(|| Problem::invalid("dockerImage: name an image that was pushed here"))?;
        let engine = parse_id(&input.engine_id, "Engine")?;
        let manifest = input.manifest.map(|manifest| manifest.0);
        Ok(Build::from(create_build(app(ctx), caller, engine, &image, manifest).await?))
    }

    /// Acts on a build.
    async fn update_engine_build(&self, ctx: &Context<'_>, input: UpdateBuild) -> Result<Build> {
        let caller = caller(ctx)?;
        let wanted = Wanted {
            engine: Some(parse_id(&input.engine_id, "Engine")?),
            reason: input.reason.unwrap_or_default(),
            until: input.until.map(|until| until.0),
            ..Wanted::new(parse_id(&input.id, "Build")?, input.action.into())
        };
        Ok(Build::from(act_on_build(app(ctx), caller, wanted).await?))
    }

    /// Removes a build.
    async fn delete_engine_build(&self, ctx: &Context<'_>, input: DeleteBuild) -> Result<DeletePayload> {
        let caller = caller(ctx)?;
        let engine = Some(parse_id(&input.engine_id, "Engine")?);
        let wanted = Wanted { engine, ..Wanted::new(parse_id(&input.id, "Build")?, Event::Delete) };
        let build = act_on_build(app(ctx), caller, wanted).await?;
        Ok(DeletePayload { id: input.id, message: format!("Build {} is deleted", build.version) })
    }

    /// Makes the build live again that was live before the present one.
    async fn rollback_engine(&self, ctx: &Context<'_>, id: ID) -> Result<Build> {
        Ok(Build::from(crate::ops::roll_back::roll_back(app(ctx), caller(ctx)?, parse_id(&id, "Engine")?).await?))
    }

    /// Writes about a build: a remark, a question, an answer, an appeal.
    async fn create_build_note(&self, ctx: &Context<'_>, input: CreateBuildNote) -> Result<Build> {
        let (caller, build) = (caller(ctx)?, parse_id(&input.build_id, "Build")?);
        Ok(Build::from(
            write_note(app(ctx), caller, build, input.kind.unwrap_or(BuildNoteKind::Comment).into(), input.finding, &input.text).await?,
        ))
    }

    /// Has one check run again of a build that awaits approval.
    async fn recheck_engine_build(&self, ctx: &Context<'_>, id: ID, check: String) -> Result<Build> {
        Ok(Build::from(ask_recheck(app(ctx), caller(ctx)?, parse_id(&id, "Build")?, &check).await?))
    }
}
