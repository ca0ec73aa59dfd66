//! From a push to a live engine and back, by the API, with two people.

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};
use store::{
    engine_files::{self, EngineFile, Kind},
    engines,
};

use super::{
    webhook_engine::{image, sandbox},
    world::{EMAIL, World},
};
use crate::{
    fetch::{
        Caps, fetch,
        tests::{here, serving},
    },
    ops::keep_sample::keep_sample,
};

pub const REV: &str = "rev@example.org";

/// An engine of the first account, and a reviewer.
pub async fn started() -> (World, String) {
    started_with(|_| {}).await
}

/// The same with other settings.
pub async fn started_with(change: impl FnOnce(&mut crate::config::Config)) -> (World, String) {
    let world = World::running(change, sandbox()).await;
    world.person(REV, 1, "reviewer").await;
    let engine = world
        .as_person(
            EMAIL,
            "mutation { createEngine(input: {name: \"Words\", categoryId: \"keyword\", deploymentModel: FullyNetworkIsolated}) { id } }",
        )
        .await;
    let engine = engine["createEngine"]["id"].as_str().unwrap().to_owned();
    (world, engine)
}

impl World {
    /// The builds of an engine by number, with these fields.
    pub async fn builds(&self, engine: &str, fields: &str) -> Vec<Value> {
        let query = format!("{{ engine(id: \"{engine}\") {{ builds(limit: 1000) {{ records {{ {fields} }} }} }} }}");
        let mut records = self.as_person(EMAIL, &query).await["engine"]["builds"]["records"].as_array().unwrap().clone();
        records.reverse();
        records
    }

