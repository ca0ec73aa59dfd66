//! Registered engines.

use std::collections::HashMap;

use model::{
    capability::Capability,
    engine::{DeploymentModel, EngineState},
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

/// One engine, read inside a writing transaction.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn lock(tx: &mut Transaction<'_, Sqlite>, id: EngineId) -> Result<Option<Engine>, Error> {
    let row: Option<EngineRow> =
        sqlx::query_as("SELECT * FROM engines WHERE id = $1").bind(id.to_string()).fetch_optional(&mut **tx).await?;
    row.map(TryInto::try_into).transpose()
}

/// Writes what its owners may edit of an engine.
///
/// # Errors
/// [`Error::Database`].
pub async fn update(tx: &mut Transaction<'_, Sqlite>, engine: &Engine) -> Result<(), Error> {
    sqlx::query(
        "UPDATE engines SET name = $2, description = $3, category = $4, deployment_model = $5, extra = $6, modified_at = $7 WHERE id = $1",
    )
    .bind(engine.id.to_string())
    .bind(&engine.name)
    .bind(&engine.description)
    .bind(engine.category.as_str())
    .bind(engine.deployment_model.as_str())
    .bind(engine.extra.to_string())
    .bind(engine.modified_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Switches an engine on or off, deletes it or takes it back, if nobody did so first; true when this call did.
///
/// # Errors
/// [`Error::Database`].
pub async fn set_flags(tx: &mut Transaction<'_, Sqlite>, from: &Engine, to: &Engine) -> Result<bool, Error> {
    let update =
        sqlx::query("UPDATE engines SET disabled = $4, deleted = $5, modified_at = $6 WHERE id = $1 AND disabled = $2 AND deleted = $3");
    let update = update.bind(from.id.to_string()).bind(from.disabled).bind(from.deleted);
    let done = update.bind(to.disabled).bind(to.deleted).bind(to.modified_at).execute(&mut **tx).await?;
    Ok(done.rows_affected() == 1)
}

/// The name of an engine, read inside a writing transaction.
///
/// # Errors
/// [`Error::Database`]; an engine that is not there is one.
pub async fn name(tx: &mut Transaction<'_, Sqlite>, id: EngineId) -> Result<String, Error> {
    Ok(sqlx::query_scalar("SELECT name FROM engines WHERE id = $1").bind(id.to_string()).fetch_one(&mut **tx).await?)
}

/// The names of some engines.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn names(db: &SqlitePool, ids: &[EngineId]) -> Result<HashMap<EngineId, String>, Error> {
    let ids = serde_json::to_string(ids).unwrap_or_else(|_| "[]".into());
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT id, name FROM engines WHERE id IN (SELECT value FROM json_each($1))").bind(ids).fetch_all(db).await?;
    rows.into_iter().map(|(id, name)| Ok((id.parse().map_err(|_| Error::row("engines", "engine id", &id))?, name))).collect()
}

/// Some engines, each once, in no order.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn by_ids(db: &SqlitePool, ids: &[EngineId]) -> Result<Vec<Engine>, Error> {
    let ids = serde_json::to_string(ids).unwrap_or_else(|_| "[]".into());
    let rows: Vec<EngineRow> =
        sqlx::query_as("SELECT * FROM engines WHERE id IN (SELECT value FROM json_each($1))").bind(ids).fetch_all(db).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// What [`list`] narrows to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of the name, in any letter case.
    pub name: Option<String>,
    /// One of these categories; all if empty.
    pub categories: Vec<Capability>,
    /// One of these ids; all if empty.
    pub ids: Vec<EngineId>,
    /// One of these states; all but deleted ones if empty.
    pub states: Vec<EngineState>,
    /// What it may reach.
    pub deployment_model: Option<DeploymentModel>,
    /// Members of `extra` that must be equal to this.
    pub flags: Vec<(&'static str, bool)>,
    /// Lowest and highest price.
    pub price: (Option<i64>, Option<i64>),
}

/// In which order [`list`] answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Created,
    /// Newest first.
    #[default]
    CreatedDown,
    /// Longest unchanged first.
    Modified,
    /// Last changed first.
    ModifiedDown,
    /// By name.
    Name,
    /// By name, backwards.
    NameDown,
    /// By id.
    Id,
    /// By id, backwards.
    IdDown,
    /// The cheapest first; those without a price before them.
    Price,
    /// The dearest first; those without a price behind them.
    PriceDown,
}

