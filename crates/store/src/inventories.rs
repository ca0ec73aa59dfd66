//! Lists of packages of the images of builds, and what got worse since they were judged. What the documents say is for others to know; here
//! they are compressed bytes.

use model::id::BuildId;
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::Error;

/// What is kept of the image of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Whose.
    pub build: BuildId,
    /// When the image says it was made.
    pub image_created: Option<String>,
    /// Packages in it.
    pub packages: i64,
    /// The list.
    pub document: Vec<u8>,
    /// What was known when it was last matched.
    pub known: Option<Vec<u8>>,
    /// With which advisories.
    pub advisories: Option<String>,
    /// When, epoch milliseconds.
    pub matched_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct Row {
    build_id: String,
    image_created: Option<String>,
    packages: i64,
    document: Vec<u8>,
    known: Option<Vec<u8>>,
    advisories: Option<String>,
    matched_at: Option<i64>,
}

impl TryFrom<Row> for Inventory {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            build: row.build_id.parse().map_err(|_| Error::row("inventories", "build id", &row.build_id))?,
            image_created: row.image_created,
            packages: row.packages,
            document: unpacked(&row.document)?,
            known: row.known.as_deref().map(unpacked).transpose()?,
            advisories: row.advisories,
            matched_at: row.matched_at,
        })
    }
}

/// A document larger than this was not written by us, bytes.
const LARGEST: u64 = 1 << 30;

fn damaged(error: &dyn std::fmt::Display) -> Error {
    Error::row("inventories", "compressed document", &error.to_string())
}

fn packed(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    zstd::bulk::compress(bytes, 3).map_err(|error| damaged(&error))
}

fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    // Those of before were written as streams, whose length is not known.
    let length = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten().filter(|length| *length <= LARGEST);
    let plain = match length.and_then(|length| usize::try_from(length).ok()) {
        Some(length) => zstd::bulk::decompress(bytes, length),
        None => zstd::stream::decode_all(bytes),
    };
    plain.map_err(|error| damaged(&error))
}

/// A document as it is kept; opening it is work for another thread.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct Packed(Vec<u8>);

impl Packed {
    /// The document.
    ///
    /// # Errors
    /// [`Error::Row`].
    pub fn open(&self) -> Result<Vec<u8>, Error> {
        unpacked(&self.0)
    }
}

/// What is kept of a build that was not matched with the advisories of today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outdated {
    /// Whose.
    pub build: BuildId,
    /// The list.
    pub document: Packed,
    /// What was known when it was last matched.
    pub known: Option<Packed>,
    /// What that came to, if it was noted.
    pub print: Option<Vec<u8>>,
}

#[derive(sqlx::FromRow)]
struct OutdatedRow {
    build_id: String,
    document: Packed,
    known: Option<Packed>,
    known_print: Option<Vec<u8>>,
}

/// Keeps one, in place of a former one of the same build.
///
/// # Errors
/// [`Error::Database`].
pub async fn put(tx: &mut Transaction<'_, Sqlite>, new: &Inventory, now: i64) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO inventories (build_id, image_created, packages, document, created_at, advisories, known, matched_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (build_id) DO UPDATE SET image_created = excluded.image_created, \
         packages = excluded.packages, document = excluded.document, created_at = excluded.created_at, advisories = excluded.advisories, \
         known = excluded.known, known_print = NULL, matched_at = excluded.matched_at",
    )
    .bind(new.build.to_string())
    .bind(&new.image_created)
    .bind(new.packages)
    .bind(packed(&new.document)?)
    .bind(now)
    .bind(&new.advisories)
    .bind(new.known.as_deref().map(packed).transpose()?)
    .bind(new.matched_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// That of a build.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn of_build(db: &SqlitePool, build: BuildId) -> Result<Option<Inventory>, Error> {
    let row: Option<Row> =
        sqlx::query_as("SELECT * FROM inventories WHERE build_id = $1").bind(build.to_string()).fetch_optional(db).await?;
    row.map(TryInto::try_into).transpose()
}

/// Whether there is one of a build.
///
/// # Errors
/// [`Error::Database`].
pub async fn is_kept(db: &SqlitePool, build: BuildId) -> Result<bool, Error> {
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM inventories WHERE build_id = $1)");
    Ok(found.bind(build.to_string()).fetch_one(db).await?)
}

/// How often a build got worse.
///
/// # Errors
/// [`Error::Database`].
pub async fn worsening_count(db: &SqlitePool, build: BuildId) -> Result<i64, Error> {
    let found = sqlx::query_scalar("SELECT count(*) FROM worsenings WHERE build_id = $1");
    Ok(found.bind(build.to_string()).fetch_one(db).await?)
}

/// Those of undeleted builds behind `after`, by build, that were not matched with these advisories.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn outdated(db: &SqlitePool, advisories: &str, after: Option<BuildId>, limit: i64) -> Result<Vec<Outdated>, Error> {
    let rows: Vec<OutdatedRow> = sqlx::query_as(
        "SELECT i.build_id, i.document, i.known, i.known_print FROM inventories i JOIN builds b ON b.id = i.build_id WHERE i.advisories IS NOT $1 AND i.build_id > $2 \
         AND b.status <> 'deleted' ORDER BY i.build_id LIMIT $3",
    )
    .bind(advisories)
    .bind(after.map(|build| build.to_string()).unwrap_or_default())
    .bind(limit)
    .fetch_all(db)
    .await?;
    let outdated = |row: OutdatedRow| {
        let build = row.build_id.parse().map_err(|_| Error::row("inventories", "build id", &row.build_id))?;
        Ok(Outdated { build, document: row.document, known: row.known, print: row.known_print })
    };
    rows.into_iter().map(outdated).collect()
}

