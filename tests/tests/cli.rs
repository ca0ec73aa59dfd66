//! The command line, as it is typed: output, exit codes, and nothing left behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use e2e::{
    api::Api,
    engine::Keyword,
    leftover, plimsoll,
    program::{Ran, program, run, run_with},
    server::{EMAIL, PASSWORD, Server, command},
};
use image::pack::File;
use serde_json::{Value, json};

/// No engine of any server; a laptop does not know which there are.
const ENGINE: &str = "6a2f4f0e-6d0e-4a57-9c11-2f6c0b0f8f10";

/// A command of plimsoll in a folder.
#[track_caller]
fn typed(folder: &Path, arguments: &[&str]) -> Ran {
    run(command(folder).args(arguments))
}

/// Writes an image into a folder; returns how it is named on the command line.
fn archive(folder: &Path, keyword: &Keyword) -> String {
    let file = folder.join("engine.tar");
    keyword.pack().write_oci_archive(&file).unwrap();
    format!("oci-archive:{}", file.display())
}

/// An engine whose answers break their contract.
fn misspelt() -> Keyword {
    Keyword::new(ENGINE).with_line(r#""label":{}"#, r#""lable":{}"#)
}

#[test]
fn demo_shows_a_verdict_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ran = typed(folder.path(), &["demo", "--exit"]).succeeded();
    let ran = ran.says(&[
        "Server started at http://127.0.0.1:",
        "Engine registered:",
        "Image pushed:",
        "Certified as build 1",
        "Verdict: available",
    ]);
    let ran = ran.says(&["Login:   demo@localhost  password "]);
    let console = ran.out.lines().find_map(|line| line.strip_prefix("Console: http://")).unwrap_or_else(|| panic!("{}", ran.shown()));
    let (address, build) = console.split_once("/builds/").unwrap();
    assert!(std::net::TcpStream::connect(address).is_err(), "something still listens on {address}");
    assert_eq!(leftover::of(&leftover::run_of(build)), Vec::<String>::new());
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.is_empty(), "left in the temporary folder: {files:?}");
}

#[test]
fn check_of_a_good_image_passes() {
    let folder = tempfile::tempdir().unwrap();
    let image = archive(folder.path(), &Keyword::new(ENGINE));
    typed(folder.path(), &["check", &image]).exited(0).says(&["available"]);
    let layout = folder.path().join("layout");
    Keyword::new(ENGINE).pack().write_oci_dir(&layout).unwrap();
    for name in [format!("oci:{}", layout.display()), format!("oci:{}:v1", layout.display())] {
        typed(folder.path(), &["check", &name]).exited(0);
    }
    // As `docker save` writes it.
    let saved = format!("docker-archive:{}", folder.path().join("saved.tar").display());
    run(program("skopeo").args(["copy", &image, &format!("{saved}:words:v1")])).succeeded();
    typed(folder.path(), &["check", &saved]).exited(0);
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 3, "a check leaves nothing: {files:?}");
}

#[test]
fn check_of_a_bad_image_says_why_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let image = archive(folder.path(), &misspelt());
    let text = typed(folder.path(), &["check", &image]).exited(1).says(&["output.", "lable", "why", "fix", "/docs/checks/output"]);
    assert!(!text.out.contains('\u{1b}'), "no colours when nobody looks: {}", text.shown());

    let json = typed(folder.path(), &["check", &image, "--format", "json"]).exited(1);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json["success"], &json["verdict"]), (&Value::Bool(false), &"invalid".into()));

    let sarif = typed(folder.path(), &["check", &image, "--format", "sarif"]).exited(1);
    let sarif: Value = serde_json::from_str(&sarif.out).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert!(
        results.iter().any(|result| result["level"] == "error" && result["ruleId"].as_str().unwrap().starts_with("output.")),
        "{sarif:#}"
    );

    let file = folder.path().join("junit.xml");
    typed(folder.path(), &["check", &image, "--format", "junit", "--output", file.to_str().unwrap()]).exited(1);
    let junit = fs::read_to_string(&file).unwrap();
    is_well_formed(&junit);
    assert!(junit.contains("<testsuite") && junit.contains("<failure") && junit.contains("lable"), "{junit}");
}

/// Python reads XML strictly.
#[track_caller]
fn is_well_formed(xml: &str) {
    let script = "import sys, xml.etree.ElementTree as tree; tree.fromstring(sys.stdin.buffer.read())";
    run_with(program("python3").args(["-c", script]), xml).succeeded();
}

