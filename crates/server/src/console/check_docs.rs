//! The pages of the checks, and the one about pushing. They show no data: everybody may read them.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::{
    page::{PageError, page},
    views::{Account, CheckDocsIndex, CheckDocsPage, Section, Shell},
    visitor::who,
};
use crate::{app::App, error::Problem};

/// The Markdown page of a check.
pub fn text(check: &str) -> Option<&'static str> {
    checks::explain::page(check)
}

async fn shell(app: &App, headers: &HeaderMap, title: &str) -> Result<Shell, Problem> {
    let account = who(app, headers).await?.map_or(Account::Stranger, |caller| Account::Known(caller.email));
    Ok(Shell::new(title, Section::Checks, account))
}

/// `GET /docs/checks`.
pub async fn index(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, PageError> {
    let shell = shell(&app, &headers, "Checks").await?;
    let checks = checks::CHECKS.iter().map(|check| (check.id.to_owned(), check.title.to_owned())).collect();
    Ok(page(StatusCode::OK, &CheckDocsIndex { shell, checks }))
}

/// `GET /docs/checks/{id}`; the code of a rule leads to the page of its check.
pub async fn show(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, PageError> {
    let check = model::finding::check_of(&id);
    let markdown = text(check).ok_or_else(|| Problem::NotFound { object: "Check", id: check.chars().take(80).collect() })?;
    Ok(page(StatusCode::OK, &CheckDocsPage::new(shell(&app, &headers, check).await?, markdown)))
}

/// `GET /docs/pushing`.
pub async fn pushing(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, PageError> {
    let markdown = include_str!("../../../../docs/pushing.md");
    Ok(page(StatusCode::OK, &CheckDocsPage::new(shell(&app, &headers, "Pushing and pulling").await?, markdown)))
}

/// `GET /docs/advisories`.
pub async fn advisories(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, PageError> {
    let markdown = include_str!("../../../../docs/advisories.md");
    Ok(page(StatusCode::OK, &CheckDocsPage::new(shell(&app, &headers, "Advisories").await?, markdown)))
}
