//! What waits for a decision.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use store::engines;

use super::{
    page::{PageError, page, parameter, shell},
    views::{Paging, ReviewPage, Section},
    visitor::Visitor,
};
use crate::{app::App, auth::permission::Permission, clock, error::Problem, review_queue::queue, standing::House};

/// `GET /review`.
pub async fn list(State(app): State<Arc<App>>, Visitor(caller): Visitor, query: RawQuery) -> Result<Response, PageError> {
    caller.require(Permission::ReadEngines)?;
    let paging = Paging::asked("/review", parameter(&query, "page").as_deref());
    let mut rows = queue(&app.db, caller.organization, paging.offset(), paging.limit()).await?;
    let paging = paging.cut(&mut rows);
    let ids: Vec<_> = rows.iter().map(|row| row.build.engine).collect();
    let names = engines::names(app.db.read(), &ids).await?;
    let mut db = app.db.read().acquire().await.map_err(Problem::from)?;
    let house = House::read(&mut db, caller.organization).await?;
    let shell = shell("Review", Section::Review, &caller);
    Ok(page(StatusCode::OK, &ReviewPage::new(shell, rows, &names, &house, paging, clock::now_ms())))
}
