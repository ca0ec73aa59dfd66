//! The registry's view of our users: passwords and tokens become a [`registry::Caller`]. Rights are looked up with each request, from what
//! is remembered only until they change: a right that was taken away is gone at once.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::Engine as _;
use model::name::RepoName;
use registry::{Access, Action, Actions, Caller as Sender, Grant, Place, Refusal, Scope};
use store::tokens::TokenKind;

use super::{Caller, address, permission::Permission, secret, session};
use crate::{app::App, error::Problem};

/// What an account may do in the registry.
pub fn access(caller: &Caller, scopes: Option<Vec<Scope>>) -> Access {
    let mut allowed = Vec::new();
    if caller.may(Permission::PullImages) {
        allowed.push(Action::Pull);
    }
    if caller.may(Permission::PushImages) {
        allowed.extend([Action::Push, Action::Delete]);
    }
    let actions = Actions::of(&allowed);
    let mut grants = Vec::new();
    match caller.via.as_ref().and_then(|via| via.only.as_ref()) {
        // A robot keeps to its repository, and has no right that its maker has lost.
        Some((repository, only)) if repository.organization() == caller.organization => {
            grants.push(Grant { place: Place::Repository(repository.clone()), actions: only.intersection(actions) });
        }
        Some(_) => {}
        None => {
            grants.push(Grant { place: Place::Organization(caller.organization), actions });
            if caller.may(Permission::ListRepositories) {
                grants.push(Grant { place: Place::Catalog, actions: Actions::of(&[Action::Pull]) });
            }
        }
    }
    Access { account: caller.email.clone(), grants, scopes }
}

/// Adds the right to pull, if the repository is public.
///
/// # Errors
/// [`Problem::Internal`].
pub async fn open_to_all(app: &App, access: &mut Access, repository: &RepoName) -> Result<(), Problem> {
    // The right itself counts here, not what the token at hand was issued for.
    let scopes = access.scopes.take();
    let lacks = access.may(repository, Action::Pull).is_err();
    access.scopes = scopes;
    if lacks && app.credentials.is_public(&app.db, repository).await? {
        access.grants.push(Grant { place: Place::Repository(repository.clone()), actions: Actions::of(&[Action::Pull]) });
    }
    Ok(())
}

/// User name and password of a request.
pub fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// A sentence a person sees in the output of their client.
pub fn sentence(problem: &Problem) -> String {
    match problem {
        Problem::LoginFailed => "the user name or the password is wrong; use those of the console, or a token that is not revoked".into(),
        other => other.message(),
    }
}

async fn identify(app: &App, address: &str, headers: &HeaderMap) -> Result<Sender, Problem> {
    let checked = if let Some((login, password)) = basic(headers) {
        app.credentials.check(&app.db, &login, &password, address).await
    } else {
        let Some(token) = session::bearer(headers) else { return Ok(Sender::Anonymous) };
        match secret::kind(token) {
            Some(TokenKind::Refresh) => Err(Problem::LoginFailed),
            Some(kind) => app.credentials.check_token(&app.db, token, address, kind).await,
            None => return issued(app, token).await,
        }
    };
    match checked {
        Ok(caller) => Ok(Sender::Known(access(&caller, None))),
        Err(problem @ (Problem::Internal { .. } | Problem::RateLimited { .. })) => Err(problem),
        Err(problem) => Ok(Sender::Refused(sentence(&problem))),
    }
}

/// Whoever has a token of `/v2/token`.
async fn issued(app: &App, token: &str) -> Result<Sender, Problem> {
    let Some((holder, scopes)) = app.tokens.read(token) else {
        return Ok(Sender::Refused("the token is expired or not ours; fetch another".into()));
    };
    let Some(user) = holder.user else {
        return Ok(Sender::Guest(Access { account: "anonymous".into(), grants: Vec::new(), scopes: Some(scopes) }));
    };
    Ok(match app.credentials.owner(&app.db, user, holder.via).await? {
        Some(caller) => Sender::Known(access(&caller, Some(scopes))),
        None => Sender::Refused("the account or the token behind this one is gone; log in again".into()),
    })
}

