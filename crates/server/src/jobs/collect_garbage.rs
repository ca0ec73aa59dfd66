//! Collects garbage from time to time, and forgets abandoned uploads more often.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{error::chain, keeper::Keeper, ops::collect_garbage};

/// How often abandoned uploads are looked for.
const SWEEP: Duration = Duration::from_secs(300);

/// Works until `stop` is cancelled. An interval of 0 leaves garbage to the command.
pub async fn collect_garbage(keeper: Arc<Keeper>, stop: CancellationToken) {
    let interval = Duration::from_secs(keeper.config.registry.gc_interval_seconds);
    let mut since = Duration::ZERO;
    loop {
        if let Err(error) = keeper.registry.sweep().await {
            tracing::warn!(error = chain(&error), "old uploads could not be removed; trying again later");
        }
        if !interval.is_zero() && since >= interval {
            since = Duration::ZERO;
            if let Err(error) = collect_garbage::collect_garbage(&keeper, false).await {
                tracing::error!(error = format!("{error:#}"), "garbage could not be collected; trying again later");
            }
        }
        let pause = if interval.is_zero() { SWEEP } else { SWEEP.min(interval) };
        tokio::select! {
            () = tokio::time::sleep(pause) => since += pause,
            () = stop.cancelled() => return,
        }
    }
}
