//! What a run used, read from the files of its control group.

/// What the kernel counted. A number it does not count is `None` or zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Highest memory use, bytes.
    pub(crate) memory_peak: u64,
    /// CPU time, milliseconds.
    pub(crate) cpu_ms: u64,
    /// CPU time in the programs themselves, milliseconds.
    pub(crate) cpu_user_ms: u64,
    /// CPU time in the kernel, milliseconds.
    pub(crate) cpu_system_ms: u64,
    /// Highest number of processes.
    pub(crate) pids_peak: Option<u64>,
    /// Processes killed because memory ran out.
    pub(crate) oom_kills: u64,
    /// Forks refused.
    pub(crate) forks_refused: u64,
}

impl Usage {
    /// The same without the CPU time that had been used before.
    pub(crate) fn computing_since(self, before: &Self) -> Self {
        let cpu_ms = self.cpu_ms.saturating_sub(before.cpu_ms);
        let cpu_user_ms = self.cpu_user_ms.saturating_sub(before.cpu_user_ms).min(cpu_ms);
        Self {
            cpu_ms,
            cpu_user_ms,
            cpu_system_ms: self.cpu_system_ms.saturating_sub(before.cpu_system_ms).min(cpu_ms - cpu_user_ms),
            ..self
        }
    }

    /// `read` gives the content of a controller's file.
    pub(crate) fn read(unified: bool, read: &dyn Fn(&str, &str) -> Option<String>) -> Self {
        let number = |controller, file| read(controller, file).and_then(|text| text.trim().parse::<u64>().ok());
        let keyed = |controller, file, key| read(controller, file).and_then(|text| keyed(&text, key)).unwrap_or(0);
        let pids_peak = number("pids", "pids.peak");
        let forks_refused = keyed("pids", "pids.events", "max");
        if unified {
            let peak = number("memory", "memory.peak").or_else(|| number("memory", "memory.current"));
            return Self {
                memory_peak: peak.unwrap_or(0),
                cpu_ms: keyed("cpu", "cpu.stat", "usage_usec") / 1000,
                cpu_user_ms: keyed("cpu", "cpu.stat", "user_usec") / 1000,
                cpu_system_ms: keyed("cpu", "cpu.stat", "system_usec") / 1000,
                pids_peak,
                oom_kills: keyed("memory", "memory.events", "oom_kill"),
                forks_refused,
            };
        }
        let nanos = |file| number("cpuacct", file).unwrap_or(0);
        let cpu_ms = nanos("cpuacct.usage") / 1_000_000;
        let cpu_user_ms = share(cpu_ms, nanos("cpuacct.usage_user"), nanos("cpuacct.usage_sys"));
        Self {
            memory_peak: number("memory", "memory.max_usage_in_bytes").unwrap_or(0),
            cpu_ms,
            cpu_user_ms,
            cpu_system_ms: cpu_ms - cpu_user_ms,
            pids_peak,
            oom_kills: keyed("memory", "memory.oom_control", "oom_kill"),
            forks_refused,
        }
    }
}

/// The part of an exact whole, given two parts that were only sampled and need not add up to it.
fn share(whole: u64, part: u64, rest: u64) -> u64 {
    match u128::from(part) + u128::from(rest) {
        0 => whole,
        sum => u64::try_from(u128::from(whole) * u128::from(part) / sum).unwrap_or(whole),
    }
}

/// The number behind a key in lines of `key number`.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().filter_map(|line| line.split_once(' ')).find(|(found, _)| *found == key)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_files_are_understood() {
        let usage = Usage::read(false, &|controller, file| {
            let text = match (controller, file) {
                ("memory", "memory.max_usage_in_bytes") => "1048576\n",
                ("memory", "memory.oom_control") => "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
                ("cpuacct", "cpuacct.usage") => "123456789\n",
                ("cpuacct", "cpuacct.usage_user") => "200000000\n",
                ("cpuacct", "cpuacct.usage_sys") => "46000000\n",
                ("pids", "pids.events") => "max 3\n",
                _ => return None,
            };
            Some(text.to_owned())
        });
        assert_eq!(
            usage,
            Usage {
                memory_peak: 1 << 20,
                cpu_ms: 123,
                cpu_user_ms: 100,
                cpu_system_ms: 23,
                pids_peak: None,
                oom_kills: 2,
                forks_refused: 3,
            }
        );
    }

    #[test]
    fn version_2_files_are_understood() {
        let usage = Usage::read(true, &|_, file| {
            let text = match file {
                "memory.current" => "4096\n",
                "memory.events" => "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 1\n",
                "cpu.stat" => "usage_usec 77000\nuser_usec 60000\nsystem_usec 17000\n",
                "pids.peak" => "12\n",
                "pids.events" => "max 0\n",
                _ => return None,
            };
            Some(text.to_owned())
        });
        assert_eq!(
            usage,
            Usage {
                memory_peak: 4096,
                cpu_ms: 77,
                cpu_user_ms: 60,
                cpu_system_ms: 17,
                pids_peak: Some(12),
                oom_kills: 1,
                forks_refused: 0,
            }
        );
    }

    #[test]
    fn what_was_used_before_is_not_counted() {
        let usage = |cpu_ms, cpu_user_ms, cpu_system_ms| Usage { cpu_ms, cpu_user_ms, cpu_system_ms, memory_peak: 7, ..Usage::default() };
        assert_eq!(usage(100, 60, 40).computing_since(&usage(30, 10, 20)), usage(70, 50, 20));
        assert_eq!(usage(100, 60, 40).computing_since(&usage(100, 61, 39)), usage(0, 0, 0), "samples may run backwards");
    }

    #[test]
    fn nonsense_counts_as_nothing() {
        assert_eq!(Usage::read(false, &|_, _| Some("a b c\n\n-1".to_owned())), Usage::default());
    }
}
