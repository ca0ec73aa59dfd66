//! How this process asks the system for memory. It is no part of running an image; it is here because the C library's only way to be told is
//! a foreign function, and `unsafe` lives in this crate alone.

/// Larger pieces are taken from the system one by one and given back when they are free, such as the 9 MiB in which a password is hashed.
#[cfg(target_env = "gnu")]
const OWN_PIECE: libc::c_int = 4 << 20;

/// Free memory beyond this goes back to the system.
#[cfg(target_env = "gnu")]
const SPARE: libc::c_int = 8 << 20;

/// Pools of memory that threads share: one per processor is too many for a process that waits most of the time.
#[cfg(target_env = "gnu")]
const POOLS: libc::c_int = 2;

/// Keeps the memory of this process small. Left alone, the GNU C library raises its limits with every large piece that is freed, and then
/// gives nothing back. Call it before there are threads. Other C libraries have no such habits, and nothing is done.
#[allow(unsafe_code, reason = "the C library is told by a foreign function only")]
pub fn keep_small() {
    #[cfg(target_env = "gnu")]
    for (what, value) in [(libc::M_MMAP_THRESHOLD, OWN_PIECE), (libc::M_TRIM_THRESHOLD, SPARE), (libc::M_ARENA_MAX, POOLS)] {
        // SAFETY: `mallopt` takes two numbers, touches no memory of ours, and refuses by returning 0 what it does not know.
        unsafe { libc::mallopt(what, value) };
    }
}
