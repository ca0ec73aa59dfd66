//! Requests nobody should send, over a real connection.

use std::{net::SocketAddr, time::Duration};

use model::digest::Digest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::house::{CREDENTIALS, House, until};

fn head(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: gate.test\r\nauthorization: {CREDENTIALS}\r\n{more}\r\n")
}

/// Sends bytes and returns all that comes back until the server closes or `until` is in it.
async fn talk(address: SocketAddr, sent: &[u8], stop: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    read_to(&mut stream, stop).await
}

async fn read_to(stream: &mut TcpStream, stop: &str) -> String {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        all.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&all).into_owned();
        if read == 0 || text.contains(stop) {
            return text;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn expect_100_continue() {
    let house = House::new().await;
    let address = house.serve().await;
    let digest = Digest::of(b"hello");
    let path = format!("/v2/1/a/blobs/uploads/?digest={digest}");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head("POST", &path, "expect: 100-continue\r\ncontent-length: 5\r\n").as_bytes()).await.unwrap();
    let go_on = read_to(&mut stream, "\r\n\r\n").await;
    assert!(go_on.starts_with("HTTP/1.1 100 Continue"), "{go_on}");
    stream.write_all(b"hello").await.unwrap();
    let answer = read_to(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");

    let refused = talk(
        address,
        head("POST", "/v2/7/a/blobs/uploads/?digest=x", "expect: 100-continue\r\ncontent-length: 5\r\n").as_bytes(),
        "errors",
    )
    .await;
    assert!(refused.starts_with("HTTP/1.1 403 Forbidden"), "the body is not asked for: {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let house = House::new().await;
    let address = house.serve().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let size = 4 << 20;
    stream
        .write_all(
            head("PATCH", &format!("/v2/1/a/blobs/uploads/{}", uuid::Uuid::nil()), &format!("content-length: {size}\r\n")).as_bytes(),
        )
        .await
        .unwrap();
    stream.write_all(&vec![0; size]).await.unwrap();
    let answer = read_to(&mut stream, "BLOB_UPLOAD_UNKNOWN").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    // The connection is still good.
    stream.write_all(head("GET", "/v2/", "").as_bytes()).await.unwrap();
    assert!(read_to(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_in_a_patch_leaves_an_upload_to_go_on_with() {
    let house = House::new().await;
    let address = house.serve().await;
    let location = house.start("1/a").await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head("PATCH", &location, "transfer-encoding: chunked\r\n").as_bytes()).await.unwrap();
    stream.write_all(b"3\r\nhel\r\n").await.unwrap();
    drop(stream);
    until(async || house.get(&location).await.header("range") == "0-2").await;
    house.send("PUT", &format!("{location}?digest={}", Digest::of(b"hello")), &[], "lo").await.ok(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_is_cut_short_makes_no_blob() {
    let house = House::new().await;
    let address = house.serve().await;
    let (location, digest) = (house.start("1/a").await, Digest::of(b"hello"));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head("PUT", &format!("{location}?digest={digest}"), "content-length: 5\r\n").as_bytes()).await.unwrap();
    stream.write_all(b"hel").await.unwrap();
    drop(stream);
    until(async || house.get(&location).await.header("range") == "0-2").await;
    house.get(&format!("/v2/1/a/blobs/{digest}")).await.refused(404, "BLOB_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_sending_is_not_waited_for() {
    let house = House::with(|options| options.limits.body_idle = Duration::from_millis(50)).await;
    let address = house.serve().await;
    let location = house.start("1/a").await;
    let answer = talk(address, format!("{}hel", head("PATCH", &location, "content-length: 5\r\n")).as_bytes(), "BLOB_UPLOAD_INVALID").await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("range: 0-2"), "{answer}");
    let answer =
        talk(address, format!("{}{{", head("PUT", "/v2/1/a/manifests/v1", "content-length: 5\r\n")).as_bytes(), "MANIFEST_INVALID").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_and_addresses_the_api_does_not_have() {
    let house = House::new().await;
    for (method, path) in [
        ("POST", "/v2/1/a/manifests/v1"),
        ("PUT", "/v2/1/a/tags/list"),
        ("GET", "/v2/1/a/blobs/uploads/"),
        ("PUT", "/v2/1/a/blobs/x"),
        ("PUT", "/v2/1/a/referrers/x"),
        ("POST", "/v2/_catalog"),
        ("POST", "/v2/"),
    ] {
        let refused = house.send(method, path, &[], "").await;
        refused.refused(405, "UNSUPPORTED");
        assert_ne!(refused.header("allow"), "", "{method} {path}");
    }
    for path in ["/v2/1/a", "/v2/1/a/blobs/", "/v2/1/a/manifests/", "/v2/%zz/manifests/v1"] {
        house.get(path).await.refused(404, "UNSUPPORTED");
    }
}
