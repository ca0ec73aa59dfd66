//! Every cell of lifecycle §6a by the API, for every part; and what else the API refuses.

use model::{
    build::{BuildStatus, Phase},
    capability::Capability,
    digest::Digest,
    engine::DeploymentModel,
    id::{BuildId, EngineId, OrganizationId},
};
use serde_json::{Value, json};
use store::{
    build_life::{self, Life},
    builds::{self, Build},
    engines::{self, Engine},
};

use super::world::World;
use crate::{clock, standing::deploy_settings};

const DEV: &str = "dev@example.org";
const REV: &str = "rev@example.org";
const ADMIN: &str = "admin@example.org";
const STRANGER: &str = "stranger@example.org";

/// Lifecycle §6a by hand, columns in the order of ACTIONS: `-` refused, `nf` not found, a word the status after. `r:` for reviewers only.
const CELLS: &str = "
    uploaded     - - - - r:invalid - - - deleted
    fetching     - - - - r:invalid - - - -
    available    pending - - - r:invalid - - - deleted
    invalid      - fetching - - - - - - deleted
    pending      - - r:approved r:disapproved r:invalid - - - deleted
    approved     - - - r:disapproved r:invalid deploying - - deleted
    disapproved  - - r:approved - - - - - deleted
    deploying    - - - - - - - - -
    deployed     - - - - - deployed paused - deleted
    deployFailed - - - r:disapproved r:invalid deploying - - deleted
    paused       - - - r:disapproved r:invalid deploying - deployed deleted
    deleted      nf nf nf nf nf nf nf nf nf
";

const ACTIONS: [&str; 9] = ["submit", "upload", "approve", "disapprove", "invalidate", "deploy", "pause", "unpause", "delete"];

pub async fn engine(world: &World, organization: i64) -> Engine {
    let engine = Engine {
        id: EngineId(clock::new_id()),
        organization: OrganizationId(organization),
        name: "Words".into(),
        description: String::new(),
        category: Capability::Keyword,
        deployment_model: DeploymentModel::FullyNetworkIsolated,
        extra: json!({}),
        disabled: false,
        deleted: false,
        last_version: 0,
        created_by: DEV.into(),
        created_at: 0,
        modified_at: 0,
    };
    let mut tx = world.app.db.write().await.unwrap();
    engines::insert(&mut tx, &engine).await.unwrap();
    tx.commit().await.unwrap();
    engine
}

pub async fn build(world: &World, engine: &Engine, status: BuildStatus, life: Life) -> BuildId {
    let id = BuildId(clock::new_id());
    let mut tx = world.app.db.write().await.unwrap();
    let build = Build {
        id,
        engine: engine.id,
        version: engines::next_version(&mut tx, engine.id).await.unwrap(),
        status,
        repository: format!("{}/words", engine.organization),
        tag: String::new(),
        digest: Digest::of(id.to_string().as_bytes()),
        manifest: json!({}),
        pushed_by: DEV.into(),
        pushed_at: 0,
        created_at: 0,
        modified_at: 0,
        life: Life::default(),
    };
    builds::insert(&mut tx, &build).await.unwrap();
    build_life::set(&mut tx, id, &life).await.unwrap();
    tx.commit().await.unwrap();
    id
}

fn life_of(status: BuildStatus, engine: &Engine) -> Life {
    Life {
        phase: (status == BuildStatus::Pending).then_some(Phase::AwaitingApproval),
        submitted_at: Some(1),
        deployed_under: Some(deploy_settings(engine)),
        ..Life::default()
    }
}

async fn people(world: &World) {
    world.person(DEV, 1, "developer").await;
    world.person(REV, 1, "reviewer").await;
    world.person(ADMIN, 1, "admin").await;
    world.person(STRANGER, 2, "developer,reviewer,admin,operator").await;
}

async fn act(world: &World, session: &str, build: BuildId, engine: EngineId, action: &str, more: &str) -> Value {
    let query = format!(
        "mutation {{ updateEngineBuild(input: {{id: \"{build}\", engineId: \"{engine}\", action: {action} {more}}}) {{ status validStateActions primaryAction secondaryActions }} }}"
    );
    world.graphql(session, &query).await.is(200).json()
}

/// What the answer amounts to, in the words of the table.
fn outcome(answer: &Value) -> String {
    match answer["errors"][0]["name"].as_str() {
        None => answer["data"]["updateEngineBuild"]["status"].as_str().unwrap().to_owned(),
        Some("not_found") => "nf".into(),
        Some("invalid_input") => "-".into(),
        Some("not_allowed") => "not allowed".into(),
        Some(other) => other.into(),
    }
}

