//! Webhook engines, well and badly behaved.

use std::{
    io::Write,
    net::{Ipv6Addr, Shutdown, TcpListener},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use model::{
    manifest::EngineMode,
    run::{Exit, Later, Phase, Ready},
};
use serde_json::{Value, json};

use crate::engine::{Setup, answer, engine, engine_on, post_json, ready_engine, request};

pub const KEYWORDS: &str = r#"{"validationContracts":["keyword"],"object":[{"type":"keyword","label":"harbour"}]}"#;

/// Answers as a good keyword engine does.
pub fn good(call: &crate::engine::Call, stream: &mut std::net::TcpStream) {
    if call.text("chunkMimeType").starts_with("text/") {
        answer(stream, "200 OK", "application/json; charset=utf-8", KEYWORDS.as_bytes());
    } else {
        answer(stream, "415 Unsupported Media Type", "text/plain", b"only text, please");
    }
}

#[tokio::test]
async fn a_good_engine_gets_every_field_and_its_results_are_kept() {
    let forms = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&forms);
    let (fake, address) = ready_engine(move |call, stream, _| {
        let form = call.form();
        let fetched = request("GET", &form["cacheURI"].text(), &[], b"");
        assert_eq!(fetched.body, form["chunk"].bytes);
        seen.lock().unwrap().push(form);
        good(call, stream);
    });
    let mut setup = Setup::webhook(address);
    setup.payload = json!({"minimum": 2});
    let run = setup.run(fake).await;

    assert!(matches!(run.ready, Some(Ready::Ready { polls: 1, .. })), "{:?}", run.ready);
    let calls: Vec<_> = run.exchanges.iter().map(|e| (e.sample.as_str(), e.attempt, e.status, e.expect_refusal)).collect();
    assert_eq!(calls, [("keyword-1", 1, Some(200), false), ("keyword-2", 1, Some(200), false), ("unsupported", 1, Some(415), true)]);
    assert_eq!(run.exchanges[2].body_excerpt, "only text, please");
    let outputs: Vec<_> =
        run.outputs.iter().map(|o| (o.sample.as_str(), o.via.as_str(), o.content_type.as_str(), o.body.as_slice())).collect();
    let expected = |sample| (sample, "response", "application/json", KEYWORDS.as_bytes());
    assert_eq!(outputs, [expected("keyword-1"), expected("keyword-2")]);
    assert_eq!((run.record.exit, run.ran_out_in), (Exit::Stopped, None));

    let forms = forms.lock().unwrap();
    let text = |name: &str| forms[0][name].text();
    assert!(forms[0]["chunk"].head.contains("filename=\"sample-1.txt\"\r\nContent-Type: text/plain"), "{}", forms[0]["chunk"].head);
    assert_eq!((text("startOffsetMS"), text("endOffsetMS")), ("0".into(), "0".into()));
    let ttl: u64 = text("maxTTL").parse().unwrap();
    assert!((1..=30).contains(&ttl), "{ttl}");
    for name in ["veritoneApiBaseUrl", "heartbeatWebhook", "resultWebhook", "cacheURI"] {
        assert!(text(name).starts_with("http://127.0.0.1:"), "{name}");
    }
    for name in ["chunkContext", "chunk-metadata-groupid", "chunk-metadata-tdoid", "internalJobId", "internalTaskId", "token"] {
        assert!(!text(name).is_empty(), "{name}");
    }
    assert_eq!((text("chunk-metadata-index"), forms[1]["chunk-metadata-index"].text()), ("0".into(), "1".into()));
    let payload: Value = serde_json::from_str(&text("payload")).unwrap();
    assert_eq!((&payload["minimum"], &payload["token"], &payload["organizationId"]), (&json!(2), &json!(text("token")), &json!("7")));
    assert_ne!(text("token"), forms[1]["token"].text());
}

#[tokio::test]
async fn ready_may_come_late() {
    let (fake, address) = engine(|call, stream, _| match (call.path.as_str(), call.before) {
        ("/ready", 0) => answer(stream, "503 Service Unavailable", "text/plain", b""),
        ("/ready", 1) => answer(stream, "404 Not Found", "text/plain", b""),
        ("/ready", 2) => stream.shutdown(Shutdown::Both).unwrap(),
        ("/ready", _) => answer(stream, "200 OK", "text/plain", b""),
        _ => good(call, stream),
    });
    let run = Setup::webhook(address).run(fake).await;
    assert!(matches!(run.ready, Some(Ready::Ready { polls: 4, .. })), "{:?}", run.ready);
    assert_eq!(run.exchanges.len(), 3);
}

