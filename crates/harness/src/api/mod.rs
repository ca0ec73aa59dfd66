//! What an engine reaches from inside: the API, its input files, its hooks. Served on a socket inside the run's network only.
//!
//! Everything that arrives here comes from untrusted code: connections, headers, bodies, fields and times are capped.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
};
use tower::ServiceExt;

use crate::{
    desk::Desk,
    graphql::{EngineSchema, schema},
};

mod body;
mod endpoint;
mod files;
mod hooks;
mod keys;

pub(crate) use body::InFlight;

/// Longest time between two pieces of a request.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of all requests being read at one time.
const IN_FLIGHT: u64 = 256 << 20;
/// Bytes of a request's head.
const MAX_HEAD: usize = 64 << 10;

/// What the handlers share.
pub(crate) struct Api {
    pub(crate) desk: Arc<Desk>,
    schema: EngineSchema,
    in_flight: Arc<InFlight>,
    /// One query at a time: an engine must not keep every core of the host busy with ours.
    turn: Semaphore,
}

/// The running server; dropped, it is gone with all its connections.
pub(crate) struct Server {
    accepting: AbortHandle,
    shown: Shown,
}

/// What is served now. Each request asks anew, also within one connection.
type Shown = Arc<RwLock<Router>>;

impl Server {
    /// Serves another desk from now on: nothing of the former can be reached any more.
    pub(crate) fn show(&self, desk: Arc<Desk>) {
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = router(desk);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves the API on `listener` until the [`Server`] is dropped.
pub(crate) fn serve(listener: TcpListener, desk: Arc<Desk>) -> Server {
    let connections = desk.caps.connections;
    let shown = Shown::new(RwLock::new(router(desk)));
    let served = Arc::clone(&shown);
    let task = tokio::spawn(async move { accept(listener, served, connections).await });
    Server { accepting: task.abort_handle(), shown }
}

fn router(desk: Arc<Desk>) -> Router {
    let api = Arc::new(Api { desk, schema: schema(), in_flight: Arc::new(InFlight::new(IN_FLIGHT)), turn: Semaphore::new(1) });
    Router::new()
        .route("/v3/graphql", post(endpoint::graphql).get(endpoint::wants_post))
        .route("/v3/graphql/", post(endpoint::graphql).get(endpoint::wants_post))
        .route("/files/{key}", get(files::file))
        .route("/files/{key}/{name}", get(files::named_file))
        .route("/hooks/{key}/callback", get(hooks::callback).post(hooks::callback))
        .route("/hooks/{key}/heartbeat", post(hooks::heartbeat))
        .route("/hooks/{key}/result", post(hooks::result))
        .route("/hooks/{key}/values/keys/{scope}/{name}", get(keys::get).post(keys::put))
        .fallback(nothing_here)
        .layer(DefaultBodyLimit::disable())
        .with_state(api)
}

/// Accepts connections; the tasks that serve them end with this one.
async fn accept(listener: TcpListener, shown: Shown, connections: usize) {
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        if open.len() >= connections {
            open.join_next().await;
            continue;
        }
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, or the peer was faster: the next attempt must not spin.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shown = Arc::clone(&shown);
        let service = TowerToHyperService::new(tower::service_fn(move |request| {
            let router = shown.read().unwrap_or_else(PoisonError::into_inner).clone();
            router.oneshot(request)
        }));
        open.spawn(async move {
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(MAX_HEAD);
            // A connection that breaks is the engine's affair; what it had asked for is already written down.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn nothing_here(State(api): State<Arc<Api>>, request: Request) -> Response {
    let asked: String = format!("{} {}", request.method(), request.uri().path()).chars().take(200).collect();
    api.desk.refuse(&asked, "no such address");
    refusal(StatusCode::NOT_FOUND, "not_found", "Nothing is at this address; the API is at /v3/graphql")
}

/// An error outside GraphQL, in the same shape.
fn refusal(status: StatusCode, name: &str, message: &str) -> Response {
    (status, Json(json!({"errors": [{"message": message, "name": name}]}))).into_response()
}
