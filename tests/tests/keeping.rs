//! Keeping order: garbage collection and quotas by command, with and without a running server; connections that dawdle or are too many.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use e2e::{
    engine::Keyword,
    program::{Ran, run},
    registry::Registry,
    server::{EMAIL, PASSWORD, Server, command, wait_for_text},
    wait_for,
    web::{self, Visitor},
};
use model::digest::Digest;

/// Everything unneeded is garbage at once.
const NO_GRACE: (&str, &str) = ("PLIMSOLL_REGISTRY__GC_GRACE_SECONDS", "0");

fn plimsoll(server: &Server, words: &[&str]) -> Ran {
    run(command(server.folder()).env(NO_GRACE.0, NO_GRACE.1).args(words).arg("--data").arg(server.data()))
}

#[test]
fn garbage_goes_with_and_without_a_running_server() {
    let mut server = Server::start_with(&[NO_GRACE]);
    let engine = server.api().create_engine("Keywords", "keyword");
    let image = Keyword::new(&engine).pack().build().unwrap();
    let digest = Registry::of(&server).push(&image, "1/words", "v1");
    server.api().verdict(&engine).is("available");
    let stray = Digest::of(b"nobody names me").to_string();
    for is_running in [true, false] {
        Registry::of(&server).upload("1/words", &stray, b"nobody names me").is(201);
        if !is_running {
            server.stop();
        }
        plimsoll(&server, &["gc", "--dry-run"]).succeeded().says(&["would go         1        15 B  blobs: no repository holds them"]);
        plimsoll(&server, &["gc"]).succeeded().says(&["gone             1        15 B  blobs of repositories", "This freed 15 B"]);
        plimsoll(&server, &["gc"]).succeeded().says(&["This freed 0 B"]);
        if !is_running {
            server.again();
        }
        Registry::of(&server).get(&format!("1/words/blobs/{stray}")).refuses(404, "BLOB_UNKNOWN", &[]);
    }
    // A build keeps its image, tagged or not.
    let tag = server.url("/v2/1/words/manifests/v1");
    assert_eq!(web::client().delete(tag).basic_auth(EMAIL, Some(PASSWORD)).send().unwrap().status(), 202);
    plimsoll(&server, &["gc"]).succeeded().says(&["This freed 0 B"]);
    Registry::of(&server).get(&format!("1/words/manifests/{digest}")).is(200);
    for (blob, _) in image.blobs().filter(|(blob, _)| *blob != image.top()) {
        Registry::of(&server).get(&format!("1/words/blobs/{blob}")).is(200);
    }
    run(command(server.folder()).args(["gc", "--data", "nowhere"])).exited(3).says(&["there is no data in nowhere", "--data"]);
    server.is_well();
}

#[test]
fn garbage_is_collected_from_time_to_time() {
    let server = Server::start_with(&[NO_GRACE, ("PLIMSOLL_REGISTRY__GC_INTERVAL_SECONDS", "1")]);
    let stray = Digest::of(b"nobody names me").to_string();
    Registry::of(&server).upload("1/words", &stray, b"nobody names me").is(201);
    wait_for("collection", || (Registry::of(&server).get(&format!("1/words/blobs/{stray}")).status == 404).then_some(()));
    server.is_well();
}

#[test]
fn a_quota_is_set_and_holds_at_once() {
    let server = Server::start();
    let (small, large) = (vec![1; 1000], vec![2; 2000]);
    let upload = |bytes: &[u8]| Registry::of(&server).upload("1/words", &Digest::of(bytes).to_string(), bytes);
    upload(&small).is(201);
    plimsoll(&server, &["quota", "1", "2KiB"]).succeeded().says(&["1000 B     2.0 KiB  its own"]);
    let told = server.api().ask("query { organization { storageBytes storageQuotaBytes } }", serde_json::json!({}));
    assert_eq!(
        (&told["organization"]["storageBytes"], &told["organization"]["storageQuotaBytes"]),
        (&1000.into(), &2048.into()),
        "{told:#}"
    );
    upload(&large).refuses(403, "DENIED", &["keeps 1000 of the 2048 bytes", "needs 2000 more"]);
    plimsoll(&server, &["quota", "1", "default"]).succeeded().says(&["none  configured"]);
    upload(&large).is(201);
    plimsoll(&server, &["quota"]).succeeded().says(&["2.9 KiB"]);
    plimsoll(&server, &["quota", "7", "1KiB"]).exited(3).says(&["there is no organization 7"]);
    plimsoll(&server, &["quota", "1", "1GB"]).exited(3).says(&["\"GB\" is no unit"]);
    server.is_well();
}

/// Everything the server sends until it closes the connection.
fn rest(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    // A reset is an end like any other.
    let _ = stream.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

fn said(server: &Server, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

#[test]
fn whoever_dawdles_loses_the_connection() {
    let server = Server::start_with(&[("PLIMSOLL_HTTP__HEADER_SECONDS", "1"), ("PLIMSOLL_REGISTRY__IDLE_SECONDS", "1")]);
    // Nothing at all, the first letter of any version of the protocol, half a head, a head without an end, a rest after a request.
    for text in ["", "P", "GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ", "PRI * HTTP/2.0\r\n\r\nSM\r\n"] {
        let answer = rest(said(&server, text));
        assert!(answer.is_empty() || answer.contains(" 408 "), "{text:?}: {answer}");
    }
    let answer = rest(said(&server, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");
    // A body that does not come, where no handler of ours counts the seconds.
    let answer =
        rest(said(&server, "POST /v3/graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"));
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    server.is_well();
}

#[test]
fn floods_of_headers_are_refused() {
    let server = Server::start();
    let many: String = (0..1000).map(|n| format!("X-Flood-{n}: x\r\n")).collect();
    let long = format!("X-Flood: {}\r\n", "x".repeat(1 << 20));
    for flood in [many, long] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        // The server may have had enough before it has read all.
        let _ = stream.write_all(format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{flood}\r\n").as_bytes());
        let answer = rest(stream);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    server.is_well();
}

#[test]
fn too_many_connections_are_told_so() {
    let server = Server::start_with(&[("PLIMSOLL_HTTP__MAX_CONNECTIONS", "3"), ("PLIMSOLL_HTTP__HEADER_SECONDS", "600")]);
    let inside: Vec<TcpStream> = (0..3).map(|_| said(&server, "")).collect();
    let answer = rest(said(&server, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After") && answer.contains("TOOMANYREQUESTS"), "{answer}");
    drop(inside);
    wait_for("room", || {
        rest(said(&server, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).starts_with("HTTP/1.1 200").then_some(())
    });
    server.is_well();
}

#[test]
fn an_open_event_stream_does_not_hold_a_stop() {
    let mut server = Server::start();
    let api = server.api();
    let engine = api.create_engine("Slow keywords", "keyword");
    Registry::of(&server).push(&Keyword::new(&engine).slow_to_start().pack().build().unwrap(), "1/slow", "v1");
    let build = wait_for("build", || api.builds(&engine).pop());
    wait_for_text(&server.data().join("logs").join(format!("{}.jsonl", build.id())), "loading the model");
    let stream = Visitor::login(server.address(), EMAIL, PASSWORD).get(&format!("/builds/{}/events", build.id()));
    assert_eq!(stream.status(), 200);
    server.stop();
    assert!(!server.log().contains("did not end in time"), "{}", server.log());
    assert!(stream.text().is_ok_and(|text| text.contains("event:")), "the stream ends as a stream ends");
}
