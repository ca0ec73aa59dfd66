//! Jobs from `createJob` to results, done by a running engine: by the API, with everything that may go wrong on the way.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use harness::Turn;
use model::{capability::Capability, task::TaskStatus};
use serde_json::{Value, json};
use store::{builds, tasks};

use super::{
    journey::{REV, started},
    world::{Answer, EMAIL, World, bearer},
};
use crate::{
    asset_files,
    config::Config,
    instances::Running,
    ops::record_task::{begin_task, recover_tasks},
    task_work::work_of,
};

const TASK: &str = "id status output failureReason failureMessage tries log { uri text } history { from to actor reason }";

impl World {
    /// A query in a form with one file, as an account.
    async fn form(&self, authorization: &str, query: &str, variables: &Value, (name, kind, bytes): (&str, &str, &[u8])) -> Answer {
        let mut body = Vec::new();
        for (field, text) in [("query", query.to_owned()), ("variables", variables.to_string()), ("filename", name.to_owned())] {
            body.extend(format!("--zz\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{text}\r\n").bytes());
        }
        let head = format!("--zz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n");
        body.extend(head.bytes());
        body.extend_from_slice(bytes);
        body.extend(b"\r\n--zz--\r\n");
        let headers = [("content-type", "multipart/form-data; boundary=zz"), ("authorization", authorization)];
        self.send("POST", "/v3/graphql", &headers, body).await
    }

