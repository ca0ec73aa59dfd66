//! Who is calling, and what may they do. Passwords, tokens and keys are handled here and nowhere else.

pub mod access_token;
pub mod address;
pub mod credentials;
pub mod engine_token;
mod fresh;
pub mod needs;
pub mod party;
pub mod permission;
pub mod registry;
pub mod secret;
pub mod session;
pub mod signature;
pub mod throttle;
pub mod token_endpoint;
pub mod windows;

use ::registry::Actions;
use model::{
    id::{OrganizationId, TokenId, UserId},
    name::RepoName,
};
use party::Party;
use permission::{Permission, Role};
use store::{
    audit::Deed,
    tokens::{Owned, TokenKind},
};

use crate::{app::App, error::Problem};

/// The caller of a bearer token of the API: of a session, or an API token.
///
/// # Errors
/// [`Problem::Unauthenticated`], [`Problem::RateLimited`], [`Problem::Internal`].
pub async fn bearer(app: &App, token: &str, address: &str) -> Result<Caller, Problem> {
    if secret::kind(token).is_none() {
        return session::caller(&app.db, token).await;
    }
    match app.credentials.check_token(&app.db, token, address, TokenKind::Api).await {
        Ok(caller) => Ok(Caller::clone(&caller)),
        Err(Problem::LoginFailed) => Err(Problem::Unauthenticated),
        Err(problem) => Err(problem),
    }
}

/// Whoever has a bearer token of the API: a person or their program, or an engine.
///
/// # Errors
/// As [`bearer`].
pub async fn party(app: &App, token: &str, address: &str) -> Result<Party, Problem> {
    match token.bytes().filter(|byte| *byte == b'.').count() {
        2 => app.engine_tokens.read(token).map(Party::Engine).ok_or(Problem::Unauthenticated),
        _ => bearer(app, token, address).await.map(Party::Person),
    }
}

/// The token somebody showed instead of a password, and what it narrows their rights to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// Its id.
    pub id: TokenId,
    /// What it is for.
    pub kind: TokenKind,
    /// Epoch milliseconds.
    pub expires_at: Option<i64>,
    /// The one repository of a robot, and what it may do there.
    pub only: Option<(RepoName, Actions)>,
}

/// A caller whose identity was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub user: UserId,
    /// Its login name.
    pub email: String,
    /// For people.
    pub name: String,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its roles.
    pub roles: Vec<Role>,
    /// The token they showed, if it was no password.
    pub via: Option<Via>,
}

impl Caller {
    /// A line of the audit log of the caller's organization.
    pub fn deed<'a>(&'a self, at: i64, action: &'a str, object: &'a str, detail: &'a str) -> Deed<'a> {
        Deed { organization: self.organization, at, actor: &self.email, action, object, detail }
    }

    /// The owner of a token, with the rights it leaves them.
    pub fn with_token(owned: Owned) -> Self {
        let Owned { token, owner } = owned;
        let only = (token.kind == TokenKind::Robot).then(|| {
            // A robot whose row makes no sense has no rights at all.
            let repository = token.repository.as_deref().and_then(|name| name.parse().ok())?;
            Some((repository, Actions::parse(token.actions.as_deref().unwrap_or_default())))
        });
        let lost = only == Some(None);
        let via = Via { id: token.id, kind: token.kind, expires_at: token.expires_at, only: only.flatten() };
        let mut caller = Self::from(owner);
        if lost {
            caller.roles.clear();
        }
        Self { via: Some(via), ..caller }
    }

    /// Whether what they showed is no longer good.
    pub fn has_expired(&self, now: i64) -> bool {
        self.via.as_ref().and_then(|via| via.expires_at).is_some_and(|at| at <= now)
    }

    /// # Errors
    /// [`Problem::NotAllowed`] for programs: what makes or takes away tokens is done by a person who knows the password.
    pub fn require_person(&self) -> Result<(), Problem> {
        match &self.via {
            None => Ok(()),
            Some(_) => Err(Problem::NotAllowed("a token cannot do this; log in with user name and password first".into())),
        }
    }

    /// True when one of the roles gives the permission, and what they showed leaves it to them.
    pub fn may(&self, permission: Permission) -> bool {
        let is_robot = self.via.as_ref().is_some_and(|via| via.kind == TokenKind::Robot);
        let is_left = !is_robot || permission::ROBOT.contains(&permission);
        is_left && permission.granted_to().iter().any(|role| self.roles.contains(role))
    }

    /// # Errors
    /// [`Problem::NotAllowed`] naming the roles that would do.
    pub fn require(&self, permission: Permission) -> Result<(), Problem> {
        self.require_one(&[permission])
    }

    /// Nothing, or one of these.
    ///
    /// # Errors
    /// [`Problem::NotAllowed`] naming the roles that would do.
    pub fn require_one(&self, permissions: &[Permission]) -> Result<(), Problem> {
        if permissions.is_empty() || permissions.iter().any(|permission| self.may(*permission)) {
            return Ok(());
        }
        let what: Vec<&str> = permissions.iter().map(|permission| permission.what()).collect();
        let enough = |role: &&Role| permissions.iter().any(|permission| permission.granted_to().contains(role));
        let roles: Vec<&str> = Role::ALL.iter().filter(enough).map(|role| role.as_str()).collect();
        let (what, roles) = (what.join(" or "), roles.join(" or "));
        Err(Problem::NotAllowed(format!("{what} needs the role {roles}; ask an admin of your organization")))
    }

    /// The actor this caller is in the state machine.
    pub fn actor(&self) -> model::build::Actor {
        if self.may(Permission::ApproveBuilds) { model::build::Actor::Reviewer } else { model::build::Actor::Developer }
    }
}

impl From<store::accounts::User> for Caller {
    fn from(user: store::accounts::User) -> Self {
        let roles = user.roles.split(',').filter_map(Role::parse).collect();
        Self { user: user.id, email: user.email, name: user.name, organization: user.organization, roles, via: None }
    }
}
