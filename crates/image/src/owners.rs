//! To whom the files of a layer belong on this host, and by which attribute overlayfs is told that a directory hides what is below it. Both depend on
//! who unpacks.

use rustix::fs::{Gid, Uid};

/// Owner of what belongs to an id that does not exist here.
const NOBODY: u32 = 65_534;

/// Who unpacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owners {
    /// Root: owners are kept.
    Root,
    /// Root of an ordinary user's namespace with so many ids: owners are kept as far as there are ids for them.
    Namespace(u32),
    /// Anybody else: everything belongs to the caller.
    Caller,
}

impl Owners {
    /// This process.
    pub(crate) fn of_process() -> Self {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        Self::judge(rustix::process::geteuid().is_root(), &map)
    }

    /// By who runs and its `/proc/self/uid_map`.
    fn judge(is_root: bool, uid_map: &str) -> Self {
        let fields = |line: &str| line.split_ascii_whitespace().filter_map(|text| text.parse::<u64>().ok()).collect::<Vec<_>>();
        let lines: Vec<_> = uid_map.lines().map(fields).collect();
        match lines.as_slice() {
            _ if !is_root => Self::Caller,
            [whole] if whole == &[0, 0, u64::from(u32::MAX)] => Self::Root,
            lines => {
                // Ids without a gap from 0 on; the kernel lists the ranges in their order.
                let end = lines.iter().fold(0, |end, line| match line.as_slice() {
                    [first, _, count] if *first == end => end + count,
                    _ => end,
                });
                Self::Namespace(u32::try_from(end).unwrap_or(u32::MAX))
            }
        }
    }

    /// The attribute of an opaque directory.
    pub(crate) fn opaque(self) -> &'static str {
        if self == Self::Root { "trusted.overlay.opaque" } else { "user.overlay.opaque" }
    }

    /// The owners to set; `None` to leave them.
    pub(crate) fn of(self, uid: u32, gid: u32) -> Option<(Uid, Gid)> {
        let here = |id: u32| match self {
            Self::Namespace(ids) if id >= ids => NOBODY.min(ids.saturating_sub(1)),
            _ => id,
        };
        (self != Self::Caller).then(|| (Uid::from_raw(here(uid)), Gid::from_raw(here(gid))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_keeps_the_owners_it_has_ids_for() {
        let map = "         0       1000          1\n         1     100000      65536\n";
        let owners = Owners::judge(true, map);
        assert_eq!(owners, Owners::Namespace(65_537));
        let of = |uid, gid| owners.of(uid, gid).map(|(uid, gid)| (uid.as_raw(), gid.as_raw()));
        assert_eq!(of(0, 33), Some((0, 33)));
        assert_eq!(of(65_536, 65_537), Some((65_536, 65_534)), "an id that is not there becomes nobody");
        assert_eq!(Owners::judge(true, "0 1000 1\n").of(7, 0).map(|(uid, _)| uid.as_raw()), Some(0));
    }

    #[test]
    fn root_keeps_all_and_others_none() {
        let first = "         0          0 4294967295\n";
        assert_eq!(Owners::judge(true, first), Owners::Root);
        assert_eq!(Owners::judge(false, first), Owners::Caller);
        assert_eq!(Owners::Caller.of(1, 1), None);
        assert_eq!((Owners::Root.opaque(), Owners::Namespace(9).opaque()), ("trusted.overlay.opaque", "user.overlay.opaque"));
    }
}
