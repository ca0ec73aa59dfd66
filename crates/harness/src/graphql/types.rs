//! What the API shows: a task, its job, its recording and the assets of that.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};

use super::{
    Caller,
    scalar::{DateTime, Json, JsonData},
    words::{AssetOrderBy, TaskStatus},
};
use crate::desk::{Asset, Desk, Task, Tdo};

/// The desk behind a request.
pub(super) fn desk<'a>(ctx: &Context<'a>) -> &'a Arc<Desk> {
    &ctx.data_unchecked::<Caller>().desk
}

/// How a task stands, if that is one of the known words.
fn status_of(desk: &Desk, task: &Task) -> Option<TaskStatus> {
    desk.status_of(task).status.parse::<model::task::TaskStatus>().ok().map(Into::into)
}

/// Whether a list begins with the least or the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(rename_items = "lowercase")]
pub(crate) enum OrderDirection {
    /// The least first.
    Asc,
    /// The greatest first.
    Desc,
}

/// One unit of work for one engine.
pub(crate) struct TaskView(pub(super) Arc<Task>);

/// One unit of work for one engine.
#[Object(name = "Task")]
impl TaskView {
    async fn id(&self) -> ID {
        ID(self.0.id.clone())
    }
    async fn job_id(&self) -> ID {
        ID(self.0.job_id.clone())
    }
    async fn job(&self) -> JobView {
        JobView(Arc::clone(&self.0))
    }
    async fn target_id(&self) -> ID {
        ID(self.0.tdo_id.clone())
    }
    async fn target(&self, ctx: &Context<'_>) -> Option<TdoView> {
        TdoView::of(desk(ctx), &self.0, &self.0.tdo_id)
    }
    async fn engine_id(&self, ctx: &Context<'_>) -> ID {
        ID(desk(ctx).facts.registration.engine.to_string())
    }
    async fn engine(&self, ctx: &Context<'_>) -> Engine {
        Engine::of(desk(ctx))
    }
    async fn status(&self, ctx: &Context<'_>) -> Option<TaskStatus> {
        status_of(desk(ctx), &self.0)
    }
    /// What the engine was given.
    async fn payload(&self) -> JsonData {
        JsonData(self.0.payload.clone())
    }
    /// The same as text.
    async fn payload_string(&self) -> String {
        self.0.payload.to_string()
    }
    /// The older name of `payload`.
    async fn task_payload(&self) -> Json {
        Json(self.0.payload.get("taskPayload").cloned().unwrap_or_default())
    }
    /// What the engine said in the end.
    async fn output(&self, ctx: &Context<'_>) -> Option<JsonData> {
        desk(ctx).status_of(&self.0).output.map(JsonData)
    }
    /// The same as text.
    async fn output_string(&self, ctx: &Context<'_>) -> Option<String> {
        desk(ctx).status_of(&self.0).output.map(|output| output.to_string())
    }
    /// The older name of `output`.
    async fn task_output(&self, ctx: &Context<'_>) -> Option<Json> {
        desk(ctx).status_of(&self.0).output.map(Json)
    }
    async fn failure_reason(&self, ctx: &Context<'_>) -> Option<String> {
        desk(ctx).status_of(&self.0).failure_reason
    }
    async fn failure_message(&self, ctx: &Context<'_>) -> Option<String> {
        desk(ctx).status_of(&self.0).failure_message
    }
    /// Whether it tests an engine.
    async fn test_task(&self) -> bool {
        true
    }
    async fn created_date_time(&self, ctx: &Context<'_>) -> DateTime {
        DateTime(desk(ctx).facts.started_at)
    }
    async fn modified_date_time(&self, ctx: &Context<'_>) -> DateTime {
        DateTime(desk(ctx).status_of(&self.0).modified)
    }
}

/// A job of one task.
pub(crate) struct JobView(pub(super) Arc<Task>);

/// A job of one task.
#[Object(name = "Job")]
impl JobView {
    async fn id(&self) -> ID {
        ID(self.0.job_id.clone())
    }
    async fn target_id(&self) -> ID {
        ID(self.0.tdo_id.clone())
    }
    async fn target(&self, ctx: &Context<'_>) -> Option<TdoView> {
        TdoView::of(desk(ctx), &self.0, &self.0.tdo_id)
    }
    async fn status(&self, ctx: &Context<'_>) -> Option<TaskStatus> {
        status_of(desk(ctx), &self.0)
    }
    async fn created_date_time(&self, ctx: &Context<'_>) -> DateTime {
        DateTime(desk(ctx).facts.started_at)
    }
    async fn tasks(&self, offset: Option<i32>, limit: Option<i32>) -> TaskList {
        let (records, offset, limit) = page(vec![TaskView(Arc::clone(&self.0))], offset.unwrap_or(0), limit.unwrap_or(PAGE));
        TaskList { count: records.len() as i32, records, offset, limit }
    }
}

