//! Lists of referrers.

use axum::body::Body;
use model::digest::Digest;
use registry::Caller;
use serde_json::{Value, json};

use crate::house::{House, OCI_IMAGE, OCI_INDEX, bob, request, sha512};

/// A manifest that speaks about `subject`.
fn about(subject: &Digest, config: &Digest, artifact_type: Option<&str>, annotations: Value) -> Value {
    let mut document = json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": { "mediaType": "application/vnd.example.config", "digest": config, "size": 2 },
        "layers": [],
        "subject": { "mediaType": OCI_IMAGE, "digest": subject, "size": 1 },
        "annotations": annotations,
    });
    if let Some(artifact_type) = artifact_type {
        document["artifactType"] = json!(artifact_type);
    }
    document
}

async fn push(house: &House, document: &Value) -> Digest {
    let bytes = serde_json::to_vec(document).unwrap();
    let digest = Digest::of(&bytes);
    let media_type = document["mediaType"].as_str().unwrap();
    let put = house.send("PUT", &format!("/v2/1/a/manifests/{digest}"), &[("content-type", media_type)], bytes).await.ok(201);
    assert_eq!(put.header("oci-subject"), document["subject"]["digest"].as_str().unwrap_or_default());
    digest
}

async fn list(house: &House, subject: &Digest, query: &str) -> Vec<Value> {
    let answer = house.get(&format!("/v2/1/a/referrers/{subject}{query}")).await.ok(200);
    assert_eq!((answer.header("content-type"), answer.json()["mediaType"].clone()), (OCI_INDEX, json!(OCI_INDEX)));
    assert_eq!(answer.json()["schemaVersion"], 2);
    assert_eq!(answer.header("oci-filters-applied"), if query.contains("artifactType") { "artifactType" } else { "" });
    answer.json()["manifests"].as_array().unwrap().clone()
}

#[tokio::test]
async fn they_are_listed_with_their_types_and_annotations() {
    let house = House::new().await;
    let (config, subject) = (house.blob("1/a", b"{}").await, house.image("1/a", "v1", b"layer").await);
    assert_eq!(list(&house, &subject, "").await, Vec::<Value>::new());
    let plain = push(&house, &about(&subject, &config, None, json!({ "a": "b" }))).await;
    let signature = push(&house, &about(&subject, &config, Some("a/sig"), json!({ "k": "v", "odd": 7 }))).await;
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "subject": { "mediaType": OCI_IMAGE, "digest": subject, "size": 1 } });
    let index = push(&house, &index).await;
    let entries = list(&house, &subject, "").await;
    let entry = |digest: &Digest| entries.iter().find(|entry| entry["digest"] == digest.to_string()).unwrap().clone();
    let size = |digest: Digest| {
        let house = &house;
        async move { house.get(&format!("/v2/1/a/manifests/{digest}")).await.body.len() }
    };
    assert_eq!(entries.len(), 3);
    let (plain_size, signature_size) = (size(plain.clone()).await, size(signature.clone()).await);
    assert_eq!(
        entry(&plain),
        json!({ "mediaType": OCI_IMAGE, "digest": plain, "size": plain_size, "artifactType": "application/vnd.example.config", "annotations": { "a": "b" } })
    );
    assert_eq!(
        entry(&signature),
        json!({ "mediaType": OCI_IMAGE, "digest": signature, "size": signature_size, "artifactType": "a/sig", "annotations": { "k": "v" } })
    );
    assert_eq!((&entry(&index)["artifactType"], &entry(&index)["mediaType"]), (&Value::Null, &json!(OCI_INDEX)));
    for (wanted, found) in [("a/sig", vec![&signature]), ("application/vnd.example.config", vec![&plain]), ("none", vec![])] {
        let some = list(&house, &subject, &format!("?artifactType={}", wanted.replace('/', "%2F"))).await;
        assert_eq!(
            some.iter().map(|entry| entry["digest"].clone()).collect::<Vec<_>>(),
            found.iter().map(|one| json!(one)).collect::<Vec<_>>()
        );
    }
    // Deleted, it is no longer listed.
    house.send("DELETE", &format!("/v2/1/a/manifests/{signature}"), &[], Body::empty()).await.ok(202);
    assert_eq!(list(&house, &subject, "").await.len(), 2);
}

