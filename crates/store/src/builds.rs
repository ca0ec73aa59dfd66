//! Builds, their history and their reports.

use std::collections::HashMap;

use model::{
    build::BuildStatus,
    digest::Digest,
    finding::Severity,
    id::{BuildId, EngineId, OrganizationId},
    report::Report,
};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::{
    build_life::{Life, LifeRow},
    error::Error,
};

/// One build, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Build {
    /// Id.
    pub id: BuildId,
    /// Its engine.
    pub engine: EngineId,
    /// Number within the engine, from 1.
    pub version: i64,
    /// Where it stands.
    pub status: BuildStatus,
    /// Repository it was pushed to.
    pub repository: String,
    /// First tag that named it.
    pub tag: String,
    /// Digest of the manifest or index that was pushed.
    pub digest: Digest,
    /// The engine manifest found in the image.
    pub manifest: serde_json::Value,
    /// E-mail of the account.
    pub pushed_by: String,
    /// Epoch milliseconds.
    pub pushed_at: i64,
    /// Epoch milliseconds.
    pub created_at: i64,
    /// Epoch milliseconds.
    pub modified_at: i64,
    /// What else is known of its life.
    pub life: Life,
}

#[derive(sqlx::FromRow)]
struct BuildRow {
    id: String,
    engine_id: String,
    version: i64,
    status: String,
    repository: String,
    tag: String,
    digest: String,
    manifest: String,
    pushed_by: String,
    pushed_at: i64,
    created_at: i64,
    modified_at: i64,
    #[sqlx(flatten)]
    life: LifeRow,
}

impl TryFrom<BuildRow> for Build {
    type Error = Error;

    fn try_from(row: BuildRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.id.parse().map_err(|_| Error::row("builds", "build id", &row.id))?,
            engine: row.engine_id.parse().map_err(|_| Error::row("builds", "engine id", &row.engine_id))?,
            version: row.version,
            status: row.status.parse().map_err(|_| Error::row("builds", "build status", &row.status))?,
            repository: row.repository,
            tag: row.tag,
            digest: row.digest.parse().map_err(|_| Error::row("builds", "digest", &row.digest))?,
            manifest: serde_json::from_str(&row.manifest).map_err(|_| Error::row("builds", "JSON document", &row.manifest))?,
            pushed_by: row.pushed_by,
            pushed_at: row.pushed_at,
            created_at: row.created_at,
            modified_at: row.modified_at,
            life: row.life.try_into()?,
        })
    }
}

/// Adds a build.
///
/// # Errors
/// [`Error::Database`]; a second undeleted build of the same digest is one.
pub async fn insert(tx: &mut Transaction<'_, Sqlite>, build: &Build) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO builds (id, engine_id, version, status, repository, tag, digest, manifest, pushed_by, pushed_at, created_at, \
         modified_at, organization_id) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, organization_id FROM engines WHERE id = $2",
    )
    .bind(build.id.to_string())
    .bind(build.engine.to_string())
    .bind(build.version)
    .bind(build.status.as_str())
    .bind(&build.repository)
    .bind(&build.tag)
    .bind(build.digest.to_string())
    .bind(build.manifest.to_string())
    .bind(&build.pushed_by)
    .bind(build.pushed_at)
    .bind(build.created_at)
    .bind(build.modified_at)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// One build, deleted ones included.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn by_id(db: &SqlitePool, id: BuildId) -> Result<Option<Build>, Error> {
    let row: Option<BuildRow> = sqlx::query_as("SELECT * FROM builds WHERE id = $1").bind(id.to_string()).fetch_optional(db).await?;
    row.map(TryInto::try_into).transpose()
}

/// One build, read inside a writing transaction.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn lock(tx: &mut Transaction<'_, Sqlite>, id: BuildId) -> Result<Option<Build>, Error> {
    let row: Option<BuildRow> = sqlx::query_as("SELECT * FROM builds WHERE id = $1").bind(id.to_string()).fetch_optional(&mut **tx).await?;
    row.map(TryInto::try_into).transpose()
}

/// Undeleted builds of an engine in these statuses, read inside a writing transaction; the one that came to its status first comes first.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn lock_all(tx: &mut Transaction<'_, Sqlite>, engine: EngineId, statuses: &[BuildStatus]) -> Result<Vec<Build>, Error> {
    let wanted = serde_json::to_string(statuses).unwrap_or_else(|_| "[]".into());
    let rows: Vec<BuildRow> = sqlx::query_as(
        "SELECT * FROM builds WHERE engine_id = $1 AND status IN (SELECT value FROM json_each($2)) ORDER BY modified_at, version",
    )
    .bind(engine.to_string())
    .bind(wanted)
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The live build of an engine.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn live(db: &SqlitePool, engine: EngineId) -> Result<Option<Build>, Error> {
    let row: Option<BuildRow> = sqlx::query_as("SELECT * FROM builds WHERE engine_id = $1 AND status = 'deployed'")
        .bind(engine.to_string())
        .fetch_optional(db)
        .await?;
    row.map(TryInto::try_into).transpose()
}

