//! Engines as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use model::{build::BuildStatus, engine};
use serde_json::Value;
use store::{builds, engines::Engine as Row, tasks::Of};
use tokio::sync::OnceCell;

use super::{
    app,
    build::{self, Build},
    category::EngineCategory,
    page::{Page, Wanted},
    scalars::{DateTime, JsonData},
    task::{self, EngineUsage, Task, TaskStatus},
};
use crate::{engine_usage::usage_of, error::Problem};

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

/// What a person can do with an engine.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(rename_items = "lowercase")]
pub enum EngineStateAction {
    Edit,
    Delete,
    Disable,
    Enable,
    Undelete,
}

/// A registered engine, and what of its builds was read for one of its fields and serves the others too.
pub struct Engine(Arc<Row>, Once);

#[derive(Default)]
struct Once {
    statuses: OnceCell<Vec<BuildStatus>>,
    live: OnceCell<Option<builds::Build>>,
}

impl From<Row> for Engine {
    fn from(row: Row) -> Self {
        Self(Arc::new(row), Once::default())
    }
}

impl From<Arc<Row>> for Engine {
    fn from(row: Arc<Row>) -> Self {
        Self(row, Once::default())
    }
}

/// One choice of a custom field.
#[derive(SimpleObject)]
pub struct EngineFieldOption {
    /// The label shown.
    key: String,
    /// The value sent.
    value: String,
}

/// One custom field of an engine.
#[derive(SimpleObject)]
pub struct EngineField {
    name: String,
    #[graphql(name = "type")]
    field_type: String,
    label: Option<String>,
    info: Option<String>,
    min: Option<f64>,
    max: Option<f64>,
    step: Option<f64>,
    options: Vec<EngineFieldOption>,
    default_value: Option<String>,
    default_values: Option<Vec<String>>,
}

impl Engine {
    fn extra(&self, key: &str) -> Option<&Value> {
        self.0.extra.get(key).filter(|value| !value.is_null())
    }

    fn flag(&self, key: &str) -> bool {
        self.extra(key).and_then(Value::as_bool).unwrap_or(false)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.extra(key).and_then(Value::as_str).map(str::to_owned)
    }

    async fn derived(&self, ctx: &Context<'_>) -> Result<engine::EngineState, Problem> {
        let statuses = self.1.statuses.get_or_try_init(|| builds::statuses(app(ctx).db.read(), self.0.id)).await?;
        Ok(engine::EngineState::derive(self.0.deleted, self.0.disabled, statuses.iter().copied()))
    }

    async fn live(&self, ctx: &Context<'_>) -> Result<Option<&builds::Build>, Problem> {
        Ok(self.1.live.get_or_try_init(|| builds::live(app(ctx).db.read(), self.0.id)).await?.as_ref())
    }

    /// A member of the manifest of the live build.
    async fn of_live(&self, ctx: &Context<'_>, key: &str) -> Result<Option<Value>, Problem> {
        Ok(self.live(ctx).await?.and_then(|build| build.manifest.get(key).cloned()))
    }

    async fn texts_of_live(&self, ctx: &Context<'_>, key: &str) -> Result<Option<Vec<String>>> {
        let list = self.of_live(ctx, key).await?;
        Ok(list.and_then(|list| Some(list.as_array()?.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect())))
    }

    async fn text_of_live(&self, ctx: &Context<'_>, key: &str) -> Result<Option<String>> {
        Ok(self.of_live(ctx, key).await?.and_then(|value| value.as_str().map(str::to_owned)))
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
        Ok(self.derived(ctx).await?.into())
    }

    /// What can be done with it in its state.
    async fn valid_state_actions(&self, ctx: &Context<'_>) -> Result<Vec<EngineStateAction>> {
        let action = |word: &&str| match *word {
            "edit" => EngineStateAction::Edit,
            "delete" => EngineStateAction::Delete,
            "disable" => EngineStateAction::Disable,
            "enable" => EngineStateAction::Enable,
            _ => EngineStateAction::Undelete,
        };
        Ok(self.derived(ctx).await?.valid_actions().iter().map(action).collect())
    }

    async fn deployment_model(&self) -> DeploymentModel {
        self.0.deployment_model.into()
    }

    async fn is_public(&self) -> bool {
        self.flag("isPublic")
    }

    async fn price(&self) -> Option<i64> {
        self.extra("price").and_then(Value::as_i64)
    }

    async fn rating(&self) -> Option<f64> {
        None
    }

    async fn icon_path(&self) -> Option<String> {
        self.text("iconPath")
    }

    async fn logo_path(&self) -> Option<String> {
        self.text("logoPath")
    }

    async fn signed_icon_path(&self) -> Option<String> {
        self.text("iconPath")
    }

    async fn signed_logo_path(&self) -> Option<String> {
        self.text("logoPath")
    }

    async fn library_required(&self) -> bool {
        self.flag("libraryRequired")
    }

