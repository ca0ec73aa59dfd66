//! Words that make no sense, in every place of every field: whatever is sent, the answer is a documented error of a moderate size, no fault
//! of ours, and what is there stays as it is. Fields are taken from the schema, so that a new one is in it by itself.

use serde_json::{Value, json};

use super::{
    api::{Api, Leaf, UNKNOWN},
    holdings::{ALL, OTHER, caller, fresh, holdings, world},
    world::{World, bearer},
};
use crate::graphql::MAX_BODY;

/// What a field may answer with.
const NAMES: [&str; 6] = ["capacity_exceeded", "invalid_input", "not_allowed", "not_found", "not_implemented", "rate_limited"];

/// Literals that a type takes and a person would not write.
fn odd(leaf: &Leaf, deleted: &[(&'static str, String)]) -> Vec<String> {
    let text = |text: &str| serde_json::to_string(text).unwrap();
    let mut words = vec!["null".to_owned()];
    match leaf.scalar.as_str() {
        "ID" | "String" => {
            let many = [
                "",
                " ",
                "0",
                "-1",
                "x",
                UNKNOWN,
                "../../etc/passwd",
                "%00",
                "\u{0}",
                "\u{202e}\u{feff}",
                "' OR 1=1 --",
                "{\"$ne\": 1}",
                "1/a/../../2/words",
                "00000000-0000-0000-0000-000000000000",
            ];
            words.extend(many.map(text));
            words.extend([text(&"9".repeat(100_000)), text(&"\u{1F6A2}".repeat(30_000))]);
            words.extend(deleted.iter().map(|(_, id)| text(id)));
            words.extend(["7".to_owned(), "[\"a\"]".to_owned(), "{a: 1}".to_owned()]);
        }
        "Int" => words.extend(["-1", "0", "2147483648", "9223372036854775807", "99999999999999999999", "\"1\"", "1.5"].map(Into::into)),
        "DateTime" => {
            words.extend(["-1", "0", "9223372036854775807", "\"never\"", "\"+292277026596-12-04\"", "\"\"", "[]"].map(Into::into))
        }
        "JSON" | "JSONData" => words.extend([text("x"), "[]".into(), "-1".into(), format!("{}1{}", "[".repeat(25), "]".repeat(25))]),
        _ => words.extend(["NoSuchWord".to_owned(), "\"x\"".to_owned(), "7".to_owned()]),
    }
    words
}

/// What the database holds of these ids.
async fn snapshot(world: &World, ids: &[(&'static str, String)]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (kind, table, columns) in [
        ("engine", "engines", "name || disabled || deleted || last_version"),
        ("build", "builds", "status || attempts || modified_at"),
        ("user", "users", "email || roles || password_hash"),
        ("waiver", "waivers", "reason || coalesce(revoked_at, '')"),
        ("token", "tokens", "name"),
        ("invitation", "invitations", "email || roles"),
    ] {
        for (_, id) in ids.iter().filter(|row| row.0 == kind) {
            let query = format!("SELECT {columns} FROM {table} WHERE id = $1");
            let row = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(id).fetch_one(world.app.db.read()).await.unwrap();
            found.push((id.clone(), row));
        }
    }
    found
}

/// The same things as another organization once had, all gone by now.
async fn gone(world: &World) -> Vec<(&'static str, String)> {
    let ids = holdings(world, ALL).await;
    let id = |kind: &str| ids.iter().find(|row| row.0 == kind).unwrap().1.clone();
    let session = bearer(&fresh(world, ALL).await);
    for query in [
        format!("deleteEngine(id: \"{}\") {{ id }}", id("engine")),
        format!("removeUser(id: \"{}\") {{ id }}", id("user")),
        format!("revokeInvitation(id: \"{}\") {{ id }}", id("invitation")),
        format!("revokeToken(id: \"{}\") {{ id }}", id("token")),
        format!("revokeWaiver(id: \"{}\") {{ id }}", id("waiver")),
    ] {
        let answer = world.graphql(&session, &format!("mutation {{ {query} }}")).await.json();
        assert!(answer["errors"].is_null(), "{answer}");
    }
    // An engine that was deleted can be taken back, and that is right.
    ids.into_iter().filter(|(kind, _)| !["engine", "recording", "repository"].contains(kind)).collect()
}

#[tokio::test]
async fn every_place_of_every_field() {
    let world = world().await;
    let api = Api::read(&world).await;
    let deleted = gone(&world).await;
    let theirs = holdings(&world, OTHER).await;
    let before = snapshot(&world, &theirs).await;
    assert_eq!(before.len(), theirs.len() - 2, "all but the repository and the recording is looked at");
    let me = caller(&world, ALL).await.user;
    let mut asked = 0;
    for field in &api.roots {
        for leaf in api.leaves(field) {
            let mut words = odd(&leaf, &deleted);
            if leaf.scalar == "ID" {
                words.extend(theirs.iter().map(|(_, id)| format!("\"{id}\"")));
            }
            for word in words {
                let session = bearer(&crate::auth::session::begin(&world.app.db, me).await.unwrap());
                let query = api.query(field, &[(&leaf.path, &word)]);
                let answer = world.graphql(&session, &query).await;
                let shown: String = format!("{} {} = {word}", field.name, leaf.path).chars().take(200).collect();
                assert!([200, 400, 429].contains(&answer.status), "{shown}: {answer:?}");
                assert!(answer.body.len() < 8_000, "{shown}: an answer of {} bytes", answer.body.len());
                let errors = answer.json()["errors"].clone();
                for error in errors.as_array().map(Vec::as_slice).unwrap_or_default() {
                    let name = error["name"].as_str().unwrap_or("no name");
                    // Some fields are about tokens themselves.
                    let about_tokens = leaf.path == "token" && name == "authentication_error";
                    assert!(NAMES.contains(&name) || about_tokens, "{shown}: {error}");
                    assert!(!error["message"].as_str().unwrap_or_default().is_empty(), "{shown}: {error}");
                }
                asked += 1;
            }
        }
        // What must be given and is not.
        if field.args.iter().any(|arg| arg.must()) {
            let call = if field.is_mutation { "mutation" } else { "query" };
            let selection = if api.objects.contains_key(field.returns.name()) { " { __typename }" } else { "" };
            let answer = world.graphql("", &format!("{call} {{ {}{selection} }}", field.name)).await.json();
            assert_eq!(answer["errors"][0]["name"], "invalid_input", "{}: {answer}", field.name);
        }
    }
    assert!(asked > 1_000, "only {asked}");
    assert_eq!(snapshot(&world, &theirs).await, before);
}

/// Sends a body with its length, as a client does.
async fn sized(world: &World, body: String) -> super::world::Answer {
    let length = body.len().to_string();
    world.send("POST", "/v3/graphql", &[("content-type", "application/json"), ("content-length", &length)], body).await
}

fn with_text(bytes: usize) -> String {
    let body = json!({ "query": "query($x: String) { __typename @skip(if: false) engineCategories(name: $x) { count } }", "variables": { "x": "" } });
    let body = body.to_string();
    let room = bytes - body.len();
    body.replace("\"x\":\"\"", &format!("\"x\":\"{}\"", "a".repeat(room)))
}

#[tokio::test]
async fn ten_megabytes_and_one_byte_more() {
    let world = World::new().await;
    let whole = with_text(MAX_BODY);
    assert_eq!(whole.len(), MAX_BODY);
    // It is read and understood; only the caller is nobody.
    let answer = sized(&world, whole).await.is(200);
    assert_eq!(answer.json()["errors"][0]["name"], "authentication_error");
    assert!(answer.body.len() < 1_000);
    let more = with_text(MAX_BODY + 1);
    let announced = sized(&world, more.clone()).await.is(413);
    let unannounced = world.send("POST", "/v3/graphql", &[("content-type", "application/json")], more).await.is(413);
    for (answer, size) in [(announced, json!(MAX_BODY + 1)), (unannounced, Value::Null)] {
        let error = &answer.json()["errors"][0];
        assert_eq!((&error["name"], &error["data"]["limitInBytes"]), (&json!("invalid_input"), &json!(MAX_BODY)));
        assert_eq!(error["data"]["requestSize"], size);
        assert!(error["data"]["errorId"].as_str().is_some_and(|id| id.len() == 36), "{error}");
    }
}

#[tokio::test]
async fn queries_that_are_deep_wide_or_never_end() {
    let world = World::new().await;
    let nested = |depth: usize, open: &str, close: &str| format!("{}id{}", open.repeat(depth), close.repeat(depth));
    let wide: String = (0..5_000).map(|n| format!("a{n}: me {{ id }} ")).collect();
    for (what, query) in [
        ("depth 1,000", nested(1_000, "{ me ", " }")),
        ("depth 100,000", nested(100_000, "{ me ", " }")),
        ("a deep list", format!("mutation {{ validateEngineOutput(input: {}1{}) }}", "[".repeat(1_000), "]".repeat(1_000))),
        ("a deep object", format!("mutation {{ validateEngineOutput(input: {}1{}) }}", "{a: ".repeat(1_000), "}".repeat(1_000))),
        ("many aliases", format!("{{ {wide} }}")),
        ("a fragment of itself", "{ ...A } fragment A on Query { ...A }".to_owned()),
        ("fragments of each other", "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }".to_owned()),
        ("a type that is a list of lists", format!("query($x: {}ID{}) {{ me {{ id }} }}", "[".repeat(1_000), "]".repeat(1_000))),
        ("no words", String::new()),
        ("half a query", "{ me { id".to_owned()),
        ("nothing but brackets", "{".repeat(200_000)),
    ] {
        let answer = world.graphql("", &query).await;
        assert!([200, 400].contains(&answer.status), "{what}: {:.300}", answer.body);
        assert!(answer.body.len() < 4_000, "{what}: {} bytes", answer.body.len());
        let error = &answer.json()["errors"][0];
        assert_eq!(error["name"], "invalid_input", "{what}: {error}");
        for field in ["message", "name", "time_thrown", "data", "path", "locations"] {
            assert!(error.get(field).is_some(), "{what}: {field} is missing in {error}");
        }
    }
    let deep = format!("{{\"query\": \"{{ me {{ id }} }}\", \"variables\": {{\"a\": {}1{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = sized(&world, deep).await.is(400);
    assert_eq!(answer.json()["errors"][0]["name"], "invalid_input", "{:.300}", answer.body);
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let world = World::with(|config| config.api.token_requests = 5).await;
    let mut answers = Vec::new();
    for _ in 0..12 {
        answers.push(world.graphql("", "{ __typename }").await);
    }
    // The window may have changed once meanwhile; of so many one is surely refused.
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=10).contains(&wait), "{refused:?}");
    let error = &refused.json()["errors"][0];
    assert_eq!((&error["name"], &error["data"]["retryAfter"]), (&json!("rate_limited"), &json!(wait)));
    assert_eq!(answers[0].status, 200);
}
