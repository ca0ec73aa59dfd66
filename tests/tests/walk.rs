//! From `createEngine` to a live engine and back, by the API only, with two people, in the real sandbox. What happened at each step is a line of the
//! table that the test script prints.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::{fmt::Write, fs};

use e2e::{
    api::Api,
    built,
    engine::Keyword,
    leftover,
    neighbour::{self, REVIEWER},
    registry::Registry,
    server::Server,
    wait_for,
};
use serde_json::{Value, json};

const ACT: &str = "mutation($input: UpdateBuild!) { updateEngineBuild(input: $input) { status } }";
const LOOK: &str =
    "query($id: ID!) { engineBuild(id: $id) { status phase health validStateActions report history { actor event from to reason } } }";

/// The people, the engine, and the lines of the table.
struct Walk {
    developer: Api,
    reviewer: Api,
    engine: String,
    table: String,
}

impl Walk {
    fn begin(server: &Server) -> Self {
        let developer = server.api();
        let reviewer = neighbour::invited(server, &developer, REVIEWER);
        let engine = developer.create_engine("Words of a walk", "keyword");
        let table = "| who | does | and the build is |\n|---|---|---|\n".to_owned();
        Self { developer, reviewer, engine, table }
    }

    fn look(&self, build: &str) -> Value {
        self.developer.ask(LOOK, json!({ "id": build }))["engineBuild"].take()
    }

    fn note(&mut self, who: &str, what: &str, seen: &Value) {
        let (status, phase, health) =
            (seen["status"].as_str().unwrap(), seen["phase"].as_str().unwrap_or(""), seen["health"].as_str().unwrap());
        writeln!(self.table, "| {who} | {what} | {status} {phase} (instance: {health}) |").unwrap();
    }

    fn push(&mut self, server: &Server, tag: &str, words: &str) -> String {
        let keyword = Keyword::new(&self.engine).with_line("    let port = ", &format!("    log(\"{words}\");\n    let port = "));
        let before = self.developer.builds(&self.engine).len();
        Registry::of(server).push(&keyword.pack().build().unwrap(), "1/walk", tag);
        let build = self.developer.verdicts(&self.engine, before + 1).remove(0).is("available").id().to_owned();
        let seen = self.look(&build);
        self.note("developer", &format!("pushes {tag}"), &seen);
        build
    }

    /// Acts as one of the two and waits until the build has come to `status`, and its instance to `health`.
    #[track_caller]
    fn act(&mut self, who: &str, build: &str, action: &str, status: &str, health: &str) -> Value {
        let api = if who == "reviewer" { &self.reviewer } else { &self.developer };
        let input = json!({ "id": build, "engineId": self.engine, "action": action, "reason": "seen in a walk" });
        api.ask(ACT, json!({ "input": input }));
        self.comes_to(who, action, build, status, health)
    }

    #[track_caller]
    fn comes_to(&mut self, who: &str, what: &str, build: &str, status: &str, health: &str) -> Value {
        let seen = wait_for(&format!("{status} ({health}) after {what}: {:#}", self.look(build)["history"]), || {
            let seen = self.look(build);
            let waits = status != "pending" || seen["phase"] == "awaiting-approval";
            (seen["status"] == status && seen["health"] == health && waits).then_some(seen)
        });
        self.note(who, what, &seen);
        seen
    }

    fn approved(&mut self, server: &Server, tag: &str, words: &str) -> String {
        let build = self.push(server, tag, words);
        self.act("developer", &build, "submit", "pending", "absent");
        self.act("reviewer", &build, "approve", "approved", "absent");
        build
    }
}

#[test]
fn from_registration_to_live_and_back() {
    let mut server = Server::start();
    let mut walk = Walk::begin(&server);
    let first = walk.approved(&server, "v1", "the first");

    let own = walk.push(&server, "v2", "the second");
    walk.act("developer", &own, "submit", "pending", "absent");
    let input = json!({ "id": own, "engineId": walk.engine, "action": "deploy" });
    let refused = walk.developer.send(ACT, json!({ "input": input }));
    let error = &refused["errors"][0];
    assert_eq!(error["name"], "invalid_input", "{refused:#}");
    for words in ["pending", "deploy"] {
        assert!(error["message"].as_str().unwrap().contains(words), "{refused:#}");
    }

    let live = walk.act("developer", &first, "deploy", "deployed", "runs");
    assert_eq!(live["report"]["approval"]["by"], REVIEWER);
    assert!(!leftover::of(&leftover::run_of(&first)).is_empty(), "nothing runs on this machine");
    walk.act("reviewer", &own, "approve", "approved", "absent");
    walk.act("developer", &own, "deploy", "deployed", "runs");
    walk.comes_to("", "the former is", &first, "paused", "absent");

    // The machine fails: what is live comes back.
    server.kill();
    server.again();
    walk.comes_to("", "after kill -9 and a new start", &own, "deployed", "runs");

    let engine = json!({ "id": walk.engine });
    let back = walk.developer.ask("mutation($id: ID!) { rollbackEngine(id: $id) { id } }", engine);
    assert_eq!(back["rollbackEngine"]["id"], first.as_str());
    walk.comes_to("developer", "rolls back to the first", &first, "deployed", "runs");
    walk.comes_to("", "the second is", &own, "paused", "absent");
    walk.act("developer", &first, "pause", "paused", "absent");
    let run = leftover::run_of(&first);
    wait_for("end of the engine's processes", || leftover::of(&run).is_empty().then_some(()));
    walk.act("developer", &first, "unpause", "deployed", "runs");
    walk.act("developer", &first, "pause", "paused", "absent");
    server.is_well();
    fs::write(built().parent().unwrap().join("walk.md"), walk.table).unwrap();
}
