//! Builds as the API shows them.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use model::build::{self, Event};
use serde_json::Value;
use store::{
    build_life,
    builds::{self, Build as Row},
    engines::Engine as EngineRow,
};
use tokio::sync::OnceCell;

use super::{
    app, caller,
    engine::Engine,
    scalars::{DateTime, JsonData},
    visitor,
    vulnerability::{self, VulnerabilityList, VulnerabilitySeverity, Worsening},
};
use crate::{error::Problem, instances::Health, served_report, standing::Standing};

/// Where a build stands.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "build::BuildStatus", rename_items = "camelCase")]
pub enum BuildStatus {
    /// The image is stored.
    Uploaded,
    /// The gate is at work.
    Fetching,
    /// Passed; may be submitted.
    Available,
    /// Failed.
    Invalid,
    /// Submitted.
    Pending,
    /// May be deployed.
    Approved,
    /// Refused.
    Disapproved,
    /// Being deployed.
    Deploying,
    /// Live.
    Deployed,
    /// Could not be deployed.
    DeployFailed,
    /// Was live.
    Paused,
    /// Deleted.
    Deleted,
}

/// What a person can do with a build.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
#[graphql(rename_items = "camelCase")]
pub enum BuildUpdateAction {
    /// Make it live.
    Deploy,
    /// Suspend it.
    Pause,
    /// Make it live again.
    Unpause,
    /// Clear it for deployment.
    Approve,
    /// Refuse it; needs a reason.
    Disapprove,
    /// Declare it unusable.
    Invalidate,
    /// Ask for the review.
    Submit,
    /// Test the same image again.
    Upload,
    /// Remove it.
    Delete,
}

impl From<BuildUpdateAction> for Event {
    fn from(action: BuildUpdateAction) -> Self {
        match action {
            BuildUpdateAction::Deploy => Self::Deploy,
            BuildUpdateAction::Pause => Self::Pause,
            BuildUpdateAction::Unpause => Self::Unpause,
            BuildUpdateAction::Approve => Self::Approve,
            BuildUpdateAction::Disapprove => Self::Disapprove,
            BuildUpdateAction::Invalidate => Self::Invalidate,
            BuildUpdateAction::Submit => Self::Submit,
            BuildUpdateAction::Upload => Self::Upload,
            BuildUpdateAction::Delete => Self::Delete,
        }
    }
}

impl BuildUpdateAction {
    fn of(event: Event) -> Option<Self> {
        Some(match event {
            Event::Deploy => Self::Deploy,
            Event::Pause => Self::Pause,
            Event::Unpause => Self::Unpause,
            Event::Approve => Self::Approve,
            Event::Disapprove => Self::Disapprove,
            Event::Invalidate => Self::Invalidate,
            Event::Submit => Self::Submit,
            Event::Upload => Self::Upload,
            Event::Delete => Self::Delete,
            _ => return None,
        })
    }
}

/// An action on a build.
#[derive(InputObject)]
pub struct UpdateBuild {
    pub id: ID,
    pub engine_id: ID,
    pub action: BuildUpdateAction,
    /// Accepted and not used: the image of a build never changes.
    pub docker_image: Option<String>,
    /// Why; needed by disapprove and by every approval against the gate.
    pub reason: Option<String>,
    /// End of an approval against the gate.
    pub until: Option<DateTime>,
}

/// A build to remove.
#[derive(InputObject)]
pub struct DeleteBuild {
    pub id: ID,
    pub engine_id: ID,
}

/// A build of an image that is here already.
#[derive(InputObject)]
pub struct CreateBuild {
    pub engine_id: ID,
    /// Accepted and not used: every engine is a container.
    pub task_runtime: Option<JsonData>,
    /// The image: host/organization/name:tag, or the same without the host, or with @digest.
    pub docker_image: Option<String>,
    /// Must be the one in the image.
    pub manifest: Option<JsonData>,
}

/// One build of one engine.
pub struct Build {
    row: Row,
    engine: OnceCell<Arc<EngineRow>>,
}

/// One line of a build's history.
#[derive(SimpleObject)]
pub struct HistoryEntry {
    time: DateTime,
    /// E-mail of a person, or `system`.
    actor: String,
    event: String,
    from: Option<String>,
    to: String,
    reason: String,
}

