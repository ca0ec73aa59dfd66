//! An ordinary user's way to a sandbox: the process becomes root of a user namespace with the user's own range of ids (`/etc/subuid`), and from then on
//! makes mounts, networks and containers like root does, while the host goes on treating it as that user.
//!
//! A single id is not enough and is refused: an image's other users could not exist in it, and the user's groups could not be dropped.

use std::{
    fs::{self, File},
    io::{self, PipeReader, PipeWriter, Read, Write},
    os::fd::AsFd,
    process::Command,
    sync::OnceLock,
};

use rustix::{
    process::{DumpableBehavior, Pid, WaitOptions, set_dumpable_behavior, waitpid},
    thread::{ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces},
};

use crate::helper::{Side, fork_into, leave};

/// Images use ids up to here, and so do we.
const IDS: u32 = 65_536;

/// Why an ordinary user cannot run engines here, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found}; {mend}")]
pub struct Obstacle {
    /// What stands in the way.
    pub found: String,
    /// What to do about it.
    pub mend: String,
}

impl Obstacle {
    fn new(found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { found: found.into(), mend: mend.into() }
    }
}

/// Makes an ordinary user's process root of a user namespace of its own; root it leaves alone. Call it before any thread exists. When it fails, nothing
/// has changed.
///
/// # Errors
/// What this host lacks for it.
pub fn enter() -> Result<(), Obstacle> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    become_root().inspect_err(|obstacle| drop(REFUSED.set(obstacle.clone())))
}

/// What stood in the way, for whoever asks later why nothing can be run.
static REFUSED: OnceLock<Obstacle> = OnceLock::new();

fn become_root() -> Result<(), Obstacle> {
    let ranges = Ranges::of_user()?;
    let system = |action: &str, error: io::Error| Obstacle::new(format!("{action}: {error}"), namespaces_mend());
    let (model, end) = Model::make().map_err(|error| system("make a user namespace", error))?;
    let mapped = ranges.apply(model);
    let entered = mapped.and_then(|()| {
        let namespace = File::open(format!("/proc/{}/ns/user", model.as_raw_pid()));
        let entered = namespace.and_then(|file| Ok(move_into_thread_name_spaces(file.as_fd(), ThreadNameSpaceType::USER)?));
        entered.map_err(|error| system("enter the user namespace", error))
    });
    drop(end);
    let _ = waitpid(Some(model), WaitOptions::empty());
    entered?;
    // Entering has shut our own files in /proc to our own helper.
    set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(|error| system("open /proc to the helper", error.into()))
}

/// Root with all its powers, and not only in a user namespace.
pub(crate) fn is_true_root() -> bool {
    rustix::process::geteuid().is_root() && !in_user_namespace()
}

/// In any user namespace but the first.
pub(crate) fn in_user_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_ascii_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"]
}

/// Who we are, for people; an error if engines cannot be run as that.
pub(crate) fn describe() -> Result<String, Obstacle> {
    let user = rustix::process::geteuid();
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    match (user.is_root(), in_user_namespace()) {
        (true, false) => Ok("root".to_owned()),
        (true, true) => {
            let mapped = ids(&map);
            let owner = map.split_ascii_whitespace().nth(1).unwrap_or("?");
            if mapped > u64::from(IDS) { Ok(format!("user {owner}, root of a namespace of {mapped} ids")) } else { Err(too_few(mapped)) }
        }
        (false, _) => Err(REFUSED.get().cloned().unwrap_or_else(|| {
            Obstacle::new(format!("user {} has not become root of a user namespace", user.as_raw()), namespaces_mend())
        })),
    }
}

/// The user that owns this process's namespace, where that is not root.
pub(crate) fn owner() -> Option<u64> {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_ascii_whitespace().nth(1)?.parse().ok().filter(|owner| *owner != 0)
}

/// How many ids a map has, from the first one on.
fn ids(map: &str) -> u64 {
    map.lines().filter_map(|line| line.split_ascii_whitespace().nth(2)?.parse::<u64>().ok()).sum()
}

fn too_few(mapped: u64) -> Obstacle {
    let found = format!("this user namespace has {mapped} ids, images need {}", IDS + 1);
    Obstacle::new(found, "give the user 65536 ids in /etc/subuid and /etc/subgid")
}

/// What switches user namespaces off, as far as it can be seen.
fn namespaces_mend() -> String {
    let switched = |path: &str, off: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == off);
    let mend = if switched("/proc/sys/user/max_user_namespaces", "0") {
        "allow user namespaces: sysctl user.max_user_namespaces=10000"
    } else if switched("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1"
    } else if switched("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "allow user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    } else {
        "use a kernel and a container that allow user namespaces"
    };
    format!("{mend}, or start plimsoll as root")
}

