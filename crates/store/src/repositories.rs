//! Repositories: which blobs each may hand out, and its tags. A repository comes to be with its first blob or manifest.

use model::{
    digest::Digest,
    id::OrganizationId,
    name::{RepoName, Tag},
};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqliteExecutor};

use crate::{
    Db, RightsChange,
    error::Error,
    held_tags::{self, Hold},
    usage,
};

/// The row of a repository, `None` when nothing was ever pushed to it.
pub(crate) async fn id(executor: impl SqliteExecutor<'_>, repository: &RepoName) -> Result<Option<i64>, Error> {
    Ok(sqlx::query_scalar("SELECT id FROM repositories WHERE name = $1").bind(repository.as_str()).fetch_optional(executor).await?)
}

/// The row of a repository, made if it is not there.
pub(crate) async fn ensure(tx: &mut SqliteConnection, repository: &RepoName, now: i64) -> Result<i64, Error> {
    if let Some(id) = id(&mut *tx, repository).await? {
        return Ok(id);
    }
    let id = sqlx::query_scalar("INSERT INTO repositories (name, organization_id, created_at) VALUES ($1, $2, $3) RETURNING id")
        .bind(repository.as_str())
        .bind(repository.organization().0)
        .bind(now)
        .fetch_one(tx)
        .await?;
    Ok(id)
}

/// Whether anybody may pull from a repository.
///
/// # Errors
/// [`Error::Database`].
pub async fn is_public(db: &Db, repository: &RepoName) -> Result<bool, Error> {
    let public: Option<bool> =
        sqlx::query_scalar("SELECT public FROM repositories WHERE name = $1").bind(repository.as_str()).fetch_optional(db.read()).await?;
    Ok(public.unwrap_or(false))
}

/// Lets anybody pull from a repository, or no longer. False when it is unknown.
///
/// # Errors
/// [`Error::Database`].
pub async fn set_public(change: &mut RightsChange, repository: &RepoName, public: bool) -> Result<bool, Error> {
    let update = sqlx::query("UPDATE repositories SET public = $2 WHERE name = $1");
    let done = update.bind(repository.as_str()).bind(public).execute(&mut ***change).await?;
    Ok(done.rows_affected() == 1)
}

/// A repository in a list.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Whether anybody may pull from it.
    pub public: bool,
    /// When something was first pushed to it, milliseconds since 1970.
    pub created_at: i64,
}

/// One repository.
///
/// # Errors
/// [`Error::Database`].
pub async fn by_name(db: &Db, repository: &RepoName) -> Result<Option<Listed>, Error> {
    let row = sqlx::query_as("SELECT name, public, created_at FROM repositories WHERE name = $1");
    Ok(row.bind(repository.as_str()).fetch_optional(db.read()).await?)
}

/// Repositories of an organization by name.
///
/// # Errors
/// [`Error::Database`].
pub async fn list(db: &Db, organization: OrganizationId, offset: i64, limit: i64) -> Result<Vec<Listed>, Error> {
    let rows =
        sqlx::query_as("SELECT name, public, created_at FROM repositories WHERE organization_id = $1 ORDER BY name LIMIT $2 OFFSET $3");
    Ok(rows.bind(organization.0).bind(limit).bind(offset).fetch_all(db.read()).await?)
}

/// Size of a blob that this repository holds.
///
/// # Errors
/// [`Error::Database`].
pub async fn blob_size(db: &Db, repository: &RepoName, digest: &Digest) -> Result<Option<u64>, Error> {
    let size: Option<i64> = sqlx::query_scalar(
        "SELECT b.size FROM repositories r JOIN repository_blobs l ON l.repository_id = r.id JOIN blobs b ON b.digest = l.digest
         WHERE r.name = $1 AND l.digest = $2",
    )
    .bind(repository.as_str())
    .bind(digest.to_string())
    .fetch_optional(db.read())
    .await?;
    Ok(size.map(i64::cast_unsigned))
}

/// Whether any repository holds a blob. Not for answers to outsiders: it would tell them of other people's content.
///
/// # Errors
/// [`Error::Database`].
pub async fn blob_exists(db: &Db, digest: &Digest) -> Result<bool, Error> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT size FROM blobs WHERE digest = $1").bind(digest.to_string()).fetch_optional(db.read()).await?;
    Ok(found.is_some())
}

