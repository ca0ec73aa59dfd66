//! What each organization keeps, in bytes, and how much it may keep. The database counts with every row that comes or goes (see the
//! migration); here is the look before something comes, in the transaction that brings it, so that two pushes cannot both take the last
//! free byte.

use model::{digest::Digest, id::OrganizationId};
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::error::Error;

/// What an organization keeps and may keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of its blobs, each once, and of its manifests.
    pub bytes: u64,
    /// A quota of its own; `None`: the configured one holds.
    pub own_quota: Option<u64>,
}

impl Usage {
    /// The quota that holds; `None`: no limit. `configured` 0 is no limit, as in the configuration.
    pub fn quota(&self, configured: u64) -> Option<u64> {
        self.own_quota.or((configured > 0).then_some(configured))
    }

    /// As the database has it, which knows no unsigned numbers.
    pub(crate) fn of_row(bytes: i64, quota: Option<i64>) -> Self {
        let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
        Self { bytes: unsigned(bytes), own_quota: quota.map(unsigned) }
    }

    /// Whether `size` more bytes may come.
    ///
    /// # Errors
    /// [`Error::OverQuota`] when they may not.
    pub(crate) fn admit(&self, organization: OrganizationId, size: u64, configured: u64) -> Result<(), Error> {
        match self.quota(configured) {
            Some(quota) if self.bytes.saturating_add(size) > quota => {
                Err(Error::OverQuota { organization, used: self.bytes, quota, needs: size })
            }
            _ => Ok(()),
        }
    }
}

/// Reads what an organization keeps.
///
/// # Errors
/// [`Error::Database`].
pub async fn of(executor: impl SqliteExecutor<'_>, organization: OrganizationId) -> Result<Usage, Error> {
    let row: Option<(i64, Option<i64>)> = sqlx::query_as("SELECT bytes, quota FROM organization_usage WHERE organization_id = $1")
        .bind(organization.0)
        .fetch_optional(executor)
        .await?;
    Ok(row.map_or_else(Usage::default, |(bytes, quota)| Usage::of_row(bytes, quota)))
}

/// Gives an organization a quota of its own, or takes it back.
///
/// # Errors
/// [`Error::Database`].
pub async fn set_quota(tx: &mut SqliteConnection, organization: OrganizationId, quota: Option<u64>) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO organization_usage (organization_id, quota) VALUES ($1, $2)
         ON CONFLICT (organization_id) DO UPDATE SET quota = excluded.quota",
    )
    .bind(organization.0)
    .bind(quota.map(|quota| i64::try_from(quota).unwrap_or(i64::MAX)))
    .execute(tx)
    .await?;
    Ok(())
}

/// Whether a blob may come, inside the transaction that brings it. It costs nothing when the organization keeps it already.
///
/// # Errors
/// [`Error::OverQuota`] when it may not, [`Error::Database`].
pub async fn admit_blob(
    tx: &mut SqliteConnection,
    organization: OrganizationId,
    digest: &Digest,
    size: u64,
    configured: u64,
) -> Result<(), Error> {
    let kept = sqlx::query("SELECT 1 FROM organization_blobs WHERE organization_id = $1 AND digest = $2")
        .bind(organization.0)
        .bind(digest.to_string())
        .fetch_optional(&mut *tx)
        .await?;
    if kept.is_some() { Ok(()) } else { of(tx, organization).await?.admit(organization, size, configured) }
}

#[cfg(test)]
mod tests {
    use model::name::RepoName;

    use super::*;
    use crate::{
        Db,
        manifests::{self, NewManifest},
        repositories::{add_blob, mount_blob},
    };

    async fn opened() -> (tempfile::TempDir, Db) {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        (dir, db)
    }

    async fn bytes(db: &Db, organization: i64) -> u64 {
        of(db.read(), OrganizationId(organization)).await.unwrap().bytes
    }

