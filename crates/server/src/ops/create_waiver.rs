//! Somebody answers for a known vulnerability, for a while.

use model::{id::WaiverId, waiver::Waiver};
use store::{
    audit, engines,
    waivers::{self, Kept},
};

use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
};

/// Longest life of a waiver: a year and a day, milliseconds.
const LONGEST: i64 = 366 * 86_400_000;

/// Keeps a waiver of the caller's organization; its author is the caller.
///
/// # Errors
/// [`Problem::NotAllowed`], [`Problem::NotFound`] for an engine of somebody else, [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn create_waiver(app: &App, caller: &Caller, waiver: Waiver) -> Result<Kept, Problem> {
    let kept = prepared(app, caller, waiver).await?;
    let mut tx = app.db.write().await?;
    waivers::insert(&mut tx, &kept).await?;
    let object = format!("waiver of {} ({})", kept.waiver.vulnerability, kept.id);
    audit::append(&mut tx, caller.deed(kept.created_at, "waiver.create", &object, &kept.waiver.reason)).await?;
    tx.commit().await?;
    tracing::info!(waiver = %kept.id, vulnerability = kept.waiver.vulnerability, user = %caller.user, "a vulnerability was waived");
    Ok(kept)
}

/// A waiver that may be kept.
///
/// # Errors
/// As [`create_waiver`].
pub async fn prepared(app: &App, caller: &Caller, waiver: Waiver) -> Result<Kept, Problem> {
    caller.require(Permission::WaiveVulnerabilities)?;
    let waiver = Waiver { author: caller.email.clone(), ..waiver };
    checks::waivers::check(&waiver).map_err(Problem::invalid)?;
    let now = clock::now_ms();
    if waiver.expires_at <= now || waiver.expires_at > now + LONGEST {
        return Err(Problem::invalid("expiresDateTime: a waiver ends in the future and within a year; choose such a day"));
    }
    if let Some(id) = waiver.engine {
        let engine = engines::by_id(app.db.read(), id).await?;
        if engine.is_none_or(|engine| engine.organization != caller.organization) {
            return Err(Problem::NotFound { object: "Engine", id: id.to_string() });
        }
    }
    Ok(Kept { id: WaiverId(clock::new_id()), organization: caller.organization, waiver, created_at: now, revoked: None })
}
