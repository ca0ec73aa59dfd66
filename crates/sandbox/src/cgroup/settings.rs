//! What to write into which file for which limit; no input or output here.

use model::run::Limits;

use super::layout::NEEDED_UNIFIED;

/// One value for one file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) controller: &'static str,
    pub(super) file: &'static str,
    pub(super) value: String,
    /// A missing file is an error. The others are missing where the kernel counts no swap, and then there is none to limit.
    pub(super) required: bool,
}

/// Length of a scheduling period, microseconds.
const PERIOD: u64 = 100_000;

/// The settings of a run, in the order in which they must be written.
pub(super) fn settings(unified: bool, limits: &Limits) -> Vec<Setting> {
    let must = |controller, file, value| Setting { controller, file, value, required: true };
    let may = |controller, file, value| Setting { controller, file, value, required: false };
    let memory = limits.memory_bytes.to_string();
    let pids = limits.pids.to_string();
    // The kernel refuses less than a millisecond per period.
    let quota = (u64::from(limits.milli_cpus) * PERIOD / 1000).max(1000);
    if unified {
        return vec![
            must("memory", "memory.max", memory),
            may("memory", "memory.swap.max", "0".to_owned()),
            // An engine whose child runs out of memory goes on, as under version 1: a verdict must not depend on the host.
            may("memory", "memory.oom.group", "0".to_owned()),
            must("pids", "pids.max", pids),
            must("cpu", "cpu.max", format!("{quota} {PERIOD}")),
        ];
    }
    vec![
        must("memory", "memory.limit_in_bytes", memory.clone()),
        may("memory", "memory.memsw.limit_in_bytes", memory),
        may("memory", "memory.swappiness", "0".to_owned()),
        must("pids", "pids.max", pids),
        must("cpu", "cpu.cfs_period_us", PERIOD.to_string()),
        must("cpu", "cpu.cfs_quota_us", quota.to_string()),
    ]
}

/// What to write into `cgroup.subtree_control`, given what it says now; `None` if nothing is missing.
pub(super) fn to_enable(enabled: &str) -> Option<String> {
    let missing: Vec<_> = NEEDED_UNIFIED
        .iter()
        .filter(|name| !enabled.split_ascii_whitespace().any(|there| there == **name))
        .map(|name| format!("+{name}"))
        .collect();
    (!missing.is_empty()).then(|| missing.join(" "))
}

#[cfg(test)]
mod tests {
    use model::manifest::ClusterSize;

    use super::*;

    fn value(unified: bool, milli_cpus: u32, file: &str) -> Option<String> {
        let limits = Limits { milli_cpus, ..Limits::certification(ClusterSize::Small, None) };
        settings(unified, &limits).into_iter().find(|s| s.file == file).map(|s| s.value)
    }

    #[test]
    fn cpu_time_is_a_quota_per_period() {
        assert_eq!(value(false, 1500, "cpu.cfs_quota_us").as_deref(), Some("150000"));
        assert_eq!(value(true, 2000, "cpu.max").as_deref(), Some("200000 100000"));
        assert_eq!(value(true, 1, "cpu.max").as_deref(), Some("1000 100000"), "the smallest the kernel takes");
    }

    #[test]
    fn swap_cannot_be_used_to_get_round_the_memory_limit() {
        assert_eq!(value(true, 1, "memory.swap.max").as_deref(), Some("0"));
        assert_eq!(value(false, 1, "memory.memsw.limit_in_bytes"), value(false, 1, "memory.limit_in_bytes"));
        let legacy = settings(false, &Limits::certification(ClusterSize::Small, None));
        let place = |file| legacy.iter().position(|s| s.file == file);
        assert!(place("memory.limit_in_bytes") < place("memory.memsw.limit_in_bytes"), "the kernel refuses the other order");
    }

    #[test]
    fn only_missing_controllers_are_enabled() {
        assert_eq!(to_enable("cpuset cpu memory pids\n"), None);
        assert_eq!(to_enable("cpuset cpu\n").as_deref(), Some("+memory +pids"));
    }
}
