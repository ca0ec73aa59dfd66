//! Manifests, as the exact bytes that were pushed. Storing one, moving its tag and telling of the push is one transaction.

mod put;

use model::{
    digest::Digest,
    name::{Reference, RepoName},
};
use sqlx::FromRow;

pub(crate) use self::put::Queue;
pub use self::put::{NewManifest, Put, put};
use crate::{Db, error::Error, held_tags, repositories::Removal};

/// A stored manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Digest of the bytes.
    pub digest: Digest,
    /// As it was pushed.
    pub media_type: String,
    /// The exact bytes.
    pub bytes: Vec<u8>,
}

#[derive(FromRow)]
struct Row {
    digest: String,
    media_type: String,
    bytes: Vec<u8>,
}

/// A manifest by tag or digest.
///
/// # Errors
/// [`Error::Database`], and [`Error::Row`] for a row that breaks its types.
pub async fn get(db: &Db, repository: &RepoName, reference: &Reference) -> Result<Option<Manifest>, Error> {
    let weight = |found: &Option<Manifest>| found.as_ref().map_or(0, |manifest| manifest.bytes.len() + manifest.media_type.len());
    db.manifests().answer(format!("{repository}@{reference}"), weight, read(db, repository, reference)).await
}

async fn read(db: &Db, repository: &RepoName, reference: &Reference) -> Result<Option<Manifest>, Error> {
    let (query, key) = match reference {
        Reference::Tag(tag) => (
            "SELECT m.digest, m.media_type, m.bytes FROM repositories r JOIN tags t ON t.repository_id = r.id
             JOIN manifests m ON m.repository_id = r.id AND m.digest = t.digest WHERE r.name = $1 AND t.name = $2",
            tag.to_string(),
        ),
        Reference::Digest(digest) => (
            "SELECT m.digest, m.media_type, m.bytes FROM repositories r JOIN manifests m ON m.repository_id = r.id
             WHERE r.name = $1 AND m.digest = $2",
            digest.to_string(),
        ),
    };
    let row: Option<Row> = sqlx::query_as(query).bind(repository.as_str()).bind(key).fetch_optional(db.read()).await?;
    let Some(row) = row else { return Ok(None) };
    let digest = row.digest.parse().map_err(|_| Error::row("manifests", "digest", &row.digest))?;
    Ok(Some(Manifest { digest, media_type: row.media_type, bytes: row.bytes }))
}

