//! Removes what nothing needs any more: manifests, blobs, abandoned uploads, and the evidence of layers that are gone. The same deed tells
//! what it would remove.

use image::ANALYSER_VERSION;
use registry::garbage::Collected;
use serde::{Deserialize, Serialize};
use store::{evidence::Kept, garbage::Amount};
use tokio::{sync::mpsc, task::spawn_blocking};

use crate::{clock, keeper::Keeper};

/// Evidence looked up at one time.
const BATCH: usize = 256;

/// Handled pushes and ended jobs are forgotten after this time: nobody looks at them.
const DONE_MS: i64 = 30 * 24 * 3600 * 1000;

/// Things of one kind that went, would go, or wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What they are.
    pub what: String,
    /// Why they go.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// Their size together.
    pub bytes: u64,
}

/// What went, or would go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Garbage {
    /// Nothing was changed.
    pub dry_run: bool,
    /// By kind.
    pub lines: Vec<Line>,
    /// Unneeded, but still in its grace time.
    pub waiting: Line,
    /// Bytes of the disk that were or would be freed.
    pub freed: u64,
}

/// Does it, or says what it would do.
///
/// # Errors
/// The database or the store; what was done until then stays done.
pub async fn collect_garbage(keeper: &Keeper, dry_run: bool) -> Result<Garbage, anyhow::Error> {
    let _turn = keeper.turn.lock().await;
    let collected = if dry_run { keeper.registry.look(keeper.rules()).await? } else { keeper.registry.collect(keeper.rules()).await? };
    let evidence = evidence(keeper, dry_run).await?;
    if !dry_run {
        store::garbage::forget_done(&keeper.db, clock::now_ms().saturating_sub(DONE_MS)).await?;
    }
    let garbage = told(keeper, dry_run, &collected, evidence);
    if !dry_run && garbage.lines.iter().any(|line| line.count > 0) {
        let (manifests, blobs, uploads) = (collected.manifests.count, collected.blobs.count, collected.uploads.count);
        tracing::info!(manifests, blobs, uploads, evidence = evidence.count, freed = garbage.freed, "garbage was collected");
    }
    Ok(garbage)
}

fn told(keeper: &Keeper, dry_run: bool, collected: &Collected, evidence: Amount) -> Garbage {
    let registry = &keeper.config.registry;
    let (grace, expiry) = (registry.gc_grace_seconds, registry.upload_expiry_seconds);
    let line = |what: &str, reason: String, amount: Amount| Line { what: what.into(), reason, count: amount.count, bytes: amount.bytes };
    Garbage {
        dry_run,
        lines: vec![
            line("manifests", format!("no tag, build, index or subject has needed them for {grace} s"), collected.manifests),
            line("blobs of repositories", format!("no manifest of their repository has named them for {grace} s"), collected.links),
            line("blobs", "no repository holds them".into(), collected.blobs),
            line("stray files", "they belong to no blob: a process was killed between the two".into(), collected.strays),
            line("uploads", format!("nobody has gone on with them for {expiry} s"), collected.uploads),
            line("evidence", "its layer is gone, or it is of an older version".into(), evidence),
        ],
        waiting: line("manifests and blobs of repositories", format!("unneeded, kept until that has lasted {grace} s"), collected.waiting),
        freed: collected.blobs.bytes + collected.strays.bytes + collected.uploads.bytes + collected.manifests.bytes + evidence.bytes,
    }
}

/// Removes the evidence of layers the registry no longer has. It can always be made again, so nothing depends on the moment.
async fn evidence(keeper: &Keeper, dry_run: bool) -> Result<Amount, anyhow::Error> {
    let (send, mut listed) = mpsc::channel::<Kept>(BATCH);
    let files = keeper.evidence.clone();
    let listing = spawn_blocking(move || {
        files.each(|kept| {
            // Nobody listens any more only when the looking up has failed, and then its error is told.
            let _ = send.blocking_send(kept);
        })
    });
    let (mut gone, mut batch) = (Amount::default(), Vec::with_capacity(BATCH));
    while listed.recv_many(&mut batch, BATCH).await > 0 {
        let digests: Vec<_> = batch.iter().map(|kept| kept.digest.clone()).collect();
        let unknown = store::garbage::unknown(&keeper.db, &digests).await?;
        for kept in batch.drain(..) {
            let old = kept.version < ANALYSER_VERSION;
            if !old && !unknown.contains(&kept.digest) {
                continue;
            }
            let (files, size) = (keeper.evidence.clone(), kept.size);
            if dry_run || old {
                if !dry_run {
                    spawn_blocking(move || files.remove(&kept)).await??;
                }
                gone.add(size);
            } else {
                let digest = kept.digest.clone();
                // While a push brings the layer back, its evidence is new.
                if let Some(removed) = keeper.registry.without(&digest, move || files.remove(&kept)).await? {
                    removed?;
                    gone.add(size);
                }
            }
        }
    }
    listing.await??;
    Ok(gone)
}
