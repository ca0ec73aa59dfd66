//! Recordings, their files and the results of engines as the API shows them (GraphQL contract §7).

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use harness::graphql::AssetOrderBy;
use store::{
    assets::{self, Content, Filter, Order},
    tasks::{JobFilter, Of},
    tdos,
};

use super::{
    app, caller,
    engine::Engine,
    page::{Page, Wanted},
    scalars::{DateTime, Json, JsonData},
    task::{self, Job, Task, TaskStatus},
};
use crate::{asset_files, error::Problem};

/// A recording (temporal data object): what is analysed, or what an adapter makes.
pub struct Tdo(pub tdos::Tdo);

/// A file of a recording.
pub struct Asset(pub assets::Asset);

/// Whether a list begins with the least or the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "AssetOrderDirection", rename_items = "lowercase")]
pub enum Direction {
    /// The least first.
    Asc,
    /// The greatest first.
    Desc,
}

/// A recording (temporal data object).
#[Object(name = "TemporalDataObject")]
impl Tdo {
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    async fn status(&self) -> &str {
        &self.0.status
    }

    async fn details(&self) -> JsonData {
        JsonData(self.0.details.clone())
    }

    async fn organization_id(&self) -> ID {
        self.0.organization.to_string().into()
    }

    async fn start_date_time(&self) -> DateTime {
        DateTime(self.0.start_at)
    }

    async fn stop_date_time(&self) -> DateTime {
        DateTime(self.0.stop_at)
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

    /// Its files. `type` is the older name of `assetType`; both take one value or a list.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the contract")]
    async fn assets(
        &self,
        ctx: &Context<'_>,
        id: Option<ID>,
        #[graphql(name = "type")] kind: Option<Vec<String>>,
        asset_type: Option<Vec<String>>,
        source_task_id: Option<ID>,
        offset: Option<i64>,
        limit: Option<i64>,
        #[graphql(default_with = "Some(AssetOrderBy::CreatedDateTime)")] order_by: Option<AssetOrderBy>,
        #[graphql(default_with = "Some(Direction::Desc)")] order_direction: Option<Direction>,
    ) -> Result<Page<Asset>> {
        let wanted = Wanted::new(offset, limit);
        let types = match (kind, asset_type) {
            (Some(one), Some(other)) => {
                let both: Vec<String> = one.into_iter().filter(|kind| other.contains(kind)).collect();
                if both.is_empty() {
                    return Ok(wanted.page(Vec::new(), Asset));
                }
                both
            }
            (one, other) => one.or(other).unwrap_or_default(),
        };
        let filter = Filter {
            tdos: vec![self.0.id],
            types,
            id: id.map(|id| id.0),
            task: source_task_id.map(|id| id.0),
            order: match order_by.unwrap_or(AssetOrderBy::CreatedDateTime) {
                AssetOrderBy::CreatedDateTime => Order::Created,
                AssetOrderBy::Type => Order::Type,
                AssetOrderBy::Name => Order::Name,
            },
            descending: order_direction != Some(Direction::Asc),
            ..Filter::default()
        };
        let mut db = app(ctx).db.read().acquire().await.map_err(Problem::from)?;
        let rows = assets::list(&mut db, self.0.organization, &filter, wanted.offset, wanted.limit).await.map_err(Problem::from)?;
        Ok(wanted.page(rows, Asset))
    }

    /// The file of a type that counts: the primary one, or else its first.
    async fn primary_asset(&self, ctx: &Context<'_>, asset_type: Option<String>) -> Result<Option<Asset>> {
        let types = vec![asset_type.unwrap_or_else(|| "media".to_owned())];
        let filter = Filter { tdos: vec![self.0.id], types, order: Order::Primary, ..Filter::default() };
        let mut db = app(ctx).db.read().acquire().await.map_err(Problem::from)?;
        let mut rows = assets::list(&mut db, self.0.organization, &filter, 0, 1).await.map_err(Problem::from)?;
        Ok(rows.pop().map(Asset))
    }

    /// Tasks on it, newest first.
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        status: Option<Vec<TaskStatus>>,
        offset: Option<i64>,
        limit: Option<i64>,
    ) -> Result<Page<Task>> {
        // An engine's token does not reach beyond its task.
        caller(ctx)?;
        task::page(ctx, self.0.organization, Of::Tdo(self.0.id), status, Wanted::new(offset, limit)).await
    }

