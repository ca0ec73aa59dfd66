//! Looks whether the advisory database was replaced, or builds were not matched with it yet, and then orders the match.

use std::{sync::Arc, time::Duration};

use model::id::JobId;
use store::{inventories, jobs};
use tokio_util::sync::CancellationToken;

use super::REMATCH_BUILDS;
use crate::{app::App, clock, error::chain};

/// How often.
const PAUSE: Duration = Duration::from_secs(2);

/// Works until `stop` is cancelled; ends at once where no database is set.
pub async fn watch_advisories(app: Arc<App>, stop: CancellationToken) {
    while let Some(id) = current(&app).await {
        if let Err(error) = order(&app, &id).await {
            tracing::error!(error = chain(&error), "the match with new advisories could not be ordered; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn current(app: &Arc<App>) -> Option<String> {
    let app = app.clone();
    tokio::task::spawn_blocking(move || app.advisories.current().map(|database| database.id())).await.ok().flatten()
}

async fn order(app: &App, id: &str) -> Result<(), store::Error> {
    if !inventories::is_any_outdated(app.db.read(), id).await? {
        return Ok(());
    }
    let mut tx = app.db.write().await?;
    let is_new = jobs::enqueue(&mut tx, JobId(clock::new_id()), REMATCH_BUILDS, id, clock::now_ms()).await?;
    tx.commit().await?;
    if is_new {
        app.work.notify_one();
    }
    Ok(())
}
