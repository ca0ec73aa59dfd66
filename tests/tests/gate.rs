//! The gate from push to verdict: a good image is `available`, the same image with one line broken is `invalid` with a finding that names
//! the effect, and a laptop comes to the same findings.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::path::Path;

use e2e::{
    api::{Api, Build},
    container::Containers,
    docker::Docker,
    engine::Keyword,
    leftover,
    program::run,
    python::{self, BASE, Example},
    registry::Registry,
    server::{EMAIL, PASSWORD, Server, command},
    web,
};
use image::{
    Compression,
    pack::{File, Pack},
};
use serde_json::{Value, json};

/// Pushes an engine, and judges the same image here; both must say the same.
#[track_caller]
fn judged_here_and_there(server: &Server, api: &Api, engine: &str, keyword: &Keyword, status: &str) -> Build {
    let (image, archive) = (keyword.pack().build().unwrap(), server.folder().join("engine.tar"));
    let digest = image.write_oci_archive(&archive).unwrap();
    let tag = format!("v{}", digest.short());
    let before = api.builds(engine).len();
    Registry::of(server).push(&image, "1/words", &tag);

    let mut check = command(server.folder());
    check.args(["check", &format!("oci-archive:{}", archive.display()), "--format", "json"]);
    let ran = run(&mut check).exited(if status == "available" { 0 } else { 1 });
    let here: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}\n{}", ran.shown()));
    let build = api.verdicts(engine, before + 1).remove(0).is(status);
    let there = &build.0["report"];
    assert_eq!(here["findingsHash"], there["findingsHash"], "here {:#}\nthere {:#}", here["checks"], there["checks"]);
    assert_eq!((&here["success"], &here["verdict"]), (&json!(status == "available"), &json!(status)));
    assert_eq!(here["errors"], there["errors"]);
    build
}

#[test]
fn a_good_engine_is_available_with_a_full_report() {
    let server = Server::start();
    let api = server.api();
    let engine = api.create_engine("Keywords", "keyword");
    let build = judged_here_and_there(&server, &api, &engine, &Keyword::new(&engine), "available");
    assert_eq!(build.history(), [("start", "fetching"), ("phaseOk", "available")]);
    assert_eq!(build.0["manifest"]["engineId"], engine);
    has_every_field(&api.report(build.id()), &build, &engine);
    let log = web::Visitor::login(server.address(), EMAIL, PASSWORD).get(&format!("/builds/{}/log", build.id())).text().unwrap();
    for words in ["certifying build 1 of Keywords", "listening on port 8080", "verdict: available"] {
        assert!(log.contains(words), "{words:?} is not in the log:\n{log}");
    }
    assert_eq!(leftover::of(&leftover::run_of(build.id())), Vec::<String>::new());
    server.is_well();
}

/// The fields of the report that scripts rely on, with their types.
#[track_caller]
fn has_every_field(report: &Value, build: &Build, engine: &str) {
    assert_eq!(*report, build.0["report"], "the download differs from the API");
    assert_eq!((&report["engineId"], &report["build"]), (&json!(engine), &json!(build.id())));
    // Milliseconds: seconds would be a time in 1970.
    assert!(report["uploadTime"].as_i64().is_some_and(|time| time > 1_600_000_000_000), "{}", report["uploadTime"]);
    assert_eq!((&report["user"], report["image"].as_str()), (&json!(EMAIL), Some(build.text("dockerImage"))));
    let inspect = report["inspect"].as_array().filter(|list| list.len() == 1).unwrap();
    for key in ["Id", "RepoTags", "Created", "Architecture", "Os", "Size", "RootFS", "Config"] {
        assert!(!inspect[0][key].is_null(), "inspect has no {key}: {:#}", inspect[0]);
    }
    assert_eq!((&inspect[0]["Os"], &inspect[0]["Architecture"]), (&json!("linux"), &json!("amd64")));
    assert_eq!(inspect[0]["Config"]["Entrypoint"], json!(["/keyword"]));
    assert_eq!(inspect[0]["RootFS"]["Layers"].as_array().map(Vec::len), Some(2));
    assert_eq!((&report["vulnerabilities"], &report["vulnerabilityCounts"]), (&json!([]), &json!({})));
    let log = report["testLog"].as_array().unwrap();
    assert!(log.contains(&json!("listening on port 8080")), "{log:#?}");
    assert_eq!((&report["success"], &report["errors"]), (&json!(true), &json!([])));
    assert_eq!((&report["verdict"], &report["gate"], &report["schemaVersion"]), (&json!("available"), &json!("compliance"), &json!(1)));
    let security = report["checks"].as_array().unwrap().iter().find(|check| check["id"] == "security").unwrap();
    assert!(security.to_string().contains("no advisory database is loaded"), "{security:#}");
    assert_eq!(security["status"], "error");
    assert!(report["stats"]["requests"].as_array().is_some_and(|requests| requests.len() >= 2), "{:#}", report["stats"]);
}

