//! Counts how often the work on a build was begun, so that what is lost again and again ends.

use model::{
    build::{BuildStatus, Circumstances, Event, MAX_ATTEMPTS},
    id::BuildId,
};
use store::{
    build_life,
    builds::{self, Build},
};

use super::apply_event::{NotApplied, SYSTEM, apply_event};
use crate::{app::App, jobs::JobError};

/// Counts one more attempt; `None` when the build is no longer in this status. After the first the history says that one was lost
/// (lifecycle §6b).
///
/// # Errors
/// [`JobError`].
pub async fn begin_attempt(app: &App, id: BuildId, status: BuildStatus) -> Result<Option<Build>, JobError> {
    let mut tx = app.db.write().await?;
    let Some(mut build) = builds::lock(&mut tx, id).await?.filter(|build| build.status == status) else { return Ok(None) };
    if (1..i64::from(MAX_ATTEMPTS)).contains(&build.life.attempts) {
        let reason = "the work on it was interrupted; it begins anew";
        match apply_event(&mut tx, &build, Event::Lost, SYSTEM, &Circumstances::default(), reason).await {
            Ok(_) => {}
            Err(NotApplied::Store(error)) => return Err(error.into()),
            Err(error) => return Err(anyhow::Error::from(error).into()),
        }
    }
    build.life.attempts += 1;
    build_life::set(&mut tx, id, &build.life).await?;
    tx.commit().await?;
    Ok(Some(build))
}

/// Whether this attempt is one too many.
pub fn is_too_many(build: &Build) -> bool {
    build.life.attempts > i64::from(MAX_ATTEMPTS)
}
