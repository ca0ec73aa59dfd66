//! Tokens for programs, as the API shows them: never the secret, but for once when one is made.

use async_graphql::{Enum, ID, InputObject, Object};
use registry::{Action, Actions};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use store::tokens::{Token as Row, TokenKind as RowKind};

use super::scalars::{DateTime, JsonData};
use crate::{auth::Caller, ops::create_api_token::Made};

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(rename_items = "camelCase")]
pub enum TokenKind {
    /// A program that acts as its owner.
    Api,
    /// A program that uses one repository.
    Robot,
    /// A registry client that stays logged in.
    Refresh,
}

/// Something to do with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(rename_items = "camelCase")]
pub enum RepositoryAction {
    Pull,
    Push,
    Delete,
}

impl From<RepositoryAction> for Action {
    fn from(action: RepositoryAction) -> Self {
        match action {
            RepositoryAction::Pull => Self::Pull,
            RepositoryAction::Push => Self::Push,
            RepositoryAction::Delete => Self::Delete,
        }
    }
}

impl From<Action> for RepositoryAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Pull => Self::Pull,
            Action::Push => Self::Push,
            Action::Delete => Self::Delete,
        }
    }
}

/// A token to make.
#[derive(InputObject)]
pub struct CreateApiToken {
    /// What it is for, for people.
    pub name: String,
    /// When it ends by itself; never if absent.
    pub expires_date_time: Option<DateTime>,
}

/// A token to make.
#[derive(InputObject)]
pub struct CreateRobotToken {
    /// What it is for, for people.
    pub name: String,
    /// The one repository, such as 1/my-engine. It need not be there yet.
    pub repository: String,
    pub actions: Vec<RepositoryAction>,
    /// When it ends by itself, within a year.
    pub expires_date_time: DateTime,
}

/// A token, without its secret.
pub struct Token {
    pub token: Row,
    pub owner: String,
}

/// A token that was just made.
pub struct NewToken {
    secret: SecretString,
    row: Row,
    owner: String,
}

/// Something that is gone.
#[derive(async_graphql::SimpleObject)]
pub struct DeletePayload {
    pub id: ID,
    pub message: String,
}

impl NewToken {
    /// A token that was made for this caller.
    pub fn new(made: Made, caller: &Caller) -> Self {
        Self { secret: made.secret, row: made.token, owner: caller.email.clone() }
    }
}

#[Object]
impl NewToken {
    /// The token. It cannot be seen again.
    async fn token(&self) -> &str {
        self.secret.expose_secret()
    }

    /// What is kept of it.
    async fn record(&self) -> Token {
        Token { token: self.row.clone(), owner: self.owner.clone() }
    }
}

impl Token {
    fn rights(&self) -> Vec<RepositoryAction> {
        Actions::parse(self.token.actions.as_deref().unwrap_or_default()).iter().map(Into::into).collect()
    }
}

#[Object]
impl Token {
    async fn id(&self) -> ID {
        self.token.id.to_string().into()
    }

    async fn kind(&self) -> TokenKind {
        match self.token.kind {
            RowKind::Api => TokenKind::Api,
            RowKind::Robot => TokenKind::Robot,
            RowKind::Refresh => TokenKind::Refresh,
        }
    }

    async fn name(&self) -> &str {
        &self.token.name
    }

    /// E-mail of the person whose rights it has at the most.
    async fn owner(&self) -> &str {
        &self.owner
    }

    /// The one repository of a robot.
    async fn repository(&self) -> Option<&str> {
        self.token.repository.as_deref()
    }

    /// What a robot may do there.
    async fn actions(&self) -> Vec<RepositoryAction> {
        self.rights()
    }

    async fn created_date_time(&self) -> DateTime {
        DateTime(self.token.created_at)
    }

    async fn expires_date_time(&self) -> Option<DateTime> {
        self.token.expires_at.map(DateTime)
    }

    /// To about ten minutes.
    async fn last_used_date_time(&self) -> Option<DateTime> {
        self.token.used_at.map(DateTime)
    }

    /// The rights, as clients of the contract read them.
    async fn json(&self) -> JsonData {
        JsonData(json!({ "rights": self.token.actions.as_deref().map(|actions| actions.split(',').collect::<Vec<_>>()) }))
    }
}