#[tokio::test]
async fn ready_500_gives_up() {
    let (fake, address) = engine(|_, stream, _| answer(stream, "500 Internal Server Error", "text/plain", b"no model file\nsecond line"));
    let run = Setup::webhook(address).run(fake).await;
    assert_eq!(run.ready, Some(Ready::GaveUp { said: "no model file".into() }));
    assert_eq!((run.exchanges.len(), run.record.exit), (0, Exit::Stopped));
}

#[tokio::test]
async fn never_ready_says_what_was_heard_last() {
    let (fake, address) = engine(|_, stream, _| answer(stream, "503 Service Unavailable", "text/plain", b""));
    let mut setup = Setup::webhook(address);
    setup.pace.ready_limit = Duration::from_millis(150);
    let run = setup.run(fake).await;
    let Some(Ready::NotInTime { waited_ms, last }) = run.ready else { panic!("{:?}", run.ready) };
    assert!(waited_ms >= 150 && last == "503 Service Unavailable", "{waited_ms} {last}");
    assert_eq!(run.ran_out_in, None);
}

#[tokio::test]
async fn an_engine_that_listens_nowhere_is_not_ready() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (fake, _) = engine(|_, _, _| ());
    let mut setup = Setup::webhook(address);
    setup.limits.wall_ms = 300;
    let run = setup.run(fake).await;
    let Some(Ready::NotInTime { last, .. }) = run.ready else { panic!("{:?}", run.ready) };
    assert_eq!(last, format!("nothing listens on {address}"));
    assert_eq!(run.ran_out_in, Some(Phase::Ready));
}

#[tokio::test]
async fn a_process_that_ends_before_it_is_ready_is_not_waited_for() {
    let (fake, address) = engine(|_, stream, switch| {
        switch.exit(3);
        answer(stream, "503 Service Unavailable", "text/plain", b"");
    });
    let run = Setup::webhook(address).run(fake).await;
    assert_eq!((run.ready, run.record.exit), (Some(Ready::ProcessEnded), Exit::Exited { code: 3 }));
}

#[tokio::test]
async fn an_engine_on_ipv6_loopback_is_found() {
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let (fake, address) = engine_on(listener, |call, stream, _| match call.path.as_str() {
        "/ready" => answer(stream, "200 OK", "text/plain", b""),
        _ => good(call, stream),
    });
    let run = Setup::webhook(address).run(fake).await;
    assert_eq!(run.exchanges.iter().map(|e| e.status).collect::<Vec<_>>(), [Some(200), Some(200), Some(415)]);
}

#[tokio::test]
async fn a_failure_is_tried_again_and_every_attempt_is_written_down() {
    let (fake, address) = ready_engine(|call, stream, _| match call.before {
        0 => stream.shutdown(Shutdown::Both).unwrap(),
        1 => answer(stream, "502 Bad Gateway", "text/plain", b"not now"),
        _ => good(call, stream),
    });
    let run = Setup::webhook(address).run(fake).await;
    let attempts: Vec<_> = run.exchanges.iter().map(|e| (e.sample.as_str(), e.attempt, e.status)).collect();
    let expected = [
        ("keyword-1", 1, None),
        ("keyword-1", 2, Some(502)),
        ("keyword-1", 3, Some(200)),
        ("keyword-2", 1, Some(200)),
        ("unsupported", 1, Some(415)),
    ];
    assert_eq!(attempts, expected);
    assert_eq!(run.exchanges[0].error.as_deref(), Some("the connection was closed before an answer came"));
    assert!(!run.exchanges[0].process_ended);
    assert_eq!(run.outputs.len(), 2);
}

#[tokio::test]
async fn three_failures_are_enough_and_a_refusal_is_not_repeated() {
    let (fake, address) = ready_engine(|_, stream, _| answer(stream, "500 Internal Server Error", "text/plain", b"Traceback"));
    let run = Setup::webhook(address).run(fake).await;
    let attempts: Vec<_> = run.exchanges.iter().map(|e| (e.sample.as_str(), e.attempt)).collect();
    assert_eq!(
        attempts,
        [("keyword-1", 1), ("keyword-1", 2), ("keyword-1", 3), ("keyword-2", 1), ("keyword-2", 2), ("keyword-2", 3), ("unsupported", 1)]
    );
    assert_eq!(run.outputs, []);
}

