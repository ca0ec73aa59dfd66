//! What organizations keep and may keep, and the deed that gives one a quota of its own.

use model::id::OrganizationId;
use serde::{Deserialize, Serialize};
use store::{accounts, usage};

use crate::keeper::Keeper;

/// What an organization keeps and may keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Its number.
    pub organization: OrganizationId,
    /// Its name.
    pub name: String,
    /// Bytes it keeps.
    pub bytes: u64,
    /// Bytes it may keep; `None`: no limit.
    pub quota: Option<u64>,
    /// Whether the quota is its own and not the configured one.
    pub own: bool,
}

/// What all organizations keep and may keep.
///
/// # Errors
/// The database.
pub async fn usage(keeper: &Keeper) -> Result<Vec<Usage>, anyhow::Error> {
    let mut all = Vec::new();
    for (organization, name) in accounts::organizations(keeper.db.read()).await? {
        let usage = usage::of(keeper.db.read(), organization).await?;
        let (bytes, quota, own) = (usage.bytes, usage.quota(keeper.config.registry.quota_bytes), usage.own_quota.is_some());
        all.push(Usage { organization, name, bytes, quota, own });
    }
    Ok(all)
}

/// Sets or, with `None`, takes back the quota of an organization.
///
/// # Errors
/// There is no such organization, or the database.
pub async fn set_quota(keeper: &Keeper, organization: OrganizationId, bytes: Option<u64>) -> Result<Vec<Usage>, anyhow::Error> {
    anyhow::ensure!(
        accounts::organization(keeper.db.read(), organization).await?.is_some(),
        "there is no organization {organization}; plimsoll quota lists them"
    );
    let mut tx = keeper.db.write().await?;
    usage::set_quota(&mut tx, organization, bytes).await?;
    tx.commit().await?;
    tracing::info!(%organization, bytes, "the quota of an organization was set");
    usage(keeper).await
}
