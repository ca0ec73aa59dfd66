//! Who asks about tasks and recordings: a person or their program, or an engine with the token of one task.

use model::id::OrganizationId;
use store::{tasks::Task, tdos::Tdo};

use super::{Caller, engine_token::EngineToken, permission::Permission};
use crate::error::Problem;

/// One of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// With their rights in their organization.
    Person(Caller),
    /// With the right to its own task.
    Engine(EngineToken),
}

impl Party {
    /// Whose things they may see at all.
    pub fn organization(&self) -> OrganizationId {
        match self {
            Self::Person(caller) => caller.organization,
            Self::Engine(token) => token.organization,
        }
    }

    /// For histories.
    pub fn name(&self) -> String {
        match self {
            Self::Person(caller) => caller.email.clone(),
            Self::Engine(token) => format!("engine {}", token.engine),
        }
    }

    /// The engine's token.
    pub fn token(&self) -> Option<&EngineToken> {
        if let Self::Engine(token) = self { Some(token) } else { None }
    }

    /// # Errors
    /// [`Problem::NotAllowed`] for a person without the right. An engine has the right to its own things, whichever they are.
    pub fn require(&self, permission: Permission) -> Result<(), Problem> {
        match self {
            Self::Person(caller) => caller.require(permission),
            Self::Engine(_) => Ok(()),
        }
    }

    /// # Errors
    /// [`Problem::NotAllowed`] for an engine.
    pub fn person(&self) -> Result<&Caller, Problem> {
        match self {
            Self::Person(caller) => Ok(caller),
            Self::Engine(token) => Err(Problem::NotAllowed(format!(
                "the token of an engine is good for its own task {} alone; log in or use an API token for this",
                token.task
            ))),
        }
    }

    /// # Errors
    /// [`Problem::NotAllowed`] for the engine of another task.
    pub fn own_task(&self, task: &Task) -> Result<(), Problem> {
        self.own(|token| token.task == task.id, "task", &task.id)
    }

    /// # Errors
    /// [`Problem::NotAllowed`] for the engine of another job.
    pub fn own_job(&self, job: &str) -> Result<(), Problem> {
        self.own(|token| token.job == job, "job", job)
    }

    /// # Errors
    /// [`Problem::NotAllowed`] for an engine that neither works on this recording nor made it.
    pub fn own_tdo(&self, tdo: &Tdo) -> Result<(), Problem> {
        self.own(|token| token.tdo == tdo.id || tdo.task.as_ref() == Some(&token.task), "recording", &tdo.id.to_string())
    }

    /// That there is no such task.
    pub fn no_task(&self, id: &str) -> Problem {
        self.missing("Task", "task", id)
    }

    /// That there is no such recording.
    pub fn no_tdo(&self, id: i64) -> Problem {
        self.missing("TemporalDataObject", "recording", &id.to_string())
    }

    /// An engine is told the same as of what belongs to others, so that it learns nothing about them.
    fn missing(&self, object: &'static str, what: &str, id: &str) -> Problem {
        let id: String = id.chars().take(80).collect();
        match self {
            Self::Person(_) => Problem::NotFound { object, id },
            Self::Engine(token) => foreign(token, what, &id),
        }
    }

    fn own(&self, is_own: impl Fn(&EngineToken) -> bool, what: &str, id: &str) -> Result<(), Problem> {
        match self {
            Self::Engine(token) if !is_own(token) => Err(foreign(token, what, id)),
            _ => Ok(()),
        }
    }
}

fn foreign(token: &EngineToken, what: &str, id: &str) -> Problem {
    Problem::NotAllowed(format!("this token is good for the {what} of task {} alone, not for {id}", token.task))
}
