//! Engine categories: the capability table, seen through the API.

use async_graphql::{Context, ID, Object, Result};
use model::capability::Capability;
use store::engines::{self, Order};

use super::{
    app, caller,
    engine::Engine,
    page::{Page, Wanted},
};
use crate::{auth::permission::Permission, error::Problem};

/// One category.
pub struct EngineCategory(pub Capability);

/// `Ingestion` for adapters, else `Cognition`.
pub fn type_name(capability: Capability) -> &'static str {
    if capability == Capability::Adapter { "Ingestion" } else { "Cognition" }
}

/// The id of a category: the same on every installation, because it is made from the key.
pub fn id(capability: Capability) -> uuid::Uuid {
    use sha2::{Digest, Sha256};
    let hash = Sha256::digest(format!("plimsoll engine category {}", capability.as_str()));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Finds a category by id or by any of its words.
pub fn find(text: &str) -> Option<Capability> {
    Capability::all().find(|capability| id(*capability).to_string() == text.to_lowercase()).or_else(|| Capability::from_word(text))
}

#[Object]
impl EngineCategory {
    async fn id(&self) -> ID {
        id(self.0).into()
    }

    async fn name(&self) -> &str {
        self.0.as_str()
    }

    async fn category_type(&self) -> &str {
        type_name(self.0)
    }

    async fn description(&self) -> String {
        format!("Engines of the category {}", self.0.as_str())
    }

    /// Engines of the caller's organization in it, newest first.
    async fn engines(&self, ctx: &Context<'_>, offset: Option<i64>, limit: Option<i64>) -> Result<Page<Engine>> {
        let caller = caller(ctx)?;
        caller.require(Permission::ReadEngines)?;
        let wanted = Wanted::new(offset, limit);
        let filter = engines::Filter { categories: vec![self.0], ..engines::Filter::default() };
        let rows = engines::list(app(ctx).db.read(), caller.organization, &filter, Order::default(), wanted.offset, wanted.limit).await;
        Ok(wanted.page(rows.map_err(Problem::from)?, Engine::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_is_found_by_its_id_and_word() {
        for capability in Capability::all() {
            assert_eq!(find(&id(capability).to_string()), Some(capability));
            assert_eq!(find(capability.as_str()), Some(capability));
        }
        assert_eq!(find("no such thing"), None);
    }
}
