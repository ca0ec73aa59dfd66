//! Repositories as the API shows them.

use async_graphql::Object;
use store::repositories::Listed;

use super::scalars::DateTime;

/// A repository of the registry.
pub struct Repository(pub Listed);

#[Object]
impl Repository {
    /// The whole name, the organization in front.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether anybody may pull from it without logging in.
    async fn is_public(&self) -> bool {
        self.0.public
    }

    async fn created_date_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }
}