#[tokio::test]
async fn every_cell_by_the_api() {
    let world = World::new().await;
    people(&world).await;
    let mut seen = 0;
    let sessions = [world.session(DEV).await, world.session(REV).await, world.session(ADMIN).await, world.session(STRANGER).await];
    for line in CELLS.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let status: BuildStatus = words[0].parse().unwrap();
        for (action, word) in ACTIONS.into_iter().zip(&words[1..]) {
            let (only_reviewer, word) = word.strip_prefix("r:").map_or((false, *word), |rest| (true, rest));
            for (who, session) in sessions.iter().enumerate() {
                let engine = engine(&world, 1).await;
                let id = build(&world, &engine, status, life_of(status, &engine)).await;
                let answer = act(&world, session, id, engine.id, action, "reason: \"because\"").await;
                let wanted = match who {
                    3 => "nf",
                    2 => "not allowed",
                    0 if only_reviewer => "not allowed",
                    _ => word,
                };
                assert_eq!(outcome(&answer), wanted, "{status} {action} by {who}: {answer}");
                let history = builds::history(world.app.db.read(), id).await.unwrap();
                match wanted {
                    "-" => refused_as_documented(&answer, id, status, action),
                    "nf" | "not allowed" => assert_eq!(history, [], "{status} {action}"),
                    to => {
                        let line = history.first().unwrap();
                        let person = if who == 0 { DEV } else { REV };
                        assert_eq!((line.actor.as_str(), line.event.as_str(), line.reason.as_str()), (person, action, "because"));
                        assert_eq!((line.from_status.as_deref(), line.to_status.as_str()), (Some(status.as_str()), to));
                    }
                }
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 12 * 9 * 4);
}

#[track_caller]
fn refused_as_documented(answer: &Value, id: BuildId, status: BuildStatus, action: &str) {
    let error = &answer["errors"][0];
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(action) && message.contains(status.as_str()), "{message}");
    let data = &error["data"];
    assert_eq!((&data["objectType"], &data["objectId"]), (&json!("Build"), &json!(id)));
    assert_eq!((&data["status"], &data["action"]), (&json!(status), &json!(action)));
    assert!(!data["validStateActions"].as_array().unwrap().contains(&json!(action)), "{data}");
    for field in ["message", "name", "time_thrown", "data", "path", "locations"] {
        assert!(!error[field].is_null(), "{field} is missing in {error}");
    }
}

#[tokio::test]
async fn conditions_of_the_cells() {
    let world = World::new().await;
    people(&world).await;
    let (dev, rev) = (world.session(DEV).await, world.session(REV).await);
    let engine = engine(&world, 1).await;
    let at = async |status, life: Life| build(&world, &engine, status, life).await;

    // Approve only when the automatic phases are over; the refusal names the phase.
    let early = at(BuildStatus::Pending, Life { phase: Some(Phase::Certification), ..Life::default() }).await;
    let answer = act(&world, &rev, early, engine.id, "approve", "").await;
    assert_eq!((outcome(&answer).as_str(), &answer["errors"][0]["data"]["phase"]), ("-", &json!("certification")), "{answer}");

    // A reason where one is needed.
    let waiting = life_of(BuildStatus::Pending, &engine);
    for (status, action) in
        [(BuildStatus::Pending, "disapprove"), (BuildStatus::Disapproved, "approve"), (BuildStatus::Paused, "disapprove")]
    {
        let id = at(status, life_of(status, &engine)).await;
        let answer = act(&world, &rev, id, engine.id, action, "reason: \"  \"").await;
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains("needs a reason"), "{answer}");
    }
    let blind = at(BuildStatus::Pending, Life { unproven: Some("security".into()), ..waiting.clone() }).await;
    assert!(act(&world, &rev, blind, engine.id, "approve", "").await["errors"][0]["message"].as_str().unwrap().contains("override"));
    assert_eq!(outcome(&act(&world, &rev, blind, engine.id, "approve", "reason: \"seen\"").await), "approved");
    assert!(builds::by_id(world.app.db.read(), blind).await.unwrap().unwrap().life.override_until.is_some());

    // An override that is over deploys nothing; nor does an engine that is switched off.
    let over = at(BuildStatus::Approved, Life { override_until: Some(1), ..Life::default() }).await;
    assert!(act(&world, &dev, over, engine.id, "deploy", "").await["errors"][0]["message"].as_str().unwrap().contains("override"));
    let paused = at(BuildStatus::Paused, life_of(BuildStatus::Paused, &engine)).await;
    let off = format!("mutation {{ engineWorkflow(input: {{id: \"{}\", action: disable}}) {{ state validStateActions }} }}", engine.id);
    assert_eq!(world.as_person(DEV, &off).await["engineWorkflow"]["validStateActions"], json!(["enable", "delete"]));
    for action in ["deploy", "unpause"] {
        let answer = act(&world, &dev, paused, engine.id, action, "").await;
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains("enable it first"), "{answer}");
    }
    let on = off.replace("disable", "enable");
    world.as_person(DEV, &on).await;

    // Settings that changed make a live build deployable again.
    let live = at(BuildStatus::Deployed, Life { deployed_under: Some("older".into()), ..Life::default() }).await;
    assert_eq!(outcome(&act(&world, &dev, live, engine.id, "deploy", "").await), "deploying");
}

