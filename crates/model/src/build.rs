//! Builds and their life: twelve statuses, every event, who may cause it. The table here is the only state machine.
//!
//! Pure: what a rule depends on comes in as [`Circumstances`]; applying a transition (compare-and-set, history, jobs) is the server's work.

mod phase;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use self::phase::Phase;

/// Where a build stands. Spelled on every wire as in lifecycle §2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BuildStatus {
    /// The image is stored, intake has not begun.
    Uploaded,
    /// Gate A is at work.
    Fetching,
    /// Gate A passed; may be submitted.
    Available,
    /// Gate A failed.
    Invalid,
    /// Submitted; gate B is at work or waits for a person.
    Pending,
    /// May be deployed.
    Approved,
    /// Gate B or a reviewer refused it.
    Disapproved,
    /// The image is being placed and started.
    Deploying,
    /// Live. At most one per engine.
    Deployed,
    /// Placing or starting failed.
    DeployFailed,
    /// Was live.
    Paused,
    /// Soft-deleted.
    Deleted,
}

impl BuildStatus {
    /// Every status, in the order of lifecycle §2.
    pub const ALL: [Self; 12] = [
        Self::Uploaded,
        Self::Fetching,
        Self::Available,
        Self::Invalid,
        Self::Pending,
        Self::Approved,
        Self::Disapproved,
        Self::Deploying,
        Self::Deployed,
        Self::DeployFailed,
        Self::Paused,
        Self::Deleted,
    ];

    /// The word on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uploaded => "uploaded",
            Self::Fetching => "fetching",
            Self::Available => "available",
            Self::Invalid => "invalid",
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Disapproved => "disapproved",
            Self::Deploying => "deploying",
            Self::Deployed => "deployed",
            Self::DeployFailed => "deployFailed",
            Self::Paused => "paused",
            Self::Deleted => "deleted",
        }
    }
}

impl fmt::Display for BuildStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no status, event or phase.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{word:?} is no {what}")]
pub struct UnknownWord {
    /// What was expected.
    pub what: &'static str,
    /// What was found.
    pub word: String,
}

impl FromStr for BuildStatus {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or_else(|| UnknownWord { what: "build status", word: text.to_owned() })
    }
}

/// What happens to a build. The first nine are actions of people, the rest happen by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// Ask for gate B.
    Submit,
    /// Run intake again on the same digest.
    Upload,
    /// Clear for deployment.
    Approve,
    /// Refuse.
    Disapprove,
    /// Declare a build unusable.
    Invalidate,
    /// Make it live.
    Deploy,
    /// Suspend a live build.
    Pause,
    /// Make a paused build live again.
    Unpause,
    /// Remove.
    Delete,
    /// A worker takes the build up.
    Start,
    /// The phase in progress passed.
    PhaseOk,
    /// The phase in progress failed.
    PhaseFail,
    /// Another build of the engine became live.
    Superseded,
    /// The engine was disabled.
    EngineDisabled,
    /// The engine was deleted.
    EngineDeleted,
    /// The worker or its process died.
    Lost,
}

impl Event {
    /// Every event, actions of people first.
    pub const ALL: [Self; 16] = [
        Self::Submit,
        Self::Upload,
        Self::Approve,
        Self::Disapprove,
        Self::Invalidate,
        Self::Deploy,
        Self::Pause,
        Self::Unpause,
        Self::Delete,
        Self::Start,
        Self::PhaseOk,
        Self::PhaseFail,
        Self::Superseded,
        Self::EngineDisabled,
        Self::EngineDeleted,
        Self::Lost,
    ];

    /// The word on the wire and in the history.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Upload => "upload",
            Self::Approve => "approve",
            Self::Disapprove => "disapprove",
            Self::Invalidate => "invalidate",
            Self::Deploy => "deploy",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Delete => "delete",
            Self::Start => "start",
            Self::PhaseOk => "phaseOk",
            Self::PhaseFail => "phaseFail",
            Self::Superseded => "superseded",
            Self::EngineDisabled => "engineDisabled",
            Self::EngineDeleted => "engineDeleted",
            Self::Lost => "lost",
        }
    }

    /// True for the actions a person can ask for (`BuildUpdateAction`).
    pub fn is_action(self) -> bool {
        self <= Self::Delete
    }
}

impl FromStr for Event {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let found = Self::ALL.into_iter().find(|event| event.as_str() == text);
        found.ok_or_else(|| UnknownWord { what: "build event", word: text.to_owned() })
    }
}

