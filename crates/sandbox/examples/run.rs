//! Runs a command in a directory as if it were an image: `cargo run -p sandbox --example run -- ROOT COMMAND [ARGUMENT]...`
//!
//! Prints the log as it comes and the record at the end; with `--doctor` alone, what this host holds; with `--enter COMMAND`, runs the command as root
//! of an ordinary user's own namespace. It is also how a program hands over to the helper: by its own first argument.

use std::{env, path::PathBuf, process::ExitCode, sync::Arc};

use model::{
    manifest::ClusterSize,
    network::NetworkPolicy,
    run::{Limits, RunSpec},
};
use sandbox::{
    Rootfs, Sandbox,
    local::{Helper, Local},
};

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]
fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let Some(first) = words.next() else {
        eprintln!("usage: run ROOT COMMAND [ARGUMENT]...");
        return ExitCode::from(2);
    };
    if first == "sandbox-helper" {
        sandbox::helper_main();
    }
    if let Err(obstacle) = sandbox::ordinary::enter() {
        eprintln!("{obstacle}");
    }
    if first == "--enter" {
        // Tests have threads from the beginning; they are started from here.
        let mut command = std::process::Command::new(words.next().unwrap_or_default());
        eprintln!("{}", std::os::unix::process::CommandExt::exec(command.args(words)));
        return ExitCode::FAILURE;
    }
    if first == "--doctor" {
        println!("{}", sandbox::doctor::kind());
        for line in sandbox::doctor::examine(env::temp_dir().join("sandbox-example"), Helper::default(), None, host_clocks()) {
            let mark = match (line.ok, line.required) {
                (true, _) => "ok  ",
                (false, true) => "FAIL",
                (false, false) => "note",
            };
            println!("{mark} {:<24} {:<44} {}", line.id, line.title, line.detail);
        }
        return ExitCode::SUCCESS;
    }
    let Ok(root) = PathBuf::from(&first).canonicalize() else {
        eprintln!("{first} is no directory");
        return ExitCode::from(2);
    };
    let spec = RunSpec {
        args: words.collect(),
        env: Vec::new(),
        working_dir: "/".to_owned(),
        user: String::new(),
        limits: Limits::certification(ClusterSize::Small, None),
        files: Vec::new(),
        network: NetworkPolicy::Isolated,
        read_only_root: false,
    };
    let local = Local::new(env::temp_dir().join("sandbox-example"), Helper::default()).with_host_clocks(host_clocks());
    let sink = Arc::new(|line: model::run::LogLine| println!("{:>6} {:?} {}", line.at_ms, line.stream, line.text));
    let record = local.open("example").and_then(|session| session.start(&Rootfs { lower: vec![root] }, &spec, sink)?.wait());
    match record {
        Ok(record) => {
            println!(
                "{:?} after {} ms, {} ms of CPU, {} bytes of memory",
                record.exit, record.wall_ms, record.cpu_ms, record.peak_memory_bytes
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Where the kernel cannot hide them, whoever runs this must allow it.
fn host_clocks() -> bool {
    env::var_os("SANDBOX_HOST_CLOCKS").is_some()
}