/// The paused build of an engine that was live last.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn last_good(db: &SqlitePool, engine: EngineId) -> Result<Option<Build>, Error> {
    let row: Option<BuildRow> = sqlx::query_as(
        "SELECT * FROM builds WHERE engine_id = $1 AND status = 'paused' AND deployed_at IS NOT NULL ORDER BY deployed_at DESC LIMIT 1",
    )
    .bind(engine.to_string())
    .fetch_optional(db)
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// The ids of all live builds of all organizations.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn all_live(db: &SqlitePool) -> Result<Vec<BuildId>, Error> {
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT id FROM builds INDEXED BY builds_live WHERE status = 'deployed'").fetch_all(db).await?;
    ids.iter().map(|id| id.parse().map_err(|_| Error::row("builds", "build id", id))).collect()
}

/// What waits for a decision in an organization, the longest waiting first: submitted builds, then refused ones with an open appeal.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn queue(db: &SqlitePool, organization: OrganizationId, offset: i64, limit: i64) -> Result<Vec<Build>, Error> {
    // Each half is cut by its own index before both are sorted together, so that a long queue costs no more than its first page.
    let rows: Vec<BuildRow> = sqlx::query_as(
        "SELECT * FROM (
             SELECT * FROM (SELECT *, submitted_at AS waits_since FROM builds WHERE organization_id = $1 AND status = 'pending'
                            ORDER BY submitted_at, id LIMIT $2 + $3)
             UNION ALL
             SELECT * FROM (SELECT *, appealed_at AS waits_since FROM builds WHERE organization_id = $1 AND appealed_at IS NOT NULL
                            AND status <> 'pending' ORDER BY appealed_at LIMIT $2 + $3)
         ) ORDER BY waits_since, id LIMIT $3 OFFSET $2",
    )
    .bind(organization.0)
    .bind(offset)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The undeleted build of this digest, read inside a writing transaction.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn by_digest(tx: &mut Transaction<'_, Sqlite>, engine: EngineId, digest: &Digest) -> Result<Option<Build>, Error> {
    let row: Option<BuildRow> = sqlx::query_as("SELECT * FROM builds WHERE engine_id = $1 AND digest = $2 AND status <> 'deleted'")
        .bind(engine.to_string())
        .bind(digest.to_string())
        .fetch_optional(&mut **tx)
        .await?;
    row.map(TryInto::try_into).transpose()
}

/// Builds of one engine, newest first. Without `statuses` all but the deleted ones.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn list(db: &SqlitePool, engine: EngineId, statuses: &[BuildStatus], offset: i64, limit: i64) -> Result<Vec<Build>, Error> {
    // A JSON array keeps this one fixed statement whatever the number of statuses.
    let wanted = serde_json::to_string(statuses).unwrap_or_else(|_| "[]".into());
    let rows: Vec<BuildRow> = sqlx::query_as(
        "SELECT * FROM builds WHERE engine_id = $1 AND CASE WHEN $2 = '[]' THEN status <> 'deleted' \
         ELSE status IN (SELECT value FROM json_each($2)) END ORDER BY version DESC LIMIT $3 OFFSET $4",
    )
    .bind(engine.to_string())
    .bind(wanted)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The newest undeleted build of each of these engines, and the statuses that occur among its builds.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn overview(db: &SqlitePool, engines: &[EngineId]) -> Result<HashMap<EngineId, (Option<Build>, Vec<BuildStatus>)>, Error> {
    let ids = serde_json::to_string(engines).unwrap_or_else(|_| "[]".into());
    let mut all: HashMap<EngineId, (Option<Build>, Vec<BuildStatus>)> = HashMap::new();
    let rows: Vec<BuildRow> = sqlx::query_as(
        "SELECT * FROM builds WHERE id IN (SELECT (SELECT id FROM builds WHERE engine_id = e.value AND status <> 'deleted' \
         ORDER BY version DESC LIMIT 1) FROM json_each($1) e)",
    )
    .bind(&ids)
    .fetch_all(db)
    .await?;
    for row in rows {
        let build = Build::try_from(row)?;
        let engine = build.engine;
        all.entry(engine).or_default().0 = Some(build);
    }
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT e.value, s.value FROM json_each($1) e, json_each($2) s \
         WHERE EXISTS (SELECT 1 FROM builds WHERE engine_id = e.value AND status = s.value)",
    )
    .bind(&ids)
    .bind(serde_json::to_string(&BuildStatus::ALL).unwrap_or_default())
    .fetch_all(db)
    .await?;
    for (engine, status) in rows {
        let engine = engine.parse().map_err(|_| Error::row("builds", "engine id", &engine))?;
        all.entry(engine).or_default().1.push(status.parse().map_err(|_| Error::row("builds", "build status", &status))?);
    }
    Ok(all)
}