    #[graphql(name = "createsTDO")]
    async fn creates_tdo(&self) -> bool {
        self.flag("createsTDO")
    }

    /// Custom fields of the payload.
    async fn fields(&self) -> Vec<EngineField> {
        let list = self.extra("fields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().map(field).collect()
    }

    async fn standalone_job_templates(&self) -> Option<JsonData> {
        self.extra("standaloneJobTemplates").cloned().map(JsonData)
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

    /// Number of the live build.
    async fn deployed_version(&self, ctx: &Context<'_>) -> Result<Option<i64>> {
        Ok(self.live(ctx).await?.map(|build| build.version))
    }

    /// Manifest of the live build.
    async fn manifest(&self, ctx: &Context<'_>) -> Result<Option<JsonData>> {
        Ok(self.live(ctx).await?.map(|build| JsonData(build.manifest.clone())))
    }

    /// Chunk, Stream or Batch, from the live build.
    async fn mode(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let mode = self.text_of_live(ctx, "engineMode").await?;
        Ok(mode.map(|mode| mode.chars().take(1).flat_map(char::to_uppercase).chain(mode.chars().skip(1)).collect()))
    }

    async fn runtime_type(&self) -> &'static str {
        "docker"
    }

    async fn preferred_input_format(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        self.text_of_live(ctx, "preferredInputFormat").await
    }

    async fn supported_input_formats(&self, ctx: &Context<'_>) -> Result<Option<Vec<String>>> {
        self.texts_of_live(ctx, "supportedInputFormats").await
    }

    async fn output_formats(&self, ctx: &Context<'_>) -> Result<Option<Vec<String>>> {
        self.texts_of_live(ctx, "outputFormats").await
    }

    async fn supported_source_types(&self, ctx: &Context<'_>) -> Result<Option<Vec<String>>> {
        self.texts_of_live(ctx, "supportedSourceTypes").await
    }

    async fn supported_schedule_types(&self, ctx: &Context<'_>) -> Result<Option<Vec<String>>> {
        self.texts_of_live(ctx, "supportedScheduleTypes").await
    }

    async fn oauth(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        self.text_of_live(ctx, "oauth").await
    }

    async fn has_scan_phase(&self, ctx: &Context<'_>) -> Result<Option<bool>> {
        Ok(self.of_live(ctx, "hasScanPhase").await?.and_then(|value| value.as_bool()))
    }

    async fn is_conductor(&self) -> bool {
        false
    }

    /// Who used it within the last seven days, and what it is doing now: to be seen before it is paused or another build takes its place.
    async fn usage(&self, ctx: &Context<'_>) -> Result<EngineUsage> {
        Ok(EngineUsage(usage_of(app(ctx), &self.0).await?))
    }

    /// Tasks for it, newest first.
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        status: Option<Vec<TaskStatus>>,
        offset: Option<i64>,
        limit: Option<i64>,
    ) -> Result<Page<Task>> {
        let of = Of::Engine(self.0.id.to_string());
        task::page(ctx, self.0.organization, of, status, Wanted::new(offset, limit)).await
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
    ) -> Result<Page<Build>> {
        let wanted = Wanted::new(offset, limit);
        let mut statuses: Vec<BuildStatus> = build_status.unwrap_or_default().into_iter().map(Into::into).collect();
        for word in status.unwrap_or_default() {
            statuses.push(word.parse().map_err(|error| Problem::invalid(format!("status: {error}")))?);
        }
        let db = app(ctx).db.read();
        let rows = match id {
            Some(id) => {
                let is_asked = |status| if statuses.is_empty() { status != BuildStatus::Deleted } else { statuses.contains(&status) };
                let found = builds::by_id(db, super::parse_id(&id, "Build")?).await.map_err(Problem::from)?;
                let found = found.filter(|build| build.engine == self.0.id && is_asked(build.status));
                found.into_iter().skip(wanted.offset as usize).take(wanted.limit as usize).collect()
            }
            None => builds::list(db, self.0.id, &statuses, wanted.offset, wanted.limit).await.map_err(Problem::from)?,
        };
        Ok(wanted.page(rows, |row| Build::within(row, &self.0)))
    }
}

/// A custom field as it was registered.
fn field(stored: &Value) -> EngineField {
    let text = |key: &str| stored.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |key: &str| stored.get(key).and_then(Value::as_f64);
    let word = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let options = stored.get("options").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let defaults = stored.get("defaultValues").and_then(Value::as_array);
    EngineField {
        name: text("name").unwrap_or_default(),
        field_type: text("type").unwrap_or_default(),
        label: text("label"),
        info: text("info"),
        min: number("min"),
        max: number("max"),
        step: number("step"),
        options: options.iter().map(|one| EngineFieldOption { key: word(one.get("key")), value: word(one.get("value")) }).collect(),
        default_value: text("defaultValue"),
        default_values: defaults.map(|list| list.iter().map(|one| word(Some(one))).collect()),
    }
}