/// The ids of a user beyond its own.
#[derive(Debug, PartialEq, Eq)]
struct Ranges {
    own: [u32; 2],
    /// The first of the 65536 further ones, user and group ids.
    further: [u32; 2],
}

impl Ranges {
    fn of_user() -> Result<Self, Obstacle> {
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let name = name_of(user, &fs::read_to_string("/etc/passwd").unwrap_or_default());
        let range = |file: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            range(&text, name.as_deref(), user).ok_or_else(|| {
                let who = name.clone().unwrap_or_else(|| user.to_string());
                let mend =
                    format!("as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {who} (any free range of {IDS})");
                Obstacle::new(format!("{file} gives user {who} no {IDS} ids"), mend)
            })
        };
        Ok(Self { own: [user, group], further: [range("/etc/subuid")?, range("/etc/subgid")?] })
    }

    /// Gives the ids to the namespace of a process, by the two programs that may do that for an ordinary user.
    fn apply(&self, process: Pid) -> Result<(), Obstacle> {
        for (i, program) in ["newuidmap", "newgidmap"].into_iter().enumerate() {
            let numbers = [0, self.own[i], 1, 1, self.further[i], IDS].map(|number| number.to_string());
            let answer =
                Command::new(program).arg(process.as_raw_pid().to_string()).args(numbers).output().map_err(|error| {
                    Obstacle::new(format!("{program}: {error}"), "as root: apt-get install uidmap, and put it on the PATH")
                })?;
            if !answer.status.success() {
                let said = String::from_utf8_lossy(&answer.stderr).trim().chars().take(300).collect::<String>();
                let mend =
                    format!("see /etc/subuid and /etc/subgid, and that {program} may change ids (setuid, no NoNewPrivileges= in the unit)");
                return Err(Obstacle::new(format!("{program} refused: {said}"), mend));
            }
        }
        Ok(())
    }
}

fn name_of(user: u32, passwd: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(user)).then(|| name.to_owned())
    })
}

/// The first of enough further ids, out of `/etc/subuid`.
fn range(text: &str, name: Option<&str>, user: u32) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let who = fields.next()?;
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.trim().parse::<u32>().ok()?);
        ((Some(who) == name || who.parse() == Ok(user)) && count >= IDS).then_some(first)
    })
}

/// A child that makes a user namespace and waits, so that the namespace can be furnished before anybody lives in it.
struct Model;

impl Model {
    fn make() -> io::Result<(Pid, PipeWriter)> {
        let (mut made, say_made) = io::pipe()?;
        let (wait, end) = io::pipe()?;
        match fork_into(None)? {
            Side::Child => {
                drop((made, end));
                leave(Self::live(say_made, wait))
            }
            Side::Parent(child) => {
                drop((say_made, wait));
                let mut answer = [0; 4];
                made.read_exact(&mut answer)?;
                match i32::from_ne_bytes(answer) {
                    0 => Ok((child, end)),
                    error => {
                        drop(end);
                        let _ = waitpid(Some(child), WaitOptions::empty());
                        Err(io::Error::from_raw_os_error(error))
                    }
                }
            }
        }
    }

    #[allow(unsafe_code, reason = "unshare(2) may leave other parts of a process unsound; a user namespace in a single thread cannot")]
    fn live(mut say_made: PipeWriter, mut wait: PipeReader) -> i32 {
        // SAFETY: only CLONE_NEWUSER is asked for, in a process of one thread that only reads, writes and ends afterwards.
        let made = unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER) };
        let error = made.err().map_or(0, rustix::io::Errno::raw_os_error);
        let _ = say_made.write_all(&error.to_ne_bytes());
        // Until the parent has closed its end.
        let _ = wait.read(&mut [0]);
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_s_range_is_found_by_name_and_by_number() {
        let text = "a:1:2\nroot:100000:65536\ntester:1:10\ntester:200000:65536\n1001:300000:65536\nrubbish\n";
        assert_eq!(range(text, Some("tester"), 1000), Some(200_000), "a range too small is passed over");
        assert_eq!(range(text, None, 1001), Some(300_000));
        assert_eq!(range(text, Some("nobody"), 65534), None);
        assert_eq!(name_of(1000, "root:x:0:0::/:\nbad\ntester:x:1000:1000::/home/tester:\n").as_deref(), Some("tester"));
    }

    #[test]
    fn ids_of_a_map_are_counted() {
        assert_eq!(ids("         0       1000          1\n         1     100000      65536\n"), 65_537);
        assert_eq!(ids("0 1000 1\n"), 1);
        assert_eq!(ids("nonsense"), 0);
    }
}
