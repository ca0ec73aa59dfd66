//! Blobs on their way in, when everything goes well, and their end when it does not.

use std::sync::atomic::Ordering;

use axum::body::Body;
use model::digest::Digest;
use registry::{Access, Caller, Scope};
use store::repositories;

use crate::house::{House, ann, bob, request, sha512};

#[tokio::test]
async fn post_patch_put_as_docker_does() {
    let house = House::new().await;
    let content = b"a layer, in two pieces";
    let digest = Digest::of(content);
    let location = house.start("1/a").await;
    assert!(location.starts_with("/v2/1/a/blobs/uploads/"), "{location}");

    let patched = house.send("PATCH", &location, &[], content[..9].to_vec()).await.ok(202);
    assert_eq!((patched.header("range"), patched.header("location")), ("0-8", location.as_str()));
    assert!(location.ends_with(patched.header("docker-upload-uuid")));
    house.send("PATCH", &location, &[], content[9..].to_vec()).await.ok(202);
    let put = house.send("PUT", &format!("{location}?digest={digest}"), &[], Body::empty()).await.ok(201);
    assert_eq!(put.header("location"), format!("/v2/1/a/blobs/{digest}"));
    assert_eq!(put.header("docker-content-digest"), digest.to_string());

    assert_eq!(house.get(&format!("/v2/1/a/blobs/{digest}")).await.ok(200).body, content);
    assert_eq!(*house.seen.lock().unwrap(), [(digest, content.to_vec())]);
    assert_eq!(*house.early.lock().unwrap(), [true], "the tap was finished before the blob was visible");
    assert_eq!((house.uploads(), house.blob_files()), (0, 1));
}

#[tokio::test]
async fn the_last_bytes_may_come_with_the_put() {
    let house = House::new().await;
    let location = house.start("1/a").await;
    house.send("PATCH", &location, &[], "hel").await.ok(202);
    let digest = Digest::of(b"hello");
    // Clients escape the colon or not.
    house
        .send("PUT", &format!("{location}?digest={}", digest.to_string().replace(':', "%3A")), &[("content-range", "3-4")], "lo")
        .await
        .ok(201);
    assert_eq!(house.get(&format!("/v2/1/a/blobs/{digest}")).await.body, b"hello");
}

#[tokio::test]
async fn one_request_is_enough() {
    let house = House::new().await;
    let digest = house.blob("1/a", b"hello").await;
    assert_eq!(house.get(&format!("/v2/1/a/blobs/{digest}")).await.body, b"hello");
    house.blob("1/a", b"").await;
    let empty = Digest::of(b"");
    house.send("POST", &format!("/v2/1/a/blobs/uploads/?digest={empty}"), &[("content-length", "0")], Body::empty()).await.ok(201);
}

#[tokio::test]
async fn a_digest_named_at_the_start_without_bytes_only_starts() {
    let house = House::new().await;
    let digest = Digest::of(b"hello");
    let started =
        house.send("POST", &format!("/v2/1/a/blobs/uploads/?digest={digest}"), &[("content-length", "0")], Body::empty()).await.ok(202);
    let location = started.header("location").to_owned();
    house.send("PUT", &format!("{location}?digest={digest}"), &[], "hello").await.ok(201);
}

#[tokio::test]
async fn sha512_is_a_digest_too() {
    use sha2::Digest as _;
    let house = House::new().await;
    let digest = Digest::from_sha512(sha2::Sha512::digest(b"hello").into());
    let location = house.start("1/a").await;
    house.send("PATCH", &location, &[], "hel").await.ok(202);
    house.send("PUT", &format!("{location}?digest={digest}"), &[], "lo").await.ok(201);
    assert_eq!(house.get(&format!("/v2/1/a/blobs/{digest}")).await.ok(200).body, b"hello");
}

