//! Accounts as the API shows them.

use async_graphql::{ID, Object};

use crate::auth::Caller;

/// A person.
pub struct User(pub Caller);

/// An organization.
pub struct Organization {
    pub id: i64,
    pub name: String,
}

/// The answer to a login.
pub struct LoginInfo {
    pub token: String,
    pub caller: Caller,
    pub organization: Organization,
}

#[Object]
impl User {
    async fn id(&self) -> ID {
        self.0.user.to_string().into()
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn email(&self) -> &str {
        &self.0.email
    }

    async fn organization_id(&self) -> ID {
        self.0.organization.to_string().into()
    }

    /// Roles in the organization.
    async fn roles(&self) -> Vec<&'static str> {
        self.0.roles.iter().map(|role| role.as_str()).collect()
    }
}

#[Object]
impl Organization {
    async fn id(&self) -> ID {
        self.id.to_string().into()
    }

    async fn name(&self) -> &str {
        &self.name
    }
}

#[Object]
impl LoginInfo {
    /// Send it as `Authorization: Bearer TOKEN`; valid for a day.
    async fn token(&self) -> &str {
        &self.token
    }

    async fn user(&self) -> User {
        User(self.caller.clone())
    }

    async fn organization(&self) -> &Organization {
        &self.organization
    }
}