/// The repository an address is about.
fn repository(path: &str) -> Option<RepoName> {
    let path = registry::route::decode(path.strip_prefix("/v2/")?)?;
    registry::route::parse(&path)?.0.parse().ok()
}

/// Tells the registry who is calling.
pub async fn middleware(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let address = address::of(peer.ip(), request.headers(), &app.config.trusted_proxies);
    let sender = match identify(&app, &address, request.headers()).await {
        Ok(sender) => with_public(&app, sender, request.uri().path()).await,
        Err(problem) => Err(problem),
    };
    match sender {
        Ok(sender) => {
            request.extensions_mut().insert(sender);
            next.run(request).await
        }
        Err(problem @ Problem::RateLimited { retry_after }) => {
            Refusal::too_many(problem.message(), std::time::Duration::from_secs(retry_after)).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

async fn with_public(app: &App, mut sender: Sender, path: &str) -> Result<Sender, Problem> {
    if let Sender::Known(access) | Sender::Guest(access) = &mut sender
        && let Some(repository) = repository(path)
    {
        open_to_all(app, access, &repository).await?;
    }
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Via, permission::Role};
    use model::id::{OrganizationId, TokenId, UserId};

    fn caller(roles: Vec<Role>) -> Caller {
        Caller {
            user: UserId(uuid::Uuid::nil()),
            email: "a@b".into(),
            name: String::new(),
            organization: OrganizationId(1),
            roles,
            via: None,
        }
    }

    fn robot(roles: Vec<Role>, repository: &str, actions: &[Action]) -> Caller {
        let only = Some((repository.parse().unwrap(), Actions::of(actions)));
        let via = Via { id: TokenId(uuid::Uuid::nil()), kind: TokenKind::Robot, expires_at: Some(1), only };
        Caller { via: Some(via), ..caller(roles) }
    }

    #[test]
    fn rights_follow_from_roles() {
        let repo = "1/a".parse().unwrap();
        assert!(access(&caller(vec![Role::Developer]), None).may(&repo, Action::Push).is_ok());
        assert!(access(&caller(vec![Role::Reviewer]), None).may(&repo, Action::Push).is_err());
        assert!(access(&caller(vec![Role::Reviewer]), None).may(&repo, Action::Pull).is_ok());
    }

    #[test]
    fn a_robot_has_what_it_was_given_and_its_maker_still_has() {
        let may = |robot: &Caller, name: &str, action| access(robot, None).may(&name.parse().unwrap(), action).is_ok();
        let pusher = robot(vec![Role::Developer], "1/a", &[Action::Push]);
        assert!(may(&pusher, "1/a", Action::Push));
        assert!(!may(&pusher, "1/a", Action::Pull) && !may(&pusher, "1/a", Action::Delete) && !may(&pusher, "1/b", Action::Push));
        assert!(!may(&robot(vec![Role::Reviewer], "1/a", &[Action::Push]), "1/a", Action::Push));
        assert!(!may(&robot(vec![Role::Developer], "2/a", &[Action::Push]), "2/a", Action::Push));
    }

    #[test]
    fn basic_credentials_are_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "Basic YTpiOmM=".parse().unwrap());
        assert_eq!(basic(&headers), Some(("a".into(), "b:c".into())));
        headers.insert(header::AUTHORIZATION, "Basic !!".parse().unwrap());
        assert_eq!(basic(&headers), None);
    }

    #[test]
    fn the_repository_of_an_address() {
        let name = |path| repository(path).map(|name| name.to_string());
        assert_eq!(name("/v2/1/a/b/manifests/v1").as_deref(), Some("1/a/b"));
        assert_eq!(name("/v2/1/a/blobs/uploads/").as_deref(), Some("1/a"));
        for other in ["/v2/", "/v2", "/v2/x/manifests/v1", "/v2/%zz", "/elsewhere"] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