#[tokio::test]
async fn other_content_types_and_204_are_kept_as_they_are() {
    let (fake, address) = ready_engine(|call, stream, _| match call.before {
        0 => answer(stream, "200 OK", "Text/HTML; charset=utf-8", b"<p>harbour</p>"),
        1 => stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap(),
        _ => answer(stream, "200 OK", "application/json", b""),
    });
    let run = Setup::webhook(address).run(fake).await;
    assert_eq!(
        run.exchanges.iter().map(|e| (e.status, e.body_bytes)).collect::<Vec<_>>(),
        [(Some(200), 14), (Some(204), 0), (Some(200), 0)]
    );
    assert_eq!(
        run.outputs.iter().map(|o| (o.content_type.as_str(), o.body.as_slice())).collect::<Vec<_>>(),
        [("text/html", &b"<p>harbour</p>"[..])]
    );
}

#[tokio::test]
async fn a_body_in_pieces_is_put_together() {
    let (fake, address) = ready_engine(|_, stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        for piece in KEYWORDS.as_bytes().chunks(7) {
            stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).unwrap();
            stream.write_all(piece).unwrap();
            stream.write_all(b"\r\n").unwrap();
            stream.flush().unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    let run = Setup::webhook(address).run(fake).await;
    assert_eq!(run.outputs[0].body, KEYWORDS.as_bytes());
    assert_eq!(run.exchanges[0].error, None);
}

#[tokio::test]
async fn http_1_0_without_a_length_ends_with_the_connection() {
    let (fake, address) = ready_engine(|_, stream, _| {
        stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"object\":[]}").unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    });
    let run = Setup::webhook(address).run(fake).await;
    assert_eq!((run.outputs[0].body.as_slice(), &run.exchanges[0].error), (&b"{\"object\":[]}"[..], &None));
}

#[tokio::test]
async fn a_body_of_ten_gigabytes_is_cut_and_the_engine_is_hung_up_on() {
    let (done, hung_up) = mpsc::channel();
    let (fake, address) = ready_engine(move |_, stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n").unwrap();
        let block = vec![b' '; 64 << 10];
        let written = std::iter::repeat(()).map(|()| stream.write_all(&block)).take_while(Result::is_ok).count();
        let _ = done.send(written as u64 * block.len() as u64);
    });
    let mut setup = Setup::webhook(address);
    setup.samples.truncate(1);
    setup.pace.retries.clear();
    setup.caps.result = 1 << 20;
    setup.caps.counted = 4 << 20;
    let run = setup.run(fake).await;
    let exchange = &run.exchanges[0];
    assert_eq!(exchange.error.as_deref(), Some("the body is longer than 4194304 bytes; the rest was not read"));
    assert!(exchange.body_bytes > 4 << 20 && exchange.body_bytes < 5 << 20, "{}", exchange.body_bytes);
    assert_eq!((run.outputs[0].body.len(), run.outputs[0].truncated), (1 << 20, true));
    let written = hung_up.recv().unwrap();
    assert!(written < 100 << 20, "the engine wrote {written} bytes before it noticed");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure() {
    let (fake, address) = ready_engine(|_, stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"object\":").unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    });
    let mut setup = Setup::webhook(address);
    setup.samples.truncate(1);
    let run = setup.run(fake).await;
    assert_eq!(run.exchanges.len(), 3);
    assert_eq!(run.exchanges[0].error.as_deref(), Some("the connection was closed in the middle of the body"));
    assert_eq!(run.outputs.iter().map(|o| (o.body.as_slice(), o.truncated)).collect::<Vec<_>>(), [(&b"{\"object\":"[..], true)]);
}

#[tokio::test]
async fn what_is_not_http_or_leads_elsewhere_is_a_failure() {
    let (fake, address) = ready_engine(|call, stream, _| match call.before {
        0 => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap(),
        1 => stream.write_all(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(200_000)).as_bytes()).unwrap_or(()),
        _ => stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: http://example.com/\r\nContent-Length: 0\r\n\r\n").unwrap(),
    });
    let mut setup = Setup::webhook(address);
    setup.samples.truncate(1);
    let run = setup.run(fake).await;
    let errors: Vec<_> = run.exchanges.iter().map(|e| (e.status, e.error.is_some())).collect();
    assert_eq!(errors, [(None, true), (None, true), (Some(302), false)]);
    assert!(run.exchanges[0].error.as_deref().unwrap().starts_with("the answer is not HTTP"), "{:?}", run.exchanges[0].error);
}

