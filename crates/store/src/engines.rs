//! Registered engines.

use model::{
    capability::Capability,
    engine::DeploymentModel,
    id::{EngineId, OrganizationId},
};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::Error;

/// A registered engine, as stored. Its state is not: see [`model::engine::EngineState::derive`].
#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    /// Id.
    pub id: EngineId,
    /// Owner.
    pub organization: OrganizationId,
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it does.
    pub category: Capability,
    /// What it may reach.
    pub deployment_model: DeploymentModel,
    /// What registration carries and no rule reads.
    pub extra: serde_json::Value,
    /// Switched off.
    pub disabled: bool,
    /// Soft-deleted.
    pub deleted: bool,
    /// Highest build number given.
    pub last_version: i64,
    /// E-mail of the account that registered it.
    pub created_by: String,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Epoch milliseconds.
    pub modified_at: i64,
}

#[derive(sqlx::FromRow)]
struct EngineRow {
    id: String,
    organization_id: i64,
    name: String,
    description: String,
    category: String,
    deployment_model: String,
    extra: String,
    disabled: bool,
    deleted: bool,
    last_version: i64,
    created_by: String,
    created_at: i64,
    modified_at: i64,
}

impl TryFrom<EngineRow> for Engine {
    type Error = Error;

    fn try_from(row: EngineRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.id.parse().map_err(|_| Error::row("engines", "engine id", &row.id))?,
            organization: OrganizationId(row.organization_id),
            name: row.name,
            description: row.description,
            category: Capability::from_word(&row.category).ok_or_else(|| Error::row("engines", "category", &row.category))?,
            deployment_model: row.deployment_model.parse().map_err(|_| Error::row("engines", "deployment model", &row.deployment_model))?,
            extra: serde_json::from_str(&row.extra).map_err(|_| Error::row("engines", "JSON document", &row.extra))?,
            disabled: row.disabled,
            deleted: row.deleted,
            last_version: row.last_version,
            created_by: row.created_by,
            created_at: row.created_at,
            modified_at: row.modified_at,
        })
    }
}

/// Adds an engine.
///
/// # Errors
/// [`Error::Database`]; an id that exists is one.
pub async fn insert(tx: &mut Transaction<'_, Sqlite>, engine: &Engine) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO engines (id, organization_id, name, description, category, deployment_model, extra, disabled, deleted, \
         last_version, created_by, created_at, modified_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(engine.id.to_string())
    .bind(engine.organization.0)
    .bind(&engine.name)
    .bind(&engine.description)
    .bind(engine.category.as_str())
    .bind(engine.deployment_model.as_str())
    .bind(engine.extra.to_string())
    .bind(engine.disabled)
    .bind(engine.deleted)
    .bind(engine.last_version)
    .bind(&engine.created_by)
    .bind(engine.created_at)
    .bind(engine.modified_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// One engine, deleted ones included.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn by_id(db: &SqlitePool, id: EngineId) -> Result<Option<Engine>, Error> {
    let row: Option<EngineRow> = sqlx::query_as("SELECT * FROM engines WHERE id = $1").bind(id.to_string()).fetch_optional(db).await?;
    row.map(TryInto::try_into).transpose()
}

/// The name of an engine, read inside a writing transaction.
///
/// # Errors
/// [`Error::Database`]; an engine that is not there is one.
pub async fn name(tx: &mut Transaction<'_, Sqlite>, id: EngineId) -> Result<String, Error> {
    Ok(sqlx::query_scalar("SELECT name FROM engines WHERE id = $1").bind(id.to_string()).fetch_one(&mut **tx).await?)
}

/// What [`list`] narrows to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of the name, in any letter case.
    pub name: Option<String>,
    /// One category.
    pub category: Option<Capability>,
    /// One id.
    pub id: Option<EngineId>,
}

/// Engines of one organization that are not deleted, newest first.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn list(db: &SqlitePool, organization: OrganizationId, filter: &Filter, offset: i64, limit: i64) -> Result<Vec<Engine>, Error> {
    let rows: Vec<EngineRow> = sqlx::query_as(
        "SELECT * FROM engines WHERE organization_id = $1 AND deleted = 0 \
         AND ($2 IS NULL OR instr(lower(name), $2) > 0) AND ($3 IS NULL OR category = $3) AND ($4 IS NULL OR id = $4) \
         ORDER BY created_at DESC, id LIMIT $5 OFFSET $6",
    )
    .bind(organization.0)
    .bind(filter.name.as_ref().map(|name| name.to_lowercase()))
    .bind(filter.category.map(Capability::as_str))
    .bind(filter.id.map(|id| id.to_string()))
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Takes the next build number.
///
/// # Errors
/// [`Error::Database`].
pub async fn next_version(tx: &mut Transaction<'_, Sqlite>, id: EngineId) -> Result<i64, Error> {
    let version = sqlx::query_scalar("UPDATE engines SET last_version = last_version + 1 WHERE id = $1 RETURNING last_version");
    Ok(version.bind(id.to_string()).fetch_one(&mut **tx).await?)
}
