//! Is a run description usable at all? What comes from an image is not judged here: that is the engine's business.

use model::run::RunSpec;

use crate::{Error, Rootfs};

/// overlayfs stacks no more.
const MAX_LAYERS: usize = 500;
/// Injected files are held in memory.
const MAX_INJECTED: usize = 64 << 20;
const MIN_MEMORY: u64 = 8 << 20;
const MIN_WRITABLE: u64 = 256 << 10;
/// What every container has takes some dozens.
const MIN_FILES: u64 = 256;
/// The container's own preparation takes a few.
const MIN_PIDS: u32 = 4;

/// Refuses what could not be carried out.
pub(crate) fn check(rootfs: &Rootfs, spec: &RunSpec) -> Result<(), Error> {
    let limits = &spec.limits;
    let rules = [
        (spec.args.is_empty(), "it names no program"),
        (rootfs.lower.len() > MAX_LAYERS, "the image has more than 500 layers; squash it"),
        (rootfs.lower.iter().any(|dir| !dir.is_absolute()), "a layer directory is not an absolute path"),
        (!spec.working_dir.starts_with('/'), "the working directory is not an absolute path"),
        (spec.files.iter().any(|file| !file.path.starts_with('/') || file.path.contains('\0')), "an injected file has no absolute path"),
        (spec.files.iter().map(|file| file.bytes.len()).sum::<usize>() > MAX_INJECTED, "the injected files have more than 64 MiB"),
        (limits.memory_bytes < MIN_MEMORY, "less than 8 MiB of memory"),
        (limits.writable_bytes < MIN_WRITABLE, "less than 256 KiB to write"),
        (limits.files < MIN_FILES, "fewer than 256 files"),
        (limits.pids < MIN_PIDS, "fewer than 4 processes"),
        (limits.milli_cpus == 0, "no CPU time at all"),
        (limits.wall_ms == 0, "no time at all"),
        (limits.log_line_bytes == 0, "log lines of no length"),
    ];
    match rules.into_iter().find(|(broken, _)| *broken) {
        Some((_, rule)) => Err(Error::BadSpec(rule)),
        None => Ok(()),
    }
}

/// Ids become directory names.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    let good = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if good { Ok(()) } else { Err(Error::BadId(id.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_names_and_nothing_else() {
        for good in ["a", "build-7-gate-a", "0"] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "A", "a.b", "a b", &"x".repeat(65)] {
            assert!(matches!(check_id(bad), Err(Error::BadId(_))), "{bad}");
        }
    }
}
