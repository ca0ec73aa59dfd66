//! Blobs on their way out.

use axum::body::Body;
use model::digest::Digest;

use crate::house::House;

#[tokio::test]
async fn head_tells_what_get_gives() {
    let house = House::new().await;
    let digest = house.blob("1/a", b"0123456789").await;
    let path = format!("/v2/1/a/blobs/{digest}");
    for method in ["HEAD", "GET"] {
        let answer = house.send(method, &path, &[], Body::empty()).await.ok(200);
        assert_eq!((answer.header("content-length"), answer.header("accept-ranges")), ("10", "bytes"));
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
        assert_eq!(answer.body.len(), if method == "GET" { 10 } else { 0 });
    }
    house.send("GET", &path, &[("if-none-match", &format!("\"{digest}\""))], Body::empty()).await.ok(304);
}

#[tokio::test]
async fn parts_of_a_blob() {
    let house = House::new().await;
    let digest = house.blob("1/a", b"0123456789").await;
    let path = format!("/v2/1/a/blobs/{digest}");
    for (range, content_range, body) in
        [("bytes=2-4", "bytes 2-4/10", "234"), ("bytes=7-", "bytes 7-9/10", "789"), ("bytes=-1", "bytes 9-9/10", "9")]
    {
        let part = house.send("GET", &path, &[("range", range)], Body::empty()).await.ok(206);
        assert_eq!((part.header("content-range"), part.body.as_slice()), (content_range, body.as_bytes()));
        assert_eq!(part.header("content-length"), body.len().to_string());
    }
    for range in ["bytes=10-", "bytes=10-20", "bytes=5-3", "bytes=-0"] {
        let beyond = house.send("GET", &path, &[("range", range)], Body::empty()).await;
        beyond.refused(416, "SIZE_INVALID");
        assert_eq!(beyond.header("content-range"), "bytes */10", "{range}");
    }
    for range in ["bytes=0-1,3-4", "lines=1-2", "bytes=x"] {
        assert_eq!(house.send("GET", &path, &[("range", range)], Body::empty()).await.ok(200).body, b"0123456789", "{range}");
    }
    let head = house.send("HEAD", &path, &[("range", "bytes=2-4")], Body::empty()).await.ok(200);
    assert_eq!(head.header("content-length"), "10", "a range is a matter of GET");
}

#[tokio::test]
async fn a_part_only_of_the_blob_that_was_meant() {
    let house = House::new().await;
    let digest = house.blob("1/a", b"0123456789").await;
    let path = format!("/v2/1/a/blobs/{digest}");
    for (if_range, status) in [(format!("\"{digest}\""), 206), ("\"sha256:other\"".into(), 200), (format!("W/\"{digest}\""), 200)] {
        let headers = [("range", "bytes=2-4"), ("if-range", if_range.as_str())];
        house.send("GET", &path, &headers, Body::empty()).await.ok(status);
    }
    let etag = house.get(&path).await.header("etag").to_owned();
    assert_eq!(etag, format!("\"{digest}\""));
    for (known, status) in [(etag.as_str(), 304), ("*", 304), ("W/\"x\", \"y\"", 200)] {
        for method in ["GET", "HEAD"] {
            let answer = house.send(method, &path, &[("if-none-match", known)], Body::empty()).await.ok(status);
            assert!(status == 200 || answer.body.is_empty());
        }
    }
}

#[tokio::test]
async fn a_blob_is_sent_as_it_is_whatever_encodings_are_taken() {
    let house = House::new().await;
    let content = b"the same words again and again ".repeat(400);
    let digest = house.blob("1/a", &content).await;
    let headers = [("accept-encoding", "gzip, br, zstd, deflate")];
    let answer = house.send("GET", &format!("/v2/1/a/blobs/{digest}"), &headers, Body::empty()).await.ok(200);
    assert_eq!((answer.header("content-encoding"), answer.header("content-length")), ("", content.len().to_string().as_str()));
    assert!(answer.body == content && answer.header("docker-content-digest") == digest.to_string());
}

#[tokio::test]
async fn what_is_not_there() {
    let house = House::new().await;
    let digest = Digest::of(b"none");
    let message = house.get(&format!("/v2/1/a/blobs/{digest}")).await.refused(404, "BLOB_UNKNOWN");
    assert!(message.contains(digest.hex()), "{message}");
    house.get("/v2/1/a/blobs/sha256:12").await.refused(400, "DIGEST_INVALID");
    house.get("/v2/1/a/manifests/.odd").await.refused(404, "MANIFEST_UNKNOWN");
    house.get("/v2/1/a/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn a_blob_whose_file_is_lost_is_our_fault_and_says_so() {
    let house = House::new().await;
    let digest = house.blob("1/a", b"hello").await;
    std::fs::remove_file(house.dir.path().join("blobs/sha256").join(&digest.hex()[..2]).join(digest.hex())).unwrap();
    let message = house.get(&format!("/v2/1/a/blobs/{digest}")).await.refused(500, "UNKNOWN");
    assert!(message.contains("fault of its own"), "{message}");
    // Pushing it again mends it, although the database still has its row.
    house.blob("1/a", b"hello").await;
    assert_eq!(house.get(&format!("/v2/1/a/blobs/{digest}")).await.ok(200).body, b"hello");
}