#[tokio::test]
async fn a_process_that_ends_during_a_call_ends_the_talk() {
    let (fake, address) = ready_engine(|_, stream, switch| {
        switch.exit(139);
        stream.shutdown(Shutdown::Both).unwrap();
    });
    let mut setup = Setup::webhook(address);
    setup.pace.last_words = Duration::from_secs(10);
    let run = setup.run(fake).await;
    assert_eq!(run.exchanges.len(), 1);
    assert!(run.exchanges[0].process_ended && run.exchanges[0].error.is_some());
    assert_eq!(run.record.exit, Exit::Exited { code: 139 });
}

#[tokio::test]
async fn an_engine_that_never_answers_uses_up_the_time_of_the_run() {
    let (held, holds) = mpsc::channel();
    let (fake, address) = ready_engine(move |_, stream, _| held.send(stream.try_clone().unwrap()).unwrap());
    let mut setup = Setup::webhook(address);
    setup.limits.wall_ms = 600;
    let run = setup.run(fake).await;
    assert_eq!((run.exchanges.len(), run.ran_out_in), (1, Some(Phase::Process)));
    assert!(run.exchanges[0].error.as_deref() == Some("no complete answer in time"), "{:?}", run.exchanges[0].error);
    assert!(holds.try_recv().is_ok());
}

/// An engine that estimates first and does `later` with its form in a thread of its own.
fn estimating(
    later: impl Fn(&std::collections::BTreeMap<String, crate::engine::Part>) + Send + Sync + 'static,
) -> (sandbox::fake::Fake, std::net::SocketAddr) {
    let later = Arc::new(later);
    ready_engine(move |call, stream, _| {
        answer(stream, "200 OK", "application/json", br#"{"estimatedProcessingTimeInSeconds": 1}"#);
        let (form, later) = (call.form(), Arc::clone(&later));
        std::thread::spawn(move || later(&form));
    })
}

#[tokio::test]
async fn a_chunks_result_may_come_by_its_hook() {
    let (fake, address) = estimating(|form| {
        let beat = |body: Value| post_json(&form["heartbeatWebhook"].text(), &[], &body).status;
        assert_eq!(beat(json!({"status": "running", "infoMsg": {"step": 1}})), 204);
        assert_eq!(beat(json!({"status": "sleeping"})), 400);
        let context = form["chunkContext"].text();
        let sent = post_json(&form["resultWebhook"].text(), &[], &json!({"output": {"object": []}, "chunkContext": context}));
        assert_eq!(sent.status, 204);
    });
    let mut setup = Setup::webhook(address);
    setup.samples.truncate(1);
    let run = setup.run(fake).await;
    assert!(matches!(run.exchanges[0].later, Some(Later::Done { .. })), "{:?}", run.exchanges[0].later);
    let output = &run.outputs[0];
    assert_eq!(
        (output.via.as_str(), output.body.as_slice(), output.sample.as_str()),
        ("resultWebhook", &b"{\"object\":[]}"[..], "keyword-1")
    );
    assert_eq!(run.task.statuses, ["running"]);
    assert_eq!(run.task.refused_calls, ["heartbeat: `status` is \"sleeping\"; it is running, complete or failed"]);
}

#[tokio::test]
async fn a_stream_ends_with_its_heartbeat_and_gets_no_chunk() {
    let (fake, address) = estimating(|form| {
        assert!(!form.contains_key("chunk"));
        let boundary = "xyz";
        for text in ["first", "second"] {
            let body = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"multipart\"\r\n\r\ntrue\r\n--{boundary}\r\nContent-Disposition: form-data; \
                 name=\"f\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n{text}\r\n--{boundary}--\r\n"
            );
            let kind = format!("multipart/form-data; boundary={boundary}");
            let sent = request("POST", &form["resultWebhook"].text(), &[("Content-Type", &kind)], body.as_bytes());
            assert_eq!(sent.status, 204);
        }
        assert_eq!(post_json(&form["heartbeatWebhook"].text(), &[], &json!({"status": "complete"})).status, 204);
    });
    let mut setup = Setup::webhook(address);
    setup.manifest.engine_mode = EngineMode::Stream;
    setup.samples.truncate(1);
    let run = setup.run(fake).await;
    assert!(matches!(run.exchanges[0].later, Some(Later::Done { .. })), "{:?}", run.exchanges[0].later);
    assert_eq!(run.outputs.iter().map(|o| o.body.as_slice()).collect::<Vec<_>>(), [b"first".as_slice(), b"second"]);
    assert_eq!(run.task.statuses, ["complete"]);
}

