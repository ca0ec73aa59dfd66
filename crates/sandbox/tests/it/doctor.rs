//! The examination on this very host.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
};

use sandbox::{
    Error, Sandbox,
    doctor::examine,
    local::{Helper, Local},
};

use crate::support::{Bench, helper, host_clocks};

#[test]
fn everything_required_holds_here() {
    let bench = Bench::new();
    assert!(!bench.path("scratch").exists());
    let lines = examine(bench.path("scratch"), helper(), None, host_clocks());
    for line in &lines {
        println!("{} {:<24} {:<44} {}", if line.ok { "ok  " } else { "FAIL" }, line.id, line.title, line.detail);
    }
    let failed: Vec<_> = lines.iter().filter(|line| line.required && !line.ok).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(!bench.path("scratch").exists(), "it leaves nothing behind");
    assert!(lines.len() >= 13, "lines are missing: {lines:#?}");
}

#[test]
fn a_host_that_is_not_ready_is_refused_with_the_mend_until_it_is_mended() {
    let bench = Bench::new();
    let program = bench.path("helper");
    let local = Local::new(bench.path("scratch"), Helper::new(&program)).with_host_clocks(host_clocks());
    let error = local.open("test").map(drop).unwrap_err();
    let said = error.to_string();
    let Error::HostNotReady(failures) = error else { panic!("{said}") };
    assert!(failures.iter().any(|failure| failure.id == "container.start"), "{failures:#?}");
    assert!(failures.iter().all(|failure| !failure.detail.is_empty() && !failure.mend.is_empty()), "{failures:#?}");
    assert!(said.contains("plimsoll doctor") && said.contains("container.start: "), "{said}");
    std::os::unix::fs::symlink(helper().program, program).unwrap();
    assert!(local.open("test").is_ok(), "a host that was mended needs no restart");
}

#[test]
fn an_ordinary_user_is_told_what_is_missing() {
    let bench = Bench::new();
    let program = bench.path("run");
    fs::copy(helper().program.with_file_name("examples").join("run"), &program).unwrap();
    fs::set_permissions(bench.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let answer = Command::new(program).args(["/", "true"]).uid(65534).gid(65534).output().unwrap();
    let said = String::from_utf8(answer.stderr).unwrap();
    assert_eq!(answer.status.code(), Some(1), "{said}");
    assert!(said.contains("host.privilege") && said.contains("as root") && !said.contains("panicked"), "{said}");
}
