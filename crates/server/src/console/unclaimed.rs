//! Pushes that became no build.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use store::unclaimed_pushes;

use super::{
    check_docs,
    page::{PageError, page, parameter, shell},
    views::{Paging, Section, UnclaimedPage},
    visitor::Visitor,
};
use crate::{app::App, auth::permission::Permission, clock};

/// `GET /unclaimed`.
pub async fn list(State(app): State<Arc<App>>, Visitor(caller): Visitor, query: RawQuery) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let paging = Paging::asked("/unclaimed", parameter(&query, "page").as_deref());
    let mut rows = unclaimed_pushes::list(app.db.read(), caller.organization, paging.offset(), paging.limit()).await?;
    let paging = paging.cut(&mut rows);
    let shell = shell("Unclaimed pushes", Section::Unclaimed, &caller);
    Ok(page(StatusCode::OK, &UnclaimedPage::new(shell, rows, paging, |check| check_docs::text(check).is_some(), clock::now_ms())))
}
