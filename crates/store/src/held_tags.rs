//! Tags that may not be moved or removed, and content that may not go. Somebody else knows why; here it is a row with a sentence, looked at
//! in the very transaction that would change the tag.

use model::{
    digest::Digest,
    name::{RepoName, Tag},
};
use sqlx::{FromRow, SqliteConnection};

use crate::error::Error;

/// Why something stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The tag.
    pub tag: String,
    /// What it must go on naming.
    pub digest: Digest,
    /// Sentences for who tries to change it: why, and what to do.
    pub reason: String,
    /// Path of a page about it.
    pub page: String,
}

#[derive(FromRow)]
struct Row {
    tag: String,
    digest: String,
    reason: String,
    page: String,
}

impl TryFrom<Row> for Hold {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let digest = row.digest.parse().map_err(|_| Error::row("held_tags", "digest", &row.digest))?;
        Ok(Self { tag: row.tag, digest, reason: row.reason, page: row.page })
    }
}

/// Holds a tag in the name of `holder`, who has one hold at most: a second one replaces it.
///
/// # Errors
/// [`Error::Database`].
pub async fn hold(tx: &mut SqliteConnection, holder: &str, repository: &RepoName, hold: &Hold) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO held_tags (holder, repository, tag, digest, reason, page) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (holder) DO UPDATE SET repository = excluded.repository, tag = excluded.tag, digest = excluded.digest,
             reason = excluded.reason, page = excluded.page",
    )
    .bind(holder)
    .bind(repository.as_str())
    .bind(&hold.tag)
    .bind(hold.digest.to_string())
    .bind(&hold.reason)
    .bind(&hold.page)
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends the hold of `holder`, if there is one.
///
/// # Errors
/// [`Error::Database`].
pub async fn release(tx: &mut SqliteConnection, holder: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM held_tags WHERE holder = $1").bind(holder).execute(tx).await?;
    Ok(())
}

/// Who holds a tag that names what is held; with `to`, only against being moved to something else.
pub(crate) async fn on_tag(
    tx: &mut SqliteConnection,
    repository: &RepoName,
    tag: &Tag,
    to: Option<&Digest>,
) -> Result<Option<Hold>, Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT h.tag, h.digest, h.reason, h.page FROM held_tags h JOIN repositories r ON r.name = h.repository
         JOIN tags t ON t.repository_id = r.id AND t.name = h.tag AND t.digest = h.digest
         WHERE h.repository = $1 AND h.tag = $2 AND ($3 IS NULL OR h.digest <> $3) LIMIT 1",
    )
    .bind(repository.as_str())
    .bind(tag.as_str())
    .bind(to.map(Digest::to_string))
    .fetch_optional(tx)
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// Who needs a manifest or blob of a repository: because it is what is held, or because that names it, through indexes too.
///
/// # Errors
/// [`Error::Database`], and [`Error::Row`] for a row that breaks its types.
pub async fn on_content(tx: &mut SqliteConnection, repository: &RepoName, digest: &Digest) -> Result<Option<Hold>, Error> {
    // From the content upwards: what names it, what names that, until something held is met.
    let row: Option<Row> = sqlx::query_as(
        "WITH RECURSIVE above (digest) AS (
             SELECT $2
             UNION
             SELECT m.digest FROM above a JOIN manifest_references f ON f.digest = a.digest
             JOIN manifests m ON m.id = f.manifest_id JOIN repositories r ON r.id = m.repository_id AND r.name = $1
         )
         SELECT h.tag, h.digest, h.reason, h.page FROM held_tags h JOIN above a ON a.digest = h.digest WHERE h.repository = $1 LIMIT 1",
    )
    .bind(repository.as_str())
    .bind(digest.to_string())
    .fetch_optional(tx)
    .await?;
    row.map(TryInto::try_into).transpose()
}
