//! Files of recordings. Their content is kept in a place of its own, by digest, so that the collector of the registry has no part in it.

use model::{digest::Digest, id::OrganizationId};
use serde_json::Value;
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, SqliteConnection, SqlitePool, Transaction};

use crate::error::Error;

/// Where the content of an asset is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Here.
    Blob(Digest),
    /// Somewhere else; nobody here ever fetches it.
    Uri(String),
}

/// A file of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Asset {
    /// Id.
    pub id: String,
    /// Its recording.
    pub tdo: i64,
    /// Whose.
    pub organization: OrganizationId,
    /// Such as `media` or `vtn-standard`.
    pub asset_type: String,
    /// MIME type.
    pub content_type: String,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Anything.
    pub details: Option<Value>,
    /// What was said of where it comes from.
    pub source: Option<Value>,
    /// The task that made it.
    pub task: Option<String>,
    /// The engine that made it.
    pub engine: Option<String>,
    /// Where its content is.
    pub content: Content,
    /// Bytes; 0 when it is somewhere else.
    pub size: u64,
    /// A person changed it.
    pub user_edited: bool,
    /// The one of its type that counts.
    pub is_primary: bool,
    /// E-mail of an account, or the engine.
    pub created_by: String,
    /// Epoch milliseconds.
    pub created_at: i64,
}

#[derive(sqlx::FromRow)]
struct AssetRow {
    id: String,
    tdo_id: i64,
    organization_id: i64,
    asset_type: String,
    content_type: String,
    name: Option<String>,
    description: Option<String>,
    details: Option<String>,
    source: Option<String>,
    task_id: Option<String>,
    engine_id: Option<String>,
    digest: Option<String>,
    uri: Option<String>,
    size: i64,
    user_edited: bool,
    is_primary: bool,
    created_by: String,
    created_at: i64,
}

impl TryFrom<AssetRow> for Asset {
    type Error = Error;

    fn try_from(row: AssetRow) -> Result<Self, Error> {
        let json = |text: Option<String>| {
            text.map(|text| serde_json::from_str(&text).map_err(|_| Error::row("assets", "JSON document", &text))).transpose()
        };
        let content = match (row.digest, row.uri) {
            (Some(digest), _) => Content::Blob(digest.parse().map_err(|_| Error::row("assets", "digest", &digest))?),
            (None, uri) => Content::Uri(uri.unwrap_or_default()),
        };
        Ok(Self {
            id: row.id,
            tdo: row.tdo_id,
            organization: OrganizationId(row.organization_id),
            asset_type: row.asset_type,
            content_type: row.content_type,
            name: row.name,
            description: row.description,
            details: json(row.details)?,
            source: json(row.source)?,
            task: row.task_id,
            engine: row.engine_id,
            content,
            size: u64::try_from(row.size).unwrap_or(0),
            user_edited: row.user_edited,
            is_primary: row.is_primary,
            created_by: row.created_by,
            created_at: row.created_at,
        })
    }
}

/// Adds one; a primary one takes the place of the former of its type.
///
/// # Errors
/// [`Error::Database`].
pub async fn insert(tx: &mut Transaction<'_, Sqlite>, asset: &Asset) -> Result<(), Error> {
    if asset.is_primary {
        let former = sqlx::query("UPDATE assets SET is_primary = 0 WHERE tdo_id = $1 AND asset_type = $2 AND is_primary = 1");
        former.bind(asset.tdo).bind(&asset.asset_type).execute(&mut **tx).await?;
    }
    let (digest, uri) = match &asset.content {
        Content::Blob(digest) => (Some(digest.to_string()), None),
        Content::Uri(uri) => (None, Some(uri)),
    };
    sqlx::query(
        "INSERT INTO assets (id, tdo_id, organization_id, asset_type, content_type, name, description, details, source, task_id, engine_id, \
         digest, uri, size, user_edited, is_primary, created_by, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
    )
    .bind(&asset.id)
    .bind(asset.tdo)
    .bind(asset.organization.0)
    .bind(&asset.asset_type)
    .bind(&asset.content_type)
    .bind(&asset.name)
    .bind(&asset.description)
    .bind(asset.details.as_ref().map(Value::to_string))
    .bind(asset.source.as_ref().map(Value::to_string))
    .bind(&asset.task)
    .bind(&asset.engine)
    .bind(digest)
    .bind(uri)
    .bind(i64::try_from(asset.size).unwrap_or(i64::MAX))
    .bind(asset.user_edited)
    .bind(asset.is_primary)
    .bind(&asset.created_by)
    .bind(asset.created_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// One of an organization.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn by_id(db: &SqlitePool, organization: OrganizationId, id: &str) -> Result<Option<Asset>, Error> {
    let query = sqlx::query_as::<_, AssetRow>("SELECT * FROM assets WHERE id = $1 AND organization_id = $2");
    query.bind(id).bind(organization.0).fetch_optional(db).await?.map(TryInto::try_into).transpose()
}

/// One of any organization, for whoever has a signed address of it.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn signed(db: &SqlitePool, id: &str) -> Result<Option<Asset>, Error> {
    let query = sqlx::query_as::<_, AssetRow>("SELECT * FROM assets WHERE id = $1");
    query.bind(id).fetch_optional(db).await?.map(TryInto::try_into).transpose()
}

