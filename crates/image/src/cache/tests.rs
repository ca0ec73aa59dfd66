use std::{
    process::{Child, Command},
    sync::atomic::AtomicUsize,
    time::Duration,
};

use model::digest::Digest;

use super::*;
use crate::{
    Platform,
    inspection::inspect,
    pack::{File as Member, Pack, Packed},
};

/// An image whose blobs are counted when they are opened.
struct Counted(Packed, AtomicUsize);

impl BlobSource for Counted {
    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send>, Error> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.open(digest)
    }

    fn size(&self, digest: &Digest) -> Result<u64, Error> {
        self.0.size(digest)
    }
}

/// An image of as many layers of 100 KiB, and a folder for a cache.
struct House {
    source: Counted,
    layers: Vec<Arc<LayerEvidence>>,
    dir: tempfile::TempDir,
}

const LAYER: u64 = 100 << 10;

impl House {
    fn new(layers: usize) -> Self {
        let file = |n: usize| Member::new(&format!("f{n}"), 0o644, vec![n as u8; LAYER as usize]);
        let packed = (0..layers).fold(Pack::new(Platform::host()), |pack, n| pack.layer(vec![file(n)])).build().unwrap();
        let found = inspect(&packed, packed.top(), &Platform::host(), Caps::default(), &mut |_| None).unwrap();
        let layers = found.layers.iter().map(|layer| Arc::new((**layer).clone())).collect();
        Self { source: Counted(packed, AtomicUsize::new(0)), layers, dir: tempfile::tempdir().unwrap() }
    }

    fn cache(&self, limit: u64) -> LayerCache {
        LayerCache::with_limit(self.dir.path(), limit)
    }

    /// Takes layer `n`; it must be whole.
    fn take(&self, cache: &LayerCache, n: usize) -> Lease {
        let lease = cache.ensure(&self.source, &self.layers[n], &Caps::default()).unwrap();
        assert_eq!(fs::read(lease.path().join(format!("f{n}"))).unwrap(), vec![n as u8; LAYER as usize]);
        lease
    }

    fn opened(&self) -> usize {
        self.source.1.load(Ordering::Relaxed)
    }

    fn hex(&self, n: usize) -> &str {
        self.layers[n].diff_id.as_ref().unwrap().hex()
    }

    fn path(&self, n: usize) -> PathBuf {
        self.dir.path().join(self.hex(n))
    }

    fn lock_path(&self, n: usize) -> PathBuf {
        self.dir.path().join(format!("{}{LOCK}", self.hex(n)))
    }

    /// Which layers are there.
    fn there(&self) -> Vec<usize> {
        (0..self.layers.len()).filter(|n| self.path(*n).is_dir()).collect()
    }

    /// Says that layer `n` was used so long ago.
    fn age(&self, n: usize, seconds: u64) {
        File::open(self.lock_path(n))
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH + SystemTime::UNIX_EPOCH.elapsed().unwrap() - Duration::from_secs(seconds))
            .unwrap();
    }

    /// Another process that holds the lock of layer `n`, until it is killed.
    fn stranger(&self, n: usize, how: &str) -> Child {
        let mut command = Command::new("flock");
        command.args(["--no-fork", how]).arg(self.lock_path(n)).args(["sh", "-c", "echo held; exec sleep 1000"]);
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut said = [0; 5];
        child.stdout.take().unwrap().read_exact(&mut said).unwrap();
        child
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_layer_is_unpacked_once_however_many_ask() {
    let house = House::new(1);
    let (cache, other_process) = (house.cache(u64::MAX), house.cache(u64::MAX));
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (house, cache) = (&house, if n % 2 == 0 { &cache } else { &other_process });
            scope.spawn(move || house.take(cache, 0));
        }
    });
    assert_eq!(house.opened(), 1);
    let mark = read_mark(&house.lock_path(0)).unwrap();
    assert_eq!((mark.boot, mark.bytes), (boot().unwrap(), LAYER + 512));
    assert_eq!(fs::read_dir(house.dir.path()).unwrap().count(), 2);
}

#[test]
fn the_longest_unused_layers_go_when_room_is_needed() {
    let house = House::new(4);
    let cache = house.cache(3 * LAYER + 10_000);
    for n in 0..3 {
        drop(house.take(&cache, n));
    }
    for (n, seconds) in [(0, 10), (1, 30), (2, 20)] {
        house.age(n, seconds);
    }
    drop(house.take(&cache, 3));
    assert_eq!(house.there(), [0, 2, 3]);
    assert!(!house.lock_path(1).exists());
    // Using a layer makes it young again.
    house.age(2, 50);
    drop(house.take(&cache, 2));
    house.age(3, 40);
    drop(house.take(&cache, 1));
    assert_eq!((house.there(), house.opened()), (vec![0, 1, 2], 5));
    assert_eq!(fs::read_dir(house.dir.path()).unwrap().count(), 6, "nothing half removed is left");
}