/// Who causes an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// A person with the right to push.
    Developer,
    /// A person with the right to approve, or the operator.
    Reviewer,
    /// The gate itself.
    System,
}

impl Actor {
    /// The word in the history.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Reviewer => "reviewer",
            Self::System => "system",
        }
    }
}

/// What a rule may depend on besides status, event and actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Phase of a `pending` build.
    pub phase: Phase,
    /// The organization approves by rule.
    pub auto_approve: bool,
    /// The engine is switched off.
    pub engine_disabled: bool,
    /// Deployment model or runtime settings changed since the last deploy.
    pub settings_changed: bool,
    /// Fewer than [`MAX_ATTEMPTS`] attempts were lost.
    pub attempts_left: bool,
}

/// How often a lost intake or deploy is begun again before it counts as failed (lifecycle §6b).
pub const MAX_ATTEMPTS: u32 = 3;

impl Default for Circumstances {
    fn default() -> Self {
        Self { phase: Phase::Security, auto_approve: false, engine_disabled: false, settings_changed: false, attempts_left: true }
    }
}

/// What must hold for a rule to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Always,
    /// `pending` waits for a person.
    AwaitingApproval,
    /// The last automatic phase is over and the organization approves by rule.
    LastPhaseAutomatic,
    /// Another phase follows, or a person decides.
    NotLastPhaseAutomatic,
    /// The engine is not switched off.
    EngineEnabled,
    /// The engine is not switched off and its settings changed since the last deploy.
    EngineEnabledSettingsChanged,
    /// Settings are those of the last deploy.
    SettingsUnchanged,
    /// It may be tried again.
    AttemptsLeft,
    /// It was tried often enough.
    NoAttemptsLeft,
}

impl Condition {
    fn holds(self, c: &Circumstances) -> bool {
        let automatic = c.phase == Phase::Certification && c.auto_approve;
        match self {
            Self::Always => true,
            Self::AwaitingApproval => c.phase == Phase::AwaitingApproval,
            Self::LastPhaseAutomatic => automatic,
            Self::NotLastPhaseAutomatic => !automatic,
            Self::EngineEnabled => !c.engine_disabled,
            Self::EngineEnabledSettingsChanged => !c.engine_disabled && c.settings_changed,
            Self::SettingsUnchanged => !c.settings_changed,
            Self::AttemptsLeft => c.attempts_left,
            Self::NoAttemptsLeft => !c.attempts_left,
        }
    }

    /// What to tell a person when it does not hold.
    fn refusal(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "the automatic checks are not finished; wait until it is awaiting approval",
            Self::EngineEnabled | Self::EngineEnabledSettingsChanged => "the engine is disabled; enable it first",
            _ => "this is not possible now",
        }
    }
}

/// One cell of the state machine.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Status before.
    pub from: BuildStatus,
    /// What happens.
    pub event: Event,
    /// Who may cause it.
    pub by: &'static [Actor],
    /// When it applies.
    pub when: Condition,
    /// Status after; equal to `from` where the event is accepted and changes nothing.
    pub to: BuildStatus,
    /// A reason text must be given.
    pub needs_reason: bool,
}

const ANYBODY: &[Actor] = &[Actor::Developer, Actor::Reviewer];
const REVIEWER: &[Actor] = &[Actor::Reviewer];
const SYSTEM: &[Actor] = &[Actor::System];

const fn rule(from: BuildStatus, event: Event, by: &'static [Actor], when: Condition, to: BuildStatus) -> Rule {
    Rule { from, event, by, when, to, needs_reason: false }
}

const fn reasoned(from: BuildStatus, event: Event, to: BuildStatus) -> Rule {
    Rule { from, event, by: REVIEWER, when: Condition::Always, to, needs_reason: true }
}

use BuildStatus as S;
use Condition as C;
use Event as E;

