//! The registry's view of our users: passwords and tokens become a [`registry::Caller`], and `/v2/token` issues the tokens.
//!
//! A token is signed, lives for minutes and holds only what its owner may do at that moment; rights are looked up anew with each request,
//! so a right that was taken away is gone at once.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json,
    extract::{ConnectInfo, Form, RawQuery, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::Engine as _;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use model::id::UserId;
use registry::{Access, Action, Actions, Caller as Sender, Grant, Place, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::accounts;

use super::{Caller, permission::Permission, session};
use crate::{app::App, clock, error::Problem};

/// The name of this registry in tokens and challenges.
pub const SERVICE: &str = "plimsoll";

/// Signs and checks tokens.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    seconds: u64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: UserId,
    aud: String,
    iat: u64,
    exp: u64,
    scope: Vec<String>,
}

impl Tokens {
    /// With the key of this installation.
    pub fn new(key: &[u8], seconds: u64) -> Self {
        Self { encoding: EncodingKey::from_secret(key), decoding: DecodingKey::from_secret(key), seconds }
    }

    fn issue(&self, user: UserId, scopes: &[Scope], now_ms: i64) -> Result<String, Problem> {
        let iat = u64::try_from(now_ms / 1000).unwrap_or(0);
        let scope = scopes.iter().map(ToString::to_string).collect();
        let claims = Claims { sub: user, aud: SERVICE.into(), iat, exp: iat + self.seconds, scope };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).map_err(|error| Problem::internal(&error))
    }

    fn read(&self, token: &str) -> Option<Claims> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[SERVICE]);
        rules.leeway = 5;
        decode::<Claims>(token, &self.decoding, &rules).ok().map(|data| data.claims)
    }
}

/// What an account may do in the registry.
fn access(caller: &Caller, scopes: Option<Vec<Scope>>) -> Access {
    let mut allowed = Vec::new();
    if caller.may(Permission::PullImages) {
        allowed.push(Action::Pull);
    }
    if caller.may(Permission::PushImages) {
        allowed.extend([Action::Push, Action::Delete]);
    }
    let grant = Grant { place: Place::Organization(caller.organization), actions: Actions::of(&allowed) };
    Access { account: caller.email.clone(), grants: vec![grant], scopes }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// A sentence a person sees in the output of their client.
fn refusal(problem: &Problem) -> String {
    match problem {
        Problem::LoginFailed => "the user name or the password is wrong; use those of the console".into(),
        other => other.message(),
    }
}

async fn identify(app: &App, peer: SocketAddr, headers: &HeaderMap) -> Result<Sender, Problem> {
    if let Some((email, password)) = basic(headers) {
        return match app.credentials.check(&app.db, &email, &password, &peer.ip().to_string()).await {
            Ok(caller) => Ok(Sender::Known(access(&caller, None))),
            Err(problem @ Problem::Internal { .. }) => Err(problem),
            Err(problem) => Ok(Sender::Refused(refusal(&problem))),
        };
    }
    let Some(token) = session::bearer(headers) else { return Ok(Sender::Anonymous) };
    let Some(claims) = app.tokens.read(token) else { return Ok(Sender::Refused("the token is expired or not ours; fetch another".into())) };
    let scopes = claims.scope.iter().filter_map(|text| text.parse().ok()).collect();
    let user = accounts::user_by_id(app.db.read(), claims.sub).await?;
    Ok(user.map_or_else(
        || Sender::Refused("the account of this token is gone".into()),
        |user| Sender::Known(access(&user.into(), Some(scopes))),
    ))
}

/// Tells the registry who is calling.
pub async fn middleware(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers().clone();
    match identify(&app, peer, &headers).await {
        Ok(sender) => {
            request.extensions_mut().insert(sender);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// What a client that wants a token sends in a form.
#[derive(Deserialize)]
pub struct TokenForm {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    scope: String,
}

/// `POST /v2/token` (OAuth2 form).
pub async fn post_token(State(app): State<Arc<App>>, ConnectInfo(peer): ConnectInfo<SocketAddr>, Form(form): Form<TokenForm>) -> Response {
    if form.grant_type != "password" {
        let message = "only grant_type=password is offered here; log in with user name and password";
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "unsupported_grant_type", "error_description": message}))).into_response();
    }
    grant(&app, peer, Some((form.username, form.password)), &form.scope).await
}