#[test]
fn a_layer_in_use_stays_and_goes_afterwards() {
    let house = House::new(3);
    let cache = house.cache(LAYER);
    let leases: Vec<Lease> = (0..3).map(|n| house.take(&cache, n)).collect();
    assert_eq!(house.there(), [0, 1, 2], "an image larger than the cache can be run");
    assert!(leases.iter().all(|lease| fs::read_dir(lease.path()).unwrap().count() == 1));
    drop(leases);
    assert_eq!(house.there(), Vec::<usize>::new());
}

#[test]
fn a_layer_that_another_process_uses_stays_until_that_process_is_dead() {
    let house = House::new(2);
    let cache = house.cache(LAYER + 10_000);
    drop(house.take(&cache, 0));
    let stranger = house.stranger(0, "--shared");
    drop(house.take(&cache, 1));
    assert_eq!(house.there(), [0], "the one in use has all the room");
    kill(stranger);
    let lease = house.take(&cache, 1);
    assert_eq!(house.there(), [1]);
    drop(lease);
}

#[test]
fn a_process_that_dies_while_it_unpacks_leaves_nothing_that_is_taken_for_whole() {
    let house = House::new(1);
    let cache = house.cache(u64::MAX);
    let unfinished = house.dir.path().join(format!("{UNFINISHED}{}", house.hex(0)));
    fs::create_dir_all(unfinished.join("usr")).unwrap();
    let stranger = house.stranger(0, "--exclusive");
    cache.sweep().unwrap();
    assert!(unfinished.exists(), "whoever holds the lock is still at it");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| house.take(&cache, 0));
        kill(stranger);
        drop(waiting.join().unwrap());
    });
    assert!(!unfinished.exists() && !house.path(0).join("usr").exists());
    assert_eq!(house.opened(), 1);
}

#[test]
fn what_is_not_marked_whole_in_this_boot_is_made_again() {
    let house = House::new(1);
    let cache = house.cache(u64::MAX);
    for (n, mark) in
        ["", "layer1 5", "layer1 5 another-boot\n", "layer1 5 \n", "layer1 x settled\n", "layer2 5 settled\n"].iter().enumerate()
    {
        fs::create_dir_all(house.path(0).join("half")).unwrap();
        fs::write(house.lock_path(0), mark).unwrap();
        drop(house.take(&cache, 0));
        assert!(!house.path(0).join("half").exists() && house.opened() == n + 1, "{mark:?}");
    }
    fs::write(house.lock_path(0), "layer1 5 settled\n").unwrap();
    drop(house.take(&cache, 0));
    assert_eq!(house.opened(), 6);
}

#[test]
fn sweeping_removes_what_the_dead_left_and_nothing_else() {
    let house = House::new(3);
    let cache = house.cache(u64::MAX);
    cache.sweep().unwrap();
    drop(house.take(&cache, 0));
    let of = |name: String| house.dir.path().join(name);
    let (one, two) = (house.hex(1), house.hex(2));
    for name in [format!("{UNFINISHED}{one}"), format!("{DOOMED}{one}-1-0"), two.to_owned(), "notes".to_owned()] {
        fs::create_dir_all(of(name).join("usr/lib")).unwrap();
    }
    cache.sweep().unwrap();
    assert_eq!(house.there(), [0]);
    let mut left: Vec<String> = cache.0.names().unwrap();
    left.sort();
    let mut wanted = vec![house.hex(0).to_owned(), format!("{}{LOCK}", house.hex(0)), "notes".to_owned()];
    wanted.sort();
    assert_eq!(left, wanted);
}

#[test]
fn what_is_settled_outlives_this_boot() {
    let house = House::new(2);
    let cache = house.cache(u64::MAX);
    cache.settle().unwrap();
    drop(house.take(&cache, 0));
    house.age(0, 1000);
    let used = fs::metadata(house.lock_path(0)).unwrap().modified().unwrap();
    cache.settle().unwrap();
    let mark = read_mark(&house.lock_path(0)).unwrap();
    assert_eq!((mark.boot.as_str(), mark.bytes), (SETTLED, LAYER + 512));
    assert_eq!(fs::metadata(house.lock_path(0)).unwrap().modified().unwrap(), used);
    drop(house.take(&cache, 1));
    assert_eq!(read_mark(&house.lock_path(1)).unwrap().boot, boot().unwrap());
    drop(house.take(&cache, 0));
    assert_eq!(house.opened(), 2);
}

#[test]
fn users_and_removers_do_not_get_into_each_other_s_way() {
    let house = House::new(4);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let house = &house;
            scope.spawn(move || {
                let cache = house.cache(2 * LAYER + 10_000);
                (0..25).for_each(|n| drop(house.take(&cache, (n * 7 + thread) % 4)));
            });
        }
    });
    assert!(house.there().len() <= 2, "{:?}", house.there());
    assert_eq!(fs::read_dir(house.dir.path()).unwrap().count(), 2 * house.there().len());
}
