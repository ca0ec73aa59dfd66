//! Room for what is still arriving. What an organization keeps is counted in the database; what its uploads in progress hold is counted here,
//! so that several large uploads are not all let in for the same free bytes. A holding ends with its upload, however that ends. The last word
//! has the transaction that makes the blob visible.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use model::id::OrganizationId;
use store::{Db, usage};

use crate::refusal::Refusal;

/// Bytes held by uploads in progress.
#[derive(Clone, Default)]
pub(crate) struct Quotas {
    held: Arc<Mutex<HashMap<OrganizationId, u64>>>,
}

impl Quotas {
    fn map(&self) -> MutexGuard<'_, HashMap<OrganizationId, u64>> {
        // Each change is one call; the map is whole after any panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An upload that holds nothing yet.
    pub(crate) fn holding(&self, organization: OrganizationId) -> Holding {
        Holding { quotas: self.clone(), organization, bytes: Mutex::new(0), full: AtomicBool::new(false) }
    }
}

/// What one upload holds.
pub(crate) struct Holding {
    quotas: Quotas,
    organization: OrganizationId,
    bytes: Mutex<u64>,
    full: AtomicBool,
}

impl Holding {
    /// Makes the holding at least `bytes` large.
    pub(crate) async fn grow(&self, db: &Db, configured: u64, bytes: u64) -> Result<(), Refusal> {
        let mine = *self.mine();
        if bytes <= mine {
            return Ok(());
        }
        let usage = usage::of(db.read(), self.organization).await?;
        let mut held = self.quotas.map();
        let all = held.entry(self.organization).or_default();
        let used = usage.bytes.saturating_add(all.saturating_sub(mine));
        if let Some(quota) = usage.quota(configured).filter(|quota| used.saturating_add(bytes) > *quota) {
            self.full.store(true, Ordering::Relaxed);
            return Err(Refusal::over_quota(self.organization, used, quota, bytes));
        }
        *all = all.saturating_add(bytes - mine);
        *self.mine() = bytes;
        Ok(())
    }

    /// Whether there was no room for it once: then nobody will go on with it.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Gives back what is held.
    pub(crate) fn release(&self) {
        let mut mine = self.mine();
        let mut held = self.quotas.map();
        if let Some(all) = held.get_mut(&self.organization) {
            *all = all.saturating_sub(*mine);
            if *all == 0 {
                held.remove(&self.organization);
            }
        }
        *mine = 0;
    }

    fn mine(&self) -> MutexGuard<'_, u64> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn uploads_at_the_same_time_share_the_room_and_give_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        let quotas = Quotas::default();
        let (one, two, other) = (quotas.holding(OrganizationId(1)), quotas.holding(OrganizationId(1)), quotas.holding(OrganizationId(2)));
        for bytes in [40, 60, 50] {
            one.grow(&db, 100, bytes).await.unwrap();
        }
        let refused = two.grow(&db, 100, 41).await.unwrap_err();
        assert!(refused.message().contains("60 of the 100 bytes") && refused.message().contains("41 more"), "{}", refused.message());
        assert!(two.is_full() && !one.is_full());
        two.grow(&db, 100, 40).await.unwrap();
        other.grow(&db, 100, 100).await.unwrap();
        drop(one);
        two.grow(&db, 100, 100).await.unwrap();
        two.release();
        assert_eq!(*quotas.map(), HashMap::from([(OrganizationId(2), 100)]));
    }
}
