//! Every cell of lifecycle §6b through the database, and what is done to engines in every state (§1).

use model::{
    build::{BuildStatus, Phase},
    id::{BuildId, JobId},
    report::{Report, Verdict},
};
use serde_json::{Value, json};
use store::{
    build_life::Life,
    builds::{self, Build, HistoryLine},
    engines::Engine,
    jobs::{self, Job},
};

use super::{
    cells::{build, engine},
    world::World,
};
use crate::{
    app::App,
    clock,
    console::fixtures,
    jobs::JobError,
    ops::{
        begin_attempt::begin_attempt,
        record_deploy::{Ended, record_deploy, record_health_loss},
        record_review::{PhaseResult, record_phase},
        record_verdict::{record_loss, record_start, record_verdict},
    },
};

const DEV: &str = "dev@example.org";

/// Lifecycle §6b by hand, columns in the order of EVENTS. `-`: nothing happens and nothing is written; `=`: the history tells it, the status
/// stays; a word: the status after.
const CELLS: &str = "
    uploaded     fetching - - - - deleted -
    fetching     - available invalid - = deleted =
    available    - - - - - deleted -
    invalid      - - - - - deleted -
    pending      - = disapproved - = deleted =
    approved     - - - - = deleted -
    disapproved  - - - - - deleted -
    deploying    - deployed deployFailed - = = =
    deployed     - - = paused paused deleted -
    deployFailed - - - - - deleted -
    paused       - - - - - deleted -
    deleted      - - - - - - -
";

const EVENTS: [&str; 7] = ["start", "phaseOk", "phaseFail", "superseded", "engineDisabled", "engineDeleted", "lost"];

async fn row(app: &App, id: BuildId) -> Build {
    builds::by_id(app.db.read(), id).await.unwrap().unwrap()
}

async fn history(app: &App, id: BuildId) -> Vec<HistoryLine> {
    builds::history(app.db.read(), id).await.unwrap()
}

/// A job that this worker holds.
async fn held(app: &App, engine: &Engine) -> Job {
    let (id, now) = (JobId(clock::new_id()), clock::now_ms());
    let mut tx = app.db.write().await.unwrap();
    assert!(jobs::enqueue(&mut tx, id, "of a test", &format!("{} {id}", engine.id), now).await.unwrap());
    sqlx::query("UPDATE jobs SET state = 'running', worker = 'test', lease_until = $2, attempts = 1 WHERE id = $1")
        .bind(id.to_string())
        .bind(now + 600_000)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    // The deploys of an engine are the business of its id.
    Job { id, kind: "of a test".into(), subject: engine.id.to_string(), attempts: 1 }
}

fn report(passed: bool) -> Report {
    Report { success: passed, ..fixtures::report(if passed { Verdict::Available } else { Verdict::Invalid }) }
}

fn phase(passed: bool, auto_approve: bool) -> PhaseResult {
    PhaseResult { report: None, passed, auto_approve, unproven: None, reason: "seen".into() }
}

/// A build as whoever works for gate A saw it when they began.
fn as_begun(build: &Build) -> Build {
    Build { status: BuildStatus::Fetching, ..build.clone() }
}

/// Whoever ends a phase does so whatever the status is by then; the first of these that knows the status changes it.
async fn phase_ends(app: &App, engine: &Engine, id: BuildId, passed: bool) {
    let build = row(app, id).await;
    let job = held(app, engine).await;
    record_verdict(app, &as_begun(&build), &report(passed), &job, "test").await.unwrap();
    let job = held(app, engine).await;
    // A phase of gate B is only ended for a build that is in it.
    record_phase(app, &row(app, id).await, phase(passed, false), &job, "test").await.unwrap();
    if row(app, id).await.status == build.status && build.status != BuildStatus::Pending {
        let ended = if passed { Ended::Live { under: "{}", reason: "ready" } } else { Ended::Failed("it does not start") };
        let job = held(app, engine).await;
        let _: Result<Build, JobError> = record_deploy(app, id, ended, &job, "test").await;
    }
    if !passed && build.status == BuildStatus::Deployed {
        record_health_loss(app, id, "it ended by itself").await.unwrap();
    }
}

