//! Issues a token that is good for one task of an engine.

use store::tasks;

use crate::{
    app::App,
    auth::{engine_token::EngineToken, party::Party, permission::Permission},
    clock,
    error::Problem,
};

/// Issues it: to whoever may make jobs, and to the engine itself for its own task.
///
/// # Errors
/// [`Problem::NotFound`], [`Problem::NotAllowed`], [`Problem::InvalidInput`] for things that do not belong together, [`Problem::Internal`].
pub async fn issue_engine_token(
    app: &App,
    party: &Party,
    engine: &str,
    job: &str,
    task: &str,
    tdo: Option<i64>,
) -> Result<(String, EngineToken), Problem> {
    party.require(Permission::RunTasks)?;
    if let Some(token) = party.token().filter(|token| token.task != task) {
        return Err(Problem::NotAllowed(format!("this token is good for task {} alone", token.task)));
    }
    let missing = || Problem::NotFound { object: "Task", id: task.chars().take(80).collect() };
    let found = tasks::task(&mut *app.db.read().acquire().await?, party.organization(), task).await?.ok_or_else(missing)?;
    let belongs = found.job == job && found.engine.eq_ignore_ascii_case(engine) && tdo.is_none_or(|tdo| tdo == found.tdo);
    if !belongs {
        return Err(Problem::invalid(format!(
            "task {} is one of job {} for engine {} on recording {}",
            found.id, found.job, found.engine, found.tdo
        )));
    }
    let token = EngineToken { organization: found.organization, engine: found.engine, job: found.job, task: found.id, tdo: found.tdo };
    Ok((app.engine_tokens.issue(token.clone(), clock::now_ms())?, token))
}
