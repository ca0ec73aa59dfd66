//! The console: pages made on the server. A handler extracts, checks, calls and renders; what a page shows is decided in [`views`], and
//! nothing is changed here except through `ops` and sessions.

mod acts;
mod assets;
mod builds;
mod check_docs;
mod engines;
mod events;
mod form;
mod guard;
mod login;
mod page;
mod people;
mod query_page;
mod repositories;
mod review;
mod tokens;
mod unclaimed;
mod validate;
mod views;
mod visitor;
mod vulnerabilities;
mod waivers;

#[cfg(test)]
pub(crate) use views::fixtures;

#[cfg(test)]
mod tests;

use axum::{
    extract::{DefaultBodyLimit, Path},
    http::{StatusCode, header},
    middleware::from_fn,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};

use crate::{
    auth::{
        needs::{ACCOUNT, ACT, MANAGE, OPEN, READ, WAIVE, WRITE, right},
        permission::Permission,
    },
    error::Problem,
    routes::Routes,
};
pub use builds::own as own_build;
use page::PageError;
pub use page::parameter;
pub use query_page::query_page;

/// Largest form taken, bytes.
const MAX_FORM: usize = 1 << 20;

/// Every route of the console. The state and the peer's address (`ConnectInfo`) come from whoever serves it.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/", OPEN, || async { Redirect::to("/engines") })
        .get("/login", OPEN, login::show)
        .post("/login", OPEN, login::submit)
        .post("/logout", OPEN, login::leave)
        .get("/engines", READ, engines::list)
        .post("/engines", WRITE, engines::create)
        .get("/engines/new", WRITE, engines::form)
        .get("/engines/{id}", READ, engines::show)
        .get("/engines/{id}/act/{action}", READ, acts::ask_engine)
        .post("/engines/{id}/act/{action}", ACT, acts::act_engine)
        .get("/builds/{id}", READ, builds::show)
        .get("/builds/{id}/act/{action}", READ, acts::ask)
        .post("/builds/{id}/act/{action}", ACT, acts::act)
        // A remark; other kinds of notes need more.
        .post("/builds/{id}/notes", READ, acts::write)
        .get("/builds/{id}/events", READ, events::stream)
        .get("/builds/{id}/log", READ, builds::log)
        .get("/builds/{id}/vulnerabilities", READ, vulnerabilities::show)
        .get("/repositories", READ, repositories::list)
        .post("/repositories", right(&[Permission::PublishRepositories]), repositories::switch)
        .get("/review", READ, review::list)
        .get("/people", MANAGE, people::list)
        .post("/people", MANAGE, people::change)
        .get("/audit", right(&[Permission::ReadAudit]), people::log)
        .get("/join", OPEN, people::join_form)
        .post("/join", OPEN, people::join)
        .get("/unclaimed", READ, unclaimed::list)
        .get("/tokens", ACCOUNT, tokens::list)
        // Robots need a right more.
        .post("/tokens", ACCOUNT, tokens::create)
        .post("/tokens/{id}/revoke", ACCOUNT, tokens::revoke)
        .on(
            "/tools/validate",
            &[("GET", OPEN), ("POST", OPEN)],
            get(validate::form).post(validate::judge).layer(DefaultBodyLimit::max(validate::MAX_BODY)),
        )
        .get("/waivers", READ, waivers::list)
        .post("/waivers", WAIVE, waivers::create)
        .post("/waivers/{id}/revoke", WAIVE, waivers::revoke)
        .get("/docs/advisories", OPEN, check_docs::advisories)
        .get("/docs/checks", OPEN, check_docs::index)
        .get("/docs/checks/{id}", OPEN, check_docs::show)
        .get("/docs/pushing", OPEN, check_docs::pushing)
        .get("/assets/{version}/{name}", OPEN, asset)
        .around(|router| {
            let router = router.fallback(page::nowhere).method_not_allowed_fallback(page::wrong_method);
            router.layer(DefaultBodyLimit::max(MAX_FORM)).layer(from_fn(guard::guard))
        })
}

/// A file of the console; its address changes with its content.
async fn asset(Path((version, name)): Path<(String, String)>) -> Response {
    let Some(asset) = assets::find(&version, &name) else {
        return PageError(Problem::NotFound { object: "Asset", id: String::new() }).into_response();
    };
    let headers = [(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (StatusCode::OK, headers, asset.bytes).into_response()
}