/// Another build of the engine becomes live.
async fn another_is_live(world: &World, engine: &Engine) {
    let other = build(world, engine, BuildStatus::Deploying, Life::default()).await;
    let job = held(&world.app, engine).await;
    let live = Ended::Live { under: "{}", reason: "ready" };
    assert_eq!(record_deploy(&world.app, other, live, &job, "test").await.unwrap().status, BuildStatus::Deployed);
}

async fn lost(app: &App, id: BuildId) {
    let build = row(app, id).await;
    let _: Result<_, JobError> = record_loss(app, &as_begun(&build), None).await;
    for status in [BuildStatus::Pending, BuildStatus::Deploying] {
        begin_attempt(app, id, status).await.unwrap();
    }
}

async fn happens(world: &World, engine: &Engine, id: BuildId, event: &str) {
    let app = &world.app;
    let by_people = async |query: String| drop(world.as_person(DEV, &query).await);
    match event {
        "start" => drop(record_start(app, &row(app, id).await).await),
        "phaseOk" => phase_ends(app, engine, id, true).await,
        "phaseFail" => phase_ends(app, engine, id, false).await,
        "superseded" => another_is_live(world, engine).await,
        "engineDisabled" => {
            // An engine without a build that was approved cannot be disabled; here another one has it.
            build(world, engine, BuildStatus::Paused, Life::default()).await;
            by_people(format!("mutation {{ engineWorkflow(input: {{id: \"{}\", action: disable}}) {{ state }} }}", engine.id)).await;
        }
        "engineDeleted" => by_people(format!("mutation {{ deleteEngine(id: \"{}\") {{ id }} }}", engine.id)).await,
        _ => lost(app, id).await,
    }
}

