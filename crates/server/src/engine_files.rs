//! `PUT`, `GET` and `DELETE /v3/engines/{id}/sample` and `/truth`: what an engine is certified with besides the samples of its category.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, put},
};
use model::id::EngineId;
use store::{
    engine_files::{self, Kind},
    engines,
};

use crate::{
    app::App,
    auth::permission::Permission,
    error::Problem,
    http::caller,
    ops::set_engine_file::{FILE_MAX, NewFile, set_engine_file},
};

/// The routes of one kind of file.
pub fn routes(kind: Kind) -> MethodRouter<Arc<App>> {
    let give = move |State(app): State<Arc<App>>,
                     ConnectInfo(peer): ConnectInfo<SocketAddr>,
                     Path(id): Path<String>,
                     RawQuery(query): RawQuery,
                     headers: HeaderMap,
                     bytes: Bytes| async move {
        let caller = caller(&app, peer, &headers).await?;
        let mime_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let name = query.as_deref().and_then(|query| query.strip_prefix("name=")).unwrap_or(kind.as_str()).to_owned();
        let file = NewFile { name, mime_type, bytes: bytes.into() };
        set_engine_file(&app, &caller, engine_id(&id)?, kind, Some(file)).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT)
    };
    let take = move |State(app): State<Arc<App>>,
                     ConnectInfo(peer): ConnectInfo<SocketAddr>,
                     Path(id): Path<String>,
                     headers: HeaderMap| async move {
        let caller = caller(&app, peer, &headers).await?;
        set_engine_file(&app, &caller, engine_id(&id)?, kind, None).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT)
    };
    let show = move |State(app): State<Arc<App>>,
                     ConnectInfo(peer): ConnectInfo<SocketAddr>,
                     Path(id): Path<String>,
                     headers: HeaderMap| async move {
        let caller = caller(&app, peer, &headers).await?;
        caller.require(Permission::ReadEngines)?;
        let missing = || Problem::NotFound { object: "Engine", id: id.chars().take(80).collect() };
        let engine = engines::by_id(app.db.read(), engine_id(&id)?).await?.filter(|engine| engine.organization == caller.organization);
        let file = engine_files::get(app.db.read(), engine.ok_or_else(missing)?.id, kind).await?;
        let file = file.ok_or_else(|| Problem::NotFound { object: "File", id: kind.as_str().to_owned() })?;
        // What somebody gave is not shown in our name: browsers save it.
        let headers = [
            (header::CONTENT_TYPE, "application/octet-stream"),
            (header::CONTENT_DISPOSITION, "attachment"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        Ok::<Response, Problem>((headers, file.bytes).into_response())
    };
    put(give).delete(take).get(show).layer(DefaultBodyLimit::max(FILE_MAX))
}

fn engine_id(id: &str) -> Result<EngineId, Problem> {
    id.parse().map_err(|_| Problem::NotFound { object: "Engine", id: id.chars().take(80).collect() })
}
