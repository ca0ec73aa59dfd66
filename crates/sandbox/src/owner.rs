//! Whose run is it: the name of a run's control group says which process made it, so that a sweep never touches a living server's runs.
//!
//! A process is known by its number, the time it started and the pid namespace in which that number counts.

use std::{fmt, fs, str::FromStr};

use crate::Error;

/// A process that makes runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pid_namespace: u64,
    pid: u32,
    started: u64,
}

impl Owner {
    /// This process.
    pub(crate) fn current() -> Result<Self, Error> {
        let pid = std::process::id();
        let started = state_of(pid).map(|(_, started)| started);
        let found = pid_namespace().and_then(|pid_namespace| started.map(|started| Self { pid_namespace, pid, started }));
        found.ok_or_else(|| Error::System { action: "read /proc/self/stat", source: std::io::Error::from(std::io::ErrorKind::InvalidData) })
    }

    /// True only if it is certain that the process is gone: another pid namespace's processes cannot be judged from here.
    pub(crate) fn is_dead(&self) -> bool {
        if pid_namespace() != Some(self.pid_namespace) {
            return false;
        }
        match state_of(self.pid) {
            None => true,
            Some((state, started)) => started != self.started || matches!(state, 'Z' | 'X'),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.pid_namespace, self.pid, self.started)
    }
}

impl FromStr for Owner {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(());
        let (namespace, pid, started) = (next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(());
        }
        let number = |text: &str| text.parse::<u64>().map_err(|_| ());
        Ok(Self { pid_namespace: number(namespace)?, pid: pid.parse().map_err(|_| ())?, started: number(started)? })
    }
}

/// The name of a run's control group.
pub(crate) fn group_name(id: &str, owner: &Owner) -> String {
    format!("{id}.{owner}")
}

/// Who made the control group of this name; `None` for a name that is not ours.
pub(crate) fn owner_of(group_name: &str) -> Option<Owner> {
    group_name.split_once('.').and_then(|(_, owner)| owner.parse().ok())
}

fn pid_namespace() -> Option<u64> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

fn state_of(pid: u32) -> Option<(char, u64)> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// State and start time out of `/proc/PID/stat`. The name in it may hold anything, so fields are counted from the last parenthesis.
fn parse_stat(text: &str) -> Option<(char, u64)> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_owner() {
        let owner = Owner::current().unwrap();
        assert_eq!(owner_of(&group_name("build-7", &owner)), Some(owner));
        for foreign in ["x", "x.y", "a.1-2", "a.1-2-3-4", "system.slice", "a.1--3"] {
            assert_eq!(owner_of(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn this_process_is_alive_and_another_start_time_is_not_this_process() {
        let owner = Owner::current().unwrap();
        assert!(!owner.is_dead());
        assert!(Owner { started: owner.started + 1, ..owner }.is_dead());
    }

    #[test]
    fn processes_of_another_pid_namespace_are_left_alone() {
        let owner = Owner::current().unwrap();
        assert!(!Owner { pid_namespace: owner.pid_namespace + 1, started: 0, ..owner }.is_dead());
    }

    #[test]
    fn a_process_name_cannot_forge_the_fields() {
        let stat = "7 (a) R 1 (x)) S 1 7 7 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 4242 1000 10";
        assert_eq!(parse_stat(stat), Some(('S', 4242)));
    }
}
