//! What a caller may do with a build now: the state machine, the rights of the caller and the rules of the organization together.

use model::{
    build::{self, Actor, BuildStatus, Circumstances, Event, Phase},
    organization::Settings,
};
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use store::{accounts, builds::Build, engines::Engine};

use crate::auth::{
    Caller,
    permission::{Permission, Role},
};

/// The rules of an organization as far as they decide who may approve.
#[derive(Clone, Copy, Debug)]
pub struct House {
    /// Its settings.
    pub settings: Settings,
    /// Reviewers may approve what they pushed: because the organization says so, or because nobody else could.
    pub self_approval: bool,
    /// It is only allowed because there is nobody else yet.
    pub is_alone: bool,
}

impl House {
    /// Reads them.
    ///
    /// # Errors
    /// [`store::Error`].
    pub async fn read(db: &mut SqliteConnection, organization: model::id::OrganizationId) -> Result<Self, store::Error> {
        let settings = accounts::settings(&mut *db, organization).await?;
        let roles: Vec<&str> = Permission::ApproveBuilds.granted_to().iter().copied().map(Role::as_str).collect();
        let (is_first, reviewers) = accounts::first_and_with_roles(&mut *db, organization, &roles).await?;
        let is_alone = is_first && reviewers <= 1 && !settings.self_approval;
        Ok(Self { settings, self_approval: settings.self_approval || is_alone, is_alone })
    }
}

/// The settings of an engine under which a build is deployed; equal texts are equal settings.
pub fn deploy_settings(engine: &Engine) -> String {
    let payload = engine.extra.pointer("/certification/payload").cloned().unwrap_or(Value::Null);
    json!({ "deploymentModel": engine.deployment_model, "payload": payload }).to_string()
}

/// How a caller stands to a build.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Their part; `None` for somebody who may only look.
    pub actor: Option<Actor>,
    /// What the state machine wants to know.
    pub circumstances: Circumstances,
    /// They pushed it themselves, and may not approve it.
    pub is_barred: bool,
    status: BuildStatus,
}

impl Standing {
    /// Puts it together.
    pub fn new(caller: &Caller, build: &Build, engine: &Engine, house: &House) -> Self {
        Self {
            actor: part_of(caller),
            circumstances: circumstances(build, engine),
            is_barred: build.pushed_by == caller.email && !house.self_approval,
            status: build.status,
        }
    }

    /// Whether an action is possible but for who pushed the build.
    pub fn bars(&self, event: Event) -> bool {
        let possible = self.actor.is_some_and(|actor| build::transition(self.status, event, actor, &self.circumstances).is_ok());
        self.is_barred && event == Event::Approve && possible
    }

    /// `validStateActions` (lifecycle §3).
    pub fn valid_actions(&self) -> Vec<Event> {
        let Some(actor) = self.actor else { return Vec::new() };
        let mut actions = build::valid_actions(self.status, actor, &self.circumstances);
        actions.retain(|event| !(self.is_barred && *event == Event::Approve));
        actions
    }

    /// `primaryAction`.
    pub fn primary_action(&self) -> Option<Event> {
        build::primary_action(self.status, self.actor?, &self.circumstances).filter(|event| self.valid_actions().contains(event))
    }

    /// `secondaryActions`: the valid ones without the primary one.
    pub fn secondary_actions(&self) -> Vec<Event> {
        let primary = self.primary_action();
        self.valid_actions().into_iter().filter(|event| Some(*event) != primary).collect()
    }
}

/// The part of a caller in the state machine.
pub fn part_of(caller: &Caller) -> Option<Actor> {
    if caller.may(Permission::ApproveBuilds) {
        Some(Actor::Reviewer)
    } else {
        caller.may(Permission::WriteEngines).then_some(Actor::Developer)
    }
}

/// What the state machine wants to know about a build of an engine.
pub fn circumstances(build: &Build, engine: &Engine) -> Circumstances {
    Circumstances {
        phase: build.life.phase.unwrap_or(Phase::Security),
        engine_disabled: engine.disabled,
        settings_changed: build.life.deployed_under.as_deref() != Some(deploy_settings(engine).as_str()),
        ..Circumstances::default()
    }
}