/// The state machine (lifecycle §6a and §6b). What is not listed is refused.
pub const TRANSITIONS: &[Rule] = &[
    rule(S::Uploaded, E::Invalidate, REVIEWER, C::Always, S::Invalid),
    rule(S::Uploaded, E::Delete, ANYBODY, C::Always, S::Deleted),
    rule(S::Uploaded, E::Start, SYSTEM, C::Always, S::Fetching),
    rule(S::Uploaded, E::EngineDeleted, SYSTEM, C::Always, S::Deleted),
    rule(S::Uploaded, E::Lost, SYSTEM, C::Always, S::Uploaded),
    rule(S::Fetching, E::Invalidate, REVIEWER, C::Always, S::Invalid),
    rule(S::Fetching, E::PhaseOk, SYSTEM, C::Always, S::Available),
    rule(S::Fetching, E::PhaseFail, SYSTEM, C::Always, S::Invalid),
    rule(S::Fetching, E::EngineDisabled, SYSTEM, C::Always, S::Fetching),
    rule(S::Fetching, E::EngineDeleted, SYSTEM, C::Always, S::Deleted),
    rule(S::Fetching, E::Lost, SYSTEM, C::AttemptsLeft, S::Fetching),
    rule(S::Fetching, E::Lost, SYSTEM, C::NoAttemptsLeft, S::Invalid),
    rule(S::Available, E::Submit, ANYBODY, C::Always, S::Pending),
    rule(S::Available, E::Invalidate, REVIEWER, C::Always, S::Invalid),
    rule(S::Available, E::Delete, ANYBODY, C::Always, S::Deleted),
    rule(S::Available, E::EngineDeleted, SYSTEM, C::Always, S::Deleted),
    rule(S::Invalid, E::Upload, ANYBODY, C::Always, S::Fetching),
    rule(S::Invalid, E::Delete, ANYBODY, C::Always, S::Deleted),
    rule(S::Invalid, E::EngineDeleted, SYSTEM, C::Always, S::Deleted),
    rule(S::Pending, E::Approve, REVIEWER, C::AwaitingApproval, S::Approved),
    reasoned(S::Pending, E::Disapprove, S::Disapproved),
    rule(S::Pending, E::Invalidate, REVIEWER, C::Always, S::Invalid),
    rule(S::Pending, E::Delete, ANYBODY, C::Always, S::Deleted),
    rule(S::Pending, E::PhaseOk, SYSTEM, C::LastPhaseAutomatic, S::Approved),
    rule(S::Pending, E::PhaseOk, SYSTEM, C::NotLastPhaseAutomatic, S::Pending),
    rule(S::Pending, E::PhaseFail, SYSTEM, C::Always, S::Disapproved),
    rule(S::Pending, E::EngineDisabled, SYSTEM, C::Always, S::Pending),
    rule(S::Pending, E::EngineDeleted, SYSTEM, C::Always, S::Deleted),
    rule(S::Pending, E::Lost, SYSTEM, C::Always, S::Pending),
    reasoned(S::Approved, E::Disapprove, S::Disapproved),
    rule(S::Approved, E::Invalidate, REVIEWER, C::Always, S::Invalid),
    rule(S::Approved, E::Deploy, ANYBODY, C::EngineEnabled, S::Deploying),
    rule(S::Approved, E::Delete, ANYBODY, C::Always, S::Deleted),
    rule(S::Approved, E::EngineDisabled, SYSTEM, C::Always, S::Approved),
    rule(S::Approved, E::EngineDeleted, SYSTEM, C::Always, S::Deleted),
    reasoned(S::Disapproved, E::Approve, S::Approved),
    rule(S::Disapproved, E::Delete, ANYBODY, C::Always, S::Deleted),
    rule(S::Disapproved, E::EngineDeleted, SYSTEM, C::Always, S::Deleted),
    rule(S::Deploying, E::PhaseOk, SYSTEM, C::Always, S::Deployed),
    rule(S::Deploying, E::PhaseFail, SYSTEM, C::Always, S::DeployFailed),
    rule(S::Deploying, E::EngineDisabled, SYSTEM, C::Always, S::Deploying),
    rule(S::Deploying, E::EngineDeleted, SYSTEM, C::Always, S::Deploying),
    rule(S::Deploying, E::Lost, SYSTEM, C::AttemptsLeft, S::Deploying),
    rule(S::Deploying, E::Lost, SYSTEM, C::NoAttemptsLeft, S::DeployFailed),
    rule(S::Deployed, E::Deploy, ANYBODY, C::EngineEnabledSettingsChanged, S::Deploying),
    rule(S::Deployed, E::Deploy, ANYBODY, C::SettingsUnchanged, S::Deployed),
    rule(S::Deployed, E::Pause, ANYBODY, C::Always, S::Paused),
    rule(S::Deployed, E::Delete, ANYBODY, C::Always, S::Deleted),
    rule(S::Deployed, E::PhaseFail, SYSTEM, C::Always, S::Deployed),
    rule(S::Deployed, E::Superseded, SYSTEM, C::Always, S::Paused),
    rule(S::Deployed, E::EngineDisabled, SYSTEM, C::Always, S::Paused),
    rule(S::Deployed, E::EngineDeleted, SYSTEM, C::Always, S::Deleted),
    reasoned(S::DeployFailed, E::Disapprove, S::Disapproved),
    rule(S::DeployFailed, E::Invalidate, REVIEWER, C::Always, S::Invalid),
    rule(S::DeployFailed, E::Deploy, ANYBODY, C::EngineEnabled, S::Deploying),
    rule(S::DeployFailed, E::Delete, ANYBODY, C::Always, S::Deleted),
    rule(S::DeployFailed, E::EngineDeleted, SYSTEM, C::Always, S::Deleted),
    reasoned(S::Paused, E::Disapprove, S::Disapproved),
    rule(S::Paused, E::Invalidate, REVIEWER, C::Always, S::Invalid),
    rule(S::Paused, E::Deploy, ANYBODY, C::EngineEnabled, S::Deploying),
    rule(S::Paused, E::Unpause, ANYBODY, C::EngineEnabled, S::Deployed),
    rule(S::Paused, E::Delete, ANYBODY, C::Always, S::Deleted),
    rule(S::Paused, E::EngineDeleted, SYSTEM, C::Always, S::Deleted),
];

