//! Accounts as the API shows them.

use async_graphql::{Context, ID, Object, Result};
use model::id::OrganizationId;
use store::{
    accounts,
    usage::{self, Usage},
};

use super::{app, scalars::JsonData};
use crate::{auth::Caller, error::Problem};

/// A person.
pub struct User(pub Caller);

/// An organization.
pub struct Organization {
    pub id: i64,
    pub name: String,
}

/// What the caller may do.
#[derive(async_graphql::SimpleObject)]
pub struct RightsListing {
    /// Words of the permission table.
    pub operations: Vec<String>,
    /// The one repository of a robot; empty otherwise.
    pub resources: JsonData,
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

    async fn organization(&self, ctx: &Context<'_>) -> Result<Organization> {
        let id = self.0.organization;
        let name = accounts::organization(app(ctx).db.read(), id).await.map_err(Problem::from)?.unwrap_or_default();
        Ok(Organization { id: id.0, name })
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

    /// Bytes it keeps in the registry: each blob once, and its manifests.
    async fn storage_bytes(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(i64::try_from(self.usage(ctx).await?.bytes).unwrap_or(i64::MAX))
    }

    /// Bytes it may keep there; null for no limit.
    async fn storage_quota_bytes(&self, ctx: &Context<'_>) -> Result<Option<i64>> {
        let quota = self.usage(ctx).await?.quota(app(ctx).config.registry.quota_bytes);
        Ok(quota.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)))
    }
}

impl Organization {
    async fn usage(&self, ctx: &Context<'_>) -> Result<Usage, Problem> {
        Ok(usage::of(app(ctx).db.read(), OrganizationId(self.id)).await?)
    }
}

#[Object]
impl LoginInfo {
    /// Send it as `Authorization: Bearer TOKEN`; valid for a day.
    async fn token(&self) -> &str {
        &self.token
    }

    /// The same; programs make tokens of their own with `createApiToken`.
    async fn api_token(&self) -> &str {
        &self.token
    }

    async fn user(&self) -> User {
        User(self.caller.clone())
    }

    async fn organization(&self) -> &Organization {
        &self.organization
    }
}
