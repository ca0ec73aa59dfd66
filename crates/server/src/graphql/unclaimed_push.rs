//! Pushes that became no build, as the API shows them.

use async_graphql::{ID, Object};
use store::unclaimed_pushes::UnclaimedPush as Row;

use super::scalars::DateTime;

/// A push that became no build.
pub struct UnclaimedPush(pub Row);

#[Object]
impl UnclaimedPush {
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    async fn repository(&self) -> &str {
        &self.0.repository
    }

    async fn tag(&self) -> &str {
        &self.0.tag
    }

    async fn digest(&self) -> String {
        self.0.digest.to_string()
    }

    /// Rule that refused it.
    async fn code(&self) -> &str {
        &self.0.code
    }

    /// What was found.
    async fn reason(&self) -> &str {
        &self.0.reason
    }

    /// What to do.
    async fn fix(&self) -> &str {
        &self.0.fix
    }

    async fn pushed_by(&self) -> &str {
        &self.0.pushed_by
    }

    async fn created_date_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }
}
