//! Control groups: the limits of a run, what it used, and the one handle by which all of it can be killed.
//!
//! Both generations: version 1 with a hierarchy per controller (also beside an empty version 2, "hybrid"), and version 2. What is written where is
//! decided by pure functions; this file does the writing.

mod layout;
mod place;
mod settings;
mod usage;

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use model::run::Limits;
use rustix::process::{Pid, PidfdFlags, Signal};

pub(crate) use layout::{CgroupMount, Layout, cgroup_mounts};
pub(crate) use usage::Usage;

use crate::{Error, owner::owner_of};

/// The one parent of all runs: below the root of every hierarchy of version 1, below our [`place`] in version 2.
const PARENT: &str = "plimsoll";
/// How long a killed group may take until it is empty. Processes stuck in the kernel longer than this are left to the next sweep.
const EMPTY_WITHIN: Duration = Duration::from_secs(5);

/// The control group of one run: one directory per hierarchy.
#[derive(Debug)]
pub(crate) struct Group {
    layout: Layout,
    name: String,
}

/// A directory of the run's control group and how its first process gets in.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct View {
    /// The directory on the host.
    pub(crate) source: PathBuf,
    /// Where the engine finds it, read-only, because language runtimes size themselves by it.
    pub(crate) target: PathBuf,
    /// Version 2.
    pub(crate) unified: bool,
}

impl Group {
    /// Makes the group and sets its limits.
    pub(crate) fn create(layout: &Layout, name: &str, limits: &Limits) -> Result<Self, Error> {
        let group = Self { layout: layout.clone(), name: name.to_owned() };
        for parent in layout.roots().map(|root| root.join(PARENT)) {
            make_parent(layout, &parent)?;
            let dir = parent.join(name);
            if let Err(source) = fs::create_dir(&dir) {
                return Err(match source.kind() {
                    io::ErrorKind::AlreadyExists => Error::Busy(name.to_owned()),
                    _ => Error::File { action: "make the control group", path: dir, source },
                });
            }
        }
        if !layout.is_unified() {
            group.inherit_cpuset()?;
        }
        group.set_limits(limits)?;
        Ok(group)
    }

