//! The page for queries by hand. It needs nothing from elsewhere.

use axum::{http::StatusCode, response::Response};

use super::{guard::with_headers, page::page, views::QueryPage};

/// `GET /v3/graphiql`. Whoever is logged in at the console asks as themselves; anybody else logs in by `userLogin` or gives a token.
pub async fn query_page() -> Response {
    with_headers(page(StatusCode::OK, &QueryPage::new()))
}
