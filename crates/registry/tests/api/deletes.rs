//! Taking things away: blobs, and what must stay.

use axum::body::Body;
use model::digest::Digest;
use registry::Caller;

use crate::house::{House, bob, request};

#[tokio::test]
async fn a_blob_goes_when_no_manifest_needs_it() {
    let house = House::new().await;
    let manifest = house.image("1/a", "v1", b"layer").await;
    let layer = Digest::of(b"layer");
    house.blob("1/b", b"layer").await;
    let path = format!("/v2/1/a/blobs/{layer}");
    let refused = house.send("DELETE", &path, &[], Body::empty()).await;
    let message = refused.refused(405, "UNSUPPORTED");
    assert!(message.contains(manifest.hex()) && message.contains("delete that manifest first"), "{message}");
    assert_eq!(refused.header("allow"), "GET, HEAD");
    house.get(&path).await.ok(200);

    house.send("DELETE", &format!("/v2/1/a/manifests/{manifest}"), &[], Body::empty()).await.ok(202);
    house.send("DELETE", &path, &[], Body::empty()).await.ok(202);
    house.send("DELETE", &path, &[], Body::empty()).await.refused(404, "BLOB_UNKNOWN");
    house.get(&path).await.refused(404, "BLOB_UNKNOWN");
    assert_eq!(house.get(&format!("/v2/1/b/blobs/{layer}")).await.ok(200).body, b"layer", "others keep it");
    // And it can come back.
    house.blob("1/a", b"layer").await;
    assert_eq!(house.get(&path).await.ok(200).body, b"layer");
}

#[tokio::test]
async fn who_may_not_delete_is_told_so() {
    let house = House::new().await;
    let digest = house.blob("1/a", b"x").await;
    let path = format!("/v2/1/a/blobs/{digest}");
    house.ask(Caller::Known(bob()), request("DELETE", &path, &[], Body::empty())).await.refused(403, "DENIED");
    house.ask(Caller::Anonymous, request("DELETE", &path, &[], Body::empty())).await.refused(401, "UNAUTHORIZED");
    house.send("DELETE", "/v2/1/a/blobs/sha256:0", &[], Body::empty()).await.refused(400, "DIGEST_INVALID");
    house.send("DELETE", &format!("/v2/1/none/blobs/{digest}"), &[], Body::empty()).await.refused(404, "BLOB_UNKNOWN");
    house.send("DELETE", "/v2/1/a/manifests/v1", &[], Body::empty()).await.refused(404, "MANIFEST_UNKNOWN");
    house.get(&path).await.ok(200);
}