/// Whether [`outdated`] would find any.
///
/// # Errors
/// [`Error::Database`].
pub async fn is_any_outdated(db: &SqlitePool, advisories: &str) -> Result<bool, Error> {
    let found = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM inventories i JOIN builds b ON b.id = i.build_id WHERE i.advisories IS NOT $1 AND b.status <> 'deleted')",
    );
    Ok(found.bind(advisories).fetch_one(db).await?)
}

/// Notes that a build was matched: what is known now and what it comes to, or `None` when that is the same as before.
///
/// # Errors
/// [`Error::Database`].
pub async fn matched(
    tx: &mut Transaction<'_, Sqlite>,
    build: BuildId,
    advisories: &str,
    now_known: Option<(&[u8], &[u8])>,
    now: i64,
) -> Result<(), Error> {
    let update = match now_known {
        None => sqlx::query("UPDATE inventories SET advisories = $2, matched_at = $3 WHERE build_id = $1"),
        Some(_) => sqlx::query("UPDATE inventories SET advisories = $2, matched_at = $3, known = $4, known_print = $5 WHERE build_id = $1"),
    };
    let mut update = update.bind(build.to_string()).bind(advisories).bind(now);
    if let Some((known, print)) = now_known {
        update = update.bind(packed(known)?).bind(print);
    }
    update.execute(&mut **tx).await?;
    Ok(())
}

/// What got worse at one time.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Worsening {
    /// Epoch milliseconds.
    pub at: i64,
    /// Identity of the advisories that told.
    pub advisories: String,
    /// JSON.
    pub document: String,
}

/// Adds one.
///
/// # Errors
/// [`Error::Database`].
pub async fn add_worsening(tx: &mut Transaction<'_, Sqlite>, build: BuildId, worsening: &Worsening) -> Result<(), Error> {
    sqlx::query("INSERT INTO worsenings (build_id, at, advisories, document) VALUES ($1, $2, $3, $4)")
        .bind(build.to_string())
        .bind(worsening.at)
        .bind(&worsening.advisories)
        .bind(&worsening.document)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// All of a build, newest first, at most a hundred.
///
/// # Errors
/// [`Error::Database`].
pub async fn worsenings(db: &SqlitePool, build: BuildId) -> Result<Vec<Worsening>, Error> {
    let found = sqlx::query_as("SELECT at, advisories, document FROM worsenings WHERE build_id = $1 ORDER BY id DESC LIMIT 100");
    Ok(found.bind(build.to_string()).fetch_all(db).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builds::tests::with_builds;

    #[tokio::test]
    async fn what_is_not_matched_yet_is_found_until_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (db, builds) = with_builds(dir.path(), 3).await;
        let mut tx = db.write().await.unwrap();
        for (at, build) in builds.iter().enumerate() {
            let advisories = (at == 0).then(|| "new".to_owned());
            let known = Some(b"known".to_vec());
            let (build, document) = (*build, b"document ".repeat(100));
            put(&mut tx, &Inventory { build, image_created: None, packages: 2, document, known, advisories, matched_at: None }, 1)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
        let left = async |after| {
            let found = outdated(db.read(), "new", after, 10).await.unwrap();
            found.into_iter().map(|one| one.build).collect::<Vec<_>>()
        };
        assert_eq!(left(None).await, builds[1..]);
        assert_eq!(left(Some(builds[1])).await, builds[2..]);
        let mut tx = db.write().await.unwrap();
        matched(&mut tx, builds[1], "new", None, 5).await.unwrap();
        matched(&mut tx, builds[2], "new", Some((b"more", b"print")), 5).await.unwrap();
        let worsening = Worsening { at: 5, advisories: "new".into(), document: "[]".into() };
        add_worsening(&mut tx, builds[2], &worsening).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!is_any_outdated(db.read(), "new").await.unwrap() && is_any_outdated(db.read(), "newer").await.unwrap());
        let again = outdated(db.read(), "newer", Some(builds[1]), 10).await.unwrap();
        assert_eq!((again[0].print.as_deref(), again[0].document.open().unwrap()), (Some(&b"print"[..]), b"document ".repeat(100)));
        assert_eq!(again[0].known.as_ref().unwrap().open().unwrap(), b"more");
        let kept = async |at: usize| of_build(db.read(), builds[at]).await.unwrap().unwrap();
        assert_eq!((kept(1).await.known, kept(1).await.document), (Some(b"known".to_vec()), b"document ".repeat(100)));
        assert_eq!((kept(2).await.known, kept(2).await.matched_at), (Some(b"more".to_vec()), Some(5)));
        assert_eq!(worsenings(db.read(), builds[2]).await.unwrap(), [worsening]);
    }
    #[test]
    fn documents_of_before_are_read_as_well() {
        let text = b"document ".repeat(1000);
        let streamed = zstd::stream::encode_all(&text[..], 3).unwrap();
        assert_eq!((unpacked(&streamed).unwrap(), unpacked(&packed(&text).unwrap()).unwrap()), (text.clone(), text));
        assert!(unpacked(b"no document").is_err());
    }
}
