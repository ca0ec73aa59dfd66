//! Recordings (temporal data objects), and documents under the id of somebody's schema.

use model::id::OrganizationId;
use serde_json::Value;
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};

use crate::error::Error;

/// A recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Tdo {
    /// A decimal number.
    pub id: i64,
    /// Whose.
    pub organization: OrganizationId,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Such as `recorded`.
    pub status: String,
    /// Anything.
    pub details: Value,
    /// Epoch milliseconds.
    pub start_at: i64,
    /// Epoch milliseconds.
    pub stop_at: i64,
    /// The task whose engine made it.
    pub task: Option<String>,
    /// E-mail of an account, or the engine.
    pub created_by: String,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Epoch milliseconds.
    pub modified_at: i64,
}

#[derive(sqlx::FromRow)]
struct TdoRow {
    id: i64,
    organization_id: i64,
    name: String,
    description: Option<String>,
    status: String,
    details: String,
    start_at: i64,
    stop_at: i64,
    task_id: Option<String>,
    created_by: String,
    created_at: i64,
    modified_at: i64,
}

impl TryFrom<TdoRow> for Tdo {
    type Error = Error;

    fn try_from(row: TdoRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            organization: OrganizationId(row.organization_id),
            name: row.name,
            description: row.description,
            status: row.status,
            details: serde_json::from_str(&row.details).map_err(|_| Error::row("tdos", "JSON document", &row.details))?,
            start_at: row.start_at,
            stop_at: row.stop_at,
            task: row.task_id,
            created_by: row.created_by,
            created_at: row.created_at,
            modified_at: row.modified_at,
        })
    }
}

/// Adds one.
///
/// # Errors
/// [`Error::Database`]; an id that is taken is one.
pub async fn insert(tx: &mut Transaction<'_, Sqlite>, tdo: &Tdo) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO tdos (id, organization_id, name, description, status, details, start_at, stop_at, task_id, created_by, created_at, \
         modified_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(tdo.id)
    .bind(tdo.organization.0)
    .bind(&tdo.name)
    .bind(&tdo.description)
    .bind(&tdo.status)
    .bind(tdo.details.to_string())
    .bind(tdo.start_at)
    .bind(tdo.stop_at)
    .bind(&tdo.task)
    .bind(&tdo.created_by)
    .bind(tdo.created_at)
    .bind(tdo.modified_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes what may change of one.
///
/// # Errors
/// [`Error::Database`].
pub async fn update(tx: &mut Transaction<'_, Sqlite>, tdo: &Tdo) -> Result<(), Error> {
    sqlx::query(
        "UPDATE tdos SET name = $2, description = $3, status = $4, details = $5, start_at = $6, stop_at = $7, modified_at = $8 WHERE id = $1",
    )
    .bind(tdo.id)
    .bind(&tdo.name)
    .bind(&tdo.description)
    .bind(&tdo.status)
    .bind(tdo.details.to_string())
    .bind(tdo.start_at)
    .bind(tdo.stop_at)
    .bind(tdo.modified_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// One of an organization.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn by_id(db: &mut SqliteConnection, organization: OrganizationId, id: i64) -> Result<Option<Tdo>, Error> {
    let query = sqlx::query_as::<_, TdoRow>("SELECT * FROM tdos WHERE id = $1 AND organization_id = $2");
    query.bind(id).bind(organization.0).fetch_optional(db).await?.map(TryInto::try_into).transpose()
}

/// Those of an organization, newest first.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn list(db: &SqlitePool, organization: OrganizationId, offset: i64, limit: i64) -> Result<Vec<Tdo>, Error> {
    let query =
        sqlx::query_as::<_, TdoRow>("SELECT * FROM tdos WHERE organization_id = $1 ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $2");
    let rows = query.bind(organization.0).bind(offset).bind(limit).fetch_all(db).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// A document under the id of a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Whose.
    pub organization: OrganizationId,
    /// The schema's.
    pub schema: String,
    /// Its own; the same once more replaces it.
    pub id: String,
    /// The document.
    pub data: Value,
    /// The task whose engine made it.
    pub task: Option<String>,
    /// E-mail of an account, or the engine.
    pub created_by: String,
    /// Epoch milliseconds.
    pub at: i64,
}

/// Adds a document, or replaces it.
///
/// # Errors
/// [`Error::Database`].
pub async fn put_document(tx: &mut Transaction<'_, Sqlite>, document: &Document) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO structured_data (organization_id, schema_id, id, data, task_id, created_by, created_at, modified_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (organization_id, schema_id, id) DO UPDATE SET data = excluded.data, \
         task_id = excluded.task_id, modified_at = excluded.modified_at",
    )
    .bind(document.organization.0)
    .bind(&document.schema)
    .bind(&document.id)
    .bind(document.data.to_string())
    .bind(&document.task)
    .bind(&document.created_by)
    .bind(document.at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A document of an organization.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn document(db: &SqlitePool, organization: OrganizationId, schema: &str, id: &str) -> Result<Option<Value>, Error> {
    let query = sqlx::query_scalar("SELECT data FROM structured_data WHERE organization_id = $1 AND schema_id = $2 AND id = $3");
    let text: Option<String> = query.bind(organization.0).bind(schema).bind(id).fetch_optional(db).await?;
    text.map(|text| serde_json::from_str(&text).map_err(|_| Error::row("structured_data", "JSON document", &text))).transpose()
}
