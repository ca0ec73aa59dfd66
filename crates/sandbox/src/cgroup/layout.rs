//! Which control groups this host has, out of `/proc/self/mountinfo`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::place::Seeker;

/// What a run needs. `cpuacct` only counts, the others limit.
const NEEDED: [&str; 4] = ["memory", "pids", "cpu", "cpuacct"];
/// Neither limits nor counts here, but the Java runtime believes in no limit at all where a version 1 host does not show it.
pub(super) const CPUSET: &str = "cpuset";
/// What version 2 calls the same; its `cpu` counts as well.
pub(super) const NEEDED_UNIFIED: [&str; 3] = ["memory", "pids", "cpu"];

/// A mounted cgroup file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CgroupMount {
    /// Where.
    pub(crate) path: PathBuf,
    /// The directory of the file system that is shown there.
    shown: PathBuf,
    unified: bool,
    controllers: Vec<&'static str>,
    /// It has the controller that limits nothing here and that foreign runtimes insist on.
    devices: bool,
}

impl CgroupMount {
    /// A foreign runtime needs it, on a host of which we use this version.
    pub(crate) fn is_for_runtimes(&self, unified: bool) -> bool {
        if unified { self.unified } else { self.devices || !self.controllers.is_empty() }
    }
}

/// Where the needed controllers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Version 1: controller and root of its hierarchy; several controllers may share one. `cpuset` may be missing.
    Legacy(Vec<(&'static str, PathBuf)>),
    /// Version 2: the directory below which runs are made.
    Unified(PathBuf),
}

/// Why the host's control groups are of no use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LayoutError {
    #[error("no control groups are mounted")]
    None,
    #[error("the controllers {0} are not there")]
    Missing(String),
    #[error("the control group {} belongs to somebody else", .0.display())]
    NotDelegated(PathBuf),
    #[error("control groups of version 1 can be used by root only")]
    LegacyNeedsRoot,
}

impl LayoutError {
    /// What to do about it.
    pub(crate) fn mend(&self) -> &'static str {
        match self {
            Self::None | Self::Missing(_) => {
                "boot with the controllers memory, pids and cpu enabled (cgroup_enable=memory) and mount them at /sys/fs/cgroup; an ordinary user's \
                 service needs Delegate=yes"
            }
            Self::NotDelegated(_) => {
                "start plimsoll in a control group of its own: systemd-run --user --scope -p Delegate=yes plimsoll serve, or Delegate=yes in its unit"
            }
            Self::LegacyNeedsRoot => "start plimsoll as root, or boot with version 2 (kernel parameter systemd.unified_cgroup_hierarchy=1)",
        }
    }
}

impl Layout {
    /// Looks at the host.
    pub(crate) fn of_host() -> Result<Self, LayoutError> {
        let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let read = |root: &Path| fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        let place = |mount: &CgroupMount| Seeker::current(&mount.shown).place(&mount.path);
        match Self::choose(&cgroup_mounts(&text), read, place)? {
            Self::Legacy(_) if !crate::ordinary::is_true_root() => Err(LayoutError::LegacyNeedsRoot),
            layout => Ok(layout),
        }
    }

    /// Version 1 wherever it has a needed controller, because a controller is in one generation at a time.
    fn choose(
        mounts: &[CgroupMount],
        unified_controllers: impl Fn(&Path) -> String,
        place: impl Fn(&CgroupMount) -> Result<PathBuf, LayoutError>,
    ) -> Result<Self, LayoutError> {
        let find =
            |name: &'static str| mounts.iter().find(|mount| mount.controllers.contains(&name)).map(|mount| (name, mount.path.clone()));
        let found: Vec<_> = NEEDED.into_iter().filter_map(find).collect();
        let missing = |names: &[&str], has: &dyn Fn(&str) -> bool| {
            let missing: Vec<_> = names.iter().copied().filter(|name| !has(name)).collect();
            if missing.is_empty() { Ok(()) } else { Err(LayoutError::Missing(missing.join(", "))) }
        };
        if !found.is_empty() {
            missing(&NEEDED, &|name| found.iter().any(|(found, _)| *found == name))?;
            return Ok(Self::Legacy(found.into_iter().chain(find(CPUSET)).collect()));
        }
        let place = place(mounts.iter().find(|mount| mount.unified).ok_or(LayoutError::None)?)?;
        let controllers = unified_controllers(&place);
        missing(&NEEDED_UNIFIED, &|name| controllers.split_ascii_whitespace().any(|there| there == name))?;
        Ok(Self::Unified(place))
    }

