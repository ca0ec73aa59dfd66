//! Changes the registration of an engine. While a build is live, what it was certified under stays.

use model::{build::BuildStatus, capability::Capability, engine::DeploymentModel, id::EngineId};
use serde_json::{Map, Value};
use store::{
    accounts, audit, builds,
    engines::{self, Engine},
};

use super::{
    create_engine::{EXTRA_MAX, NAME_MAX},
    keep_sample::check_sample_url,
    set_engine_state::own,
};
use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
};

/// What changes; absent parts stay.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// What it does.
    pub category: Option<Capability>,
    /// What it may reach.
    pub deployment_model: Option<DeploymentModel>,
    /// Members of what no rule reads; each replaces the one of its name.
    pub extra: Map<String, Value>,
}

/// Changes it.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotAllowed`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn update_engine(app: &App, caller: &Caller, id: EngineId, changes: Changes) -> Result<Engine, Problem> {
    caller.require(Permission::WriteEngines)?;
    let mut tx = app.db.write().await?;
    let mut engine = own(&mut tx, caller, id, "edit").await?;
    let settings = accounts::settings(&mut *tx, engine.organization).await?;
    let live = !builds::lock_all(&mut tx, id, &[BuildStatus::Deployed, BuildStatus::Deploying]).await?.is_empty();
    let mut changed = Vec::new();
    if let Some(model) = changes.deployment_model.filter(|model| *model != engine.deployment_model) {
        if settings.deployment_model_immutable {
            return Err(Problem::invalid("deploymentModel: your organization fixes it at registration; register another engine"));
        }
        if live {
            return Err(Problem::invalid("deploymentModel: a build is live; pause it first, then change the model, unpause and deploy"));
        }
        changed.push(format!("deploymentModel {} to {model}", engine.deployment_model));
        engine.deployment_model = model;
    }
    if let Some(category) = changes.category.filter(|category| *category != engine.category) {
        if live {
            return Err(Problem::invalid("categoryId: a build is live; pause it first"));
        }
        changed.push(format!("category {} to {category}", engine.category));
        engine.category = category;
    }
    if let Some(name) = changes.name.map(|name| name.trim().to_owned()).filter(|name| *name != engine.name) {
        if name.is_empty() || name.chars().count() > NAME_MAX {
            return Err(Problem::invalid(format!("name: give the engine a name of 1 to {NAME_MAX} characters")));
        }
        changed.push(format!("name {} to {name}", engine.name));
        engine.name = name;
    }
    if let Some(description) = changes.description.filter(|description| *description != engine.description) {
        changed.push("description".to_owned());
        engine.description = description;
    }
    if let Some(members) = engine.extra.as_object_mut() {
        for (key, value) in changes.extra {
            if members.get(&key) != Some(&value) {
                changed.push(key.clone());
                members.insert(key, value);
            }
        }
    }
    if engine.extra.to_string().len() > EXTRA_MAX || engine.description.len() > EXTRA_MAX {
        return Err(Problem::invalid(format!("the registration is too large; description and fields may have {EXTRA_MAX} bytes")));
    }
    check_sample_url(&engine)?;
    if changed.is_empty() {
        return Ok(engine);
    }
    engine.modified_at = clock::now_ms();
    engines::update(&mut tx, &engine).await?;
    let object = format!("engine {} ({id})", engine.name);
    audit::append(&mut tx, caller.deed(engine.modified_at, "engine.update", &object, &changed.join("; "))).await?;
    tx.commit().await?;
    Ok(engine)
}
