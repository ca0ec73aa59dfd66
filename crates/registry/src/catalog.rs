//! `GET /v2/_catalog`: the repositories there are, for who has the right to see them, in byte order and page by page.

use axum::response::Response;
use serde_json::json;
use store::repositories;

use crate::{
    Inner,
    manifests::{json_response, with_link},
    refusal::Refusal,
    request::Asking,
    scope::Action,
};

/// Lists the repositories the caller may pull from.
pub(crate) async fn list(inner: &Inner, asking: &Asking<'_>) -> Result<Response, Refusal> {
    let access = asking.listing()?;
    let page = asking.paging(inner.options.limits.list_page)?;
    let among = access.among(Action::Pull);
    let mut names = repositories::catalog(&inner.db, &among, page.last.as_deref(), page.limit.saturating_add(1)).await?;
    let more = page.cut(&mut names);
    let next = names.last().filter(|_| more).map(|last| page.link("/v2/_catalog", last, &[]));
    let mut response = json_response(&json!({ "repositories": names }))?;
    with_link(&mut response, next);
    Ok(response)
}
