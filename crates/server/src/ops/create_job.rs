//! Makes a job: one engine's task on a recording, with what the platform does itself around it (GraphQL contract §7).

use model::{
    build::BuildStatus,
    id::{BuildId, EngineId},
    task::{Helper, TaskStatus},
};
use serde_json::{Map, Value};
use sqlx::{Sqlite, Transaction};
use store::{
    assets, builds, engines,
    tasks::{self, EngineJob, Task},
    tdos::{self, Tdo},
};

use super::{
    create_asset::{NewAsset, NewContent, Ready, insert, ready},
    create_tdo::{NewTdo, blank, own_tdo, small},
};
use crate::{
    app::App,
    asset_files,
    auth::{Caller, party::Party, permission::Permission},
    clock,
    error::Problem,
    task_ids,
};

/// Most tasks of one job, those of the platform included.
const TASKS_MAX: usize = 16;

/// One task of a job to be.
#[derive(Clone, Debug, Default)]
pub struct NewTask {
    /// The engine, or a helper of the platform.
    pub engine: Option<String>,
    /// What the engine gets, a JSON object.
    pub payload: Option<Value>,
    /// The build it tests.
    pub build: Option<String>,
    /// It tests a build, live or not.
    pub test: bool,
    /// Nobody works on it until it is set to pending.
    pub standby: bool,
}

/// A job to be.
#[derive(Clone, Debug, Default)]
pub struct NewJob {
    /// The recording to work on; a new one if it is not said.
    pub target: Option<i64>,
    /// The new one's beginning and end.
    pub new_target: NewTdo,
    /// The tasks.
    pub tasks: Vec<NewTask>,
}

/// The one task of an engine, and how it is done.
struct Chosen {
    engine: EngineId,
    build: Option<BuildId>,
    test: bool,
    lane: String,
}

/// Makes it.
///
/// # Errors
/// [`Problem::NotFound`] for a recording, engine or build that is not the caller's, [`Problem::InvalidInput`],
/// [`Problem::NotImplemented`] for more than one engine, [`Problem::Capacity`], [`Problem::Internal`].
pub async fn create_job(app: &App, caller: &Caller, new: NewJob) -> Result<EngineJob, Problem> {
    caller.require(Permission::RunTasks)?;
    let party = Party::Person(caller.clone());
    let fetched = fetched(app, &party, &new.tasks).await?;
    let mut payloads = Vec::new();
    for task in &new.tasks {
        payloads.push(object(app, "payload", task.payload.clone().unwrap_or_default())?);
    }
    let only = only_engine(&new.tasks)?;
    let mut tx = app.db.write().await?;
    let (tdo, is_new) = match new.target {
        Some(id) => (own_tdo(&mut tx, &party, id).await?, false),
        None => (blank(app, &party, new.new_target.clone())?, true),
    };
    let chosen = choose(&mut tx, caller, only).await?;
    let open = tasks::open_count(&mut tx, caller.organization).await?;
    let most = app.config.tasks.open;
    if u64::try_from(open).unwrap_or(0).saturating_add(new.tasks.len() as u64) > most {
        let message =
            format!("{open} tasks of organization {} are not over, and {most} may be; try again when some are", caller.organization);
        return Err(Problem::Capacity(message));
    }
    if is_new {
        tdos::insert(&mut tx, &tdo).await?;
    }
    if let Some((asset, ready)) = fetched {
        insert(app, &mut tx, &party, &tdo, asset, &ready).await?;
    }
    let job = write(&mut tx, caller, &tdo, &new.tasks, (payloads, chosen)).await?;
    tx.commit().await?;
    tracing::info!(job = job.id, user = %caller.user, "a job was made");
    app.runs.look_again();
    Ok(job)
}

