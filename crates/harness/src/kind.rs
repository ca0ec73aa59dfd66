//! Which kind of engine an image holds, and what has to be started (engine contract §0, §1.6).

use model::{
    manifest::{EngineMode, Manifest},
    run::{EngineKind, InjectedFile, NotStarted},
};

use crate::{Command, hook::PROCESS_VARIABLE};

/// Where the toolkit driver lies in an image; the second place is an older habit.
const DRIVERS: [&str; 2] = [DRIVER_PATH, "/app/engine"];

/// What Docker gives a container whose image sets no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How the engine is to be talked to, from its image's config and its manifest alone.
pub fn kind_of(command: &Command, manifest: &Manifest) -> EngineKind {
    let has_hook = command.var(PROCESS_VARIABLE).is_some_and(|url| !url.trim().is_empty());
    if has_hook || driver_of(command).is_some() {
        return EngineKind::Webhook;
    }
    match manifest.engine_mode {
        EngineMode::Legacy | EngineMode::Batch => EngineKind::Batch,
        EngineMode::Chunk | EngineMode::Stream => EngineKind::Queue,
    }
}

fn words(command: &Command) -> impl Iterator<Item = &String> {
    command.entrypoint.iter().chain(&command.cmd)
}

/// The driver's path, if the image starts it.
fn driver_of(command: &Command) -> Option<&str> {
    words(command).next().map(String::as_str).filter(|first| DRIVERS.contains(first))
}

/// The documented path of the driver.
pub const DRIVER_PATH: &str = "/opt/aiware/engine";

/// Our own driver, for images whose start script calls theirs: it starts the engine and looks for no controller (engine contract §1.6, option B).
static DRIVER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/driver"));

/// What is put over the image's driver, if a script of the image may call it.
pub(crate) fn driver_for(command: &Command) -> Option<InjectedFile> {
    let called_by_a_script = command.carries_driver && driver_of(command).is_none();
    called_by_a_script.then(|| InjectedFile { path: DRIVER_PATH.to_owned(), bytes: DRIVER.to_vec(), mode: 0o755 })
}

/// Program and arguments to start. The driver is left out and its child started in its place: the driver would look for the
/// controller of its origin and do nothing without it (engine contract §1.6, option A).
pub(crate) fn args_of(command: &Command) -> Result<Vec<String>, NotStarted> {
    let driver = driver_of(command);
    let args: Vec<String> = words(command).skip(usize::from(driver.is_some())).cloned().collect();
    match (args.first().is_some_and(|program| !program.is_empty()), driver) {
        (true, _) => Ok(args),
        (false, Some(driver)) => Err(NotStarted::DriverWithoutCommand { driver: driver.to_owned() }),
        (false, None) => Err(NotStarted::NoCommand),
    }
}

