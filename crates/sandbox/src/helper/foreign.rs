//! Lets a foreign OCI runtime create and start the container. Root file system, network and control group are ours as ever; the runtime is handed a
//! description of the real process. It goes when its work is done, and the container's first process becomes a child of the helper.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Command, Stdio},
};

use rustix::process::{Pid, getpid, set_child_subreaper};

use super::{Output, Trouble, during, guard::Guard, launch::Started, mounts::Private, wait::counters};
use crate::protocol::Foreign;

/// The container's name; nobody else's are in the same folder.
const NAME: &str = "run";
/// Of what a runtime says only the beginning is told.
const SAID: u64 = 64 << 10;

/// Creates the container and starts its program.
pub(super) fn launch(private: &Private, foreign: &Foreign, output: Output) -> Result<Started, Trouble> {
    set_child_subreaper(Some(getpid())).map_err(during("adopt the container"))?;
    let groups = (0..).map(|i| private.cgroup(i)).take_while(|group| group.is_dir()).collect();
    let guard = Guard::post(groups).map_err(during("post a guard"))?;
    let pid_file = private.path("pid");
    let mut create = command(private, foreign, "create");
    create.arg("--bundle").arg(private.path("bundle")).arg("--pid-file").arg(&pid_file);
    create.stdin(nothing()?).stdout(output.stdout).stderr(output.stderr);
    run(private, create.arg(NAME), "create the container")?;
    let step = "find the container's first process";
    let text = fs::read_to_string(&pid_file).map_err(during(step))?;
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Trouble::Failed { step, message: format!("the runtime wrote {:?}", text.trim()) })?;
    let counters = counters(pid);
    let mut start = command(private, foreign, "start");
    start.stdout(Stdio::null()).stderr(Stdio::null());
    run(private, start.arg(NAME), "start the container")?;
    Ok(Started { pid, fault: None, listener: None, guard: Some(guard), counters })
}

/// What the program may read: nothing. Not `/dev/null`, because crun makes the program's streams its user's own, and that would be the host's device.
fn nothing() -> Result<Stdio, Trouble> {
    let (empty, _) = std::io::pipe().map_err(during("give the program an empty input"))?;
    Ok(empty.into())
}

fn command(private: &Private, foreign: &Foreign, verb: &str) -> Command {
    let mut command = Command::new(&foreign.program);
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
    command.arg("--root").arg(private.path("state")).arg("--log").arg(log(private)).args(["--log-format", "json", verb]);
    command
}

fn log(private: &Private) -> PathBuf {
    private.path("runtime.log")
}

fn run(private: &Private, command: &mut Command, step: &'static str) -> Result<(), Trouble> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| Trouble::Failed { step, message: format!("{name}: {error}") })?;
    if status.success() {
        return Ok(());
    }
    let said = last_words(private).unwrap_or_else(|| status.to_string());
    Err(Trouble::Failed { step, message: format!("{name} said: {said}") })
}

/// The last message of the runtime's log.
fn last_words(private: &Private) -> Option<String> {
    let lines = BufReader::new(fs::File::open(log(private)).ok()?.take(SAID)).lines();
    let message = |line: String| Some(serde_json::from_str::<serde_json::Value>(&line).ok()?["msg"].as_str()?.to_owned());
    lines.map_while(Result::ok).filter_map(message).last()
}
