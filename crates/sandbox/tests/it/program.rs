//! What an engine is started as, and what becomes of it.

use model::run::{Exit, InjectedFile, Stream};

use crate::support::{Bench, assert_ok, of, script_spec, spec, stdout};

#[test]
fn it_says_hello_and_its_exit_code_is_kept() {
    let record = Bench::new().sh("echo hello; echo trouble >&2; exit 7");
    assert_eq!(record.exit, Exit::Exited { code: 7 });
    assert_eq!(stdout(&record), ["hello"]);
    assert_eq!(of(&record, Stream::Stderr), ["trouble"]);
    assert!(record.peak_memory_bytes > 0 && record.limits_hit.is_empty() && !record.log_truncated, "{record:?}");
    assert_eq!(record.network, Some(Default::default()), "nothing was tried");
}

/// The smallest program there is: one instruction that no processor knows.
fn crashing_program() -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    let base = 0x40_0000_u64;
    for field in [base + 120, 64, 0] {
        elf.extend(field.to_le_bytes());
    }
    elf.extend(b"\0\0\0\0\x40\0\x38\0\x01\0\0\0\0\0\0\0");
    elf.extend(b"\x01\0\0\0\x05\0\0\0");
    for field in [0, base, base, 122, 122, 0x1000] {
        elf.extend(field.to_le_bytes());
    }
    elf.extend(b"\x0f\x0b");
    elf
}

#[test]
fn a_crash_is_told_as_such() {
    let bench = Bench::new();
    bench.file("base/bin/crash", &crashing_program(), 0o755);
    assert_eq!(bench.run(&spec(&["crash"])).exit, Exit::Signaled { signal: 4 });
}

#[test]
fn environment_working_directory_and_user_are_the_image_s() {
    let bench = Bench::new();
    let mut wanted = script_spec(
        "pwd; id -u; id -g; id -G; echo $HOME; echo $A $HOSTNAME; echo $PATH; touch /forbidden; touch /tmp/allowed && echo yes > /dev/stdout",
    );
    wanted.env = vec![("A".into(), "1 2".into())];
    wanted.working_dir = "/work/../work/deep".into();
    wanted.user = "app".into();
    let record = bench.run(&wanted);
    assert_ok(&record);
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(stdout(&record), ["/work/deep", "1000", "1001", "1001 29", "/home/app", "1 2 engine", path, "yes"]);
    assert!(of(&record, Stream::Stderr).iter().any(|line| line.contains("/forbidden")), "{record:?}");
}

#[test]
fn the_server_s_own_groups_and_environment_are_not_inherited() {
    let bench = Bench::new();
    let record = bench.sh("id -G; env");
    let lines = stdout(&record);
    assert_eq!(lines[0], "0");
    assert!(!lines.iter().any(|line| line.contains("CARGO") || line.contains("RUST")), "{lines:?}");
    let record = bench.run(&spec(&["cat", "/proc/self/status"]));
    let lines = stdout(&record);
    for line in ["SigIgn:\t0000000000000000", "SigBlk:\t0000000000000000", "Umask:\t0022", "Groups:\t "] {
        assert!(lines.contains(&line), "{line:?} in {lines:?}");
    }
}

#[test]
fn a_program_that_is_not_there_is_the_engine_s_fault() {
    let bench = Bench::new();
    bench.file("base/bin/data", b"not a program", 0o755);
    bench.file("base/bin/plain", b"#!/bin/sh\n", 0o644);
    bench.file("base/bin/script", b"#!/usr/bin/python3\n", 0o755);
    for (program, code, parts) in [
        ("nowhere", 127, ["\"nowhere\"", "PATH=/usr/local/sbin"]),
        ("/opt/nowhere", 127, ["/opt/nowhere", "not in the image"]),
        ("/bin/data", 126, ["/bin/data", "#!"]),
        ("plain", 126, ["/bin/plain", "chmod +x"]),
        ("script", 127, ["/usr/bin/python3", "not in the image"]),
        ("/etc", 126, ["/etc", "directory"]),
    ] {
        let record = bench.run(&spec(&[program]));
        assert_eq!(record.exit, Exit::Exited { code }, "{record:?}");
        let said = of(&record, Stream::Gate);
        assert!(said.len() == 1 && parts.iter().all(|part| said[0].contains(part)), "{program}: {said:?}");
    }
}

