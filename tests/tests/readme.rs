//! What the README tells people to type works when it is typed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::fs;

use e2e::{
    engine::Keyword,
    program::{program, run},
    registry::Registry,
    server::Server,
    sources,
};
use serde_json::Value;

/// The commands of the README that begin like this, with what a person would put into them.
fn commands(begin: &str, put: &[(&str, &str)]) -> Vec<String> {
    let text = fs::read_to_string(sources().join("README.md")).unwrap();
    let blocks = text.split("\n\n").flat_map(|block| block.split(&format!("    {begin}")).skip(1).map(str::to_owned).collect::<Vec<_>>());
    blocks.map(|rest| put.iter().fold(format!("{begin}{rest}"), |command, (word, value)| command.replace(word, value))).collect()
}

/// Types a command and reads the answer.
#[track_caller]
fn typed(line: &str) -> Value {
    let ran = run(program("bash").args(["-c", line])).succeeded();
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}\n{}", ran.shown()))
}

#[test]
fn the_tour() {
    let server = Server::start_unnamed();
    let account =
        server.said("First start: organization 1, login admin@localhost, password ").unwrap_or_else(|| panic!("{}", server.log()));
    let password = account.strip_suffix(" (shown only now)").unwrap();
    let address = server.address();
    let curl = |token: &str| commands("curl -s ", &[("127.0.0.1:8080", address), ("PASSWORD", password), ("TOKEN", token)]);
    assert_eq!(curl("").len(), 2, "{:#?}", curl(""));
    let login = typed(&curl("")[0]);
    let token = login["data"]["userLogin"]["token"].as_str().unwrap_or_else(|| panic!("{login:#}"));
    let made = typed(&curl(token)[1]);
    let engine = made["data"]["createEngine"]["id"].as_str().unwrap_or_else(|| panic!("{made:#}"));
    let image = Keyword::new(engine).pack().build().unwrap();
    Registry::with(&server, "admin@localhost", password).push(&image, "1/keywords", "v1");
    let api = e2e::api::Api::login(address, "admin@localhost", password);
    api.verdict(engine).is("available");
    let query = commands("curl ... -d '", &[("ID", engine)]).remove(0);
    let query = query.strip_prefix("curl ... -d '").unwrap().trim().trim_end_matches('\'');
    let query: Value = serde_json::from_str(query).unwrap();
    let answer = api.ask(query["query"].as_str().unwrap(), Value::Null);
    assert_eq!(answer["engine"]["builds"]["records"][0]["status"], "available", "{answer:#}");
    server.is_well();
}

#[test]
fn the_password_is_shown_once() {
    let mut server = Server::start_unnamed();
    assert!(server.said("First start: ").is_some());
    server.stop();
    server.again();
    assert_eq!(server.said("First start: "), None);
}