/// What a list is ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By age.
    #[default]
    Created,
    /// By type.
    Type,
    /// By name.
    Name,
    /// The primary ones before all others, each by age.
    Primary,
}

/// Which assets.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of these recordings; any if empty.
    pub tdos: Vec<i64>,
    /// Of these types; any if empty.
    pub types: Vec<String>,
    /// This one.
    pub id: Option<String>,
    /// Made by this task.
    pub task: Option<String>,
    /// Made by these engines; any if empty.
    pub engines: Vec<String>,
    /// Made by tasks of this job.
    pub job: Option<String>,
    /// How to order.
    pub order: Order,
    /// The greatest first.
    pub descending: bool,
}

/// Those of an organization that pass a filter.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn list(
    db: &mut SqliteConnection,
    organization: OrganizationId,
    filter: &Filter,
    offset: i64,
    limit: i64,
) -> Result<Vec<Asset>, Error> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT * FROM assets WHERE organization_id = ");
    query.push_bind(organization.0);
    if !filter.tdos.is_empty() {
        query.push(" AND tdo_id IN (");
        let mut list = query.separated(", ");
        filter.tdos.iter().for_each(|id| {
            list.push_bind(*id);
        });
        query.push(")");
    }
    for (column, values) in [("asset_type", &filter.types), ("engine_id", &filter.engines)] {
        if !values.is_empty() {
            query.push(format_args!(" AND {column} IN ("));
            let mut list = query.separated(", ");
            values.iter().for_each(|value| {
                list.push_bind(value.clone());
            });
            query.push(")");
        }
    }
    for (column, value) in [("id", &filter.id), ("task_id", &filter.task)] {
        if let Some(value) = value {
            query.push(format_args!(" AND {column} = ")).push_bind(value.clone());
        }
    }
    if let Some(job) = &filter.job {
        query.push(" AND task_id IN (SELECT id FROM engine_tasks WHERE job_id = ").push_bind(job.clone()).push(")");
    }
    let direction = if filter.descending { "DESC" } else { "ASC" };
    let column = match filter.order {
        Order::Created => "created_at",
        Order::Type => "asset_type",
        Order::Name => "name",
        Order::Primary => "NOT is_primary",
    };
    query.push(format_args!(" ORDER BY {column} {direction}, seq {direction} LIMIT ")).push_bind(limit).push(" OFFSET ").push_bind(offset);
    let rows: Vec<AssetRow> = query.build_query_as().fetch_all(db).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Bytes that an organization keeps in assets.
///
/// # Errors
/// [`Error::Database`].
pub async fn usage(db: &mut SqliteConnection, organization: OrganizationId) -> Result<u64, Error> {
    let query = sqlx::query_scalar("SELECT bytes FROM asset_usage WHERE organization_id = $1");
    let bytes: Option<i64> = query.bind(organization.0).fetch_optional(db).await?;
    Ok(u64::try_from(bytes.unwrap_or(0)).unwrap_or(0))
}

/// Whether an asset or the log of a task has this content.
///
/// # Errors
/// [`Error::Database`].
pub async fn is_needed(db: &SqlitePool, digest: &Digest) -> Result<bool, Error> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM assets WHERE digest = $1) OR EXISTS (SELECT 1 FROM engine_tasks WHERE log_digest = $1)";
    Ok(sqlx::query_scalar(AssertSqlSafe(SQL)).bind(digest.to_string()).fetch_one(db).await?)
}
