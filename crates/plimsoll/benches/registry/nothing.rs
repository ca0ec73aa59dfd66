//! A server that answers pushes as a registry does and keeps nothing: no registry can be faster for a client than this.

use anyhow::Result;
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Method, StatusCode, header},
    response::Response,
    serve::ListenerExt,
};
use tokio_stream::StreamExt;

/// Serves on a free port, and prints its address.
pub fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let quick = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(quick, Router::new().fallback(forget)).await?)
    })
}

async fn forget(request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let digest = request.uri().query().and_then(|query| query.strip_prefix("digest=")).map(|digest| digest.replace("%3A", ":"));
    let mut body = request.into_body().into_data_stream();
    while let Some(Ok(_)) = body.next().await {}
    let status = match method {
        Method::GET if path == "/v2/" => StatusCode::OK,
        Method::POST | Method::PATCH => StatusCode::ACCEPTED,
        Method::PUT => StatusCode::CREATED,
        _ => StatusCode::NOT_FOUND,
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let location = if method == Method::POST { format!("{path}upload") } else { path };
    for (name, value) in [(header::LOCATION.as_str(), Some(location)), ("docker-content-digest", digest)] {
        if let Some(value) = value.and_then(|value| value.parse().ok()) {
            response.headers_mut().insert(axum::http::HeaderName::from_static(name), value);
        }
    }
    response
}
