//! Matches the packages of every build with the advisories of today; no blob is read.

use std::sync::Arc;

use store::jobs::{self, Job};

use super::JobError;
use crate::{app::App, clock, ops::rematch_builds::rematch_builds};

/// Does it. A batch that was done stays done, whenever this ends.
pub async fn run(app: Arc<App>, job: Job, worker: String) -> Result<(), JobError> {
    rematch_builds(&app).await?;
    let mut tx = app.db.write().await?;
    jobs::finish(&mut tx, job.id, &worker, None, clock::now_ms()).await?;
    tx.commit().await?;
    Ok(())
}
