//! Who used an engine, by its tasks.

use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use crate::error::Error;

/// Who used an engine lately, and what it is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// When the latest task was asked for, epoch milliseconds.
    pub last_at: Option<i64>,
    /// By whom.
    pub last_by: Option<String>,
    /// Accounts that asked for a task since, the latest first; ten at most.
    pub lately_by: Vec<String>,
    /// Tasks asked for since.
    pub lately: i64,
    /// Tasks it works on.
    pub running: i64,
    /// Tasks that wait for it.
    pub waiting: i64,
}

/// The use of an engine since a moment.
///
/// # Errors
/// [`Error::Database`].
pub async fn used(db: &SqlitePool, engine: &str, since: i64) -> Result<Use, Error> {
    let last: Option<(i64, String)> =
        sqlx::query_as("SELECT created_at, created_by FROM engine_tasks WHERE engine_id = $1 ORDER BY seq DESC LIMIT 1")
            .bind(engine)
            .fetch_optional(db)
            .await?;
    let by: Vec<(String, i64)> = sqlx::query_as(
        "SELECT created_by, count(*) FROM engine_tasks WHERE engine_id = $1 AND created_at >= $2 GROUP BY created_by ORDER BY max(seq) DESC",
    )
    .bind(engine)
    .bind(since)
    .fetch_all(db)
    .await?;
    let count = async |statuses: &'static str| {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT count(*) FROM engine_tasks WHERE engine_id = ");
        query.push_bind(engine.to_owned()).push(" AND lane IS NOT NULL AND ").push(statuses);
        query.build_query_scalar::<i64>().fetch_one(db).await
    };
    let (last_at, last_by) = last.unzip();
    Ok(Use {
        last_at,
        last_by,
        lately: by.iter().map(|(_, count)| count).sum(),
        lately_by: by.into_iter().take(10).map(|(who, _)| who).collect(),
        running: count("status = 'running'").await?,
        waiting: count("status IN ('pending', 'queued')").await?,
    })
}
