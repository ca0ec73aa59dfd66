//! The routes of the one port and what all of them share: limits, headers, the log of requests.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::post,
};
use model::id::BuildId;
use serde_json::json;
use store::{builds, engine_files::Kind, engines};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::{
    app::App,
    asset_files,
    auth::{
        self, Caller,
        needs::{OPEN, READ, READ_TASKS, WRITE},
        party::Party,
        permission::Permission,
        token_endpoint,
    },
    console, engine_files,
    error::Problem,
    graphql, refused_body,
    routes::Routes,
    sbom, served_report, tools,
};

/// Every route of the server but those of the registry, which keeps its own house (`auth::needs::REGISTRY`).
pub(crate) fn routes() -> Routes {
    let file = [("GET", READ), ("PUT", WRITE), ("DELETE", WRITE)];
    let tool = [("GET", OPEN), ("POST", OPEN)];
    Routes::new()
        // Each field says what it needs.
        .on("/v3/graphql", &[("POST", OPEN)], post(graphql::handle).layer(DefaultBodyLimit::disable()))
        .get("/v3/graphiql", OPEN, console::query_page)
        .get("/v3/builds/{id}/report", READ, report)
        .get("/v3/builds/{id}/sbom", READ, sbom::get)
        .get("/v3/engines/{id}/manifest", READ, engine_manifest)
        .on("/v3/engines/{id}/sample", &file, engine_files::routes(Kind::Sample))
        .on("/v3/engines/{id}/truth", &file, engine_files::routes(Kind::Truth))
        .on("/v3/tools/engine/validate", &tool, tools::route())
        .on("/v3/tools/engine/validate/", &tool, tools::route())
        // Also whoever has a signed address, and an engine for its own.
        .get("/v3/assets/{id}/file", READ_TASKS, asset_files::get)
        .get("/v3/tasks/{id}/log", READ_TASKS, asset_files::get_log)
        .get("/v2/token", OPEN, token_endpoint::get)
        .post("/v2/token", OPEN, token_endpoint::post)
        .get("/healthz", OPEN, || async { "ok\n" })
        .get("/readyz", OPEN, ready)
        .merge(console::routes())
}

/// The server, ready to answer.
pub fn router(app: Arc<App>, registry: Router) -> Router {
    let registry = registry.layer(from_fn_with_state(app.clone(), auth::registry::middleware));
    let api = routes().router().with_state(app);
    let header = |name: HeaderName, value: &'static str| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    api.layer(from_fn(refused_body::read_away))
        .layer(header(header::X_FRAME_OPTIONS, "DENY"))
        .merge(registry)
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "same-origin"))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(panicked))
}

/// A bug: the request gets an id, the log gets the rest, the server goes on.
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
    Problem::internal(&std::io::Error::other(format!("panic: {text}"))).into_response()
}

/// The caller of a request: bearer token or the console's cookie.
///
/// # Errors
/// [`Problem::Unauthenticated`], [`Problem::RateLimited`].
pub async fn caller(app: &App, peer: SocketAddr, headers: &HeaderMap) -> Result<Caller, Problem> {
    match (auth::session::bearer(headers), auth::session::cookie(headers)) {
        (Some(token), _) => auth::bearer(app, token, &auth::address::of(peer.ip(), headers, &app.config.trusted_proxies)).await,
        (None, Some(token)) => auth::session::caller(&app.db, token).await,
        (None, None) => Err(Problem::Unauthenticated),
    }
}

/// The caller of a request about tasks and recordings: a person, their program, or an engine.
///
/// # Errors
/// As [`caller`].
pub async fn party(app: &App, peer: SocketAddr, headers: &HeaderMap) -> Result<Party, Problem> {
    match auth::session::bearer(headers) {
        Some(token) => auth::party(app, token, &auth::address::of(peer.ip(), headers, &app.config.trusted_proxies)).await,
        None => caller(app, peer, headers).await.map(Party::Person),
    }
}

/// `GET /v3/builds/{id}/report`: the report as a file (build report).
async fn report(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = caller(&app, peer, &headers).await?;
    caller.require(Permission::ReadEngines)?;
    let missing = || Problem::NotFound { object: "Build", id: id.chars().take(80).collect() };
    let build: BuildId = id.parse().map_err(|_| missing())?;
    if builds::organization(app.db.read(), build).await? != Some(caller.organization) {
        return Err(missing());
    }
    let row = builds::by_id(app.db.read(), build).await?.ok_or_else(missing)?;
    let document = served_report::document(app.db.read(), &row).await?.ok_or_else(missing)?.to_string();
    let file = format!("attachment; filename=\"build-report-{build}.json\"");
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_DISPOSITION, file),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, document).into_response())
}

/// `GET /v3/engines/{id}/manifest`: a manifest of this engine, ready to be put into an image.
async fn engine_manifest(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = caller(&app, peer, &headers).await?;
    caller.require(Permission::ReadEngines)?;
    let missing = || Problem::NotFound { object: "Engine", id: id.chars().take(80).collect() };
    let engine = engines::by_id(app.db.read(), id.parse().map_err(|_| missing())?).await?;
    let engine = engine.filter(|engine| engine.organization == caller.organization && !engine.deleted).ok_or_else(missing)?;
    let url = format!("{}/engines/{}", app.public_url, engine.id);
    let document = format!("{:#}\n", checks::contract::manifest::generate(engine.id, engine.category, &url));
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"manifest.json\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, document).into_response())
}

/// Ready to serve: the database answers.
async fn ready(State(app): State<Arc<App>>) -> Response {
    match store::jobs::open_count(&app.db).await {
        Ok(open) => Json(json!({"ready": true, "openJobs": open})).into_response(),
        Err(error) => {
            tracing::error!(error = crate::error::chain(&error), "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"ready": false}))).into_response()
        }
    }
}
