//! Layers on disk, each in its own directory, made once, shared by every image that has them, and removed when room is needed.
//!
//! ```text
//! DIR/HEX              an unpacked layer, by its diffID
//! DIR/HEX.lock         its lock, and its mark: size and the boot in which it was made
//! DIR/.unpacking-HEX   a layer in the making, by whoever holds the lock
//! DIR/.removing-HEX-N  a layer on its way out
//! ```
//!
//! Several processes may use one directory. All agreement is by `flock(2)` on the lock files, which the kernel takes back when a process dies,
//! however it dies: shared by whoever uses a layer ([`Lease`]), exclusive for making and for removing it. When a layer was last used is the time
//! of its lock file. A layer counts only with a complete mark of this boot or one that [`LayerCache::settle`] has made good for all boots: after
//! a power cut nobody knows what of the rest reached the disk.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW};

use crate::{
    beneath,
    caps::Caps,
    error::Error,
    evidence::{LayerEvidence, LayerProblem},
    source::BlobSource,
    unpack::unpack,
};

/// In front of the names of directories that are being made.
const UNFINISHED: &str = ".unpacking-";
/// In front of the names of directories that are being removed.
const DOOMED: &str = ".removing-";
/// Behind the name of a layer's lock.
const LOCK: &str = ".lock";
/// First word of a mark.
const MARK: &str = "layer1";
/// In place of a boot: it is on the disk.
const SETTLED: &str = "settled";
/// Length of a digest in hex.
const HEX: usize = 64;

/// Unpacked layers, by diffID.
#[derive(Clone, Debug)]
pub struct LayerCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    limit: u64,
    /// More was in use than the limit when it was last looked.
    over: AtomicBool,
    removed: AtomicU64,
}

/// An unpacked layer that is not removed while this value lives.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    lock: Option<File>,
    cache: Arc<Inner>,
}

impl Lease {
    /// The layer's directory; only to be read.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.lock = None;
        if self.cache.over.swap(false, Ordering::Relaxed) {
            // Whoever ends a run can do nothing about it; the next layer that is unpacked tries again and tells.
            let _ = self.cache.shrink(0);
        }
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}

impl LayerCache {
    /// Uses `dir`, made when it is first needed, without a limit.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self::with_limit(dir, u64::MAX)
    }

    /// Uses `dir` and removes the layers that were not used for longest when all together would have more bytes than `limit`. Layers in use stay,
    /// so an image that is larger than the limit can be run; its layers go when their leases end.
    pub fn with_limit(dir: impl Into<PathBuf>, limit: u64) -> Self {
        Self(Arc::new(Inner { dir: dir.into(), limit, over: AtomicBool::new(false), removed: AtomicU64::new(0) }))
    }

    /// Removes what killed processes left half done and what an earlier boot left uncertain. Others may use the directory meanwhile.
    pub fn sweep(&self) -> Result<(), Error> {
        let cache = &*self.0;
        let boot = boot()?;
        for name in cache.names()? {
            let path = cache.dir.join(&name);
            if name.starts_with(DOOMED) {
                cache.remove(&path)?;
                continue;
            }
            let hex = name.strip_prefix(UNFINISHED).or_else(|| name.strip_suffix(LOCK)).unwrap_or(&name);
            if hex.len() != HEX || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                continue;
            }
            // Whoever holds the lock is at work on it.
            let Some(lock) = cache.try_own(hex)? else { continue };
            if name.starts_with(UNFINISHED) {
                cache.remove(&path)?;
            }
            if !cache.is_complete(hex, &lock, &boot) {
                cache.retire(hex, lock)?;
            }
        }
        cache.shrink(0)
    }

    /// The directory of an unpacked layer, in use until the lease is dropped; unpacks it first if need be. Callers at the same time, in whatever
    /// process, wait for one of them.
    pub fn ensure(&self, source: &dyn BlobSource, layer: &LayerEvidence, caps: &Caps) -> Result<Lease, Error> {
        let broken = |problem: &LayerProblem| Error::BrokenLayer { digest: layer.digest.clone(), problem: problem.clone() };
        if let Some(problem) = layer.broken() {
            return Err(broken(problem));
        }
        let hex = layer.diff_id.as_ref().ok_or_else(|| broken(&LayerProblem::NotATar))?.hex();
        let cache = &self.0;
        let boot = boot()?;
        fs::create_dir_all(&cache.dir).map_err(failed("make", &cache.dir))?;
        loop {
            let lock = cache.lock(hex, File::lock_shared)?;
            if cache.is_complete(hex, &lock, &boot) {
                // The time of the latest use; a clock that cannot be set costs the order of removal only.
                let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
                let _ = rustix::fs::futimens(&lock, &Timestamps { last_access: now, last_modification: now });
                return Ok(Lease { path: cache.dir.join(hex), lock: Some(lock), cache: cache.clone() });
            }
            drop(lock);
            let lock = cache.lock(hex, File::lock)?;
            if !cache.is_complete(hex, &lock, &boot) {
                cache.make(source, layer, hex, &lock, &boot, caps)?;
            }
            // Taken anew and shared: between the two somebody may just have removed it, and then it is made again.
        }
    }

    /// Makes sure that what was unpacked in this boot outlives it. Costs as much as the system still has to write; call it now and then.
    pub fn settle(&self) -> Result<(), Error> {
        let cache = &*self.0;
        let boot = boot()?;
        let is_new = |(_, lock): &(u64, PathBuf)| read_mark(lock).is_some_and(|mark| mark.boot == boot);
        let inode = |name: &String| {
            let path = cache.dir.join(name);
            Some((fs::metadata(&path).ok()?.ino(), path))
        };
        let names = cache.names()?;
        let new: Vec<(u64, PathBuf)> = names.iter().filter(|name| name.ends_with(LOCK)).filter_map(inode).filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let dir = File::open(&cache.dir).map_err(failed("open", &cache.dir))?;
        rustix::fs::syncfs(&dir).map_err(|errno| failed("sync", &cache.dir)(errno.into()))?;
        for (inode, path) in new {
            let Ok(lock) = File::options().read(true).write(true).open(&path) else { continue };
            let same = lock.metadata().is_ok_and(|metadata| metadata.ino() == inode);
            if let (true, Some(mark)) = (same, mark_of(&lock)) {
                let used = lock.metadata().and_then(|metadata| metadata.modified());
                write_mark(&lock, &Mark { boot: SETTLED.to_owned(), ..mark }).map_err(failed("write", &path))?;
                let _ = used.and_then(|used| lock.set_modified(used));
            }
        }
        Ok(())
    }
}

