//! Registers an engine.

use model::{capability::Capability, engine::DeploymentModel, id::EngineId};
use serde_json::Value;
use store::{
    audit,
    engines::{self, Engine},
};

use super::keep_sample::check_sample_url;
use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
};

/// Longest name, characters.
pub(super) const NAME_MAX: usize = 200;

/// Largest sum of everything registration carries besides, bytes of JSON.
pub(super) const EXTRA_MAX: usize = 256 << 10;

/// What registration asks for.
#[derive(Clone, Debug)]
pub struct NewEngine {
    /// Wanted id; a new one if absent.
    pub id: Option<EngineId>,
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it does.
    pub category: Capability,
    /// What it may reach.
    pub deployment_model: DeploymentModel,
    /// What no rule reads, as a JSON object.
    pub extra: Value,
}

/// Registers an engine for the caller's organization.
///
/// # Errors
/// [`Problem::NotAllowed`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn create_engine(app: &App, caller: &Caller, new: NewEngine) -> Result<Engine, Problem> {
    caller.require(Permission::WriteEngines)?;
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX {
        return Err(Problem::invalid(format!("name: give the engine a name of 1 to {NAME_MAX} characters")));
    }
    if new.extra.to_string().len() > EXTRA_MAX || new.description.len() > EXTRA_MAX {
        return Err(Problem::invalid(format!("the registration is too large; description and fields may have {EXTRA_MAX} bytes")));
    }
    let id = new.id.unwrap_or_else(|| EngineId(clock::new_id()));
    if engines::by_id(app.db.read(), id).await?.is_some() {
        return Err(Problem::invalid(format!("id: an engine {id} exists already; leave the id out to get a new one")));
    }
    let now = clock::now_ms();
    let engine = Engine {
        id,
        organization: caller.organization,
        name: name.to_owned(),
        description: new.description,
        category: new.category,
        deployment_model: new.deployment_model,
        extra: new.extra,
        disabled: false,
        deleted: false,
        last_version: 0,
        created_by: caller.email.clone(),
        created_at: now,
        modified_at: now,
    };
    check_sample_url(&engine)?;
    let mut tx = app.db.write().await?;
    engines::insert(&mut tx, &engine).await?;
    let object = format!("engine {} ({id})", engine.name);
    audit::append(&mut tx, caller.deed(now, "engine.create", &object, engine.category.as_str())).await?;
    tx.commit().await?;
    Ok(engine)
}
