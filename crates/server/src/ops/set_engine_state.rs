//! Disables, enables, deletes and undeletes an engine, with what that means for its builds (lifecycle §1).

use model::{
    build::{BuildStatus, Circumstances, Event, touched_by},
    engine::EngineState,
    id::EngineId,
};
use serde_json::json;
use sqlx::{Sqlite, Transaction};
use store::{
    audit, builds,
    engines::{self, Engine},
};

use super::{
    apply_event::{NotApplied, SYSTEM, apply_event},
    record_task::abort_tasks,
};
use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
};

/// What is done to an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineDeed {
    /// No new tasks; the live build is paused.
    Disable,
    /// Takes the former back; the paused build stays paused.
    Enable,
    /// Removes it with all its builds.
    Delete,
    /// Takes the former back; the builds stay deleted.
    Undelete,
}

impl EngineDeed {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Delete => "delete",
            Self::Undelete => "undelete",
        }
    }
}

/// The state of an engine, read inside a writing transaction.
pub(super) async fn state_of(tx: &mut Transaction<'static, Sqlite>, engine: &Engine) -> Result<EngineState, store::Error> {
    Ok(EngineState::derive(engine.deleted, engine.disabled, builds::statuses(&mut **tx, engine.id).await?))
}

/// An engine of the caller's organization, inside a writing transaction; a deleted one only for `undelete`.
pub(super) async fn own(
    tx: &mut Transaction<'static, Sqlite>,
    caller: &Caller,
    id: EngineId,
    action: &'static str,
) -> Result<Engine, Problem> {
    let missing = || Problem::NotFound { object: "Engine", id: id.to_string() };
    let engine = engines::lock(tx, id).await?.filter(|engine| engine.organization == caller.organization).ok_or_else(missing)?;
    if engine.deleted && action != EngineDeed::Undelete.as_str() {
        return Err(missing());
    }
    let state = state_of(tx, &engine).await?;
    if !state.valid_actions().contains(&action) {
        let message =
            format!("{action} is not possible while the engine is {}; possible: {}", state.as_str(), state.valid_actions().join(", "));
        let data =
            json!({"objectType": "Engine", "objectId": id, "state": state, "action": action, "validStateActions": state.valid_actions()});
        return Err(Problem::InvalidInput { message, data });
    }
    Ok(engine)
}

/// Does it.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotAllowed`], [`Problem::InvalidInput`] naming state, action and what is possible, [`Problem::Internal`].
pub async fn set_engine_state(app: &App, caller: &Caller, id: EngineId, deed: EngineDeed) -> Result<Engine, Problem> {
    caller.require(Permission::WriteEngines)?;
    let mut tx = app.db.write().await?;
    let former = own(&mut tx, caller, id, deed.as_str()).await?;
    let mut engine = Engine { modified_at: clock::now_ms(), ..former.clone() };
    match deed {
        EngineDeed::Disable => engine.disabled = true,
        EngineDeed::Enable => engine.disabled = false,
        EngineDeed::Delete => engine.deleted = true,
        EngineDeed::Undelete => engine.deleted = false,
    }
    if !engines::set_flags(&mut tx, &former, &engine).await? {
        return Err(Problem::invalid("the engine was changed by somebody else at the same time; look again"));
    }
    let touched = match deed {
        EngineDeed::Disable => carry(&mut tx, id, Event::EngineDisabled, caller).await?,
        // A build being deployed is deleted when its deploy has ended.
        EngineDeed::Delete => carry(&mut tx, id, Event::EngineDeleted, caller).await?,
        EngineDeed::Enable | EngineDeed::Undelete => Vec::new(),
    };
    let ended = if deed == EngineDeed::Delete { abort_tasks(&mut tx, id, &caller.email).await? } else { Vec::new() };
    let (action, object) = (format!("engine.{}", deed.as_str()), format!("engine {} ({id})", engine.name));
    let detail = format!("{} builds changed with it", touched.len());
    audit::append(&mut tx, caller.deed(engine.modified_at, &action, &object, &detail)).await?;
    tx.commit().await?;
    tracing::info!(engine = %id, deed = deed.as_str(), user = %caller.user, "the state of an engine was changed");
    app.instances.look_again();
    ended.iter().for_each(|task| app.runs.end(task));
    touched.into_iter().for_each(|build| app.tell(build));
    Ok(engine)
}

/// What happens to the engine happens to its builds.
async fn carry(
    tx: &mut Transaction<'static, Sqlite>,
    id: EngineId,
    event: Event,
    caller: &Caller,
) -> Result<Vec<model::id::BuildId>, Problem> {
    let mut touched = Vec::new();
    let statuses: Vec<BuildStatus> = touched_by(event).collect();
    for build in builds::lock_all(tx, id, &statuses).await? {
        let reason = format!("by {}", caller.email);
        match apply_event(tx, &build, event, SYSTEM, &Circumstances::default(), &reason).await {
            Ok(status) if status != build.status => touched.push(build.id),
            Ok(_) | Err(NotApplied::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(touched)
}
