//! The nine actions of people on a build (lifecycle §3, §6a): right, state machine, history and what follows, in one transaction.

use model::{
    build::{BuildStatus, Event, Refusal},
    id::{BuildId, EngineId},
};
use serde_json::json;
use store::{
    build_life,
    builds::{self, Build},
    engines::{self, Engine},
};

use super::apply_event::{Acting, NotApplied, apply_event};
use crate::{
    app::App,
    auth::{Caller, permission::Permission},
    clock,
    error::Problem,
    standing::{House, Standing},
};

const DAY_MS: i64 = 24 * 3_600_000;

/// Longest reason, characters.
const REASON_MAX: usize = 4_000;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which build.
    pub build: BuildId,
    /// The engine they take it to belong to.
    pub engine: Option<EngineId>,
    /// One of the nine actions.
    pub event: Event,
    /// Why, in their words.
    pub reason: String,
    /// End of an override, epoch milliseconds.
    pub until: Option<i64>,
    /// The status they saw when they decided; nothing is done when it is another by now.
    pub seen: Option<BuildStatus>,
}

impl Wanted {
    /// An action without a reason.
    pub fn new(build: BuildId, event: Event) -> Self {
        Self { build, engine: None, event, reason: String::new(), until: None, seen: None }
    }
}

/// Does it.
///
/// # Errors
/// [`Problem::NotAllowed`], [`Problem::NotFound`] for a build of another organization or engine and for a deleted one,
/// [`Problem::InvalidInput`] naming status, action and what is possible, [`Problem::Internal`].
pub async fn act_on_build(app: &App, caller: &Caller, wanted: Wanted) -> Result<Build, Problem> {
    let missing = || Problem::NotFound { object: "Build", id: wanted.build.to_string() };
    caller.require_one(&[Permission::ApproveBuilds, Permission::WriteEngines])?;
    let mut tx = app.db.write().await?;
    let build = builds::lock(&mut tx, wanted.build).await?.ok_or_else(missing)?;
    let engine = engines::lock(&mut tx, build.engine).await?.ok_or_else(missing)?;
    let is_mine = engine.organization == caller.organization && wanted.engine.is_none_or(|id| id == engine.id);
    if !is_mine || build.status == BuildStatus::Deleted {
        return Err(missing());
    }
    let house = House::read(&mut tx, engine.organization).await?;
    let standing = Standing::new(caller, &build, &engine, &house);
    let actor = standing.actor.ok_or_else(missing)?;
    check(&wanted, &build, &standing)?;
    let acting = Acting { actor, name: &caller.email };
    let status = apply_event(&mut tx, &build, wanted.event, acting, &standing.circumstances, wanted.reason.trim())
        .await
        .map_err(|error| refused(error, &wanted, &build, &standing))?;
    if wanted.event == Event::Approve {
        keep_override(&mut tx, &wanted, &build, &house).await?;
    }
    let build = builds::lock(&mut tx, wanted.build).await?.ok_or_else(missing)?;
    tx.commit().await?;
    tracing::info!(build = %build.id, event = wanted.event.as_str(), %status, user = %caller.user, "a person acted on a build");
    app.work.notify_one();
    app.instances.look_again();
    app.tell(build.id);
    Ok(build)
}

/// What the state machine does not know of.
fn check(wanted: &Wanted, build: &Build, standing: &Standing) -> Result<(), Problem> {
    let event = wanted.event;
    if wanted.reason.chars().count() > REASON_MAX {
        return Err(Problem::invalid(format!("reason: at most {REASON_MAX} characters")));
    }
    if let Some(seen) = wanted.seen.filter(|seen| *seen != build.status) {
        let message = format!("The build is {} by now, not {seen} as when you looked; look again before you decide", build.status);
        return Err(illegal(message, wanted, build, standing));
    }
    if standing.bars(event) {
        let why = "you pushed this build, so somebody else must approve it; an organization may allow it in its settings";
        return Err(Problem::NotAllowed(why.into()));
    }
    let now = clock::now_ms();
    if event == Event::Approve && wanted.until.is_some_and(|until| until <= now || until > now + 366 * DAY_MS) {
        return Err(Problem::invalid("until: the end of an override must lie in the future and within a year"));
    }
    if event == Event::Approve && build.life.unproven.is_some() && wanted.reason.trim().is_empty() {
        let what = build.life.unproven.as_deref().unwrap_or_default();
        return Err(Problem::invalid(format!(
            "reason: the gate could not check everything ({what}), so approving is an override; say why"
        )));
    }
    let over = build.life.override_until.is_some_and(|until| until <= now);
    if over && matches!(event, Event::Deploy | Event::Unpause) {
        let message = format!(
            "{} is not possible: the override that approved this build ended at {}; push a build that passes, or disapprove it and approve it again",
            event.as_str(),
            clock::iso(build.life.override_until.unwrap_or_default())
        );
        return Err(illegal(message, wanted, build, standing));
    }
    Ok(())
}

/// An approval against the gate ends some day.
async fn keep_override(
    tx: &mut sqlx::Transaction<'static, sqlx::Sqlite>,
    wanted: &Wanted,
    before: &Build,
    house: &House,
) -> Result<(), Problem> {
    let Some(after) = builds::lock(tx, wanted.build).await? else { return Ok(()) };
    let is_override = before.status == BuildStatus::Disapproved || before.life.unproven.is_some();
    let until = is_override.then(|| wanted.until.unwrap_or_else(|| clock::now_ms() + i64::from(house.settings.override_days) * DAY_MS));
    let life = build_life::Life { override_until: until, ..after.life };
    Ok(build_life::set(tx, wanted.build, &life).await?)
}

fn refused(error: NotApplied, wanted: &Wanted, build: &Build, standing: &Standing) -> Problem {
    match error {
        NotApplied::Store(error) => Problem::internal(&error),
        NotApplied::Refused(Refusal::NotFound) => Problem::NotFound { object: "Build", id: wanted.build.to_string() },
        NotApplied::Refused(Refusal::NotAllowed { .. }) => Problem::NotAllowed(format!("{error}; ask a reviewer of your organization")),
        NotApplied::ReasonMissing => {
            let message = format!("{} of a build that is {} needs a reason: give one in input.reason", wanted.event.as_str(), build.status);
            illegal(message, wanted, build, standing)
        }
        NotApplied::Refused(_) | NotApplied::Raced => illegal(error.to_string(), wanted, build, standing),
    }
}

/// The documented refusal (lifecycle §6).
fn illegal(message: String, wanted: &Wanted, build: &Build, standing: &Standing) -> Problem {
    let actions: Vec<&str> = standing.valid_actions().into_iter().map(Event::as_str).collect();
    let mut data = json!({
        "objectType": "Build",
        "objectId": build.id,
        "status": build.status,
        "action": wanted.event,
        "validStateActions": actions,
    });
    if let Some(phase) = build.life.phase {
        data["phase"] = json!(phase);
    }
    Problem::InvalidInput { message, data }
}

/// The engine of a build and the rules of its house, for whoever shows what is possible.
///
/// # Errors
/// [`Problem::Internal`].
pub async fn standing_of(app: &App, caller: &Caller, build: &Build, engine: &Engine) -> Result<Standing, Problem> {
    let mut db = app.db.read().acquire().await?;
    let house = House::read(&mut db, engine.organization).await?;
    Ok(Standing::new(caller, build, engine, &house))
}
