//! The OCI distribution API. Knows names, blobs, manifests and uploads; has never heard of people or builds. Who may do what is told
//! by the server with each request ([`Caller`]), what is in a blob is for a [`Tap`] to see, and a push ends in a row of the outbox.
//!
//! A 2xx answer to something that was sent means: it is on the disk.

pub mod access;
mod blobs;
mod catalog;
pub mod document;
pub mod door;
pub mod garbage;
mod holds;
pub mod incoming;
mod manifests;
pub mod options;
pub mod paging;
mod quota;
pub mod range;
mod receive;
mod referrers;
pub mod refusal;
mod request;
pub mod route;
pub mod scope;
mod sessions;
pub mod tap;
mod uploads;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::any,
};
use model::name::RepoName;
use serde_json::{Value, json};
use store::{Db, blobs::Blobs};
use tracing::Instrument;

pub use crate::{
    access::{Access, Caller, Forbidden, Grant, Place},
    door::{Arrival, Door, Remarks, TurnedAway},
    options::{Challenge, Limits, Options},
    refusal::{Code, Refusal},
    scope::{Action, Actions, Scope, ScopeError},
    tap::{Tap, TapFactory},
};
use crate::{holds::Holds, incoming::Incoming, quota::Quotas, refusal::shortened, request::Asking, route::Target, sessions::Sessions};

/// How much of an unwanted body is read away.
const DRAIN_BYTES: usize = 8 << 20;

/// What the registry could not do for the server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("uploads could not be swept")]
    Sweep(#[source] store::Error),
    /// The store failed.
    #[error("garbage could not be collected")]
    Collect(#[source] store::Error),
    /// A thread of ours ended before its work was done.
    #[error("clearing up was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// A registry. Clones are the same one.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    db: Db,
    blobs: Blobs,
    options: Options,
    sessions: Sessions,
    holds: Holds,
    quotas: Quotas,
}

impl Inner {
    fn now(&self) -> i64 {
        (self.options.clock)()
    }
}

impl Registry {
    /// A registry on this database and these files.
    pub fn new(db: Db, blobs: Blobs, options: Options) -> Self {
        Self {
            inner: Arc::new(Inner {
                db,
                blobs,
                options,
                sessions: Sessions::default(),
                holds: Holds::default(),
                quotas: Quotas::default(),
            }),
        }
    }

    /// Its routes: `/v2/` and everything below. Put the layer that sets [`Caller`] around it.
    pub fn router(&self) -> Router {
        Router::new().route("/v2", any(serve)).route("/v2/", any(serve)).route("/v2/{*rest}", any(serve)).with_state(self.clone())
    }
}

async fn serve(State(registry): State<Registry>, request: Request) -> Response {
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let work = handle(Arc::clone(&registry.inner), request);
    let mut response = if only_reads {
        work.await
    } else {
        // In a task of its own: when a client hangs up, what it had begun (a write, a commit) still comes to its end.
        let ended = tokio::spawn(work.in_current_span()).await;
        ended.unwrap_or_else(|error| Refusal::internal(&error).into_response())
    };
    response.headers_mut().insert(HeaderName::from_static("docker-distribution-api-version"), HeaderValue::from_static("registry/2.0"));
    response
}

async fn handle(inner: Arc<Inner>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let waits = parts.headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let mut body = Incoming::new(body, inner.options.limits.body_idle, waits);
    match dispatch(&inner, &parts, &mut body).await {
        Ok(response) => response,
        Err(refusal) => {
            body.drain(DRAIN_BYTES).await;
            let refusal = if parts.method == Method::HEAD { refusal.without_body() } else { refusal };
            refusal.into_response()
        }
    }
}

async fn dispatch(inner: &Inner, parts: &Parts, body: &mut Incoming) -> Result<Response, Refusal> {
    let asking = Asking { caller: parts.extensions.get(), headers: &parts.headers, uri: &parts.uri, challenge: &inner.options.challenge };
    let nowhere = || {
        let message = "the registry has no such address; names look like 1/my-engine, and tags are listed at /v2/1/my-engine/tags/list";
        Refusal::not_found(Code::Unsupported, message, json!({ "path": shortened(parts.uri.path()) }))
    };
    let rest = parts.uri.path().strip_prefix("/v2").unwrap_or_default().trim_start_matches('/');
    if rest.is_empty() {
        return base(&asking, &parts.method);
    }
    let path = route::decode(rest).ok_or_else(nowhere)?;
    if path == "_catalog" {
        return match parts.method.as_str() {
            "GET" | "HEAD" => catalog::list(inner, &asking).await,
            _ => Err(Refusal::method("GET")),
        };
    }
    let Some((name, target)) = route::parse(&path) else {
        asking.known(None)?;
        return Err(nowhere());
    };
    let repository: RepoName = match name.parse() {
        Ok(repository) => repository,
        Err(error) => {
            let home = asking.known(None)?.home(Action::Push);
            let reads = matches!(parts.method, Method::GET | Method::HEAD);
            return Err(if reads { Refusal::name(&error, name) } else { Refusal::name_denied(&error, name, home) });
        }
    };
    let (asking, repository) = (&asking, &repository);
    match (target, parts.method.as_str()) {
        (Target::Blob(digest), method @ ("GET" | "HEAD")) => blobs::get(inner, asking, repository, digest, method == "GET").await,
        (Target::Blob(digest), "DELETE") => blobs::delete(inner, asking, repository, digest).await,
        (Target::Blob(_), _) => Err(Refusal::method("GET, HEAD, DELETE")),
        (Target::Manifest(reference), method @ ("GET" | "HEAD")) => {
            manifests::get(inner, asking, repository, reference, method == "GET").await
        }
        (Target::Manifest(reference), "PUT") => manifests::put(inner, asking, repository, reference, body).await,
        (Target::Manifest(reference), "DELETE") => manifests::delete(inner, asking, repository, reference).await,
        (Target::Manifest(_), _) => Err(Refusal::method("GET, HEAD, PUT, DELETE")),
        (Target::Uploads, "POST") => uploads::start(inner, asking, repository, body).await,
        (Target::Uploads, _) => Err(Refusal::method("POST")),
        (Target::Upload(id), "PATCH") => uploads::add(inner, asking, repository, id, body).await,
        (Target::Upload(id), "PUT") => uploads::complete(inner, asking, repository, id, body).await,
        (Target::Upload(id), "GET" | "HEAD") => uploads::status(inner, asking, repository, id).await,
        (Target::Upload(id), "DELETE") => uploads::cancel(inner, asking, repository, id).await,
        (Target::Upload(_), _) => Err(Refusal::method("GET, PATCH, PUT, DELETE")),
        (Target::Tags, "GET" | "HEAD") => manifests::tags(inner, asking, repository).await,
        (Target::Tags, _) => Err(Refusal::method("GET")),
        (Target::Referrers(digest), "GET" | "HEAD") => referrers::list(inner, asking, repository, digest).await,
        (Target::Referrers(_), _) => Err(Refusal::method("GET")),
    }
}

/// `GET /v2/`: whether the API is here and the credentials are good. Always a challenge to who shows none, or Docker never sends any.
fn base(asking: &Asking<'_>, method: &Method) -> Result<Response, Refusal> {
    asking.known(None)?;
    if method != Method::GET && method != Method::HEAD {
        return Err(Refusal::method("GET"));
    }
    let mut response = axum::Json(Value::Object(serde_json::Map::new())).into_response();
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}