#[tokio::test]
async fn a_wrong_digest_leaves_nothing_behind() {
    let house = House::new().await;
    let (said, is) = (Digest::of(b"other"), Digest::of(b"hello"));
    let location = house.start("1/a").await;
    let refused = house.send("PUT", &format!("{location}?digest={said}"), &[], "hello").await;
    let message = refused.refused(400, "DIGEST_INVALID");
    assert!(message.contains(said.hex()) && message.contains(is.hex()), "{message}");
    assert_eq!(refused.json()["errors"][0]["detail"]["actual"], is.to_string());
    house.get(&location).await.refused(404, "BLOB_UPLOAD_UNKNOWN");

    house.send("POST", &format!("/v2/1/a/blobs/uploads/?digest={said}"), &[], "hello").await.refused(400, "DIGEST_INVALID");
    assert_eq!((house.uploads(), house.blob_files(), house.seen.lock().unwrap().len()), (0, 0, 0));
    assert!(!repositories::blob_exists(&house.db, &is).await.unwrap());
}

#[tokio::test]
async fn the_end_needs_a_digest() {
    let house = House::new().await;
    let location = house.start("1/a").await;
    house.send("PUT", &location, &[], "hello").await.refused(400, "DIGEST_INVALID");
    let message = house.send("PUT", &format!("{location}?digest=md5:00"), &[], "hello").await.refused(400, "DIGEST_INVALID");
    assert!(message.contains("sha256"), "{message}");
    house.send("PUT", &format!("{location}?digest={}", Digest::of(b"hello")), &[], "hello").await.ok(201);
}

#[tokio::test]
async fn content_that_is_there_already_is_stored_and_tapped_once() {
    let house = House::new().await;
    let digest = house.blob("1/a", b"hello").await;
    house.get(&format!("/v2/1/b/blobs/{digest}")).await.refused(404, "BLOB_UNKNOWN");
    house.blob("1/b", b"hello").await;
    house.get(&format!("/v2/1/b/blobs/{digest}")).await.ok(200);
    assert_eq!((house.blob_files(), house.uploads(), house.seen.lock().unwrap().len()), (1, 0, 1));
}

