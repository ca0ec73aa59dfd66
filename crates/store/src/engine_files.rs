//! Files an engine is certified with besides the samples of its category.

use model::id::EngineId;
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::Error;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An input, in place of ours.
    Sample,
    /// What the result for the first sample should be.
    Truth,
}

impl Kind {
    /// The word in the table and in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Truth => "truth",
        }
    }
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct EngineFile {
    /// Its name.
    pub name: String,
    /// Its MIME type.
    pub mime_type: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Where it was fetched from; `None` if somebody gave it.
    pub url: Option<String>,
    /// E-mail of the account that gave it.
    pub changed_by: String,
    /// Epoch milliseconds.
    pub changed_at: i64,
}

/// Gives an engine a file, in place of the one it has.
///
/// # Errors
/// [`Error::Database`].
pub async fn put(tx: &mut Transaction<'_, Sqlite>, engine: EngineId, kind: Kind, file: &EngineFile) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO engine_files (engine_id, kind, name, mime_type, bytes, changed_by, changed_at, url) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (engine_id, kind) DO UPDATE SET name = excluded.name, mime_type = excluded.mime_type, bytes = excluded.bytes, \
         changed_by = excluded.changed_by, changed_at = excluded.changed_at, url = excluded.url",
    )
    .bind(engine.to_string())
    .bind(kind.as_str())
    .bind(&file.name)
    .bind(&file.mime_type)
    .bind(&file.bytes)
    .bind(&file.changed_by)
    .bind(file.changed_at)
    .bind(&file.url)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes a file away; says whether there was one.
///
/// # Errors
/// [`Error::Database`].
pub async fn remove(tx: &mut Transaction<'_, Sqlite>, engine: EngineId, kind: Kind) -> Result<bool, Error> {
    let query = sqlx::query("DELETE FROM engine_files WHERE engine_id = $1 AND kind = $2");
    Ok(query.bind(engine.to_string()).bind(kind.as_str()).execute(&mut **tx).await?.rows_affected() > 0)
}

/// The file of an engine.
///
/// # Errors
/// [`Error::Database`].
pub async fn get(db: &SqlitePool, engine: EngineId, kind: Kind) -> Result<Option<EngineFile>, Error> {
    let query =
        sqlx::query_as("SELECT name, mime_type, bytes, url, changed_by, changed_at FROM engine_files WHERE engine_id = $1 AND kind = $2");
    Ok(query.bind(engine.to_string()).bind(kind.as_str()).fetch_optional(db).await?)
}