/// Removes a manifest and every tag that names it, unless somebody holds it or something that needs it.
///
/// # Errors
/// [`Error::Database`].
pub async fn delete(db: &Db, repository: &RepoName, digest: &Digest) -> Result<Removal, Error> {
    let mut tx = db.write().await?;
    if let Some(hold) = held_tags::on_content(&mut tx, repository, digest).await? {
        return Ok(Removal::Held(hold));
    }
    let gone = sqlx::query("DELETE FROM manifests WHERE digest = $2 AND repository_id = (SELECT id FROM repositories WHERE name = $1)")
        .bind(repository.as_str())
        .bind(digest.to_string())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(Removal::of(gone.rows_affected()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use model::name::Tag;

    use super::*;
    use crate::{held_tags::Hold, pushes, repositories};

    async fn opened() -> (tempfile::TempDir, Db) {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        (dir, db)
    }

    fn new(tag: Option<&str>, bytes: &[u8], blobs: &[Digest], manifests: &[Digest]) -> NewManifest {
        NewManifest {
            repository: "1/a".parse().unwrap(),
            tags: tag.map(|text| text.parse().unwrap()).into_iter().collect(),
            digest: Digest::of(bytes),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            artifact_type: None,
            subject: None,
            annotations: None,
            bytes: Bytes::copy_from_slice(bytes),
            blobs: blobs.to_vec(),
            manifests: manifests.to_vec(),
            account: "ann".into(),
            now: 9,
            quota: 0,
        }
    }

    /// Stores `bytes` in `1/a` under `tag`, needing `blobs` and `manifests`.
    async fn pushed(db: &Db, tag: Option<&str>, bytes: &[u8], blobs: &[Digest], manifests: &[Digest]) -> Put {
        put(db, new(tag, bytes, blobs, manifests)).await.unwrap()
    }

    async fn tags(db: &Db) -> Vec<String> {
        repositories::tags(db, &"1/a".parse().unwrap(), None, 100).await.unwrap().unwrap_or_default()
    }

    #[tokio::test]
    async fn a_push_by_tag_stores_moves_and_tells() {
        let (_dir, db) = opened().await;
        let Put::Stored(first) = pushed(&db, Some("v1"), b"one", &[], &[]).await else { panic!("not stored") };
        let Put::Stored(second) = pushed(&db, Some("v1"), b"two", &[], &[]).await else { panic!("not stored") };
        assert!(first.len() == 1 && second > first);
        let name = "1/a".parse().unwrap();
        let by_tag = get(&db, &name, &"v1".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((by_tag.bytes.as_slice(), &by_tag.digest), (b"two".as_slice(), &Digest::of(b"two")));
        let by_digest = get(&db, &name, &Reference::Digest(Digest::of(b"one"))).await.unwrap().unwrap();
        assert_eq!(by_digest.bytes, b"one");
        assert_eq!(pushes::unhandled(&db, 10).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_push_by_digest_is_silent_and_the_same_push_again_is_told_again() {
        let (_dir, db) = opened().await;
        assert_eq!(pushed(&db, None, b"one", &[], &[]).await, Put::Stored(vec![]));
        assert!(pushes::unhandled(&db, 10).await.unwrap().is_empty());
        pushed(&db, Some("v1"), b"one", &[], &[]).await;
        pushed(&db, Some("v1"), b"one", &[], &[]).await;
        let pushes = pushes::unhandled(&db, 10).await.unwrap();
        assert_eq!(pushes.iter().map(|push| &push.digest).collect::<Vec<_>>(), [&Digest::of(b"one"); 2]);
    }

    #[tokio::test]
    async fn what_is_missing_is_named_and_nothing_is_stored() {
        let (_dir, db) = opened().await;
        let (here, gone) = (Digest::of(b"here"), Digest::of(b"gone"));
        repositories::add_blob(&db, &"1/a".parse().unwrap(), &here, 4, 0, 0).await.unwrap();
        repositories::add_blob(&db, &"2/b".parse().unwrap(), &gone, 4, 0, 0).await.unwrap();
        let put = pushed(&db, Some("v1"), b"one", &[here.clone(), gone.clone()], &[]).await;
        assert_eq!(put, Put::Missing(vec![gone]));
        assert!(tags(&db).await.is_empty());
        assert!(pushes::unhandled(&db, 10).await.unwrap().is_empty());
        let sparse = pushed(&db, Some("v1"), b"one", &[here], &[Digest::of(b"child")]).await;
        assert_eq!(sparse, Put::Stored(vec![1]), "the manifests of an index need not be there");
    }

    #[tokio::test]
    async fn many_references_are_all_looked_up() {
        let (_dir, db) = opened().await;
        let many: Vec<Digest> = (0..1200u32).map(|n| Digest::of(&n.to_be_bytes())).collect();
        let Put::Missing(blobs) = pushed(&db, None, b"one", &many, &[]).await else { panic!("stored") };
        assert_eq!(blobs, many);
        let mut tx = db.write().await.unwrap();
        for digest in &many {
            sqlx::query("INSERT INTO blobs VALUES ($1, 1, 0)").bind(digest.to_string()).execute(&mut *tx).await.unwrap();
        }
        let id = repositories::ensure(&mut tx, &"1/a".parse().unwrap(), 0).await.unwrap();
        sqlx::query("INSERT INTO repository_blobs (repository_id, digest, created_at) SELECT $1, digest, 0 FROM blobs")
            .bind(id)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(pushed(&db, None, b"one", &many, &[]).await, Put::Stored(vec![]));
        let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM manifest_references").fetch_one(db.read()).await.unwrap();
        assert_eq!(kept, 1200);
    }

    #[tokio::test]
    async fn deleting_a_manifest_takes_its_tags() {
        let (_dir, db) = opened().await;
        let name = "1/a".parse().unwrap();
        for (tag, bytes) in [("v1", b"one"), ("v2", b"two"), ("latest", b"one")] {
            pushed(&db, Some(tag), bytes, &[], &[]).await;
        }
        assert_eq!(delete(&db, &name, &Digest::of(b"one")).await.unwrap(), Removal::Gone);
        assert_eq!(delete(&db, &name, &Digest::of(b"one")).await.unwrap(), Removal::Unknown);
        assert_eq!(tags(&db).await, ["v2"]);
        assert_eq!(repositories::delete_tag(&db, &name, &"v2".parse().unwrap()).await.unwrap(), Removal::Gone);
        assert!(get(&db, &name, &"v2".parse().unwrap()).await.unwrap().is_none());
        assert!(get(&db, &name, &Reference::Digest(Digest::of(b"two"))).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn what_is_held_stays_and_everything_else_may_go() {
        let (_dir, db) = opened().await;
        let name = "1/a".parse().unwrap();
        let (child, top, other) = (Digest::of(b"child"), Digest::of(b"top"), Digest::of(b"other"));
        repositories::add_blob(&db, &name, &Digest::of(b"layer"), 5, 0, 0).await.unwrap();
        pushed(&db, None, b"child", &[Digest::of(b"layer")], &[]).await;
        pushed(&db, Some("v1"), b"top", &[], std::slice::from_ref(&child)).await;
        pushed(&db, Some("v2"), b"top", &[], std::slice::from_ref(&child)).await;
        let hold = Hold { tag: "v1".into(), digest: top.clone(), reason: "it is needed".into(), page: "/why".into() };
        let mut tx = db.write().await.unwrap();
        held_tags::hold(&mut tx, "somebody", &name, &hold).await.unwrap();
        held_tags::hold(&mut tx, "somebody", &name, &hold).await.unwrap();
        tx.commit().await.unwrap();

        assert_eq!(pushed(&db, Some("v1"), b"other", &[], &[]).await, Put::Held(hold.clone()));
        assert!(get(&db, &name, &Reference::Digest(other.clone())).await.unwrap().is_none(), "a refused manifest is not stored");
        assert!(matches!(pushed(&db, Some("v1"), b"top", &[], std::slice::from_ref(&child)).await, Put::Stored(_)));
        for tag in ["v2", "v3"] {
            assert!(matches!(pushed(&db, Some(tag), b"other", &[], &[]).await, Put::Stored(_)), "{tag}");
        }
        let v1: Tag = "v1".parse().unwrap();
        assert_eq!(repositories::delete_tag(&db, &name, &v1).await.unwrap(), Removal::Held(hold.clone()));
        assert_eq!(delete(&db, &name, &top).await.unwrap(), Removal::Held(hold.clone()));
        assert_eq!(delete(&db, &name, &child).await.unwrap(), Removal::Held(hold.clone()));
        let mut tx = db.write().await.unwrap();
        assert_eq!(held_tags::on_content(&mut tx, &name, &Digest::of(b"layer")).await.unwrap(), Some(hold));
        assert_eq!(held_tags::on_content(&mut tx, &"1/b".parse().unwrap(), &top).await.unwrap(), None);
        drop(tx);
        assert_eq!(delete(&db, &name, &other).await.unwrap(), Removal::Gone);

        let mut tx = db.write().await.unwrap();
        held_tags::release(&mut tx, "somebody").await.unwrap();
        tx.commit().await.unwrap();
        assert!(matches!(pushed(&db, Some("v1"), b"other", &[], &[]).await, Put::Stored(_)));
        assert_eq!(delete(&db, &name, &child).await.unwrap(), Removal::Gone);
    }

    #[tokio::test]
    async fn a_tag_that_had_moved_on_before_it_was_held_is_free() {
        let (_dir, db) = opened().await;
        let name: RepoName = "1/a".parse().unwrap();
        pushed(&db, Some("v1"), b"one", &[], &[]).await;
        pushed(&db, Some("v1"), b"two", &[], &[]).await;
        let hold = Hold { tag: "v1".into(), digest: Digest::of(b"one"), reason: "it is needed".into(), page: "/why".into() };
        let mut tx = db.write().await.unwrap();
        held_tags::hold(&mut tx, "somebody", &name, &hold).await.unwrap();
        tx.commit().await.unwrap();
        assert!(matches!(pushed(&db, Some("v1"), b"three", &[], &[]).await, Put::Stored(_)));
        assert_eq!(repositories::delete_tag(&db, &name, &"v1".parse().unwrap()).await.unwrap(), Removal::Gone);
        assert_eq!(delete(&db, &name, &Digest::of(b"one")).await.unwrap(), Removal::Held(hold), "the content itself is still needed");
    }

    #[tokio::test]
    async fn tags_come_in_byte_order_page_by_page() {
        let (_dir, db) = opened().await;
        for tag in ["b", "A", "a", "_x", "10", "2"] {
            pushed(&db, Some(tag), b"one", &[], &[]).await;
        }
        assert_eq!(tags(&db).await, ["10", "2", "A", "_x", "a", "b"]);
        let page = repositories::tags(&db, &"1/a".parse().unwrap(), Some("2"), 2).await.unwrap().unwrap();
        assert_eq!(page, ["A", "_x"]);
    }
}