#[tokio::test]
async fn nobody_approves_their_own_push_unless_the_house_allows_it() {
    let world = World::new().await;
    let both = "both@example.org";
    world.person(both, 1, "developer,reviewer").await;
    people(&world).await;
    let engine = engine(&world, 1).await;
    let id = build(&world, &engine, BuildStatus::Pending, life_of(BuildStatus::Pending, &engine)).await;
    let mut tx = world.app.db.write().await.unwrap();
    sqlx::query("UPDATE builds SET pushed_by = $1").bind(both).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let session = world.session(both).await;
    let answer = act(&world, &session, id, engine.id, "approve", "").await;
    assert_eq!(outcome(&answer), "not allowed", "{answer}");
    let query = format!("{{ engineBuild(id: \"{id}\") {{ validStateActions primaryAction secondaryActions }} }}");
    let shown = world.as_person(both, &query).await;
    assert_eq!(shown["engineBuild"]["validStateActions"], json!(["disapprove", "invalidate", "delete"]));
    assert_eq!(shown["engineBuild"]["primaryAction"], Value::Null);
    assert_eq!(world.as_person(REV, &query).await["engineBuild"]["primaryAction"], "approve");
    assert_eq!(world.as_person(ADMIN, &query).await["engineBuild"]["validStateActions"], json!([]));

    world.as_person(ADMIN, "mutation { updateOrganization(input: {selfApproval: true}) { selfApproval } }").await;
    assert_eq!(outcome(&act(&world, &session, id, engine.id, "approve", "").await), "approved");
    let log = world.as_person(ADMIN, "{ auditLog { records { actor action object detail } } }").await;
    let log = log["auditLog"]["records"].as_array().unwrap();
    assert_eq!((&log[0]["action"], &log[0]["actor"]), (&json!("build.approve"), &json!(both)));
    assert_eq!(log[1]["action"], "organization.update");
}

#[tokio::test]
async fn missing_foreign_huge_and_malformed_ids_are_not_found() {
    let world = World::new().await;
    people(&world).await;
    let (mine, theirs) = (engine(&world, 1).await, engine(&world, 2).await);
    let foreign = build(&world, &theirs, BuildStatus::Available, Life::default()).await;
    let id = build(&world, &mine, BuildStatus::Available, Life::default()).await;
    let session = world.session(DEV).await;
    let huge = "9".repeat(100_000);
    let nobody = clock::new_id().to_string();
    for build in [foreign.to_string(), nobody.clone(), huge.clone(), String::new(), "../../etc".into(), "\\u0000".into()] {
        for query in [
            format!("mutation {{ updateEngineBuild(input: {{id: \"{build}\", engineId: \"{}\", action: submit}}) {{ id }} }}", mine.id),
            format!("mutation {{ deleteEngineBuild(input: {{id: \"{build}\", engineId: \"{}\"}}) {{ id }} }}", mine.id),
            format!("mutation {{ createBuildNote(input: {{buildId: \"{build}\", text: \"x\"}}) {{ id }} }}"),
            format!("{{ engineBuild(id: \"{build}\") {{ id }} }}"),
        ] {
            let answer = world.graphql(&session, &query).await.is(200);
            assert_eq!(answer.json()["errors"][0]["name"], "not_found", "{:.300}", answer.body);
            assert!(answer.body.len() < 1_000, "{}", answer.body.len());
        }
    }
    for engine in [theirs.id.to_string(), nobody, huge] {
        for query in [
            format!("mutation {{ updateEngineBuild(input: {{id: \"{id}\", engineId: \"{engine}\", action: submit}}) {{ id }} }}"),
            format!("mutation {{ updateEngine(input: {{id: \"{engine}\", name: \"x\"}}) {{ id }} }}"),
            format!("mutation {{ deleteEngine(id: \"{engine}\") {{ id }} }}"),
            format!("mutation {{ rollbackEngine(id: \"{engine}\") {{ id }} }}"),
            format!("mutation {{ engineWorkflow(input: {{id: \"{engine}\", action: disable}}) {{ id }} }}"),
            format!("{{ engine(id: \"{engine}\") {{ id }} }}"),
        ] {
            let answer = world.graphql(&session, &query).await.is(200).json();
            assert_eq!(answer["errors"][0]["name"], "not_found", "{answer:.300}");
        }
    }
    assert_eq!(builds::by_id(world.app.db.read(), id).await.unwrap().unwrap().status, BuildStatus::Available);
}