/// Records of a page, if nobody says how many. Arguments with a value of their own may be left out; older clients take those that may not be null for needed.
const PAGE: i32 = 30;

/// A recording: the thing that is analysed, or that an adapter makes.
pub(crate) struct TdoView {
    pub(super) tdo: Tdo,
    pub(super) task: Arc<Task>,
}

impl TdoView {
    pub(super) fn of(desk: &Desk, task: &Arc<Task>, id: &str) -> Option<Self> {
        desk.tdo(task, id).map(|tdo| Self { tdo, task: Arc::clone(task) })
    }
}

/// A recording: the thing that is analysed.
#[Object(name = "TemporalDataObject")]
impl TdoView {
    async fn id(&self) -> ID {
        ID(self.tdo.id.clone())
    }
    async fn name(&self) -> &str {
        &self.tdo.name
    }
    async fn description(&self) -> Option<&str> {
        self.tdo.description.as_deref()
    }
    async fn status(&self) -> &str {
        &self.tdo.status
    }
    async fn details(&self) -> JsonData {
        JsonData(self.tdo.details.clone())
    }
    async fn start_date_time(&self) -> DateTime {
        DateTime(self.tdo.start)
    }
    async fn stop_date_time(&self) -> DateTime {
        DateTime(self.tdo.stop)
    }
    async fn created_date_time(&self) -> DateTime {
        DateTime(self.tdo.created)
    }
    async fn modified_date_time(&self) -> DateTime {
        DateTime(self.tdo.modified)
    }
    /// Its files. `type` is the older name of `assetType`; both take one value or a list.
    #[allow(clippy::too_many_arguments, reason = "each is an argument of the field")]
    async fn assets(
        &self,
        ctx: &Context<'_>,
        id: Option<ID>,
        #[graphql(name = "type")] kind: Option<Vec<String>>,
        asset_type: Option<Vec<String>>,
        source_task_id: Option<ID>,
        offset: Option<i32>,
        limit: Option<i32>,
        order_by: Option<AssetOrderBy>,
        order_direction: Option<OrderDirection>,
    ) -> AssetList {
        let mut assets = desk(ctx).assets_of(&self.tdo.id);
        assets.retain(|asset| {
            let of = |types: &Option<Vec<String>>| types.as_ref().is_none_or(|types| types.contains(&asset.asset_type));
            of(&kind)
                && of(&asset_type)
                && id.as_ref().is_none_or(|id| id.0 == asset.id)
                && source_task_id.as_ref().is_none_or(|id| Some(&id.0) == asset.source_task.as_ref())
        });
        match order_by.unwrap_or(AssetOrderBy::CreatedDateTime) {
            AssetOrderBy::CreatedDateTime => assets.sort_by_key(|asset| asset.created),
            AssetOrderBy::Type => assets.sort_by(|a, b| a.asset_type.cmp(&b.asset_type)),
            AssetOrderBy::Name => assets.sort_by(|a, b| a.name.cmp(&b.name)),
        }
        if order_direction.unwrap_or(OrderDirection::Desc) == OrderDirection::Desc {
            assets.reverse();
        }
        let (records, offset, limit) = page(assets.into_iter().map(AssetView).collect(), offset.unwrap_or(0), limit.unwrap_or(PAGE));
        AssetList { count: records.len() as i32, records, offset, limit }
    }
    /// Its first asset of a type.
    async fn primary_asset(&self, ctx: &Context<'_>, asset_type: Option<String>) -> Option<AssetView> {
        let wanted = asset_type.as_deref().unwrap_or("media");
        desk(ctx).assets_of(&self.tdo.id).into_iter().find(|asset| asset.asset_type == wanted).map(AssetView)
    }
    async fn tasks(&self, offset: Option<i32>, limit: Option<i32>) -> TaskList {
        let (records, offset, limit) = page(vec![TaskView(Arc::clone(&self.task))], offset.unwrap_or(0), limit.unwrap_or(PAGE));
        TaskList { count: records.len() as i32, records, offset, limit }
    }
}

/// A file of a recording.
pub(crate) struct AssetView(pub(super) Asset);

