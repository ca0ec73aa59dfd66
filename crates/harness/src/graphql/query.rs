//! Queries of engines.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::{
    Answer, ApiError, Caller,
    mutation::foreign,
    types::{Engine, JobView, RightsListing, TaskView, TdoView, User, desk},
};
use crate::desk::Task;

/// What an engine may ask.
pub(crate) struct EngineQuery;

/// The caller's task, if `id` is that of the object the token is good for.
fn own(ctx: &Context<'_>, object_type: &str, id: &ID, own_id: impl Fn(&Task) -> &str) -> Result<Arc<Task>, ApiError> {
    let task = ctx.data_unchecked::<Caller>().task()?;
    if own_id(task) == id.0 { Ok(Arc::clone(task)) } else { Err(foreign(&object_type.to_ascii_lowercase(), id)) }
}

#[Object]
impl EngineQuery {
    /// A recording and its assets.
    async fn temporal_data_object(&self, ctx: &Context<'_>, id: ID) -> Answer<TdoView> {
        let caller = ctx.data_unchecked::<Caller>();
        let found = caller.task().and_then(|task| TdoView::of(&caller.desk, task, &id.0).ok_or_else(|| foreign("recording", &id)));
        Some(found)
    }

    /// A task.
    async fn task(&self, ctx: &Context<'_>, id: ID) -> Answer<TaskView> {
        Some(own(ctx, "Task", &id, |task| &task.id).map(TaskView))
    }

    /// A job.
    async fn job(&self, ctx: &Context<'_>, id: ID) -> Answer<JobView> {
        Some(own(ctx, "Job", &id, |task| &task.job_id).map(JobView))
    }

    /// The engine itself.
    async fn engine(&self, ctx: &Context<'_>, id: ID) -> Answer<Engine> {
        let known = desk(ctx);
        let same = id.0.eq_ignore_ascii_case(&known.facts.registration.engine.to_string());
        Some(ctx.data_unchecked::<Caller>().task().and_then(|_| same.then(|| Engine::of(known)).ok_or_else(|| foreign("engine", &id))))
    }

    /// Who the token speaks for.
    async fn me(&self, ctx: &Context<'_>) -> Answer<User> {
        Some(ctx.data_unchecked::<Caller>().task().map(|_| User::of(desk(ctx))))
    }

    /// What the token may do.
    async fn my_rights(&self, ctx: &Context<'_>) -> Answer<RightsListing> {
        Some(ctx.data_unchecked::<Caller>().task().map(|task| RightsListing::of(task)))
    }
}