/// `GET /v2/token` (Docker's token specification): Basic credentials, several `scope` parameters.
pub async fn get_token(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let pairs = form_pairs(query.as_deref().unwrap_or(""));
    let scopes: Vec<&str> = pairs.iter().filter(|(key, _)| key == "scope").map(|(_, value)| value.as_str()).collect();
    grant(&app, peer, basic(&headers), &scopes.join(" ")).await
}

fn form_pairs(query: &str) -> Vec<(String, String)> {
    serde_urlencoded::from_str(query).unwrap_or_default()
}

async fn grant(app: &App, peer: SocketAddr, login: Option<(String, String)>, wanted: &str) -> Response {
    let Some((email, password)) = login else {
        return refused(&Problem::Unauthenticated, "send user name and password: docker login first");
    };
    let caller = match app.credentials.check(&app.db, &email, &password, &peer.ip().to_string()).await {
        Ok(caller) => caller,
        Err(problem) => return refused(&problem, &refusal(&problem)),
    };
    let wanted = match Scope::parse_list(wanted) {
        Ok(wanted) => wanted,
        Err(error) => return refused(&Problem::invalid(""), &error.to_string()),
    };
    let now = clock::now_ms();
    match app.tokens.issue(caller.user, &access(&caller, None).cut(&wanted), now) {
        Ok(token) => Json(json!({"token": token, "access_token": token, "expires_in": app.tokens.seconds, "issued_at": clock::iso(now)}))
            .into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Token errors in the registry's own form, which clients print.
fn refused(problem: &Problem, sentence: &str) -> Response {
    let code = match problem {
        Problem::RateLimited { .. } => "TOOMANYREQUESTS",
        Problem::InvalidInput { .. } => "UNSUPPORTED",
        _ => "UNAUTHORIZED",
    };
    let body = json!({"errors": [{"code": code, "message": sentence, "detail": null}], "details": sentence});
    let mut response = (problem.status(), Json(body)).into_response();
    if problem.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Basic realm=\"plimsoll\""));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::permission::Role;
    use model::id::OrganizationId;

    #[test]
    fn tokens_expire_and_cannot_be_forged() {
        let user = UserId(uuid::Uuid::from_u128(7));
        let (mine, other) = (Tokens::new(b"key", 300), Tokens::new(b"other", 300));
        let scopes = Scope::parse_list("repository:1/a:pull").unwrap();
        let now = clock::now_ms();
        let claims = mine.read(&mine.issue(user, &scopes, now).unwrap()).unwrap();
        assert_eq!((claims.sub, claims.scope), (user, vec!["repository:1/a:pull".to_owned()]));
        assert!(mine.read(&other.issue(user, &scopes, now).unwrap()).is_none());
        assert!(mine.read(&mine.issue(user, &scopes, now - 400_000).unwrap()).is_none());
        assert!(mine.read("no.token.atall").is_none());
    }

    #[test]
    fn rights_follow_from_roles() {
        let caller = |roles: Vec<Role>| Caller {
            user: UserId(uuid::Uuid::nil()),
            email: "a@b".into(),
            name: String::new(),
            organization: OrganizationId(1),
            roles,
        };
        let repo = "1/a".parse().unwrap();
        assert!(access(&caller(vec![Role::Developer]), None).may(&repo, Action::Push).is_ok());
        assert!(access(&caller(vec![Role::Reviewer]), None).may(&repo, Action::Push).is_err());
        assert!(access(&caller(vec![Role::Reviewer]), None).may(&repo, Action::Pull).is_ok());
    }

    #[test]
    fn basic_credentials_are_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "Basic YTpiOmM=".parse().unwrap());
        assert_eq!(basic(&headers), Some(("a".into(), "b:c".into())));
        headers.insert(header::AUTHORIZATION, "Basic !!".parse().unwrap());
        assert_eq!(basic(&headers), None);
    }
}
