//! Repositories as the API shows them.

use async_graphql::Object;
use store::repositories::Listed;

use super::scalars::DateTime;

/// A repository of the registry.
pub struct Repository(pub Listed);

/// A page of them.
pub struct RepositoryList {
    pub records: Vec<Repository>,
    pub offset: i64,
    pub limit: i64,
}

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

#[Object]
impl RepositoryList {
    async fn records(&self) -> &[Repository] {
        &self.records
    }

    async fn count(&self) -> usize {
        self.records.len()
    }

    async fn offset(&self) -> i64 {
        self.offset
    }

    async fn limit(&self) -> i64 {
        self.limit
    }
}
