//! Keeps the packages of a build's image, so that they can be matched with the advisories of tomorrow.

use checks::evidence::SecurityEvidence;
use scan::{kept::pack_known, rematch::known};
use store::{builds::Build, inventories};

use crate::{app::App, clock, gate::Looked};

/// Keeps the list of a build, in place of a former one. An image that could not be read has none.
///
/// # Errors
/// The database.
pub async fn keep_inventory(app: &App, build: &Build, looked: &Looked) -> Result<(), store::Error> {
    let Some(inventory) = looked.inventory() else { return Ok(()) };
    let scanned = if let SecurityEvidence::Scanned(scanned) = looked.security() { Some(scanned) } else { None };
    let kept = inventories::Inventory {
        build: build.id,
        image_created: looked.created().map(str::to_owned),
        packages: inventory.packages.len() as i64,
        document: inventory.to_bytes(),
        known: scanned.map(|scanned| pack_known(&known(&scanned.vulnerabilities))),
        advisories: scanned.map(|scanned| scanned.database.clone()),
        matched_at: scanned.map(|scanned| scanned.at),
    };
    let mut tx = app.db.write().await?;
    inventories::put(&mut tx, &kept, clock::now_ms()).await?;
    tx.commit().await?;
    Ok(())
}
