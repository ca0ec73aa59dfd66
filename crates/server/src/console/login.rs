//! In and out.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Form,
    extract::{ConnectInfo, RawQuery, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    page::{PageError, page, parameter},
    views::LoginPage,
    visitor::{local, who},
};
use crate::{app::App, auth::session, error::Problem, ops};

/// What the form sends.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct LoginForm {
    email: String,
    password: String,
    next: String,
}

/// `GET /login`.
pub async fn show(State(app): State<Arc<App>>, query: RawQuery, headers: HeaderMap) -> Result<Response, PageError> {
    let next = parameter(&query, "next").unwrap_or_default();
    let next = local(&next);
    if who(&app, &headers).await?.is_some() {
        return Ok(Redirect::to(next).into_response());
    }
    Ok(page(StatusCode::OK, &LoginPage::new("", next, None)))
}

/// `POST /login`.
pub async fn submit(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    form: Result<Form<LoginForm>, FormRejection>,
) -> Result<Response, PageError> {
    let Form(form) = form.map_err(|_| Problem::invalid("The form could not be read; open the login page and fill it in again."))?;
    let next = local(&form.next);
    let problem = match ops::login::login(&app, form.email.trim(), &form.password, &peer.ip().to_string()).await {
        Ok((token, _)) => {
            if let Some(old) = session::cookie(&headers) {
                session::end(&app.db, old).await?;
            }
            let cookie = cookie(&token, session::LIFE_MS / 1000, &app.public_url);
            return Ok(([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response());
        }
        Err(problem @ Problem::Internal { .. }) => return Err(problem.into()),
        Err(problem) => problem,
    };
    let mut response = page(problem.status(), &LoginPage::new(&form.email, next, Some(format!("{}.", problem.message()))));
    if let Problem::RateLimited { retry_after } = problem {
        response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
    }
    Ok(response)
}

/// `POST /logout`.
pub async fn leave(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, PageError> {
    if let Some(token) = session::cookie(&headers) {
        session::end(&app.db, token).await?;
    }
    Ok(([(header::SET_COOKIE, cookie("", 0, &app.public_url))], Redirect::to("/login")).into_response())
}

/// The cookie of a session: no script reads it, no other site sends it.
fn cookie(token: &str, seconds: i64, public_url: &str) -> String {
    let secure = if public_url.starts_with("https://") { "; Secure" } else { "" };
    format!("{}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}", session::COOKIE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_guarded() {
        assert_eq!(
            cookie("abc", 60, "https://gate.example.org"),
            "plimsoll_session=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
        assert!(!cookie("abc", 60, "http://127.0.0.1:8080").contains("Secure"));
    }
}