#[tokio::test]
async fn two_reviewers_at_once_and_a_role_lost_between_page_and_click() {
    let world = World::new().await;
    people(&world).await;
    world.person("rev2@example.org", 1, "reviewer").await;
    let engine = engine(&world, 1).await;
    let (one, two) = (world.session(REV).await, world.session("rev2@example.org").await);
    for _ in 0..5 {
        let id = build(&world, &engine, BuildStatus::Pending, life_of(BuildStatus::Pending, &engine)).await;
        let (yes, no) = tokio::join!(
            act(&world, &one, id, engine.id, "approve", "reason: \"good\""),
            act(&world, &two, id, engine.id, "disapprove", "reason: \"bad\"")
        );
        let history = builds::history(world.app.db.read(), id).await.unwrap();
        let outcomes = [outcome(&yes), outcome(&no)];
        // An approved build may still be disapproved; a disapproved one may be approved with a reason: each saw what the other did first.
        assert_eq!(history.len(), outcomes.iter().filter(|word| *word != "-").count(), "{outcomes:?} {history:?}");
        for pair in history.windows(2) {
            assert_eq!(pair[1].from_status.as_deref(), Some(pair[0].to_status.as_str()));
        }
    }
    let id = build(&world, &engine, BuildStatus::Pending, life_of(BuildStatus::Pending, &engine)).await;
    let user = store::accounts::user_by_email(world.app.db.read(), REV).await.unwrap().unwrap().id;
    world.as_person(ADMIN, &format!("mutation {{ setUserRoles(id: \"{user}\", roles: [\"developer\"]) {{ roles }} }}")).await;
    let answer = act(&world, &one, id, engine.id, "approve", "").await;
    assert_eq!(outcome(&answer), "not allowed", "{answer}");
    assert_eq!(builds::history(world.app.db.read(), id).await.unwrap(), []);
}

#[tokio::test]
async fn what_happens_to_an_engine_happens_to_its_builds() {
    let world = World::new().await;
    people(&world).await;
    let engine = engine(&world, 1).await;
    let mut made = Vec::new();
    for status in BuildStatus::ALL {
        made.push((status, build(&world, &engine, status, life_of(status, &engine)).await));
    }
    let state = |word: &str| format!("mutation {{ engineWorkflow(input: {{id: \"{}\", action: {word}}}) {{ state }} }}", engine.id);
    assert_eq!(world.as_person(DEV, &state("disable")).await["engineWorkflow"]["state"], "disabled");
    let status_of = async |id| builds::by_id(world.app.db.read(), id).await.unwrap().unwrap().status;
    for (status, id) in &made {
        let wanted = if *status == BuildStatus::Deployed { BuildStatus::Paused } else { *status };
        if !matches!(status, BuildStatus::Deploying) {
            assert_eq!(status_of(*id).await, wanted, "{status}");
        }
    }
    // A second time is refused, with the way out.
    let again = world.graphql(&world.session(DEV).await, &state("disable")).await.json();
    assert_eq!(again["errors"][0]["data"]["validStateActions"], json!(["enable", "delete"]));
    assert_eq!(world.as_person(DEV, &state("enable")).await["engineWorkflow"]["state"], "ready");
    world.as_person(DEV, &format!("mutation {{ deleteEngine(id: \"{}\") {{ message }} }}", engine.id)).await;
    for (status, id) in &made {
        let now = status_of(*id).await;
        assert!(now == BuildStatus::Deleted || *status == BuildStatus::Deploying, "{status} is {now}");
    }
    let back = world.as_person(DEV, &format!("mutation {{ undeleteEngine(id: \"{}\") {{ state }} }}", engine.id)).await;
    assert!(["pending", "ready"].contains(&back["undeleteEngine"]["state"].as_str().unwrap()), "{back}");
}
