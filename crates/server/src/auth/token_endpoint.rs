//! `/v2/token`: registry clients show who they are and get a token for what they want to do. `GET` is Docker's token specification, `POST`
//! its OAuth2 form, which alone takes refresh tokens: a client that has one no longer needs the password.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json,
    extract::{ConnectInfo, Form, RawQuery, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use registry::{Access, Action, Actions, Grant, Place, Scope};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use store::tokens::TokenKind;

use super::{
    Caller,
    access_token::{Holder, SERVICE},
    address,
    registry::{access, basic, sentence},
};
use crate::{app::App, clock, error::Problem, ops::issue_refresh_token::issue_refresh_token};

/// Most public repositories looked for in one request without credentials.
const MAX_LOOKS: usize = 16;

/// What a client that wants a token sends in a form.
#[derive(Deserialize)]
pub struct TokenForm {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    access_type: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    refresh_token: String,
    #[serde(default)]
    scope: String,
}

/// Why there is no token. The names are those of OAuth2.
struct NoToken {
    error: &'static str,
    problem: Box<Problem>,
    sentence: String,
}

impl NoToken {
    fn request(error: &'static str, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        Self { error, problem: Box::new(Problem::invalid(sentence.clone())), sentence }
    }
}

impl From<Problem> for NoToken {
    fn from(problem: Problem) -> Self {
        Self { error: "invalid_grant", sentence: sentence(&problem), problem: Box::new(problem) }
    }
}

impl IntoResponse for NoToken {
    /// In the forms of OAuth2 and of the registry at once: clients print one or the other.
    fn into_response(self) -> Response {
        let (code, error) = match *self.problem {
            Problem::RateLimited { .. } => ("TOOMANYREQUESTS", "temporarily_unavailable"),
            Problem::InvalidInput { .. } => ("UNSUPPORTED", self.error),
            Problem::Internal { .. } => ("UNKNOWN", "server_error"),
            _ => ("UNAUTHORIZED", self.error),
        };
        let body = json!({
            "errors": [{"code": code, "message": self.sentence, "detail": null}],
            "details": self.sentence, "error": error, "error_description": self.sentence,
        });
        let status = self.problem.status();
        let mut response = (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = header::HeaderValue::from_static("Basic realm=\"plimsoll\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Problem::RateLimited { retry_after } = *self.problem {
            response.headers_mut().insert(header::RETRY_AFTER, retry_after.into());
        }
        response
    }
}

/// `GET /v2/token`: Basic credentials or none, `scope` once or often, `offline_token=true` for a refresh token.
pub async fn get(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query.as_deref().unwrap_or("")).unwrap_or_default();
    let values = |wanted: &str| pairs.iter().filter(|(key, _)| key == wanted).map(|(_, value)| value.clone()).collect::<Vec<_>>();
    let answer = async {
        if values("service").iter().any(|service| service != SERVICE) {
            return Err(foreign_service());
        }
        let wanted = wanted(&values("scope").join(" "))?;
        let Some((login, password)) = basic(&headers) else { return anonymous(&app, &wanted).await };
        let address = address::of(peer.ip(), &headers, &app.config.trusted_proxies);
        let caller = app.credentials.check(&app.db, &login, &password, &address).await?;
        let client = values("client_id").pop().unwrap_or_default();
        let offline = values("offline_token").iter().any(|value| value == "true").then_some(client);
        known(&app, &caller, &wanted, offline).await
    };
    answer.await.unwrap_or_else(IntoResponse::into_response)
}

/// `POST /v2/token`: a form with the grant `password` or `refresh_token`.
pub async fn post(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    form: Result<Form<TokenForm>, FormRejection>,
) -> Response {
    let answer = async {
        let Form(form) = form.map_err(|_| NoToken::request("invalid_request", "send the fields as application/x-www-form-urlencoded"))?;
        granted(&app, &address::of(peer.ip(), &headers, &app.config.trusted_proxies), form).await
    };
    answer.await.unwrap_or_else(IntoResponse::into_response)
}

async fn granted(app: &App, address: &str, form: TokenForm) -> Result<Response, NoToken> {
    if !matches!(form.grant_type.as_str(), "password" | "refresh_token") {
        return Err(NoToken::request("unsupported_grant_type", "grant_type must be password or refresh_token"));
    }
    if form.client_id.is_empty() || form.service.is_empty() {
        return Err(NoToken::request("invalid_request", format!("send client_id, a name of your program, and service={SERVICE}")));
    }
    if form.service != SERVICE {
        return Err(foreign_service());
    }
    let wanted = wanted(&form.scope)?;
    if form.grant_type == "refresh_token" {
        let caller = app.credentials.check_token(&app.db, &form.refresh_token, address, TokenKind::Refresh).await.map_err(|problem| {
            let mut refused = NoToken::from(problem);
            if *refused.problem == Problem::LoginFailed {
                refused.sentence = "this login has expired or was revoked; log in again with docker login".into();
            }
            refused
        })?;
        return known(app, &caller, &wanted, None).await;
    }
    let caller = app.credentials.check(&app.db, &form.username, &form.password, address).await?;
    known(app, &caller, &wanted, (form.access_type == "offline").then_some(form.client_id)).await
}

fn foreign_service() -> NoToken {
    NoToken::request("invalid_request", format!("this registry is service={SERVICE}; tokens for others are issued elsewhere"))
}

fn wanted(text: &str) -> Result<Vec<Scope>, NoToken> {
    Scope::parse_list(text).map_err(|error| NoToken::request("invalid_scope", error.to_string()))
}

/// A token for whoever did not log in: it pulls from public repositories.
async fn anonymous(app: &App, wanted: &[Scope]) -> Result<Response, NoToken> {
    let pull = Actions::of(&[Action::Pull]);
    let mut grants = Vec::new();
    for repository in wanted.iter().filter_map(|scope| scope.name.parse().ok()).take(MAX_LOOKS) {
        if app.credentials.is_public(&app.db, &repository).await? {
            grants.push(Grant { place: Place::Repository(repository), actions: pull });
        }
    }
    let scopes = Access { account: String::new(), grants, scopes: None }.cut(wanted);
    if scopes.is_empty() {
        let host = app.public_url.split_once("://").map_or(app.public_url.as_str(), |(_, host)| host);
        let sentence = format!("log in first: docker login {host}");
        return Err(NoToken { error: "invalid_grant", problem: Box::new(Problem::Unauthenticated), sentence });
    }
    Ok(answer(app, Holder::default(), &scopes, Value::Null)?)
}

/// A token for somebody; with `offline`, the name of a client, also one that gets it further tokens. A client that logged in with a token
/// has one already: it gets none, and so can do nothing once its token is revoked.
async fn known(app: &App, caller: &Caller, wanted: &[Scope], offline: Option<String>) -> Result<Response, NoToken> {
    let mut access = access(caller, None);
    for repository in wanted.iter().filter_map(|scope| scope.name.parse().ok()).take(MAX_LOOKS) {
        super::registry::open_to_all(app, &mut access, &repository).await?;
    }
    let scopes = access.cut(wanted);
    let refresh = match offline.filter(|_| caller.via.is_none()) {
        Some(client) => Value::String(issue_refresh_token(app, caller, &client).await?.expose_secret().to_owned()),
        None => Value::Null,
    };
    let holder = Holder { user: Some(caller.user), via: caller.via.as_ref().map(|via| via.id) };
    Ok(answer(app, holder, &scopes, refresh)?)
}

fn answer(app: &App, holder: Holder, scopes: &[Scope], refresh: Value) -> Result<Response, Problem> {
    let now = clock::now_ms();
    let token = app.tokens.issue(holder, scopes, now)?;
    let scope: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    let mut body = json!({
        "token": token, "access_token": token, "scope": scope.join(" "), "expires_in": app.tokens.seconds(), "issued_at": clock::iso(now),
    });
    if !refresh.is_null() {
        body["refresh_token"] = refresh;
    }
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}
