//! Who makes content visible, and who removes it, never at the same time for the same content. A push holds its digest from before its bytes
//! stand under their name until its row is committed; garbage collection removes a file only while nobody holds its digest and no row names
//! it. So a row never names a file that is being removed. One process has the data folder, so this is enough.

use std::{array, hash::Hasher};

use model::digest::Digest;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Digests share a lock with others; pushes do not exclude each other, and collection never waits, so that costs nothing.
const STRIPES: usize = 64;

/// All holds.
pub(crate) struct Holds {
    stripes: [RwLock<()>; STRIPES],
}

impl Default for Holds {
    fn default() -> Self {
        Self { stripes: array::from_fn(|_| RwLock::new(())) }
    }
}

impl Holds {
    /// Keeps content from being removed.
    pub(crate) async fn keep(&self, digest: &Digest) -> RwLockReadGuard<'_, ()> {
        self.stripe(digest).read().await
    }

    /// The right to remove content; `None` while anybody holds it: then the next collection takes it.
    pub(crate) fn alone(&self, digest: &Digest) -> Option<RwLockWriteGuard<'_, ()>> {
        self.stripe(digest).try_write().ok()
    }

    fn stripe(&self, digest: &Digest) -> &RwLock<()> {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write(digest.hex().as_bytes());
        &self.stripes[hasher.finish() as usize % STRIPES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_pushes_excludes_whoever_removes() {
        let (holds, digest) = (Holds::default(), Digest::of(b"x"));
        let (one, two) = (holds.keep(&digest).await, holds.keep(&digest).await);
        assert!(holds.alone(&digest).is_none());
        drop(one);
        assert!(holds.alone(&digest).is_none());
        drop(two);
        assert!(holds.alone(&digest).is_some());
    }
}