/// The statuses in which something happens on an event of the gate itself.
pub fn touched_by(event: Event) -> impl Iterator<Item = BuildStatus> {
    BuildStatus::ALL.into_iter().filter(move |status| TRANSITIONS.iter().any(|rule| rule.from == *status && rule.event == event))
}

/// Why an event was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// The build is deleted: it does not exist for people any more.
    #[error("the build is deleted")]
    NotFound,
    /// The status does not know the event.
    #[error("{} is not possible while the build is {status}", event.as_str())]
    Illegal {
        /// Status of the build.
        status: BuildStatus,
        /// What was asked for.
        event: Event,
    },
    /// Possible, but not for this actor.
    #[error("{} needs the right to approve", event.as_str())]
    NotAllowed {
        /// What was asked for.
        event: Event,
    },
    /// Possible, but not now.
    #[error("{} is not possible while the build is {status}: {why}", event.as_str())]
    NotNow {
        /// Status of the build.
        status: BuildStatus,
        /// What was asked for.
        event: Event,
        /// What is missing.
        why: &'static str,
    },
}

/// Decides what an event does.
///
/// # Errors
/// A [`Refusal`] when the table has no rule for this status, event, actor and these circumstances; the status stays.
pub fn transition(status: BuildStatus, event: Event, actor: Actor, now: &Circumstances) -> Result<&'static Rule, Refusal> {
    let candidates = || TRANSITIONS.iter().filter(move |rule| rule.from == status && rule.event == event);
    if let Some(rule) = candidates().find(|rule| rule.by.contains(&actor) && rule.when.holds(now)) {
        return Ok(rule);
    }
    if status == BuildStatus::Deleted && event.is_action() {
        return Err(Refusal::NotFound);
    }
    match candidates().next() {
        None => Err(Refusal::Illegal { status, event }),
        Some(rule) if !candidates().any(|rule| rule.by.contains(&actor)) => Err(Refusal::NotAllowed { event: rule.event }),
        Some(rule) => Err(Refusal::NotNow { status, event, why: rule.when.refusal() }),
    }
}

/// The actions this actor may ask for now (`validStateActions`), in the order of [`Event::ALL`].
pub fn valid_actions(status: BuildStatus, actor: Actor, now: &Circumstances) -> Vec<Event> {
    Event::ALL.into_iter().filter(|event| event.is_action() && transition(status, *event, actor, now).is_ok()).collect()
}

/// The one action to put on the big button, if it is allowed (lifecycle §3).
pub fn primary_action(status: BuildStatus, actor: Actor, now: &Circumstances) -> Option<Event> {
    let event = match status {
        BuildStatus::Available => Event::Submit,
        BuildStatus::Approved | BuildStatus::DeployFailed => Event::Deploy,
        BuildStatus::Deployed => Event::Pause,
        BuildStatus::Paused => Event::Unpause,
        BuildStatus::Pending => Event::Approve,
        _ => return None,
    };
    transition(status, event, actor, now).is_ok().then_some(event)
}

#[cfg(test)]
mod tests;
