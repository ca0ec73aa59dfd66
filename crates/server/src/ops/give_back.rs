//! A job that is given back because the server stops was not lost: what it began does not count as an attempt.

use model::build::BuildStatus;
use store::{
    build_life,
    builds::{self, Build},
    jobs::{self, Job},
};

use crate::{
    app::App,
    jobs::{DEPLOY_BUILD, REVIEW_BUILD},
};

/// Gives it back. A server that is restarted often, such as for updates, would otherwise end in failed deploys.
///
/// # Errors
/// [`store::Error`]; then it counts as lost.
pub async fn give_back(app: &App, job: &Job, worker: &str) -> Result<(), store::Error> {
    let mut tx = app.db.write().await?;
    if jobs::give_back(&mut tx, job.id, worker).await? {
        // Gate A counts by the job; the others by the build they work at.
        let build: Option<Build> = match job.kind.as_str() {
            DEPLOY_BUILD => match job.subject.parse() {
                Ok(engine) => builds::lock_all(&mut tx, engine, &[BuildStatus::Deploying]).await?.into_iter().next(),
                Err(_) => None,
            },
            REVIEW_BUILD => match job.subject.parse() {
                // Once somebody has decided, what is counted is no longer the review.
                Ok(build) => builds::lock(&mut tx, build).await?.filter(|build| build.status == BuildStatus::Pending),
                Err(_) => None,
            },
            _ => None,
        };
        if let Some(mut build) = build.filter(|build| build.life.attempts > 0) {
            build.life.attempts -= 1;
            build_life::set(&mut tx, build.id, &build.life).await?;
        }
    }
    Ok(tx.commit().await?)
}
