//! Refused calls that are told: no engine has business with them, so whoever reads the report should know that one was tried. What a well-behaved
//! library asks for in passing, such as a memory policy, is refused in silence.

#![allow(non_upper_case_globals, reason = "patterns made of the names the kernel gives its calls")]

use libc::*;
use seccompiler::SeccompCmpOp::{Eq, Ge, Le, MaskedEq, Ne};

use super::Refusals;

/// Told whatever the arguments.
const CALLS: &[(i64, &str)] = &[
    (SYS_acct, "acct"),
    (SYS_add_key, "add_key"),
    (SYS_bpf, "bpf"),
    (SYS_chroot, "chroot"),
    (SYS_clock_settime, "clock_settime"),
    (SYS_delete_module, "delete_module"),
    (SYS_fanotify_init, "fanotify_init"),
    (SYS_finit_module, "finit_module"),
    (SYS_fsmount, "fsmount"),
    (SYS_fsopen, "fsopen"),
    (SYS_fspick, "fspick"),
    (SYS_init_module, "init_module"),
    (SYS_io_uring_setup, "io_uring_setup"),
    (SYS_kexec_load, "kexec_load"),
    (SYS_keyctl, "keyctl"),
    (SYS_mount, "mount"),
    (SYS_mount_setattr, "mount_setattr"),
    (SYS_move_mount, "move_mount"),
    (SYS_open_by_handle_at, "open_by_handle_at"),
    (SYS_open_tree, "open_tree"),
    (SYS_perf_event_open, "perf_event_open"),
    (SYS_pidfd_getfd, "pidfd_getfd"),
    (SYS_pivot_root, "pivot_root"),
    (SYS_process_vm_readv, "process_vm_readv"),
    (SYS_process_vm_writev, "process_vm_writev"),
    (SYS_ptrace, "ptrace"),
    (SYS_quotactl, "quotactl"),
    (SYS_reboot, "reboot"),
    (SYS_request_key, "request_key"),
    (SYS_setdomainname, "setdomainname"),
    (SYS_sethostname, "sethostname"),
    (SYS_setns, "setns"),
    (SYS_settimeofday, "settimeofday"),
    (SYS_swapoff, "swapoff"),
    (SYS_swapon, "swapon"),
    (SYS_umount2, "umount2"),
    (SYS_unshare, "unshare"),
    (SYS_userfaultfd, "userfaultfd"),
];

/// Told calls that only this machine has.
#[cfg(target_arch = "x86_64")]
const CALLS_HERE: &[(i64, &str)] = &[(SYS_ioperm, "ioperm"), (SYS_iopl, "iopl"), (SYS_kexec_file_load, "kexec_file_load")];
#[cfg(not(target_arch = "x86_64"))]
const CALLS_HERE: &[(i64, &str)] = &[(SYS_kexec_file_load, "kexec_file_load")];

/// Flags of clone and unshare.
const NAMESPACES: &[(i32, &str)] = &[
    (CLONE_NEWCGROUP, "NEWCGROUP"),
    (CLONE_NEWIPC, "NEWIPC"),
    (CLONE_NEWNET, "NEWNET"),
    (CLONE_NEWNS, "NEWNS"),
    (CLONE_NEWPID, "NEWPID"),
    (CLONE_NEWUSER, "NEWUSER"),
    (CLONE_NEWUTS, "NEWUTS"),
];

/// Socket families worth a name.
const FAMILIES: &[(i32, &str)] = &[
    (AF_ALG, "AF_ALG"),
    (AF_BLUETOOTH, "AF_BLUETOOTH"),
    (AF_CAN, "AF_CAN"),
    (AF_KEY, "AF_KEY"),
    (AF_NETLINK, "AF_NETLINK"),
    (AF_PACKET, "AF_PACKET"),
    (AF_TIPC, "AF_TIPC"),
    (AF_VSOCK, "AF_VSOCK"),
    (AF_XDP, "AF_XDP"),
];

/// `TIOCLINUX`, which libc does not have.
const TIOCLINUX: u64 = 0x541c;

/// What may be asked of a terminal, and is refused: typing into somebody else's.
pub(super) const TERMINALS: [u32; 2] = [TIOCSTI as u32, TIOCLINUX as u32];

/// Calls that make a device node when they are asked for one, and the argument that says so. Root of an image has no right to it anyway; that it tried is
/// told.
#[cfg(target_arch = "x86_64")]
pub(super) const NODES: &[(i64, u8)] = &[(SYS_mknod, 1), (SYS_mknodat, 2)];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const NODES: &[(i64, u8)] = &[(SYS_mknodat, 2)];

/// Kinds of device nodes among the values of `S_IFMT`.
pub(super) const DEVICES: [u32; 2] = [S_IFCHR, S_IFBLK];

/// The kernel's name of a told call.
pub(super) fn name_of(call: i64) -> Option<&'static str> {
    CALLS.iter().chain(CALLS_HERE).find(|(number, _)| *number == call).map(|(_, name)| *name)
}

