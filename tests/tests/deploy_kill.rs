//! The real server is killed after every step of a deploy that it wrote down, and somewhat later. Whenever that is, one build is live when it
//! dies, and when it is back the deploy comes to its end or was never asked for. What was seen is a table that the test script prints.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::{fmt::Write, fs, thread, time::Instant};

use e2e::{
    PATIENCE,
    api::Api,
    built,
    engine::Keyword,
    leftover,
    neighbour::{self, REVIEWER},
    registry::Registry,
    server::{EMAIL, PASSWORD, Server},
    wait_for, web,
};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::runtime::Runtime;

const ACT: &str = "mutation($input: UpdateBuild!) { updateEngineBuild(input: $input) { status } }";

/// The server's database, seen from outside.
struct Look {
    runtime: Runtime,
    db: SqliteConnection,
}

impl Look {
    fn at(server: &Server) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = SqliteConnectOptions::new().filename(server.data().join("plimsoll.db"));
        let db = runtime.block_on(options.connect()).unwrap();
        Self { runtime, db }
    }

    /// Changes with every commit of somebody else.
    fn version(&mut self) -> i64 {
        self.runtime.block_on(sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut self.db)).unwrap()
    }

    /// Status and attempts of a build.
    fn build(&mut self, id: &str) -> (String, i64) {
        let row = sqlx::query_as("SELECT status, attempts FROM builds WHERE id = $1").bind(id);
        self.runtime.block_on(row.fetch_one(&mut self.db)).unwrap()
    }

    /// The live builds of all engines.
    fn live(&mut self) -> Vec<String> {
        self.runtime.block_on(sqlx::query_scalar("SELECT id FROM builds WHERE status = 'deployed'").fetch_all(&mut self.db)).unwrap()
    }

    /// Lines of the history that do not begin where the line before ended.
    fn contradictions(&mut self) -> i64 {
        let query = "SELECT count(*) FROM build_history a JOIN build_history b ON b.build_id = a.build_id \
                     AND b.id = (SELECT min(id) FROM build_history WHERE build_id = a.build_id AND id > a.id) \
                     WHERE b.from_status <> a.to_status";
        self.runtime.block_on(sqlx::query_scalar(query).fetch_one(&mut self.db)).unwrap()
    }

    fn close(self) {
        self.runtime.block_on(self.db.close()).unwrap();
    }
}

fn look(api: &Api, build: &str) -> Value {
    let query = "query($id: ID!) { engineBuild(id: $id) { status phase health history { event from to reason } } }";
    api.ask(query, json!({ "id": build }))["engineBuild"].take()
}

/// Waits until a build has come to a status and, if that is said, its instance to a health.
#[track_caller]
fn comes_to(api: &Api, build: &str, status: &str, health: &str) {
    wait_for(&format!("{status} ({health}): {:#}", look(api, build)), || {
        let seen = look(api, build);
        let waits = status != "pending" || seen["phase"] == "awaiting-approval";
        (seen["status"] == status && (health.is_empty() || seen["health"] == health) && waits).then_some(())
    });
}

fn approved(server: &Server, developer: &Api, reviewer: &Api, engine: &str, tag: &str) -> String {
    let keyword = Keyword::new(engine).with_line("    let port = ", &format!("    log(\"{tag}\");\n    let port = "));
    let before = developer.builds(engine).len();
    Registry::of(server).push(&keyword.pack().build().unwrap(), "1/kill", tag);
    let build = developer.verdicts(engine, before + 1).remove(0).is("available").id().to_owned();
    for (api, action, status) in [(developer, "submit", "pending"), (reviewer, "approve", "approved")] {
        let input = json!({ "id": build, "engineId": engine, "action": action, "reason": "to be killed" });
        api.ask(ACT, json!({ "input": input }));
        comes_to(developer, &build, status, "");
    }
    build
}

