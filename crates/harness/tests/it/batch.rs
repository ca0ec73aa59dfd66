//! Batch engines: payload file, exit code, results through the API.

use harness::Outcome;
use model::{
    manifest::EngineMode,
    run::{EngineKind, Exit, Phase, Stream},
};
use sandbox::fake::{Fake, Stage};
use serde_json::{Value, json};

use crate::engine::{Setup, post_json};

/// The payload as the engine reads it.
pub fn payload(stage: &Stage) -> Value {
    let path = stage.env("PAYLOAD_FILE").unwrap();
    let file = stage.spec.files.iter().find(|file| file.path == path).unwrap();
    assert_eq!(stage.env("PAYLOAD_JSON").unwrap().as_bytes(), file.bytes);
    serde_json::from_slice(&file.bytes).unwrap()
}

#[tokio::test]
async fn a_batch_engine_finds_its_payload_and_hands_in_its_result() {
    let fake = Fake::new(|stage| {
        let payload = payload(stage);
        let url = format!("{}/v3/graphql", stage.env("VERITONE_API_BASE_URL").unwrap());
        assert_eq!((&payload["veritoneApiBaseUrl"], &payload["size"]), (&json!(stage.env("VERITONE_API_BASE_URL").unwrap()), &json!(3)));
        assert_eq!(stage.env("ENGINE_ID"), Some("6a2f4f0e-6d0e-4a57-9c11-2f6c0b0f8f10"));
        assert!(stage.env("ENGINE_INSTANCE_ID").is_some());
        let bearer = format!("Bearer {}", payload["token"].as_str().unwrap());
        let ask = |query: String| post_json(&url, &[("Authorization", &bearer)], &json!({"query": query})).json();
        let (task, job) = (&payload["taskId"], &payload["jobId"]);
        let running = ask(format!("mutation {{ updateTask(input: {{id: {task}, jobId: {job}, status: running}}) {{ id status }} }}"));
        assert_eq!(running, json!({"data": {"updateTask": {"id": task, "status": "running"}}}));
        let done = ask(format!("mutation {{ uploadEngineResult(input: {{taskId: {task}, output: {{object: []}}}}) {{ id assetType }} }}"));
        assert_eq!(done["data"]["uploadEngineResult"]["assetType"], "vtn-standard");
        Exit::Exited { code: 0 }
    });
    let mut setup = Setup::new(EngineMode::Legacy);
    setup.payload = json!({"size": 3});
    let run = setup.run(fake).await;
    assert_eq!((run.kind, &run.ready, run.exchanges.len()), (EngineKind::Batch, &None, 0));
    assert_eq!(run.task.statuses, ["running", "complete"]);
    assert_eq!((run.task.api_calls, run.task.refused_calls.len()), (2, 0));
    assert_eq!((run.outputs[0].via.as_str(), run.outputs[0].body.as_slice()), ("uploadEngineResult", &b"{\"object\":[]}"[..]));
    assert_eq!((run.record.exit, run.ran_out_in), (Exit::Exited { code: 0 }, None));
}

/// Pauses its task after `calls` were made to its address; goes on when it is woken up.
fn pausing(called: bool) -> Fake {
    Fake::new(move |stage| {
        let payload = payload(stage);
        let url = format!("{}/v3/graphql", stage.env("VERITONE_API_BASE_URL").unwrap());
        let bearer = format!("Bearer {}", payload["token"].as_str().unwrap());
        let ask = |query: String| post_json(&url, &[("Authorization", &bearer)], &json!({"query": query})).json();
        let (task, job) = (&payload["taskId"], &payload["jobId"]);
        if payload["isCallback"] == true {
            assert_eq!(payload["data"], json!({"ticket": 7}).to_string());
            stage.log(Stream::Stdout, "awake");
            ask(format!("mutation {{ uploadEngineResult(input: {{taskId: {task}, output: {{object: []}}}}) {{ id }} }}"));
            return Exit::Exited { code: 0 };
        }
        let address = payload["externalCallbackWebhook"].as_str().unwrap();
        for ticket in [7, 8].into_iter().filter(|_| called) {
            assert_eq!(post_json(address, &[], &json!({"ticket": ticket})).status, 204);
        }
        ask(format!("mutation {{ updateTask(input: {{id: {task}, jobId: {job}, status: paused}}) {{ id }} }}"));
        Exit::Exited { code: 0 }
    })
}

#[tokio::test]
async fn a_paused_engine_is_woken_up_with_what_was_sent_to_its_address() {
    let run = Setup::new(EngineMode::Batch).run(pausing(true)).await;
    assert_eq!(run.task.statuses, ["paused", "complete"]);
    assert_eq!((run.outputs.len(), &run.record.exit, run.ran_out_in), (1, &Exit::Exited { code: 0 }, None));
    assert!(run.record.log.iter().any(|line| line.text == "awake"), "{:?}", run.record.log);
    let run = Setup::new(EngineMode::Batch).run(pausing(false)).await;
    assert_eq!((run.task.statuses, run.outputs.len()), (vec!["paused".to_owned()], 0));
}

#[tokio::test]
async fn an_exit_code_is_written_down() {
    let run = Setup::new(EngineMode::Batch).run(Fake::scripted(Vec::new(), Exit::Exited { code: 1 })).await;
    assert_eq!((run.record.exit, run.task.statuses.len()), (Exit::Exited { code: 1 }, 0));
}

#[tokio::test]
async fn an_engine_that_does_not_exit_is_ended_at_the_deadline() {
    let fake = Fake::new(|stage| {
        stage.wait_for_stop(std::time::Duration::from_secs(60));
        Exit::Stopped
    });
    let mut setup = Setup::new(EngineMode::Batch);
    setup.limits.wall_ms = 50;
    let Outcome::Ran(run) = setup.outcome(std::sync::Arc::new(fake)).await.unwrap() else { panic!("it was started") };
    assert!(matches!(run.record.exit, Exit::TimedOut), "{:?}", run.record.exit);
    assert_eq!(run.ran_out_in, Some(Phase::Batch));
}
