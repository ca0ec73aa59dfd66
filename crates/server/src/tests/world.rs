//! A server with its real registry, and short words for requests to it.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::connect_info::MockConnectInfo,
    http::{HeaderMap, Method, Request},
};
use base64::Engine as _;
use image::pack::Packed;
use model::{
    digest::Digest,
    id::{OrganizationId, UserId},
    run::Exit,
};
use serde_json::{Value, json};
use store::accounts::{self, User};
use tower::ServiceExt;

use crate::{Server, app::App, auth::credentials, clock, config::Config, ops::first_start::FirstStart};

pub const EMAIL: &str = "ann@example.org";
pub const PASSWORD: &str = "correct horse battery";

pub struct World {
    pub app: Arc<App>,
    pub dir: tempfile::TempDir,
    router: Router,
    server: Server,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// A refusal of the registry's form with these words.
    #[track_caller]
    pub fn refuses(self, status: u16, code: &str, words: &[&str]) -> Self {
        let answer = self.is(status);
        let error = &answer.json()["errors"][0];
        let message = error["message"].as_str().unwrap_or_default();
        assert!(error["code"] == code && words.iter().all(|word| message.contains(word)), "{code} {words:?}: {answer:?}");
        answer
    }

    #[track_caller]
    pub fn text(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_else(|| panic!("{field} is missing in {self:?}")).to_owned()
    }
}