#[test]
fn exit_codes_tell_a_bad_image_from_a_bad_command() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    typed(here, &["check"]).exited(2);
    typed(here, &["check", "--no-such-flag", "oci:x"]).exited(2);
    typed(here, &["check", &archive(here, &misspelt()), "--format", "poem"]).exited(2);
    typed(here, &["check", "engine.tar"]).exited(2).says(&["oci-archive:"]);
    typed(here, &["check", "oci-archive:/nowhere/engine.tar"]).exited(3).says(&["/nowhere/engine.tar"]);
    fs::write(here.join("poem.tar"), "no archive").unwrap();
    typed(here, &["check", "oci-archive:poem.tar"]).exited(3).says(&["poem.tar"]);
    let none = Keyword::new(ENGINE).pack_with(File::new("var/other.json", 0o644, "{}"));
    none.write_oci_archive(&here.join("none.tar")).unwrap();
    typed(here, &["check", "oci-archive:none.tar"]).exited(1).says(&["/var/manifest.json"]);
    typed(here, &["--version"]).exited(0).says(&["plimsoll "]);
    typed(here, &["--help"]).exited(0).says(&["check", "demo", "doctor", "explain", "push", "serve"]);
    typed(here, &[]).exited(2).says(&["Usage"]);
}

#[test]
fn serve_says_what_is_wrong_with_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let serve = |name: &str, value: &str, more: &[&str]| run(command(folder.path()).env(name, value).arg("serve").args(more));
    serve("PLIMSOLL_ADMIN_PASSWORD", "short", &["--listen", "127.0.0.1:0"]).exited(3).says(&["PLIMSOLL_ADMIN_PASSWORD", "at least 8"]);
    serve("PLIMSOLL_ORG_ID", "none", &["--listen", "127.0.0.1:0"]).exited(3).says(&["PLIMSOLL_ORG_ID", "positive number"]);
    serve("PLIMSOLL_GATE__WORKER", "3", &[]).exited(3).says(&["worker", "docs/configuration.md"]);
    serve("PLIMSOLL_LISTEN", "8080", &[]).exited(3).says(&["listen: ", "socket address"]);
    serve("PLIMSOLL_LOG", "info", &["--config", "none.toml"]).exited(3).says(&["none.toml", "--config"]);
    serve("PLIMSOLL_DATA", "/proc/none", &["--listen", "127.0.0.1:0"]).exited(3).says(&["/proc/none", "--data"]);
}

#[test]
fn a_runtime_that_is_not_there_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let with = |words: &[&str]| run(command(folder.path()).env("PLIMSOLL_SANDBOX__RUNTIME", "runq").args(words));
    for words in [&["doctor"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        with(words).exited(3).says(&["sandbox.runtime", "\"runq\"", "built-in"]);
    }
}

/// A laptop runs an engine as the server does.
#[test]
fn check_runs_an_engine_as_the_server_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let good = archive(folder.path(), &Keyword::new(ENGINE));
    let with = |text: &str| fs::write(folder.path().join("server.toml"), format!("[sandbox]\n{text}\n")).unwrap();
    let check = || typed(folder.path(), &["check", &good, "--config", "server.toml"]);
    with("runtime = \"runq\"");
    check().exited(3).says(&["sandbox.runtime", "\"runq\"", "built-in"]);
    with("runtime = \"runc\"\nhost_clocks = true");
    // Sentences are broken into lines.
    check().exited(0).says(&["unseen   system calls that are refused are not recorded"]);
    with("host_clock = true");
    check().exited(3).says(&["host_clock", "docs/configuration.md"]);
    let mut command = command(folder.path());
    run(command.env("PLIMSOLL_SANDBOX__RUNTIME", "runq").args(["check", &good])).exited(3).says(&["\"runq\""]);
}

