//! A server with an organization, people, an engine and builds, and a way to ask it.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::connect_info::MockConnectInfo,
    http::{HeaderMap, Request, StatusCode, header},
};
use model::{
    build::BuildStatus,
    capability::Capability,
    digest::Digest,
    engine::DeploymentModel,
    id::{BuildId, EngineId, OrganizationId, UserId},
    report::Report,
    run::Exit,
};
use store::{
    accounts::{self, User},
    builds::{self, Build},
    engines::{self, Engine},
};
use tower::ServiceExt;

use crate::{
    Server,
    app::App,
    auth::{credentials, session},
    clock,
    config::Config,
    console::routes,
    ops::first_start::FirstStart,
};

pub const EMAIL: &str = "dev@example.org";
pub const PASSWORD: &str = "correct horse battery";
pub const OTHER: OrganizationId = OrganizationId(2);

pub struct World {
    pub app: Arc<App>,
    pub router: Router,
    _server: Server,
    _dir: tempfile::TempDir,
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn assert_has(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.body.contains(part), "{part:?} is missing in {} {}", self.status, self.body);
        }
    }
}

impl World {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data: dir.path().join("data"), listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() };
        let first = FirstStart { organization: Some(1), email: Some(EMAIL.into()), password: Some(PASSWORD.to_owned().into()) };
        let sandbox = sandbox::fake::Fake::scripted(vec![], Exit::Stopped);
        let server = crate::start(config, &first, Arc::new(sandbox)).await.unwrap();
        let app = server.app.clone();
        let peer = SocketAddr::from(([192, 0, 2, 7], 4711));
        let router = routes().router().with_state(app.clone()).layer(MockConnectInfo(peer));
        Self { app, router, _server: server, _dir: dir }
    }

    pub async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 16 << 20).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.into()).unwrap() }
    }

    pub async fn get(&self, path: &str, cookie: &str) -> Answer {
        self.ask(Request::get(path).header(header::COOKIE, cookie).header(header::ACCEPT, "text/html").body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, cookie: &str, form: &[(&str, &str)]) -> Answer {
        self.ask(post(path, cookie, form)).await
    }

    /// The cookie of a session of this account.
    pub async fn cookie_of(&self, email: &str) -> String {
        let user = accounts::user_by_email(self.app.db.read(), email).await.unwrap().unwrap();
        format!("{}={}", session::COOKIE, session::begin(&self.app.db, user.id).await.unwrap())
    }

    /// The cookie of the first account.
    pub async fn cookie(&self) -> String {
        self.cookie_of(EMAIL).await
    }

    /// An account with these roles.
    pub async fn person(&self, email: &str, organization: OrganizationId, roles: &str) {
        let mut tx = self.app.db.write().await.unwrap();
        if organization == OTHER {
            accounts::insert_organization(&mut tx, OTHER, "Other", 0).await.unwrap();
        }
        let user = User {
            id: UserId(clock::new_id()),
            organization,
            email: email.into(),
            name: "Somebody".into(),
            password_hash: credentials::hash(PASSWORD).unwrap(),
            roles: roles.into(),
        };
        accounts::insert_user(&mut tx, &user, 0).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub async fn engine(&self, organization: OrganizationId, name: &str) -> EngineId {
        let engine = Engine {
            id: EngineId(clock::new_id()),
            organization,
            name: name.into(),
            description: String::new(),
            category: Capability::Keyword,
            deployment_model: DeploymentModel::FullyNetworkIsolated,
            extra: serde_json::json!({}),
            disabled: false,
            deleted: false,
            last_version: 0,
            created_by: EMAIL.into(),
            created_at: 0,
            modified_at: 0,
        };
        let mut tx = self.app.db.write().await.unwrap();
        engines::insert(&mut tx, &engine).await.unwrap();
        tx.commit().await.unwrap();
        engine.id
    }

    pub async fn build(&self, engine: EngineId, status: BuildStatus) -> BuildId {
        let id = BuildId(clock::new_id());
        let mut tx = self.app.db.write().await.unwrap();
        let version = engines::next_version(&mut tx, engine).await.unwrap();
        let build = Build {
            id,
            engine,
            version,
            status,
            repository: "1/word-list".into(),
            tag: "rc3".into(),
            digest: Digest::of(id.to_string().as_bytes()),
            manifest: serde_json::json!({"engineId": engine}),
            pushed_by: EMAIL.into(),
            pushed_at: 0,
            created_at: 0,
            modified_at: 0,
            life: store::build_life::Life::default(),
        };
        builds::insert(&mut tx, &build).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Stores a report as text, so that one of another version can be played.
    pub async fn document(&self, build: BuildId, text: &str) {
        let mut tx = self.app.db.write().await.unwrap();
        let insert = sqlx::query(
            "INSERT INTO reports (build_id, revision, document, created_at) \
             SELECT $1, coalesce(max(revision), 0) + 1, $2, 0 FROM reports WHERE build_id = $1",
        );
        insert.bind(build.to_string()).bind(text).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub async fn report(&self, build: BuildId, report: &Report) {
        let mut tx = self.app.db.write().await.unwrap();
        builds::insert_report(&mut tx, build, report, 0).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub async fn status(&self, build: BuildId, from: BuildStatus, to: BuildStatus) {
        let mut tx = self.app.db.write().await.unwrap();
        assert!(builds::set_status(&mut tx, build, from, to, 1).await.unwrap());
        tx.commit().await.unwrap();
    }
}

pub fn post(path: &str, cookie: &str, form: &[(&str, &str)]) -> Request<Body> {
    let request = Request::post(path).header(header::COOKIE, cookie).header("sec-fetch-site", "same-origin");
    let body = serde_urlencoded::to_string(form).unwrap();
    request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from(body)).unwrap()
}
