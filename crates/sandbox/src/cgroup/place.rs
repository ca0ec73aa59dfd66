//! Where the runs live on a host with control groups of version 2.
//!
//! Root may make groups below the root of the tree. A group that was handed to us (systemd's `Delegate=yes`) is better, because what stops the service
//! then stops its runs, and it is the only place for an ordinary user. In such a group no process may sit beside the runs: [`move_into_leaf`] takes
//! those that do, the server among them, into a leaf of their own.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use rustix::fs::{Access, access, getxattr};

use super::{layout::LayoutError, members};

/// The leaf of processes that are no runs.
const LEAF: &str = "plimsoll-server";
/// Between two looks new processes may have come, each of which came from one that was there.
const ROUNDS: usize = 50;

/// Who looks for a place.
pub(super) struct Seeker {
    /// This process's line of version 2 in `/proc/self/cgroup`, relative to the mount.
    own: Option<PathBuf>,
    /// Root, and not just of a user namespace.
    true_root: bool,
}

impl Seeker {
    /// This process; `shown` is the part of the tree that is mounted.
    pub(super) fn current(shown: &Path) -> Self {
        let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self { own: own_group(&text, shown), true_root: crate::ordinary::is_true_root() }
    }

    /// The directory below which runs are made.
    pub(super) fn place(&self, root: &Path) -> Result<PathBuf, LayoutError> {
        let own = self.own.as_ref().map(|own| root.join(own));
        let handed_over = own.as_deref().map(without_leaf).filter(|dir| {
            let marked = ["trusted.delegate", "user.delegate"].iter().any(|name| has_mark(dir, name));
            if self.true_root { marked && *dir != root } else { may_change(dir) }
        });
        match (handed_over, self.true_root) {
            (Some(dir), _) => Ok(dir.to_owned()),
            (None, true) => Ok(root.to_owned()),
            (None, false) => Err(LayoutError::NotDelegated(own.unwrap_or_else(|| root.to_owned()))),
        }
    }
}

/// The group of version 2 out of `/proc/self/cgroup`, relative to a mount that shows the tree from `shown` on.
fn own_group(text: &str, shown: &Path) -> Option<PathBuf> {
    let path = Path::new(text.lines().find_map(|line| line.strip_prefix("0::"))?);
    let below = path.strip_prefix(shown).ok()?;
    // Outside of what this process may see, the kernel says `..`.
    below.components().all(|part| matches!(part, Component::Normal(_))).then(|| below.to_owned())
}

fn without_leaf(own: &Path) -> &Path {
    match (own.file_name(), own.parent()) {
        (Some(name), Some(parent)) if name == LEAF => parent,
        _ => own,
    }
}

fn has_mark(dir: &Path, name: &str) -> bool {
    let mut value = [0; 2];
    getxattr(dir, name, &mut value[..]).is_ok_and(|length| value[..length] == *b"1")
}

fn may_change(dir: &Path) -> bool {
    let writable = |path: &Path| access(path, Access::WRITE_OK).is_ok();
    writable(dir) && ["cgroup.procs", "cgroup.subtree_control"].iter().all(|file| writable(&dir.join(file)))
}

/// Writes into `cgroup.subtree_control` of `dir`, making it free of processes first where the kernel insists on that.
pub(super) fn enable(dir: &Path, controllers: &str) -> io::Result<()> {
    let write = || fs::write(dir.join("cgroup.subtree_control"), controllers);
    for _ in 0..ROUNDS {
        match write() {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => move_into_leaf(dir)?,
            other => return other,
        }
    }
    write()
}

fn move_into_leaf(dir: &Path) -> io::Result<()> {
    let leaf = dir.join(LEAF);
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for process in members(dir) {
        match fs::write(leaf.join("cgroup.procs"), process.as_raw_pid().to_string()) {
            // It has ended meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            other => other?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_group_is_found_below_what_is_mounted() {
        let text = "9:name=systemd:/\n0::/system.slice/plimsoll.service\n";
        let own = |text, shown| own_group(text, Path::new(shown));
        assert_eq!(own(text, "/"), Some("system.slice/plimsoll.service".into()));
        assert_eq!(own(text, "/system.slice"), Some("plimsoll.service".into()));
        assert_eq!(own(text, "/user.slice"), None);
        assert_eq!(own("0::/\n", "/"), Some(PathBuf::new()));
        assert_eq!(own("0::/../other.service\n", "/"), None, "outside of the namespace");
        assert_eq!(own("4:memory:/\n", "/"), None);
    }

    #[test]
    fn a_server_that_has_moved_still_knows_its_place() {
        assert_eq!(without_leaf(Path::new("/c/a.service/plimsoll-server")), Path::new("/c/a.service"));
        assert_eq!(without_leaf(Path::new("/c/a.service")), Path::new("/c/a.service"));
    }

    #[test]
    fn an_ordinary_user_gets_what_was_handed_over_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own");
        fs::create_dir(&own).unwrap();
        let seeker = |true_root| Seeker { own: Some("own".into()), true_root };
        assert_eq!(seeker(false).place(dir.path()), Err(LayoutError::NotDelegated(own.clone())), "no files of a group in it");
        for file in ["cgroup.procs", "cgroup.subtree_control"] {
            fs::write(own.join(file), "").unwrap();
        }
        assert_eq!(seeker(false).place(dir.path()), Ok(own.clone()));
        assert_eq!(seeker(true).place(dir.path()), Ok(dir.path().to_owned()), "root is where it may be, and this is not marked");
        rustix::fs::setxattr(&own, "user.delegate", b"1", rustix::fs::XattrFlags::empty()).unwrap();
        assert_eq!(seeker(true).place(dir.path()), Ok(own));
    }
}