async fn write(
    tx: &mut Transaction<'static, Sqlite>,
    caller: &Caller,
    tdo: &Tdo,
    new: &[NewTask],
    (payloads, chosen): (Vec<Value>, Chosen),
) -> Result<EngineJob, Problem> {
    let now = clock::now_ms();
    let id = task_ids::job();
    let job = EngineJob {
        id: id.clone(),
        organization: caller.organization,
        tdo: tdo.id,
        status: TaskStatus::Pending,
        created_by: caller.email.clone(),
        created_at: now,
    };
    let task = |(new, payload): (&NewTask, Value)| {
        let helper = new.engine.as_deref().and_then(Helper::of);
        let status = match helper {
            // What it would do is done when the job is made.
            Some(_) => TaskStatus::Complete,
            None if new.standby => TaskStatus::StandbyPending,
            None => TaskStatus::Pending,
        };
        Task {
            id: task_ids::task(&id),
            job: id.clone(),
            organization: caller.organization,
            tdo: tdo.id,
            engine: if helper.is_some() { new.engine.clone().unwrap_or_default().to_lowercase() } else { chosen.engine.to_string() },
            build: chosen.build.filter(|_| helper.is_none()),
            test: chosen.test && helper.is_none(),
            lane: helper.is_none().then(|| chosen.lane.clone()),
            status,
            payload,
            output: None,
            failure_reason: None,
            failure_message: None,
            tries: 0,
            log: None,
            created_by: caller.email.clone(),
            created_at: now,
            started_at: None,
            ended_at: status.is_over().then_some(now),
            modified_at: now,
        }
    };
    let all: Vec<Task> = new.iter().zip(payloads).map(task).collect();
    tasks::insert(tx, &job, &all).await?;
    let missing = || Problem::NotFound { object: "Job", id: id.clone() };
    tasks::job(tx, caller.organization, &id).await?.ok_or_else(missing)
}

/// The one task that is an engine's.
fn only_engine(tasks: &[NewTask]) -> Result<&NewTask, Problem> {
    if tasks.is_empty() || tasks.len() > TASKS_MAX {
        return Err(Problem::invalid(format!("tasks: a job has 1 to {TASKS_MAX} tasks")));
    }
    let mut engines = tasks.iter().filter(|task| task.engine.as_deref().and_then(Helper::of).is_none());
    match (engines.next(), engines.next()) {
        (Some(task), None) => Ok(task),
        (None, _) => Err(Problem::invalid("tasks: none of them is for an engine; name one with engineId, or a build with buildId")),
        (Some(_), Some(_)) => Err(Problem::NotImplemented(
            "A job has one engine here, besides the platform's own web stream, chunk and output tasks; make a job for each engine".into(),
        )),
    }
}

/// What an engine gets: an object, empty if nothing is said.
///
/// # Errors
/// [`Problem::InvalidInput`] for anything else, and for one that is too large.
pub(super) fn object(app: &App, what: &str, value: Value) -> Result<Value, Problem> {
    match small(app, what, Some(value))? {
        None | Some(Value::Null) => Ok(Value::Object(Map::new())),
        Some(object @ Value::Object(_)) => Ok(object),
        Some(_) => Err(Problem::invalid(format!("{what}: a JSON object is expected"))),
    }
}

/// Which build is to do it.
async fn choose(tx: &mut Transaction<'static, Sqlite>, caller: &Caller, new: &NewTask) -> Result<Chosen, Problem> {
    let missing = |object: &'static str, id: &str| Problem::NotFound { object, id: id.chars().take(80).collect() };
    let build = match new.build.as_deref() {
        None => None,
        Some(text) => {
            let id: BuildId = text.parse().map_err(|_| missing("Build", text))?;
            let found =
                builds::lock(tx, id).await?.filter(|build| build.status != BuildStatus::Deleted).ok_or_else(|| missing("Build", text))?;
            // Somebody else's is not told apart from one that does not exist, whatever engine is named beside it.
            let owner = engines::lock(tx, found.engine).await?;
            owner.filter(|engine| engine.organization == caller.organization).ok_or_else(|| missing("Build", text))?;
            Some(found)
        }
    };
    let text = match (&new.engine, &build) {
        (Some(text), _) => text.clone(),
        (None, Some(build)) => build.engine.to_string(),
        (None, None) => return Err(Problem::invalid("tasks: name the engine with engineId, or a build with buildId")),
    };
    let id: EngineId = text.parse().map_err(|_| missing("Engine", &text))?;
    let mine = engines::lock(tx, id).await?.filter(|engine| engine.organization == caller.organization && !engine.deleted);
    let engine =
        mine.ok_or_else(|| missing(if new.engine.is_some() { "Engine" } else { "Build" }, new.build.as_deref().unwrap_or(&text)))?;
    if let Some(build) = build.as_ref().filter(|build| build.engine != engine.id) {
        return Err(missing("Build", &build.id.to_string()));
    }
    if engine.disabled {
        return Err(Problem::invalid(format!("Engine {id} is disabled and takes no new tasks; enable it first")));
    }
    if new.test {
        let all = builds::lock_all(tx, id, &BuildStatus::ALL).await?;
        let newest = || all.into_iter().filter(|build| build.status != BuildStatus::Deleted).max_by_key(|build| build.version);
        let build = build.or_else(newest).ok_or_else(|| Problem::invalid(format!("Engine {id} has no build to test; push one")))?;
        return Ok(Chosen { engine: id, build: Some(build.id), test: true, lane: format!("build {}", build.id) });
    }
    let live = builds::lock_all(tx, id, &[BuildStatus::Deployed]).await?.pop();
    let Some(live) = live else {
        return Err(Problem::invalid(format!(
            "Engine {id} has no deployed build to do this; deploy one, or test a build with testTask: true and its buildId"
        )));
    };
    if let Some(other) = build.filter(|build| build.id != live.id) {
        return Err(Problem::invalid(format!(
            "buildId: build {} is {}, not deployed; send testTask: true to test it, or leave buildId out to use the deployed one",
            other.id, other.status
        )));
    }
    Ok(Chosen { engine: id, build: None, test: false, lane: format!("engine {id}") })
}