#[test]
fn unusual_images_that_are_right_are_available() {
    let server = Server::start();
    let api = server.api();
    for (name, make) in [
        ("zstd", (|keyword: &Keyword| keyword.pack().compression(Compression::Zstd)) as fn(&Keyword) -> Pack),
        ("plain", |keyword| keyword.pack().compression(Compression::None)),
        ("command", |keyword| keyword.pack().entrypoint(Vec::<&str>::new()).cmd(["/keyword"])),
        ("by-number", |keyword| keyword.pack().user("12345").working_dir("/work/here")),
        ("linked", |keyword| {
            let target = File::new("app/about.json", 0o644, keyword.manifest());
            keyword.pack_with(File::symlink("var/manifest.json", "../app/about.json")).layer(vec![target])
        }),
        ("replaced", |keyword| {
            let old = File::new("var/manifest.json", 0o644, "this is no JSON");
            keyword.pack_with(old).layer(vec![File::whiteout("var/manifest.json")]).layer(vec![File::new(
                "var/manifest.json",
                0o644,
                keyword.manifest(),
            )])
        }),
        ("layered", |keyword| (0..40).fold(keyword.pack(), |pack, n| pack.layer(vec![File::new("data/count", 0o644, format!("{n}"))]))),
    ] {
        let engine = api.create_engine(name, "keyword");
        Registry::of(&server).push(&make(&Keyword::new(&engine)).build().unwrap(), &format!("1/{name}"), "v1");
        api.verdict(&engine).is("available");
    }
    server.is_well();
}

#[test]
fn one_broken_line_makes_it_invalid_and_the_finding_names_the_effect() {
    let server = Server::start();
    let api = server.api();
    let engine = api.create_engine("Keywords", "keyword");
    let good = Keyword::new(&engine);
    let judged = |keyword: &Keyword| judged_here_and_there(&server, &api, &engine, keyword, "invalid");

    let misspelt = good.clone().with_line(r#""label":{}"#, r#""lable":{}"#);
    judged(&misspelt).blamed_for(&["lable"]).blamed_for(&["label", ".object[0]"]);
    let crashing =
        good.clone().with_line("let port = ", "let port: u16 = std::fs::read(\"/models/words.bin\").unwrap().len() as u16; let port = ");
    judged(&crashing).blamed_for(&["Error running container: exit code 101", "panicked at"]);
    let unready = good.clone().with_line(
        r#"("GET", "/ready") => Reply::text("200 OK", "ready")"#,
        r#"("GET", "/ready") => Reply::text("500 Internal Server Error", "no model was found")"#,
    );
    judged(&unready).blamed_for(&["no model was found"]);
    let failing = good.clone().with_line(
        "let keywords = keywords(&String::from_utf8_lossy(input));",
        "let keywords = keywords(&String::from_utf8_lossy(input)); if true { return Err((\"500 Internal Server Error\", \"the model broke\".into())) }",
    );
    judged(&failing).blamed_for(&["Process call failed: HTTP 500: the model broke"]);
    judged(&good.clone().with_field("clusterSize", "gigantic")).blamed_for(&["clusterSize", "gigantic"]);
    judged(&good.clone().with_field("supportedInputFormats", json!(["text/plane"]))).blamed_for(&["Unknown media format: text/plane"]);
    server.is_well();
}

/// Where an image is built and pushed from.
trait Bench {
    fn import(&self, base: &Path);
    fn push(&self, context: &Path, image: &str);
}

impl Bench for Containers {
    fn import(&self, base: &Path) {
        self.run("podman", &["import", base.to_str().unwrap(), BASE]).succeeded();
    }

    fn push(&self, context: &Path, image: &str) {
        self.run("podman", &["build", "--isolation", "chroot", "-t", image, context.to_str().unwrap()]).succeeded();
        self.run("podman", &["push", "--tls-verify=false", image]).succeeded();
    }
}

impl Bench for Docker {
    fn import(&self, base: &Path) {
        self.run(&["import", base.to_str().unwrap(), BASE]).succeeded();
    }

    fn push(&self, context: &Path, image: &str) {
        self.run(&["build", "-t", image, context.to_str().unwrap()]).succeeded();
        self.run(&["push", image]).succeeded();
    }
}

/// Fetches a build's image as its page in the console says and checks it here: whatever way it travels, the findings are the same.
#[track_caller]
fn same_on_a_laptop(server: &Server, build: &Build, category: &str, code: i32) {
    let report = &build.0["report"];
    let (digest, archive) = (report["imageDigest"].as_str().unwrap(), server.folder().join("engine.tar"));
    let from = format!("docker://{}@{digest}", build.text("dockerImage").rsplit_once(':').unwrap().0);
    let (to, login) = (format!("oci-archive:{}", archive.display()), format!("--src-creds={EMAIL}:{PASSWORD}"));
    Containers::new().skopeo(&["copy", "--src-tls-verify=false", &login, &from, &to]).succeeded();
    let mut check = command(server.folder());
    check.args(["check", &to, "--deployment-model", "FullyNetworkIsolated", "--category", category, "--format", "json"]);
    let ran = run(&mut check).exited(code);
    let here: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}\n{}", ran.shown()));
    assert_eq!(here["findingsHash"], report["findingsHash"], "here {:#}\nthere {:#}", here["checks"], report["checks"]);
    std::fs::remove_file(archive).unwrap();
}