pub fn basic(login: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{login}:{password}")))
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path).header("host", "gate.test");
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::running(change, sandbox::fake::Fake::scripted(vec![], Exit::Stopped)).await
    }

    /// With engines that do what this sandbox says.
    pub async fn running(change: impl FnOnce(&mut Config), sandbox: sandbox::fake::Fake) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config { data: dir.path().join("data"), listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() };
        change(&mut config);
        Self::on(dir, config, sandbox).await
    }

    /// Stops the server as an operator does, and starts another one on its data.
    pub async fn restarted(self, sandbox: sandbox::fake::Fake) -> Self {
        let Self { app, dir, router, server } = self;
        let config = app.config.clone();
        drop((app, router));
        server.stop().await;
        Self::on(dir, config, sandbox).await
    }

    async fn on(dir: tempfile::TempDir, config: Config, sandbox: sandbox::fake::Fake) -> Self {
        let first = FirstStart { organization: Some(1), email: Some(EMAIL.into()), password: Some(PASSWORD.to_owned().into()) };
        let server = crate::start(config, &first, Arc::new(sandbox)).await.unwrap();
        let app = server.app.clone();
        let peer = SocketAddr::from(([192, 0, 2, 7], 4711));
        let router = crate::http::router(app.clone(), crate::start::registry(&app).router()).layer(MockConnectInfo(peer));
        Self { app, dir, router, server }
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let response = self.router.clone().oneshot(request(method, path, headers, body)).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 16 << 20).await.unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() }
    }

    /// Only the status and where else to look: for answers that do not end.
    pub async fn status(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> (u16, String) {
        let response = self.router.clone().oneshot(request(method, path, headers, body)).await.unwrap();
        let location = response.headers().get("location").map_or("", |value| value.to_str().unwrap());
        (response.status().as_u16(), location.to_owned())
    }

    /// With an `Authorization` header, or none if it is empty.
    pub async fn get(&self, path: &str, authorization: &str) -> Answer {
        self.send("GET", path, &[("authorization", authorization)], Body::empty()).await
    }

    /// `POST /v2/token`.
    pub async fn post_token(&self, fields: &[(&str, &str)]) -> Answer {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        self.send("POST", "/v2/token", &form, serde_urlencoded::to_string(fields).unwrap()).await
    }

    pub async fn graphql(&self, authorization: &str, query: &str) -> Answer {
        let headers = [("content-type", "application/json"), ("authorization", authorization)];
        self.send("POST", "/v3/graphql", &headers, json!({ "query": query }).to_string()).await
    }

    /// The session of an account, as an `Authorization` header.
    pub async fn session(&self, email: &str) -> String {
        let login = format!("mutation {{ userLogin(input: {{userName: {email:?}, password: {PASSWORD:?}}}) {{ token }} }}");
        bearer(self.graphql("", &login).await.is(200).json()["data"]["userLogin"]["token"].as_str().unwrap())
    }

    /// What a query or a deed of an account answers; it must succeed.
    pub async fn as_person(&self, email: &str, query: &str) -> Value {
        let session = self.session(email).await;
        let answer = self.graphql(&session, query).await.is(200).json();
        assert!(answer["errors"].is_null(), "{query}: {answer}");
        answer["data"].clone()
    }

    /// Adds somebody to organization 1, or another one.
    pub async fn person(&self, email: &str, organization: i64, roles: &str) -> UserId {
        let mut tx = self.app.db.write().await.unwrap();
        if accounts::organization(&mut *tx, OrganizationId(organization)).await.unwrap().is_none() {
            accounts::insert_organization(&mut tx, OrganizationId(organization), "Other", 0).await.unwrap();
        }
        let user = User {
            id: UserId(clock::new_id()),
            organization: OrganizationId(organization),
            email: email.into(),
            name: "Somebody".into(),
            password_hash: credentials::hash(PASSWORD).unwrap(),
            roles: roles.into(),
        };
        accounts::insert_user(&mut tx, &user, 0).await.unwrap();
        tx.commit().await.unwrap();
        user.id
    }

    pub async fn blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.send("POST", &path, &[("authorization", &basic(EMAIL, PASSWORD))], bytes.to_vec()).await.is(201);
        digest
    }

    pub async fn put(&self, repository: &str, reference: &str, media_type: &str, bytes: &[u8]) -> Answer {
        let headers = [("authorization", basic(EMAIL, PASSWORD)), ("content-type", media_type.to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.send("PUT", &format!("/v2/{repository}/manifests/{reference}"), &headers, bytes.to_vec()).await
    }

    /// Pushes everything of an image but its top manifest, manifests by digest; then the top under a tag.
    pub async fn push(&self, image: &Packed, repository: &str, tag: &str) -> Answer {
        let document = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok().filter(|value| value["schemaVersion"] == 2);
        let (manifests, blobs): (Vec<_>, Vec<_>) = image.blobs().partition(|(_, bytes)| document(bytes).is_some());
        for (_, bytes) in blobs {
            self.blob(repository, bytes).await;
        }
        for (digest, bytes) in manifests.into_iter().filter(|(digest, _)| *digest != image.top()) {
            let media_type = document(bytes).unwrap()["mediaType"].as_str().unwrap().to_owned();
            self.put(repository, &digest.to_string(), &media_type, bytes).await.is(201);
        }
        self.put(repository, tag, image.media_type(), image.blob(image.top()).unwrap()).await
    }

    /// Pushes a small image that is no engine, and returns its address.
    pub async fn image(&self, repository: &str, tag: &str) -> String {
        let image = image::pack::Pack::new(checks::evidence::platform());
        let image = image.layer(vec![image::pack::File::new("hello", 0o644, repository)]).build().unwrap();
        self.push(&image, repository, tag).await.is(201);
        format!("/v2/{repository}/manifests/{tag}")
    }

    /// A token of `/v2/token` for these scopes.
    pub async fn token(&self, authorization: &str, scopes: &str) -> Answer {
        let query = serde_urlencoded::to_string([("service", "plimsoll"), ("scope", scopes)]).unwrap();
        self.get(&format!("/v2/token?{query}"), authorization).await
    }

    /// The same, as an `Authorization` header.
    pub async fn bearer(&self, authorization: &str, scopes: &str) -> String {
        bearer(&self.token(authorization, scopes).await.is(200).text("token"))
    }
}