    /// Waits until a build is no longer at work, and returns it.
    pub async fn settled(&self, id: &str) -> Value {
        let fields = "id status phase version health validStateActions history { actor event from to reason }";
        for _ in 0..400 {
            let build = self.as_person(EMAIL, &format!("{{ engineBuild(id: \"{id}\") {{ {fields} }} }}")).await["engineBuild"].clone();
            let at_work = ["fetching", "deploying", "uploaded"].contains(&build["status"].as_str().unwrap());
            let in_gate = build["status"] == "pending" && build["phase"] != "awaiting-approval";
            if !at_work && !in_gate {
                return build;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let build = self.as_person(EMAIL, &format!("{{ engineBuild(id: \"{id}\") {{ {fields} }} }}")).await;
        let (log, _) = self.app.logs.read(id.parse().unwrap(), 0).unwrap();
        panic!("build {id} does not settle: {build:#}\n{log:#?}")
    }

    /// Pushes an image and waits for the verdict of gate A.
    pub async fn pushed(&self, engine: &str, note: &str, env: &[(&str, &str)]) -> String {
        let before = self.builds(engine, "id").await.len();
        self.push(&image(engine, note, env), "1/words", note).await.is(201);
        for _ in 0..200 {
            let builds = self.builds(engine, "id").await;
            if builds.len() > before {
                let id = builds.last().unwrap()["id"].as_str().unwrap().to_owned();
                self.settled(&id).await;
                return id;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the push became no build")
    }

    /// Acts, and waits until the build is no longer at work.
    pub async fn act(&self, who: &str, engine: &str, build: &str, action: &str) -> Value {
        let query = format!(
            "mutation {{ updateEngineBuild(input: {{id: \"{build}\", engineId: \"{engine}\", action: {action}, reason: \"seen\"}}) {{ status }} }}"
        );
        self.as_person(who, &query).await;
        self.settled(build).await
    }

    /// Pushes a build and brings it to `approved`.
    pub async fn approved(&self, engine: &str, note: &str, env: &[(&str, &str)]) -> String {
        let id = self.pushed(engine, note, env).await;
        self.act(EMAIL, engine, &id, "submit").await;
        assert_eq!(self.act(REV, engine, &id, "approve").await["status"], "approved");
        id
    }

    pub async fn state(&self, engine: &str) -> Value {
        self.as_person(EMAIL, &format!("{{ engine(id: \"{engine}\") {{ state deployedVersion }} }}")).await["engine"].clone()
    }
}

fn events(build: &Value) -> Vec<(&str, &str)> {
    let lines = build["history"].as_array().unwrap().iter();
    lines.map(|line| (line["event"].as_str().unwrap(), line["to"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn from_push_to_live_and_back() {
    let (world, engine) = started().await;
    let first = world.pushed(&engine, "v1", &[]).await;
    assert_eq!(world.settled(&first).await["status"], "available");
    assert_eq!(world.state(&engine).await, json!({"state": "pending", "deployedVersion": null}));

    let waiting = world.act(EMAIL, &engine, &first, "submit").await;
    assert_eq!((&waiting["status"], &waiting["phase"]), (&json!("pending"), &json!("awaiting-approval")));
    let taken_over = waiting["history"].as_array().unwrap().iter().any(|line| line["reason"].as_str().unwrap().contains("taken over"));
    assert!(taken_over, "nothing changed since the push, so the run is not repeated: {waiting:#}");
    let queue = "{ reviewQueue { count records { turn isOverdue estimate dueDateTime build { id } } } }";
    let queued = world.as_person(REV, queue).await["reviewQueue"]["records"][0].clone();
    assert_eq!((&queued["build"]["id"], &queued["turn"], &queued["isOverdue"]), (&json!(first), &json!("reviewer"), &json!(false)));

    // No advisory database is loaded: approving is an override, with a reason and an end.
    let bare =
        format!("mutation {{ updateEngineBuild(input: {{id: \"{first}\", engineId: \"{engine}\", action: approve}}) {{ status }} }}");
    let refused = world.graphql(&world.session(REV).await, &bare).await.json();
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("override"), "{refused}");
    assert_eq!(world.act(REV, &engine, &first, "approve").await["status"], "approved");
    assert_eq!(world.state(&engine).await["state"], "ready");
    let live = world.act(EMAIL, &engine, &first, "deploy").await;
    assert_eq!((&live["status"], &live["health"]), (&json!("deployed"), &json!("runs")), "{live:#}");
    assert_eq!(world.state(&engine).await, json!({"state": "active", "deployedVersion": 1}));
    let report = world.as_person(REV, &format!("{{ engineBuild(id: \"{first}\") {{ report }} }}")).await["engineBuild"]["report"].clone();
    assert_eq!(
        (&report["approval"]["mode"], &report["approval"]["by"], &report["gate"]),
        (&json!("manual"), &json!(REV), &json!("certification"))
    );
    assert_eq!(report["history"].as_array().unwrap().len(), live["history"].as_array().unwrap().len());

    let second = world.approved(&engine, "v2", &[]).await;
    assert_eq!(world.act(EMAIL, &engine, &second, "deploy").await["status"], "deployed");
    let old = world.settled(&first).await;
    assert_eq!((events(&old).last(), &old["status"]), (Some(&("superseded", "paused")), &json!("paused")));
    // Back to the last good one, in one action.
    let back = world.as_person(EMAIL, &format!("mutation {{ rollbackEngine(id: \"{engine}\") {{ id status }} }}")).await;
    assert_eq!(back["rollbackEngine"], json!({"id": first, "status": "deployed"}));
    assert_eq!(world.settled(&second).await["status"], "paused");
    runs(&world, &first, "runs").await;
    runs(&world, &second, "absent").await;
    assert_eq!(world.act(EMAIL, &engine, &first, "pause").await["status"], "paused");
    runs(&world, &first, "absent").await;
}

#[tokio::test]
async fn another_sample_of_the_engine_s_own_is_another_test_run() {
    let (world, engine) = started().await;
    let build = world.pushed(&engine, "v1", &[]).await;
    let file = EngineFile {
        name: "own.txt".into(),
        mime_type: "text/plain".into(),
        bytes: b"some words of our own".to_vec(),
        url: None,
        changed_by: EMAIL.into(),
        changed_at: 1,
    };
    let mut tx = world.app.db.write().await.unwrap();
    engine_files::put(&mut tx, engine.parse().unwrap(), Kind::Sample, &file).await.unwrap();
    tx.commit().await.unwrap();
    let waiting = world.act(EMAIL, &engine, &build, "submit").await;
    let reasons: Vec<_> = waiting["history"].as_array().unwrap().iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert!(reasons.iter().any(|reason| reason.starts_with("certification")), "{reasons:#?}");
    assert!(!reasons.iter().any(|reason| reason.contains("taken over")), "{reasons:#?}");
}

#[tokio::test]
async fn a_sample_is_fetched_once_from_where_the_registration_says() {
    let (world, engine) = started().await;
    let (address, asked) = serving("200 OK\r\nContent-Type: text/plain", b"words from elsewhere, more than a few".to_vec());
    let name = async |url: &str| {
        let set = format!("mutation {{ updateEngine(input: {{id: \"{engine}\", certification: {{sampleUrl: \"{url}\"}}}}) {{ id }} }}");
        world.graphql(&world.session(EMAIL).await, &set).await.is(200).json()
    };
    assert!(name("ftp://files.example.com/a").await["errors"][0]["message"].as_str().unwrap().contains("certification.sampleUrl"));
    let url = format!("http://{address}/own.txt");
    assert!(name(&url).await["errors"].is_null());
    // The server of this test may reach nothing of this machine.
    let build = world.pushed(&engine, "v1", &[]).await;
    let report = world.as_person(EMAIL, &format!("{{ engineBuild(id: \"{build}\") {{ status report }} }}")).await["engineBuild"].clone();
    assert_eq!(report["status"], "available", "{report:#}");
    assert!(report["report"].to_string().contains("run.sample_url") && asked.load(Ordering::SeqCst) == 0, "{report:#}");

    let row = engines::by_id(world.app.db.read(), engine.parse().unwrap()).await.unwrap().unwrap();
    let fetched = fetch(&here(), &url, Caps::default()).await.unwrap();
    let kept = keep_sample(&world.app, row.id, &url, fetched.clone()).await.unwrap().unwrap();
    assert_eq!((kept.name.as_str(), kept.url.as_deref(), &kept.bytes), ("own.txt", Some(url.as_str()), &fetched.bytes));
    let build = world.pushed(&engine, "v2", &[]).await;
    let report = world.as_person(EMAIL, &format!("{{ engineBuild(id: \"{build}\") {{ report }} }}")).await["engineBuild"]["report"].clone();
    assert!(report.to_string().contains("own-1") && !report.to_string().contains("run.sample_url"), "{report:#}");
    // Another address makes the kept one worthless, and nothing is kept for an address that is not that of the registration.
    name("http://files.example.com/other.txt").await;
    assert_eq!(keep_sample(&world.app, row.id, &url, fetched).await.unwrap(), None);
}

/// Waits until the engine of a build is as it should be.
async fn runs(world: &World, build: &str, wanted: &str) {
    for _ in 0..200 {
        if world.settled(build).await["health"] == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the engine of {build} is {} and not {wanted}", world.settled(build).await["health"]);
}

#[tokio::test]
async fn a_build_that_does_not_start_leaves_the_former_live() {
    let (world, engine) = started().await;
    let good = world.approved(&engine, "v1", &[]).await;
    world.act(EMAIL, &engine, &good, "deploy").await;
    // It passes as long as nobody looks: an engine that breaks only when it is deployed.
    let bad = world.pushed(&engine, "v2", &[("BROKEN", "yes")]).await;
    assert_eq!(world.settled(&bad).await["status"], "invalid");
    let mut tx = world.app.db.write().await.unwrap();
    sqlx::query("UPDATE builds SET status = 'approved' WHERE id = $1").bind(&bad).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let failed = world.act(EMAIL, &engine, &bad, "deploy").await;
    assert_eq!(failed["status"], "deployFailed");
    let why = failed["history"].as_array().unwrap().last().unwrap()["reason"].as_str().unwrap().to_owned();
    assert!(why.contains("its process ended before it was ready"), "{why}");
    assert_eq!(world.settled(&good).await["status"], "deployed");
    assert_eq!(world.state(&engine).await, json!({"state": "active", "deployedVersion": 1}));
}

#[tokio::test]
async fn a_changed_deployment_model_counts_from_the_next_deploy() {
    let (world, engine) = started().await;
    let id = world.approved(&engine, "v1", &[]).await;
    world.act(EMAIL, &engine, &id, "deploy").await;
    let change =
        format!("mutation {{ updateEngine(input: {{id: \"{engine}\", deploymentModel: NonNetworkIsolated}}) {{ deploymentModel }} }}");
    let refused = world.graphql(&world.session(EMAIL).await, &change).await.json();
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("pause it first"), "{refused}");
    // The documented recipe: pause, change, unpause, deploy.
    world.act(EMAIL, &engine, &id, "pause").await;
    world.as_person(EMAIL, &change).await;
    assert_eq!(world.act(EMAIL, &engine, &id, "unpause").await["status"], "deployed");
    let again = world.act(EMAIL, &engine, &id, "deploy").await;
    assert_eq!(again["status"], "deployed", "{again:#}");
    let end: Vec<_> = events(&again).into_iter().rev().take(2).collect();
    assert_eq!(end, [("phaseOk", "deployed"), ("deploy", "deploying")]);
    let report = world.as_person(REV, &format!("{{ engineBuild(id: \"{id}\") {{ report }} }}")).await;
    assert_eq!(report["engineBuild"]["report"]["deploymentModel"], "NonNetworkIsolated", "the network check ran again");
    // Nothing changed since: accepted, and nothing happens.
    let same = world.act(EMAIL, &engine, &id, "deploy").await;
    assert_eq!(events(&same).last(), Some(&("deploy", "deployed")));
}

#[tokio::test]
async fn an_engine_that_ends_by_itself_stays_live_and_is_told_and_started_again() {
    let (world, engine) = started().await;
    let id = world.approved(&engine, "v1", &[]).await;
    world.act(EMAIL, &engine, &id, "deploy").await;
    world.app.instances.crash(id.parse().unwrap());
    for _ in 0..200 {
        let build = world.settled(&id).await;
        let told = events(&build).last() == Some(&("phaseFail", "deployed"));
        if told && build["health"] == "runs" {
            assert_eq!(build["status"], "deployed");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody noticed: {:#}", world.settled(&id).await);
}

#[tokio::test]
async fn questions_answers_appeals_and_one_check_again() {
    let (world, engine) = started().await;
    let id = world.pushed(&engine, "v1", &[]).await;
    world.act(EMAIL, &engine, &id, "submit").await;
    let note = |kind: &str, text: &str| {
        format!(
            "mutation {{ createBuildNote(input: {{buildId: \"{id}\", kind: {kind}, finding: \"manifest.url\", text: \"{text}\"}}) {{ notes {{ kind text finding author }} }} }}"
        )
    };
    let turn = async || {
        let queue = world.as_person(REV, "{ reviewQueue { records { turn } } }").await;
        queue["reviewQueue"]["records"][0]["turn"].as_str().map(str::to_owned)
    };
    world.as_person(REV, &note("changes", "what does it call?")).await;
    assert_eq!(turn().await.as_deref(), Some("developer"));
    let answered = world.as_person(EMAIL, &note("answer", "nothing")).await;
    assert_eq!(
        answered["createBuildNote"]["notes"][1],
        json!({"kind": "answer", "text": "nothing", "finding": "manifest.url", "author": EMAIL})
    );
    assert_eq!(turn().await.as_deref(), Some("reviewer"));
    // Only a reviewer asks for changes.
    world.person("dev2@example.org", 1, "developer").await;
    let refused = world.graphql(&world.session("dev2@example.org").await, &note("changes", "x")).await.json();
    assert_eq!(refused["errors"][0]["name"], "not_allowed", "{refused}");

    let again = |check: &str| format!("mutation {{ recheckEngineBuild(id: \"{id}\", check: \"{check}\") {{ status }} }}");
    let refused = world.graphql(&world.session(REV).await, &again("astrology")).await.json();
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("there is no check"), "{refused}");
    for check in ["manifest", "run"] {
        world.as_person(REV, &again(check)).await;
        let mut done = false;
        for _ in 0..200 {
            let build = world.settled(&id).await;
            done = build["history"]
                .as_array()
                .unwrap()
                .iter()
                .any(|line| line["event"] == "rechecked" && line["reason"] == format!("{check}: passed"));
            if done {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(done, "{check}: {:#}", world.settled(&id).await);
    }
    assert_eq!(world.act(REV, &engine, &id, "disapprove").await["status"], "disapproved");
    assert_eq!(turn().await, None);
    world.as_person(EMAIL, &note("appeal", "please look again")).await;
    assert_eq!(turn().await.as_deref(), Some("reviewer"));
    assert_eq!(world.act(REV, &engine, &id, "approve").await["status"], "approved");
    assert_eq!(turn().await, None);
    let build = world.settled(&id).await;
    let events: Vec<&str> = build["history"].as_array().unwrap().iter().map(|line| line["event"].as_str().unwrap()).collect();
    for event in ["changes", "answer", "recheck", "rechecked", "disapprove", "appeal", "approve"] {
        assert!(events.contains(&event), "{event} is not in {events:?}");
    }
}

#[tokio::test]
async fn an_image_that_is_here_becomes_a_build_by_name() {
    let (world, engine) = started().await;
    let id = world.pushed(&engine, "v1", &[]).await;
    let make = |image: &str| {
        format!("mutation {{ createEngineBuild(input: {{engineId: \"{engine}\", dockerImage: \"{image}\"}}) {{ id status version }} }}")
    };
    let host = world.app.image_reference("1/words", "v1");
    for name in ["1/words:v1", host.as_str()] {
        let same = world.as_person(EMAIL, &make(name)).await;
        assert_eq!(same["createEngineBuild"]["id"], json!(id), "the same image is the same build");
    }
    let delete = format!("mutation {{ deleteEngineBuild(input: {{id: \"{id}\", engineId: \"{engine}\"}}) {{ message }} }}");
    assert_eq!(world.as_person(EMAIL, &delete).await["deleteEngineBuild"]["message"], "Build 1 is deleted");
    let anew = world.as_person(EMAIL, &make("1/words:v1")).await["createEngineBuild"].clone();
    assert_eq!((&anew["status"], &anew["version"]), (&json!("uploaded"), &json!("2")));
    let settled = world.settled(anew["id"].as_str().unwrap()).await;
    assert_eq!((settled["status"].as_str(), events(&settled)[1]), (Some("available"), ("start", "fetching")));
    for (image, why) in [("2/words:v1", "not in this registry"), ("1/words:v9", "not in this registry"), ("::", "names no image here")] {
        let refused = world.graphql(&world.session(EMAIL).await, &make(image)).await.json();
        assert!(refused["errors"][0]["message"].as_str().unwrap().contains(why), "{image}: {refused}");
    }
}
