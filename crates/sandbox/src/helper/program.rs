//! Can the engine's program be run at all? Our own launcher learns that from the kernel; with a foreign runtime it is looked up before, in the image, so that
//! a fault of the image is not taken for one of the runtime.

use super::{
    exec::{NOT_FOUND, NOT_RUNNABLE, Refusal, candidates, interpreter, not_found},
    inside::Inside,
};

/// Enough for the headers of a program.
const BEGINNING: u64 = 4096;
/// `PT_INTERP`.
const LOADER: u32 = 3;

/// Why it cannot be run; `None` if nothing speaks against it.
pub(super) fn refusal(inside: &Inside, args: &[String], path: &str, working_dir: &str) -> Option<Refusal> {
    let name = args.first().map_or("", String::as_str);
    let full = |file: &str| if file.starts_with('/') { file.to_owned() } else { format!("{working_dir}/{file}") };
    let found = candidates(name, path).into_iter().find_map(|file| Some((inside.mode(&full(&file))?, file)));
    let Some((mode, file)) = found else {
        return Some(if name.contains('/') {
            not_found(format!("{name} is not in the image"))
        } else {
            not_found(format!("{name:?} is not in the image; searched PATH={path}"))
        });
    };
    let refuse = |code, message: String| Some(Refusal { code, message: format!("cannot start the engine: {message}") });
    match rustix::fs::FileType::from_raw_mode(mode) {
        rustix::fs::FileType::Directory => return refuse(NOT_RUNNABLE, format!("{file} is a directory")),
        _ if mode & 0o111 == 0 => {
            return refuse(NOT_RUNNABLE, format!("{file} may not be run by this user; is it executable (chmod +x)?"));
        }
        _ => {}
    }
    let beginning = inside.read(&full(&file), BEGINNING)?;
    let is_there = |name: &str| inside.mode(&full(name)).is_some();
    if beginning.starts_with(b"\x7fELF") {
        return loader(&beginning)
            .filter(|loader| !is_there(loader))
            .and_then(|loader| refuse(NOT_FOUND, format!("{file} needs a loader ({loader}) that is not in the image")));
    }
    match interpreter(&beginning) {
        Some(interpreter) if is_there(&interpreter) => None,
        Some(interpreter) => refuse(NOT_FOUND, format!("{file} needs {interpreter}, which is not in the image")),
        None => refuse(NOT_RUNNABLE, format!("{file} is neither a program nor a script that begins with #!")),
    }
}

/// The loader named in a 64 bit program's headers. What does not look as expected has none as far as we know.
pub(super) fn loader(elf: &[u8]) -> Option<String> {
    let number = |at: usize, length: usize| {
        let bytes = elf.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte)))
    };
    let index = |at, length| usize::try_from(number(at, length)?).ok();
    // 64 bits, little end first.
    if elf.get(4..6)? != [2, 1] {
        return None;
    }
    let (table, size, count) = (index(32, 8)?, index(54, 2)?, index(56, 2)?);
    for entry in 0..count.min(64) {
        let at = table.checked_add(entry.checked_mul(size)?)?;
        if number(at, 4)? == u64::from(LOADER) {
            let (from, length) = (index(at.checked_add(8)?, 8)?, index(at.checked_add(32)?, 8)?);
            let name = elf.get(from..from.checked_add(length)?)?.split(|byte| *byte == 0).next()?;
            return String::from_utf8(name.to_vec()).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn what_speaks_against_a_program_is_found_before_it_is_run() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, content: &[u8], mode| {
            fs::write(dir.path().join(name), content).unwrap();
            fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        fs::create_dir(dir.path().join("folder")).unwrap();
        put("good", b"#!/bin\n", 0o755);
        fs::create_dir(dir.path().join("bin")).unwrap();
        put("locked", b"#!/bin\n", 0o644);
        put("script", b"#!/opt/python3 -u\n", 0o755);
        put("windows", b"#!/bin\r\n", 0o755);
        put("text", b"hello\n", 0o755);
        let own = fs::read("/proc/self/exe").unwrap();
        put("program", &own, 0o755);
        let inside = Inside::open(dir.path(), (rustix::process::getuid(), rustix::process::getgid())).unwrap();
        let said = |name: &str| refusal(&inside, &[name.to_owned()], "/nowhere:/", "/").map(|refusal| (refusal.code, refusal.message));
        assert_eq!(said("/good"), None);
        assert_eq!(said("good"), None, "found on the path");
        for (name, code, part) in [
            ("/none", 127, "/none is not in the image"),
            ("none", 127, "searched PATH=/nowhere:/"),
            ("/folder", 126, "is a directory"),
            ("/locked", 126, "chmod +x"),
            ("/script", 127, "needs /opt/python3, which"),
            ("/windows", 127, "carriage return"),
            ("/text", 126, "neither a program nor a script"),
            ("/program", 127, "needs a loader (/"),
        ] {
            let (seen, message) = said(name).unwrap();
            assert!(seen == code && message.contains(part), "{name}: {seen} {message}");
        }
    }

    #[test]
    fn broken_headers_are_no_loader() {
        let own = fs::read("/proc/self/exe").unwrap();
        assert!(loader(&own[..4096]).unwrap().starts_with('/'));
        let mut wild = own[..4096].to_vec();
        wild[32..40].fill(0xff);
        for elf in [&own[..3], &own[..64], &wild[..], b""] {
            assert_eq!(loader(elf), None);
        }
    }
}