    /// A recording with a text.
    async fn recording(&self, text: &str) -> String {
        let session = self.session(EMAIL).await;
        let query = "mutation($file: UploadedFile) { createTDOWithAsset(input: {startDateTime: 1700000000, stopDateTime: 1700000060, \
                     contentType: \"text/plain\", assetType: \"media\", file: $file}) { id } }";
        let made = self.form(&session, query, &json!({}), ("words.txt", "text/plain", text.as_bytes())).await.is(200).json();
        made["data"]["createTDOWithAsset"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    }

    /// What a query of the first account answers, whatever that is.
    async fn asked(&self, query: &str) -> Value {
        self.graphql(&self.session(EMAIL).await, query).await.is(200).json()
    }

    /// Makes a job of one task; gives the ids of both.
    async fn job(&self, tdo: &str, engine: &str, more: &str) -> (String, String) {
        let query = format!(
            "mutation {{ createJob(input: {{targetId: \"{tdo}\", tasks: [{{engineId: \"{engine}\", payload: {{size: 3}} {more}}}]}}) \
             {{ id status targetId tasks {{ records {{ id status }} }} }} }}"
        );
        let job = self.as_person(EMAIL, &query).await["createJob"].clone();
        assert_eq!(job["targetId"], tdo);
        (job["id"].as_str().unwrap().to_owned(), job["tasks"]["records"][0]["id"].as_str().unwrap().to_owned())
    }

    /// Waits until a task has this status.
    async fn task_is(&self, id: &str, status: &str) -> Value {
        let mut task = Value::Null;
        for _ in 0..1_000 {
            task = self.as_person(EMAIL, &format!("{{ task(id: \"{id}\") {{ {TASK} }} }}")).await["task"].take();
            if task["status"] == status {
                return task;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the task is not {status}: {task:#}")
    }
}

/// A live engine, and a change of the settings.
async fn live(change: impl FnOnce(&mut Config)) -> (World, String, String) {
    let (world, engine) = super::journey::started_with(change).await;
    let build = world.approved(&engine, "v1", &[]).await;
    assert_eq!(world.act(EMAIL, &engine, &build, "deploy").await["status"], "deployed");
    (world, engine, build)
}

fn error(answer: &Value) -> (&str, &str) {
    let error = &answer["errors"][0];
    (error["name"].as_str().unwrap_or_else(|| panic!("{answer}")), error["message"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_on_a_live_engine_and_what_is_left_of_it() {
    let (world, engine, build) = live(|_| {}).await;
    let tdo = world.recording("the harbour").await;
    let (job, task) = world.job(&tdo, &engine, "").await;
    let done = world.task_is(&task, "complete").await;
    assert_eq!(done["output"]["object"][0]["label"], "harbour", "{done:#}");
    let steps: Vec<&str> = done["history"].as_array().unwrap().iter().map(|step| step["to"].as_str().unwrap()).collect();
    assert_eq!(steps, ["pending", "running", "complete"]);
    assert!(done["log"]["text"].as_str().unwrap().contains("/process"), "{done:#}");
    let query = format!(
        "{{ job(id: \"{job}\") {{ status tasks {{ count records {{ buildId testTask payload }} }} target {{ id assets(assetType: \"vtn-standard\") \
         {{ count records {{ id contentType uri signedUri sourceData }} }} }} }} \
         engineResults(jobId: \"{job}\") {{ records {{ engineId assetId jsondata }} }} jobs(status: complete) {{ count limit }} \
         engine(id: \"{engine}\") {{ usage {{ lastUsedBy recentUsers recentTaskCount runningTaskCount }} tasks {{ count }} }} }}"
    );
    let seen = world.as_person(REV, &query).await;
    assert_eq!(seen["job"]["status"], "complete");
    assert_eq!(seen["job"]["tasks"]["records"][0], json!({"buildId": build, "testTask": false, "payload": {"size": 3}}));
    let asset = &seen["job"]["target"]["assets"]["records"][0];
    assert_eq!((&asset["contentType"], &asset["sourceData"]["taskId"]), (&json!("application/json"), &json!(task)));
    assert_eq!(seen["engineResults"]["records"][0]["jsondata"], done["output"]);
    assert_eq!(seen["engineResults"]["records"][0]["assetId"], asset["id"]);
    assert_eq!((&seen["jobs"]["count"], &seen["jobs"]["limit"]), (&json!(1), &json!(30)));
    let used = json!({"lastUsedBy": EMAIL, "recentUsers": [EMAIL], "recentTaskCount": 1, "runningTaskCount": 0});
    assert_eq!(seen["engine"]["usage"], used);

    // Its bytes: by signature without a token, by token without a signature, and neither.
    let path = |uri: &Value| uri.as_str().unwrap().strip_prefix(&world.app.public_url).unwrap().to_owned();
    let (signed, plain) = (path(&asset["signedUri"]), path(&asset["uri"]));
    let whole = world.get(&signed, "").await.is(200);
    assert!(whole.header("content-disposition") == "attachment" && whole.header("content-security-policy").contains("sandbox"));
    assert_eq!(serde_json::from_str::<Value>(&whole.body).unwrap(), done["output"]);
    let part = world.send("GET", &signed, &[("range", "bytes=2-5")], axum::body::Body::empty()).await.is(206);
    assert_eq!(
        (part.body.as_bytes(), part.header("content-range")),
        (&whole.body.as_bytes()[2..6], format!("bytes 2-5/{}", whole.body.len()).as_str())
    );
    let behind = format!("bytes={}-", whole.body.len());
    world.send("GET", &signed, &[("range", &behind)], axum::body::Body::empty()).await.is(416);
    assert_eq!(world.get(&plain, &world.session(EMAIL).await).await.is(200).body, whole.body);
    world.get(&plain, "").await.is(401);
    world.get(&signed.replace("until=1", "until=2"), "").await.is(403);
    world.get(&path(&done["log"]["uri"]), "").await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_organization_sees_nothing_and_a_reader_makes_nothing() {
    let (world, engine) = started().await;
    world.person("eve@example.org", 2, "developer,admin").await;
    let tdo = world.recording("words").await;
    let eve = world.session("eve@example.org").await;
    let asset = world.as_person(EMAIL, &format!("{{ temporalDataObject(id: {tdo}) {{ assets {{ records {{ id uri }} }} }} }}")).await;
    let asset = asset["temporalDataObject"]["assets"]["records"][0].clone();
    for query in [
        format!("{{ temporalDataObject(id: \"{tdo}\") {{ id }} }}"),
        format!("mutation {{ updateTDO(input: {{id: \"{tdo}\", name: \"x\"}}) {{ id }} }}"),
        format!("mutation {{ createAsset(input: {{containerId: \"{tdo}\", assetType: \"a\", uri: \"http://x/\"}}) {{ id }} }}"),
        format!("mutation {{ createJob(input: {{targetId: \"{tdo}\", tasks: [{{engineId: \"{engine}\"}}]}}) {{ id }} }}"),
        format!("mutation {{ createJob(input: {{tasks: [{{engineId: \"{engine}\"}}]}}) {{ id }} }}"),
        "{ task(id: \"19104428_GvNQ57jXtGabcdef\") { id } }".to_owned(),
        "mutation { cancelJob(id: \"19104428_GvNQ57jXtG\") { id } }".to_owned(),
        "{ temporalDataObject(id: \"no number\") { id } }".to_owned(),
    ] {
        assert_eq!(error(&world.graphql(&eve, &query).await.is(200).json()).0, "not_found", "{query}");
    }
    world.get(asset["uri"].as_str().unwrap().strip_prefix(&world.app.public_url).unwrap(), &eve).await.is(404);
    let stolen = format!("mutation {{ createTDOWithAsset(input: {{assetType: \"media\", uri: {}}}) {{ id }} }}", asset["uri"]);
    assert_eq!(error(&world.graphql(&eve, &stolen).await.json()).0, "not_found", "an address of ours is no way around");
    let create = "mutation { createTDO(input: {startDateTime: 1, stopDateTime: 2}) { id } }";
    assert_eq!(error(&world.graphql(&world.session(REV).await, create).await.json()).0, "not_allowed");
    // Nobody sends files who is not known.
    let query = "mutation($file: UploadedFile) { createTDOWithAsset(input: {file: $file}) { id } }";
    world.form("", query, &json!({}), ("a", "text/plain", b"x")).await.is(401);
    for (query, name) in [
        ("mutation { createSource(input: {}) { id } }", "not_implemented"),
        ("mutation { createTDO(input: {startDateTime: 2, stopDateTime: 1}) { id } }", "invalid_input"),
        ("mutation { createTDOWithAsset(input: {}) { id } }", "invalid_input"),
    ] {
        assert_eq!(error(&world.asked(query).await).0, name, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_engine_can_do_is_refused_or_fails_with_the_reason() {
    let (world, engine, build) = live(|_| {}).await;
    let tdo = world.recording("words").await;
    let other = "11111111-1111-4111-8111-111111111111";
    for (tasks, name, words) in [
        (String::new(), "invalid_input", "1 to 16"),
        (format!("{{engineId: \"{engine}\"}}, {{engineId: \"{engine}\"}}"), "not_implemented", "one engine"),
        (format!("{{engineId: \"{other}\"}}"), "not_found", "not found"),
        (format!("{{engineId: \"{engine}\", buildId: \"{other}\"}}"), "not_found", "not found"),
        (format!("{{engineId: \"{engine}\", payload: [1]}}"), "invalid_input", "JSON object"),
        (format!("{{engineId: \"{engine}\", payloadString: \"no\"}}"), "invalid_input", "payloadString"),
        ("{engineId: \"9e611ad7-2d3b-48f6-a51b-0a1ba40fe255\"}".to_owned(), "invalid_input", "none of them"),
        ("{taskType: \"transcode\"}".to_owned(), "not_implemented", "transcode"),
        (
            format!("{{engineId: \"9e611ad7-2d3b-48f6-a51b-0a1ba40fe255\", payload: {{url: \"http://x/\"}}}}, {{engineId: \"{engine}\"}}"),
            "not_implemented",
            "createTDOWithAsset",
        ),
    ] {
        let query = format!("mutation {{ createJob(input: {{targetId: \"{tdo}\", tasks: [{tasks}]}}) {{ id }} }}");
        let answer = world.asked(&query).await;
        let (found, message) = error(&answer);
        assert!(found == name && message.contains(words), "{tasks}: {answer}");
    }
    let launched = world
        .asked(&format!("mutation {{ launchSingleEngineJob(input: {{engineId: \"{engine}\", targetId: \"{tdo}\"}}) {{ id }} }}"))
        .await;
    assert_eq!(error(&launched).1, "This engine does not specify a default single job template");

    // A recording without anything the engine takes.
    let empty = world.as_person(EMAIL, "mutation { createTDO(input: {startDateTime: 1, stopDateTime: 2}) { id } }").await;
    let empty = empty["createTDO"]["id"].as_str().unwrap().to_owned();
    let (job, task) = world.job(&empty, &engine, "").await;
    let failed = world.task_is(&task, "failed").await;
    assert_eq!(failed["failureReason"], "invalid_data");
    assert!(failed["failureMessage"].as_str().unwrap().contains("text/plain"), "{failed:#}");
    // What is over stays.
    let late = world.asked(&format!("mutation {{ updateTask(input: {{id: \"{task}\", status: complete}}) {{ id }} }}")).await;
    assert_eq!(late["errors"][0]["data"], json!({"objectType": "Task", "objectId": task, "status": "failed", "action": "complete"}));
    assert!(error(&world.asked(&format!("mutation {{ cancelJob(id: \"{job}\") {{ id }} }}")).await).1.contains("failed already"));

    // The platform's own tasks around the one engine, and a test of the build without a file: it gets a sample.
    let helpers = "{engineId: \"8bdb0e3b-ff28-4f6e-a3ba-887bd06e6440\"}, {engineId: \"8eccf9cc-6b6d-4d7d-8cb3-7ebf4950c5f3\"}";
    let query = format!(
        "mutation {{ createJob(input: {{tasks: [{helpers}, {{buildId: \"{build}\", testTask: true}}]}}) {{ status tasks {{ records {{ id }} }} }} }}"
    );
    let made = world.as_person(EMAIL, &query).await;
    let id = made["createJob"]["tasks"]["records"][2]["id"].as_str().unwrap().to_owned();
    let done = world.task_is(&id, "complete").await;
    assert_eq!((&made["createJob"]["status"], &done["output"]["object"][0]["label"]), (&json!("running"), &json!("harbour")));
}

/// A text that keeps the engine busy until the file is there.
fn held(world: &World, name: &str) -> (PathBuf, String) {
    let path = world.dir.path().join(name);
    let text = format!("hold:{} ", path.display());
    (path, text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_lets_the_running_task_come_to_its_end_and_others_wait() {
    let (world, engine, build) = live(|_| {}).await;
    let (path, text) = held(&world, "go");
    let tdo = world.recording(&text).await;
    let (_, first) = world.job(&tdo, &engine, "").await;
    world.task_is(&first, "running").await;
    let (_, second) = world.job(&tdo, &engine, "").await;
    let usage = format!("{{ engine(id: \"{engine}\") {{ usage {{ runningTaskCount waitingTaskCount }} }} }}");
    assert_eq!(world.as_person(EMAIL, &usage).await["engine"]["usage"], json!({"runningTaskCount": 1, "waitingTaskCount": 1}));
    assert_eq!(world.act(EMAIL, &engine, &build, "pause").await["status"], "paused");
    let refused = world
        .asked(&format!("mutation {{ createJob(input: {{targetId: \"{tdo}\", tasks: [{{engineId: \"{engine}\"}}]}}) {{ id }} }}"))
        .await;
    assert!(error(&refused).1.contains("no deployed build"), "{refused}");
    world.task_is(&first, "running").await;
    fs::write(&path, "").unwrap();
    assert_eq!(world.task_is(&first, "complete").await["tries"], 1);
    world.task_is(&second, "pending").await;
    assert_eq!(world.act(EMAIL, &engine, &build, "unpause").await["status"], "deployed");
    world.task_is(&second, "complete").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_ends_stays_ended() {
    let (world, engine, _) = live(|_| {}).await;
    let (path, text) = held(&world, "go");
    let tdo = world.recording(&text).await;
    let (job, task) = world.job(&tdo, &engine, "").await;
    world.task_is(&task, "running").await;
    let cancelled = world.as_person(EMAIL, &format!("mutation {{ cancelJob(id: \"{job}\") {{ id message }} }}")).await;
    assert_eq!(cancelled["cancelJob"]["message"], format!("Job {job} is cancelled"));
    fs::write(&path, "").unwrap();
    // The next task of the engine is not disturbed by the answer to the former.
    let (_, next) = world.job(&tdo, &engine, "").await;
    world.task_is(&next, "complete").await;
    let left = world.as_person(EMAIL, &format!("{{ task(id: \"{task}\") {{ status output }} }}")).await;
    assert_eq!(left["task"], json!({"status": "cancelled", "output": null}));
    let (_, waiting) = world.job(&tdo, &engine, "standbyTask: true").await;
    world.as_person(EMAIL, &format!("mutation {{ deleteEngine(id: \"{engine}\") {{ id }} }}")).await;
    let aborted = world.task_is(&waiting, "aborted").await;
    assert_eq!(aborted["failureReason"], "system_dependency_missing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_of_an_engine_is_good_for_its_own_task() {
    let (world, engine, _) = live(|_| {}).await;
    let tdo = world.recording("words").await;
    let (job, task) = world.job(&tdo, &engine, "standbyTask: true").await;
    let (_, other) = world.job(&tdo, &engine, "standbyTask: true").await;
    let elsewhere = world.recording("more words").await;
    let get = format!(
        "mutation {{ getEngineJWT(input: {{engineId: \"{engine}\", resource: {{tdoId: \"{tdo}\", jobId: \"{job}\", taskId: \"{task}\"}}}}) {{ token resource }} }}"
    );
    let made = world.as_person(EMAIL, &get).await["getEngineJWT"].clone();
    assert_eq!(made["resource"], json!({"tdoId": tdo, "jobId": job, "taskId": task}));
    let token = bearer(made["token"].as_str().unwrap());
    let rights = world.graphql(&token, "{ myRights { operations resources } }").await.json()["data"]["myRights"].clone();
    assert!(rights["operations"].as_array().unwrap().contains(&json!("task:update")) && rights["resources"]["Task"] == json!([task]));
    for query in [
        "{ engines { count } }".to_owned(),
        "{ jobs { count } }".to_owned(),
        "{ me { id } }".to_owned(),
        format!("{{ task(id: \"{other}\") {{ id }} }}"),
        "{ task(id: \"nobody's\") { id } }".to_owned(),
        format!("{{ temporalDataObject(id: \"{elsewhere}\") {{ id }} }}"),
        "{ temporalDataObject(id: \"1\") { id } }".to_owned(),
        "mutation { updateTDO(input: {id: \"1\", name: \"x\"}) { id } }".to_owned(),
        "mutation { createAsset(input: {containerId: \"1\", assetType: \"a\", uri: \"http://x/\"}) { id } }".to_owned(),
        "mutation { uploadEngineResult(input: {taskId: \"nobody's\", outputString: \"x\"}) { id } }".to_owned(),
        format!("mutation {{ updateTask(input: {{id: \"{other}\", status: failed}}) {{ id }} }}"),
        format!("mutation {{ createJob(input: {{tasks: [{{engineId: \"{engine}\"}}]}}) {{ id }} }}"),
        format!("mutation {{ createAsset(input: {{containerId: \"{elsewhere}\", assetType: \"a\", uri: \"http://x/\"}}) {{ id }} }}"),
        format!("mutation {{ deleteEngine(id: \"{engine}\") {{ id }} }}"),
        get.replace(&task, &other),
    ] {
        let answer = world.graphql(&token, &query).await.is(200).json();
        assert_eq!(error(&answer).0, "not_allowed", "{query}: {answer}");
    }
    // Its own: a status, a recording, a result that completes it.
    let update = format!("mutation {{ updateTask(input: {{id: \"{task}\", status: running, output: {{}}}}) {{ status }} }}");
    assert_eq!(world.graphql(&token, &update).await.json()["data"]["updateTask"]["status"], "running");
    let result = format!(
        "mutation {{ uploadEngineResult(input: {{taskId: \"{task}\", outputString: \"plain words\"}}) {{ assetType contentType }} }}"
    );
    let result = world.graphql(&token, &result).await.json()["data"]["uploadEngineResult"].clone();
    assert_eq!(result, json!({"assetType": "vtn-standard", "contentType": "text/plain"}));
    let done = world.task_is(&task, "complete").await;
    assert_eq!(done["output"], json!({"data": "plain words"}));
    // Now that the task is over, the token only reads.
    let late = format!("mutation {{ createAsset(input: {{containerId: \"{tdo}\", assetType: \"a\", uri: \"http://x/\"}}) {{ id }} }}");
    assert_eq!(error(&world.graphql(&token, &late).await.json()).0, "not_allowed");
    let empty = world.graphql(&token, &format!("mutation {{ createTaskLog(input: {{taskId: \"{task}\"}}) {{ uri }} }}")).await.json();
    assert!(error(&empty).1.contains("file part of a multipart request"), "{empty}");
    let late = "mutation($task: ID!) { createTaskLog(input: {taskId: $task}) { uri } }";
    let late = world.form(&token, late, &json!({"task": task}), ("log", "text/plain", b"late")).await.json();
    assert_eq!(error(&late).0, "not_allowed", "{late}");
    let own =
        world.graphql(&token, &format!("{{ task(id: \"{task}\") {{ status }} temporalDataObject(id: \"{tdo}\") {{ id }} }}")).await.json();
    assert_eq!(own["data"], json!({"task": {"status": "complete"}, "temporalDataObject": {"id": tdo}}));
    let check = format!("mutation {{ verifyJWT(jwtToken: {}) {{ engineId }} }}", made["token"]);
    assert_eq!(world.as_person(EMAIL, &check).await["verifyJWT"]["engineId"], engine.as_str());
    world.person("eve@example.org", 2, "developer").await;
    assert_eq!(error(&world.graphql(&world.session("eve@example.org").await, &check).await.json()).0, "invalid_input");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_limit_is_kept() {
    let (world, engine, _) = live(|config| {
        let tasks = &mut config.tasks;
        (tasks.seconds, tasks.open, tasks.payload_bytes, tasks.output_bytes) = (1, 2, 200, 100);
        (tasks.asset_bytes, tasks.signed_seconds) = (4_000, 0);
    })
    .await;
    let (path, text) = held(&world, "never");
    let tdo = world.recording(&text).await;
    let (_, slow) = world.job(&tdo, &engine, "").await;
    let failed = world.task_is(&slow, "failed").await;
    assert_eq!(failed["failureReason"], "system_error", "{failed:#}");
    fs::write(&path, "").unwrap();

    let long = "x".repeat(300);
    let job = |payload: &str| {
        format!(
            "mutation {{ createJob(input: {{targetId: \"{tdo}\", tasks: [{{engineId: \"{engine}\", standbyTask: true, payload: {{a: \"{payload}\"}}}}]}}) {{ tasks {{ records {{ id }} }} }} }}"
        )
    };
    assert!(error(&world.asked(&job(&long)).await).1.contains("at most 200 bytes"));
    let one = world.as_person(EMAIL, &job("")).await["createJob"]["tasks"]["records"][0]["id"].as_str().unwrap().to_owned();
    world.as_person(EMAIL, &job("")).await;
    assert_eq!(error(&world.asked(&job("")).await).0, "capacity_exceeded");
    let update = format!("mutation {{ updateTask(input: {{id: \"{one}\", status: running, output: {{a: \"{long}\"}}}}) {{ id }} }}");
    assert!(error(&world.asked(&update).await).1.contains("at most 100 bytes"));
    let update = format!("mutation {{ updateTask(input: {{id: \"{one}\", status: running, payload: [1]}}) {{ id }} }}");
    assert!(error(&world.asked(&update).await).1.contains("payload: a JSON object"));
    // A result that is larger becomes a file, which the output names.
    let upload =
        format!("mutation {{ uploadEngineResult(input: {{taskId: \"{one}\", outputString: \"{long}\", completeTask: null}}) {{ id }} }}");
    let id = world.as_person(EMAIL, &upload).await["uploadEngineResult"]["id"].clone();
    assert_eq!(world.task_is(&one, "complete").await["output"], json!({ "assetId": id }));

    let (session, file) = (world.session(EMAIL).await, vec![b'x'; 3_000]);
    let create = "mutation($tdo: ID!) { createAsset(input: {containerId: $tdo, type: \"media\", file: \"\"}) { id signedUri } }";
    let first = world.form(&session, create, &json!({"tdo": tdo}), ("a", "text/plain", &file)).await.json();
    let signed = first["data"]["createAsset"]["signedUri"].as_str().unwrap_or_else(|| panic!("{first}")).to_owned();
    world.get(signed.strip_prefix(&world.app.public_url).unwrap(), "").await.is(403);
    let second = world.form(&session, create, &json!({"tdo": tdo}), ("b", "text/plain", &file)).await.json();
    assert_eq!(error(&second).0, "capacity_exceeded", "{second}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_a_dead_server_was_doing_is_begun_anew_three_times_at_most() {
    let (world, engine, build) = live(|config| config.tasks.concurrent = 0).await;
    let tdo = world.recording("words").await;
    let (_, id) = world.job(&tdo, &engine, "").await;
    let row = || async {
        let mut db = world.app.db.read().acquire().await.unwrap();
        tasks::task(&mut db, model::id::OrganizationId(1), &id).await.unwrap().unwrap()
    };
    for tries in 1..=3 {
        let begun = begin_task(&world.app, &row().await, build.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((begun.status, begun.tries), (TaskStatus::Running, tries));
        assert!(begin_task(&world.app, &begun, build.parse().unwrap()).await.unwrap().is_none(), "nobody begins it twice");
        recover_tasks(&world.app.db).await.unwrap();
    }
    let left = world.task_is(&id, "failed").await;
    assert_eq!((&left["failureReason"], &left["tries"]), (&json!("system_error"), &json!(3)));
    let steps: Vec<&str> = left["history"].as_array().unwrap().iter().map(|step| step["to"].as_str().unwrap()).collect();
    assert_eq!(steps, ["pending", "running", "queued", "running", "queued", "running", "failed"]);
    let reason = left["history"][2]["reason"].as_str().unwrap();
    assert!(reason.contains("the server ended") && reason.contains("begun anew"), "{left:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_engines_work_at_one_time_than_are_allowed() {
    let (world, engine, build) = live(|config| config.tasks.concurrent = 1).await;
    let (path, text) = held(&world, "go");
    let (_, first) = world.job(&world.recording(&text).await, &engine, "").await;
    world.task_is(&first, "running").await;
    // A test of a build is another lane, so nothing but the setting makes it wait.
    let (_, second) = world.job(&world.recording("words").await, &engine, &format!("testTask: true, buildId: \"{build}\"")).await;
    fs::write(&path, "").unwrap();
    world.task_is(&second, "complete").await;
    let times = async |id: &str| {
        let query = format!("{{ task(id: \"{id}\") {{ startedDateTime completedDateTime }} }}");
        let task = world.as_person(EMAIL, &query).await["task"].clone();
        ["startedDateTime", "completedDateTime"].map(|key| task[key].as_str().unwrap().to_owned())
    };
    let (first, second) = (times(&first).await, times(&second).await);
    assert!(second[0] >= first[1], "{first:?} {second:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_was_drained_before_the_turn_of_a_task_begins_nothing() {
    let (world, engine, build) = live(|config| config.tasks.concurrent = 0).await;
    let (_, id) = world.job(&world.recording("words").await, &engine, "").await;
    let (app, build) = (&world.app, build.parse().unwrap());
    let task = {
        let mut db = app.db.read().acquire().await.unwrap();
        tasks::task(&mut db, model::id::OrganizationId(1), &id).await.unwrap().unwrap()
    };
    let row = builds::by_id(app.db.read(), build).await.unwrap().unwrap();
    let work = work_of(app, &task, &row, Capability::Keyword).await.unwrap();
    let Some(Running::Process(instance)) = app.instances.take(build) else { panic!("it is not live") };
    instance.drain().await;
    let turn = Turn { seed: [7; 32], started_at: jiff::Timestamp::UNIX_EPOCH, wall: Duration::from_secs(60), log: Arc::new(|_| {}) };
    assert!(instance.perform(&work, turn).await.is_none(), "else the task would fail for what a pause did");
}

#[tokio::test]
async fn a_file_has_the_sum_that_was_given_and_one_of_a_type_is_primary() {
    let world = World::new().await;
    let (session, tdo) = (world.session(EMAIL).await, world.recording("words").await);
    let create = "mutation($tdo: ID!, $sum: String, $first: Boolean) { createAsset(input: {containerId: $tdo, type: \"media\", md5sum: $sum, \
                  setAsPrimary: $first}) { id } }";
    let send = async |sum: &str, first: Option<bool>| {
        let variables = json!({"tdo": tdo, "sum": sum, "first": first});
        world.form(&session, create, &variables, ("a", "text/plain", b"hello")).await.is(200).json()
    };
    assert!(
        error(&send("5d41402abc4b2a76b9719d911017c593", None).await)
            .1
            .contains("the file that arrived has 5d41402abc4b2a76b9719d911017c592")
    );
    assert!(error(&send("XUFAKrxLKna5cZ2REBfFkg==", None).await).1.contains("32 hexadecimal digits"));
    let primary = async || {
        let query = format!("{{ temporalDataObject(id: \"{tdo}\") {{ primaryAsset {{ id size }} assets {{ count }} }} }}");
        world.as_person(EMAIL, &query).await["temporalDataObject"].clone()
    };
    assert!(send("5D41402ABC4B2A76B9719D911017C592", None).await.get("errors").is_none());
    let seen = primary().await;
    assert_eq!((&seen["primaryAsset"]["size"], &seen["assets"]["count"]), (&json!(5), &json!(2)), "the first");
    let first = send("5d41402abc4b2a76b9719d911017c592", Some(true)).await["data"]["createAsset"]["id"].clone();
    assert!(first.is_string());
    assert_eq!(primary().await["primaryAsset"]["id"], first);
}

#[tokio::test]
async fn what_nothing_names_is_swept_and_what_is_being_kept_is_not() {
    let world = World::new().await;
    let (app, tdo) = (&world.app, world.recording("words").await);
    let held = asset_files::keep(app, "held".into()).await.unwrap();
    drop(asset_files::keep(app, "dropped".into()).await.unwrap());
    assert_eq!(asset_files::collect(app, Duration::ZERO).await, Ok(1));
    assert_eq!(asset_files::read(&app.assets, &held.digest, held.size).await.unwrap(), "held");
    drop(held);
    assert_eq!(asset_files::collect(app, Duration::ZERO).await, Ok(1));
    let query = format!("{{ temporalDataObject(id: \"{tdo}\") {{ primaryAsset {{ signedUri size }} }} }}");
    let asset = world.as_person(EMAIL, &query).await["temporalDataObject"]["primaryAsset"].clone();
    let path = asset["signedUri"].as_str().unwrap().strip_prefix(&app.public_url).unwrap().to_owned();
    assert_eq!((world.get(&path, "").await.is(200).body, &asset["size"]), ("words".to_owned(), &json!(5)));
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_before_it_is_read() {
    let world = World::new().await;
    let session = world.session(EMAIL).await;
    let kind = ("content-type", "multipart/form-data; boundary=zz");
    let headers = [kind, ("authorization", session.as_str()), ("content-length", "200000000")];
    let answer = world.send("POST", "/v3/graphql", &headers, axum::body::Body::empty()).await.is(413).json();
    let data = &answer["errors"][0]["data"];
    assert_eq!((error(&answer).0, &data["limitInBytes"], &data["code"]), ("invalid_input", &json!(104_857_600), &json!("LIMIT_FILE_SIZE")));
    let two = "--zz\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\nx\r\n".repeat(2) + "--zz--\r\n";
    let twice = world.send("POST", "/v3/graphql", &headers[..2], two).await.is(400).json();
    assert!(error(&twice).1.contains("more than one file"), "{twice}");
    assert_eq!(fs::read_dir(world.app.config.data.join("assets/uploads")).unwrap().count(), 0, "what was sent in vain is gone");
}
