//! Manifests, tags and the outbox of pushes.

use axum::body::Body;
use model::digest::Digest;
use serde_json::json;
use store::pushes;

use crate::house::{House, OCI_IMAGE, OCI_INDEX, image, sha512};

#[tokio::test]
async fn a_manifest_comes_back_byte_for_byte() {
    let house = House::new().await;
    let (config, layer) = (house.blob("1/a", b"{}").await, house.blob("1/a", b"layer").await);
    let bytes = format!("  {}\n", serde_json::to_string_pretty(&image(&config, &layer)).unwrap()).into_bytes();
    let digest = Digest::of(&bytes);
    let put = house.send("PUT", "/v2/1/a/manifests/v1", &[("content-type", OCI_IMAGE)], bytes.clone()).await.ok(201);
    assert_eq!(put.header("docker-content-digest"), digest.to_string());
    assert_eq!(put.header("location"), format!("/v2/1/a/manifests/{digest}"));
    for reference in ["v1", &digest.to_string()] {
        let path = format!("/v2/1/a/manifests/{reference}");
        let got = house.get(&path).await.ok(200);
        assert_eq!((got.header("content-type"), got.header("docker-content-digest")), (OCI_IMAGE, digest.to_string().as_str()));
        assert_eq!(got.body, bytes);
        let head = house.send("HEAD", &path, &[], Body::empty()).await.ok(200);
        assert_eq!((head.header("content-length"), head.body.len()), (bytes.len().to_string().as_str(), 0));
        house.send("GET", &path, &[("if-none-match", &format!("\"{digest}\""))], Body::empty()).await.ok(304);
    }
}

#[tokio::test]
async fn a_push_by_tag_is_told_and_a_push_by_digest_is_not() {
    let house = House::new().await;
    let digest = house.image("1/a", "v1", b"layer").await;
    // Already told: this returns at once.
    house.pushed.notified().await;
    let told = pushes::unhandled(&house.db, 10).await.unwrap();
    assert_eq!(told.len(), 1);
    let push = &told[0];
    assert_eq!(
        (push.repository.as_str(), push.tag.as_str(), &push.digest, push.account.as_str()),
        ("1/a", "v1", &digest, "ann@example.com")
    );

    let bytes = house.get("/v2/1/a/manifests/v1").await.body;
    house.send("PUT", &format!("/v2/1/a/manifests/{digest}"), &[("content-type", OCI_IMAGE)], bytes.clone()).await.ok(201);
    assert_eq!(pushes::unhandled(&house.db, 10).await.unwrap().len(), 1);
    house.send("PUT", "/v2/1/a/manifests/v1", &[("content-type", OCI_IMAGE)], bytes).await.ok(201);
    assert_eq!(pushes::unhandled(&house.db, 10).await.unwrap().len(), 2, "the same push again is told again");
}

#[tokio::test]
async fn a_missing_blob_is_named_and_nothing_is_told() {
    let house = House::new().await;
    let config = house.blob("1/a", b"{}").await;
    let gone = Digest::of(b"gone");
    let refused = house.manifest("1/a", "v1", OCI_IMAGE, &image(&config, &gone)).await;
    let message = refused.refused(400, "MANIFEST_BLOB_UNKNOWN");
    assert!(message.contains(gone.hex()), "{message}");
    assert_eq!(refused.json()["errors"][0]["detail"]["digest"], gone.to_string());
    house.get("/v2/1/a/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
    assert!(pushes::unhandled(&house.db, 10).await.unwrap().is_empty());
    // Held elsewhere is not held here.
    house.blob("1/b", b"gone").await;
    house.manifest("1/a", "v1", OCI_IMAGE, &image(&config, &gone)).await.refused(400, "MANIFEST_BLOB_UNKNOWN");
}

#[tokio::test]
async fn an_index_may_be_sparse_but_an_image_needs_all_of_its_blobs() {
    let house = House::new().await;
    let child = house.image("1/a", "amd64", b"layer").await;
    let index = |digest: &Digest| json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{ "mediaType": OCI_IMAGE, "digest": digest, "size": 1 }] });
    house.manifest("1/a", "some", OCI_INDEX, &index(&Digest::of(b"?"))).await.ok(201);
    house.manifest("1/a", "all", OCI_INDEX, &index(&child)).await.ok(201);
    assert_eq!(house.get("/v2/1/a/manifests/all").await.header("content-type"), OCI_INDEX);
    let gone: Vec<Digest> = (0..40u8).map(|n| Digest::of(&[n])).collect();
    let layers: Vec<_> = gone.iter().map(|digest| json!({ "mediaType": "a/b", "digest": digest, "size": 1 })).collect();
    let mut document = image(&gone[0], &gone[0]);
    document["layers"] = json!(layers);
    let refused = house.manifest("1/a", "v1", OCI_IMAGE, &document).await;
    refused.refused(400, "MANIFEST_BLOB_UNKNOWN");
    let named: Vec<_> = refused.json()["errors"].as_array().unwrap().iter().map(|error| error["detail"]["digest"].clone()).collect();
    assert_eq!(json!(named), json!(gone), "every one is named");
}