#[tokio::test]
async fn work_that_fails_later_says_why() {
    let (fake, address) = estimating(|form| {
        let body = json!({"status": "failed", "failureReason": "invalid_data", "failureMsg": "no words in it"});
        assert_eq!(post_json(&form["heartbeatWebhook"].text(), &[], &body).status, 204);
    });
    let mut setup = Setup::webhook(address);
    setup.samples.truncate(1);
    let run = setup.run(fake).await;
    assert!(matches!(run.exchanges[0].later, Some(Later::Failed { .. })), "{:?}", run.exchanges[0].later);
    assert_eq!((run.task.failure_reason.as_deref(), run.task.failure_message.as_deref()), (Some("invalid_data"), Some("no words in it")));
}

#[tokio::test]
async fn silence_and_the_end_of_time_and_of_the_process_end_the_waiting() {
    let mut setup = Setup::webhook("127.0.0.1:1".parse().unwrap());
    setup.samples.truncate(1);
    let command = |address: std::net::SocketAddr| Setup::webhook(address).command;

    let (fake, address) = estimating(|_| ());
    setup.command = command(address);
    setup.pace.silence = Duration::from_millis(30);
    let run = setup.run(fake).await;
    assert!(matches!(run.exchanges[0].later, Some(Later::Silent { silent_ms: 30.. })), "{:?}", run.exchanges[0].later);

    let (fake, address) = estimating(|_| ());
    setup.command = command(address);
    setup.pace.silence = Duration::from_secs(60);
    setup.limits.wall_ms = 600;
    let run = setup.run(fake).await;
    assert!(matches!(run.exchanges[0].later, Some(Later::OutOfTime { .. })), "{:?}", run.exchanges[0].later);
    assert_eq!(run.ran_out_in, Some(Phase::Later));

    let (fake, address) = ready_engine(|_, stream, switch| {
        answer(stream, "200 OK", "application/json", br#"{"estimatedProcessingTimeInSeconds": 1}"#);
        stream.shutdown(Shutdown::Both).unwrap();
        switch.exit(1);
    });
    setup.command = command(address);
    setup.limits.wall_ms = 30_000;
    let run = setup.run(fake).await;
    assert_eq!(run.exchanges[0].later, Some(Later::ProcessEnded));
}

#[tokio::test]
async fn an_engine_that_wants_no_chunk_gets_none() {
    let (fake, address) = ready_engine(|call, stream, _| {
        assert!(!call.form().contains_key("chunk"));
        good(call, stream);
    });
    let mut setup = Setup::webhook(address);
    setup.env("VERITONE_DISABLE_CHUNK_DOWNLOAD", "true");
    let run = setup.run(fake).await;
    assert_eq!(run.exchanges.iter().map(|e| e.status).collect::<Vec<_>>(), [Some(200), Some(200), Some(415)]);
}

#[tokio::test]
async fn the_drivers_child_is_started_in_its_place() {
    let (fake, address) = ready_engine(|call, stream, _| good(call, stream));
    let mut setup = Setup::webhook(address);
    setup.command.entrypoint = vec!["/opt/aiware/engine".into()];
    setup.command.cmd = vec!["node".into(), "index.js".into()];
    assert_eq!(setup.run(fake).await.args, ["node", "index.js"]);
}

#[tokio::test]
async fn an_engine_that_asks_to_be_polled_is_called_again_with_its_payload() {
    let (fake, address) = ready_engine(|call, stream, _| {
        let payload: Value = serde_json::from_str(&call.text("payload")).unwrap();
        match payload["step"].as_u64().unwrap_or(0) {
            step @ 0..=1 => {
                let next =
                    json!({"type": "schedule_poll_task", "nextPollTimeUTC": "2026-01-02T03:04:05Z", "taskPayload": {"step": step + 1}});
                answer(stream, "200 OK", "application/json", next.to_string().as_bytes());
            }
            _ => answer(stream, "200 OK", "application/json", KEYWORDS.as_bytes()),
        }
    });
    let mut setup = Setup::webhook(address);
    setup.samples.truncate(1);
    let run = setup.run(fake).await;
    assert_eq!(run.exchanges.iter().map(|e| (e.attempt, e.status)).collect::<Vec<_>>(), [(1, Some(200)); 3]);
    assert_eq!(run.outputs.iter().map(|o| o.body.as_slice()).collect::<Vec<_>>(), [KEYWORDS.as_bytes()]);

    let (fake, address) = ready_engine(|_, stream, _| answer(stream, "200 OK", "application/json", br#"{"type":"schedule_poll_task"}"#));
    let mut endless = Setup::webhook(address);
    endless.samples.truncate(1);
    let run = endless.run(fake).await;
    assert_eq!((run.exchanges.len(), run.outputs.len()), (21, 0));
}
