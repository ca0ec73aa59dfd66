//! Quotas: refused as early as it can be known, with the numbers, and given back whatever becomes of a push.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use model::{digest::Digest, id::OrganizationId};
use registry::garbage::Rules;

use crate::house::{House, OCI_IMAGE, image};

async fn house(bytes: u64) -> House {
    House::with(|options| options.limits.organization_bytes = bytes).await
}

/// Stored in organization 1.
async fn used(house: &House) -> u64 {
    store::usage::of(house.db.read(), OrganizationId(1)).await.unwrap().bytes
}

#[tokio::test]
async fn a_declared_size_is_refused_before_a_byte_is_read() {
    let house = house(100).await;
    house.blob("1/a", &[7; 60]).await;
    let digest = Digest::of(&[8; 41]);
    let never = || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let path = format!("/v2/1/a/blobs/uploads/?digest={digest}");
    let length = [("content-length", "41"), ("expect", "100-continue")];
    let message = house.send("POST", &path, &length, never()).await.refused(403, "DENIED");
    for words in ["organization 1 keeps 60 of the 100 bytes", "needs 41 more", "delete images", "larger quota"] {
        assert!(message.contains(words), "{message}");
    }
    let location = house.start("1/a").await;
    house.send("PATCH", &location, &length, never()).await.refused(403, "DENIED");
    house.get(&location).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    let location = house.start("1/a").await;
    house.send("PUT", &format!("{location}?digest={digest}"), &length, never()).await.refused(403, "DENIED");
    assert_eq!((house.uploads(), used(&house).await), (0, 60));
    // What fits is taken, to the last byte; then not even an upload begins.
    house.blob("1/a", &[8; 40]).await;
    let message = house.send("POST", "/v2/1/a/blobs/uploads/", &[("content-length", "0")], Body::empty()).await.refused(403, "DENIED");
    assert!(message.contains("100 of the 100 bytes"), "{message}");
    // Another organization has its own; what the first one has already costs it nothing.
    house.send("POST", &format!("/v2/1/b/blobs/uploads/?mount={}&from=1/a", Digest::of(&[7; 60])), &[], Body::empty()).await.ok(201);
    assert_eq!(used(&house).await, 100);
}

#[tokio::test]
async fn a_stream_is_cut_where_the_room_ends_and_leaves_nothing() {
    let house = house(3 << 20).await;
    let location = house.start("1/a").await;
    let pieces = (0..5).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![1; 1 << 20])));
    let refused = house.send("PATCH", &location, &[], Body::from_stream(stream::iter(pieces))).await;
    refused.refused(403, "DENIED");
    house.get(&location).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!((house.uploads(), house.blob_files(), used(&house).await), (0, 0, 0));
    house.blob("1/a", &vec![1; 3 << 20]).await;
}

#[tokio::test]
async fn uploads_in_progress_hold_room_and_give_it_back() {
    let house = house(100).await;
    let (one, two) = (house.start("1/a").await, house.start("1/b").await);
    house.send("PATCH", &one, &[], vec![1; 70]).await.ok(202);
    let refused = house.send("PATCH", &two, &[("content-length", "40")], vec![2; 40]).await;
    assert!(refused.refused(403, "DENIED").contains("70 of the 100 bytes"), "{}", refused.message());
    // Cancelled, wrong, cut off at once, or resting for too long: each gives back all it held.
    house.send("DELETE", &one, &[], Body::empty()).await.ok(204);
    let wrong = house.start("1/a").await;
    house.send("PUT", &format!("{wrong}?digest={}", Digest::of(b"other")), &[], vec![3; 90]).await.refused(400, "DIGEST_INVALID");
    let broken = [Ok(Bytes::from(vec![4; 90])), Err(std::io::Error::other("gone"))];
    let path = format!("/v2/1/a/blobs/uploads/?digest={}", Digest::of(b"x"));
    house.send("POST", &path, &[], Body::from_stream(stream::iter(broken))).await.refused(400, "BLOB_UPLOAD_INVALID");
    let resting = house.start("1/a").await;
    house.send("PATCH", &resting, &[], vec![5; 90]).await.ok(202);
    house.clock.fetch_add(6 * 60 * 1000, std::sync::atomic::Ordering::Relaxed);
    house.registry.sweep().await.unwrap();
    house.blob("1/a", &[6; 100]).await;
    // The one that rested is welcome back only if there is room.
    house.send("PATCH", &resting, &[], "x").await.refused(403, "DENIED");
    assert_eq!((used(&house).await, house.uploads()), (100, 0));
}

#[tokio::test]
async fn a_manifest_counts_too_and_collection_gives_back() {
    let house = house(700).await;
    let (config, layer) = (house.blob("1/a", b"{}").await, house.blob("1/a", &[1; 100]).await);
    let first = house.manifest("1/a", "v1", OCI_IMAGE, &image(&config, &layer)).await.ok(201);
    let full = house.blob("1/a", &vec![2; 600 - used(&house).await as usize]).await;
    house.manifest("1/a", "v2", OCI_IMAGE, &image(&config, &full)).await.refused(403, "DENIED");
    house.manifest("1/a", "v3", OCI_IMAGE, &image(&config, &layer)).await.ok(201);
    let path = format!("/v2/1/a/manifests/{}", first.header("docker-content-digest"));
    house.send("DELETE", &path, &[], Body::empty()).await.ok(202);
    house.registry.collect(Rules { grace: std::time::Duration::ZERO, untagged: true }).await.unwrap();
    assert_eq!((used(&house).await, house.blob_files()), (0, 0));
}

#[tokio::test]
async fn a_mount_from_another_organization_counts() {
    let house = house(100).await;
    let digest = Digest::of(&[9; 80]);
    let bob = registry::Caller::Known(crate::house::bob());
    let push = crate::house::request("POST", &format!("/v2/3/base/blobs/uploads/?digest={digest}"), &[], vec![9; 80]);
    house.ask(bob, push).await.ok(201);
    let mount = format!("/v2/1/a/blobs/uploads/?mount={digest}&from=3/base");
    house.send("POST", &mount, &[], Body::empty()).await.ok(201);
    assert_eq!(used(&house).await, 80);
    house.send("DELETE", "/v2/1/a/manifests/none", &[], Body::empty()).await.refused(404, "MANIFEST_UNKNOWN");
    let other = Digest::of(&[8; 30]);
    let push = crate::house::request("POST", &format!("/v2/3/base/blobs/uploads/?digest={other}"), &[], vec![8; 30]);
    house.ask(registry::Caller::Known(crate::house::bob()), push).await.refused(403, "DENIED");
}
