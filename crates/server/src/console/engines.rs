//! Engines: the list, the form, one engine.

use std::sync::Arc;

use axum::{
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use model::{capability::Capability, id::EngineId};
use serde::Deserialize;
use store::{
    builds,
    engines::{self, Engine, Filter, Order},
    unclaimed_pushes, waivers,
};

use super::{
    form::Sent,
    page::{PageError, page, parameter, shell},
    views::{EngineForm, EngineInput, EngineList, EnginePage, Entered, Paging, Place, Section, waiver_rows},
    visitor::Visitor,
    vulnerabilities::WAIVERS,
};
use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
    ops::create_engine::{NewEngine, create_engine},
};

/// `GET /engines`.
pub async fn list(State(app): State<Arc<App>>, Visitor(caller): Visitor, query: RawQuery) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let paging = Paging::asked("/engines", parameter(&query, "page").as_deref());
    let db = app.db.read();
    let mut rows = engines::list(db, caller.organization, &Filter::default(), Order::default(), paging.offset(), paging.limit()).await?;
    let paging = paging.cut(&mut rows);
    let mut known = builds::overview(db, &rows.iter().map(|engine| engine.id).collect::<Vec<_>>()).await?;
    let input = |engine: Engine| {
        let (latest, statuses) = known.remove(&engine.id).unwrap_or_default();
        EngineInput { engine, statuses, latest }
    };
    let inputs = rows.into_iter().map(input).collect();
    let unclaimed = unclaimed_pushes::list(db, caller.organization, 0, EngineList::UNCLAIMED_LIMIT).await?.len();
    let may_register = caller.may(Permission::WriteEngines);
    let shell = shell("Engines", Section::Engines, &caller);
    Ok(page(StatusCode::OK, &EngineList::new(shell, inputs, paging, may_register, unclaimed, clock::now_ms())))
}

/// `GET /engines/new`.
pub async fn form(Visitor(caller): Visitor) -> Result<Response, PageError> {
    caller.require(Permission::WriteEngines)?;
    Ok(filled(StatusCode::OK, &caller, Entered::default(), None))
}

fn filled(status: StatusCode, caller: &Caller, entered: Entered, problem: Option<String>) -> Response {
    page(status, &EngineForm::new(shell("Register an engine", Section::Engines, caller), entered, problem))
}

/// What the form sends.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct NewEngineForm {
    name: String,
    description: String,
    category: String,
    deployment_model: String,
}

/// `POST /engines`.
pub async fn create(State(app): State<Arc<App>>, Visitor(caller): Visitor, Sent(form): Sent<NewEngineForm>) -> Result<Response, PageError> {
    caller.require(Permission::WriteEngines)?;
    let entered = Entered {
        name: form.name,
        description: form.description,
        category: Capability::from_word(&form.category),
        deployment_model: form.deployment_model.parse().ok(),
    };
    let new = match (entered.category, entered.deployment_model) {
        (None, _) => Err("Category: choose what the engine does"),
        (_, None) => Err("Network: choose what the engine may reach"),
        (Some(category), Some(deployment_model)) => Ok(NewEngine {
            id: None,
            name: entered.name.clone(),
            description: entered.description.clone(),
            category,
            deployment_model,
            extra: serde_json::json!({}),
        }),
    };
    let created = match new {
        Ok(new) => create_engine(&app, &caller, new).await,
        Err(missing) => Err(Problem::invalid(missing)),
    };
    match created {
        Ok(engine) => Ok(Redirect::to(&format!("/engines/{}", engine.id)).into_response()),
        Err(Problem::InvalidInput { message, .. }) => Ok(filled(StatusCode::BAD_REQUEST, &caller, entered, Some(message))),
        Err(problem) => Err(problem.into()),
    }
}

/// `GET /engines/{id}`.
pub async fn show(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    Path(id): Path<String>,
    query: RawQuery,
) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let engine = own(&app, &caller, &id).await?;
    let db = app.db.read();
    let paging = Paging::asked(&format!("/engines/{}", engine.id), parameter(&query, "page").as_deref());
    let mut rows = builds::list(db, engine.id, &[], paging.offset(), paging.limit()).await?;
    let paging = paging.cut(&mut rows);
    let statuses = builds::statuses(db, engine.id).await?;
    let may_write = caller.may(Permission::WriteEngines);
    let can_go_back = builds::last_good(db, engine.id).await?.is_some();
    let shell = shell(engine.name.clone(), Section::Engines, &caller);
    let now = clock::now_ms();
    let waivers = waivers::list(db, caller.organization, Some(engine.id), 0, WAIVERS).await?;
    let view = EnginePage::new(shell, engine, statuses, rows, paging, &Place::of(&app.public_url), now);
    Ok(page(StatusCode::OK, &view.with_waivers(waiver_rows(waivers, now)).with_acts(may_write, can_go_back)))
}

/// An engine of the caller's organization; one of another organization does not exist for them.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::Internal`].
pub async fn own(app: &App, caller: &Caller, id: &str) -> Result<Engine, Problem> {
    let missing = || Problem::NotFound { object: "Engine", id: id.chars().take(80).collect() };
    let engine: EngineId = id.parse().map_err(|_| missing())?;
    let engine = engines::by_id(app.db.read(), engine).await?;
    engine.filter(|engine| engine.organization == caller.organization).ok_or_else(missing)
}