#[tokio::test]
async fn every_cell_of_what_happens_by_itself() {
    let world = World::new().await;
    world.person(DEV, 1, "developer").await;
    let mut seen = 0;
    for line in CELLS.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let status: BuildStatus = words[0].parse().unwrap();
        for (event, word) in EVENTS.into_iter().zip(&words[1..]) {
            let engine = engine(&world, 1).await;
            let life = Life {
                phase: (status == BuildStatus::Pending).then_some(Phase::Security),
                // One attempt was begun, so that the next one is the second.
                attempts: 1,
                ..Life::default()
            };
            let id = build(&world, &engine, status, life).await;
            happens(&world, &engine, id, event).await;
            let (after, mut lines) = (row(&world.app, id).await, history(&world.app, id).await);
            // Nothing runs for a build that never was deployed, and whoever keeps the instances says so too.
            lines.retain(|line| line.event == event || status != BuildStatus::Deployed || line.event != "phaseFail");
            let wanted = match *word {
                "-" | "=" => status,
                word => word.parse().unwrap(),
            };
            assert_eq!(after.status, wanted, "{status} {event}: {lines:?}");
            if *word == "-" {
                assert_eq!(lines, [], "{status} {event}");
            } else {
                let line = lines.first().unwrap_or_else(|| panic!("{status} {event} is not in the history"));
                assert_eq!((line.actor.as_str(), line.event.as_str()), ("system", event), "{status} {event}");
                assert_eq!((line.from_status.as_deref(), line.to_status.as_str()), (Some(status.as_str()), wanted.as_str()));
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 12 * 7);
}

#[tokio::test]
async fn what_the_cells_depend_on() {
    let world = World::new().await;
    world.person(DEV, 1, "developer").await;
    let app = &world.app;
    let engine = engine(&world, 1).await;
    let at = async |status, life: Life| build(&world, &engine, status, life).await;
    let in_phase = |phase| Life { phase: Some(phase), ..Life::default() };

    // Phase by phase; the last one approves by rule, or waits for a person.
    for (from, auto, status, to) in [
        (Phase::Security, true, BuildStatus::Pending, Some(Phase::Certification)),
        (Phase::Certification, false, BuildStatus::Pending, Some(Phase::AwaitingApproval)),
        (Phase::Certification, true, BuildStatus::Approved, None),
    ] {
        let id = at(BuildStatus::Pending, in_phase(from)).await;
        let job = held(app, &engine).await;
        let after = record_phase(app, &row(app, id).await, phase(true, auto), &job, "test").await.unwrap();
        assert_eq!((after.status, after.life.phase), (status, to), "{from:?} {auto}");
    }

    // Lost too often: intake and deploy fail, and say why.
    let id = at(BuildStatus::Fetching, Life::default()).await;
    assert_eq!(record_loss(app, &row(app, id).await, Some(&report(false))).await.unwrap(), BuildStatus::Invalid);
    let id = at(BuildStatus::Deploying, Life { attempts: 4, ..Life::default() }).await;
    let job = held(app, &engine).await;
    assert_eq!(record_deploy(app, id, Ended::Lost, &job, "test").await.unwrap().status, BuildStatus::DeployFailed);
    for id in [id] {
        assert!(history(app, id).await[0].reason.starts_with("internal_error"));
    }

    // An engine that was disabled or deleted during a deploy: what happened to it happens to the build once it has ended.
    for (deed, status, event) in [
        ("engineWorkflow(input: {id: ID, action: disable}) { id }", BuildStatus::Paused, "engineDisabled"),
        ("deleteEngine(id: ID) { id }", BuildStatus::Deleted, "engineDeleted"),
    ] {
        let engine = self::engine(&world, 1).await;
        let id = build(&world, &engine, BuildStatus::Deploying, Life::default()).await;
        world.as_person(DEV, &format!("mutation {{ {} }}", deed.replace("ID", &format!("\"{}\"", engine.id)))).await;
        let job = held(app, &engine).await;
        record_deploy(app, id, Ended::Live { under: "{}", reason: "ready" }, &job, "test").await.unwrap();
        let told: Vec<String> = history(app, id).await.into_iter().map(|line| format!("{} {}", line.event, line.to_status)).collect();
        assert_eq!(told, [format!("{event} deploying"), "phaseOk deployed".into(), format!("{event} {status}")]);
        assert_eq!(row(app, id).await.status, status);
    }
}

/// What is done to an engine in each state, columns in the order of DEEDS: `-` refused, `nf` not found, a word the state after.
const ENGINE_CELLS: &str = "
    pending   pending - - deleted -
    ready     ready disabled - deleted -
    active    active disabled - deleted -
    disabled  - - ready deleted -
    deleted   nf nf nf nf pending
";

const DEEDS: [(&str, &str); 5] = [
    ("edit", "updateEngine(input: {id: ID, name: \"Other\"}) { state validStateActions }"),
    ("disable", "engineWorkflow(input: {id: ID, action: disable}) { state validStateActions }"),
    ("enable", "engineWorkflow(input: {id: ID, action: enable}) { state validStateActions }"),
    ("delete", "deleteEngine(id: ID) { id }"),
    ("undelete", "undeleteEngine(id: ID) { state validStateActions }"),
];

/// An engine in a state, with the build that brings it there.
async fn engine_in(world: &World, state: &str) -> (Engine, Option<BuildId>) {
    let engine = engine(world, 1).await;
    let status = match state {
        "pending" => None,
        "active" => Some(BuildStatus::Deployed),
        _ => Some(BuildStatus::Paused),
    };
    let id = match status {
        Some(status) => Some(build(world, &engine, status, Life::default()).await),
        None => None,
    };
    let deed = match state {
        "disabled" => Some(DEEDS[1].1),
        "deleted" => Some(DEEDS[3].1),
        _ => None,
    };
    if let Some(deed) = deed {
        world.as_person(DEV, &format!("mutation {{ {} }}", deed.replace("ID", &format!("\"{}\"", engine.id)))).await;
    }
    (engine, id)
}

#[tokio::test]
async fn every_cell_of_what_is_done_to_an_engine() {
    let world = World::new().await;
    world.person(DEV, 1, "developer").await;
    world.person("rev@example.org", 1, "reviewer").await;
    world.person("stranger@example.org", 2, "developer").await;
    let sessions = [world.session(DEV).await, world.session("rev@example.org").await, world.session("stranger@example.org").await];
    let mut seen = 0;
    for line in ENGINE_CELLS.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for ((action, deed), word) in DEEDS.into_iter().zip(&words[1..]) {
            for (who, session) in sessions.iter().enumerate() {
                let (engine, id) = engine_in(&world, words[0]).await;
                let logged = audit(&world).await;
                let query = format!("mutation {{ {} }}", deed.replace("ID", &format!("\"{}\"", engine.id)));
                let answer = world.graphql(session, &query).await.is(200).json();
                let name = answer["errors"][0]["name"].as_str().unwrap_or("done");
                let wanted = match (who, *word) {
                    (1, _) => "not_allowed",
                    (2, _) | (_, "nf") => "not_found",
                    (_, "-") => "invalid_input",
                    _ => "done",
                };
                assert_eq!(name, wanted, "{} {action} by {who}: {answer}", words[0]);
                if wanted == "invalid_input" {
                    let data = &answer["errors"][0]["data"];
                    assert_eq!((&data["state"], &data["action"]), (&json!(words[0]), &json!(action)), "{answer}");
                    assert!(!data["validStateActions"].as_array().unwrap().contains(&json!(action)), "{answer}");
                }
                if wanted == "done" {
                    let query = format!("{{ engine(id: \"{}\") {{ state }} }}", engine.id);
                    assert_eq!(world.as_person(DEV, &query).await["engine"]["state"], *word, "{} {action}", words[0]);
                    assert_eq!(audit(&world).await, logged + 1, "the audit log tells it");
                    aftermath(&world, words[0], action, id).await;
                } else {
                    assert_eq!(audit(&world).await, logged, "nothing was done");
                }
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 5 * 5 * 3);
}

async fn audit(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM audit_log").fetch_one(world.app.db.read()).await.unwrap()
}

/// What it means for the build.
async fn aftermath(world: &World, state: &str, action: &str, id: Option<BuildId>) {
    let Some(id) = id else { return };
    let status = row(&world.app, id).await.status;
    let wanted = match (state, action) {
        (_, "delete") | ("deleted", _) => BuildStatus::Deleted,
        ("active", "edit") => BuildStatus::Deployed,
        // Also after enabling: it stays paused until somebody unpauses it.
        _ => BuildStatus::Paused,
    };
    assert_eq!(status, wanted, "{state} {action}");
}

#[tokio::test]
async fn what_runs_ends_with_its_engine() {
    let (world, engine) = super::journey::started().await;
    for deed in [DEEDS[1].1, DEEDS[3].1] {
        let id = world.approved(&engine, if deed == DEEDS[1].1 { "v1" } else { "v2" }, &[]).await;
        let live = world.act(super::world::EMAIL, &engine, &id, "deploy").await;
        assert_eq!((&live["status"], &live["health"]), (&json!("deployed"), &json!("runs")));
        let query = |deed: &str| format!("mutation {{ {} }}", deed.replace("ID", &format!("\"{engine}\"")));
        world.as_person(super::world::EMAIL, &query(deed)).await;
        for _ in 0..500 {
            if world.app.instances.builds().is_empty() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(world.app.instances.builds().len(), 0, "it still runs after {deed}");
        if deed == DEEDS[1].1 {
            world.as_person(super::world::EMAIL, &query(DEEDS[2].1)).await;
        }
    }
    // Nothing is pushed for an engine that is deleted.
    let pushed = world.push(&super::webhook_engine::image(&engine, "v3", &[]), "1/words", "v3").await;
    assert_eq!(pushed.status, 201);
    let unclaimed = async || world.as_person(super::world::EMAIL, "{ unclaimedPushes { records { reason } } }").await;
    let mut found = Value::Null;
    for _ in 0..500 {
        found = unclaimed().await["unclaimedPushes"]["records"][0]["reason"].clone();
        if !found.is_null() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(found.as_str().unwrap().contains("is deleted"), "{found}");
}