    #[tokio::test]
    async fn a_blob_counts_once_in_each_organization() {
        let (_dir, db) = opened().await;
        let (a, b, other) = ("1/a".parse().unwrap(), "1/b".parse().unwrap(), "2/a".parse().unwrap());
        let digest = Digest::of(b"x");
        for repository in [&a, &a, &b] {
            add_blob(&db, repository, &digest, 10, 0, 0).await.unwrap();
        }
        assert_eq!((bytes(&db, 1).await, bytes(&db, 2).await), (10, 0));
        mount_blob(&db, &a, &other, &digest, 0, 0).await.unwrap();
        add_blob(&db, &other, &Digest::of(b"y"), 5, 0, 0).await.unwrap();
        assert_eq!((bytes(&db, 1).await, bytes(&db, 2).await), (10, 15));
        for (repository, left) in [("1/a", 10), ("1/b", 0)] {
            let mut tx = db.write().await.unwrap();
            sqlx::query("DELETE FROM repository_blobs WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)")
                .bind(repository)
                .execute(&mut *tx)
                .await
                .unwrap();
            tx.commit().await.unwrap();
            assert_eq!(bytes(&db, 1).await, left);
        }
        assert_eq!(bytes(&db, 2).await, 15);
    }

    #[tokio::test]
    async fn manifests_count_and_deleting_gives_back() {
        let (_dir, db) = opened().await;
        let repository: RepoName = "1/a".parse().unwrap();
        let new = |bytes: &'static [u8]| NewManifest {
            repository: repository.clone(),
            tags: vec![],
            digest: Digest::of(bytes),
            media_type: "m".into(),
            artifact_type: None,
            subject: None,
            annotations: None,
            bytes: bytes.into(),
            blobs: vec![],
            manifests: vec![],
            account: "ann".into(),
            now: 0,
            quota: 8,
        };
        for _ in 0..2 {
            manifests::put(&db, new(b"12345")).await.unwrap();
        }
        let refused = manifests::put(&db, new(b"6789")).await.unwrap_err();
        assert!(matches!(refused, Error::OverQuota { used: 5, quota: 8, needs: 4, .. }), "{refused}");
        assert_eq!(bytes(&db, 1).await, 5);
        manifests::delete(&db, &repository, &Digest::of(b"12345")).await.unwrap();
        manifests::put(&db, new(b"6789")).await.unwrap();
        assert_eq!(bytes(&db, 1).await, 4);
    }

    #[tokio::test]
    async fn an_own_quota_is_stronger_and_what_is_kept_stays_free() {
        let (_dir, db) = opened().await;
        let (a, b) = ("1/a".parse().unwrap(), "1/b".parse().unwrap());
        add_blob(&db, &a, &Digest::of(b"x"), 10, 0, 10).await.unwrap();
        let refused = add_blob(&db, &a, &Digest::of(b"y"), 1, 0, 10).await.unwrap_err();
        assert!(refused.to_string().contains("organization 1") && refused.kind() == crate::ErrorKind::OverQuota, "{refused}");
        let mut tx = db.write().await.unwrap();
        set_quota(&mut tx, OrganizationId(1), Some(5)).await.unwrap();
        tx.commit().await.unwrap();
        add_blob(&db, &b, &Digest::of(b"x"), 10, 0, 0).await.unwrap();
        assert!(add_blob(&db, &a, &Digest::of(b"y"), 1, 0, 0).await.is_err());
        let mut tx = db.write().await.unwrap();
        set_quota(&mut tx, OrganizationId(1), None).await.unwrap();
        tx.commit().await.unwrap();
        add_blob(&db, &a, &Digest::of(b"y"), 1, 0, 0).await.unwrap();
        assert_eq!(bytes(&db, 1).await, 11);
    }

    #[tokio::test]
    async fn pushes_at_the_same_time_cannot_share_the_last_bytes() {
        let (_dir, db) = opened().await;
        let tasks: Vec<_> = (0..20u8)
            .map(|n| {
                let db = db.clone();
                tokio::spawn(async move { add_blob(&db, &format!("1/r{n}").parse().unwrap(), &Digest::of(&[n]), 3, 0, 10).await.is_ok() })
            })
            .collect();
        let mut taken = 0;
        for task in tasks {
            taken += u64::from(task.await.unwrap());
        }
        assert_eq!((taken, bytes(&db, 1).await), (3, 9));
    }
}
