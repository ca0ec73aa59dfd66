//! Takes a waiver back. It stays on record.

use model::id::WaiverId;
use store::{
    audit,
    waivers::{self, Kept},
};

use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
};

/// Ends a waiver of the caller's organization. One of another organization does not exist.
///
/// # Errors
/// [`Problem::NotAllowed`], [`Problem::NotFound`], [`Problem::InvalidInput`] when it was taken back before, [`Problem::Internal`].
pub async fn revoke_waiver(app: &App, caller: &Caller, id: WaiverId) -> Result<Kept, Problem> {
    caller.require(Permission::WaiveVulnerabilities)?;
    let missing = || Problem::NotFound { object: "Waiver", id: id.to_string() };
    let found = waivers::by_id(app.db.read(), caller.organization, id).await?.ok_or_else(missing)?;
    let now = clock::now_ms();
    let mut tx = app.db.write().await?;
    if !waivers::revoke(&mut tx, caller.organization, id, &caller.email, now).await? {
        return Err(Problem::invalid("this waiver was revoked before; nothing is left to do"));
    }
    let object = format!("waiver of {} ({id})", found.waiver.vulnerability);
    audit::append(&mut tx, caller.deed(now, "waiver.revoke", &object, "")).await?;
    tx.commit().await?;
    tracing::info!(waiver = %id, vulnerability = found.waiver.vulnerability, user = %caller.user, "a waiver was revoked");
    Ok(Kept { revoked: Some((now, caller.email.clone())), ..found })
}
