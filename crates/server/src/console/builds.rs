//! One build, and its log as a file.

use std::{fmt::Write, sync::Arc};

use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use model::{
    build::{BuildStatus, Phase},
    digest::Digest,
    id::BuildId,
    report::Report,
    run::LogLine,
};
use store::{
    build_life,
    builds::{self, Build},
    engines, inventories,
};

use super::{
    page::{PageError, page, shell},
    views::{BuildInput, BuildPage, Place, Section, plain},
    visitor::Visitor,
};
use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::{Problem, chain},
    ops::act_on_build::standing_of,
};

/// `GET /builds/{id}`.
pub async fn show(State(app): State<Arc<App>>, Visitor(caller): Visitor, Path(id): Path<String>) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let build = own(&app, &caller, &id).await?;
    let db = app.db.read();
    let engine = engines::by_id(db, build.engine).await?.ok_or_else(|| missing(&id))?;
    let document = builds::report(db, build.id).await?;
    let history = builds::history(db, build.id).await?;
    let notes = build_life::notes(db, build.id).await?;
    let actions = standing_of(&app, &caller, &build, &engine).await?.valid_actions();
    let (log, offset) = read_log(&app, build.id, 0).await?;
    let seen = fingerprint(build.status, build.life.phase, document.as_deref(), inventories::worsening_count(db, build.id).await?);
    let input = BuildInput {
        engine: &engine,
        build: &build,
        has_report: document.is_some(),
        report: document.and_then(|text| parse(build.id, &text)),
        history: &history,
        has_sbom: inventories::is_kept(db, build.id).await?,
        log: &log,
        place: Place::of(&app.public_url),
        events: format!("/builds/{}/events?from={offset}&seen={seen}", build.id),
        notes: &notes,
        actions: &actions,
        parts: (caller.may(Permission::ApproveBuilds), caller.may(Permission::WriteEngines)),
        now: clock::now_ms(),
    };
    let shell = shell(format!("{}, build {}", engine.name, build.version), Section::Engines, &caller);
    Ok(page(StatusCode::OK, &BuildPage::new(shell, input)))
}

/// `GET /builds/{id}/log`: the whole log as text.
pub async fn log(State(app): State<Arc<App>>, Visitor(caller): Visitor, Path(id): Path<String>) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let build = own(&app, &caller, &id).await?;
    let (lines, _) = read_log(&app, build.id, 0).await?;
    let mut text = String::new();
    for line in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:>10} {:<6} {}", line.at_ms, word(&line), plain(&line.text));
    }
    let name = format!("attachment; filename=\"build-log-{}.txt\"", build.id);
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)], text).into_response())
}

fn word(line: &LogLine) -> &'static str {
    match line.stream {
        model::run::Stream::Stdout => "stdout",
        model::run::Stream::Stderr => "stderr",
        model::run::Stream::Gate => "gate",
    }
}

/// A build of the caller's organization; one of another organization does not exist for them.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::Internal`].
pub async fn own(app: &App, caller: &Caller, id: &str) -> Result<Build, Problem> {
    let build: BuildId = id.parse().map_err(|_| missing(id))?;
    if builds::organization(app.db.read(), build).await? != Some(caller.organization) {
        return Err(missing(id));
    }
    builds::by_id(app.db.read(), build).await?.ok_or_else(|| missing(id))
}

fn missing(id: &str) -> Problem {
    Problem::NotFound { object: "Build", id: id.chars().take(80).collect() }
}

/// Lines of the log from byte `offset` on, and where to go on.
///
/// # Errors
/// [`Problem::Internal`].
pub async fn read_log(app: &App, build: BuildId, offset: u64) -> Result<(Vec<LogLine>, u64), Problem> {
    let logs = app.logs.clone();
    let read = tokio::task::spawn_blocking(move || logs.read(build, offset)).await;
    Ok(read.map_err(|error| Problem::internal(&error))??)
}

/// Changes whenever anything on the page but the log changes.
pub fn fingerprint(status: BuildStatus, phase: Option<Phase>, report: Option<&str>, worsenings: i64) -> String {
    let phase = phase.map_or("", Phase::as_str);
    Digest::of(format!("{status}\n{phase}\n{worsenings}\n{}", report.unwrap_or("")).as_bytes()).short().to_owned()
}

/// A report this version cannot read is left out of the page; it can still be downloaded.
fn parse(build: BuildId, text: &str) -> Option<Report> {
    serde_json::from_str(text).inspect_err(|error| tracing::error!(%build, error = chain(error), "a report cannot be read")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_report_make_a_new_fingerprint() {
        let one = fingerprint(BuildStatus::Fetching, None, None, 0);
        assert_eq!(one, fingerprint(BuildStatus::Fetching, None, None, 0));
        assert_ne!(one, fingerprint(BuildStatus::Available, None, None, 0));
        assert_ne!(one, fingerprint(BuildStatus::Fetching, None, Some("{}"), 0));
        assert_ne!(one, fingerprint(BuildStatus::Fetching, None, None, 1));
        assert_ne!(one, fingerprint(BuildStatus::Fetching, Some(Phase::Security), None, 0));
    }
}
