//! What is known of a build's life beyond its status, the notes of its review, and how long decisions took.

use model::{
    build::Phase,
    id::{BuildId, OrganizationId},
};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::Error;

/// A build's life beyond its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// Of a pending build.
    pub phase: Option<Phase>,
    /// When gate B was asked for, epoch milliseconds.
    pub submitted_at: Option<i64>,
    /// By whom: an e-mail.
    pub submitted_by: Option<String>,
    /// A reviewer waits for the developer.
    pub changes_asked: bool,
    /// How often the work of this status was begun.
    pub attempts: i64,
    /// What the gate could not check after the submit.
    pub unproven: Option<String>,
    /// End of an override, epoch milliseconds.
    pub override_until: Option<i64>,
    /// The developer asks to look at a refusal again, epoch milliseconds.
    pub appealed_at: Option<i64>,
    /// The one check to be run again.
    pub recheck: Option<String>,
    /// When it became live last, epoch milliseconds.
    pub deployed_at: Option<i64>,
    /// The engine's settings under which it was deployed last, as JSON text.
    pub deployed_under: Option<String>,
    /// Blocking findings of the newest report; `None` without one. Written with the report.
    pub errors: Option<i64>,
    /// Its warnings.
    pub warnings: Option<i64>,
}

#[derive(sqlx::FromRow)]
pub(crate) struct LifeRow {
    phase: Option<String>,
    submitted_at: Option<i64>,
    submitted_by: Option<String>,
    changes_asked: bool,
    attempts: i64,
    unproven: Option<String>,
    override_until: Option<i64>,
    appealed_at: Option<i64>,
    recheck: Option<String>,
    deployed_at: Option<i64>,
    deployed_under: Option<String>,
    errors: Option<i64>,
    warnings: Option<i64>,
}

impl TryFrom<LifeRow> for Life {
    type Error = Error;

    fn try_from(row: LifeRow) -> Result<Self, Error> {
        let phase = row.phase.map(|word| word.parse().map_err(|_| Error::row("builds", "phase", &word))).transpose()?;
        Ok(Self {
            phase,
            submitted_at: row.submitted_at,
            submitted_by: row.submitted_by,
            changes_asked: row.changes_asked,
            attempts: row.attempts,
            unproven: row.unproven,
            override_until: row.override_until,
            appealed_at: row.appealed_at,
            recheck: row.recheck,
            deployed_at: row.deployed_at,
            deployed_under: row.deployed_under,
            errors: row.errors,
            warnings: row.warnings,
        })
    }
}

/// Writes everything but the counts, which belong to the report.
///
/// # Errors
/// [`Error::Database`].
pub async fn set(tx: &mut Transaction<'_, Sqlite>, id: BuildId, life: &Life) -> Result<(), Error> {
    sqlx::query(
        "UPDATE builds SET phase = $2, submitted_at = $3, submitted_by = $4, changes_asked = $5, attempts = $6, unproven = $7, \
         override_until = $8, appealed_at = $9, recheck = $10, deployed_at = $11, deployed_under = $12 WHERE id = $1",
    )
    .bind(id.to_string())
    .bind(life.phase.map(Phase::as_str))
    .bind(life.submitted_at)
    .bind(&life.submitted_by)
    .bind(life.changes_asked)
    .bind(life.attempts)
    .bind(&life.unproven)
    .bind(life.override_until)
    .bind(life.appealed_at)
    .bind(&life.recheck)
    .bind(life.deployed_at)
    .bind(&life.deployed_under)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Notes how long a decision took.
///
/// # Errors
/// [`Error::Database`].
pub async fn record_decision(tx: &mut Transaction<'_, Sqlite>, id: BuildId, at: i64, waited_ms: i64, approved: bool) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO decisions (organization_id, build_id, at, waited_ms, approved) SELECT organization_id, id, $2, $3, $4 FROM builds WHERE id = $1",
    )
    .bind(id.to_string())
    .bind(at)
    .bind(waited_ms)
    .bind(approved)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// How long the last decisions of an organization took, milliseconds; the newest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn recent_waits(db: &SqlitePool, organization: OrganizationId, limit: i64) -> Result<Vec<i64>, Error> {
    let waits = sqlx::query_scalar("SELECT waited_ms FROM decisions WHERE organization_id = $1 ORDER BY id DESC LIMIT $2");
    Ok(waits.bind(organization.0).bind(limit).fetch_all(db).await?)
}

/// What a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// A remark.
    Comment,
    /// A reviewer asks for changes.
    Changes,
    /// The developer's answer to that.
    Answer,
    /// The developer asks to look at a refusal again.
    Appeal,
    /// A reviewer's answer that lets the refusal stand.
    AppealAnswer,
}

impl NoteKind {
    const ALL: [Self; 5] = [Self::Comment, Self::Changes, Self::Answer, Self::Appeal, Self::AppealAnswer];

    /// The word on every wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Changes => "changes",
            Self::Answer => "answer",
            Self::Appeal => "appeal",
            Self::AppealAnswer => "appealAnswer",
        }
    }

    /// The kind of this word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What somebody wrote about a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Epoch milliseconds.
    pub at: i64,
    /// E-mail.
    pub author: String,
    /// What it is.
    pub kind: NoteKind,
    /// Rule of the finding it is about.
    pub finding: Option<String>,
    /// What they wrote.
    pub text: String,
}

/// Appends a note.
///
/// # Errors
/// [`Error::Database`].
pub async fn append_note(tx: &mut Transaction<'_, Sqlite>, id: BuildId, note: &Note) -> Result<(), Error> {
    sqlx::query("INSERT INTO build_notes (build_id, at, author, kind, finding, text) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(id.to_string())
        .bind(note.at)
        .bind(&note.author)
        .bind(note.kind.as_str())
        .bind(&note.finding)
        .bind(&note.text)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// How many notes a build has.
///
/// # Errors
/// [`Error::Database`].
pub async fn count_notes(tx: &mut Transaction<'_, Sqlite>, id: BuildId) -> Result<i64, Error> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM build_notes WHERE build_id = $1").bind(id.to_string()).fetch_one(&mut **tx).await?)
}

/// The notes of a build, oldest first.
///
/// # Errors
/// [`Error::Database`], [`Error::Row`].
pub async fn notes(db: &SqlitePool, id: BuildId) -> Result<Vec<Note>, Error> {
    let rows: Vec<(i64, String, String, Option<String>, String)> =
        sqlx::query_as("SELECT at, author, kind, finding, text FROM build_notes WHERE build_id = $1 ORDER BY id")
            .bind(id.to_string())
            .fetch_all(db)
            .await?;
    let note = |(at, author, word, finding, text): (i64, String, String, Option<String>, String)| {
        let kind = NoteKind::of(&word).ok_or_else(|| Error::row("build_notes", "kind of note", &word))?;
        Ok(Note { at, author, kind, finding, text })
    };
    rows.into_iter().map(note).collect()
}
