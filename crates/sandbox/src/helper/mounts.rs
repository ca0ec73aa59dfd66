//! The private file systems of a run: they exist in the helper's mount namespace only and disappear with it.
//!
//! ```text
//! scratch/            small: descriptions, injected files, libcontainer's state
//! scratch/lower/N     the layers, under short names so that any number of them fits into the mount options
//! scratch/sys/        the system's description, as the run's network sees it
//! scratch/writable/   sized: everything the engine writes ends here
//! scratch/root/       the overlay: the engine's root
//! scratch/cgroup/N    the run's control groups
//! ```

use std::{
    ffi::{CStr, CString},
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use rustix::{
    fs::StatVfs,
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, mount_remount, unmount},
    thread::UnshareFlags,
};

use super::{
    Trouble, during, system,
    users::{Users, View},
};
use crate::{
    cgroup::{CgroupMount, cgroup_mounts},
    protocol::{Description, FileHead, PLACES, Program, Written},
};

/// Room for descriptions and state besides the injected files.
const STATE_BYTES: u64 = 4 << 20;

/// Where runtimes look for control groups.
const TREE: &str = system::GROUPS;

/// The private file systems.
pub(crate) struct Private {
    dir: PathBuf,
    users: Users,
    read_only: bool,
}

impl Private {
    /// Makes the mount namespace and everything in it.
    pub(crate) fn make(description: &Description, users: Users) -> Result<Self, Trouble> {
        // Later it would belong to another mount namespace.
        let wants_probe = description.foreign.is_some() && matches!(description.program, Program::Probe(_));
        let probe =
            wants_probe.then(|| View::of(Path::new("/proc/self/exe"))).transpose().map_err(during("show the runtime what it needs"))?;
        unshare_mounts()?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).map_err(during("make mounts private"))?;
        let layers = layers(description, &users)?;
        // The image's root, being nobody here, must be able to pass, which the server's own directories do not let it.
        let open_place = users.are_mapped().then(|| ["/dev/shm", "/tmp"].map(PathBuf::from).into_iter().find(|dir| dir.is_dir()));
        let private =
            Self { dir: open_place.flatten().unwrap_or_else(|| description.scratch.clone()), users, read_only: description.read_only_root };
        let injected: u64 = description.files.iter().map(|file| file.len).sum();
        tmpfs(&private.dir, &format!("size={},mode=711", STATE_BYTES + injected))?;
        for name in ["lower", "writable", "root", "cgroup", "files", "bundle", "state", "sys"] {
            make_dir(&private.path(name))?;
        }
        private.show_own_cgroup(description)?;
        if description.foreign.is_some() {
            private.show_to_runtime(probe)?;
        }
        system::show(&private, description)?;
        private.mount_root(description, layers)?;
        Ok(private)
    }

    /// A place in the small file system.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// How the engine's users are called on the host.
    pub(crate) fn users(&self) -> &Users {
        &self.users
    }

    /// The engine's root.
    pub(crate) fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// Keeps an injected file and returns where.
    pub(crate) fn store(&self, number: usize, head: &FileHead, bytes: &mut impl Read) -> Result<PathBuf, Trouble> {
        let step = "store an injected file";
        let path = self.path("files").join(number.to_string());
        let mut file = File::create_new(&path).map_err(during(step))?;
        let copied = io::copy(bytes, &mut file).map_err(during(step))?;
        if copied != head.len {
            return Err(Trouble::Failed { step, message: "the server is gone".to_owned() });
        }
        file.set_permissions(fs::Permissions::from_mode(head.mode & 0o777)).map_err(during(step))?;
        self.give_to_root(&path, step)?;
        Ok(path)
    }

    fn give_to_root(&self, path: &Path, step: &'static str) -> Result<(), Trouble> {
        let (user, group) = self.users.root();
        rustix::fs::chown(path, Some(user), Some(group)).map_err(during(step))
    }

    /// What the engine has written and whether it could write more.
    pub(crate) fn written(&self) -> Written {
        let full_below = 64 << 10;
        match rustix::fs::statvfs(self.path("writable")) {
            Ok(StatVfs { f_blocks, f_bfree, f_frsize, f_files, f_ffree, .. }) => Written {
                bytes: f_blocks.saturating_sub(f_bfree) * f_frsize,
                files: f_files.saturating_sub(f_ffree),
                is_full: f_bfree * f_frsize < full_below,
                has_max_files: f_ffree == 0,
            },
            Err(_) => Written::default(),
        }
    }

    /// Where what the engine wrote is kept, under the paths it has inside.
    pub(crate) fn left(&self) -> PathBuf {
        self.path("writable").join(if self.read_only { "places" } else { "upper" })
    }

    /// The directory shown at a place where an engine with a read-only root may write.
    pub(crate) fn place(&self, inside: &str) -> PathBuf {
        self.path("writable").join("places").join(inside.trim_start_matches('/'))
    }

    /// Once everything of ours is in it, a read-only root is closed. Done from here, where the kernel lets us whatever the users are.
    pub(crate) fn seal(&self) -> Result<(), Trouble> {
        if !self.read_only {
            return Ok(());
        }
        let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        mount_remount(self.root(), flags, c"").map_err(during("make the root file system read-only"))
    }

    /// Binds the run's own control groups and hides all others, so that neither libcontainer nor anything else in here can touch them: libcontainer
    /// would move processes by a call that stops every fork on the host for ten milliseconds.
    fn show_own_cgroup(&self, description: &Description) -> Result<(), Trouble> {
        let step = "show the control group";
        let mounts = cgroup_mounts(&fs::read_to_string("/proc/self/mountinfo").map_err(during(step))?);
        for (i, view) in description.cgroup.iter().enumerate() {
            let target = self.cgroup(i);
            make_dir(&target)?;
            mount_bind(&view.source, &target).map_err(during(step))?;
        }
        let unified = description.cgroup.iter().any(|view| view.unified);
        match (&description.foreign, unified) {
            (None, _) => {
                hide(&mounts)?;
                // libcontainer finds an empty version 1 here and leaves control groups alone.
                tmpfs(TREE, "size=4k,mode=555")
            }
            // A foreign runtime puts the first process into the group itself, and refuses a host that has both versions.
            (Some(_), true) => mounts.iter().filter(|mount| !mount.is_for_runtimes(true)).rev().try_for_each(hide_one),
            (Some(_), false) => legacy_tree(&mounts),
        }
    }

    /// What only a foreign runtime needs: the user namespace by a name, and of a probe the program.
    fn show_to_runtime(&self, probe: Option<View>) -> Result<(), Trouble> {
        let step = "show the runtime what it needs";
        let target = |name| File::create_new(self.path(name)).map(|_| self.path(name)).map_err(during(step));
        if let Some(namespace) = self.users.namespace() {
            mount_bind(&namespace, target("users")?).map_err(during(step))?;
        }
        if let Some(probe) = probe {
            probe.show_at(&target("probe")?).map_err(during(step))?;
        }
        Ok(())
    }

    /// Where control group number `i` is bound.
    pub(crate) fn cgroup(&self, i: usize) -> PathBuf {
        self.path("cgroup").join(i.to_string())
    }

    fn mount_root(&self, description: &Description, layers: Vec<View>) -> Result<(), Trouble> {
        let step = "mount the root file system";
        let writable = self.path("writable");
        tmpfs(&writable, &format!("size={},nr_inodes={},mode=711", description.writable_bytes, description.max_files))?;
        let mut upper = fs::DirBuilder::new();
        upper.mode(0o755);
        upper.create(writable.join("upper")).map_err(during(step))?;
        self.give_to_root(&writable.join("upper"), step)?;
        make_dir(&writable.join("work"))?;
        for (place, mode) in PLACES.iter().filter(|_| self.read_only) {
            let dir = self.place(place);
            fs::create_dir_all(&dir).map_err(during(step))?;
            fs::set_permissions(&dir, fs::Permissions::from_mode(*mode)).map_err(during(step))?;
            self.give_to_root(&dir, step)?;
        }
        // An image may have links of these names. Putting a directory in place of one afterwards is more than overlayfs can do for an ordinary user.
        for name in ["dev", "proc", "sys"] {
            make_dir(&writable.join("upper").join(name))?;
        }
        make_dir(&self.path("lower").join("empty"))?;
        for (i, layer) in layers.into_iter().enumerate() {
            let place = self.path("lower").join(i.to_string());
            make_dir(&place)?;
            layer.show_at(&place).map_err(during(step))?;
        }
        // The options are at most one page long, so paths are relative to the directory of layers; it also keeps the host's paths out of the
        // engine's mount table.
        std::env::set_current_dir(self.path("lower")).map_err(during(step))?;
        let options = overlay_options(description.lower.len(), crate::ordinary::in_user_namespace());
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount(c"overlay", self.root(), c"overlay", flags, Some(options.as_c_str())).map_err(during(step))?;
        std::env::set_current_dir("/").map_err(during(step))
    }
}

