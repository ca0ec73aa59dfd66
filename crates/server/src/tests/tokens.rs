//! `/v2/token`, and tokens for programs.

use serde_json::{Value, json};

use super::world::{EMAIL, PASSWORD, World, basic, bearer};
use crate::clock;

const POST: [(&str, &str); 2] = [("service", "plimsoll"), ("client_id", "tester")];

fn form<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    POST.iter().chain(more).copied().collect()
}

#[tokio::test]
async fn a_token_holds_what_was_asked_for_and_may_be_done() {
    let world = World::new().await;
    let before = clock::now_ms();
    let path = "/v2/token?service=plimsoll&scope=repository:1/a:pull,push&scope=repository:7/x:pull%20repository:1/b:pull,fly";
    let answer = world.get(path, &basic(EMAIL, PASSWORD)).await.is(200);
    assert_eq!(answer.text("scope"), "repository:1/a:pull,push repository:1/b:pull");
    assert_eq!((answer.json()["expires_in"].as_u64(), answer.text("token")), (Some(300), answer.text("access_token")));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.json()["refresh_token"].is_null(), "nobody asked for one");
    let issued: jiff::Timestamp = answer.text("issued_at").parse().unwrap();
    assert!((before..=clock::now_ms()).contains(&issued.as_millisecond()), "clients fetch a token per request when it looks old");
    let token = bearer(&answer.text("token"));
    world.get("/v2/", &token).await.is(200);
    world.get("/v2/1/a/tags/list", &token).await.refuses(404, "NAME_UNKNOWN", &[]);
    world.get("/v2/1/c/tags/list", &token).await.refuses(401, "UNAUTHORIZED", &["not issued to pull"]);
    let path = "/v2/token?service=elsewhere&scope=repository:1/a:pull";
    world.get(path, &basic(EMAIL, PASSWORD)).await.refuses(400, "UNSUPPORTED", &["service=plimsoll"]);
    world.token(&basic(EMAIL, PASSWORD), "nonsense").await.refuses(400, "UNSUPPORTED", &["must look like"]);
    world.token(&basic(EMAIL, "wrong"), "").await.refuses(401, "UNAUTHORIZED", &["password is wrong"]);
}

#[tokio::test]
async fn a_client_that_logged_in_needs_the_password_no_more() {
    let world = World::new().await;
    world.image("1/a", "v1").await;
    let login = "/v2/token?service=plimsoll&client_id=docker&offline_token=true";
    let refresh = world.get(login, &basic(EMAIL, PASSWORD)).await.is(200).text("refresh_token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str()), ("scope", "repository:1/a:pull,push")];
    let answer = world.post_token(&form(&fields)).await.is(200);
    assert_eq!(answer.text("scope"), "repository:1/a:pull,push");
    assert!(answer.json()["refresh_token"].is_null());
    let token = bearer(&answer.text("access_token"));
    world.get("/v2/1/a/manifests/v1", &token).await.is(200);

    // It is good for nothing else, and only its hash is on the disk.
    world.get("/v2/", &basic(EMAIL, &refresh)).await.is(401);
    world.get("/v2/", &bearer(&refresh)).await.is(401);
    assert!(world.graphql(&bearer(&refresh), "{ me { id } }").await.json()["errors"][0]["name"] == "authentication_error");
    for file in std::fs::read_dir(world.dir.path().join("data")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(refresh.len()).any(|window| window == refresh.as_bytes()), "{}", file.display());
    }

    let listed = world.as_person(EMAIL, "{ tokens { id kind name owner lastUsedDateTime } }").await;
    let listed = &listed["tokens"][0];
    assert_eq!(
        (listed["kind"].as_str(), listed["name"].as_str(), listed["owner"].as_str()),
        (Some("refresh"), Some("docker"), Some(EMAIL))
    );
    assert!(listed["lastUsedDateTime"].is_string());
    let revoke = format!("mutation {{ revokeToken(id: {}) {{ id message }} }}", listed["id"]);
    world.as_person(EMAIL, &revoke).await;
    world.post_token(&form(&fields)).await.refuses(401, "UNAUTHORIZED", &["log in again with docker login"]);
    world.get("/v2/1/a/manifests/v1", &token).await.refuses(401, "UNAUTHORIZED", &["gone"]);
}