#[tokio::test]
async fn a_blob_is_mounted_where_the_caller_may_read_it() {
    let house = House::new().await;
    let digest = house.blob("1/a", b"hello").await;
    let mount = |from: &str| format!("/v2/1/b/blobs/uploads/?mount={digest}&from={from}");
    house.send("POST", &mount("1/none"), &[], Body::empty()).await.ok(202);
    let mounted = house.send("POST", &mount("1%2Fa"), &[], Body::empty()).await.ok(201);
    assert_eq!(mounted.header("location"), format!("/v2/1/b/blobs/{digest}"));
    assert_eq!(house.get(&format!("/v2/1/b/blobs/{digest}")).await.ok(200).body, b"hello");

    // Bob may not read organization 1: he is told to upload, as if it were not there.
    let path = format!("/v2/2/c/blobs/uploads/?mount={digest}&from=1/a");
    house.ask(Caller::Known(bob()), request("POST", &path, &[], Body::empty())).await.ok(202);
    house
        .ask(Caller::Known(bob()), request("GET", &format!("/v2/2/c/blobs/{digest}"), &[], Body::empty()))
        .await
        .refused(404, "BLOB_UNKNOWN");
    house.send("POST", "/v2/1/b/blobs/uploads/?mount=nonsense&from=1/a", &[], Body::empty()).await.refused(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn a_blob_is_mounted_from_wherever_the_account_may_read_it() {
    let house = House::new().await;
    let (near, far) = (house.blob("1/a", b"near").await, Digest::of(b"far"));
    let upload = format!("/v2/2/secret/blobs/uploads/?digest={far}");
    house.ask(Caller::Known(bob()), request("POST", &upload, &[], "far")).await.ok(201);
    let mount = |digest: &Digest| format!("/v2/1/b/blobs/uploads/?mount={digest}");
    // Its token is for the repository it pushes to, as clients ask for it.
    let narrow = Access { scopes: Some(Scope::parse_list("repository:1/b:pull,push").unwrap()), ..ann() };
    let ask = async |path: &str| house.ask(Caller::Known(narrow.clone()), request("POST", path, &[], Body::empty())).await;
    let mounted = ask(&mount(&near)).await.ok(201);
    assert_eq!(mounted.header("location"), format!("/v2/1/b/blobs/{near}"));
    assert_eq!(mounted.header("docker-content-digest"), near.to_string());
    assert_eq!(house.get(&format!("/v2/1/b/blobs/{near}")).await.ok(200).body, b"near");
    for path in [mount(&far), format!("{}&from=2/secret", mount(&far)), mount(&Digest::of(b"nowhere"))] {
        let begun = ask(&path).await.ok(202);
        assert!(begun.header("location").contains("/blobs/uploads/"), "{path}");
    }
    house.get(&format!("/v2/1/b/blobs/{far}")).await.refused(404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn other_digests_and_what_announces_them() {
    let house = House::new().await;
    for content in [b"hello".as_slice(), b""] {
        let digest = sha512(content);
        let path = format!("/v2/1/a/blobs/{digest}");
        let length = content.len().to_string();
        let at_once = format!("/v2/1/a/blobs/uploads/?digest={digest}");
        let done = house.send("POST", &at_once, &[("content-length", &length)], content.to_vec()).await.ok(201);
        assert_eq!((done.header("location"), done.header("docker-content-digest")), (path.as_str(), digest.to_string().as_str()));
        assert_eq!(house.get(&path).await.ok(200).body, content);
        for algorithm in ["?digest-algorithm=sha512", "?digest-algorithm=sha256", ""] {
            let begun =
                house.send("POST", &format!("/v2/1/b/blobs/uploads/{algorithm}"), &[("content-length", "0")], Body::empty()).await.ok(202);
            let location = begun.header("location").to_owned();
            house.send("PATCH", &location, &[], content.to_vec()).await.ok(202);
            let join = if location.contains('?') { '&' } else { '?' };
            house.send("PUT", &format!("{location}{join}digest={digest}"), &[], Body::empty()).await.ok(201);
            assert_eq!(house.get(&format!("/v2/1/b/blobs/{digest}")).await.ok(200).body, content);
        }
    }
    let odd = house.send("POST", "/v2/1/a/blobs/uploads/?digest-algorithm=md5", &[], Body::empty()).await;
    assert!(odd.refused(400, "DIGEST_INVALID").contains("sha256 or sha512"));
    assert_eq!(house.uploads(), 0);
}

#[tokio::test]
async fn an_upload_can_be_cancelled() {
    let house = House::new().await;
    let location = house.start("1/a").await;
    house.send("PATCH", &location, &[], "hello").await.ok(202);
    house.send("DELETE", &location, &[], Body::empty()).await.ok(204);
    for method in ["GET", "DELETE", "PATCH"] {
        house.send(method, &location, &[], Body::empty()).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
    assert_eq!(house.uploads(), 0);
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    let house = House::new().await;
    let location = house.start("1/a").await;
    house.send("PATCH", &location.replace("1/a", "1/b"), &[], "x").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    house.get("/v2/1/a/blobs/uploads/not-an-id").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn uploads_without_end_are_bounded() {
    let house = House::with(|options| options.limits.open_uploads = 2).await;
    house.start("1/a").await;
    let second = house.start("1/a").await;
    let refused = house.send("POST", "/v2/1/a/blobs/uploads/", &[], Body::empty()).await;
    refused.refused(429, "TOOMANYREQUESTS");
    assert_ne!(refused.header("retry-after"), "");
    house.send("DELETE", &second, &[], Body::empty()).await.ok(204);
    house.start("1/a").await;
}

#[tokio::test]
async fn resting_uploads_make_room_and_still_go_on() {
    let house = House::with(|options| options.limits.open_uploads = 1).await;
    let first = house.start("1/a").await;
    house.send("PATCH", &first, &[], "hel").await.ok(202);
    house.clock.fetch_add(2000, Ordering::Relaxed);
    house.start("1/a").await;
    house.send("PUT", &format!("{first}?digest={}", Digest::of(b"hello")), &[], "lo").await.ok(201);
}

#[tokio::test]
async fn a_blob_has_a_largest_size() {
    let house = House::with(|options| options.limits.blob_bytes = 10).await;
    let path = |content: &[u8]| format!("/v2/1/a/blobs/uploads/?digest={}", Digest::of(content));
    house.send("POST", &path(b"0123456789"), &[], "0123456789").await.ok(201);
    let message = house.send("POST", &path(b"0123456789a"), &[], "0123456789a").await.refused(413, "SIZE_INVALID");
    assert!(message.contains("10 bytes"), "{message}");
    let location = house.start("1/a").await;
    house.send("PATCH", &location, &[], "01234567").await.ok(202);
    house.send("PATCH", &location, &[], "01234567").await.refused(413, "SIZE_INVALID");
    assert_eq!(house.blob_files(), 1);
}
