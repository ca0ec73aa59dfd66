//! Answers as pages: a rendered view, or what did not work.

use askama::Template;
use axum::{
    extract::RawQuery,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{Html, IntoResponse, Redirect, Response},
};

use super::views::{Account, Failure, Section, Shell};
use crate::{
    auth::{Caller, permission::Permission},
    error::Problem,
};

/// The shell of a page for somebody who is logged in.
pub fn shell(title: impl Into<String>, section: Section, caller: &Caller) -> Shell {
    Shell { manages: caller.may(Permission::ManageOrganization), ..Shell::new(title, section, Account::Known(caller.email.clone())) }
}

/// A view as an answer.
pub fn page(status: StatusCode, view: &impl Template) -> Response {
    match view.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

/// The first value of a query parameter.
pub fn parameter(query: &RawQuery, name: &str) -> Option<String> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query.0.as_deref()?).ok()?;
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// What did not work, as a page.
#[derive(Debug)]
pub struct PageError(pub Problem);

impl<E: Into<Problem>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let problem = self.0;
        let (message, error_id) = match &problem {
            Problem::Unauthenticated => return Redirect::to("/login").into_response(),
            Problem::NotFound { .. } => ("The page does not exist, or it belongs to another organization.".to_owned(), None),
            Problem::Internal { error_id } => {
                let message = "It is not your fault. Try again; if it stays like this, give the operator the id below.";
                (message.to_owned(), Some(error_id.clone()))
            }
            other => (other.message(), None),
        };
        let mut response = page(problem.status(), &Failure::new(problem.status().as_u16(), message, error_id));
        if let Problem::RateLimited { retry_after } = problem {
            response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
        }
        response
    }
}

/// An address that nobody knows: a page for browsers, the form of the API for everybody else.
pub async fn nowhere(uri: Uri, headers: HeaderMap) -> Response {
    let problem = Problem::NotFound { object: "Page", id: uri.path().chars().take(80).collect() };
    let wants_page = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/html"));
    if wants_page { PageError(problem).into_response() } else { problem.into_response() }
}

/// A known address asked in a way it does not answer.
pub async fn wrong_method(method: Method) -> Response {
    let message = format!("This address does not answer {method}. Go back and use the page's own links and buttons.");
    page(StatusCode::METHOD_NOT_ALLOWED, &Failure::new(405, message, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_or_not_but_never_an_error() {
        let query = |text: &str| RawQuery(Some(text.into()));
        assert_eq!(parameter(&query("a=1&page=2&page=3"), "page").as_deref(), Some("2"));
        assert_eq!(parameter(&query("next=%2Fbuilds%2F1%3Fa%3Db"), "next").as_deref(), Some("/builds/1?a=b"));
        assert_eq!(parameter(&query("%ff&&=&"), "page"), None);
        assert_eq!(parameter(&RawQuery(None), "page"), None);
    }

    #[test]
    fn problems_have_their_status() {
        let status = |problem| PageError(problem).into_response().status().as_u16();
        assert_eq!(status(Problem::NotFound { object: "Build", id: "x".into() }), 404);
        assert_eq!(status(Problem::NotAllowed("no".into())), 403);
        assert_eq!(status(Problem::Internal { error_id: "x".into() }), 500);
        assert_eq!(status(Problem::Unauthenticated), 303);
        let busy = PageError(Problem::RateLimited { retry_after: 7 }).into_response();
        assert_eq!((busy.status().as_u16(), busy.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    }
}
