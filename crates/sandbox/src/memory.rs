//! How this process asks the system for memory. It is no part of running an image; it is here because the C library's only way to be told is
//! a foreign function, and `unsafe` lives in this crate alone.

/// Larger pieces are taken from the system one by one and given back when they are free, such as the 7 MiB in which a password is hashed.
#[cfg(target_env = "gnu")]
const OWN_PIECE: libc::c_int = 4 << 20;

/// Free memory beyond this goes back to the system.
#[cfg(target_env = "gnu")]
const SPARE: libc::c_int = 1 << 20;

/// Most pools of memory that threads share, however many processors there are.
#[cfg(target_env = "gnu")]
const MOST_POOLS: usize = 8;

/// One pool for two processors: one for each is too many for a process that waits most of the time.
#[cfg(target_env = "gnu")]
fn pools() -> libc::c_int {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    libc::c_int::try_from((processors / 2).clamp(1, MOST_POOLS)).unwrap_or(1)
}

/// Keeps the memory of this process small. Left alone, the GNU C library raises its limits with every large piece that is freed, and then
/// gives nothing back. Call it before there are threads. Other C libraries have no such habits, and nothing is done.
#[allow(unsafe_code, reason = "the C library is told by a foreign function only")]
pub fn keep_small() {
    #[cfg(target_env = "gnu")]
    for (what, value) in [(libc::M_MMAP_THRESHOLD, OWN_PIECE), (libc::M_TRIM_THRESHOLD, SPARE), (libc::M_ARENA_MAX, pools())] {
        // SAFETY: `mallopt` takes two numbers, touches no memory of ours, and refuses by returning 0 what it does not know.
        unsafe { libc::mallopt(what, value) };
    }
}

/// Gives the system back what is free. Call it before much is asked for at once, so that the two do not add up. It takes about a millisecond.
#[allow(unsafe_code, reason = "the C library is told by a foreign function only")]
pub fn give_back_free() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` takes a number and gives back pages that nothing allocated lies in; it takes the locks of the pools itself.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Gives back the pages of programs and libraries, as far as they are as in their files. Most of what runs while a server starts is not needed again for
/// days; what is needed comes back from the system's cache of files when it is next touched. Call it once, when the start is over. Nothing happens
/// where the kernel shows no mappings.
#[allow(unsafe_code, reason = "advice about memory is unsafe in general")]
pub fn give_back_code() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/smaps") else { return };
    for (start, end) in unchanged(&maps) {
        // SAFETY: the kernel says of this range that it is a private mapping of a file, without the right to write, and that no page of it differs from
        // the file. Nobody in this process makes such a range writable, which the linker does only before it calls a library loaded. So whoever
        // touches one of the pages gets the same bytes from the file again.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// The ranges in `/proc/PID/smaps` that are mapped privately from a file, may not be written, and are as in the file.
fn unchanged(smaps: &str) -> Vec<(usize, usize)> {
    let (mut ranges, mut current) = (Vec::new(), None);
    for line in smaps.lines() {
        if let Some(own) = line.strip_prefix("Anonymous:") {
            ranges.extend(current.take().filter(|_| own.trim() == "0 kB"));
        } else if !line.split_ascii_whitespace().next().is_some_and(|word| word.ends_with(':')) {
            current = read_only_file(line);
        }
    }
    ranges
}

/// The range of the first line of a mapping, if it is a file's, private and not to be written.
fn read_only_file(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let is_read_only = matches!(words.next()?, "r-xp" | "r--p");
    let address = |text| usize::from_str_radix(text, 16).ok();
    let range = Some((address(start)?, address(end)?)).filter(|(start, end)| start < end);
    range.filter(|_| is_read_only && words.nth(3).is_some_and(|path| path.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "55d0c0e00000-55d0c34c5000 r-xp 00ea9000 fe:00 1839                       /usr/bin/plimsoll\nSize: 39 kB\nAnonymous:             0 kB\n";

    #[test]
    fn only_what_is_as_in_a_file_is_found() {
        let range = (0x55d0_c0e0_0000, 0x55d0_c34c_5000);
        assert_eq!(unchanged(CODE), [range]);
        let constants = CODE.replace("r-xp", "r--p");
        for other in [
            CODE.replace("r-xp", "rw-p"),
            CODE.replace("r-xp", "r-xs"),
            CODE.replace("/usr/bin/plimsoll", ""),
            CODE.replace("/usr/bin/plimsoll", "[vdso]"),
            CODE.replace("     0 kB", "     4 kB"),
            CODE.replace("55d0c34c5000", "0"),
            "x\nAnonymous: 0 kB".to_owned(),
            "Anonymous: 0 kB".to_owned(),
            String::new(),
        ] {
            assert_eq!(unchanged(&other), [], "{other}");
            assert_eq!(unchanged(&format!("{other}\n{constants}{other}\n")), [range], "{other}");
        }
    }

    #[test]
    fn code_that_was_given_back_still_runs() {
        give_back_code();
        give_back_free();
        only_what_is_as_in_a_file_is_found();
        let code = only_what_is_as_in_a_file_is_found as *const () as usize;
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        assert!(unchanged(&smaps).iter().any(|(start, end)| (*start..*end).contains(&code)), "{smaps}");
    }
}
