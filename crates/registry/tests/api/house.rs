//! A registry of its own for each test, and small words for requests to it.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{RawQuery, Request},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http_body_util::BodyExt;
use model::{
    digest::{Algorithm, Digest, Hasher},
    id::OrganizationId,
};
use registry::{Access, Action, Actions, Caller, Code, Grant, Options, Place, Refusal, Registry, Scope, Tap};
use serde_json::{Value, json};
use store::{Db, blobs::Blobs};
use tokio::sync::Notify;
use tower::ServiceExt;
use uuid::Uuid;

pub const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What a tap has seen: the digest it was finished with, and all bytes.
pub type Seen = Arc<Mutex<Vec<(Digest, Vec<u8>)>>>;

struct Recorder {
    bytes: Vec<u8>,
    seen: Seen,
    db: Db,
    early: Arc<Mutex<Vec<bool>>>,
}

impl Tap for Recorder {
    fn write(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
    }

    fn finish(self: Box<Self>, digest: &Digest) {
        let visible = tokio::runtime::Handle::current().block_on(store::repositories::blob_exists(&self.db, digest)).unwrap();
        self.early.lock().unwrap().push(!visible);
        self.seen.lock().unwrap().push((digest.clone(), self.bytes));
    }
}

pub struct House {
    pub dir: Arc<tempfile::TempDir>,
    pub db: Db,
    pub registry: Registry,
    pub clock: Arc<AtomicI64>,
    pub pushed: Arc<Notify>,
    pub seen: Seen,
    /// For each finished tap, whether the blob was still invisible.
    pub early: Arc<Mutex<Vec<bool>>>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }

    pub fn message(&self) -> String {
        self.json()["errors"][0]["message"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> String {
        assert_eq!((self.status.as_u16(), self.code().as_str()), (status, code), "{}", String::from_utf8_lossy(&self.body));
        self.message()
    }

    #[track_caller]
    pub fn ok(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

/// Pulls and pushes in organization 1, reads 3.
pub fn ann() -> Access {
    let grant = |id, actions| Grant { place: Place::Organization(OrganizationId(id)), actions };
    let pull = "repository:x:pull".parse::<registry::Scope>().unwrap().actions;
    Access { account: "ann@example.com".into(), grants: vec![grant(1, Actions::ALL), grant(3, pull)], scopes: None }
}

/// Ann with the right to list repositories.
pub fn ann_listing() -> Access {
    let mut access = ann();
    access.grants.push(Grant { place: Place::Catalog, actions: Actions::of(&[Action::Pull]) });
    access
}

/// Everything in organizations 2 and 3.
pub fn bob() -> Access {
    let grant = |id| Grant { place: Place::Organization(OrganizationId(id)), actions: Actions::ALL };
    Access { account: "bob@example.com".into(), grants: vec![grant(2), grant(3)], scopes: None }
}

impl House {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Options)) -> Self {
        Self::at(Arc::new(tempfile::tempdir().unwrap()), change).await
    }

    pub async fn at(dir: Arc<tempfile::TempDir>, change: impl FnOnce(&mut Options)) -> Self {
        let db = Db::open(&dir.path().join("registry.db")).await.unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        // Files have the machine's time, so the clock starts there.
        let made = std::fs::metadata(dir.path()).unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
        let clock = Arc::new(AtomicI64::new(made.as_millis() as i64));
        let (ids, ticking) = (AtomicU64::new(next_ids()), Arc::clone(&clock));
        let mut options = Options::new(
            Arc::new(move || ticking.load(Ordering::Relaxed)),
            Arc::new(move || Uuid::from_u64_pair(7, ids.fetch_add(1, Ordering::Relaxed))),
        );
        let (seen, early) = (Seen::default(), Arc::<Mutex<Vec<bool>>>::default());
        let (for_taps, for_early, for_db) = (Arc::clone(&seen), Arc::clone(&early), db.clone());
        options.tap = Some(Arc::new(move || {
            Box::new(Recorder { bytes: Vec::new(), seen: Arc::clone(&for_taps), db: for_db.clone(), early: Arc::clone(&for_early) })
        }));
        change(&mut options);
        let pushed = Arc::clone(&options.pushed);
        let registry = Registry::new(db.clone(), blobs, options);
        Self { dir, db, registry, clock, pushed, seen, early }
    }

    /// The same folder after the process has ended and another one has begun.
    pub async fn restarted(self) -> Self {
        let Self { dir, db, registry, .. } = self;
        drop(registry);
        db.close().await;
        Self::at(dir, |_| {}).await
    }

    pub async fn ask(&self, caller: Caller, request: Request) -> Answer {
        let mut request = request;
        request.extensions_mut().insert(caller);
        let response = self.registry.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// As Ann.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        self.ask(Caller::Known(ann()), request(method, path, headers, body)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Body::empty()).await
    }

    /// Begins an upload and returns its address.
    pub async fn start(&self, name: &str) -> String {
        let answer = self.send("POST", &format!("/v2/{name}/blobs/uploads/"), &[("content-length", "0")], Body::empty()).await.ok(202);
        answer.header("location").to_owned()
    }

    pub async fn blob(&self, name: &str, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        self.send("POST", &format!("/v2/{name}/blobs/uploads/?digest={digest}"), &[], content.to_vec()).await.ok(201);
        digest
    }

    pub async fn manifest(&self, name: &str, reference: &str, media_type: &str, document: &Value) -> Answer {
        let bytes = serde_json::to_vec(document).unwrap();
        self.send("PUT", &format!("/v2/{name}/manifests/{reference}"), &[("content-type", media_type)], bytes).await
    }

    /// Pushes a small image and returns the digest of its manifest.
    pub async fn image(&self, name: &str, tag: &str, layer: &[u8]) -> Digest {
        let (config, layer) = (self.blob(name, b"{}").await, self.blob(name, layer).await);
        let answer = self.manifest(name, tag, OCI_IMAGE, &image(&config, &layer)).await.ok(201);
        answer.header("docker-content-digest").parse().unwrap()
    }

    /// Files in the folder of unfinished uploads.
    pub fn uploads(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("uploads")).unwrap().count()
    }

    /// All files below the folder of blobs.
    pub fn blob_files(&self) -> usize {
        fn count(folder: &Path) -> usize {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
        }
        count(&self.dir.path().join("blobs"))
    }

    /// Serves on a free port of the loopback, for the user `ann` with the password `secret`, by Basic or by token.
    pub async fn serve(&self) -> SocketAddr {
        let app: Router = self.registry.router().route("/v2/token", get(token)).layer(middleware::from_fn(authenticate));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        address
    }
}

