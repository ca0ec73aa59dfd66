//! What is sent about engines: registrations, changes, choices.

use async_graphql::{Enum, ID, InputObject};
use serde_json::{Map, Value};
use store::engines::Order;

use super::{engine::DeploymentModel, scalars::JsonData};

/// What `engineWorkflow` does.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(rename_items = "lowercase")]
pub enum EngineWorkflowAction {
    Enable,
    Disable,
}

/// By what engines are sorted. State, rating and order are not kept: by these they are sorted as by createdDateTime.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(rename_items = "camelCase")]
pub enum EngineOrderField {
    Name,
    Id,
    State,
    Price,
    Rating,
    Order,
    CreatedDateTime,
    ModifiedDateTime,
}

/// In which direction.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(rename_items = "lowercase")]
pub enum OrderDirection {
    Asc,
    Desc,
}

/// One criterion of an order; of several the first counts.
#[derive(InputObject)]
pub struct EngineSortField {
    pub field: EngineOrderField,
    pub direction: Option<OrderDirection>,
}

impl EngineSortField {
    /// The order that this amounts to; what is not kept sorts by age.
    pub fn order(&self) -> Order {
        let is_down = self.direction == Some(OrderDirection::Desc);
        match (self.field, is_down) {
            (EngineOrderField::Id, false) => Order::Id,
            (EngineOrderField::Id, true) => Order::IdDown,
            (EngineOrderField::Price, false) => Order::Price,
            (EngineOrderField::Price, true) => Order::PriceDown,
            (EngineOrderField::Name, false) => Order::Name,
            (EngineOrderField::Name, true) => Order::NameDown,
            (EngineOrderField::ModifiedDateTime, false) => Order::Modified,
            (EngineOrderField::ModifiedDateTime, true) => Order::ModifiedDown,
            (_, false) => Order::Created,
            (_, true) => Order::CreatedDown,
        }
    }
}

/// A narrower choice of engines.
#[derive(InputObject)]
pub struct EngineFilter {
    pub category: Option<Vec<String>>,
    #[graphql(name = "type")]
    pub engine_type: Option<Vec<String>>,
    pub deployment_model: Option<DeploymentModel>,
    pub price_min: Option<i64>,
    pub price_max: Option<i64>,
}

/// An engine to switch on or off.
#[derive(InputObject)]
pub struct EngineWorkflow {
    pub id: ID,
    pub action: EngineWorkflowAction,
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

impl CreateEngineField {
    fn json(&self) -> Value {
        serde_json::json!({"name": self.name, "type": self.field_type, "label": self.label, "info": self.info, "min": self.min,
            "max": self.max, "step": self.step, "options": self.options.as_ref().map(|options| &options.0),
            "defaultValue": self.default_value, "defaultValues": self.default_values})
    }
}

/// What certification sends besides the samples of the category.
#[derive(InputObject)]
pub struct EngineCertificationInput {
    /// Custom fields of the test payload.
    payload: Option<JsonData>,
    /// Where the sample lies that is sent in place of ours, http or https; it is fetched once and kept. One that was given as a file counts more.
    sample_url: Option<String>,
}

/// Registration of an engine.
#[derive(InputObject)]
pub struct CreateEngine {
    /// A UUID; a new one if absent.
    pub id: Option<ID>,
    #[graphql(default_with = "Some(false)")]
    is_public: Option<bool>,
    pub name: String,
    pub description: Option<String>,
    /// Id or name of a category, see `engineCategories`.
    pub category_id: ID,
    pub deployment_model: DeploymentModel,
    price: Option<i64>,
    fields: Option<Vec<CreateEngineField>>,
    icon_path: Option<String>,
    logo_path: Option<String>,
    #[graphql(default_with = "Some(false)")]
    library_required: Option<bool>,
    #[graphql(default_with = "Some(false)", name = "createsTDO")]
    creates_tdo: Option<bool>,
    certification: Option<EngineCertificationInput>,
}

/// A change of a registration; absent parts stay.
#[derive(InputObject)]
pub struct UpdateEngine {
    pub id: ID,
    is_public: Option<bool>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub category_id: Option<ID>,
    pub deployment_model: Option<DeploymentModel>,
    price: Option<i64>,
    /// Replaces the whole list.
    fields: Option<Vec<CreateEngineField>>,
    icon_path: Option<String>,
    logo_path: Option<String>,
    library_required: Option<bool>,
    certification: Option<EngineCertificationInput>,
    standalone_job_templates: Option<JsonData>,
}

fn certification(input: &EngineCertificationInput) -> Value {
    serde_json::json!({ "payload": input.payload.as_ref().map(|payload| &payload.0), "sampleUrl": input.sample_url })
}

fn fields(fields: &[CreateEngineField]) -> Value {
    fields.iter().map(CreateEngineField::json).collect()
}

impl CreateEngine {
    /// What no rule reads.
    pub fn extra(&self) -> Value {
        serde_json::json!({
            "isPublic": self.is_public.unwrap_or_default(),
            "price": self.price,
            "fields": fields(self.fields.as_deref().unwrap_or_default()),
            "iconPath": self.icon_path,
            "logoPath": self.logo_path,
            "libraryRequired": self.library_required.unwrap_or_default(),
            "createsTDO": self.creates_tdo.unwrap_or_default(),
            "certification": self.certification.as_ref().map_or_else(|| serde_json::json!({"payload": null}), certification),
        })
    }
}

impl UpdateEngine {
    /// What no rule reads, as far as it changes.
    pub fn extra(&self) -> Map<String, Value> {
        let members = [
            ("isPublic", self.is_public.map(Value::from)),
            ("price", self.price.map(Value::from)),
            ("fields", self.fields.as_deref().map(fields)),
            ("iconPath", self.icon_path.clone().map(Value::from)),
            ("logoPath", self.logo_path.clone().map(Value::from)),
            ("libraryRequired", self.library_required.map(Value::from)),
            ("certification", self.certification.as_ref().map(certification)),
            ("standaloneJobTemplates", self.standalone_job_templates.as_ref().map(|templates| templates.0.clone())),
        ];
        members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}