    /// Jobs on it, newest first.
    async fn jobs(&self, ctx: &Context<'_>, offset: Option<i64>, limit: Option<i64>) -> Result<Page<Job>> {
        caller(ctx)?;
        let wanted = Wanted::new(offset, limit);
        let filter = JobFilter { tdo: Some(self.0.id), ..JobFilter::default() };
        let rows = store::tasks::jobs(app(ctx).db.read(), self.0.organization, &filter, wanted.offset, wanted.limit).await;
        Ok(wanted.page(rows.map_err(Problem::from)?, Job))
    }
}

/// A file of a recording.
#[Object]
impl Asset {
    async fn id(&self) -> ID {
        self.0.id.clone().into()
    }

    async fn container_id(&self) -> ID {
        self.0.tdo.to_string().into()
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

    /// Where it comes from, as far as it was said.
    async fn source_data(&self) -> Option<JsonData> {
        self.0.source.clone().map(JsonData)
    }

    /// Bytes; 0 when its content is somewhere else.
    async fn size(&self) -> i64 {
        i64::try_from(self.0.size).unwrap_or(i64::MAX)
    }

    async fn is_user_edited(&self) -> bool {
        self.0.user_edited
    }

    async fn created_by(&self) -> &str {
        &self.0.created_by
    }

    async fn created_date_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// Where its bytes are, for whoever sends a token.
    async fn uri(&self, ctx: &Context<'_>) -> String {
        match &self.0.content {
            Content::Uri(uri) => uri.clone(),
            Content::Blob(_) => format!("{}{}", app(ctx).public_url, asset_files::path_of(&self.0.id)),
        }
    }

    /// Where its bytes are for a while, without any header needed.
    async fn signed_uri(&self, ctx: &Context<'_>) -> String {
        match &self.0.content {
            Content::Uri(uri) => uri.clone(),
            Content::Blob(_) => asset_files::signed(app(ctx), &asset_files::path_of(&self.0.id)),
        }
    }
}

/// One result of an engine on a recording.
pub struct EngineResult {
    /// The file it is in.
    pub asset: assets::Asset,
    /// What it says.
    pub jsondata: serde_json::Value,
}

impl EngineResult {
    /// The least or greatest time in its series.
    fn offset(&self, key: &str, pick: fn(i64, i64) -> i64) -> Option<i64> {
        let series = self.jsondata.get("series")?.as_array()?;
        series.iter().filter_map(|entry| entry.get(key)?.as_i64()).reduce(pick)
    }
}

/// One result of an engine on a recording.
#[Object]
impl EngineResult {
    async fn tdo_id(&self) -> ID {
        self.asset.tdo.to_string().into()
    }

    async fn engine_id(&self) -> Option<ID> {
        self.asset.engine.clone().map(ID)
    }

    async fn engine(&self, ctx: &Context<'_>) -> Result<Option<Engine>> {
        caller(ctx)?;
        let Some(Ok(id)) = self.asset.engine.as_deref().map(str::parse) else { return Ok(None) };
        let row = store::engines::by_id(app(ctx).db.read(), id).await.map_err(Problem::from)?;
        Ok(row.filter(|engine| engine.organization == self.asset.organization).map(Engine::from))
    }

    async fn task_id(&self) -> Option<ID> {
        self.asset.task.clone().map(ID)
    }

    async fn jsondata(&self) -> JsonData {
        JsonData(self.jsondata.clone())
    }

    async fn start_offset_ms(&self) -> Option<i64> {
        self.offset("startTimeMs", i64::min)
    }

    async fn stop_offset_ms(&self) -> Option<i64> {
        self.offset("stopTimeMs", i64::max)
    }

    async fn asset_id(&self) -> ID {
        self.asset.id.clone().into()
    }

    async fn user_edited(&self) -> bool {
        self.asset.user_edited
    }
}

/// Results of engines.
#[derive(SimpleObject)]
pub struct EngineResultList {
    pub source_id: Option<ID>,
    pub records: Vec<EngineResult>,
}
