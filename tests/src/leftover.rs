//! What a run of an engine must not leave behind on this machine.

use std::{fs, path::Path};

/// Everything that still bears the name of a run: processes, their mounts and cgroups, and cgroups without processes.
pub fn of(run: &str) -> Vec<String> {
    let mut found = processes(run);
    folders_named(Path::new("/sys/fs/cgroup"), run, &mut found);
    found
}

/// Processes of a run.
pub fn processes(run: &str) -> Vec<String> {
    let mut found = Vec::new();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    for process in processes.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().bytes().all(|b| b.is_ascii_digit())))
    {
        for file in ["cmdline", "environ", "cgroup", "mountinfo"] {
            // A process may end while we look.
            let text = fs::read(process.join(file)).unwrap_or_default();
            if String::from_utf8_lossy(&text).contains(run) {
                found.push(process.join(file).display().to_string());
            }
        }
    }
    found
}

fn folders_named(folder: &Path, name: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if entry.file_name().to_string_lossy().contains(name) {
            found.push(entry.path().display().to_string());
        }
        folders_named(&entry.path(), name, found);
    }
}

/// The name under which the first run of a build is known on this machine.
pub fn run_of(build: &str) -> String {
    build.replace('-', "")
}