#[tokio::test]
async fn what_is_no_manifest_is_refused_with_the_reason() {
    let house = House::new().await;
    let put = async |reference: &str, media_type: &str, body: &'static str| {
        house.send("PUT", &format!("/v2/1/a/manifests/{reference}"), &[("content-type", media_type)], body).await
    };
    assert!(put("v1", OCI_IMAGE, "{").await.refused(400, "MANIFEST_INVALID").contains("cannot be read"));
    assert!(put("v1", OCI_IMAGE, "{\"schemaVersion\":2}").await.refused(400, "MANIFEST_INVALID").contains("needs config"));
    let schema1 = put("v1", "application/vnd.docker.distribution.manifest.v1+prettyjws", "{}").await;
    assert!(schema1.refused(400, "MANIFEST_INVALID").contains("schema 1"));
    assert!(put("-v1", OCI_IMAGE, "{}").await.refused(400, "TAG_INVALID").contains("1 to 128 letters"));
    assert!(put("sha256:abc", OCI_IMAGE, "{}").await.refused(400, "DIGEST_INVALID").contains("64 characters"));
    let other = format!("sha256:{}", "0".repeat(64));
    assert!(put(&other, OCI_IMAGE, "{}").await.refused(400, "DIGEST_INVALID").contains(Digest::of(b"{}").hex()));
}

#[tokio::test]
async fn a_manifest_has_a_largest_size() {
    let house = House::new().await;
    for headers in [vec![("content-type", OCI_IMAGE)], vec![("content-type", OCI_IMAGE), ("content-length", "5242880")]] {
        let refused = house.send("PUT", "/v2/1/a/manifests/v1", &headers, vec![b' '; 5 << 20]).await;
        let message = refused.refused(413, "MANIFEST_INVALID");
        assert!(message.contains("4194304"), "{message}");
    }
}

