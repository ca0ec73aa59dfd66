//! What people write about a build while it is reviewed: remarks, questions, answers, appeals; and the wish for one check anew. All of it
//! stands in the history as well.

use checks::CHECKS;
use model::{
    build::{BuildStatus, Phase},
    id::{BuildId, JobId},
};
use sqlx::{Sqlite, Transaction};
use store::{
    audit,
    build_life::{self, Note, NoteKind},
    builds::{self, Build, HistoryLine},
    jobs,
};

use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
    jobs::REVIEW_BUILD,
};

/// Longest text, characters.
const TEXT_MAX: usize = 10_000;

/// Most notes of one build.
const NOTES_MAX: usize = 1_000;

async fn own(tx: &mut Transaction<'static, Sqlite>, caller: &Caller, id: BuildId) -> Result<Build, Problem> {
    let missing = || Problem::NotFound { object: "Build", id: id.to_string() };
    caller.require(Permission::ReadEngines)?;
    let build = builds::lock(tx, id).await?.filter(|build| build.status != BuildStatus::Deleted).ok_or_else(missing)?;
    if builds::organization(&mut **tx, id).await? == Some(caller.organization) { Ok(build) } else { Err(missing()) }
}

/// Writes a note.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotAllowed`], [`Problem::InvalidInput`] when this is not the moment for it, [`Problem::Internal`].
pub async fn write_note(
    app: &App,
    caller: &Caller,
    id: BuildId,
    kind: NoteKind,
    finding: Option<String>,
    text: &str,
) -> Result<Build, Problem> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > TEXT_MAX {
        return Err(Problem::invalid(format!("text: write 1 to {TEXT_MAX} characters")));
    }
    if finding.as_ref().is_some_and(|code| code.is_empty() || code.chars().count() > 200) {
        return Err(Problem::invalid("finding: name the rule of a finding, such as manifest.url.invalid"));
    }
    let mut tx = app.db.write().await?;
    let mut build = own(&mut tx, caller, id).await?;
    match kind {
        NoteKind::Comment => {}
        NoteKind::Changes | NoteKind::AppealAnswer => caller.require(Permission::ApproveBuilds)?,
        NoteKind::Answer | NoteKind::Appeal => caller.require(Permission::WriteEngines)?,
    }
    let moment = match kind {
        NoteKind::Comment => Ok(()),
        NoteKind::Changes if build.life.phase == Some(Phase::AwaitingApproval) => Ok(()),
        NoteKind::Changes => Err("a build that awaits approval"),
        NoteKind::Answer if build.life.changes_asked => Ok(()),
        NoteKind::Answer => Err("a build for which changes were asked"),
        NoteKind::Appeal if matches!(build.status, BuildStatus::Disapproved | BuildStatus::Invalid) && build.life.appealed_at.is_none() => {
            Ok(())
        }
        NoteKind::Appeal => Err("a refused build without an open appeal"),
        NoteKind::AppealAnswer if build.life.appealed_at.is_some() => Ok(()),
        NoteKind::AppealAnswer => Err("a build with an open appeal"),
    };
    moment.map_err(|needs| Problem::invalid(format!("{} is for {needs}; this one is {}", kind.as_str(), build.status)))?;
    if kind != NoteKind::AppealAnswer && build_life::count_notes(&mut tx, id).await? >= NOTES_MAX as i64 {
        return Err(Problem::invalid(format!("a build takes {NOTES_MAX} notes; delete it and push it again to go on")));
    }
    let now = clock::now_ms();
    match kind {
        NoteKind::Comment => {}
        NoteKind::Changes => build.life.changes_asked = true,
        NoteKind::Answer => build.life.changes_asked = false,
        NoteKind::Appeal => build.life.appealed_at = Some(now),
        NoteKind::AppealAnswer => build.life.appealed_at = None,
    }
    build_life::set(&mut tx, id, &build.life).await?;
    let about = finding.as_ref().map(|code| format!("{code}: ")).unwrap_or_default();
    let note = Note { at: now, author: caller.email.clone(), kind, finding, text: text.to_owned() };
    build_life::append_note(&mut tx, id, &note).await?;
    append(&mut tx, &build, &caller.email, kind.as_str(), format!("{about}{text}"), now).await?;
    tx.commit().await?;
    app.tell(id);
    Ok(build)
}

async fn append(
    tx: &mut Transaction<'static, Sqlite>,
    build: &Build,
    actor: &str,
    event: &str,
    reason: String,
    at: i64,
) -> Result<(), store::Error> {
    let word = build.status.as_str().to_owned();
    let line = HistoryLine { at, actor: actor.into(), event: event.into(), from_status: Some(word.clone()), to_status: word, reason };
    builds::append_history(tx, build.id, &line).await
}

/// Has one check of a build run again that awaits approval.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotAllowed`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn ask_recheck(app: &App, caller: &Caller, id: BuildId, check: &str) -> Result<Build, Problem> {
    caller.require(Permission::ApproveBuilds)?;
    if !CHECKS.iter().any(|one| one.id == check) {
        let ids: Vec<&str> = CHECKS.iter().map(|one| one.id).collect();
        return Err(Problem::invalid(format!(
            "check: there is no check {:?}; choose one of {}",
            check.chars().take(80).collect::<String>(),
            ids.join(", ")
        )));
    }
    let mut tx = app.db.write().await?;
    let mut build = own(&mut tx, caller, id).await?;
    if build.life.phase != Some(Phase::AwaitingApproval) || build.life.recheck.is_some() {
        return Err(Problem::invalid(format!(
            "a check is run again for a build that awaits approval and has no check running; this one is {}",
            build.status
        )));
    }
    let now = clock::now_ms();
    (build.life.recheck, build.life.attempts) = (Some(check.to_owned()), 0);
    build_life::set(&mut tx, id, &build.life).await?;
    append(&mut tx, &build, &caller.email, "recheck", check.to_owned(), now).await?;
    let object = format!("build {} ({id})", build.version);
    audit::append(&mut tx, caller.deed(now, "build.recheck", &object, check)).await?;
    jobs::enqueue(&mut tx, JobId(clock::new_id()), REVIEW_BUILD, &id.to_string(), now).await?;
    tx.commit().await?;
    app.work.notify_one();
    app.tell(id);
    Ok(build)
}
