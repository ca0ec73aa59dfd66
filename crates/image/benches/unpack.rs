//! Unpacking one large layer, ours beside `tar -xzf`, into the same file system: `scripts/bench unpack`.
//!
//! The layer is like that of a Python engine: 8,000 files from a few bytes to several megabytes, half of it hard to compress, with 220 MB as
//! transferred. Then 300,000 empty files: a hostile layer, or a careless one. Both write into new folders of the same temporary folder (`TMPDIR`), turn
//! by turn. `scripts/bench` takes a file system in memory, so that neither waits for a disk. On ext4 much depends on what was removed before: for some
//! minutes it passes over the inodes of removed files one by one, and a new file can take a millisecond, whoever makes it.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    fs,
    path::Path,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use image::{
    Caps, Compression, LayerCache, LayerEvidence, Platform,
    pack::{File, Pack, Packed},
};

const TRANSFERRED: usize = 220_000_000;
const FILES: usize = 8_000;
const ROUNDS: usize = 3;

fn main() -> ExitCode {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let large = layer();
    let both = Both::of(dir.path(), &large);
    both.round(0);
    let mut times: Vec<_> = (1..=ROUNDS).map(|round| both.round(round)).collect();
    print(&format!("{} MB as transferred, {} MB plain, {FILES} files, median of {ROUNDS}", both.transferred, both.plain), &mut times);
    let files = (0..300_000).map(|n| File::new(&format!("{}/{n}", n / 1000), 0o644, "")).collect();
    let many = Pack::new(Platform::host()).compression(Compression::Gzip).layer(files).build().expect("the names are short");
    print("300,000 empty files, once", &mut [Both::of(dir.path(), &many).round(ROUNDS + 1)]);
    ExitCode::SUCCESS
}

fn print(what: &str, times: &mut [(Duration, Duration)]) {
    let median = |pick: fn(&(Duration, Duration)) -> Duration| {
        let mut times: Vec<Duration> = times.iter().map(pick).collect();
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let (ours, theirs) = (median(|both| both.0), median(|both| both.1));
    println!("| unpack a layer: {what} | time | of tar |\n|---|---|---|");
    println!("| plimsoll | {ours:.2} s | {:.2}x |\n| tar -xzf | {theirs:.2} s | 1.00x |\n", ours / theirs);
}

/// A layer for both of us.
struct Both<'a> {
    dir: &'a Path,
    packed: &'a Packed,
    evidence: LayerEvidence,
    transferred: usize,
    plain: u64,
}

impl<'a> Both<'a> {
    fn of(dir: &'a Path, packed: &'a Packed) -> Self {
        let (digest, bytes) = packed.blobs().max_by_key(|(_, bytes)| bytes.len()).expect("there is a layer");
        fs::write(dir.join("layer.tar.gz"), bytes).expect("room for the layer");
        let found = image::inspect(packed, packed.top(), &Platform::host(), Caps::default(), &mut |_| None).expect("it is a good image");
        let evidence = found.layers.iter().find(|layer| layer.digest == *digest).expect("its layer").as_ref().clone();
        Self { dir, packed, transferred: bytes.len() / 1_000_000, plain: evidence.uncompressed_size / 1_000_000, evidence }
    }

    /// How long each of us takes; who begins changes.
    fn round(&self, round: usize) -> (Duration, Duration) {
        if round.is_multiple_of(2) {
            let ours = self.ours();
            (ours, self.theirs())
        } else {
            let theirs = self.theirs();
            (self.ours(), theirs)
        }
    }

    fn ours(&self) -> Duration {
        self.timed(|target| drop(LayerCache::new(target).ensure(self.packed, &self.evidence, &Caps::default()).expect("it unpacks")))
    }

    fn theirs(&self) -> Duration {
        self.timed(|target| {
            fs::create_dir(target).expect("a folder");
            let status = Command::new("tar").arg("-xzf").arg(self.dir.join("layer.tar.gz")).arg("-C").arg(target).status();
            assert!(status.expect("apt-get install tar gzip").success(), "tar -xzf");
        })
    }

    fn timed(&self, unpack: impl FnOnce(&Path)) -> Duration {
        let target = self.dir.join("unpacked");
        let began = Instant::now();
        unpack(&target);
        let time = began.elapsed();
        fs::remove_dir_all(&target).expect("it is ours");
        time
    }
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

fn layer() -> Packed {
    let mut numbers = Numbers(7);
    let words: Vec<String> =
        (0..3_000).map(|_| (0..3 + numbers.next() % 8).map(|_| char::from(b'a' + (numbers.next() % 26) as u8)).collect()).collect();
    // A few large files hold most of the bytes, as everywhere.
    let weights: Vec<u64> =
        (0..FILES).map(|n| if n % 100 == 0 { 2_000 + numbers.next() % 8_000 } else { 1 + numbers.next() % 60 }).collect();
    let sum: u64 = weights.iter().sum();
    let plain = (TRANSFERRED as f64 * 2.2) as u64;
    let file = |(n, weight): (usize, &u64)| {
        let length = (plain * weight / sum) as usize;
        let mut bytes: Vec<u8> = Vec::with_capacity(length + 16);
        while bytes.len() < length {
            if n.is_multiple_of(2) {
                bytes.extend_from_slice(words[(numbers.next() % 3_000) as usize].as_bytes());
                bytes.push(b' ');
            } else {
                bytes.extend_from_slice(&numbers.next().to_le_bytes());
            }
        }
        File::new(&format!("usr/lib/python3/site-packages/p{}/m{n}.py", n / 40), 0o644, bytes)
    };
    let files = weights.iter().enumerate().map(file).collect();
    Pack::new(Platform::host()).compression(Compression::Gzip).layer(files).build().expect("the names are short")
}
