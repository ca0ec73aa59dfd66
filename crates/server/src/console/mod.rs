//! The console: pages made on the server. A handler extracts, checks, calls and renders; what a page shows is decided in [`views`], and
//! nothing is changed here except through `ops` and sessions.

mod acts;
mod assets;
mod builds;
mod check_docs;
mod engines;
mod events;
mod guard;
mod login;
mod page;
mod people;
mod query_page;
mod review;
mod tokens;
mod unclaimed;
mod views;
mod visitor;
mod vulnerabilities;

#[cfg(test)]
pub(crate) use views::fixtures;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Path},
    http::{StatusCode, header},
    middleware::from_fn,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};

use crate::{app::App, error::Problem};
pub use builds::own as own_build;
use page::PageError;
pub use page::parameter;
pub use query_page::query_page;

/// Largest form taken, bytes.
const MAX_FORM: usize = 1 << 20;

/// Every route of the console. The state and the peer's address (`ConnectInfo`) come from whoever serves it.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(|| async { Redirect::to("/engines") }))
        .route("/login", get(login::show).post(login::submit))
        .route("/logout", post(login::leave))
        .route("/engines", get(engines::list).post(engines::create))
        .route("/engines/new", get(engines::form))
        .route("/engines/{id}", get(engines::show))
        .route("/engines/{id}/act/{action}", get(acts::ask_engine).post(acts::act_engine))
        .route("/builds/{id}", get(builds::show))
        .route("/builds/{id}/act/{action}", get(acts::ask).post(acts::act))
        .route("/builds/{id}/notes", post(acts::write))
        .route("/builds/{id}/events", get(events::stream))
        .route("/builds/{id}/log", get(builds::log))
        .route("/builds/{id}/vulnerabilities", get(vulnerabilities::show))
        .route("/review", get(review::list))
        .route("/people", get(people::list).post(people::change))
        .route("/audit", get(people::log))
        .route("/join", get(people::join_form).post(people::join))
        .route("/unclaimed", get(unclaimed::list))
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/{id}/revoke", post(tokens::revoke))
        .route("/docs/advisories", get(check_docs::advisories))
        .route("/docs/checks", get(check_docs::index))
        .route("/docs/checks/{id}", get(check_docs::show))
        .route("/docs/pushing", get(check_docs::pushing))
        .route("/assets/{version}/{name}", get(asset))
        .fallback(page::nowhere)
        .method_not_allowed_fallback(page::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(from_fn(guard::guard))
}

/// A file of the console; its address changes with its content.
async fn asset(Path((version, name)): Path<(String, String)>) -> Response {
    let Some(asset) = assets::find(&version, &name) else {
        return PageError(Problem::NotFound { object: "Asset", id: String::new() }).into_response();
    };
    let headers = [(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (StatusCode::OK, headers, asset.bytes).into_response()
}
