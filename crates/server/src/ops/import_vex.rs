//! An OpenVEX document becomes waivers, all of them or none.

use model::{id::EngineId, waiver::Waiver};
use store::{
    audit,
    waivers::{self, Kept},
};

use super::create_waiver::prepared;
use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    error::Problem,
};

/// Most statements of one document.
const MOST: usize = 1_000;

/// Keeps what a document says does not matter, until a day, for one engine or all of the caller's organization. Whoever imports it answers
/// for it; the document's own author is named in the reason.
///
/// # Errors
/// [`Problem::NotAllowed`], [`Problem::NotFound`], [`Problem::InvalidInput`] with what is wrong with the document, [`Problem::Internal`].
pub async fn import_vex(
    app: &App,
    caller: &Caller,
    document: &serde_json::Value,
    engine: Option<EngineId>,
    expires_at: i64,
) -> Result<Vec<Kept>, Problem> {
    caller.require(Permission::WaiveVulnerabilities)?;
    let read = checks::waivers::read(document.to_string().as_bytes(), app.policy.vulnerabilities.vex_days);
    let read = read.map_err(|error| Problem::invalid(format!("document: {error}")))?;
    if let Some(what) = read.left_out.first() {
        return Err(Problem::invalid(format!("document: {what}; or leave it out")));
    }
    let read = read.waivers;
    if read.is_empty() || read.len() > MOST {
        let message = format!("document: {} of its statements say that something does not matter; 1 to {MOST} are taken", read.len());
        return Err(Problem::invalid(message));
    }
    let mut kept = Vec::with_capacity(read.len());
    for waiver in read {
        let reason = format!("{} (OpenVEX of {})", waiver.reason, waiver.author).chars().take(checks::waivers::LONGEST).collect();
        kept.push(prepared(app, caller, Waiver { reason, engine, expires_at, ..waiver }).await?);
    }
    let mut tx = app.db.write().await?;
    for one in &kept {
        waivers::insert(&mut tx, one).await?;
        let object = format!("waiver of {} ({})", one.waiver.vulnerability, one.id);
        audit::append(&mut tx, caller.deed(one.created_at, "waiver.create", &object, &one.waiver.reason)).await?;
    }
    tx.commit().await?;
    tracing::info!(waivers = kept.len(), user = %caller.user, "an OpenVEX document was imported");
    Ok(kept)
}