/// The statuses of all builds of one engine: what its state derives from.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn statuses(db: impl sqlx::SqliteExecutor<'_>, engine: EngineId) -> Result<Vec<BuildStatus>, Error> {
    // One look into the index per status, however many builds there are.
    let words: Vec<String> =
        sqlx::query_scalar("SELECT value FROM json_each($2) WHERE EXISTS (SELECT 1 FROM builds WHERE engine_id = $1 AND status = value)")
            .bind(engine.to_string())
            .bind(serde_json::to_string(&BuildStatus::ALL).unwrap_or_default())
            .fetch_all(db)
            .await?;
    words.iter().map(|word| word.parse().map_err(|_| Error::row("builds", "build status", word))).collect()
}

/// Moves a build if nobody moved it first; true when this call did.
///
/// # Errors
/// [`Error::Database`].
pub async fn set_status(
    tx: &mut Transaction<'_, Sqlite>,
    id: BuildId,
    from: BuildStatus,
    to: BuildStatus,
    now: i64,
) -> Result<bool, Error> {
    let update = sqlx::query("UPDATE builds SET status = $3, modified_at = $4 WHERE id = $1 AND status = $2");
    let done = update.bind(id.to_string()).bind(from.as_str()).bind(to.as_str()).bind(now).execute(&mut **tx).await?;
    Ok(done.rows_affected() == 1)
}

/// Where a build stands, in the word of the database, read inside a writing transaction.
///
/// # Errors
/// [`Error::Database`].
pub async fn status_word(tx: &mut Transaction<'_, Sqlite>, id: BuildId) -> Result<Option<String>, Error> {
    Ok(sqlx::query_scalar("SELECT status FROM builds WHERE id = $1").bind(id.to_string()).fetch_optional(&mut **tx).await?)
}

/// One line of a build's history.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct HistoryLine {
    /// Epoch milliseconds.
    pub at: i64,
    /// E-mail of a person, or `system`.
    pub actor: String,
    /// Event word.
    pub event: String,
    /// Status before; `None` for the first line.
    pub from_status: Option<String>,
    /// Status after.
    pub to_status: String,
    /// Why.
    pub reason: String,
}

/// Appends to the history.
///
/// # Errors
/// [`Error::Database`].
pub async fn append_history(tx: &mut Transaction<'_, Sqlite>, id: BuildId, line: &HistoryLine) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO build_history (build_id, at, actor, event, from_status, to_status, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id.to_string())
    .bind(line.at)
    .bind(&line.actor)
    .bind(&line.event)
    .bind(&line.from_status)
    .bind(&line.to_status)
    .bind(&line.reason)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The history, oldest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn history(db: &SqlitePool, id: BuildId) -> Result<Vec<HistoryLine>, Error> {
    let lines =
        sqlx::query_as("SELECT at, actor, event, from_status, to_status, reason FROM build_history WHERE build_id = $1 ORDER BY id");
    Ok(lines.bind(id.to_string()).fetch_all(db).await?)
}

/// Keeps a report as the newest revision.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`] when the report cannot be written as JSON.
pub async fn insert_report(tx: &mut Transaction<'_, Sqlite>, id: BuildId, report: &Report, now: i64) -> Result<(), Error> {
    let document = serde_json::to_string(report).map_err(|error| Error::row("reports", "JSON document", &error.to_string()))?;
    sqlx::query(
        "INSERT INTO reports (build_id, revision, document, created_at) \
         SELECT $1, coalesce(max(revision), 0) + 1, $2, $3 FROM reports WHERE build_id = $1",
    )
    .bind(id.to_string())
    .bind(document)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    // Kept beside the build: lists of builds must not read reports.
    sqlx::query("UPDATE builds SET errors = $2, warnings = $3 WHERE id = $1")
        .bind(id.to_string())
        .bind(report.count(Severity::Error) as i64)
        .bind(report.count(Severity::Warning) as i64)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The newest report, as JSON text.
///
/// # Errors
/// [`Error::Database`].
pub async fn report(db: &SqlitePool, id: BuildId) -> Result<Option<String>, Error> {
    let newest = sqlx::query_scalar("SELECT document FROM reports WHERE build_id = $1 ORDER BY revision DESC LIMIT 1");
    Ok(newest.bind(id.to_string()).fetch_optional(db).await?)
}

/// The organization a build belongs to.
///
/// # Errors
/// [`Error::Database`].
pub async fn organization(db: impl sqlx::SqliteExecutor<'_>, id: BuildId) -> Result<Option<OrganizationId>, Error> {
    let owner: Option<i64> =
        sqlx::query_scalar("SELECT organization_id FROM builds WHERE id = $1").bind(id.to_string()).fetch_optional(db).await?;
    Ok(owner.map(OrganizationId))
}

#[cfg(test)]
pub(crate) mod tests;
