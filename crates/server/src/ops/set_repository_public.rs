//! Lets anybody pull from a repository, or no longer.

use model::name::RepoName;
use store::{
    audit,
    repositories::{self, Listed},
};

use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
};

/// Changes who may pull from a repository of the caller's organization. One of another organization does not exist.
///
/// # Errors
/// [`Problem::NotAllowed`], [`Problem::NotFound`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn set_repository_public(app: &App, caller: &Caller, name: &str, public: bool) -> Result<Listed, Problem> {
    caller.require_person()?;
    caller.require(Permission::PublishRepositories)?;
    let repository: RepoName = name.parse().map_err(|error| Problem::invalid(format!("name: {error}")))?;
    let missing = || Problem::NotFound { object: "Repository", id: repository.to_string() };
    let listed = repositories::by_name(&app.db, &repository).await?;
    let listed = listed.filter(|_| repository.organization() == caller.organization).ok_or_else(missing)?;
    let mut change = app.db.change_rights().await?;
    if !repositories::set_public(&mut change, &repository, public).await? {
        return Err(missing());
    }
    let detail = if public { "anybody may pull" } else { "only who has the right may pull" };
    let object = format!("repository {repository}");
    audit::append(&mut change, caller.deed(clock::now_ms(), "repository.publish", &object, detail)).await?;
    change.commit().await?;
    tracing::info!(%repository, public, user = %caller.user, "who may pull was changed");
    Ok(Listed { public, ..listed })
}