/// Gives a repository a blob whose file is durable: from here on it can be read there. `quota` is that of organizations which have none of
/// their own.
///
/// # Errors
/// [`Error::OverQuota`], [`Error::Database`].
pub async fn add_blob(db: &Db, repository: &RepoName, digest: &Digest, size: u64, now: i64, quota: u64) -> Result<(), Error> {
    let mut tx = db.write_grouped().await?;
    usage::admit_blob(&mut tx, repository.organization(), digest, size, quota).await?;
    sqlx::query("INSERT INTO blobs (digest, size, created_at) VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING")
        .bind(digest.to_string())
        .bind(size.cast_signed())
        .bind(now)
        .execute(&mut **tx)
        .await?;
    let id = ensure(&mut tx, repository, now).await?;
    link(&mut tx, id, digest, now).await?;
    tx.commit().await
}

/// Gives a repository a blob that another one holds. False when that one does not. `quota` as with [`add_blob`].
///
/// # Errors
/// [`Error::OverQuota`], [`Error::Database`].
pub async fn mount_blob(db: &Db, from: &RepoName, to: &RepoName, digest: &Digest, now: i64, quota: u64) -> Result<bool, Error> {
    let Some(size) = blob_size(db, from, digest).await? else { return Ok(false) };
    let mut tx = db.write_grouped().await?;
    // Looked up again: between the look and the wait for the writer it may have been deleted.
    let held =
        sqlx::query("SELECT 1 FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id WHERE r.name = $1 AND l.digest = $2")
            .bind(from.as_str())
            .bind(digest.to_string())
            .fetch_optional(&mut **tx)
            .await?;
    if held.is_none() {
        return Ok(false);
    }
    usage::admit_blob(&mut tx, to.organization(), digest, size, quota).await?;
    let id = ensure(&mut tx, to, now).await?;
    link(&mut tx, id, digest, now).await?;
    tx.commit().await?;
    Ok(true)
}

/// Gives a repository a blob that any of these repositories holds. False when none does. `quota` as with [`add_blob`].
///
/// # Errors
/// [`Error::OverQuota`], [`Error::Database`], and [`Error::Row`] for a row that breaks its types.
pub async fn mount_blob_from_any(db: &Db, among: &Among<'_>, to: &RepoName, digest: &Digest, now: i64, quota: u64) -> Result<bool, Error> {
    let mut select = QueryBuilder::<Sqlite>::new(
        "SELECT r.name FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id WHERE l.digest = ",
    );
    select.push_bind(digest.to_string());
    among.restrict(&mut select);
    let holder: Option<String> = select.push(" LIMIT 1").build_query_scalar().fetch_optional(db.read()).await?;
    let Some(holder) = holder else { return Ok(false) };
    let from = holder.parse().map_err(|_| Error::row("repositories", "name", &holder))?;
    mount_blob(db, &from, to, digest, now, quota).await
}

/// A blob sent or mounted again is wanted again, whatever garbage collection thought of it.
async fn link(tx: &mut SqliteConnection, id: i64, digest: &Digest, now: i64) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO repository_blobs (repository_id, digest, created_at) VALUES ($1, $2, $3) \
         ON CONFLICT (repository_id, digest) DO UPDATE SET unneeded_since = NULL",
    )
    .bind(id)
    .bind(digest.to_string())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// What became of a wish to take a blob away from a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlinked {
    /// It can no longer be read there. Its bytes go when nobody holds them.
    Gone,
    /// The repository did not hold it.
    Unknown,
    /// This manifest of the repository names it, so it stays.
    Needed(Digest),
}

