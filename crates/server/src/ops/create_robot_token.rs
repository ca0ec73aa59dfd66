//! Makes a token with which a program uses one repository.

use model::name::RepoName;
use registry::{Action, Actions};
use store::tokens::{Token, TokenKind};

use super::create_api_token::{Made, blank, keep};
use crate::{
    app::App,
    auth::{Caller, permission::Permission, registry::access},
    error::Problem,
};

/// Longest life of a robot token, milliseconds.
const LONGEST_MS: i64 = 366 * 24 * 3_600_000;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Robot {
    /// For people.
    pub name: String,
    /// The one repository. It need not be there yet.
    pub repository: String,
    /// What to do there.
    pub actions: Vec<Action>,
    /// Epoch milliseconds.
    pub expires_at: i64,
}

/// Makes one. It never gives more than its maker may do at the moment it is used.
///
/// # Errors
/// [`Problem::NotAllowed`], [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn create_robot_token(app: &App, caller: &Caller, robot: Robot) -> Result<Made, Problem> {
    caller.require(Permission::MakeRobots)?;
    let token = blank(caller, TokenKind::Robot, &robot.name)?;
    let repository: RepoName = robot.repository.trim().parse().map_err(|error| Problem::invalid(format!("repository: {error}")))?;
    if repository.organization() != caller.organization {
        let (wrong, right) = (repository.organization(), caller.organization);
        return Err(Problem::invalid(format!(
            "repository: organization {wrong} is not yours; name one of {right}, such as {right}/{}",
            repository.image()
        )));
    }
    let actions = Actions::of(&robot.actions);
    if actions.is_empty() {
        return Err(Problem::invalid("actions: choose at least one of pull, push and delete"));
    }
    let rights = access(caller, None);
    if let Some(action) = actions.iter().find(|action| rights.may(&repository, *action).is_err()) {
        return Err(Problem::NotAllowed(format!("you may not {} in {repository} yourself, so no robot of yours can", action.as_str())));
    }
    let left = robot.expires_at - token.created_at;
    if left <= 0 || left > LONGEST_MS {
        return Err(Problem::invalid("expiresDateTime: the end must lie in the future and within a year"));
    }
    let limits = (Some(repository.to_string()), Some(actions.to_string()), Some(robot.expires_at));
    keep(app, caller, Token { repository: limits.0, actions: limits.1, expires_at: limits.2, ..token }).await
}
