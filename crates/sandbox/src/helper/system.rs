//! `/sys` as the engine gets it, laid together beforehand: the system's description, the run's own control groups in it, and nothing that tells of the
//! machine. One mount for libcontainer instead of ten, each of which it would take great care of; in here nobody can interfere yet. Foreign runtimes do
//! all of it themselves: crun leaves out what is mounted below.

use std::{fs, os::unix::fs::symlink, path::Path};

use rustix::mount::{MountFlags, mount, mount_bind, mount_remount};

use super::{Trouble, during, mounts::Private};
use crate::protocol::Description;

/// What tells of the machine.
pub(super) const MASKED: [&str; 3] = ["/sys/devices/virtual/dmi", "/sys/devices/virtual/powercap", "/sys/firmware"];
/// Where control groups are shown.
pub(super) const GROUPS: &str = "/sys/fs/cgroup";

/// Nothing in it can be changed.
const LOCKED: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC).union(MountFlags::RDONLY);

/// Mounts it at `sys` among the private file systems.
pub(super) fn show(private: &Private, description: &Description) -> Result<(), Trouble> {
    let step = "mount the system's description";
    let sys = private.path("sys");
    // Mounted from within the run's network, it shows the interfaces of that network and no others.
    mount(c"sysfs", &sys, c"sysfs", LOCKED, None).map_err(during(step))?;
    if description.foreign.is_some() {
        return Ok(());
    }
    let below = |path: &str| sys.join(path.trim_start_matches("/sys/"));
    for masked in MASKED.iter().map(|path| below(path)).filter(|path| path.is_dir()) {
        mount(c"tmpfs", &masked, c"tmpfs", LOCKED, Some(c"size=4k,mode=555")).map_err(during(step))?;
    }
    let groups = below(GROUPS);
    let several = description.cgroup.iter().any(|view| !view.unified);
    if several {
        let open = LOCKED.difference(MountFlags::RDONLY);
        mount(c"tmpfs", &groups, c"tmpfs", open, Some(c"size=4k,mode=755")).map_err(during(step))?;
    }
    for (i, view) in description.cgroup.iter().enumerate() {
        let place = if several { groups.join(i.to_string()) } else { groups.clone() };
        if several {
            // Programs find either name. libcontainer looks in the mount table for the names of controllers, and would use what is not its own.
            fs::create_dir(&place).map_err(during(step))?;
            symlink(i.to_string(), groups.join(view.target.file_name().unwrap_or_default())).map_err(during(step))?;
        }
        mount_bind(private.cgroup(i), &place).map_err(during(step))?;
        lock(&place)?;
    }
    if several { lock(&groups) } else { Ok(()) }
}

fn lock(target: &Path) -> Result<(), Trouble> {
    mount_remount(target, MountFlags::BIND | LOCKED, c"").map_err(during("lock the control groups"))
}
