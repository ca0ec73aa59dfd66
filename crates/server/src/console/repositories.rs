//! The repositories of the organization, and the switch that lets anybody pull from one.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use store::repositories;

use super::{
    form::{Sent, mendable},
    page::{PageError, page, parameter, shell},
    views::{Paging, RepositoriesPage, Section},
    visitor::Visitor,
};
use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    ops::set_repository_public::set_repository_public,
};

/// `GET /repositories`.
pub async fn list(State(app): State<Arc<App>>, Visitor(caller): Visitor, query: RawQuery) -> Result<Response, PageError> {
    render(&app, &caller, StatusCode::OK, parameter(&query, "page").as_deref(), None).await
}

async fn render(
    app: &App,
    caller: &Caller,
    status: StatusCode,
    asked: Option<&str>,
    problem: Option<String>,
) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let paging = Paging::asked("/repositories", asked);
    let mut rows = repositories::list(&app.db, caller.organization, paging.offset(), paging.limit()).await?;
    let paging = paging.cut(&mut rows);
    let shell = shell("Repositories", Section::Tokens, caller);
    let may_publish = caller.may(Permission::PublishRepositories);
    Ok(page(status, &RepositoriesPage::new(shell, rows, paging, may_publish, problem, clock::now_ms())))
}

/// What the switch sends.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Switch {
    name: String,
    public: String,
}

/// `POST /repositories`.
pub async fn switch(State(app): State<Arc<App>>, Visitor(caller): Visitor, Sent(form): Sent<Switch>) -> Result<Response, PageError> {
    match set_repository_public(&app, &caller, &form.name, form.public == "yes").await {
        Ok(_) => Ok(Redirect::to("/repositories").into_response()),
        Err(problem) => {
            let (status, why) = mendable(problem)?;
            render(&app, &caller, status, None, Some(why)).await
        }
    }
}