/// A file of a recording.
#[Object(name = "Asset")]
impl AssetView {
    async fn id(&self) -> ID {
        ID(self.0.id.clone())
    }
    async fn container_id(&self) -> ID {
        ID(self.0.tdo_id.clone())
    }
    /// The older name of `assetType`.
    #[graphql(name = "type")]
    async fn kind(&self) -> &str {
        &self.0.asset_type
    }
    async fn asset_type(&self) -> &str {
        &self.0.asset_type
    }
    async fn content_type(&self) -> &str {
        &self.0.content_type
    }
    async fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }
    async fn details(&self) -> Option<JsonData> {
        self.0.details.clone().map(JsonData)
    }
    /// The older name of `details`.
    async fn jsondata(&self) -> Option<Json> {
        self.0.details.clone().map(Json)
    }
    async fn created_date_time(&self) -> DateTime {
        DateTime(self.0.created)
    }
    /// Where its bytes are.
    async fn uri(&self, ctx: &Context<'_>) -> String {
        desk(ctx).url(&self.0.uri)
    }
    /// Where its bytes are, without any header needed.
    async fn signed_uri(&self, ctx: &Context<'_>) -> String {
        desk(ctx).url(&self.0.uri)
    }
}

/// The part of `records` that a page shows, and the page as it was understood.
fn page<T>(records: Vec<T>, offset: i32, limit: i32) -> (Vec<T>, i32, i32) {
    let (offset, limit) = (offset.max(0), limit.clamp(0, 1000));
    (records.into_iter().skip(offset as usize).take(limit as usize).collect(), offset, limit)
}

/// A page of tasks.
#[derive(SimpleObject)]
pub(crate) struct TaskList {
    records: Vec<TaskView>,
    /// Number of records in this page.
    count: i32,
    offset: i32,
    limit: i32,
}

/// A page of assets.
#[derive(SimpleObject)]
pub(crate) struct AssetList {
    records: Vec<AssetView>,
    /// Number of records in this page.
    count: i32,
    offset: i32,
    limit: i32,
}

/// The engine itself.
#[derive(SimpleObject)]
pub(crate) struct Engine {
    id: ID,
    name: String,
    display_name: String,
    owner_organization_id: ID,
    mode: String,
}

impl Engine {
    pub(super) fn of(desk: &Desk) -> Self {
        let known = &desk.facts.registration;
        Self {
            id: ID(known.engine.to_string()),
            name: known.engine_name.clone(),
            display_name: known.engine_name.clone(),
            owner_organization_id: ID(known.organization.to_string()),
            mode: desk.facts.mode.to_owned(),
        }
    }
}

/// Who owns an engine.
#[derive(SimpleObject)]
pub(crate) struct Organization {
    id: ID,
    name: String,
}

/// Who a token speaks for.
#[derive(SimpleObject)]
pub(crate) struct User {
    id: ID,
    name: String,
    email: String,
    organization_id: ID,
    organization: Organization,
}

impl User {
    pub(super) fn of(desk: &Desk) -> Self {
        let known = &desk.facts.registration;
        let organization = known.organization.to_string();
        Self {
            id: ID(known.engine.to_string()),
            name: known.engine_name.clone(),
            email: "engine@localhost".to_owned(),
            organization_id: ID(organization.clone()),
            organization: Organization { name: format!("organization {organization}"), id: ID(organization) },
        }
    }
}

/// What a token may do.
#[derive(SimpleObject)]
pub(crate) struct RightsListing {
    operations: Vec<String>,
    resources: JsonData,
}

impl RightsListing {
    pub(super) fn of(task: &Task) -> Self {
        let operations = ["asset:uri", "asset:all", "recording:read", "recording:update", "task:update"];
        let resources = serde_json::json!({"Job": [task.job_id], "Task": [task.id], "TemporalDataObject": [task.tdo_id]});
        Self { operations: operations.map(str::to_owned).into(), resources: JsonData(resources) }
    }
}

/// A document under the id of somebody's schema.
#[derive(SimpleObject)]
pub(crate) struct StructuredData {
    pub(super) id: ID,
    pub(super) schema_id: ID,
    pub(super) data: JsonData,
}

/// A token for an engine, and what it is good for.
#[derive(SimpleObject)]
pub(crate) struct EngineJwt {
    pub(super) engine_id: ID,
    pub(super) token: String,
    pub(super) resource: JsonData,
}

/// A log that was handed in.
#[derive(SimpleObject)]
pub(crate) struct TaskLog {
    pub(super) uri: String,
    pub(super) text: Option<String>,
}
