//! The manifest of an engine and the validation tool, as clients see them.

use checks::contract::output::UnknownFields;
use serde_json::{Value, json};

use super::world::{Answer, EMAIL, World};

const TOOL: &str = "/v3/tools/engine/validate";

async fn post(world: &World, path: &str, body: String) -> Answer {
    world.send("POST", path, &[("content-type", "application/json")], body).await
}

fn transcript(word: &Value) -> Value {
    json!({"validationContracts": ["transcript"], "series": [{"startTimeMs": 0, "stopTimeMs": 9, "words": [word]}]})
}

#[tokio::test]
async fn a_valid_document_comes_back_and_an_invalid_one_is_explained_without_any_login() {
    let world = World::new().await;
    let valid = transcript(&json!({"word": "a"}));
    for path in [TOOL.to_owned(), format!("{TOOL}/")] {
        let answer = post(&world, &path, valid.to_string()).await.is(200);
        assert_eq!(answer.json(), json!({"data": {"valid": true, "processed": valid}}));
    }
    let answer = post(&world, TOOL, transcript(&json!({"word": "a", "start": 1})).to_string()).await.is(400);
    let error = &answer.json()["errors"][0];
    assert_eq!((&error["name"], &error["validationErrors"][0]["dataPath"]), (&json!("invalid_input"), &json!(".series[0].words[0]")));
    assert!(error["message"].as_str().unwrap().contains("additional properties"), "{error:#}");
    for (body, says) in [("{", "not JSON"), ("", "is empty"), ("[]", "should be object"), ("{}", "validationContracts")] {
        let answer = post(&world, TOOL, body.to_owned()).await.is(400).json();
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains(says), "{body}: {answer:#}");
        assert!(answer["errors"][0]["validationErrors"].is_array(), "{answer:#}");
    }
    let large = transcript(&json!({"word": "a".repeat(2 << 20)})).to_string();
    let answer = post(&world, TOOL, large).await.is(413).json();
    assert_eq!((&answer["errors"][0]["name"], &answer["errors"][0]["data"]["limitInBytes"]), (&json!("invalid_input"), &json!(1 << 20)));
    assert!(world.get(TOOL, "").await.is(400).body.contains("POST"));
}

#[tokio::test]
async fn the_settings_of_the_tool_hold() {
    let world = World::with(|config| {
        config.validate.unknown_fields = UnknownFields::Strip;
        config.validate.invalid_status = 422;
    })
    .await;
    let answer = post(&world, TOOL, transcript(&json!({"word": "a", "start": 1})).to_string()).await.is(200);
    assert_eq!(answer.json()["data"]["processed"], transcript(&json!({"word": "a"})));
    post(&world, TOOL, transcript(&json!({"wrod": "a"})).to_string()).await.is(422);
}

#[tokio::test]
async fn the_api_has_the_same_tool() {
    let world = World::new().await;
    let valid = "mutation { validateEngineOutput(input: {validationContracts: [\"language\"], language: \"en\"}) }";
    assert_eq!(world.as_person(EMAIL, valid).await["validateEngineOutput"], true);
}

#[tokio::test]
async fn the_manifest_of_an_engine_is_ready_to_use_and_for_its_organization_alone() {
    let world = World::new().await;
    let create =
        "mutation { createEngine(input: {name: \"Words\", categoryId: \"keyword\", deploymentModel: FullyNetworkIsolated}) { id } }";
    let engine = world.as_person(EMAIL, create).await["createEngine"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v3/engines/{engine}/manifest");
    world.get(&path, "").await.is(401);
    let session = world.session(EMAIL).await;
    let answer = world.get(&path, &session).await.is(200);
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"manifest.json\"");
    let terms = checks::Terms {
        engine: Some(engine.parse().unwrap()),
        capability: Some(model::capability::Capability::Keyword),
        ..checks::Terms::default()
    };
    let found = checks::contract::manifest::judge("var/manifest.json", answer.body.as_bytes(), &terms);
    assert!(found.is_empty(), "{found:#?}");
    for missing in ["00000000-0000-4000-8000-000000000000", "no-id"] {
        world.get(&format!("/v3/engines/{missing}/manifest"), &session).await.is(404);
    }
    world.person("bob@example.org", 2, "developer").await;
    world.get(&path, &world.session("bob@example.org").await).await.is(404);
}

#[tokio::test]
async fn an_engine_gets_a_sample_and_a_truth_of_its_own() {
    let world = World::new().await;
    let create =
        "mutation { createEngine(input: {name: \"Words\", categoryId: \"keyword\", deploymentModel: FullyNetworkIsolated}) { id } }";
    let engine = world.as_person(EMAIL, create).await["createEngine"]["id"].as_str().unwrap().to_owned();
    let session = world.session(EMAIL).await;
    let put = async |what: &str, kind: &str, body: &str| {
        let headers = [("authorization", session.as_str()), ("content-type", kind)];
        world.send("PUT", &format!("/v3/engines/{engine}/{what}"), &headers, body.to_owned()).await
    };
    let path = |what: &str| format!("/v3/engines/{engine}/{what}");
    world.get(&path("sample"), &session).await.is(404);
    put("sample?name=a.txt", "text/plain", "some words").await.is(204);
    put("sample", "text/plain", "other words").await.is(204);
    assert_eq!(world.get(&path("sample"), &session).await.is(200).body, "other words");
    for (what, kind, body, says) in [
        ("sample", "nonsense", "x", "audio/wav"),
        ("sample", "text/plain", "", "1 to 16777216 bytes"),
        ("truth", "application/json", "{\"words\": 1}", "truth"),
    ] {
        let answer = put(what, kind, body).await.is(400);
        assert!(answer.body.contains(says), "{answer:?}");
    }
    put("truth", "application/json", "{\"labels\": [\"harbour\"]}").await.is(204);
    assert_eq!(world.send("DELETE", &path("sample"), &[("authorization", &session)], "").await.status, 204);
    assert_eq!(world.send("DELETE", &path("sample"), &[("authorization", &session)], "").await.status, 404);
    world.person("bob@example.org", 2, "developer").await;
    let bob = world.session("bob@example.org").await;
    assert_eq!(world.send("PUT", &path("truth"), &[("authorization", &bob), ("content-type", "text/plain")], "x").await.status, 404);
    world.get(&path("truth"), &bob).await.is(404);
    assert_eq!(world.send("PUT", &path("truth"), &[("content-type", "text/plain")], "x").await.status, 401);
}