#[tokio::test]
async fn a_subject_need_not_be_there() {
    let house = House::new().await;
    let config = house.blob("1/a", b"{}").await;
    for subject in [Digest::of(b"later"), sha512(b"later")] {
        let signature = push(&house, &about(&subject, &config, Some("a/sig"), json!(null))).await;
        assert_eq!(list(&house, &subject, "").await[0]["digest"], json!(signature));
        assert_eq!(list(&house, &subject, "").await[0].get("annotations"), None);
    }
    let odd = about(&Digest::of(b"x"), &config, None, json!({})).to_string().replace(Digest::of(b"x").hex(), "12");
    house.send("PUT", "/v2/1/a/manifests/v1", &[("content-type", OCI_IMAGE)], odd).await.refused(400, "MANIFEST_INVALID");
    let none = Digest::of(b"nobody speaks of this");
    for path in [format!("/v2/1/a/referrers/{none}"), format!("/v2/1/unknown/referrers/{none}")] {
        assert_eq!(house.get(&path).await.ok(200).json(), json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] }));
    }
    house.get("/v2/1/a/referrers/sha256:12").await.refused(400, "DIGEST_INVALID");
    let path = format!("/v2/1/a/referrers/{none}");
    house.ask(Caller::Known(bob()), request("GET", &path, &[], Body::empty())).await.refused(403, "DENIED");
    assert_eq!(house.send("HEAD", &path, &[], Body::empty()).await.ok(200).header("content-type"), OCI_INDEX);
}

#[tokio::test]
async fn many_come_page_by_page() {
    let house = House::with(|options| options.limits.list_page = 4).await;
    let (config, subject) = (house.blob("1/a", b"{}").await, Digest::of(b"subject"));
    let mut all = Vec::new();
    for n in 0..11 {
        let kind = if n % 2 == 0 { "a/even" } else { "a/odd" };
        all.push((push(&house, &about(&subject, &config, Some(kind), json!({ "n": n.to_string() }))).await.to_string(), kind));
    }
    all.sort();
    for (query, kind) in [("", None), ("?artifactType=a%2Feven", Some("a/even"))] {
        let (mut found, mut pages) = (Vec::new(), 0);
        let mut next = format!("/v2/1/a/referrers/{subject}{query}");
        while !next.is_empty() {
            let page = house.get(&next).await.ok(200);
            found.extend(page.json()["manifests"].as_array().unwrap().iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()));
            next = page.header("link").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
            pages += 1;
        }
        let wanted: Vec<String> =
            all.iter().filter(|(_, its)| kind.is_none_or(|kind| kind == *its)).map(|(digest, _)| digest.clone()).collect();
        assert_eq!((found, pages), (wanted.clone(), wanted.len().div_ceil(4)));
    }
}

#[tokio::test]
async fn what_old_clients_list_themselves_is_shown_too() {
    let house = House::new().await;
    let (config, subject) = (house.blob("1/a", b"{}").await, house.image("1/a", "v1", b"layer").await);
    let own = push(&house, &about(&subject, &config, Some("a/sig"), json!({}))).await;
    // A type we do not look into, as an older tool pushes it, and something about another image.
    let old = "application/vnd.example.signature+json";
    let foreign = Digest::of(b"{\"x\":1}");
    house.send("PUT", &format!("/v2/1/a/manifests/{foreign}"), &[("content-type", old)], "{\"x\":1}").await.ok(201);
    let elsewhere = push(&house, &about(&Digest::of(b"else"), &config, Some("a/sig"), json!({}))).await;
    let entry =
        |digest: &Digest| json!({ "mediaType": old, "digest": digest, "size": 7, "artifactType": "a/old", "annotations": { "k": "v" } });
    let listed = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry(&foreign), entry(&own), entry(&elsewhere), entry(&Digest::of(b"gone"))] });
    let tag = format!("sha256-{}", subject.hex());
    house.manifest("1/a", &tag, OCI_INDEX, &listed).await.ok(201);
    let mut digests: Vec<Value> = list(&house, &subject, "").await.iter().map(|entry| entry["digest"].clone()).collect();
    let mut wanted = vec![json!(own), json!(foreign)];
    digests.sort_by_key(Value::to_string);
    wanted.sort_by_key(Value::to_string);
    assert_eq!(digests, wanted);
    assert_eq!(list(&house, &subject, "?artifactType=a/old").await, [entry(&foreign)]);
    // It stays the tag it is.
    assert_eq!(house.get(&format!("/v2/1/a/manifests/{tag}")).await.ok(200).json(), listed);
    assert!(house.get("/v2/1/a/tags/list").await.json()["tags"].as_array().unwrap().contains(&json!(tag)));
}