/// The line of the Python engine that is broken, and how.
const IMPORT: (&str, &str) = ("\nimport wave\n", "\nimport wavve\n");

/// A real Python image is `available`, and with one import misspelt `invalid` with the line of the traceback.
fn good_and_broken(server: &Server, api: &Api, bench: &dyn Bench) {
    bench.import(&python::base());
    let push = |example: &Example, name: &str| bench.push(example.context(), &format!("{}/1/{name}:v1", server.address()));
    let engine = api.create_engine("Voices", "transcription");
    push(&Example::new("python", &engine), "voices");
    let build = api.verdict(&engine).is("available");
    let size = build.0["report"]["inspect"][0]["Size"].as_u64().unwrap();
    assert!(size > 200 << 20, "the image has only {size} bytes");
    assert_eq!(build.0["report"]["inspect"][0]["Config"]["Entrypoint"], json!(["python3", "/app/engine.py"]));
    same_on_a_laptop(server, &build, "transcription", 0);

    let broken = api.create_engine("Broken voices", "transcription");
    push(&Example::new("python", &broken).with_line(IMPORT.0, IMPORT.1), "broken");
    let build = api.verdict(&broken).is("invalid");
    let build = build.blamed_for(&["Error running container: exit code 1", "ModuleNotFoundError: No module named 'wavve'"]);
    same_on_a_laptop(server, &build, "transcription", 1);
}

#[test]
fn python_engines_pushed_with_podman() {
    let server = Server::start();
    let api = server.api();
    let containers = Containers::new();
    containers.login("podman", server.address(), EMAIL, PASSWORD).succeeded();
    good_and_broken(&server, &api, &containers);

    let crashing = api.create_engine("Crashing voices", "transcription");
    let example = Example::new("python", &crashing).with_line("                raise Refused(404, \"GET /ready or POST /process\")\n            length", "                raise Refused(404, \"GET /ready or POST /process\")\n            print(\"out of memory in layer 7\", flush=True)\n            os._exit(3)\n            length");
    containers.push(example.context(), &format!("{}/1/crashing:v1", server.address()));
    api.verdict(&crashing).is("invalid").blamed_for(&["exit code 3", "out of memory in layer 7"]);

    let batch = api.create_engine("Batch keywords", "keyword");
    containers.push(Example::new("batch", &batch).context(), &format!("{}/1/batch:v1", server.address()));
    api.verdict(&batch).is("available");

    let client = api.create_engine("Keywords by gql", "keyword");
    containers.push(Example::new("batch", &client).with_client().context(), &format!("{}/1/client:v1", server.address()));
    let build = api.verdict(&client).is("available");
    let log = build.0["report"]["testLog"].to_string();
    assert!(log.contains("schema with") && log.contains("characters of text/plain"), "{log}");

    let failing = api.create_engine("Failing batch", "keyword");
    let example = Example::new("batch", &failing).with_line("    result = keywords(text)\n", "    result = keywords(txt)\n");
    containers.push(example.context(), &format!("{}/1/failing:v1", server.address()));
    api.verdict(&failing).is("invalid").blamed_for(&["Error running container: exit code 1"]).blamed_for(&["name 'txt' is not defined"]);
    server.is_well();
}

#[test]
fn python_engines_pushed_with_docker() {
    let server = Server::start();
    let api = server.api();
    let docker = Docker::start(server.address());
    docker.login(server.address(), EMAIL, PASSWORD).succeeded();
    good_and_broken(&server, &api, &docker);
    server.is_well();
}
