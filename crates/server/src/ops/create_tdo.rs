//! Makes and changes recordings (temporal data objects).

use serde_json::{Value, json};
use sqlx::SqliteConnection;
use store::tdos::{self, Tdo};

use crate::{
    app::App,
    auth::{party::Party, permission::Permission},
    clock,
    error::Problem,
    task_ids,
};

/// Longest name, description or status, characters.
pub(super) const TEXT_MAX: usize = 2_000;

/// A recording to be.
#[derive(Clone, Debug, Default)]
pub struct NewTdo {
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// `recorded` if it is not said.
    pub status: Option<String>,
    /// Anything.
    pub details: Option<Value>,
    /// Its beginning, epoch milliseconds; now if it is not said.
    pub start_at: Option<i64>,
    /// Its end; its beginning if it is not said.
    pub stop_at: Option<i64>,
}

/// What changes in a recording.
#[derive(Clone, Debug)]
pub struct TdoChange {
    /// Which.
    pub id: i64,
    /// What else; what is not said stays.
    pub new: NewTdo,
}

/// # Errors
/// [`Problem::InvalidInput`] for a text that is too long.
pub(super) fn short(what: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match &text {
        Some(text) if text.chars().count() > TEXT_MAX => Err(Problem::invalid(format!("{what}: at most {TEXT_MAX} characters"))),
        _ => Ok(text),
    }
}

/// # Errors
/// [`Problem::InvalidInput`] for a document that is larger than a payload may be.
pub(super) fn small(app: &App, what: &str, document: Option<Value>) -> Result<Option<Value>, Problem> {
    let most = app.config.tasks.payload_bytes;
    match &document {
        Some(value) if value.to_string().len() > most => Err(Problem::invalid(format!("{what}: at most {most} bytes of JSON"))),
        _ => Ok(document),
    }
}

/// Checks a recording to be and gives it an id.
pub(super) fn blank(app: &App, party: &Party, new: NewTdo) -> Result<Tdo, Problem> {
    let now = clock::now_ms();
    let start_at = new.start_at.unwrap_or(now);
    let stop_at = new.stop_at.unwrap_or(start_at);
    if stop_at < start_at {
        return Err(Problem::invalid("stopDateTime: earlier than startDateTime"));
    }
    Ok(Tdo {
        id: task_ids::tdo(),
        organization: party.organization(),
        name: short("name", new.name)?.unwrap_or_default(),
        description: short("description", new.description)?,
        status: short("status", new.status)?.unwrap_or_else(|| "recorded".to_owned()),
        details: small(app, "details", new.details)?.unwrap_or_else(|| json!({})),
        start_at,
        stop_at,
        task: party.token().map(|token| token.task.clone()),
        created_by: party.name(),
        created_at: now,
        modified_at: now,
    })
}

/// Makes one.
///
/// # Errors
/// [`Problem::NotAllowed`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn create_tdo(app: &App, party: &Party, new: NewTdo) -> Result<Tdo, Problem> {
    party.require(Permission::RunTasks)?;
    let tdo = blank(app, party, new)?;
    let mut tx = app.db.write().await?;
    super::update_task::still_open(&mut tx, party).await?;
    tdos::insert(&mut tx, &tdo).await?;
    tx.commit().await?;
    Ok(tdo)
}

/// A recording the party may see.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotAllowed`] for an engine, [`Problem::Internal`].
pub async fn own_tdo(db: &mut SqliteConnection, party: &Party, id: i64) -> Result<Tdo, Problem> {
    let tdo = tdos::by_id(db, party.organization(), id).await?.ok_or_else(|| party.no_tdo(id))?;
    party.own_tdo(&tdo)?;
    Ok(tdo)
}

/// Changes one.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotAllowed`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn update_tdo(app: &App, party: &Party, change: TdoChange) -> Result<Tdo, Problem> {
    party.require(Permission::RunTasks)?;
    let new = change.new;
    let mut tx = app.db.write().await?;
    super::update_task::still_open(&mut tx, party).await?;
    let mut tdo = own_tdo(&mut tx, party, change.id).await?;
    tdo.name = short("name", new.name)?.unwrap_or(tdo.name);
    tdo.description = short("description", new.description)?.or(tdo.description);
    tdo.status = short("status", new.status)?.unwrap_or(tdo.status);
    tdo.details = small(app, "details", new.details)?.unwrap_or(tdo.details);
    (tdo.start_at, tdo.stop_at) = (new.start_at.unwrap_or(tdo.start_at), new.stop_at.unwrap_or(tdo.stop_at));
    if tdo.stop_at < tdo.start_at {
        return Err(Problem::invalid("stopDateTime: earlier than startDateTime"));
    }
    tdo.modified_at = clock::now_ms();
    tdos::update(&mut tx, &tdo).await?;
    tx.commit().await?;
    Ok(tdo)
}
