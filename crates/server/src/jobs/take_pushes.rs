//! Empties the outbox of the registry: every push becomes a build or an unclaimed push.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use store::pushes;
use tokio_util::sync::CancellationToken;

use crate::{app::App, error::chain, ops::take_push};

/// How long to sleep if nobody wakes us.
const IDLE: Duration = Duration::from_secs(10);

/// Most pushes in one transaction.
const TOGETHER: u32 = 32;

/// Time for looking at the pushes of one transaction: what became of the first of them is told after it.
const PATIENCE: Duration = Duration::from_millis(30);

/// Works until `stop` is cancelled.
pub async fn take_pushes(app: Arc<App>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = take_all(&app).await {
            tracing::error!(error = chain(&*error), "a push could not be taken up; trying again in a second");
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        }
        tokio::select! {
            () = app.pushed.notified() => {}
            () = tokio::time::sleep(IDLE) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn take_all(app: &Arc<App>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    loop {
        let open = pushes::unhandled(&app.db, TOGETHER).await?;
        if open.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let all = open.len();
        if take_push::take_pushes(app, open, PATIENCE).await? < all || all == TOGETHER as usize {
            // A storm: half of the time belongs to those who push.
            tokio::time::sleep(began.elapsed().min(PATIENCE)).await;
        }
    }
}