/// The layers as the engine's users see them, opened before anything of ours can cover them.
fn layers(description: &Description, users: &Users) -> Result<Vec<View>, Trouble> {
    let step = "mount the root file system";
    let open = |layer: &PathBuf| {
        if !layer.is_dir() {
            return Err(Trouble::Failed { step, message: format!("the layer directory {} is missing", layer.display()) });
        }
        users.view_of(layer).map_err(during(step))
    };
    description.lower.iter().map(open).collect()
}

/// overlayfs wants the topmost layer first. Layers are untrusted: attributes by which one could point elsewhere are not followed.
/// In a user namespace it keeps its own attributes as `user.overlay.*`, because only root may write the others.
fn overlay_options(layers: usize, ordinary: bool) -> CString {
    let lower = if layers == 0 { "empty".to_owned() } else { (0..layers).rev().map(|i| i.to_string()).collect::<Vec<_>>().join(":") };
    let upper = "upperdir=../writable/upper,workdir=../writable/work";
    let attributes = if ordinary { ",userxattr" } else { ",redirect_dir=nofollow,metacopy=off" };
    let text = format!("lowerdir={lower},{upper},index=off{attributes}");
    CString::new(text).unwrap_or_default()
}

/// Takes control groups away for everything in here. They are nearly always below one directory and so go in one step.
fn hide(mounts: &[CgroupMount]) -> Result<(), Trouble> {
    let mut gone = false;
    while unmount(TREE, UnmountFlags::DETACH).is_ok() {
        gone = true;
    }
    mounts.iter().filter(|mount| !gone || !mount.path.starts_with(TREE)).rev().try_for_each(hide_one)
}

