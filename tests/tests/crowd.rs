//! Many engines at once: all are judged rightly, the server stays small, and nothing is left of them when it is killed in the middle.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test fails by panicking; the figure is for whoever runs it")]

use std::fs;

use e2e::{api::Api, engine::Keyword, leftover, registry::Registry, server::Server, wait_for};

/// Growth of the server's memory that one run may cost.
const PER_RUN: u64 = 20 << 20;

/// Pushes engines that take a while until they listen, each an engine of its own.
fn push(server: &Server, api: &Api, count: usize) -> Vec<String> {
    let registry = Registry::of(server);
    let wait = "    log(\"loading the model\"); std::thread::sleep(Duration::from_secs(10));\n    let port = ";
    let push = |n| {
        let engine = api.create_engine(&format!("Keywords {n}"), "keyword");
        registry.push(&Keyword::new(&engine).with_line("    let port = ", wait).pack().build().unwrap(), &format!("1/words{n}"), "v1");
        engine
    };
    (0..count).map(push).collect()
}

/// The names under which the first runs of these engines are known on this machine.
fn runs(api: &Api, engines: &[String]) -> Vec<String> {
    let run = |engine: &String| leftover::run_of(wait_for("build", || api.builds(engine).pop()).id());
    engines.iter().map(run).collect()
}

/// How many of these runs have something on this machine.
fn alive(runs: &[String]) -> usize {
    runs.iter().filter(|run| !leftover::of(run).is_empty()).count()
}

#[test]
fn eight_engines_at_once_are_all_judged_and_cost_little() {
    let server = Server::start_with(&[("PLIMSOLL_GATE__WORKERS", "8")]);
    let api = server.api();
    let alone = api.create_engine("Alone", "keyword");
    Registry::of(&server).push(&Keyword::new(&alone).pack().build().unwrap(), "1/alone", "v1");
    api.verdict(&alone).is("available");
    let before = server.memory();
    let engines = push(&server, &api, 8);
    let runs = runs(&api, &engines);
    let mut peak = before;
    wait_for("moment at which all eight run", || {
        peak = peak.max(server.memory());
        (alive(&runs) == 8).then_some(())
    });
    wait_for("eighth verdict", || {
        peak = peak.max(server.memory());
        engines.iter().all(|engine| api.builds(engine).iter().all(|build| build.status() != "fetching")).then_some(())
    });
    for engine in &engines {
        let report = &api.verdict(engine).is("available").0["report"];
        assert_eq!(report["stats"]["requests"].as_array().map(Vec::is_empty), Some(false), "{report:#}");
    }
    let per_run = peak.saturating_sub(before) / 8;
    eprintln!("8 engines at once: the server had {} KiB before, {} KiB at most, {} KiB per run", before >> 10, peak >> 10, per_run >> 10);
    assert!(per_run <= PER_RUN, "{per_run} bytes per run");
    wait_for("end of all that ran", || (alive(&runs) == 0).then_some(()));
    server.is_well();
}

#[test]
fn killed_while_four_run_and_nothing_is_left() {
    let mut server = Server::start_with(&[("PLIMSOLL_GATE__WORKERS", "4")]);
    let api = server.api();
    let mounts = || {
        fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .lines()
            .filter(|line| line.contains("sandbox") || line.contains("/runs"))
            .count()
    };
    let before = mounts();
    let engines = push(&server, &api, 4);
    let first = runs(&api, &engines);
    wait_for("moment at which all four run", || (alive(&first) == 4).then_some(()));
    server.kill();
    server.again();
    wait_for("end of what the killed server ran", || (alive(&first) == 0).then_some(()));
    assert_eq!(mounts(), before);
    let api = server.api();
    for engine in &engines {
        api.verdict(engine).is("available");
    }
    let unfinished = fs::read_dir(server.data().join("layers")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(unfinished.filter(|name| name.starts_with('.')).collect::<Vec<_>>(), Vec::<String>::new());
    server.stop();
    assert_eq!(alive(&first), 0);
    assert_eq!(fs::read_dir(server.data().join("runs")).unwrap().count(), 0);
}