    pub(crate) fn is_unified(&self) -> bool {
        matches!(self, Self::Unified(_))
    }

    /// The root of every hierarchy in use, each once.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &Path> {
        let all: Vec<&Path> = match self {
            Self::Legacy(found) => found.iter().map(|(_, root)| root.as_path()).collect(),
            Self::Unified(root) => vec![root],
        };
        let first = |i: usize| !all[..i].contains(&all[i]);
        let unique: Vec<_> = (0..all.len()).filter(|i| first(*i)).map(|i| all[i]).collect();
        unique.into_iter()
    }

    /// The root of the hierarchy that has a controller.
    pub(crate) fn root_of(&self, controller: &str) -> &Path {
        match self {
            Self::Legacy(found) => found.iter().find(|(name, _)| *name == controller).map_or(Path::new("/nonexistent"), |(_, root)| root),
            Self::Unified(root) => root,
        }
    }

    /// The root of version 1's `cpuset`, where there is one.
    pub(crate) fn cpuset(&self) -> Option<&Path> {
        match self {
            Self::Legacy(found) => found.iter().find(|(name, _)| *name == CPUSET).map(|(_, root)| root.as_path()),
            Self::Unified(_) => None,
        }
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Legacy(_) => "control groups version 1".to_owned(),
            Self::Unified(place) => format!("control groups version 2 at {}", place.display()),
        }
    }
}

/// The cgroup file systems in a mount table, in its order.
pub(crate) fn cgroup_mounts(mountinfo: &str) -> Vec<CgroupMount> {
    mountinfo.lines().filter_map(cgroup_mount).collect()
}

fn cgroup_mount(line: &str) -> Option<CgroupMount> {
    let (left, right) = line.split_once(" - ")?;
    let mut fields = left.split(' ').skip(3);
    let (shown, path) = (unescape(fields.next()?), unescape(fields.next()?));
    let mut right = right.split(' ');
    let kind = right.next()?;
    let options: Vec<&str> = right.nth(1)?.split(',').collect();
    let unified = match kind {
        "cgroup" => false,
        "cgroup2" => true,
        _ => return None,
    };
    let controllers = NEEDED.into_iter().chain([CPUSET]).filter(|name| !unified && options.contains(name)).collect();
    let devices = !unified && options.contains(&"devices");
    Some(CgroupMount { path, shown, unified, controllers, devices })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let replaced = text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\");
    PathBuf::from(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
25 24 0:22 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
27 25 0:24 / /sys/fs/cgroup/memory rw,relatime shared:5 - cgroup cgroup rw,memory
28 25 0:25 / /sys/fs/cgroup/a\\040b rw,relatime - cgroup cgroup rw,pids
28 25 0:25 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
29 25 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    fn at_root(mount: &CgroupMount) -> Result<PathBuf, LayoutError> {
        Ok(mount.path.clone())
    }

    #[test]
    fn version_1_is_found_beside_an_empty_version_2() {
        let layout = Layout::choose(&cgroup_mounts(HYBRID), |_| String::new(), at_root).unwrap();
        assert!(!layout.is_unified());
        assert_eq!(layout.root_of("cpuacct"), Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(layout.root_of("pids"), Path::new("/sys/fs/cgroup/a b"));
        let roots: Vec<_> = layout.roots().collect();
        assert_eq!(roots.len(), 4, "a shared hierarchy counts once: {roots:?}");
    }

    #[test]
    fn version_2_needs_its_controllers() {
        let mounts = cgroup_mounts("30 1 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
        let layout = Layout::choose(&mounts, |_| "cpuset cpu io memory pids".to_owned(), at_root).unwrap();
        assert_eq!(layout, Layout::Unified("/sys/fs/cgroup".into()));
        assert_eq!(Layout::choose(&mounts, |_| "cpu".to_owned(), at_root), Err(LayoutError::Missing("memory, pids".to_owned())));
    }

    #[test]
    fn half_a_version_1_and_nothing_at_all_are_refused() {
        let half = cgroup_mounts("27 25 0:24 / /cg/memory rw - cgroup cgroup rw,memory\n");
        assert_eq!(Layout::choose(&half, |_| String::new(), at_root), Err(LayoutError::Missing("pids, cpu, cpuacct".to_owned())));
        assert_eq!(Layout::choose(&cgroup_mounts("nonsense\n1 2 3"), |_| String::new(), at_root), Err(LayoutError::None));
    }
}