/// What somebody wrote in the review.
#[derive(SimpleObject)]
pub struct BuildNote {
    time: DateTime,
    /// E-mail.
    author: String,
    /// comment, changes, answer, appeal or appealAnswer.
    kind: String,
    /// Rule of the finding it is about.
    finding: Option<String>,
    text: String,
}

impl From<Row> for Build {
    fn from(row: Row) -> Self {
        Self { row, engine: OnceCell::new() }
    }
}

impl Build {
    /// A build of an engine that is at hand.
    pub fn within(row: Row, engine: &Arc<EngineRow>) -> Self {
        Self { row, engine: OnceCell::new_with(Some(engine.clone())) }
    }

    async fn read_engine(&self, ctx: &Context<'_>) -> Result<Arc<EngineRow>, Problem> {
        let read = async || {
            let row = store::engines::by_id(app(ctx).db.read(), self.row.engine).await?;
            row.map(Arc::new).ok_or_else(|| Problem::NotFound { object: "Engine", id: self.row.engine.to_string() })
        };
        Ok(self.engine.get_or_try_init(read).await?.clone())
    }

    async fn standing(&self, ctx: &Context<'_>) -> Result<Standing> {
        let engine = self.read_engine(ctx).await?;
        Ok(visitor(ctx).standing(app(ctx), caller(ctx)?, &self.row, &engine).await?)
    }

    async fn read_report(&self, ctx: &Context<'_>) -> Result<Option<Value>, Problem> {
        served_report::document(app(ctx).db.read(), &self.row).await
    }

    fn text(&self, key: &str) -> Option<String> {
        self.row.manifest.get(key).and_then(Value::as_str).map(str::to_owned)
    }

    fn texts(&self, key: &str) -> Option<Vec<String>> {
        let list = self.row.manifest.get(key)?.as_array()?;
        Some(list.iter().filter_map(|entry| entry.as_str().map(str::to_owned)).collect())
    }
}

#[Object]
impl Build {
    async fn id(&self) -> ID {
        self.row.id.to_string().into()
    }

    async fn engine_id(&self) -> ID {
        self.row.engine.to_string().into()
    }

    async fn engine(&self, ctx: &Context<'_>) -> Result<Option<Engine>> {
        Ok(Some(Engine::from(self.read_engine(ctx).await?)))
    }

    async fn name(&self) -> String {
        format!("{}:{}", self.row.repository, self.row.tag)
    }

    async fn description(&self) -> Option<String> {
        self.text("description")
    }

    /// Number within the engine, from 1.
    async fn version(&self) -> String {
        self.row.version.to_string()
    }

    async fn status(&self) -> BuildStatus {
        self.row.status.into()
    }

