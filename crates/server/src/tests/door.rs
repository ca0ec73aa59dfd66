//! What is let in, what is not, and what a push is told.

use image::pack::{File, Pack, Packed};
use serde_json::{Value, json};

use super::world::{EMAIL, World};
use crate::config::DoorRule;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

async fn artifact(world: &World, extra: Value) -> Vec<u8> {
    let config = world.blob("1/a", b"{}").await;
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
        "config": { "mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": config, "size": 2 },
    });
    manifest.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    serde_json::to_vec(&manifest).unwrap()
}

async fn engine(world: &World) -> String {
    let create =
        "mutation { createEngine(input: {name: \"Words\", categoryId: \"keyword\", deploymentModel: FullyNetworkIsolated}) { id } }";
    world.as_person(EMAIL, create).await["createEngine"]["id"].as_str().unwrap().to_owned()
}

fn image(engine: Option<&str>) -> Packed {
    let pack = Pack::new(checks::evidence::platform()).layer(vec![File::new("keyword", 0o755, "#!/bin/sh\n")]).entrypoint(["/keyword"]);
    match engine {
        Some(id) => pack.layer(vec![File::new("var/manifest.json", 0o644, json!({ "engineId": id }).to_string())]).build().unwrap(),
        None => pack.build().unwrap(),
    }
}

async fn unclaimed(world: &World) -> usize {
    world.as_person(EMAIL, "{ unclaimedPushes { count } }").await["unclaimedPushes"]["count"].as_u64().unwrap() as usize
}

#[tokio::test]
async fn by_default_only_what_can_never_become_a_build_is_refused() {
    let world = World::new().await;
    let chart = artifact(&world, json!({})).await;
    let answer = world.put("1/a", "1.0.0", OCI_MANIFEST, &chart).await;
    let words = ["not-an-image: ", "helm", "http://gate.test/docs/pushing"];
    assert_eq!(answer.refuses(403, "DENIED", &words).json()["errors"][0]["detail"]["reason"], "not-an-image");
    world.get("/docs/pushing", "").await.is(200);

    // The standard lets a registry keep any artifact; what it is to the gate is said afterwards.
    let artifact_type = json!({ "artifactType": "application/x-model" });
    let model = artifact(&world, artifact_type).await;
    world.put("1/a", "model", OCI_MANIFEST, &model).await.is(201);
    assert_eq!(unclaimed(&world).await, 1);
    let strict = World::with(|config| config.registry.door.refuse = vec![DoorRule::NotAnImage]).await;
    artifact(&strict, json!({})).await;
    strict.put("1/a", "model", OCI_MANIFEST, &model).await.refuses(403, "DENIED", &["not-an-image: ", "application/x-model"]);

    let digest = model::digest::Digest::of(&chart);
    world.put("1/a", &digest.to_string(), OCI_MANIFEST, &chart).await.is(201);
    let subject = json!({ "mediaType": OCI_MANIFEST, "digest": model::digest::Digest::of(b"not there yet"), "size": 3 });
    let sbom = artifact(&world, json!({ "subject": subject, "artifactType": "application/spdx+json" })).await;
    world.put("1/a", "sbom", OCI_MANIFEST, &sbom).await.is(201);
    world.put("1/a", &format!("sha256-{}.sig", "a".repeat(64)), OCI_MANIFEST, &chart).await.is(201);
    // An image without a manifest of the engine is taken, and told of; by then all pushes before it were handled.
    let told = world.push(&image(None).attested(), "1/a", "v1").await.is(201);
    assert!(told.header("warning").starts_with("299 - \"This push became no build (manifest.missing)"), "{told:?}");
    assert_eq!(unclaimed(&world).await, 2);
}

#[tokio::test]
async fn a_push_is_told_what_it_became() {
    let world = World::with(|config| config.gate.workers = 1).await;
    let id = engine(&world).await;
    let image = image(Some(&id)).attested();
    let told = world.push(&image, "1/a", "v1").await.is(201).header("warning").to_owned();
    let page = format!("{}/builds/", world.app.public_url);
    assert!(told.starts_with("299 - \"Build 1 of engine Words will not be accepted: ") && told.contains(&page), "{told}");
    let again = world.push(&image, "1/a", "v2").await.is(201).header("warning").to_owned();
    assert!(again.starts_with("299 - \"This image is build 1 of engine Words already"), "{again}");
    let builds = world.as_person(EMAIL, &format!("{{ engine(id: \"{id}\") {{ builds {{ count }} }} }}")).await;
    assert_eq!(builds["engine"]["builds"]["count"], 1, "an index with an attestation is one build, under two tags too");
    assert_eq!(unclaimed(&world).await, 0);
}

#[tokio::test]
async fn nobody_waits_when_the_settings_say_so() {
    let world = World::with(|config| config.registry.tell_ms = 0).await;
    let answer = world.push(&image(None), "1/a", "v1").await.is(201);
    assert!(!answer.headers.contains_key("warning"));
}

#[tokio::test]
async fn the_door_can_ask_for_an_engine() {
    let world = World::with(|config| config.registry.door.refuse = vec![DoorRule::Unclaimed]).await;
    let id = engine(&world).await;
    let answer = world.push(&image(None).attested(), "1/a", "v1").await;
    answer.refuses(403, "DENIED", &["manifest.missing: ", "/var/manifest.json", "http://gate.test/docs/checks/manifest"]);
    let answer = world.push(&image(Some("7c9b9ac1-0000-4000-8000-000000000000")), "1/a", "v1").await;
    answer.refuses(403, "DENIED", &["manifest.engineId: ", "organization 1 has no engine"]);
    world.push(&image(Some(&id)).attested(), "1/a", "v1").await.is(201);
    // Charts are not what this rule is about.
    let chart = artifact(&world, json!({})).await;
    world.put("1/a", "1.0.0", OCI_MANIFEST, &chart).await.is(201);
}

#[tokio::test]
async fn the_door_can_refuse_what_would_be_invalid() {
    let world = World::with(|config| config.registry.door.refuse = vec![DoorRule::Invalid]).await;
    let id = engine(&world).await;
    let answer = world.push(&image(Some(&id)), "1/a", "v1").await.is(403);
    let error = &answer.json()["errors"][0];
    assert!(error["detail"]["page"].as_str().unwrap().starts_with("http://gate.test/docs/checks/"), "{answer:?}");
    assert!(error["message"].as_str().unwrap().starts_with(error["detail"]["reason"].as_str().unwrap()), "{answer:?}");
    let builds = world.as_person(EMAIL, &format!("{{ engine(id: \"{id}\") {{ builds {{ count }} }} }}")).await;
    assert_eq!(builds["engine"]["builds"]["count"], 0);
    world.push(&image(None), "1/a", "v1").await.is(201);
}
