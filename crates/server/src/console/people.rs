//! The people and the rules of the organization, its audit log, and the page on which somebody joins.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use model::organization::Settings;
use secrecy::ExposeSecret;
use serde::Deserialize;
use store::{accounts, audit, invitations};

use super::{
    form::{Sent, mendable},
    page::{PageError, page, parameter, shell},
    views::{AuditPage, JoinPage, Paging, PeoplePage, Section},
    visitor::Visitor,
};
use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
    ops::{
        accept_invitation::accept_invitation,
        invite_user::{invite_user, revoke_invitation},
        manage_user::{remove_user, set_roles},
        update_organization::update_organization,
    },
};

/// `GET /people`.
pub async fn list(State(app): State<Arc<App>>, Visitor(caller): Visitor, query: RawQuery) -> Result<Response, PageError> {
    render(&app, &caller, StatusCode::OK, parameter(&query, "page").as_deref(), None, None).await
}

async fn render(
    app: &App,
    caller: &Caller,
    status: StatusCode,
    asked: Option<&str>,
    link: Option<String>,
    problem: Option<String>,
) -> Result<Response, PageError> {
    caller.require(Permission::ManageOrganization)?;
    let db = app.db.read();
    let paging = Paging::asked("/people", asked);
    let mut users = accounts::users(db, caller.organization, paging.offset(), paging.limit()).await?;
    let paging = paging.cut(&mut users);
    let now = clock::now_ms();
    let open = invitations::list(db, caller.organization, now).await?;
    let settings = accounts::settings(db, caller.organization).await?;
    let name = accounts::organization(db, caller.organization).await?.unwrap_or_default();
    let shell = shell("People", Section::People, caller);
    Ok(page(status, &PeoplePage::new(shell, users, open, paging, name, settings, now).with(link, problem)))
}

/// What the forms of the page send.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct PeopleForm {
    deed: String,
    id: String,
    email: String,
    name: String,
    developer: Option<String>,
    reviewer: Option<String>,
    admin: Option<String>,
    operator: Option<String>,
    self_approval: Option<String>,
    auto_approve: Option<String>,
    immutable: Option<String>,
    target_hours: String,
    override_days: String,
}

impl PeopleForm {
    fn roles(&self) -> Vec<String> {
        let ticked = [("developer", &self.developer), ("reviewer", &self.reviewer), ("admin", &self.admin), ("operator", &self.operator)];
        ticked.into_iter().filter(|(_, ticked)| ticked.is_some()).map(|(role, _)| role.to_owned()).collect()
    }

    /// What is no number is none that is allowed.
    fn settings(&self) -> Settings {
        let number = |typed: &str| typed.trim().parse().unwrap_or(0);
        Settings {
            self_approval: self.self_approval.is_some(),
            auto_approve: self.auto_approve.is_some(),
            deployment_model_immutable: self.immutable.is_some(),
            target_hours: number(&self.target_hours),
            override_days: number(&self.override_days),
        }
    }
}

/// `POST /people`.
pub async fn change(State(app): State<Arc<App>>, Visitor(caller): Visitor, Sent(form): Sent<PeopleForm>) -> Result<Response, PageError> {
    caller.require(Permission::ManageOrganization)?;
    let missing = || Problem::NotFound { object: "User", id: form.id.chars().take(80).collect() };
    let done = match form.deed.as_str() {
        "invite" => invite_user(&app, &caller, &form.email, &form.roles())
            .await
            .map(|invited| Some(format!("{}/join#{}", app.public_url, invited.secret.expose_secret()))),
        "uninvite" => revoke_invitation(&app, &caller, form.id.parse().map_err(|_| missing())?).await.map(|()| None),
        "roles" => set_roles(&app, &caller, form.id.parse().map_err(|_| missing())?, &form.roles()).await.map(|_| None),
        "remove" => remove_user(&app, &caller, form.id.parse().map_err(|_| missing())?).await.map(|_| None),
        "settings" => update_organization(&app, &caller, Some(&form.name), |_| form.settings()).await.map(|_| None),
        _ => Err(Problem::invalid("The form could not be read; open the page again.")),
    };
    match done {
        // The link is shown by this answer and never again.
        Ok(Some(link)) => render(&app, &caller, StatusCode::CREATED, None, Some(link), None).await,
        Ok(None) => Ok(Redirect::to("/people").into_response()),
        Err(problem) => {
            let (status, why) = mendable(problem)?;
            render(&app, &caller, status, None, None, Some(why)).await
        }
    }
}

/// `GET /audit`.
pub async fn log(State(app): State<Arc<App>>, Visitor(caller): Visitor, query: RawQuery) -> Result<Response, PageError> {
    caller.require(Permission::ReadAudit)?;
    let paging = Paging::asked("/audit", parameter(&query, "page").as_deref());
    let mut lines = audit::list(app.db.read(), caller.organization, paging.offset(), paging.limit()).await?;
    let paging = paging.cut(&mut lines);
    let shell = shell("Audit log", Section::People, &caller);
    Ok(page(StatusCode::OK, &AuditPage::new(shell, lines, paging, clock::now_ms())))
}

/// What the form of an invitation sends.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct JoinForm {
    token: String,
    name: String,
    password: String,
}

/// `GET /join`. The secret is behind the `#` of the link, which no browser sends to us: the page's script puts it into the form.
pub async fn join_form() -> Response {
    page(StatusCode::OK, &JoinPage::new(String::new(), None))
}

/// `POST /join`.
pub async fn join(State(app): State<Arc<App>>, Sent(form): Sent<JoinForm>) -> Result<Response, PageError> {
    let token = form.token.rsplit('#').next().unwrap_or_default().trim();
    match accept_invitation(&app, token, &form.name, &form.password).await {
        Ok(_) => Ok(Redirect::to("/login").into_response()),
        Err(Problem::NotFound { .. }) => {
            let message = "This invitation is not good, or not any more: each is good once, for a week. Ask for another one.";
            Ok(page(StatusCode::NOT_FOUND, &JoinPage::new(form.name, Some(message.into()))))
        }
        Err(problem) => {
            let (status, why) = mendable(problem)?;
            Ok(page(status, &JoinPage::new(form.name, Some(why))))
        }
    }
}