/// Takes a blob away from a repository, unless one of its manifests needs it.
///
/// # Errors
/// [`Error::Database`], and [`Error::Row`] for a row that breaks its types.
pub async fn remove_blob(db: &Db, repository: &RepoName, digest: &Digest) -> Result<Unlinked, Error> {
    let mut tx = db.write().await?;
    let Some(id) = id(&mut *tx, repository).await? else { return Ok(Unlinked::Unknown) };
    let needed: Option<String> = sqlx::query_scalar(
        "SELECT m.digest FROM manifest_references f JOIN manifests m ON m.id = f.manifest_id
         WHERE f.kind = 'blob' AND f.digest = $1 AND m.repository_id = $2 ORDER BY m.digest LIMIT 1",
    )
    .bind(digest.to_string())
    .bind(id)
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(text) = needed {
        return Ok(Unlinked::Needed(text.parse().map_err(|_| Error::row("manifests", "digest", &text))?));
    }
    let gone = sqlx::query("DELETE FROM repository_blobs WHERE repository_id = $1 AND digest = $2")
        .bind(id)
        .bind(digest.to_string())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(if gone.rows_affected() > 0 { Unlinked::Gone } else { Unlinked::Unknown })
}

/// Some of all repositories: those of these organizations, and these.
#[derive(Clone, Debug, Default)]
pub struct Among<'a> {
    /// All repositories of these.
    pub organizations: Vec<OrganizationId>,
    /// And these.
    pub repositories: Vec<&'a RepoName>,
}

impl Among<'_> {
    /// Continues a statement that has a `WHERE` and calls the repositories `r`.
    fn restrict(&self, select: &mut QueryBuilder<Sqlite>) {
        select.push(" AND (r.organization_id IN (");
        // A list must not be empty, and nothing equals NULL.
        let mut list = select.separated(", ");
        list.push("NULL");
        for organization in &self.organizations {
            list.push_bind(organization.0);
        }
        select.push(") OR r.name IN (");
        let mut list = select.separated(", ");
        list.push("NULL");
        for repository in &self.repositories {
            list.push_bind(repository.as_str().to_owned());
        }
        select.push("))");
    }
}

/// Names of repositories that have a manifest, in byte order, those behind `last`, at most `limit`.
///
/// # Errors
/// [`Error::Database`].
pub async fn catalog(db: &Db, among: &Among<'_>, last: Option<&str>, limit: u32) -> Result<Vec<String>, Error> {
    let mut select = QueryBuilder::<Sqlite>::new(
        "SELECT r.name FROM repositories r WHERE EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id) AND r.name > ",
    );
    select.push_bind(last.unwrap_or_default().to_owned());
    among.restrict(&mut select);
    select.push(" ORDER BY r.name LIMIT ").push_bind(limit);
    Ok(select.build_query_scalar().fetch_all(db.read()).await?)
}

/// Tags in byte order, those behind `last`, at most `limit`. `None` when the repository is unknown.
///
/// # Errors
/// [`Error::Database`].
pub async fn tags(db: &Db, repository: &RepoName, last: Option<&str>, limit: u32) -> Result<Option<Vec<String>>, Error> {
    let question = format!("{repository} {limit} {}", last.unwrap_or_default());
    let weight = |names: &Option<String>| names.as_ref().map_or(0, String::len);
    let names = db.tag_lists().answer(question, weight, joined_tags(db, repository, last, limit)).await?;
    Ok(names.map(|names| names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()))
}

/// One row with all names: a row for each would cost more than finding them. No tag has a comma.
async fn joined_tags(db: &Db, repository: &RepoName, last: Option<&str>, limit: u32) -> Result<Option<String>, Error> {
    let found: Option<Option<String>> = sqlx::query_scalar(
        "SELECT (SELECT string_agg(name, ',' ORDER BY name) FROM
             (SELECT name FROM tags WHERE repository_id = r.id AND name > $2 ORDER BY name LIMIT $3) AS page)
         FROM repositories r WHERE r.name = $1",
    )
    .bind(repository.as_str())
    .bind(last.unwrap_or_default())
    .bind(limit)
    .fetch_optional(db.read())
    .await?;
    Ok(found.map(Option::unwrap_or_default))
}