#[tokio::test]
async fn the_form_of_oauth2_is_kept() {
    let world = World::new().await;
    let password = [("grant_type", "password"), ("username", EMAIL), ("password", PASSWORD), ("scope", "repository:1/a:push")];
    let online = world.post_token(&form(&password)).await.is(200);
    assert!(online.json()["refresh_token"].is_null() && online.text("scope") == "repository:1/a:push");
    let offline: Vec<(&str, &str)> = form(&password).into_iter().chain([("access_type", "offline")]).collect();
    assert!(world.post_token(&offline).await.is(200).text("refresh_token").starts_with("plimsoll-refresh-"));
    for (fields, status, error) in [
        (form(&[("grant_type", "client_credentials")]), 400, "unsupported_grant_type"),
        (form(&[]), 400, "unsupported_grant_type"),
        (password.to_vec(), 400, "invalid_request"),
        (vec![("grant_type", "password"), ("service", "other"), ("client_id", "x")], 400, "invalid_request"),
        (form(&[("grant_type", "password"), ("username", EMAIL), ("password", "wrong")]), 401, "invalid_grant"),
        (form(&[("grant_type", "refresh_token"), ("refresh_token", "plimsoll-refresh-no")]), 401, "invalid_grant"),
        (form(&[("grant_type", "password"), ("username", EMAIL), ("password", PASSWORD), ("scope", "x")]), 400, "invalid_scope"),
    ] {
        let answer = world.post_token(&fields).await.is(status);
        assert_eq!(answer.text("error"), error, "{answer:?}");
        assert_eq!(answer.text("error_description"), answer.json()["errors"][0]["message"]);
    }
    world.send("POST", "/v2/token", &[("content-type", "application/json")], "{}").await.refuses(400, "UNSUPPORTED", &["urlencoded"]);
}

#[tokio::test]
async fn a_public_repository_is_pulled_by_anybody_until_it_is_not() {
    let world = World::new().await;
    let (open, shut) = (world.image("1/open", "v1").await, world.image("1/shut", "v1").await);
    let host = world.app.public_url.split_once("://").unwrap().1.to_owned();
    world.token("", "repository:1/open:pull").await.refuses(401, "UNAUTHORIZED", &["docker login", &host]);
    let publish = |public: bool| format!("mutation {{ setRepositoryPublic(name: \"1/open\", isPublic: {public}) {{ name isPublic }} }}");
    let told = world.as_person(EMAIL, &publish(true)).await;
    assert_eq!(told["setRepositoryPublic"], json!({ "name": "1/open", "isPublic": true }));

    let answer = world.token("", "repository:1/open:pull,push repository:1/shut:pull").await.is(200);
    assert_eq!(answer.text("scope"), "repository:1/open:pull");
    let guest = bearer(&answer.text("token"));
    world.get(&open, &guest).await.is(200);
    for path in ["/v2/", &shut] {
        world.get(path, &guest).await.refuses(401, "UNAUTHORIZED", &["log in first"]);
    }
    let push = world.send("POST", "/v2/1/open/blobs/uploads/", &[("authorization", &guest)], "").await;
    push.refuses(401, "UNAUTHORIZED", &["log in first"]);
    // Nobody at all is still challenged.
    world.get("/v2/", "").await.refuses(401, "UNAUTHORIZED", &["log in first"]);
    assert!(world.get(&open, "").await.is(401).header("www-authenticate").starts_with("Bearer realm="));
    world.token("", "").await.is(401);
    // Somebody of another organization may do what everybody may.
    world.person("bob@example.org", 2, "developer").await;
    let bob = basic("bob@example.org", PASSWORD);
    world.get(&open, &bob).await.is(200);
    world.get(&open, &world.bearer(&bob, "repository:1/open:pull,push").await).await.is(200);
    world.get(&shut, &bob).await.refuses(403, "DENIED", &["organization 1 is not yours"]);

    world.as_person(EMAIL, &publish(false)).await;
    world.get(&open, &guest).await.refuses(401, "UNAUTHORIZED", &["log in first"]);
    world.get(&open, &bob).await.refuses(403, "DENIED", &[]);
    world.token("", "repository:1/open:pull").await.is(401);
}

/// Makes a token and returns it with its id.
async fn made(world: &World, email: &str, deed: &str) -> (String, String) {
    let data = world.as_person(email, &format!("mutation {{ made: {deed} {{ token record {{ id }} }} }}")).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&data["made"]["token"]), text(&data["made"]["record"]["id"]))
}

#[tokio::test]
async fn an_api_token_acts_as_its_owner_and_makes_nothing_that_outlives_it() {
    let world = World::new().await;
    let path = world.image("1/a", "v1").await;
    let (token, id) = made(&world, EMAIL, "createApiToken(input: {name: \"laptop\"})").await;
    for login in [EMAIL, "token", "whatever"] {
        world.get(&path, &basic(login, &token)).await.is(200);
    }
    world.get("/v2/", &basic("somebody@example.org", &token)).await.is(401);
    world.get(&path, &bearer(&token)).await.is(200);
    let me = world.graphql(&bearer(&token), "{ me { email } }").await.is(200).json();
    assert_eq!(me["data"]["me"]["email"], EMAIL);
    let offline = world.get("/v2/token?offline_token=true&scope=repository:1/a:pull", &basic("token", &token)).await.is(200);
    assert!(offline.json()["refresh_token"].is_null(), "it would outlive the token");
    let issued = bearer(&offline.text("token"));
    world.get(&path, &issued).await.is(200);
    for deed in [
        "createApiToken(input: {name: \"another\"}) { token }".to_owned(),
        format!("revokeToken(id: \"{id}\") {{ id }}"),
        "setRepositoryPublic(name: \"1/a\", isPublic: true) { name }".to_owned(),
    ] {
        let answer = world.graphql(&bearer(&token), &format!("mutation {{ {deed} }}")).await.is(200).json();
        assert_eq!(answer["errors"][0]["name"], "not_allowed", "{deed}: {answer}");
    }
    let login = format!("mutation {{ userLogin(input: {{userName: \"token\", password: {token:?}}}) {{ token }} }}");
    assert_eq!(world.graphql("", &login).await.json()["errors"][0]["name"], "invalid_input");

    world.as_person(EMAIL, &format!("mutation {{ revokeToken(id: \"{id}\") {{ id }} }}")).await;
    for authorization in [basic(EMAIL, &token), bearer(&token), issued] {
        world.get(&path, &authorization).await.is(401);
    }
    assert_eq!(world.graphql(&bearer(&token), "{ me { email } }").await.json()["errors"][0]["name"], "authentication_error");
}

