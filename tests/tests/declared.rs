//! An engine that may call one host, from the push to the verdict: what it declares passes through the server, what it does not is refused.
//!
//! The internet of this test is a network namespace of its own with one host in it, and the server runs in another beside it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::env;

use e2e::{
    api::Api,
    engine::Keyword,
    program::{program, run},
    registry::Registry,
    server::Server,
};
use serde_json::{Value, json};

/// Set where the test runs between its two networks.
const INSIDE: &str = "PLIMSOLL_TEST_DECLARED";
const NAME: &str = "a_declared_host_is_reached_through_the_server_and_no_other";

/// Makes the two networks, a host that serves an empty folder at an address of the public range, and a name for it; then runs the test between them.
const NETWORKS: &str = r#"
set -e
folder=$(mktemp -d)
ip link set lo up
unshare --net sleep 900 & outside=$!
host=
trap 'kill $outside $host; umount /etc/hosts; rm -r "$folder"' EXIT
until [ "$(readlink /proc/$outside/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do :; done
ip link add out type veth peer name in netns $outside
ip addr add 203.1.113.1/24 dev out
ip link set out up
nsenter -t $outside -n sh -c 'ip addr add 203.1.113.9/24 dev in; ip link set in up; ip link set lo up'
mkdir "$folder/web"
nsenter -t $outside -n python3 -m http.server --bind 203.1.113.9 --directory "$folder/web" 80 >/dev/null 2>&1 & host=$!
echo '127.0.0.1 localhost' > "$folder/hosts"
echo '203.1.113.9 api.example.com other.example.com' >> "$folder/hosts"
mount --bind "$folder/hosts" /etc/hosts
until curl -s -o "$folder/page" http://api.example.com/; do :; done
"$@"
"#;

/// What the engine gets to do before it listens: ask each of these hosts for a page, and say what came.
fn calling(engine: &str, hosts: &[&str]) -> Keyword {
    let ask = r#"fn ask(host: &str) {
    let answer = TcpStream::connect((host, 80)).and_then(|mut stream| {
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page).map(|_| page)
    });
    log(&format!("{host}: {:?}", answer.as_ref().map(|page| page.lines().next())));
}

static BUSY"#;
    let calls: String = hosts.iter().map(|host| format!("ask(\"{host}\"); ")).collect();
    Keyword::new(engine)
        .with_line("static BUSY", ask)
        .with_line("let port = ", &format!("{calls}let port = "))
        .with_field("externalCalls", json!(["api.example.com:80"]))
}

fn create_engine(api: &Api, name: &str) -> String {
    let input = json!({ "name": name, "categoryId": api.category("keyword"), "deploymentModel": "MostlyNetworkIsolated" });
    let data = api.ask("mutation($input: CreateEngine!) { createEngine(input: $input) { id } }", json!({ "input": input }));
    data["createEngine"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_declared_host_is_reached_through_the_server_and_no_other() {
    if env::var_os(INSIDE).is_none() {
        let own = env::current_exe().unwrap();
        let words = ["--net", "--mount", "sh", "-c", NETWORKS, "sh"];
        run(program("unshare").args(words).arg(own).args([NAME, "--exact", "--nocapture"]).env(INSIDE, "1")).succeeded();
        return;
    }
    let server = Server::start();
    let api = server.api();
    let engine = create_engine(&api, "Asks what it said it would");
    Registry::of(&server).push(&calling(&engine, &["api.example.com"]).pack().build().unwrap(), "1/asks", "v1");
    let build = api.verdict(&engine).is("available");
    let attempts = attempts(&build.0["report"]);
    let flow = attempts.iter().find(|attempt| attempt["protocol"] == "tcp").unwrap_or_else(|| panic!("{attempts:#?}"));
    assert_eq!((&flow["host"], &flow["port"], &flow["allowed"]), (&json!("api.example.com"), &json!(80), &json!(true)), "{flow:#}");
    assert!(flow["rule"].as_str().unwrap().contains("api.example.com:80"), "{flow:#}");
    let (sent, all) = (flow["sent"].as_u64().unwrap(), flow["bytes"].as_u64().unwrap());
    assert!(sent == 18 && all > sent + 100, "both ways are counted: {flow:#}");
    assert!(build.shown().contains("HTTP/1.0 200 OK"), "the page has come: {}", build.shown());

    let engine = create_engine(&api, "Asks another");
    let both = calling(&engine, &["api.example.com", "other.example.com"]);
    Registry::of(&server).push(&both.pack().build().unwrap(), "1/asks-another", "v1");
    api.verdict(&engine).is("invalid").blamed_for(&["network", "other.example.com:80"]);
    server.is_well();
}

/// What the report says the engine tried.
fn attempts(report: &Value) -> Vec<Value> {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == "network").unwrap_or_else(|| panic!("{checks:#?}"));
    check["attempts"].as_array().unwrap_or_else(|| panic!("{check:#}")).clone()
}
