//! Other names for users: inside, ids begin at 0 as the image wants; on the host they are numbers that nobody has. Root in an image is nobody here.
//!
//! Each run has a range of its own for the ids that images really use, so that two runs are strangers to each other as well.

use std::{
    fs::{self, File},
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, Gid, Uid},
    mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree},
    process::{Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, waitpid},
};

use super::{
    Trouble, during,
    fork::{Side, fork_into_new_users},
};

/// Ids of a run's own: all that packages and ordinary images use.
const OWN: u32 = 1 << 16;
/// Where those ranges begin on the host: above every id that a system or a person has, behind those that systemd gives to containers, and low enough that
/// the kernel lets them ping, which it does up to 2^31.
const FIRST: u32 = 0x7000_0000;
/// How many there are before they are used again.
const RANGES: u32 = 4094;
/// Where the remaining ids are on the host; only rare images have such users, and all runs share them.
const REST: u32 = 1 << 31;
/// How many those are. The last number of all means "no id".
const REST_COUNT: u32 = (1 << 30) - 2;

/// How the users of a run are called on the host.
pub(crate) struct Users {
    mapped: Option<Mapped>,
}

struct Mapped {
    first: u32,
    namespace: OwnedFd,
}

impl Users {
    /// The same as on the host, for hosts that cannot map.
    pub(crate) fn of_host() -> Self {
        Self { mapped: None }
    }

    /// Makes a user namespace with a mapping, held by a descriptor. `number` chooses the range.
    pub(crate) fn map(number: u32) -> Result<Self, Trouble> {
        let first = FIRST + number % RANGES * OWN;
        let step = "map the users of the engine";
        match fork_into_new_users().map_err(during(step))? {
            Side::Child => {
                // Only its namespace is wanted.
                let _ = set_parent_process_death_signal(Some(Signal::KILL));
                loop {
                    std::thread::park();
                }
            }
            Side::Parent(child) => {
                let namespace = namespace_of(child, first);
                let _ = kill_process(child, Signal::KILL);
                let _ = waitpid(Some(child), WaitOptions::empty());
                Ok(Self { mapped: Some(Mapped { first, namespace: namespace.map_err(during(step))? }) })
            }
        }
    }

    /// The host's number for an id of the image; `None` for one that no user can have.
    pub(crate) fn on_host(&self, id: u32) -> Option<u32> {
        match &self.mapped {
            None => Some(id),
            Some(mapped) if id < OWN => Some(mapped.first + id),
            Some(_) if id - OWN < REST_COUNT => Some(REST + (id - OWN)),
            Some(_) => None,
        }
    }

    /// The image's root, to whom belongs what we make for the engine.
    pub(crate) fn root(&self) -> (Uid, Gid) {
        let id = self.on_host(0).unwrap_or(0);
        (Uid::from_raw(id), Gid::from_raw(id))
    }

    /// Whether they have other numbers on the host.
    pub(crate) fn are_mapped(&self) -> bool {
        self.mapped.is_some()
    }

    /// By this path the container's first process finds the namespace; it inherits the descriptor.
    pub(crate) fn namespace(&self) -> Option<PathBuf> {
        self.mapped.as_ref().map(|mapped| format!("/proc/self/fd/{}", mapped.namespace.as_raw_fd()).into())
    }

    /// Ids inside, on the host, and how many, for runtimes that want to be told; empty where they are the same.
    pub(crate) fn ranges(&self) -> Vec<[u32; 3]> {
        self.mapped.as_ref().map(|mapped| ranges(mapped.first).to_vec()).unwrap_or_default()
    }

    /// A directory as the engine's users see it: whoever owns a file there owns it under the host's number. Nothing on the disk is changed.
    pub(crate) fn view_of(&self, directory: &Path) -> io::Result<View> {
        let View(mount) = View::of(directory)?;
        if let Some(mapped) = &self.mapped {
            map_mount(&mount, &mapped.namespace)?;
        }
        Ok(View(mount))
    }
}

/// A mount that is nowhere yet.
pub(crate) struct View(OwnedFd);

impl View {
    /// A file or directory as it is. Nothing of another mount namespace can be had.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self(open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?))
    }

    /// Puts it somewhere.
    pub(crate) fn show_at(self, target: &Path) -> io::Result<()> {
        Ok(move_mount(self.0.as_fd(), "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
    }
}

fn ranges(first: u32) -> [[u32; 3]; 2] {
    [[0, first, OWN], [OWN, REST, REST_COUNT]]
}

/// Writes the mapping of a process that has made a user namespace, and opens the namespace.
fn namespace_of(child: Pid, first: u32) -> io::Result<OwnedFd> {
    let dir = PathBuf::from(format!("/proc/{}", child.as_raw_pid()));
    let map: String = ranges(first).iter().map(|[inside, here, count]| format!("{inside} {here} {count}\n")).collect();
    for file in ["uid_map", "gid_map"] {
        fs::write(dir.join(file), &map)?;
    }
    Ok(File::open(dir.join("ns/user"))?.into())
}

#[allow(unsafe_code, reason = "mount_setattr(2) has no safe form")]
fn map_mount(mount: &OwnedFd, users: &OwnedFd) -> io::Result<()> {
    // SAFETY: plain numbers, for which all zeroes is a valid value.
    let mut attributes: libc::mount_attr = unsafe { MaybeUninit::zeroed().assume_init() };
    attributes.attr_set = libc::MOUNT_ATTR_IDMAP;
    attributes.userns_fd = users.as_raw_fd() as u64;
    let size = size_of::<libc::mount_attr>();
    // SAFETY: both descriptors are open, the path is empty and terminated, the structure is the kernel's and its size is given; it is only read.
    let answer =
        unsafe { libc::syscall(libc::SYS_mount_setattr, mount.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH, &raw mut attributes, size) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbers_nobody_has() {
        if crate::ordinary::in_user_namespace() {
            assert!(Users::map(7).is_err(), "an ordinary user has no such numbers to give");
            return;
        }
        let users = Users::map(7).expect("this test needs root");
        assert_eq!(users.on_host(0), Some(FIRST + 7 * OWN));
        assert_eq!(users.on_host(65_535), Some(FIRST + 8 * OWN - 1));
        assert_eq!(users.on_host(65_536), Some(REST));
        assert_eq!(users.on_host(1_000_650_000), Some(REST + 1_000_584_464), "numbers that some platforms choose for users fit in");
        assert_eq!(users.on_host(u32::MAX), None);
        assert!(REST.checked_add(REST_COUNT).is_some_and(|end| end < u32::MAX), "the last number of all is no id");
        const { assert!(FIRST + RANGES * OWN <= REST, "no id belongs to two") };
        assert_eq!(Users::of_host().on_host(5), Some(5));
    }
}
