//! Decisions and large queries over real HTTP: a role that is lost between the page and the click, two reviewers at the same time, a body of
//! ten megabytes and one that is larger.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::sync::Barrier;

use e2e::{
    engine::Keyword,
    neighbour::{self, INVITED, REVIEWER},
    registry::Registry,
    server::Server,
    wait_for,
    web::{self, Visitor},
};
use serde_json::{Value, json};

const SECOND: &str = "second@example.org";

#[test]
fn a_role_that_goes_and_two_who_decide_at_once() {
    let server = Server::start();
    let admin = server.api();
    let (reviewer, _) = (neighbour::invited(&server, &admin, REVIEWER), neighbour::invited(&server, &admin, SECOND));
    let engine = admin.create_engine("Decided about", "keyword");
    Registry::of(&server).push(&Keyword::new(&engine).pack().build().unwrap(), "1/decided", "v1");
    let build = admin.verdict(&engine).is("available").id().to_owned();
    let submit = "mutation($input: UpdateBuild!) { updateEngineBuild(input: $input) { status } }";
    admin.ask(submit, json!({ "input": { "id": build, "engineId": engine, "action": "submit" } }));
    let look = || admin.ask("query($id: ID!) { engineBuild(id: $id) { status phase history { event to } } }", json!({ "id": build }));
    wait_for("a build that awaits approval", || (look()["engineBuild"]["phase"] == "awaiting-approval").then_some(()));

    // The page offers it; then the role goes; then the click comes.
    let (one, two) = (Visitor::login(server.address(), REVIEWER, INVITED), Visitor::login(server.address(), SECOND, INVITED));
    let (approve, disapprove) = (format!("/builds/{build}/act/approve"), format!("/builds/{build}/act/disapprove"));
    let form = [("seen", "pending"), ("reason", "looked at"), ("days", "30")];
    let page = one.get(&approve);
    assert_eq!(page.status(), 200);
    assert!(page.text().unwrap().contains("<form class=\"form\" method=\"post\""));
    let id = reviewer.ask("{ me { id } }", json!({}))["me"]["id"].clone();
    let roles = |words: Value| {
        let query = "mutation($id: ID!, $roles: [String!]!) { setUserRoles(id: $id, roles: $roles) { roles } }";
        admin.ask(query, json!({ "id": id, "roles": words }));
    };
    roles(json!(["developer"]));
    let refused = one.post(&approve, &form);
    assert_eq!(refused.status(), 403);
    let text = refused.text().unwrap();
    assert!(text.contains("ask a reviewer of your organization"), "{text}");
    assert_eq!(look()["engineBuild"]["status"], "pending");
    roles(json!(["reviewer"]));

    // Both saw it pending; who is second is told what it is by now.
    let both = Barrier::new(2);
    let click = |visitor: &Visitor, path: &str| {
        both.wait();
        let answer = visitor.post(path, &form);
        (answer.status().as_u16(), answer.text().unwrap())
    };
    let answers = std::thread::scope(|scope| {
        let (first, second) = (scope.spawn(|| click(&one, &approve)), scope.spawn(|| click(&two, &disapprove)));
        [first.join().unwrap(), second.join().unwrap()]
    });
    let done = answers.iter().filter(|(status, _)| *status == 303).count();
    let late: Vec<_> = answers.iter().filter(|(status, text)| *status == 400 && text.contains("by now, not pending")).collect();
    assert_eq!((done, late.len()), (1, 1), "{answers:?}");
    let events = look();
    let count = |event: &str| events["engineBuild"]["history"].as_array().unwrap().iter().filter(|line| line["event"] == event).count();
    assert_eq!(count("approve") + count("disapprove"), 1, "{events:#}");
    server.is_well();
}

#[test]
fn ten_megabytes_and_a_little_more() {
    let server = Server::start();
    let send = |bytes: usize| {
        let query = "query($name: String) { engineCategories(name: $name) { count } }";
        let body = json!({ "query": query, "variables": { "name": "" } }).to_string();
        let body = body.replace("\"name\":\"\"", &format!("\"name\":\"{}\"", "a".repeat(bytes - body.len())));
        assert_eq!(body.len(), bytes);
        let answer = web::client().post(server.url("/v3/graphql")).header("content-type", "application/json").body(body).send().unwrap();
        (answer.status().as_u16(), answer.json::<Value>().unwrap())
    };
    let (status, answer) = send(10 << 20);
    assert_eq!((status, &answer["errors"][0]["name"]), (200, &json!("authentication_error")), "{answer}");
    let (status, answer) = send((10 << 20) + 1);
    let error = &answer["errors"][0];
    assert_eq!((status, &error["name"], &error["data"]["limitInBytes"]), (413, &json!("invalid_input"), &json!(10 << 20)), "{answer}");
    server.is_well();
}
