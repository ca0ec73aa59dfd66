//! Tokens for programs: the list, the forms, the end of one.

use std::sync::Arc;

use axum::{
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use model::id::TokenId;
use registry::Action;
use serde::Deserialize;
use store::tokens::{self, TokenKind};

use super::{
    form::{Sent, end, mendable},
    page::{PageError, page, parameter, shell},
    views::{Entry, Paging, Section, Shown, TokensPage},
    visitor::Visitor,
};
use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
    ops::{
        create_api_token::{Made, create_api_token},
        create_robot_token::{Robot, create_robot_token},
        revoke_token::revoke_token,
    },
};

/// `GET /tokens`.
pub async fn list(State(app): State<Arc<App>>, Visitor(caller): Visitor, query: RawQuery) -> Result<Response, PageError> {
    render(&app, &caller, StatusCode::OK, parameter(&query, "page").as_deref(), Entry::default(), Shown::Nothing).await
}

async fn render(
    app: &App,
    caller: &Caller,
    status: StatusCode,
    asked: Option<&str>,
    entry: Entry,
    shown: Shown,
) -> Result<Response, PageError> {
    let paging = Paging::asked("/tokens", asked);
    let only = (!caller.may(Permission::ManageTokens)).then_some(caller.user);
    let mut rows = tokens::list(app.db.read(), caller.organization, only, paging.offset(), paging.limit()).await?;
    let paging = paging.cut(&mut rows);
    let shell = shell("Tokens", Section::Tokens, caller);
    let may_make_robots = caller.may(Permission::MakeRobots);
    let host = app.public_url.split_once("://").map_or(app.public_url.as_str(), |(_, host)| host);
    let view = TokensPage::new(shell, rows, paging, may_make_robots, caller.organization, host, clock::now_ms());
    Ok(page(status, &view.with(entry, shown)))
}

/// What the forms send.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct NewTokenForm {
    kind: String,
    name: String,
    days: String,
    repository: String,
    pull: Option<String>,
    push: Option<String>,
    delete: Option<String>,
}

/// `POST /tokens`: the answer shows the token, which no later page does.
pub async fn create(State(app): State<Arc<App>>, Visitor(caller): Visitor, Sent(form): Sent<NewTokenForm>) -> Result<Response, PageError> {
    match make(&app, &caller, &form).await {
        Ok(made) => {
            let shown = Shown::secret(&made.secret, &made.token);
            render(&app, &caller, StatusCode::CREATED, None, Entry::default(), shown).await
        }
        Err(problem) => {
            let (status, why) = mendable(problem)?;
            let entry = Entry { is_robot: form.kind == TokenKind::Robot.as_str(), name: form.name, repository: form.repository };
            render(&app, &caller, status, None, entry, Shown::Problem(why)).await
        }
    }
}

async fn make(app: &App, caller: &Caller, form: &NewTokenForm) -> Result<Made, Problem> {
    let end = match form.days.as_str() {
        "" => None,
        days => Some(end(days).ok_or_else(|| Problem::invalid("Choose an end"))?),
    };
    if form.kind == TokenKind::Api.as_str() {
        return create_api_token(app, caller, &form.name, end).await;
    }
    let wanted = [(Action::Pull, &form.pull), (Action::Push, &form.push), (Action::Delete, &form.delete)];
    let robot = Robot {
        name: form.name.clone(),
        repository: form.repository.clone(),
        actions: wanted.into_iter().filter(|(_, ticked)| ticked.is_some()).map(|(action, _)| action).collect(),
        expires_at: end.ok_or_else(|| Problem::invalid("Choose an end: a robot token needs one"))?,
    };
    create_robot_token(app, caller, robot).await
}

/// `POST /tokens/{id}/revoke`.
pub async fn revoke(State(app): State<Arc<App>>, Visitor(caller): Visitor, Path(id): Path<String>) -> Result<Response, PageError> {
    let missing = || Problem::NotFound { object: "Token", id: id.chars().take(80).collect() };
    let id: TokenId = id.parse().map_err(|_| missing())?;
    revoke_token(&app, &caller, id).await?;
    Ok(Redirect::to("/tokens").into_response())
}