#[tokio::test]
async fn deleting_by_tag_and_by_digest() {
    let house = House::new().await;
    let digest = house.image("1/a", "v1", b"layer").await;
    house.image("1/a", "v2", b"layer").await;
    house.send("DELETE", "/v2/1/a/manifests/v1", &[], Body::empty()).await.ok(202);
    house.get("/v2/1/a/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
    house.get(&format!("/v2/1/a/manifests/{digest}")).await.ok(200);
    house.send("DELETE", &format!("/v2/1/a/manifests/{digest}"), &[], Body::empty()).await.ok(202);
    house.get("/v2/1/a/manifests/v2").await.refused(404, "MANIFEST_UNKNOWN");
    house.send("DELETE", &format!("/v2/1/a/manifests/{digest}"), &[], Body::empty()).await.refused(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn list_page_by_page() {
    let house = House::with(|options| options.limits.list_page = 3).await;
    house.get("/v2/1/a/tags/list").await.refused(404, "NAME_UNKNOWN");
    for tag in ["b", "A", "a", "10", "2"] {
        house.image("1/a", tag, b"layer").await;
    }
    let page = house.get("/v2/1/a/tags/list?n=2").await.ok(200);
    assert_eq!(page.json(), json!({ "name": "1/a", "tags": ["10", "2"] }));
    assert_eq!(page.header("link"), "</v2/1/a/tags/list?n=2&last=2>; rel=\"next\"");
    let page = house.get("/v2/1/a/tags/list?n=2&last=A").await;
    assert_eq!((page.json()["tags"].clone(), page.header("link")), (json!(["a", "b"]), ""));
    let all = house.get("/v2/1/a/tags/list").await;
    assert_eq!((all.json()["tags"].clone(), all.header("link")), (json!(["10", "2", "A"]), "</v2/1/a/tags/list?n=3&last=A>; rel=\"next\""));
    assert_eq!(house.get("/v2/1/a/tags/list?n=0").await.json()["tags"], json!([]));
    assert_eq!(house.get("/v2/1/a/tags/list?n=99999999999").await.json()["tags"].as_array().unwrap().len(), 3);
    house.get("/v2/1/a/tags/list?n=many").await.refused(400, "UNSUPPORTED");
}

#[tokio::test]
async fn manifests_of_every_kind_are_kept_as_they_are() {
    let house = House::new().await;
    let (empty, blob) = (house.blob("1/a", b"{}").await, house.blob("1/a", b"sbom").await);
    let part = |media_type: &str, digest: &Digest, size: usize| json!({ "mediaType": media_type, "digest": digest, "size": size });
    let nothing = part("application/vnd.oci.empty.v1+json", &empty, 2);
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let old = "application/vnd.oci.artifact.manifest.v1+json";
    for (tag, media_type, document) in [
        ("docker", docker, json!({ "schemaVersion": 2, "mediaType": docker, "config": nothing, "layers": [part("a/b", &blob, 4)] })),
        ("list", list, json!({ "schemaVersion": 2, "mediaType": list, "manifests": [] })),
        ("artifact", old, json!({ "mediaType": old, "artifactType": "a/sbom", "blobs": [part("a/b", &blob, 4)] })),
        ("empty", OCI_IMAGE, json!({ "schemaVersion": 2, "artifactType": "a/b", "config": nothing, "layers": [nothing] })),
        ("zero", OCI_IMAGE, json!({ "schemaVersion": 2, "artifactType": "a/b", "config": nothing, "layers": [], "ours": { "x": [1] } })),
        ("foreign", "application/vnd.example.thing+json", json!({ "layers": "whatever" })),
    ] {
        let bytes = format!(" {}\n", serde_json::to_string_pretty(&document).unwrap()).into_bytes();
        house.send("PUT", &format!("/v2/1/a/manifests/{tag}"), &[("content-type", media_type)], bytes.clone()).await.ok(201);
        // Whatever a client says it takes, it gets what was pushed, unchanged and not compressed.
        for accept in ["*/*", OCI_INDEX, "text/html"] {
            let headers = [("accept", accept), ("accept-encoding", "gzip, br, zstd")];
            let got = house.send("GET", &format!("/v2/1/a/manifests/{tag}"), &headers, Body::empty()).await.ok(200);
            assert_eq!((got.header("content-type"), got.header("content-encoding")), (media_type, ""), "{tag}");
            assert!(got.body == bytes && got.header("docker-content-digest") == Digest::of(&bytes).to_string(), "{tag}");
        }
    }
    let artifact = json!({ "mediaType": old, "blobs": [part("a/b", &Digest::of(b"gone"), 4)] });
    house.manifest("1/a", "v1", old, &artifact).await.refused(400, "MANIFEST_BLOB_UNKNOWN");
}

#[tokio::test]
async fn a_push_by_digest_may_name_its_tags() {
    let house = House::new().await;
    let (config, layer) = (house.blob("1/a", b"{}").await, house.blob("1/a", b"layer").await);
    let bytes = serde_json::to_vec(&image(&config, &layer)).unwrap();
    let wide = sha512(&bytes);
    for digest in [Digest::of(&bytes), wide.clone()] {
        let put = async |query: &str| {
            let path = format!("/v2/1/a/manifests/{digest}?{query}");
            house.send("PUT", &path, &[("content-type", OCI_IMAGE)], bytes.clone()).await
        };
        let before = pushes::unhandled(&house.db, 1000).await.unwrap().len();
        let answer = put("tag=v1&tag=v1.0&tag=v1&tag=latest").await.ok(201);
        let tags: Vec<&str> = answer.headers.get_all("oci-tag").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!((tags, answer.header("docker-content-digest")), (vec!["v1", "v1.0", "latest"], digest.to_string().as_str()));
        assert_eq!(house.get("/v2/1/a/manifests/v1.0").await.ok(200).header("docker-content-digest"), digest.to_string());
        assert_eq!(pushes::unhandled(&house.db, 1000).await.unwrap().len(), before + 3, "each tag is a push");
        put("tag=fine&tag=-odd").await.refused(400, "TAG_INVALID");
        house.get("/v2/1/a/manifests/fine").await.refused(404, "MANIFEST_UNKNOWN");
        let many: Vec<String> = (0..101).map(|n| format!("tag=t{n}")).collect();
        put(&many.join("&")).await.refused(414, "UNSUPPORTED");
        put(&many[..100].join("&")).await.ok(201);
    }
    // A push by tag may say which digest it is to have.
    let headers = [("content-type", OCI_IMAGE)];
    let put = house.send("PUT", &format!("/v2/1/a/manifests/v2?digest={wide}"), &headers, bytes.clone()).await.ok(201);
    assert_eq!(put.header("docker-content-digest"), wide.to_string());
    let path = format!("/v2/1/a/manifests/v3?digest={}", Digest::of(b"other"));
    house.send("PUT", &path, &headers, bytes.clone()).await.refused(400, "DIGEST_INVALID");
    let path = format!("/v2/1/a/manifests/{}", sha512(b"other"));
    assert!(house.send("PUT", &path, &headers, bytes.clone()).await.refused(400, "DIGEST_INVALID").contains(wide.hex()));
    house.get("/v2/1/a/manifests/v3").await.refused(404, "MANIFEST_UNKNOWN");
}
