//! Actions on builds and engines: a page that says what will happen, and the deed when it is confirmed.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use model::{
    build::{BuildStatus, Event},
    engine::EngineState,
};
use serde::Deserialize;
use store::{
    build_life::NoteKind,
    builds::{self, Build},
    engines::{self, Engine},
};

use super::{
    builds::own,
    engines::own as own_engine,
    form::{Sent, end, mendable},
    page::{PageError, page, shell},
    views::{ActPage, Live, Section, Subject},
    visitor::Visitor,
};
use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    engine_usage::usage_of,
    error::Problem,
    ops::{
        act_on_build::{Wanted, act_on_build, standing_of},
        roll_back::roll_back,
        set_engine_state::{EngineDeed, set_engine_state},
        write_note::{ask_recheck, write_note},
    },
};

fn action(word: &str) -> Result<Event, Problem> {
    let event: Option<Event> = word.parse().ok().filter(|event: &Event| event.is_action());
    event.ok_or_else(|| Problem::NotFound { object: "Page", id: word.chars().take(80).collect() })
}

/// What runs now for an engine, for whoever is about to change it.
async fn live(app: &App, engine: &Engine) -> Result<Option<Live>, Problem> {
    let Some(build) = builds::live(app.db.read(), engine.id).await? else { return Ok(None) };
    let history = builds::history(app.db.read(), build.id).await?;
    let by = history.iter().rev().find(|line| line.actor != "system").map_or_else(String::new, |line| line.actor.clone());
    Ok(Some(Live {
        version: build.version,
        since: build.life.deployed_at,
        by,
        health: app.instances.health(build.id),
        id: build.id,
        used: usage_of(app, engine).await?,
    }))
}

/// `GET /builds/{id}/act/{action}`.
pub async fn ask(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    Path((id, word)): Path<(String, String)>,
) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let build = own(&app, &caller, &id).await?;
    show(&app, &caller, build, action(&word)?, StatusCode::OK, String::new(), None).await
}

async fn show(
    app: &App,
    caller: &Caller,
    build: Build,
    event: Event,
    status: StatusCode,
    reason: String,
    problem: Option<String>,
) -> Result<Response, PageError> {
    let missing = || Problem::NotFound { object: "Engine", id: build.engine.to_string() };
    let engine = engines::by_id(app.db.read(), build.engine).await?.ok_or_else(missing)?;
    let standing = standing_of(app, caller, &build, &engine).await?;
    let possible = standing.valid_actions().contains(&event);
    let live = live(app, &engine).await?;
    let shell = shell(format!("{}, build {}", engine.name, build.version), Section::Engines, caller);
    let subject = Subject::Build { build: &build, event, possible };
    Ok(page(status, &ActPage::new(shell, &engine, subject, live, reason, problem, clock::now_ms())))
}

/// What a confirmation sends.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Confirmed {
    seen: String,
    reason: String,
    days: String,
}

/// `POST /builds/{id}/act/{action}`.
pub async fn act(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    Path((id, word)): Path<(String, String)>,
    Sent(form): Sent<Confirmed>,
) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let (build, event) = (own(&app, &caller, &id).await?, action(&word)?);
    let wanted = Wanted {
        reason: form.reason.clone(),
        until: end(&form.days),
        seen: form.seen.parse::<BuildStatus>().ok(),
        ..Wanted::new(build.id, event)
    };
    match act_on_build(&app, &caller, wanted).await {
        Ok(after) if after.status == BuildStatus::Deleted => Ok(Redirect::to(&format!("/engines/{}", after.engine)).into_response()),
        Ok(after) => Ok(Redirect::to(&format!("/builds/{}", after.id)).into_response()),
        Err(problem) => {
            let (status, why) = mendable(problem)?;
            let build = own(&app, &caller, &id).await?;
            show(&app, &caller, build, event, status, form.reason, Some(why)).await
        }
    }
}

fn deed(word: &str) -> Result<Option<EngineDeed>, Problem> {
    Ok(Some(match word {
        "disable" => EngineDeed::Disable,
        "enable" => EngineDeed::Enable,
        "delete" => EngineDeed::Delete,
        "undelete" => EngineDeed::Undelete,
        "rollback" => return Ok(None),
        _ => return Err(Problem::NotFound { object: "Page", id: word.chars().take(80).collect() }),
    }))
}

/// `GET /engines/{id}/act/{action}`.
pub async fn ask_engine(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    Path((id, word)): Path<(String, String)>,
) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let engine = own_engine(&app, &caller, &id).await?;
    show_engine(&app, &caller, engine, &word, StatusCode::OK, None).await
}

async fn show_engine(
    app: &App,
    caller: &Caller,
    engine: Engine,
    word: &str,
    status: StatusCode,
    problem: Option<String>,
) -> Result<Response, PageError> {
    let statuses = builds::statuses(app.db.read(), engine.id).await?;
    let state = EngineState::derive(engine.deleted, engine.disabled, statuses);
    let last = builds::last_good(app.db.read(), engine.id).await?;
    let is_valid = if deed(word)?.is_some() { state.valid_actions().contains(&word) } else { last.is_some() && !engine.disabled };
    let possible = is_valid && caller.may(Permission::WriteEngines);
    let live = live(app, &engine).await?;
    let shell = shell(engine.name.clone(), Section::Engines, caller);
    let subject = Subject::Engine { action: word, possible, back_to: last.map(|build| build.version) };
    Ok(page(status, &ActPage::new(shell, &engine, subject, live, String::new(), problem, clock::now_ms())))
}

/// `POST /engines/{id}/act/{action}`.
pub async fn act_engine(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    Path((id, word)): Path<(String, String)>,
) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let engine = own_engine(&app, &caller, &id).await?;
    let done = match deed(&word)? {
        Some(deed) => set_engine_state(&app, &caller, engine.id, deed).await.map(|_| ()),
        None => roll_back(&app, &caller, engine.id).await.map(|_| ()),
    };
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/engines/{}", engine.id)).into_response()),
        Err(problem) => {
            let (status, why) = mendable(problem)?;
            show_engine(&app, &caller, engine, &word, status, Some(why)).await
        }
    }
}

/// What the form for notes sends.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Written {
    kind: String,
    finding: String,
    text: String,
    check: String,
}

/// `POST /builds/{id}/notes`.
pub async fn write(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    Path(id): Path<String>,
    Sent(form): Sent<Written>,
) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let build = own(&app, &caller, &id).await?;
    if form.kind == "recheck" {
        ask_recheck(&app, &caller, build.id, &form.check).await?;
    } else {
        let unknown = || Problem::invalid("The form could not be read; open the page of the build again.");
        let kind = NoteKind::of(&form.kind).ok_or_else(unknown)?;
        let finding = Some(form.finding).filter(|finding| !finding.is_empty());
        write_note(&app, &caller, build.id, kind, finding, &form.text).await?;
    }
    Ok(Redirect::to(&format!("/builds/{}#review", build.id)).into_response())
}