/// Asks for a deploy, kills the server so many commits and so many looks later, and returns where the build was found then; `None` when the
/// deploy had ended before.
fn killed_in_a_deploy(server: &mut Server, engine: &str, next: &str, commits: i64, looks: i64) -> Option<(String, i64)> {
    let token = {
        let login =
            json!({ "query": format!("mutation {{ userLogin(input: {{userName: \"{EMAIL}\", password: \"{PASSWORD}\"}}) {{ token }} }}") });
        let answer: Value = web::client().post(server.url("/v3/graphql")).json(&login).send().unwrap().json().unwrap();
        answer["data"]["userLogin"]["token"].as_str().unwrap().to_owned()
    };
    let mut look = Look::at(server);
    let (mut version, mut seen) = (look.version(), 0);
    let asked = {
        let input = json!({ "id": next, "engineId": engine, "action": "deploy" });
        let (url, body) = (server.url("/v3/graphql"), json!({ "query": ACT, "variables": { "input": input } }));
        // Whether the answer still comes is left open.
        thread::spawn(move || drop(web::client().post(url).bearer_auth(token).json(&body).send()))
    };
    let until = Instant::now() + PATIENCE;
    while seen < commits {
        let now = look.version();
        (version, seen) = (now, seen + i64::from(now != version));
        if seen < commits && look.build(next).0 == "deployed" {
            asked.join().unwrap();
            look.close();
            return None;
        }
        assert!(Instant::now() < until, "neither commits nor an end of the deploy: {:?}", look.build(next));
    }
    for _ in 0..looks {
        look.version();
    }
    server.kill();
    look.close();
    asked.join().unwrap();
    let mut look = Look::at(server);
    let (found, live, contradictions) = (look.build(next), look.live(), look.contradictions());
    look.close();
    assert_eq!((live.len(), contradictions), (1, 0), "at death: {live:?} {found:?}");
    Some(found)
}

#[test]
fn killed_after_every_step() {
    let mut server = Server::start();
    let developer = server.api();
    let reviewer = neighbour::invited(&server, &developer, REVIEWER);
    let engine = developer.create_engine("Killed in a deploy", "keyword");
    let mut live = approved(&server, &developer, &reviewer, &engine, "v1");
    let mut next = approved(&server, &developer, &reviewer, &engine, "v2");
    developer.ask(ACT, json!({ "input": { "id": live, "engineId": engine, "action": "deploy" } }));
    comes_to(&developer, &live, "deployed", "runs");

    let mut table = "| killed after commit | and looks | the build was | attempts | and became |\n|---|---|---|---|---|\n".to_owned();
    let mut in_the_middle = 0;
    'steps: for commits in 1.. {
        for looks in [0, 300] {
            let found = killed_in_a_deploy(&mut server, &engine, &next, commits, looks);
            let Some((status, attempts)) = found else { break 'steps };
            server.again();
            let developer = server.api();
            in_the_middle += usize::from(status == "deploying");
            if !["deploying", "deployed"].contains(&status.as_str()) {
                // It was never asked for: all is as before.
                comes_to(&developer, &live, "deployed", "runs");
                assert!(["approved", "paused"].contains(&status.as_str()), "{status}");
                writeln!(table, "| {commits} | {looks} | {status} | {attempts} | {status} |").unwrap();
                continue;
            }
            comes_to(&developer, &next, "deployed", "runs");
            comes_to(&developer, &live, "paused", "absent");
            let run = leftover::run_of(&live);
            wait_for("end of the former engine's processes", || leftover::of(&run).is_empty().then_some(()));
            writeln!(table, "| {commits} | {looks} | {status} | {attempts} | deployed |").unwrap();
            std::mem::swap(&mut live, &mut next);
        }
    }
    assert!(in_the_middle >= 3, "hardly a deploy was hit:\n{table}");
    server.is_well();
    fs::write(built().parent().unwrap().join("deploys.md"), table).unwrap();
}
