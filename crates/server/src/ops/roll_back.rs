//! Back to the last good build, in one action.

use model::{
    build::{BuildStatus, Event},
    id::EngineId,
};
use store::{
    builds::{self, Build},
    engines,
};

use super::act_on_build::{Wanted, act_on_build};
use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    error::Problem,
};

/// Makes the paused build live that was live last; what is live now is paused with it, in one transaction.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotAllowed`], [`Problem::InvalidInput`] when there is none, [`Problem::Internal`].
pub async fn roll_back(app: &App, caller: &Caller, id: EngineId) -> Result<Build, Problem> {
    caller.require_one(&[Permission::ApproveBuilds, Permission::WriteEngines])?;
    let missing = || Problem::NotFound { object: "Engine", id: id.to_string() };
    let engine = engines::by_id(app.db.read(), id).await?;
    engine.filter(|engine| engine.organization == caller.organization && !engine.deleted).ok_or_else(missing)?;
    let last = builds::last_good(app.db.read(), id).await?.ok_or_else(|| {
        Problem::invalid("there is no build to go back to: no paused build of this engine was live before; deploy an approved one")
    })?;
    let wanted =
        Wanted { engine: Some(id), reason: "rolled back".into(), seen: Some(BuildStatus::Paused), ..Wanted::new(last.id, Event::Unpause) };
    act_on_build(app, caller, wanted).await
}