/// The flags of clone that ask for a namespace.
pub(super) fn namespace_flags() -> impl Iterator<Item = u32> + Clone {
    NAMESPACES.iter().map(|(flag, _)| *flag as u32)
}

/// Told and refused whatever the arguments.
pub(super) fn outright() -> impl Iterator<Item = i64> {
    CALLS.iter().chain(CALLS_HERE).map(|(call, _)| *call)
}

/// Everything told, with the number of the error it gets.
pub(super) fn told() -> Vec<(i32, Refusals)> {
    let (plain, not_implemented): (Refusals, Refusals) =
        outright().map(|call| (call, Vec::new())).partition(|(call, _)| *call != SYS_io_uring_setup);
    let mut not_permitted = plain;
    let asks_for = |(flag, _): &(i32, &str)| vec![(0, MaskedEq(u64::from(*flag as u32)), u64::from(*flag as u32))];
    not_permitted.push((SYS_clone, NAMESPACES.iter().map(asks_for).collect()));
    not_permitted.push((SYS_ioctl, TERMINALS.iter().map(|request| vec![(1, Eq, u64::from(*request))]).collect()));
    let device = |argument: u8| DEVICES.map(|kind| vec![(argument, MaskedEq(S_IFMT.into()), u64::from(kind))]).to_vec();
    not_permitted.extend(NODES.iter().map(|(call, argument)| (*call, device(*argument))));
    vec![(EPERM, not_permitted), (ENOSYS, not_implemented), (EAFNOSUPPORT, no_such_family())]
}

/// Socket families other than local, IPv4, IPv6 and the part of netlink by which the C library lists interfaces.
fn no_such_family() -> Refusals {
    let family = |from: i32, to: i32| vec![(0, Ge, from as u64), (0, Le, to as u64)];
    let cases = vec![
        family(AF_INET + 1, AF_INET6 - 1),
        family(AF_INET6 + 1, AF_NETLINK - 1),
        vec![(0, Eq, AF_NETLINK as u64), (2, Ne, NETLINK_ROUTE as u64)],
        vec![(0, Ge, AF_NETLINK as u64 + 1)],
    ];
    [SYS_socket, SYS_socketpair].into_iter().map(|call| (call, cases.clone())).collect()
}

/// The error a told call gets; the same as without anybody listening.
pub(crate) fn answer(call: i64) -> i32 {
    match call {
        SYS_io_uring_setup => ENOSYS,
        SYS_socket | SYS_socketpair => EAFNOSUPPORT,
        _ => EPERM,
    }
}

/// A told call in words. Of the arguments only numbers are looked at; what a pointer leads to may change under our eyes.
pub(crate) fn describe(call: i64, args: &[u64; 6]) -> String {
    let low = |i: usize| args[i] as u32;
    match call {
        SYS_clone => format!("clone({})", namespaces(low(0))),
        SYS_unshare => format!("unshare({})", namespaces(low(0))),
        SYS_ioctl => "ioctl(TIOCSTI)".to_owned(),
        SYS_socket | SYS_socketpair => {
            let name = if call == SYS_socket { "socket" } else { "socketpair" };
            match FAMILIES.iter().find(|(family, _)| *family as u32 == low(0)) {
                Some((_, family)) => format!("{name}({family})"),
                // The number is the engine's to choose, so it is not told: a thousand of them must not be a thousand lines.
                None => format!("{name}(another family)"),
            }
        }
        _ if NODES.iter().any(|(node, _)| *node == call) => "mknod(device)".to_owned(),
        _ => name_of(call).unwrap_or("another call").to_owned(),
    }
}

fn namespaces(flags: u32) -> String {
    let asked: Vec<_> = NAMESPACES.iter().filter(|(flag, _)| flags & *flag as u32 != 0).map(|(_, name)| *name).collect();
    if asked.is_empty() { "nothing new".to_owned() } else { asked.join("|") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_name() {
        let says = |call, first: i32| describe(call, &[first as u32 as u64, 0, 0, 0, 0, 0]);
        assert_eq!(says(SYS_mount, 0), "mount");
        assert_eq!(says(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNET), "unshare(NEWNET|NEWUSER)");
        assert_eq!(says(SYS_clone, CLONE_NEWUSER | SIGCHLD), "clone(NEWUSER)");
        assert_eq!(says(SYS_socket, AF_VSOCK), "socket(AF_VSOCK)");
        assert_eq!(says(SYS_socket, -1), "socket(another family)");
        assert_eq!(says(SYS_mknodat, 0), "mknod(device)");
        assert_eq!(says(SYS_unshare, 0), "unshare(nothing new)");
        assert_eq!(says(-7, 0), "another call");
    }

    #[test]
    fn a_told_call_gets_the_same_error_with_and_without_a_listener() {
        for (errno, refusals) in told() {
            for (call, _) in refusals {
                assert_eq!(answer(call), errno, "{}", describe(call, &[0; 6]));
            }
        }
    }
}
