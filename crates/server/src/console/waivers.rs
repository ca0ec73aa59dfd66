//! Waivers: who answers for which known vulnerability, the form to do so, and the end of one.

use std::sync::Arc;

use axum::{
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use model::{
    id::{EngineId, WaiverId},
    waiver::Waiver,
};
use serde::Deserialize;
use store::waivers;

use super::{
    engines::own,
    form::{Sent, end, mendable},
    page::{PageError, page, parameter, shell},
    views::{Paging, Said, Section, WaiversPage},
    visitor::Visitor,
};
use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
    ops::{create_waiver::create_waiver, revoke_waiver::revoke_waiver},
};

/// `GET /waivers?vulnerability=CVE-1&package=openssl&engine=ID`: what is in the address stands in the form.
pub async fn list(State(app): State<Arc<App>>, Visitor(caller): Visitor, query: RawQuery) -> Result<Response, PageError> {
    let word = |name: &str| parameter(&query, name).unwrap_or_default();
    let said = Said {
        vulnerability: word("vulnerability"),
        package: word("package"),
        engine: word("engine"),
        only: String::from("yes"),
        ..Said::default()
    };
    render(&app, &caller, StatusCode::OK, parameter(&query, "page").as_deref(), said, None).await
}

async fn render(
    app: &App,
    caller: &Caller,
    status: StatusCode,
    asked: Option<&str>,
    said: Said,
    problem: Option<String>,
) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let paging = Paging::asked("/waivers", asked);
    let mut rows = waivers::list(app.db.read(), caller.organization, None, paging.offset(), paging.limit()).await?;
    let paging = paging.cut(&mut rows);
    let engine = if said.engine.is_empty() { None } else { Some(own(app, caller, &said.engine).await?) };
    let shell = shell("Waivers", Section::Review, caller);
    let may_waive = caller.may(Permission::WaiveVulnerabilities);
    Ok(page(status, &WaiversPage::new(shell, rows, paging, may_waive, clock::now_ms()).with(said, engine.as_ref(), problem)))
}

/// What the form sends.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct NewWaiver {
    vulnerability: String,
    package: String,
    engine: String,
    /// `yes`: for this engine only.
    only: String,
    reason: String,
    days: String,
    until_fixed: Option<String>,
}

/// `POST /waivers`.
pub async fn create(State(app): State<Arc<App>>, Visitor(caller): Visitor, Sent(form): Sent<NewWaiver>) -> Result<Response, PageError> {
    caller.require(Permission::WaiveVulnerabilities)?;
    let made = match waiver_of(&form) {
        Ok(waiver) => create_waiver(&app, &caller, waiver).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok(_) => Ok(Redirect::to("/waivers").into_response()),
        Err(problem) => {
            let (status, why) = mendable(problem)?;
            let said = Said {
                vulnerability: form.vulnerability,
                package: form.package,
                engine: form.engine,
                only: form.only,
                reason: form.reason,
                until_fixed: form.until_fixed.is_some(),
            };
            render(&app, &caller, status, None, said, Some(why)).await
        }
    }
}

fn waiver_of(form: &NewWaiver) -> Result<Waiver, Problem> {
    let engine: Option<EngineId> = match (form.only.as_str(), form.engine.as_str()) {
        ("yes", id) if !id.is_empty() => {
            Some(id.parse().map_err(|_| Problem::NotFound { object: "Engine", id: id.chars().take(80).collect() })?)
        }
        _ => None,
    };
    Ok(Waiver {
        vulnerability: form.vulnerability.trim().to_owned(),
        package: Some(form.package.trim().to_owned()).filter(|package| !package.is_empty()),
        engine,
        image: None,
        reason: form.reason.trim().to_owned(),
        author: String::new(),
        expires_at: end(&form.days).ok_or_else(|| Problem::invalid("Choose an end: every waiver has one"))?,
        until_fixed: form.until_fixed.is_some(),
    })
}

/// `POST /waivers/{id}/revoke`.
pub async fn revoke(State(app): State<Arc<App>>, Visitor(caller): Visitor, Path(id): Path<String>) -> Result<Response, PageError> {
    caller.require(Permission::WaiveVulnerabilities)?;
    let id: WaiverId = id.parse().map_err(|_| Problem::NotFound { object: "Waiver", id: id.chars().take(80).collect() })?;
    match revoke_waiver(&app, &caller, id).await {
        Ok(_) => Ok(Redirect::to("/waivers").into_response()),
        Err(problem) => {
            let (status, why) = mendable(problem)?;
            render(&app, &caller, status, None, Said::default(), Some(why)).await
        }
    }
}
