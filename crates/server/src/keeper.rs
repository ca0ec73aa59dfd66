//! Whoever keeps the store in order: the running server from time to time, or a command. A command asks the server that has the data folder;
//! when there is none, it takes the folder itself for as long as it works.

use std::{sync::Arc, time::Duration};

use model::id::OrganizationId;
use registry::{Registry, garbage::Rules};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use store::{Db, evidence::EvidenceFiles};
use tokio::sync::Mutex;

use crate::{
    config::{Config, Untagged},
    control,
    ops::{
        collect_garbage::{self, Garbage},
        set_quota::{self, Usage},
    },
    start,
};

/// What a command wants.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// Collect garbage, or say what would go.
    Garbage {
        /// Only say it.
        dry_run: bool,
    },
    /// Say what organizations keep and may keep.
    Usage,
    /// Give an organization a quota of its own, or take it back.
    Quota {
        /// Whose.
        organization: OrganizationId,
        /// Bytes; `None`: the configured quota.
        bytes: Option<u64>,
    },
}

/// The parts that keeping needs.
pub struct Keeper {
    pub(crate) db: Db,
    pub(crate) registry: Registry,
    pub(crate) evidence: EvidenceFiles,
    pub(crate) config: Config,
    /// One collection at a time.
    pub(crate) turn: Mutex<()>,
}

impl Keeper {
    pub(crate) fn rules(&self) -> Rules {
        let registry = &self.config.registry;
        Rules { grace: Duration::from_secs(registry.gc_grace_seconds), untagged: registry.gc_untagged == Untagged::Remove }
    }

    pub(crate) async fn grant(&self, wish: Wish) -> anyhow::Result<serde_json::Value> {
        Ok(match wish {
            Wish::Garbage { dry_run } => serde_json::to_value(collect_garbage::collect_garbage(self, dry_run).await?)?,
            Wish::Usage => serde_json::to_value(set_quota::usage(self).await?)?,
            Wish::Quota { organization, bytes } => serde_json::to_value(set_quota::set_quota(self, organization, bytes).await?)?,
        })
    }
}

/// Collects garbage in the data folder of this configuration, or says what would go.
///
/// # Errors
/// The folder cannot be used, or the collection failed.
pub async fn garbage(config: Config, dry_run: bool) -> anyhow::Result<Garbage> {
    grant(config, Wish::Garbage { dry_run }).await
}

/// What all organizations keep and may keep.
///
/// # Errors
/// The folder cannot be used.
pub async fn usage(config: Config) -> anyhow::Result<Vec<Usage>> {
    grant(config, Wish::Usage).await
}

/// Gives an organization a quota of its own, or takes it back with `None`.
///
/// # Errors
/// The folder cannot be used, or there is no such organization.
pub async fn set_quota(config: Config, organization: OrganizationId, bytes: Option<u64>) -> anyhow::Result<Vec<Usage>> {
    grant(config, Wish::Quota { organization, bytes }).await
}

async fn grant<T: DeserializeOwned>(config: Config, wish: Wish) -> anyhow::Result<T> {
    anyhow::ensure!(
        config.data.join("plimsoll.db").is_file(),
        "there is no data in {}; name the server's data folder with --data",
        config.data.display()
    );
    let (data, asked) = (config.data.clone(), wish.clone());
    if let Some(value) = tokio::task::spawn_blocking(move || control::ask(&data, &asked)).await?? {
        return Ok(serde_json::from_value(value)?);
    }
    // Fails when a server has the folder that does not listen yet, or no more.
    let _lock = start::lock(&config.data)?;
    let keeper = Arc::new(start::keeper(config).await?);
    let value = keeper.grant(wish).await;
    keeper.db.close().await;
    Ok(serde_json::from_value(value?)?)
}
