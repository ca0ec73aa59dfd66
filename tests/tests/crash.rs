//! kill -9 at the worst moment: what was acknowledged is there after the restart, and what was in progress comes to its end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::{fs, io::Write, net::TcpStream};

use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{
    container::Containers,
    engine::Keyword,
    leftover,
    registry::Registry,
    server::{EMAIL, PASSWORD, Server, wait_for_text},
    wait_for,
    web::{self, Visitor},
};
use image::pack::File;
use model::digest::Digest;

#[test]
fn killed_during_certification() {
    let mut server = Server::start();
    let api = server.api();
    let engine = api.create_engine("Slow keywords", "keyword");
    Registry::of(&server).push(&Keyword::new(&engine).slow_to_start().pack().build().unwrap(), "1/slow", "v1");
    let build = wait_for("build", || api.builds(&engine).pop());
    assert_eq!(build.status(), "fetching");
    assert_eq!(build.0["report"]["verdict"], "running", "the static part is there at once: {}", build.shown());
    let log = server.data().join("logs").join(format!("{}.jsonl", build.id()));
    wait_for_text(&log, "loading the model");
    assert!(!leftover::of(&leftover::run_of(build.id())).is_empty(), "a run cannot be seen on this machine");
    server.kill();
    // Its empty control groups are for the next start to remove.
    let run = leftover::run_of(build.id());
    wait_for("end of an engine whose server was killed", || leftover::processes(&run).is_empty().then_some(()));

    server.again();
    let api = server.api();
    let done = api.verdict(&engine).is("available");
    assert_eq!(done.id(), build.id());
    assert_eq!(done.history(), [("start", "fetching"), ("lost", "fetching"), ("phaseOk", "available")]);
    let log = Visitor::login(server.address(), EMAIL, PASSWORD).get(&format!("/builds/{}/log", build.id())).text().unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let place = |words: &str, after: usize| lines.iter().skip(after).position(|line| line.contains(words)).map(|at| at + after);
    let first = place("loading the model", 0).unwrap_or_else(|| panic!("the log of the first attempt is gone:\n{log}"));
    let second = place("attempt 2 begins", first).unwrap_or_else(|| panic!("the second attempt is not told of:\n{log}"));
    assert!(place("loading the model", second).is_some() && place("verdict: available", second).is_some(), "{log}");
    let left = wait(&build);
    assert!(left.is_empty(), "the killed run left {left:?}");
    server.is_well();
    server.stop();
}

/// What the runs of a build left, once there is nothing or the wait is over.
fn wait(build: &e2e::api::Build) -> Vec<String> {
    let mut left = Vec::new();
    e2e::wait(|| {
        left = leftover::of(&leftover::run_of(build.id()));
        left.is_empty().then_some(())
    });
    left
}

#[test]
fn stopped_during_certification() {
    let mut server = Server::start();
    let api = server.api();
    let engine = api.create_engine("Slow keywords", "keyword");
    Registry::of(&server).push(&Keyword::new(&engine).slow_to_start().pack().build().unwrap(), "1/slow", "v1");
    let build = wait_for("build", || api.builds(&engine).pop());
    wait_for_text(&server.data().join("logs").join(format!("{}.jsonl", build.id())), "loading the model");
    server.stop();
    assert_eq!(leftover::of(&leftover::run_of(build.id())), Vec::<String>::new());
    server.again();
    server.api().verdict(&engine).is("available");
    server.is_well();
}

/// Bytes that no compression makes fewer: the server writes to disk in pieces, so a small upload would be in its memory only.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Sends the head of a request and a part of its body, and leaves the connection open.
fn half_a_request(server: &Server, location: &str, part: &[u8], whole: usize) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let login = BASE64_STANDARD.encode(format!("{EMAIL}:{PASSWORD}"));
    let head = format!(
        "PATCH {location} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {login}\r\nContent-Type: application/octet-stream\r\nContent-Length: {whole}\r\n\r\n",
        server.address()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(part).unwrap();
    stream.flush().unwrap();
    stream
}

#[test]
fn killed_during_a_push() {
    let mut server = Server::start();
    let engine = server.api().create_engine("Keywords", "keyword");
    let image = Keyword::new(&engine).pack().layer(vec![File::new("data/noise", 0o644, noise(8 << 20))]).build().unwrap();
    let (digest, layer) = image.blobs().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let location = Registry::of(&server).begin("1/words").is(202).location;
    let path = location.strip_prefix(&server.url("")).unwrap_or(&location).to_owned();
    let (sent, rest) = layer.split_at(layer.len() / 2);
    let half = half_a_request(&server, &path, sent, layer.len());
    let uploads = server.data().join("uploads");
    let received = || fs::read_dir(&uploads).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).max();
    wait_for("half of the layer on disk", || received().filter(|len| *len > 0));
    server.kill();
    drop(half);

    server.again();
    let registry = Registry::of(&server);
    // The upload is where it was: its client asks how far, and goes on.
    let status = web::client().get(server.url(&path)).basic_auth(EMAIL, Some(PASSWORD)).send().unwrap();
    assert_eq!(status.status(), 204);
    let range = web::header(&status, "range").unwrap();
    let kept = range.strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1;
    assert!(kept <= sent.len(), "{range}");
    let missing = [&sent[kept..], rest].concat();
    registry.finish(&path, &digest.to_string(), &missing).is(201);

    // A client that knows nothing of it begins anew, and is served as ever.
    let archive = server.folder().join("words.tar");
    image.write_oci_archive(&archive).unwrap();
    let containers = Containers::new();
    containers.login("skopeo", server.address(), EMAIL, PASSWORD).succeeded();
    let (from, to) = (format!("oci-archive:{}", archive.display()), format!("docker://{}/1/words:v1", server.address()));
    containers.skopeo(&["copy", "--dest-tls-verify=false", "--preserve-digests", &from, &to]).succeeded();
    server.api().verdict(&engine).is("available");
    server.is_well();
}

#[test]
fn killed_right_after_the_push_was_acknowledged() {
    let mut server = Server::start();
    let engine = server.api().create_engine("Keywords", "keyword");
    let image = Keyword::new(&engine).pack().build().unwrap();
    let digest = Registry::of(&server).push(&image, "1/words", "v1");
    server.kill();
    server.again();
    let build = server.api().verdict(&engine).is("available");
    assert_eq!(build.0["report"]["imageDigest"], digest);
    for (blob, bytes) in image.blobs().filter(|(blob, _)| *blob != image.top()) {
        let answer = web::client().get(server.url(&format!("/v2/1/words/blobs/{blob}"))).basic_auth(EMAIL, Some(PASSWORD)).send().unwrap();
        assert!(Digest::of(&answer.bytes().unwrap()) == Digest::of(bytes), "{blob} came back changed");
    }
    server.is_well();
}

#[test]
fn a_second_server_on_the_same_folder_or_address_is_refused() {
    let server = Server::start();
    let folder = server.data();
    server.rival(&folder, "127.0.0.1:0").exited(3).says(&["another server is using", folder.to_str().unwrap(), "--data"]);
    server.rival(&server.folder().join("other"), server.address()).exited(3).says(&[server.address(), "cannot be listened on", "--listen"]);
    server.is_well();
}
