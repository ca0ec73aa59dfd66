//! What is worth a word although the call succeeds, and what engines report out of turn.

use std::{
    io::Write,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use model::{manifest::EngineMode, run::Remark};
use serde_json::json;

use crate::{
    engine::{Setup, answer, post_json, ready_engine, request},
    webhook::{KEYWORDS, good},
};

#[tokio::test]
async fn the_first_sample_is_sent_again_and_its_results_are_compared_and_not_kept() {
    let (fake, address) = ready_engine(|call, stream, _| match call.before {
        0..3 => good(call, stream),
        3 => answer(stream, "200 OK", "application/json", KEYWORDS.replace("harbour", "port").as_bytes()),
        4 => answer(stream, "500 Internal Server Error", "text/plain", b"tired"),
        _ => good(call, stream),
    });
    let mut setup = Setup::webhook(address);
    setup.pace.repeats = 4;
    let run = setup.run(fake).await;
    assert_eq!((run.exchanges.len(), run.outputs.len()), (3, 2));
    let told: Vec<_> = run.repeats.iter().map(|repeat| (repeat.status, repeat.differences.len())).collect();
    assert_eq!(told, [(Some(200), 1), (Some(500), 0), (Some(200), 0), (Some(200), 0)]);
    assert_eq!(run.repeats[0].differences, ["/object/0/label: \"harbour\" | \"port\""]);
    assert!(run.repeats.iter().all(|repeat| repeat.sample == "keyword-1" && repeat.micros > 0));
}

#[tokio::test]
async fn a_body_that_stops_is_not_waited_for_until_the_end_of_the_run() {
    let (fake, address) = ready_engine(|_, stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"obj\r\n").unwrap();
        let _ = std::io::Read::read(stream, &mut [0; 1]);
    });
    let mut setup = Setup::webhook(address);
    setup.samples.truncate(1);
    setup.pace.retries.clear();
    setup.pace.stall = Duration::from_millis(50);
    let run = setup.run(fake).await;
    assert_eq!(run.exchanges[0].error.as_deref(), Some("the body stopped after 5 bytes and did not go on for 0 s"));
    assert_eq!(run.ran_out_in, None);
}

#[tokio::test]
async fn redirects_and_http_1_0_are_remarked() {
    let (fake, address) = ready_engine(|call, stream, _| match call.before {
        0 => stream.write_all(b"HTTP/1.0 302 Found\r\nLocation: http://example.com/\r\nContent-Length: 0\r\n\r\n").unwrap(),
        _ => good(call, stream),
    });
    let mut setup = Setup::webhook(address);
    setup.samples.truncate(1);
    let run = setup.run(fake).await;
    assert_eq!(run.exchanges[0].remarks, [Remark::Http10, Remark::Redirect { to: "http://example.com/".into() }]);
    assert_eq!(run.exchanges[1].remarks, []);
}

/// What an engine reports after its answer: for another task, after the end of its own, and values it keeps meanwhile.
fn report_out_of_turn(form: &std::collections::BTreeMap<String, crate::engine::Part>) -> Vec<u16> {
    let (beat, result) = (form["heartbeatWebhook"].text(), form["resultWebhook"].text());
    let (task, job, values) = (form["internalTaskId"].text(), form["internalJobId"].text(), form["redisETUrl"].text());
    let key = |scope: &str| format!("{values}/keys/{scope}/step");
    let text = [("Content-Type", "text/plain")];
    vec![
        post_json(&beat, &[], &json!({"status": "running", "taskId": "other"})).status,
        post_json(&result, &[], &json!({"output": {"object": []}, "chunkContext": "other:0"})).status,
        post_json(&result, &[], &json!({"output": {"object": []}})).status,
        request("POST", &key(&format!("j{job}")), &text, b"7").status,
        request("GET", &key(&format!("j{job}")), &[], b"").status,
        request("GET", &key(&format!("t{task}")), &[], b"").status,
        request("GET", &key("jother"), &[], b"").status,
        request("POST", &key(&format!("t{task}")), &text, b"").status,
        request("POST", &format!("{}?ttlInSeconds=0", key(&format!("t{task}"))), &text, b"1").status,
        request("GET", &key(&format!("t{task}")), &[], b"").status,
        post_json(&beat, &[], &json!({"status": "complete"})).status,
        post_json(&result, &[], &json!({"output": {"object": [1]}})).status,
        post_json(&beat, &[], &json!({"status": "running"})).status,
    ]
}

#[tokio::test]
async fn what_comes_for_another_task_or_too_late_is_remembered_and_not_kept() {
    let (done, is_done) = mpsc::channel();
    let is_done = Mutex::new(is_done);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let statuses = Arc::clone(&seen);
    let (fake, address) = ready_engine(move |call, stream, _| {
        if call.before > 0 {
            // The second call is answered when everything about the first has been said.
            statuses.lock().unwrap().extend(is_done.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap());
            return good(call, stream);
        }
        answer(stream, "200 OK", "application/json", br#"{"estimatedProcessingTimeInSeconds": 1}"#);
        let (form, done) = (call.form(), done.clone());
        std::thread::spawn(move || done.send(report_out_of_turn(&form)).unwrap());
    });
    let mut setup = Setup::webhook(address);
    setup.manifest.engine_mode = EngineMode::Stream;
    setup.samples.truncate(2);
    let run = setup.run(fake).await;
    assert_eq!(*seen.lock().unwrap(), [403, 403, 204, 200, 200, 404, 404, 400, 200, 404, 204, 204, 204]);
    assert_eq!(run.task.foreign_calls, ["heartbeat of keyword-1: taskId other", "result of keyword-1: chunkContext other:0"]);
    assert_eq!(run.task.late_calls, ["result of keyword-1: 14 bytes", "heartbeat of keyword-1: status running"]);
    assert_eq!(run.outputs.len(), 2);
}
