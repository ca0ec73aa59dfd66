//! Engines as the API shows them.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result};
use model::{build::BuildStatus, engine};
use store::{builds, engines::Engine as Row};

use super::{
    app, build,
    category::EngineCategory,
    page,
    scalars::{DateTime, JsonData},
};
use crate::error::Problem;

/// What an engine may reach over the network.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "engine::DeploymentModel", rename_items = "PascalCase")]
pub enum DeploymentModel {
    /// Nothing at all.
    FullyNetworkIsolated,
    /// The hosts of `externalCalls`; the payload stays inside.
    MostlyNetworkIsolated,
    /// The hosts of `externalCalls`.
    NonNetworkIsolated,
    /// People do part of the work.
    HumanReview,
}

/// The state of an engine, derived from its builds.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "engine::EngineState", rename_items = "lowercase")]
pub enum EngineState {
    /// No approved build.
    Pending,
    /// An approved build, none live.
    Ready,
    /// One build is live.
    Active,
    /// Switched off.
    Disabled,
    /// Deleted.
    Deleted,
    /// For review and internal testing.
    Draft,
}

/// A registered engine.
pub struct Engine(pub Row);

/// A page of engines.
pub struct EngineList {
    pub records: Vec<Engine>,
    pub offset: i64,
    pub limit: i64,
}

/// One custom field of an engine.
#[derive(InputObject)]
pub struct CreateEngineField {
    name: String,
    #[graphql(name = "type")]
    field_type: String,
    label: Option<String>,
    info: Option<String>,
    min: Option<f64>,
    max: Option<f64>,
    step: Option<f64>,
    options: Option<JsonData>,
    default_value: Option<String>,
    default_values: Option<Vec<String>>,
}

/// What certification sends besides the samples of the category.
#[derive(InputObject)]
pub struct EngineCertificationInput {
    /// Custom fields of the test payload.
    payload: Option<JsonData>,
}

/// Registration of an engine.
#[derive(InputObject)]
pub struct CreateEngine {
    /// A UUID; a new one if absent.
    pub id: Option<ID>,
    #[graphql(default = false)]
    is_public: bool,
    pub name: String,
    pub description: Option<String>,
    /// Id or name of a category, see `engineCategories`.
    pub category_id: ID,
    pub deployment_model: DeploymentModel,
    price: Option<i64>,
    fields: Option<Vec<CreateEngineField>>,
    icon_path: Option<String>,
    logo_path: Option<String>,
    #[graphql(default = false)]
    library_required: bool,
    #[graphql(default = false, name = "createsTDO")]
    creates_tdo: bool,
    certification: Option<EngineCertificationInput>,
}

impl CreateEngine {
    /// What no rule reads.
    pub fn extra(&self) -> serde_json::Value {
        let field = |f: &CreateEngineField| {
            serde_json::json!({"name": f.name, "type": f.field_type, "label": f.label, "info": f.info, "min": f.min, "max": f.max, "step": f.step,
                "options": f.options.as_ref().map(|o| &o.0), "defaultValue": f.default_value, "defaultValues": f.default_values})
        };
        serde_json::json!({
            "isPublic": self.is_public,
            "price": self.price,
            "fields": self.fields.iter().flatten().map(field).collect::<Vec<_>>(),
            "iconPath": self.icon_path,
            "logoPath": self.logo_path,
            "libraryRequired": self.library_required,
            "createsTDO": self.creates_tdo,
            "certification": {"payload": self.certification.as_ref().and_then(|c| c.payload.as_ref()).map(|p| &p.0)},
        })
    }
}

#[Object]
impl Engine {
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    async fn owner_organization_id(&self) -> ID {
        self.0.organization.to_string().into()
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn display_name(&self) -> &str {
        &self.0.name
    }

    async fn description(&self) -> &str {
        &self.0.description
    }

    async fn category_id(&self) -> ID {
        super::category::id(self.0.category).into()
    }

    async fn category(&self) -> EngineCategory {
        EngineCategory(self.0.category)
    }

    async fn state(&self, ctx: &Context<'_>) -> Result<EngineState> {
        let statuses = builds::statuses(app(ctx).db.read(), self.0.id).await.map_err(Problem::from)?;
        Ok(engine::EngineState::derive(self.0.deleted, self.0.disabled, statuses).into())
    }

    async fn deployment_model(&self) -> DeploymentModel {
        self.0.deployment_model.into()
    }

    async fn is_public(&self) -> bool {
        self.0.extra.get("isPublic").and_then(serde_json::Value::as_bool).unwrap_or(false)
    }

    async fn price(&self) -> Option<i64> {
        self.0.extra.get("price").and_then(serde_json::Value::as_i64)
    }

    async fn created_by(&self) -> &str {
        &self.0.created_by
    }

    async fn created_date_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    async fn modified_date_time(&self) -> DateTime {
        DateTime(self.0.modified_at)
    }

    /// Builds, newest first; deleted ones only when asked for by status.
    async fn builds(
        &self,
        ctx: &Context<'_>,
        id: Option<ID>,
        build_status: Option<Vec<build::BuildStatus>>,
        status: Option<Vec<String>>,
        offset: Option<i64>,
        limit: Option<i64>,
    ) -> Result<build::BuildList> {
        let (offset, limit) = page(offset, limit);
        let mut wanted: Vec<BuildStatus> = build_status.unwrap_or_default().into_iter().map(Into::into).collect();
        for word in status.unwrap_or_default() {
            wanted.push(word.parse().map_err(|error| Problem::invalid(format!("status: {error}")))?);
        }
        let rows = match id {
            Some(id) => {
                let found = builds::by_id(app(ctx).db.read(), super::parse_id(&id, "Build")?).await.map_err(Problem::from)?;
                found.filter(|build| build.engine == self.0.id && offset == 0).into_iter().collect()
            }
            None => builds::list(app(ctx).db.read(), self.0.id, &wanted, offset, limit).await.map_err(Problem::from)?,
        };
        Ok(build::BuildList { records: rows.into_iter().map(build::Build).collect(), offset, limit })
    }
}

#[Object]
impl EngineList {
    async fn records(&self) -> &[Engine] {
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