fn hide_one(hidden: &CgroupMount) -> Result<(), Trouble> {
    match unmount(&hidden.path, UnmountFlags::DETACH) {
        // Mounts that root made cannot be taken away in a user namespace, but covered.
        Err(Errno::INVAL) => tmpfs(&hidden.path, "size=4k,mode=555"),
        other => other.map_err(during("hide other control groups")),
    }
}

/// Version 1 as foreign runtimes want it, with the hierarchies that we use and no others. crun makes a directory for every hierarchy that its process is
/// in, whether it is mounted or not: in here it finds room for that, and what it makes goes with the helper. The host's own tree would keep them, unseen
/// below its mounts, or be read-only, as systemd leaves it.
fn legacy_tree(mounts: &[CgroupMount]) -> Result<(), Trouble> {
    let step = "show the runtime its control groups";
    let tree = Path::new(TREE);
    // Names of controllers that share a hierarchy.
    let links =
        fs::read_dir(tree).map_err(during(step))?.flatten().filter_map(|entry| Some((entry.path(), fs::read_link(entry.path()).ok()?)));
    let links: Vec<_> = links.collect();
    let wanted = mounts.iter().filter(|mount| mount.is_for_runtimes(false));
    let wanted: Vec<_> =
        wanted.map(|mount| Ok((mount.path.clone(), View::of(&mount.path)?))).collect::<io::Result<_>>().map_err(during(step))?;
    hide(mounts)?;
    tmpfs(TREE, "size=256k,mode=755")?;
    for (path, hierarchy) in wanted {
        fs::create_dir_all(&path).map_err(during(step))?;
        hierarchy.show_at(&path).map_err(during(step))?;
    }
    for (link, target) in links.iter().filter(|(_, target)| tree.join(target).is_dir()) {
        symlink(target, link).map_err(during(step))?;
    }
    Ok(())
}

fn tmpfs(target: impl AsRef<Path>, options: &str) -> Result<(), Trouble> {
    let options = CString::new(options).map_err(during("mount a private file system"))?;
    let options: &CStr = &options;
    mount(c"tmpfs", target.as_ref(), c"tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(options))
        .map_err(during("mount a private file system"))
}

fn make_dir(path: &Path) -> Result<(), Trouble> {
    fs::create_dir(path).map_err(during("make a directory of ours"))
}

#[allow(unsafe_code, reason = "unshare(2) may leave other parts of a process unsound; a mount namespace in a single thread cannot")]
fn unshare_mounts() -> Result<(), Trouble> {
    // SAFETY: only CLONE_NEWNS is asked for, in a process of one thread. It changes which mounts are seen; no memory, no file table.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.map_err(during("make a mount namespace"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topmost_layer_comes_first() {
        assert!(overlay_options(3, false).to_str().unwrap().starts_with("lowerdir=2:1:0,upperdir="));
        assert!(overlay_options(0, false).to_str().unwrap().starts_with("lowerdir=empty,"));
    }

    #[test]
    fn the_greatest_number_of_layers_fits_into_one_page() {
        assert!(overlay_options(500, false).as_bytes().len() < 4096);
    }
}