impl Inner {
    fn names(&self) -> Result<Vec<String>, Error> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(failed("list", &self.dir))?,
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect::<io::Result<_>>().map_err(failed("list", &self.dir))
    }

    fn lock_path(&self, hex: &str) -> PathBuf {
        self.dir.join(format!("{hex}{LOCK}"))
    }

    fn open_lock(&self, hex: &str) -> Result<File, Error> {
        let path = self.lock_path(hex);
        File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed("open", &path))
    }

    /// A lock file is removed by its owner, so one that was waited for may be nobody's any more.
    fn is_current(&self, hex: &str, lock: &File) -> bool {
        let inode = |metadata: io::Result<fs::Metadata>| metadata.map(|metadata| metadata.ino()).ok();
        inode(lock.metadata()).is_some_and(|ours| inode(fs::metadata(self.lock_path(hex))) == Some(ours))
    }

    fn lock(&self, hex: &str, take: impl Fn(&File) -> io::Result<()>) -> Result<File, Error> {
        loop {
            let lock = self.open_lock(hex)?;
            match take(&lock) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => other.map_err(failed("lock", &self.lock_path(hex)))?,
            }
            if self.is_current(hex, &lock) {
                return Ok(lock);
            }
        }
    }

    /// The exclusive lock, if nobody has it.
    fn try_own(&self, hex: &str) -> Result<Option<File>, Error> {
        let lock = self.open_lock(hex)?;
        match lock.try_lock() {
            Ok(()) => Ok(self.is_current(hex, &lock).then_some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed("lock", &self.lock_path(hex))(error)),
        }
    }

    fn is_complete(&self, hex: &str, lock: &File, boot: &str) -> bool {
        mark_of(lock).is_some_and(|mark| mark.boot == boot || mark.boot == SETTLED) && self.dir.join(hex).is_dir()
    }

    /// Unpacks a layer. The caller owns its lock.
    fn make(&self, source: &dyn BlobSource, layer: &LayerEvidence, hex: &str, lock: &File, boot: &str, caps: &Caps) -> Result<(), Error> {
        let (finished, unfinished) = (self.dir.join(hex), self.dir.join(format!("{UNFINISHED}{hex}")));
        write_mark(lock, &Mark { bytes: 0, boot: String::new() }).map_err(failed("write", &self.lock_path(hex)))?;
        self.remove(&finished)?;
        self.remove(&unfinished)?;
        self.shrink(layer.uncompressed_size)?;
        fs::create_dir(&unfinished).map_err(failed("make", &unfinished))?;
        let outcome = unpack(source, layer, &unfinished, caps).and_then(|bytes| {
            write_mark(lock, &Mark { bytes, boot: boot.to_owned() }).map_err(failed("write", &self.lock_path(hex)))?;
            fs::rename(&unfinished, &finished).map_err(failed("rename", &unfinished))
        });
        match outcome {
            Ok(()) => self.shrink(0),
            Err(error) => {
                // The first error is the one worth telling; what is left here goes with the next attempt or sweep.
                let _ = self.remove(&unfinished);
                let _ = fs::remove_file(self.lock_path(hex));
                Err(error)
            }
        }
    }

    /// Removes layers nobody uses, the longest unused first, until `need` more bytes fit.
    fn shrink(&self, need: u64) -> Result<(), Error> {
        if self.limit == u64::MAX {
            return Ok(());
        }
        let mut layers: Vec<(SystemTime, String, u64)> = Vec::new();
        for name in self.names()? {
            let Some(hex) = name.strip_suffix(LOCK).filter(|hex| self.dir.join(hex).is_dir()) else { continue };
            let path = self.dir.join(&name);
            let Some(mark) = read_mark(&path) else { continue };
            let used = fs::metadata(&path).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            layers.push((used, hex.to_owned(), mark.bytes));
        }
        layers.sort();
        let mut wanted = layers.iter().map(|(_, _, bytes)| *bytes).fold(need, u64::saturating_add);
        for (_, hex, bytes) in layers {
            if wanted <= self.limit {
                break;
            }
            if let Some(lock) = self.try_own(&hex)? {
                self.retire(&hex, lock)?;
                wanted = wanted.saturating_sub(bytes);
            }
        }
        self.over.store(wanted > self.limit, Ordering::Relaxed);
        Ok(())
    }

    /// Removes a layer with its lock, which the caller owns. It is out of sight at once: nobody can take for complete what is half removed.
    fn retire(&self, hex: &str, lock: File) -> Result<(), Error> {
        let number = self.removed.fetch_add(1, Ordering::Relaxed);
        let doomed = self.dir.join(format!("{DOOMED}{hex}-{}-{number}", std::process::id()));
        let path = self.dir.join(hex);
        match fs::rename(&path, &doomed) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("rename", &path)(error)),
            _ => {}
        }
        let lock_path = self.lock_path(hex);
        fs::remove_file(&lock_path).map_err(failed("remove", &lock_path))?;
        drop(lock);
        self.remove(&doomed)
    }

    /// Removes a tree, if it is there. Two may be at it at once.
    fn remove(&self, path: &Path) -> Result<(), Error> {
        let again = |_: &io::Error| path.symlink_metadata().is_ok();
        match beneath::remove_tree(path).map_err(io::Error::from) {
            Err(error) if again(&error) => Err(failed("remove", path)(error)),
            _ => Ok(()),
        }
    }
}

/// What a lock file says of its layer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    bytes: u64,
    /// The boot in which it was made, or [`SETTLED`]; empty while it is being made.
    boot: String,
}

impl Mark {
    /// `None` for what is not a whole mark.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_suffix('\n')?.split(' ');
        let (name, bytes, boot) = (words.next()?, words.next()?, words.next()?);
        (name == MARK && words.next().is_none()).then_some(())?;
        Some(Self { bytes: bytes.parse().ok()?, boot: boot.to_owned() })
    }
}

fn read_mark(path: &Path) -> Option<Mark> {
    mark_of(&File::open(path).ok()?)
}

fn mark_of(lock: &File) -> Option<Mark> {
    let mut bytes = [0; 128];
    let length = lock.read_at(&mut bytes, 0).ok()?;
    Mark::parse(std::str::from_utf8(&bytes[..length]).ok()?)
}

fn write_mark(lock: &File, mark: &Mark) -> io::Result<()> {
    let text = format!("{MARK} {} {}\n", mark.bytes, mark.boot);
    lock.set_len(0)?;
    lock.write_all_at(text.as_bytes(), 0)
}

/// This boot of the machine.
fn boot() -> Result<String, Error> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(100).read_to_string(&mut text)).map_err(failed("read", path))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests;