#[tokio::test]
async fn a_robot_keeps_to_its_repository_and_its_time() {
    let world = World::new().await;
    let (mine, other) = (world.image("1/a", "v1").await, world.image("1/b", "v1").await);
    let robot = |repository: &str, actions: &str, end: i64| {
        let end = clock::iso(clock::now_ms() + end);
        format!("createRobotToken(input: {{name: \"ci\", repository: \"{repository}\", actions: [{actions}], expiresDateTime: \"{end}\"}})")
    };
    let (token, _) = made(&world, EMAIL, &robot("1/a", "pull", 60_000)).await;
    world.get(&mine, &basic("robot", &token)).await.is(200);
    world.get(&other, &basic("robot", &token)).await.is(403);
    let start = world.send("POST", "/v2/1/a/blobs/uploads/", &[("authorization", &basic("robot", &token))], "").await;
    start.refuses(403, "DENIED", &["may not push"]);
    let scope = world.token(&basic("robot", &token), "repository:1/a:pull,push repository:1/b:pull").await.is(200).text("scope");
    assert_eq!(scope, "repository:1/a:pull");
    assert_eq!(world.graphql(&bearer(&token), "{ me { email } }").await.json()["errors"][0]["name"], "authentication_error");

    let session = world.session(EMAIL).await;
    for (repository, actions, end, says) in [
        ("2/a", "pull", 60_000, "organization 2 is not yours"),
        ("1/a", "", 60_000, "at least one"),
        ("1/a", "pull", -1, "in the future"),
        ("1/a", "pull", 400 * 86_400_000, "within a year"),
        ("UPPER", "pull", 60_000, "must start with the number"),
    ] {
        let query = format!("mutation {{ {} {{ token }} }}", robot(repository, actions, end));
        let answer = world.graphql(&session, &query).await.json();
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains(says), "{says}: {answer}");
    }
    // A reviewer cannot push, so no robot can for them; and may not make robots at all.
    world.person("rev@example.org", 1, "reviewer").await;
    let session = world.session("rev@example.org").await;
    let answer = world.graphql(&session, &format!("mutation {{ {} {{ token }} }}", robot("1/a", "pull", 60_000))).await.json();
    assert_eq!(answer["errors"][0]["name"], "not_allowed");
    world.person("adm@example.org", 1, "admin").await;
    let session = world.session("adm@example.org").await;
    let answer = world.graphql(&session, &format!("mutation {{ {} {{ token }} }}", robot("1/a", "push", 60_000))).await.json();
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("you may not push"), "{answer}");
}

#[tokio::test]
async fn tokens_of_others_are_seen_and_revoked_by_administrators_only() {
    let world = World::new().await;
    world.person("dev@example.org", 1, "developer").await;
    world.person("bob@example.org", 2, "developer,admin").await;
    let (token, id) = made(&world, "dev@example.org", "createApiToken(input: {name: \"mine\"})").await;
    let (_, admins) = made(&world, EMAIL, "createApiToken(input: {name: \"admin's\"})").await;
    let names = async |email: &str| world.as_person(email, "{ tokens { name } }").await["tokens"].to_string();
    assert_eq!(names("dev@example.org").await, "[{\"name\":\"mine\"}]");
    assert_eq!(names(EMAIL).await, "[{\"name\":\"admin's\"},{\"name\":\"mine\"}]");
    assert_eq!(names("bob@example.org").await, "[]");
    for (email, id) in [("bob@example.org", &id), ("dev@example.org", &admins)] {
        let query = format!("mutation {{ revokeToken(id: \"{id}\") {{ id }} }}");
        let answer = world.graphql(&world.session(email).await, &query).await.json();
        assert_eq!(answer["errors"][0]["name"], "not_found", "{email}");
    }
    world.get("/v2/", &basic("token", &token)).await.is(200);
    world.as_person(EMAIL, &format!("mutation {{ revokeToken(id: \"{id}\") {{ id }} }}")).await;
    world.get("/v2/", &basic("token", &token)).await.is(401);
}