    /// Of a pending build: security, certification or awaiting-approval.
    async fn phase(&self) -> Option<&'static str> {
        self.row.life.phase.map(build::Phase::as_str)
    }

    /// What whoever asks may do with it now.
    async fn valid_state_actions(&self, ctx: &Context<'_>) -> Result<Vec<BuildUpdateAction>> {
        Ok(self.standing(ctx).await?.valid_actions().into_iter().filter_map(BuildUpdateAction::of).collect())
    }

    /// The obvious one of them.
    async fn primary_action(&self, ctx: &Context<'_>) -> Result<Option<BuildUpdateAction>> {
        Ok(self.standing(ctx).await?.primary_action().and_then(BuildUpdateAction::of))
    }

    /// The others.
    async fn secondary_actions(&self, ctx: &Context<'_>) -> Result<Vec<BuildUpdateAction>> {
        Ok(self.standing(ctx).await?.secondary_actions().into_iter().filter_map(BuildUpdateAction::of).collect())
    }

    /// Full reference of the image.
    async fn docker_image(&self, ctx: &Context<'_>) -> String {
        app(ctx).image_reference(&self.row.repository, &self.row.tag)
    }

    async fn runtime(&self) -> JsonData {
        JsonData(serde_json::json!({ "type": "docker" }))
    }

    async fn price(&self) -> Option<i64> {
        None
    }

    async fn validate_uri(&self) -> Option<String> {
        None
    }

    async fn execute_uri(&self) -> Option<String> {
        None
    }

    async fn created_by(&self) -> &str {
        &self.row.pushed_by
    }

    async fn modified_by(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let lines = builds::history(app(ctx).db.read(), self.row.id).await.map_err(Problem::from)?;
        Ok(lines.into_iter().next_back().map(|line| line.actor))
    }

    async fn created_date_time(&self) -> DateTime {
        DateTime(self.row.created_at)
    }

    async fn modified_date_time(&self) -> DateTime {
        DateTime(self.row.modified_at)
    }

    async fn submitted_date_time(&self) -> Option<DateTime> {
        self.row.life.submitted_at.map(DateTime)
    }

    async fn deployed_date_time(&self) -> Option<DateTime> {
        self.row.life.deployed_at.map(DateTime)
    }

    /// End of an approval against the gate.
    async fn override_until(&self) -> Option<DateTime> {
        self.row.life.override_until.map(DateTime)
    }

    async fn manifest(&self) -> JsonData {
        JsonData(self.row.manifest.clone())
    }

    async fn preferred_input_format(&self) -> Option<String> {
        self.text("preferredInputFormat")
    }

    async fn supported_input_formats(&self) -> Option<Vec<String>> {
        self.texts("supportedInputFormats")
    }

    async fn output_formats(&self) -> Option<Vec<String>> {
        self.texts("outputFormats")
    }

    async fn supported_source_types(&self) -> Option<Vec<String>> {
        self.texts("supportedSourceTypes")
    }

    /// How the live engine of this build is: runs, perTask, ended or absent.
    async fn health(&self, ctx: &Context<'_>) -> &'static str {
        match app(ctx).instances.health(self.row.id) {
            Health::Absent => "absent",
            Health::Ended => "ended",
            Health::PerTask => "perTask",
            Health::Runs { .. } => "runs",
        }
    }

    /// The report with decisions and history; while the gate is at work the static part of it.
    async fn report(&self, ctx: &Context<'_>) -> Result<Option<JsonData>> {
        Ok(self.read_report(ctx).await?.map(JsonData))
    }

    /// All findings of the report, worst first.
    async fn findings(&self, ctx: &Context<'_>) -> Result<Vec<JsonData>> {
        let Some(report) = self.read_report(ctx).await? else { return Ok(Vec::new()) };
        let report: model::report::Report = serde_json::from_value(report).map_err(|error| Problem::internal(&error))?;
        let mut findings: Vec<_> = report.checks.into_iter().flat_map(|check| check.findings).collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Ok(findings.into_iter().filter_map(|finding| serde_json::to_value(finding).ok()).map(JsonData).collect())
    }

    /// What is known about its packages today, the worst first; absent while they or the advisories are not there.
    async fn vulnerabilities(
        &self,
        ctx: &Context<'_>,
        severity: Option<VulnerabilitySeverity>,
        offset: Option<i64>,
        limit: Option<i64>,
    ) -> Result<Option<VulnerabilityList>> {
        vulnerability::of_build(ctx, &self.row, severity, offset, limit).await
    }

    /// What got worse since it was judged, because more became known; newest first.
    async fn worsenings(&self, ctx: &Context<'_>) -> Result<Vec<Worsening>> {
        vulnerability::worsenings(ctx, &self.row).await
    }

    /// Everything that happened to it, oldest first.
    async fn history(&self, ctx: &Context<'_>) -> Result<Vec<HistoryEntry>> {
        let lines = builds::history(app(ctx).db.read(), self.row.id).await.map_err(Problem::from)?;
        let entry = |line: builds::HistoryLine| HistoryEntry {
            time: DateTime(line.at),
            actor: line.actor,
            event: line.event,
            from: line.from_status,
            to: line.to_status,
            reason: line.reason,
        };
        Ok(lines.into_iter().map(entry).collect())
    }

    /// What was written in the review, oldest first.
    async fn notes(&self, ctx: &Context<'_>) -> Result<Vec<BuildNote>> {
        let notes = build_life::notes(app(ctx).db.read(), self.row.id).await.map_err(Problem::from)?;
        let note = |note: build_life::Note| BuildNote {
            time: DateTime(note.at),
            author: note.author,
            kind: note.kind.as_str().to_owned(),
            finding: note.finding,
            text: note.text,
        };
        Ok(notes.into_iter().map(note).collect())
    }
}