#[test]
fn gvisor_is_refused_in_words_and_what_they_say_is_so() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let good = archive(here, &Keyword::new(ENGINE));
    for words in [&["doctor"][..], &["check", &good]] {
        let ran = run(command(here).env("PLIMSOLL_SANDBOX__RUNTIME", "runsc").args(words));
        ran.exited(3).says(&["runsc is gVisor", "limit of processes", "runc or crun"]);
    }
    let script = "i=0; while [ $i -lt 40 ]; do sleep 1000 & i=$((i+1)); done; ls -d /proc/[0-9]* | wc -l";
    let bundle = here.join("bundle");
    fs::create_dir_all(bundle.join("root/bin")).unwrap();
    fs::create_dir_all(bundle.join("root/proc")).unwrap();
    fs::copy("/bin/busybox", bundle.join("root/bin/busybox")).unwrap();
    let config = json!({
        "ociVersion": "1.0.0",
        "root": { "path": bundle.join("root"), "readonly": true },
        "process": { "args": ["/bin/busybox", "sh", "-c", script], "cwd": "/", "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 } },
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
        "linux": { "resources": { "pids": { "limit": 16 } }, "namespaces": [{ "type": "pid" }, { "type": "network" }, { "type": "mount" }] },
    });
    fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    let mut runsc = program("runsc");
    runsc
        .arg("--root")
        .arg(here.join("state"))
        .args(["--network=none", "--ignore-cgroups", "run", "--bundle"])
        .arg(&bundle)
        .arg("gvisor-told");
    let many: u32 = run(&mut runsc).succeeded().out.trim().parse().unwrap();
    assert!(many > 40, "it keeps to the limit of processes now: see whether it holds the others as well ({many})");
}

#[test]
fn doctor_finds_this_host_good() {
    let folder = tempfile::tempdir().unwrap();
    let ran = typed(folder.path(), &["doctor"]).exited(0).says(&["Engines can be run here."]);
    for word in ["system call filter", "control groups", "overlay", "namespaces", "capabilities", "memory"] {
        assert!(ran.out.contains(word), "nothing is said about {word}: {}", ran.shown());
    }
}

#[test]
fn explain_shows_the_page_of_a_rule() {
    let folder = tempfile::tempdir().unwrap();
    typed(folder.path(), &["explain", "manifest"]).exited(0).says(&["/var/manifest.json"]);
    typed(folder.path(), &["explain", "manifest.json"]).exited(0).says(&["/var/manifest.json"]);
    typed(folder.path(), &["explain", "poetry"]).exited(3).says(&["poetry", "plimsoll explain"]);
    let list = typed(folder.path(), &["explain"]).exited(0).out;
    for line in list.lines() {
        typed(folder.path(), &["explain", line.split_whitespace().next().unwrap()]).exited(0);
    }
    assert!(list.lines().count() > 5, "{list}");
}

#[test]
fn push_needs_no_other_client() {
    let server = Server::start();
    let api: Api = server.api();
    let engine = api.create_engine("Keywords", "keyword");
    let image = archive(server.folder(), &Keyword::new(&engine));
    let to = format!("{}/1/words:v1", server.address());
    let push = |password: &str, to: &str| {
        let mut command = command(server.folder());
        run_with(command.args(["push", &image, to, "--user", EMAIL, "--password-file", "-"]), password)
    };
    push("wrong-password", &to).exited(3).says(&["password is wrong"]);
    push(PASSWORD, &format!("{}/999/words:v1", server.address())).exited(3).says(&["organization 999 is not yours"]);
    assert!(api.builds(&engine).is_empty());
    let ran = push(PASSWORD, &to).succeeded();
    let build = api.verdict(&engine).is("available");
    ran.says(&[build.0["report"]["imageDigest"].as_str().unwrap(), &to]);
    push(PASSWORD, &to).succeeded();
    assert_eq!(api.builds(&engine).len(), 1);
    server.is_well();
}

/// The program where anybody may run it.
fn for_everybody(folder: &Path) -> PathBuf {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    let path = folder.join("plimsoll");
    fs::copy(plimsoll(), &path).unwrap();
    path
}

/// Runs plimsoll as a user without any rights.
#[track_caller]
fn as_nobody(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = program("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(folder.join("plimsoll")).args(arguments);
    run(command.env("HOME", folder).env("TMPDIR", folder).current_dir(folder))
}

#[test]
fn an_ordinary_user_gets_the_static_part_and_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    for_everybody(folder.path());
    as_nobody(folder.path(), &["doctor"]).exited(3).says(&["FAIL", "mend:", "Engines cannot be run here"]);
    let good = archive(folder.path(), &Keyword::new(ENGINE));
    // Nothing is wrong with it as far as it could be looked at, and that is not far enough.
    as_nobody(folder.path(), &["check", &good]).exited(3).says(&["mend", "root"]);
    let bad = archive(folder.path(), &Keyword::new(ENGINE).with_field("clusterSize", "gigantic"));
    as_nobody(folder.path(), &["check", &bad]).exited(1).says(&["clusterSize", "gigantic", "mend"]);
    let demo = as_nobody(folder.path(), &["demo", "--exit"]).failed();
    demo.says(&["Engines cannot be run on this host", "mend: start plimsoll as root", "passed   manifest", "Verdict: not testable"]);
}