/// What the platform's web stream task brings into the recording: a file of ours. Addresses elsewhere are not fetched.
async fn fetched(app: &App, party: &Party, tasks: &[NewTask]) -> Result<Option<(NewAsset, Ready)>, Problem> {
    let stream = tasks.iter().find(|task| task.engine.as_deref().and_then(Helper::of) == Some(Helper::WebStream));
    let Some(url) = stream.and_then(|task| task.payload.as_ref()?.get("url")?.as_str()) else { return Ok(None) };
    Ok(Some(input_of(app, party, url).await?))
}

/// The file behind an address of ours, as the input of a job.
///
/// # Errors
/// [`Problem::NotImplemented`] for any other address.
async fn input_of(app: &App, party: &Party, url: &str) -> Result<(NewAsset, Ready), Problem> {
    if asset_files::asset_of(app, url).is_none() {
        let shown: String = url.chars().take(200).collect();
        return Err(Problem::NotImplemented(format!(
            "{shown} is not fetched by this server; hand the file in with createTDOWithAsset and name the recording as targetId"
        )));
    }
    let named = asset_files::asset_of(app, url).unwrap_or_default();
    let former = assets::by_id(app.db.read(), party.organization(), named).await?;
    let mut asset = NewAsset {
        asset_type: "media".to_owned(),
        content_type: None,
        name: former.and_then(|asset| asset.name),
        description: None,
        details: None,
        source: None,
        content: NewContent::Uri(url.to_owned()),
        md5sum: None,
        is_primary: false,
        user_edited: false,
    };
    let ready = ready(app, party, &mut asset).await?;
    Ok((asset, ready))
}

/// Makes a job of one engine from the engine's own template (GraphQL contract §7).
///
/// # Errors
/// As [`create_job`]; [`Problem::InvalidInput`] for an engine without a template.
pub async fn launch_single_engine_job(
    app: &App,
    caller: &Caller,
    engine: &str,
    input: Input,
    fields: Map<String, Value>,
) -> Result<EngineJob, Problem> {
    caller.require(Permission::RunTasks)?;
    let missing = || Problem::NotFound { object: "Engine", id: engine.chars().take(80).collect() };
    let found = engines::by_id(app.db.read(), engine.parse().map_err(|_| missing())?).await?;
    let found = found.filter(|found| found.organization == caller.organization && !found.deleted).ok_or_else(missing)?;
    let has_template = match found.extra.get("standaloneJobTemplates") {
        None | Some(Value::Null) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(_) => true,
    };
    if !has_template {
        return Err(Problem::invalid("This engine does not specify a default single job template"));
    }
    let mut tasks = vec![NewTask { engine: Some(engine.to_owned()), payload: Some(Value::Object(fields)), ..NewTask::default() }];
    let target = match input {
        Input::Target(id) => Some(id),
        Input::Url(url) => {
            let stream = serde_json::json!({ "url": url });
            let web = "9e611ad7-2d3b-48f6-a51b-0a1ba40fe255".to_owned();
            tasks.insert(0, NewTask { engine: Some(web), payload: Some(stream), ..NewTask::default() });
            None
        }
    };
    create_job(app, caller, NewJob { target, tasks, ..NewJob::default() }).await
}

/// What a job of one engine works on.
pub enum Input {
    /// A recording.
    Target(i64),
    /// A file.
    Url(String),
}
