//! Who may answer for a known vulnerability, for what and how long.

use serde_json::{Value, json};

use super::world::{EMAIL, World};
use crate::clock;

const DEV: &str = "dev@example.org";
const REVIEWER: &str = "rev@example.org";
const BOB: &str = "bob@example.org";
const DAY: i64 = 86_400_000;

fn create(more: &str, expires: i64) -> String {
    format!(
        "mutation {{ createWaiver(input: {{vulnerability: \"CVE-2026-1\", reason: \"not reachable\", expiresDateTime: {expires}{more}}}) \
         {{ id author isActive untilFixed }} }}"
    )
}

async fn ask(world: &World, email: &str, query: &str) -> Value {
    world.graphql(&world.session(email).await, query).await.is(200).json()
}

#[tokio::test]
async fn reviewers_make_and_revoke_them_for_their_organization_alone() {
    let world = World::new().await;
    world.person(DEV, 1, "developer").await;
    world.person(REVIEWER, 1, "reviewer").await;
    world.person(BOB, 2, "developer,reviewer,admin,operator").await;
    let soon = clock::now_ms() + DAY;

    let refused = ask(&world, DEV, &create("", soon)).await;
    assert_eq!(refused["errors"][0]["name"], "not_allowed", "{refused}");
    let made = ask(&world, REVIEWER, &create(", untilFixed: true", soon)).await;
    let waiver = &made["data"]["createWaiver"];
    assert_eq!((&waiver["author"], &waiver["isActive"], &waiver["untilFixed"]), (&json!(REVIEWER), &json!(true), &json!(true)), "{made}");

    for (at, words) in [(clock::now_ms() - 1, "in the future"), (clock::now_ms() + 400 * DAY, "within a year")] {
        let refused = ask(&world, REVIEWER, &create("", at)).await;
        assert!(refused["errors"][0]["message"].as_str().unwrap().contains(words), "{refused}");
    }
    let unknown = ask(&world, REVIEWER, &create(", engineId: \"6a2f4f0e-6d0e-4a57-9c11-2f6c0b0f8f10\"", soon)).await;
    assert_eq!(unknown["errors"][0]["name"], "not_found", "{unknown}");

    let list = "{ waivers { count records { id author revokedBy } } }";
    assert_eq!(ask(&world, BOB, list).await["data"]["waivers"]["count"], 0);
    assert_eq!(ask(&world, DEV, list).await["data"]["waivers"]["count"], 1);
    let revoke = format!("mutation {{ revokeWaiver(id: {}) {{ revokedBy isActive }} }}", waiver["id"]);
    for (email, name) in [(BOB, "not_found"), (DEV, "not_allowed")] {
        assert_eq!(ask(&world, email, &revoke).await["errors"][0]["name"], name);
    }
    let revoked = ask(&world, REVIEWER, &revoke).await;
    assert_eq!(revoked["data"]["revokeWaiver"], json!({ "revokedBy": REVIEWER, "isActive": false }), "{revoked}");
    assert_eq!(ask(&world, REVIEWER, &revoke).await["errors"][0]["name"], "invalid_input");
    // Nothing is forgotten.
    assert_eq!(ask(&world, DEV, list).await["data"]["waivers"]["records"][0]["revokedBy"], REVIEWER);
}

#[tokio::test]
async fn what_is_changed_stands_in_the_audit_log() {
    let world = World::new().await;
    world.person(REVIEWER, 1, "reviewer").await;
    let engine =
        "mutation { createEngine(input: {name: \"Words\", categoryId: \"keyword\", deploymentModel: FullyNetworkIsolated}) { id } }";
    world.as_person(EMAIL, engine).await;
    let waiver = world.as_person(REVIEWER, &create("", clock::now_ms() + DAY)).await["createWaiver"]["id"].clone();
    world.as_person(REVIEWER, &format!("mutation {{ revokeWaiver(id: {waiver}) {{ id }} }}")).await;
    let token = world.as_person(EMAIL, "mutation { createApiToken(input: {name: \"laptop\"}) { record { id } } }").await;
    world.as_person(EMAIL, &format!("mutation {{ revokeToken(id: {}) {{ id }} }}", token["createApiToken"]["record"]["id"])).await;
    let log = world.as_person(EMAIL, "{ auditLog { records { actor action object } } }").await;
    let log: Vec<_> = log["auditLog"]["records"].as_array().unwrap().iter().map(|line| (&line["actor"], &line["action"])).collect();
    let (admin, reviewer) = (json!(EMAIL), json!(REVIEWER));
    let actions = ["token.revoke", "token.create", "waiver.revoke", "waiver.create", "engine.create"].map(|action| json!(action));
    let actors = [&admin, &admin, &reviewer, &reviewer, &admin];
    assert_eq!(log, actors.into_iter().zip(&actions).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_openvex_document_is_taken_whole_or_not_at_all() {
    let world = World::new().await;
    world.person(REVIEWER, 1, "reviewer").await;
    let session = world.session(REVIEWER).await;
    let import = async |document: Value| {
        let query = "mutation($document: JSONData!, $until: DateTime!) { importVex(input: {document: $document, expiresDateTime: $until}) \
                     { vulnerability package reason author } }";
        let variables = json!({ "document": document, "until": clock::now_ms() + DAY });
        let body = json!({ "query": query, "variables": variables }).to_string();
        let headers = [("content-type", "application/json"), ("authorization", session.as_str())];
        world.send("POST", "/v3/graphql", &headers, body).await.is(200).json()
    };
    let vex = |status: &str| {
        json!({
            "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/1", "author": "Example Security", "version": 1,
            "timestamp": "2026-01-01T00:00:00Z", "statements": [
                { "vulnerability": { "name": "CVE-1" }, "products": [{ "@id": "pkg:pypi/a" }], "status": status },
                { "vulnerability": { "name": "CVE-2" }, "products": [{ "@id": "pkg:pypi/a" }], "status": "fixed" },
            ],
        })
    };
    let refused = import(vex("not_affected")).await;
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("entry 1: its status is not_affected"), "{refused}");
    let mut unknown = vex("fixed");
    unknown["statements"][0]["products"] = json!([{ "identifiers": { "cpe23": "cpe:2.3:a:x:y" } }]);
    let refused = import(unknown).await;
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("entry 1, CVE-1: a product has neither"), "{refused}");
    let none = import(json!({ "version": 1, "waivers": [] })).await;
    assert!(none["errors"][0]["message"].as_str().unwrap().contains("0 of its statements"), "{none}");
    assert_eq!(world.graphql(&session, "{ waivers { count } }").await.json()["data"]["waivers"]["count"], 0);
    let made = import(vex("affected")).await;
    let expected =
        json!([{ "vulnerability": "CVE-2", "package": "pkg:pypi/a", "reason": "fixed (OpenVEX of Example Security)", "author": REVIEWER }]);
    assert_eq!(made["data"]["importVex"], expected, "{made}");
}