    /// A new group of this version 1 controller has no processors and no memory, and takes no process until it has.
    fn inherit_cpuset(&self) -> Result<(), Error> {
        let Some(root) = self.layout.cpuset() else { return Ok(()) };
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let path = root.join(file);
            let all = fs::read(&path).map_err(|source| Error::File { action: "read the processors", path, source })?;
            for dir in [root.join(PARENT), root.join(PARENT).join(&self.name)] {
                let path = dir.join(file);
                fs::write(&path, &all).map_err(|source| Error::File { action: "set the processors", path, source })?;
            }
        }
        Ok(())
    }

    fn set_limits(&self, limits: &Limits) -> Result<(), Error> {
        for setting in settings::settings(self.layout.is_unified(), limits) {
            let path = self.dir(setting.controller).join(setting.file);
            match fs::write(&path, &setting.value) {
                Ok(()) => {}
                Err(source) if !setting.required && source.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::File { action: "set the limit", path, source }),
            }
        }
        Ok(())
    }

    /// The directory in which a controller's files are.
    fn dir(&self, controller: &str) -> PathBuf {
        self.layout.root_of(controller).join(PARENT).join(&self.name)
    }

    fn dirs(&self) -> impl Iterator<Item = PathBuf> {
        self.layout.roots().map(|root| root.join(PARENT).join(&self.name))
    }

    /// The group as a runtime is told it: from the root of the tree on.
    pub(crate) fn in_tree(&self) -> PathBuf {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let dir = self.dirs().next().unwrap_or_default();
        let below = cgroup_mounts(&table).into_iter().filter_map(|mount| Some(dir.strip_prefix(&mount.path).ok()?.to_owned()));
        Path::new("/").join(below.min_by_key(|below| below.components().count()).unwrap_or_default())
    }

    /// Files that list the processes of the run; each lists all of them.
    pub(crate) fn members(&self) -> Vec<PathBuf> {
        self.dirs().take(1).map(|dir| dir.join("cgroup.procs")).collect()
    }

    /// What the first process joins and what the engine is shown.
    pub(crate) fn views(&self) -> Vec<View> {
        let unified = self.layout.is_unified();
        let target = |source: &Path| match (unified, source.ancestors().nth(2).and_then(Path::file_name)) {
            (false, Some(hierarchy)) => Path::new("/sys/fs/cgroup").join(hierarchy),
            _ => PathBuf::from("/sys/fs/cgroup"),
        };
        self.dirs().map(|source| View { target: target(&source), source, unified }).collect()
    }

    /// Kills every process of the group and waits until none is left; true if none is.
    pub(crate) fn kill(&self) -> bool {
        // A fork bomb cannot outrun us when it cannot fork. Version 2 kills at once and needs no such help, but it does not hurt.
        let _ = fs::write(self.dir("pids").join("pids.max"), "0");
        let deadline = Instant::now() + EMPTY_WITHIN;
        let mut pause = Duration::from_micros(200);
        loop {
            if self.layout.is_unified() {
                let _ = fs::write(self.dir("memory").join("cgroup.kill"), "1");
            }
            let left: usize = self.dirs().map(|dir| kill_members(&dir)).sum();
            if left == 0 || Instant::now() >= deadline {
                return left == 0;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// What was used so far.
    pub(crate) fn usage(&self) -> Usage {
        Usage::read(self.layout.is_unified(), &|controller, file| fs::read_to_string(self.dir(controller).join(file)).ok())
    }
}

/// Removes the group; what cannot be removed in time is left to the next sweep.
impl Drop for Group {
    fn drop(&mut self) {
        self.dirs().for_each(|dir| remove_dir(&dir));
        // A foreign runtime makes one more where it finds another controller.
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let others = cgroup_mounts(&table).into_iter().filter(|mount| !self.layout.is_unified() && mount.is_for_runtimes(false));
        others.map(|mount| mount.path.join(PARENT).join(&self.name)).for_each(|dir| remove_dir(&dir));
    }
}

/// Kills and removes the groups of processes that are gone.
pub(crate) fn sweep(layout: &Layout) {
    for root in layout.roots() {
        let Ok(entries) = fs::read_dir(root.join(PARENT)) else { continue };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let dead = names.filter(|name| owner_of(name).is_some_and(|owner| owner.is_dead()));
        for name in dead.collect::<Vec<_>>() {
            Group { layout: layout.clone(), name }.kill();
        }
    }
}

fn make_parent(layout: &Layout, parent: &Path) -> Result<(), Error> {
    let failed = |path: &Path, source| Error::File { action: "make the control group", path: path.to_owned(), source };
    fs::create_dir_all(parent).map_err(|source| failed(parent, source))?;
    if layout.is_unified() {
        let above = parent.ancestors().skip(1).take(1);
        for dir in above.chain([parent]) {
            let path = dir.join("cgroup.subtree_control");
            let enabled = fs::read_to_string(&path).map_err(|source| failed(&path, source))?;
            if let Some(missing) = settings::to_enable(&enabled) {
                place::enable(dir, &missing).map_err(|source| failed(&path, source))?;
            }
        }
    }
    Ok(())
}

/// Kills whatever is in a run's control groups, for whoever has only their directories.
pub(crate) fn kill_in(groups: &[PathBuf]) {
    let deadline = Instant::now() + EMPTY_WITHIN;
    loop {
        for group in groups {
            // Each file is there in some of them only.
            let _ = fs::write(group.join("pids.max"), "0");
            let _ = fs::write(group.join("cgroup.kill"), "1");
        }
        let left: usize = groups.iter().map(|group| kill_members(group)).sum();
        if left == 0 || Instant::now() >= deadline {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Kills the members of one directory and says how many there were.
fn kill_members(dir: &Path) -> usize {
    let members = members(dir);
    let held: Vec<_> =
        members.iter().filter_map(|pid| Some((*pid, rustix::process::pidfd_open(*pid, PidfdFlags::empty()).ok()?))).collect();
    // A number may have passed to a stranger between reading it and opening it; whoever is still listed now is the one that was opened.
    let still = self::members(dir);
    for (_, process) in held.iter().filter(|(pid, _)| still.contains(pid)) {
        let _ = rustix::process::pidfd_send_signal(process, Signal::KILL);
    }
    still.len()
}

/// Processes of another pid namespace show as 0 and are nobody we can kill from here.
fn members(dir: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).filter_map(Pid::from_raw).collect()
}

/// A group stays busy for a moment after its last process is gone.
fn remove_dir(dir: &Path) {
    let mut pause = Duration::from_micros(200);
    let deadline = Instant::now() + EMPTY_WITHIN;
    while let Err(error) = fs::remove_dir(dir) {
        if error.kind() != io::ErrorKind::ResourceBusy || Instant::now() >= deadline {
            return;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Where tests may make groups of version 2, even where version 1 has all the controllers. A host that mounts it nowhere has it all the same.
#[cfg(test)]
pub(crate) fn unified_place() -> PathBuf {
    use std::os::fd::IntoRawFd;

    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

    if let Ok(Layout::Unified(place)) = Layout::of_host() {
        return place;
    }
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    if let Some(line) = table.lines().find(|line| line.contains(" - cgroup2 ")) {
        return PathBuf::from(line.split(' ').nth(4).unwrap());
    }
    let system = fsopen("cgroup2", FsOpenFlags::empty()).expect("this test needs a kernel with cgroup2");
    fsconfig_create(&system).unwrap();
    // In no directory: it goes with this process.
    let mounted = fsmount(&system, FsMountFlags::empty(), MountAttrFlags::empty()).expect("this test needs root");
    PathBuf::from(format!("/proc/self/fd/{}", mounted.into_raw_fd()))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::Command};

    use super::*;

    #[test]
    fn version_2_kills_a_whole_group_and_removes_it() {
        let root = unified_place();
        let parent = root.join(PARENT);
        fs::create_dir_all(&parent).expect("this test needs root");
        let group = Group { layout: Layout::Unified(root), name: format!("unit-test-{}", std::process::id()) };
        let dir = parent.join(&group.name);
        fs::create_dir(&dir).unwrap();
        let mut children: Vec<_> = (0..3).map(|_| Command::new("sleep").arg("1000").spawn().unwrap()).collect();
        children.iter().for_each(|child| fs::write(dir.join("cgroup.procs"), child.id().to_string()).unwrap());
        assert_eq!(members(&dir).len(), 3);
        assert!(group.kill());
        for child in &mut children {
            assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        }
        assert_eq!(group.views(), [View { source: dir.clone(), target: "/sys/fs/cgroup".into(), unified: true }]);
        drop(group);
        assert!(!dir.exists());
        // The parent stays where another test of this kind is still in it.
        let _ = fs::remove_dir(parent);
    }

    #[test]
    fn an_engine_finds_each_version_1_hierarchy_by_the_host_s_name() {
        let legacy = vec![("memory", "/sys/fs/cgroup/memory".into()), ("pids", "/cg/pids".into()), ("cpu", "/cg/cpu,cpuacct".into())];
        let group = std::mem::ManuallyDrop::new(Group { layout: Layout::Legacy(legacy), name: "n".to_owned() });
        let targets: Vec<_> = group.views().into_iter().map(|view| view.target).collect();
        assert_eq!(targets, ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/cpu,cpuacct"].map(PathBuf::from));
    }
}
