//! Who is looking at a page. Only the cookie counts here, never a bearer token.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
};

use super::{
    page::{PageError, page},
    views::ComeBack,
};
use crate::{
    app::App,
    auth::{Caller, session},
    error::Problem,
};

/// Where people land who asked for nothing in particular.
pub const HOME: &str = "/engines";

/// Longest address remembered over a login, bytes.
const LONGEST: usize = 512;

/// Somebody who is logged in; everybody else is sent to the login and comes back after it.
pub struct Visitor(pub Caller);

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        match who(app, &parts.headers).await {
            Ok(Some(caller)) => Ok(Self(caller)),
            Ok(None) => Err(to_login(parts)),
            Err(problem) => Err(PageError(problem).into_response()),
        }
    }
}

/// The account of the cookie, if it has a living session.
///
/// # Errors
/// [`Problem::Internal`].
pub async fn who(app: &App, headers: &HeaderMap) -> Result<Option<Caller>, Problem> {
    let Some(token) = session::cookie(headers) else { return Ok(None) };
    match session::caller(&app.db, token).await {
        Ok(caller) => Ok(Some(caller)),
        Err(Problem::Unauthenticated) => Ok(None),
        Err(problem) => Err(problem),
    }
}

fn to_login(parts: &Parts) -> Response {
    let wanted = parts.uri.path_and_query().map_or(HOME, |path| path.as_str());
    if parts.method != Method::GET {
        return Redirect::to("/login").into_response();
    }
    // The cookie is strict: it does not come along with a link on another site. A request from ourselves brings it, if there is one.
    let from_elsewhere = parts.headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site");
    if from_elsewhere && session::cookie(&parts.headers).is_none() {
        return page(StatusCode::OK, &ComeBack { to: local(wanted).to_owned() });
    }
    let query = serde_urlencoded::to_string([("next", local(wanted))]).unwrap_or_default();
    Redirect::to(&format!("/login?{query}")).into_response()
}

/// The address if it is one of ours, else [`HOME`]. A browser takes `//host`, `/\host` and some control characters for other sites.
pub fn local(next: &str) -> &str {
    let mut bytes = next.bytes();
    let is_path = bytes.next() == Some(b'/') && !matches!(bytes.next(), Some(b'/' | b'\\'));
    let is_plain = next.len() <= LONGEST && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path && is_plain { next } else { HOME }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_nowhere_else() {
        for good in ["/", "/builds/1", "/engines?page=2", "/docs/checks/a.b#c"] {
            assert_eq!(local(good), good);
        }
        let long = format!("/{}", "x".repeat(600));
        for bad in [
            "",
            "builds",
            "//evil.example.com",
            "/\\evil.example.com",
            "/\t/evil.example.com",
            "https://evil.example.com",
            "/a\\b",
            "/ä",
            &long,
        ] {
            assert_eq!(local(bad), HOME, "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_asked_stays_here(next: String) {
            let local = local(&next);
            let whole = format!("http://gate.example.org{local}");
            let authority = whole.parse::<axum::http::Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string));
            proptest::prop_assert!(local.starts_with('/') && !local.starts_with("//"));
            proptest::prop_assert!(authority.is_none_or(|authority| authority == "gate.example.org"), "{}", whole);
        }
    }
}