/// What a tag names.
///
/// # Errors
/// [`Error::Database`], and [`Error::Row`] for a row that breaks its types.
pub async fn tag(db: &Db, repository: &RepoName, tag: &Tag) -> Result<Option<Digest>, Error> {
    let found: Option<String> =
        sqlx::query_scalar("SELECT t.digest FROM tags t JOIN repositories r ON r.id = t.repository_id WHERE r.name = $1 AND t.name = $2")
            .bind(repository.as_str())
            .bind(tag.as_str())
            .fetch_optional(db.read())
            .await?;
    found.map(|text| text.parse().map_err(|_| Error::row("tags", "digest", &text))).transpose()
}

/// What became of a wish to remove something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Gone,
    /// It was not there.
    Unknown,
    /// Nothing was removed, because somebody holds it.
    Held(Hold),
}

impl Removal {
    pub(crate) fn of(rows: u64) -> Self {
        if rows > 0 { Self::Gone } else { Self::Unknown }
    }
}

/// Removes a tag; what it named stays.
///
/// # Errors
/// [`Error::Database`].
pub async fn delete_tag(db: &Db, repository: &RepoName, tag: &Tag) -> Result<Removal, Error> {
    let mut tx = db.write().await?;
    if let Some(hold) = held_tags::on_tag(&mut tx, repository, tag, None).await? {
        return Ok(Removal::Held(hold));
    }
    let gone = sqlx::query("DELETE FROM tags WHERE name = $2 AND repository_id = (SELECT id FROM repositories WHERE name = $1)")
        .bind(repository.as_str())
        .bind(tag.as_str())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(Removal::of(gone.rows_affected()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn opened() -> (tempfile::TempDir, Db) {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        (dir, db)
    }

    fn repo(name: &str) -> RepoName {
        name.parse().unwrap()
    }

    #[tokio::test]
    async fn a_blob_is_seen_only_where_it_was_put() {
        let (_dir, db) = opened().await;
        let digest = Digest::of(b"x");
        add_blob(&db, &repo("1/a"), &digest, 1, 0, 0).await.unwrap();
        assert_eq!(blob_size(&db, &repo("1/a"), &digest).await.unwrap(), Some(1));
        assert_eq!(blob_size(&db, &repo("2/a"), &digest).await.unwrap(), None);
        assert!(blob_exists(&db, &digest).await.unwrap());
        assert!(!blob_exists(&db, &Digest::of(b"y")).await.unwrap());
    }

    #[tokio::test]
    async fn mounting_needs_the_source_to_hold_it() {
        let (_dir, db) = opened().await;
        let digest = Digest::of(b"x");
        assert!(!mount_blob(&db, &repo("1/a"), &repo("1/b"), &digest, 0, 0).await.unwrap());
        add_blob(&db, &repo("1/a"), &digest, 1, 0, 0).await.unwrap();
        assert!(!mount_blob(&db, &repo("1/c"), &repo("1/b"), &digest, 0, 0).await.unwrap());
        for _ in 0..2 {
            assert!(mount_blob(&db, &repo("1/a"), &repo("1/b"), &digest, 0, 0).await.unwrap());
        }
        assert_eq!(blob_size(&db, &repo("1/b"), &digest).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn mounting_from_anywhere_looks_only_where_it_may() {
        let (_dir, db) = opened().await;
        let (digest, shared) = (Digest::of(b"x"), repo("3/shared"));
        add_blob(&db, &repo("2/a"), &digest, 1, 0, 0).await.unwrap();
        let mine = Among { organizations: vec![OrganizationId(1)], repositories: vec![&shared] };
        assert!(!mount_blob_from_any(&db, &mine, &repo("1/b"), &digest, 0, 0).await.unwrap());
        assert!(!mount_blob_from_any(&db, &Among::default(), &repo("1/b"), &digest, 0, 0).await.unwrap());
        add_blob(&db, &shared, &digest, 1, 0, 0).await.unwrap();
        assert!(mount_blob_from_any(&db, &mine, &repo("1/b"), &digest, 0, 0).await.unwrap());
        assert_eq!(blob_size(&db, &repo("1/b"), &digest).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn a_blob_is_taken_from_one_repository_only() {
        let (_dir, db) = opened().await;
        let digest = Digest::of(b"x");
        for name in ["1/a", "1/b"] {
            add_blob(&db, &repo(name), &digest, 1, 0, 0).await.unwrap();
        }
        assert_eq!(remove_blob(&db, &repo("1/none"), &digest).await.unwrap(), Unlinked::Unknown);
        assert_eq!(remove_blob(&db, &repo("1/a"), &digest).await.unwrap(), Unlinked::Gone);
        assert_eq!(remove_blob(&db, &repo("1/a"), &digest).await.unwrap(), Unlinked::Unknown);
        assert_eq!(blob_size(&db, &repo("1/a"), &digest).await.unwrap(), None);
        assert_eq!(blob_size(&db, &repo("1/b"), &digest).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn only_repositories_with_a_manifest_are_listed() {
        let (_dir, db) = opened().await;
        add_blob(&db, &repo("1/blobs-only"), &Digest::of(b"x"), 1, 0, 0).await.unwrap();
        for name in ["1/b", "1/a", "10/a", "2/a", "2/b"] {
            let mut tx = db.write().await.unwrap();
            let id = ensure(&mut tx, &repo(name), 0).await.unwrap();
            sqlx::query("INSERT INTO manifests (repository_id, digest, media_type, bytes, created_at) VALUES ($1, 'd', 't', x'', 0)")
                .bind(id)
                .execute(&mut *tx)
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
        let second = repo("2/b");
        let among = Among { organizations: vec![OrganizationId(1), OrganizationId(10)], repositories: vec![&second] };
        assert_eq!(catalog(&db, &among, None, 100).await.unwrap(), ["1/a", "1/b", "10/a", "2/b"]);
        assert_eq!(catalog(&db, &among, Some("1/a"), 2).await.unwrap(), ["1/b", "10/a"]);
        assert!(catalog(&db, &Among::default(), None, 100).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn adding_the_same_blob_twice_is_one() {
        let (_dir, db) = opened().await;
        for _ in 0..2 {
            add_blob(&db, &repo("1/a"), &Digest::of(b"x"), 1, 0, 0).await.unwrap();
        }
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM repository_blobs").fetch_one(db.read()).await.unwrap();
        assert_eq!(count, 1);
    }

    #[tokio::test]
    async fn a_repository_is_public_only_when_it_was_made_so() {
        let (_dir, db) = opened().await;
        let before = db.rights_version();
        for name in ["1/b", "1/a", "2/a"] {
            add_blob(&db, &repo(name), &Digest::of(b"x"), 1, 5, 0).await.unwrap();
        }
        let set = async |name: &str, public| {
            let mut change = db.change_rights().await.unwrap();
            let known = set_public(&mut change, &repo(name), public).await.unwrap();
            change.commit().await.unwrap();
            known
        };
        assert!(!set("1/nowhere", true).await);
        assert!(set("1/a", true).await);
        assert!(is_public(&db, &repo("1/a")).await.unwrap() && !is_public(&db, &repo("2/a")).await.unwrap());
        assert!(!is_public(&db, &repo("1/nowhere")).await.unwrap());
        let listed = list(&db, OrganizationId(1), 0, 10).await.unwrap();
        assert_eq!(listed.iter().map(|one| (one.name.as_str(), one.public)).collect::<Vec<_>>(), [("1/a", true), ("1/b", false)]);
        assert_eq!(list(&db, OrganizationId(1), 1, 1).await.unwrap()[0].name, "1/b");
        assert!(set("1/a", false).await);
        assert!(!is_public(&db, &repo("1/a")).await.unwrap());
        assert_eq!(db.rights_version(), before + 3);
    }

    #[tokio::test]
    async fn an_unknown_repository_has_no_tags_list() {
        let (_dir, db) = opened().await;
        assert_eq!(tags(&db, &repo("1/a"), None, 10).await.unwrap(), None);
        add_blob(&db, &repo("1/a"), &Digest::of(b"x"), 1, 0, 0).await.unwrap();
        assert_eq!(tags(&db, &repo("1/a"), None, 10).await.unwrap(), Some(vec![]));
        assert_eq!(delete_tag(&db, &repo("1/a"), &"v1".parse().unwrap()).await.unwrap(), Removal::Unknown);
        assert_eq!(tag(&db, &repo("1/a"), &"v1".parse().unwrap()).await.unwrap(), None);
    }
}
