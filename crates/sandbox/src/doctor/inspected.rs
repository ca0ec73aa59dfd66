//! What the inspecting probe must answer: each promise with the tries to break it from inside.

use super::{Probe, Result, line};

/// A line that the inspecting probe answers.
pub(super) struct Inspected {
    id: &'static str,
    title: &'static str,
    mend: &'static str,
    /// What must be answered to which questions; several answers are separated by `|`.
    expected: &'static [(&'static str, &'static str)],
}

const REFUSED: &str = "1|38";
pub(super) const INSPECTED: &[Inspected] = &[
    Inspected {
        id: "container.seccomp",
        title: "the system call filter is on",
        mend: "use a kernel with CONFIG_SECCOMP_FILTER",
        expected: &[
            ("Seccomp", "2"),
            ("NoNewPrivs", "1"),
            ("mount", "1"),
            ("fsopen", "1"),
            ("unshare", "1"),
            ("clone_user", "1"),
            ("clone3", "38"),
            ("setns", "1"),
            ("ptrace", "1"),
            ("keyctl", "1"),
            ("bpf", "1"),
            ("userfaultfd", "1"),
            ("perf_event_open", "1"),
            ("io_uring_setup", "38"),
            ("open_by_handle_at", "1"),
            ("personality", "1"),
            ("unknown", "38"),
            ("socket_vsock", "97"),
            ("socket_packet", "97"),
            ("socket_alg", "97"),
            ("netlink_other", "97"),
        ],
    },
    Inspected {
        id: "container.capabilities",
        title: "an engine has no capabilities",
        mend: "this should not happen on any kernel; please report it",
        expected: &[
            ("CapInh", "0000000000000000"),
            ("CapPrm", "0000000000000000"),
            ("CapEff", "0000000000000000"),
            ("CapBnd", "0000000000000000"),
            ("CapAmb", "0000000000000000"),
            ("socket_raw", REFUSED),
        ],
    },
    Inspected {
        id: "container.processes",
        title: "an engine sees only its own processes",
        mend: "use a kernel with CONFIG_PID_NS",
        expected: &[("pid", "1"), ("processes", "1")],
    },
    Inspected {
        id: "container.files",
        title: "system files are read-only and devices few",
        mend: "this should not happen on any kernel; please report it",
        expected: &[
            ("write_sysctl", "13|30"),
            ("write_sysrq", "2|13|30"),
            ("mknod", "1"),
            ("root_nosuid", "true"),
            ("root_nodev", "true"),
            ("write_cgroup", "2|13|30"),
            ("write_cgroup2", "2|13|30"),
            ("devices", "full,null,random,tty,urandom,zero"),
        ],
    },
    Inspected {
        id: "container.surroundings",
        title: "an engine learns nothing of this host",
        mend: "this should not happen on any kernel; please report it",
        expected: &[
            ("hostname", "engine"),
            ("domain", "(none)"),
            ("environment", "0"),
            ("kcore", "0"),
            ("keys", "0"),
            ("cmdline", "0"),
            ("interrupts", "0"),
            ("firmware", "0"),
        ],
    },
    Inspected {
        id: "container.network",
        title: "an engine cannot reach any network",
        mend: "use a kernel with CONFIG_NET_NS",
        // Refused, unless this host knows no IPv6.
        expected: &[("interfaces", "eth0,lo"), ("connect_v4", "111"), ("connect_v6", "111|97|99|101")],
    },
    Inspected {
        id: "limit.files",
        title: "file size, files and written bytes are limited",
        mend: "use a kernel with tmpfs",
        expected: &[("write_much", "27"), ("many_files", "28"), ("write_more", "28")],
    },
];

pub(super) const REPLACED: Inspected = Inspected {
    id: "container.overlay",
    title: "an engine can replace a directory of its image",
    mend: "run plimsoll as root, or use Linux 6.6 or later; until then an engine that removes a directory of its image and makes it anew gets an input/output \
           error",
    expected: &[("replace", "ok")],
};

pub(super) const CLOCKS: Inspected = Inspected {
    id: "container.clocks",
    title: "clocks count from the start of the run",
    mend: "use a kernel of 5.6 or later with CONFIG_TIME_NS, and a runtime that knows time namespaces, such as the built-in one; or allow it to a \
           server: sandbox.host_clocks = true",
    expected: &[("uptime", "of this run")],
};

impl Inspected {
    /// Compares what was answered.
    pub(super) fn judge(&self, seen: &Result) -> Probe {
        let verdict = match seen {
            Err(_) => Err("not tried, because no container started".to_owned()),
            Ok(run) => {
                let wrong = self.expected.iter().filter(|(key, good)| !good.split('|').any(|good| run.answer(key) == good));
                let wrong: Vec<_> = wrong.map(|(key, good)| format!("{key} gave {} instead of {good}", run.answer(key))).collect();
                if wrong.is_empty() {
                    Ok(format!("{} of {} tries held", self.expected.len(), self.expected.len()))
                } else {
                    Err(wrong.join("; "))
                }
            }
        };
        line(self.id, self.title, verdict, self.mend)
    }
}
