//! What is known about the packages of a build.

use std::sync::Arc;

use axum::{
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::Response,
};
use scan::{Severity, rematch::Worse};
use store::{engines, inventories, waivers};

use super::{
    builds::own,
    page::{PageError, page, parameter, shell},
    views::{Section, VulnerabilitiesInput, VulnerabilitiesPage, waiver_rows},
    visitor::Visitor,
};
use crate::{app::App, auth::permission::Permission, clock, error::Problem, known::known};

/// Waivers shown.
pub const WAIVERS: i64 = 50;

/// `GET /builds/{id}/vulnerabilities?severity=High&page=2`.
pub async fn show(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    Path(id): Path<String>,
    query: RawQuery,
) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let build = own(&app, &caller, &id).await?;
    let db = app.db.read();
    let missing = || Problem::NotFound { object: "Build", id: build.id.to_string() };
    let engine = engines::by_id(db, build.engine).await?.ok_or_else(missing)?;
    let severity = parameter(&query, "severity").and_then(|word| Severity::ALL.into_iter().find(|severity| severity.as_str() == word));
    let now = clock::now_ms();
    let rows = inventories::worsenings(db, build.id).await?;
    let worsenings: Vec<(i64, Vec<Worse>)> =
        rows.into_iter().map(|row| (row.at, serde_json::from_str(&row.document).unwrap_or_default())).collect();
    let (found, asked) = (known(&app, &build).await?, parameter(&query, "page"));
    let input = VulnerabilitiesInput {
        engine: &engine,
        build: &build,
        known: found.as_ref(),
        severity,
        worsenings: &worsenings,
        waivers: waiver_rows(waivers::list(db, caller.organization, Some(engine.id), 0, WAIVERS).await?, now),
        page: asked.as_deref(),
        may_waive: caller.may(Permission::WaiveVulnerabilities),
        has_sbom: inventories::is_kept(db, build.id).await?,
        now,
    };
    let shell = shell(format!("Vulnerabilities of {}, build {}", engine.name, build.version), Section::Engines, &caller);
    Ok(page(StatusCode::OK, &VulnerabilitiesPage::new(shell, input)))
}