/// Every condition and no order; `$10` and `$11` are limit and offset. The state is derived as [`EngineState::derive`] does.
macro_rules! list_by {
    ($order:literal) => {
        concat!(
            "SELECT * FROM engines e WHERE organization_id = $1 AND ($2 IS NULL OR instr(lower(name), $2) > 0) \
             AND ($3 = '[]' OR category IN (SELECT value FROM json_each($3))) AND ($4 = '[]' OR id IN (SELECT value FROM json_each($4))) \
             AND CASE WHEN $5 = '[]' THEN deleted = 0 ELSE CASE WHEN deleted THEN 'deleted' WHEN disabled THEN 'disabled' \
                 WHEN EXISTS (SELECT 1 FROM builds WHERE engine_id = e.id AND status = 'deployed') THEN 'active' \
                 WHEN EXISTS (SELECT 1 FROM builds WHERE engine_id = e.id AND status IN ('approved', 'deploying', 'deployFailed', 'paused')) THEN 'ready' \
                 ELSE 'pending' END IN (SELECT value FROM json_each($5)) END \
             AND ($6 IS NULL OR deployment_model = $6) \
             AND NOT EXISTS (SELECT 1 FROM json_each($7) f WHERE coalesce(json_extract(e.extra, '$.' || f.key), 0) <> f.value) \
             AND ($8 IS NULL OR json_extract(extra, '$.price') >= $8) AND ($9 IS NULL OR json_extract(extra, '$.price') <= $9) ORDER BY ",
            $order,
            " LIMIT $10 OFFSET $11"
        )
    };
}

impl Order {
    fn statement(self) -> &'static str {
        match self {
            Self::Created => list_by!("created_at, id"),
            Self::CreatedDown => list_by!("created_at DESC, id"),
            Self::Modified => list_by!("modified_at, id"),
            Self::ModifiedDown => list_by!("modified_at DESC, id"),
            Self::Name => list_by!("lower(name), id"),
            Self::NameDown => list_by!("lower(name) DESC, id"),
            Self::Id => list_by!("id"),
            Self::IdDown => list_by!("id DESC"),
            Self::Price => list_by!("json_extract(extra, '$.price'), id"),
            Self::PriceDown => list_by!("json_extract(extra, '$.price') DESC, id"),
        }
    }
}

/// Engines of one organization.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn list(
    db: &SqlitePool,
    organization: OrganizationId,
    filter: &Filter,
    order: Order,
    offset: i64,
    limit: i64,
) -> Result<Vec<Engine>, Error> {
    let flags: serde_json::Map<String, serde_json::Value> =
        filter.flags.iter().map(|(key, wanted)| ((*key).to_owned(), serde_json::Value::from(i64::from(*wanted)))).collect();
    let json = |values: Vec<String>| serde_json::to_string(&values).unwrap_or_else(|_| "[]".into());
    let rows: Vec<EngineRow> = sqlx::query_as(order.statement())
        .bind(organization.0)
        .bind(filter.name.as_ref().map(|name| name.to_lowercase()))
        .bind(json(filter.categories.iter().map(|category| category.as_str().to_owned()).collect()))
        .bind(json(filter.ids.iter().map(ToString::to_string).collect()))
        .bind(json(filter.states.iter().map(|state| state.as_str().to_owned()).collect()))
        .bind(filter.deployment_model.map(DeploymentModel::as_str))
        .bind(serde_json::Value::Object(flags).to_string())
        .bind(filter.price.0)
        .bind(filter.price.1)
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