#[test]
fn a_user_or_directory_that_cannot_be_is_the_engine_s_fault() {
    let bench = Bench::new();
    let mut ghost = script_spec("true");
    ghost.user = "ghost".into();
    let mut nowhere = script_spec("true");
    nowhere.working_dir = "/etc/passwd/deeper".into();
    let mut in_the_way = script_spec("true");
    in_the_way.files = vec![InjectedFile { path: "/etc".into(), bytes: Vec::new(), mode: 0o644 }];
    let mut zero = script_spec("true");
    zero.args.push("a\0b".into());
    for (spec, part) in [(ghost, "\"ghost\""), (nowhere, "/etc/passwd/deeper"), (in_the_way, "/etc "), (zero, "zero byte")] {
        let record = bench.run(&spec);
        assert_eq!(record.exit, Exit::Exited { code: 126 }, "{record:?}");
        assert!(of(&record, Stream::Gate)[0].contains(part), "{record:?}");
    }
}

#[test]
fn injected_files_are_there_and_cannot_be_changed() {
    let bench = Bench::new();
    std::os::unix::fs::symlink("/etc/passwd", bench.path("base/link")).unwrap();
    let mut spec = script_spec("cat /deep/er/payload.json /link; ls -l /link; echo x >> /deep/er/payload.json; chmod 777 /link; /link2");
    let file = |path: &str, text: &str, mode| InjectedFile { path: path.into(), bytes: text.into(), mode };
    spec.files =
        vec![file("/deep/er/payload.json", "{}\n", 0o644), file("/link", "mine\n", 0o400), file("/link2", "#!/bin/sh\necho ran\n", 0o755)];
    let record = bench.run(&spec);
    let lines = stdout(&record);
    assert_eq!(lines[..2], ["{}", "mine"]);
    assert!(lines[2].starts_with("-r--------"), "{lines:?}");
    assert_eq!(lines.last(), Some(&"ran"));
    let errors = of(&record, Stream::Stderr);
    assert!(errors.iter().any(|e| e.contains("Read-only file system")), "{errors:?}");
    assert!(
        std::fs::read_to_string(bench.path("base/etc/passwd")).unwrap().starts_with("root:"),
        "what a link in the image names is untouched"
    );
}

#[test]
fn logs_arrive_live_and_within_their_caps() {
    let bench = Bench::new();
    let mut spec = script_spec(
        "echo one; head -c 30000000 /dev/zero; echo; i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); done; echo done >&2",
    );
    spec.limits.log_bytes = 4000;
    spec.limits.log_line_bytes = 100;
    let (send, receive) = std::sync::mpsc::channel();
    let session = bench.open("test");
    let running = session.start(&bench.rootfs(), &spec, std::sync::Arc::new(move |line| send.send(line).unwrap())).unwrap();
    assert_eq!(receive.recv().unwrap().text, "one");
    let record = running.wait().unwrap();
    assert_ok(&record);
    assert!(record.log_truncated);
    let hit =
        |name: &str| record.limits_hit.iter().find(|hit| hit.limit == name).unwrap_or_else(|| panic!("{name} in {:?}", record.limits_hit));
    assert_eq!(hit("log_line_bytes").peak, 30_000_000);
    assert!(hit("log_bytes").peak > 30_000_000);
    assert!(record.log.iter().map(|line| line.text.len()).sum::<usize>() < 5000, "{:?}", record.log.len());
    assert_eq!(1 + receive.try_iter().count(), record.log.len(), "live and kept are the same");
}