/// The environment of the engine: that of its image, as the driver would pass it on where there is one (engine contract §1.1).
pub(crate) fn env_of(command: &Command) -> Vec<(String, String)> {
    let listed: Vec<&str> = command.var("AIWARE_ENV_WHITE_LIST").unwrap_or("").split([',', ' ', ';']).collect();
    let driven = driver_of(command).is_some();
    let passes = |name: &str| !driven || !name.starts_with("AIWARE_") || name == "AIWARE_CONTROLLER" || listed.contains(&name);
    let mut env: Vec<_> = command.env.iter().filter(|(name, _)| passes(name)).cloned().collect();
    if command.var("PATH").is_none() {
        env.push(("PATH".to_owned(), DEFAULT_PATH.to_owned()));
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(entrypoint: &[&str], cmd: &[&str], env: &[(&str, &str)]) -> Command {
        Command {
            entrypoint: entrypoint.iter().map(|&s| s.to_owned()).collect(),
            cmd: cmd.iter().map(|&s| s.to_owned()).collect(),
            env: env.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
            ..Command::default()
        }
    }

    fn kind(command: &Command, engine_mode: EngineMode) -> EngineKind {
        kind_of(command, &Manifest { engine_mode, ..Manifest::default() })
    }

    #[test]
    fn every_row_of_the_table() {
        let hooked = command(&["/engine"], &[], &[("VERITONE_WEBHOOK_PROCESS", "http://0.0.0.0:8080/process")]);
        let driven = command(&["/opt/aiware/engine", "node"], &[], &[]);
        let older = command(&[], &["/app/engine", "node"], &[]);
        let plain = command(&["/engine"], &[], &[("VERITONE_WEBHOOK_PROCESS", " ")]);
        for mode in [EngineMode::Legacy, EngineMode::Batch, EngineMode::Chunk, EngineMode::Stream] {
            assert_eq!(kind(&hooked, mode), EngineKind::Webhook);
            assert_eq!(kind(&driven, mode), EngineKind::Webhook);
            assert_eq!(kind(&older, mode), EngineKind::Webhook);
        }
        assert_eq!(kind(&plain, EngineMode::Legacy), EngineKind::Batch);
        assert_eq!(kind(&plain, EngineMode::Batch), EngineKind::Batch);
        assert_eq!(kind(&plain, EngineMode::Chunk), EngineKind::Queue);
        assert_eq!(kind(&plain, EngineMode::Stream), EngineKind::Queue);
    }

    #[test]
    fn the_driver_is_stepped_over() {
        assert_eq!(args_of(&command(&["/opt/aiware/engine", "node", "a.js"], &[], &[])).unwrap(), ["node", "a.js"]);
        assert_eq!(args_of(&command(&["/opt/aiware/engine"], &["node", "a.js"], &[])).unwrap(), ["node", "a.js"]);
        assert_eq!(args_of(&command(&["/app/engine", "a"], &["b"], &[])).unwrap(), ["a", "b"]);
        assert_eq!(args_of(&command(&["/engine"], &["--fast"], &[])).unwrap(), ["/engine", "--fast"]);
    }

    #[test]
    fn our_driver_is_put_where_a_script_would_call_theirs() {
        let script = Command { carries_driver: true, ..command(&["/start.sh"], &[], &[]) };
        let file = driver_for(&script).unwrap();
        assert_eq!((file.path.as_str(), file.mode, &file.bytes[..4]), (DRIVER_PATH, 0o755, &b"\x7fELF"[..]));
        assert_eq!(driver_for(&command(&["/start.sh"], &[], &[])), None);
        assert_eq!(driver_for(&Command { carries_driver: true, ..command(&[DRIVER_PATH, "/engine"], &[], &[]) }), None);
    }

    #[test]
    fn nothing_to_start_says_why() {
        assert_eq!(args_of(&command(&[], &[], &[])), Err(NotStarted::NoCommand));
        assert_eq!(args_of(&command(&[""], &[], &[])), Err(NotStarted::NoCommand));
        let driver = "/opt/aiware/engine".to_owned();
        assert_eq!(args_of(&command(&["/opt/aiware/engine"], &[], &[])), Err(NotStarted::DriverWithoutCommand { driver }));
    }

    #[test]
    fn the_driver_withholds_its_own_variables() {
        let env =
            [("AIWARE_A", "1"), ("AIWARE_B", "2"), ("AIWARE_CONTROLLER", "3"), ("AIWARE_ENV_WHITE_LIST", "AIWARE_B"), ("PATH", "/bin")];
        let names = |command: &Command| env_of(command).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&command(&["/opt/aiware/engine", "x"], &[], &env)), ["AIWARE_B", "AIWARE_CONTROLLER", "PATH"]);
        assert_eq!(names(&command(&["/x"], &[], &env)).len(), env.len());
        assert_eq!(env_of(&command(&["/x"], &[], &[])), [("PATH".to_owned(), DEFAULT_PATH.to_owned())]);
    }
}
