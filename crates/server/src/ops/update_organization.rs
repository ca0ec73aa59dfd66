//! Changes the name and the rules of the caller's organization.

use model::organization::Settings;
use store::{accounts, audit};

use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
};

/// Longest name, characters.
pub(super) const NAME_MAX: usize = 200;

/// Changes them. `change` gets what they are now.
///
/// # Errors
/// [`Problem::NotAllowed`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn update_organization(
    app: &App,
    caller: &Caller,
    name: Option<&str>,
    change: impl FnOnce(Settings) -> Settings,
) -> Result<(String, Settings), Problem> {
    caller.require(Permission::ManageOrganization)?;
    let mut tx = app.db.write().await?;
    let id = caller.organization;
    let missing = || Problem::NotFound { object: "Organization", id: id.to_string() };
    let old = accounts::settings(&mut *tx, id).await?;
    let new = change(old);
    new.check().map_err(Problem::invalid)?;
    let old_name = accounts::organization(&mut *tx, id).await?.ok_or_else(missing)?;
    let new_name = name.map_or(old_name.as_str(), str::trim).to_owned();
    if new_name.is_empty() || new_name.chars().count() > NAME_MAX || new_name.chars().any(char::is_control) {
        return Err(Problem::invalid(format!("name: write 1 to {NAME_MAX} characters")));
    }
    if (&new, &new_name) != (&old, &old_name) {
        accounts::set_settings(&mut tx, id, &new_name, &new).await?;
        let text = |name: &str, settings: &Settings| format!("{name:?} {}", serde_json::to_string(settings).unwrap_or_default());
        let (object, detail) = (format!("organization {id}"), format!("{} to {}", text(&old_name, &old), text(&new_name, &new)));
        audit::append(&mut tx, caller.deed(clock::now_ms(), "organization.update", &object, &detail)).await?;
        tx.commit().await?;
    }
    Ok((new_name, new))
}
