//! Builds as the API shows them.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use model::build;
use store::builds::{self, Build as Row};

use super::{
    app,
    engine::Engine,
    scalars::{DateTime, JsonData},
    vulnerability::{self, VulnerabilityList, VulnerabilitySeverity, Worsening},
};
use crate::error::Problem;

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

/// One build of one engine.
pub struct Build(pub Row);

/// A page of builds.
pub struct BuildList {
    pub records: Vec<Build>,
    pub offset: i64,
    pub limit: i64,
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

#[Object]
impl Build {
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    async fn engine_id(&self) -> ID {
        self.0.engine.to_string().into()
    }

    async fn engine(&self, ctx: &Context<'_>) -> Result<Option<Engine>> {
        let row = store::engines::by_id(app(ctx).db.read(), self.0.engine).await.map_err(Problem::from)?;
        Ok(row.map(Engine))
    }

    async fn name(&self) -> String {
        format!("{}:{}", self.0.repository, self.0.tag)
    }

    /// Number within the engine, from 1.
    async fn version(&self) -> String {
        self.0.version.to_string()
    }

    async fn status(&self) -> BuildStatus {
        self.0.status.into()
    }

    /// Full reference of the image.
    async fn docker_image(&self, ctx: &Context<'_>) -> String {
        app(ctx).image_reference(&self.0.repository, &self.0.tag)
    }

    async fn created_by(&self) -> &str {
        &self.0.pushed_by
    }

    async fn created_date_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    async fn modified_date_time(&self) -> DateTime {
        DateTime(self.0.modified_at)
    }

    async fn manifest(&self) -> JsonData {
        JsonData(self.0.manifest.clone())
    }

    /// The report; while the gate is at work the static part of it.
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
        vulnerability::of_build(ctx, &self.0, severity, offset, limit).await
    }

    /// What got worse since it was judged, because more became known; newest first.
    async fn worsenings(&self, ctx: &Context<'_>) -> Result<Vec<Worsening>> {
        vulnerability::worsenings(ctx, &self.0).await
    }

    /// Everything that happened to it, oldest first.
    async fn history(&self, ctx: &Context<'_>) -> Result<Vec<HistoryEntry>> {
        let lines = builds::history(app(ctx).db.read(), self.0.id).await.map_err(Problem::from)?;
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
}

impl Build {
    async fn read_report(&self, ctx: &Context<'_>) -> Result<Option<serde_json::Value>, Problem> {
        let text = builds::report(app(ctx).db.read(), self.0.id).await?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| Problem::internal(&error))).transpose()
    }
}

#[Object]
impl BuildList {
    async fn records(&self) -> &[Build] {
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
