//! Makes an unpacked image fit to be run: what every container has, the injected files' places, the working directory and the user.
//!
//! What does not fit is the image's fault and becomes a line in its log.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read,
    path::PathBuf,
};

use super::{
    Trouble, during, exec,
    inside::{Inside, parts},
    mounts::Private,
    program,
    user::{self, User},
};
use crate::{
    network::RESOLVER,
    protocol::{Description, PLACES, Program},
};

/// The same for every engine, so that it tells nothing.
pub(crate) const HOST_NAME: &str = "engine";
/// `/etc/passwd` and `/etc/group` are read up to here.
const MAX_ACCOUNTS: u64 = 1 << 20;
/// What a shell says of a program that is there and cannot be run.
const CANNOT_START: i32 = 126;

/// What was found out about the image.
pub(crate) struct Prepared {
    pub(crate) user: User,
    pub(crate) working_dir: String,
    /// What has to be shown inside so that a probe runs as a program of its own, and where.
    pub(crate) probe: Vec<(PathBuf, String)>,
}

/// Where a probe is found inside.
pub(crate) const PROBE: &str = "/plimsoll-probe";

/// This very program with its loader and its libraries, wherever the loader looks for them.
fn place_probe(inside: &Inside, private: &Private) -> Result<Vec<(PathBuf, String)>, Trouble> {
    let step = "place the probe";
    let mut beginning = Vec::new();
    let own = File::open("/proc/self/exe").map_err(during(step))?;
    own.take(4096).read_to_end(&mut beginning).map_err(during(step))?;
    let maps = fs::read_to_string("/proc/self/maps").map_err(during(step))?;
    let mapped = maps.lines().filter_map(|line| line.find('/').map(|at| line[at..].to_owned())).filter(|path| path.contains(".so"));
    let mut files: BTreeSet<String> = mapped.collect();
    files.extend(program::loader(&beginning));
    let places = files.into_iter().map(|file| (PathBuf::from(&file), file)).chain([(private.path("probe"), PROBE.to_owned())]);
    places
        .map(|(source, target)| {
            inside.make_file_mount_point(&target).map_err(during(step))?;
            Ok((source.canonicalize().map_err(during(step))?, target))
        })
        .collect()
}

/// Prepares the mounted root.
pub(crate) fn prepare(private: &Private, description: &Description) -> Result<Prepared, Trouble> {
    let inside = Inside::open(&private.root(), private.users().root())?;
    for (name, mode) in [("dev", 0o755), ("proc", 0o555), ("sys", 0o555)] {
        inside.make_real_dir(name, mode).map_err(|error| fault(&format!("/{name} cannot be made a directory"), &error))?;
    }
    if !inside.has("tmp") {
        inside.make_real_dir("tmp", 0o1777).map_err(|error| fault("/tmp cannot be made", &error))?;
    }
    if description.read_only_root {
        for (place, _) in PLACES {
            inside.make_dir(place).map_err(|error| fault(&format!("{place} cannot be made"), &error))?;
        }
    }
    let hosts = format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\t{HOST_NAME}\n");
    // The recorder answers there, at once.
    let resolver = format!("nameserver {RESOLVER}\noptions timeout:1 attempts:1\n");
    for (path, text) in [("/etc/hosts", hosts.as_str()), ("/etc/resolv.conf", resolver.as_str()), ("/etc/hostname", "engine\n")] {
        inside.put(path, 0o644, text.as_bytes()).map_err(|error| fault(&format!("{path} cannot be written"), &error))?;
    }
    for file in &description.files {
        inside.make_file_mount_point(&file.path).map_err(|error| fault(&format!("{} cannot be placed", file.path), &error))?;
    }
    let working_dir = format!("/{}", parts(&description.working_dir).join("/"));
    if let Err(error) = inside.make_dir(&working_dir) {
        return Err(fault(&format!("the working directory {working_dir} cannot be used"), &error));
    }
    let read = |path| inside.read(path, MAX_ACCOUNTS).unwrap_or_default();
    let user = user::resolve(&description.user, &read("/etc/passwd"), &read("/etc/group"));
    let user = user.map_err(|message| Trouble::Fault { code: CANNOT_START, message: format!("cannot start the engine: {message}") })?;
    if [user.uid, user.gid].iter().chain(&user.groups).any(|id| private.users().on_host(*id).is_none()) {
        let message = format!("cannot start the engine: the image's user {:?} or its group has too high a number", description.user);
        return Err(Trouble::Fault { code: CANNOT_START, message });
    }
    let probe = match (&description.foreign, &description.program) {
        (Some(_), Program::Engine { args, env }) => {
            let path =
                exec::complete(env, &user.home).into_iter().rev().find(|(name, _)| name == "PATH").map_or(String::new(), |(_, path)| path);
            if let Some(refusal) = program::refusal(&inside, args, &path, &working_dir) {
                return Err(Trouble::Fault { code: refusal.code, message: refusal.message });
            }
            Vec::new()
        }
        (Some(_), Program::Probe(_)) => place_probe(&inside, private)?,
        (None, _) => Vec::new(),
    };
    Ok(Prepared { user, working_dir, probe })
}

fn fault(what: &str, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::Fault { code: CANNOT_START, message: format!("cannot start the engine: {what} in its image: {error}") }
}