/// Each process that opens a folder gives other ids, as random ones would be.
fn next_ids() -> u64 {
    static HOUSES: AtomicU64 = AtomicU64::new(1);
    HOUSES.fetch_add(1, Ordering::Relaxed) << 32
}

/// `ann:secret` in base64.
pub const CREDENTIALS: &str = "Basic YW5uOnNlY3JldA==";

async fn authenticate(mut request: Request, next: Next) -> Response {
    let sent = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap());
    let caller = match sent.map(|text| (text, text.strip_prefix("Bearer "))) {
        None => Caller::Anonymous,
        Some((CREDENTIALS, _)) => Caller::Known(ann()),
        Some((_, Some(token))) => {
            let scopes = String::from_utf8(hex::decode(token).unwrap()).unwrap();
            let scopes = scopes.strip_prefix("scopes ").unwrap().to_owned();
            Caller::Known(Access { scopes: Some(Scope::parse_list(&scopes).unwrap()), ..ann() })
        }
        Some(_) => Caller::Refused("wrong user name or password".into()),
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// A token of ours is the scopes it was cut to, in hex; a real one is signed.
async fn token(Extension(caller): Extension<Caller>, RawQuery(query): RawQuery) -> Response {
    let access = match caller {
        Caller::Known(access) => access,
        Caller::Refused(sentence) => {
            return Refusal::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, sentence, Value::Null).into_response();
        }
        Caller::Anonymous | Caller::Guest(_) => panic!("asked for a token without credentials"),
    };
    let query = query.unwrap_or_default();
    let wanted = query.split('&').filter_map(|pair| pair.strip_prefix("scope="));
    let wanted = wanted.flat_map(|text| Scope::parse_list(&registry::route::decode(&text.replace('+', " ")).unwrap()).unwrap());
    let cut: Vec<String> = access.cut(&wanted.collect::<Vec<_>>()).iter().map(Scope::to_string).collect();
    axum::Json(json!({ "token": hex::encode(format!("scopes {}", cut.join(" "))), "expires_in": 300 })).into_response()
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request {
    let mut builder = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path).header("host", "gate.test");
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.into()).unwrap()
}

pub fn image(config: &Digest, layer: &Digest) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2 },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 5 }],
    })
}

/// The other digest.
pub fn sha512(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(bytes);
    hasher.finish()
}

/// Waits until `done` holds; the runner's own time limit ends a test in which it never does.
pub async fn until(mut done: impl AsyncFnMut() -> bool) {
    while !done().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
