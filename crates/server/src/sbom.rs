//! The list of packages of a build, on its way out.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, Path, RawQuery, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use scan::{
    Inventory,
    sbom::{Format, Subject, render},
};
use store::{builds::Build, inventories};

use crate::{app::App, auth::permission::Permission, console, error::Problem, http::caller};

/// The image of a build.
pub fn subject<'a>(build: &'a Build, created: Option<&'a str>) -> Subject<'a> {
    Subject { name: &build.repository, digest: &build.digest, created }
}

/// `GET /v3/builds/{id}/sbom?format=cyclonedx|spdx`.
///
/// # Errors
/// As for the report of a build; also when there is no list yet, and for an unknown format.
pub async fn get(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(id): Path<String>,
    query: RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = caller(&app, peer, &headers).await?;
    caller.require(Permission::ReadEngines)?;
    let build = console::own_build(&app, &caller, &id).await?;
    let format: Format = match console::parameter(&query, "format") {
        Some(word) => word.parse().map_err(|error: scan::Error| Problem::invalid(format!("format: {error}")))?,
        None => Format::default(),
    };
    let missing = || Problem::NotFound { object: "Sbom", id: build.id.to_string() };
    let kept = inventories::of_build(app.db.read(), build.id).await?.ok_or_else(missing)?;
    let inventory = Inventory::from_bytes(&kept.document).ok_or_else(missing)?;
    let text = render(format, &subject(&build, kept.image_created.as_deref()), &inventory);
    let file = format!("attachment; filename=\"sbom-{}-{}.json\"", build.id, format.as_str());
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, file),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, text).into_response())
}
