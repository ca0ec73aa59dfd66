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
    let beyond = house.send("GET", &path, &[("range", "bytes=10-")], Body::empty()).await;
    beyond.refused(416, "SIZE_INVALID");
    assert_eq!(beyond.header("content-range"), "bytes */10");
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
