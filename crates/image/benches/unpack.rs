//! Unpacking one large layer, ours beside `tar -xzf`, into the same file system: `scripts/bench unpack`.
//!
//! The layer is like that of a Python engine: 8,000 files from a few bytes to several megabytes, half of it hard to compress, with 220 MB as
//! transferred. Both write into new folders of the same temporary folder (`TMPDIR`), turn by turn; neither waits for the disk.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use image::{
    Caps, Compression, LayerCache, Platform,
    pack::{File, Pack, Packed},
};

const TRANSFERRED: usize = 220_000_000;
const FILES: usize = 8_000;
const ROUNDS: usize = 7;

fn main() -> ExitCode {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let packed = layer();
    let (digest, bytes) = packed.blobs().max_by_key(|(_, bytes)| bytes.len()).expect("there is a layer");
    let archive = dir.path().join("layer.tar.gz");
    fs::File::create(&archive).and_then(|mut file| file.write_all(bytes)).expect("room for the layer");
    let found = image::inspect(&packed, packed.top(), &Platform::host(), Caps::default(), &mut |_| None).expect("it is a good image");
    let evidence = found.layers.iter().find(|layer| layer.digest == *digest).expect("its layer");
    let ours = |target: &Path| drop(LayerCache::new(target).ensure(&packed, evidence, &Caps::default()).expect("it unpacks"));
    let theirs = |target: &Path| {
        fs::create_dir(target).expect("a folder");
        let status = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(target).status().expect("apt-get install tar gzip");
        assert!(status.success(), "tar -xzf");
    };
    let timed = |name: &str, round: usize, unpack: &dyn Fn(&Path)| {
        let target = dir.path().join(format!("{name}-{round}"));
        let began = Instant::now();
        unpack(&target);
        let time = began.elapsed();
        fs::remove_dir_all(&target).expect("it is ours");
        time
    };
    many_files(dir.path());
    timed("ours", ROUNDS, &ours);
    timed("theirs", ROUNDS, &theirs);
    let (mut us, mut them): (Vec<Duration>, Vec<Duration>) =
        (0..ROUNDS).map(|round| (timed("ours", round, &ours), timed("theirs", round, &theirs))).unzip();
    let (us, them) = (median(&mut us), median(&mut them));
    println!(
        "layer: {} MB as transferred, {} MB plain, {FILES} files; medians of {ROUNDS} rounds, turn by turn",
        bytes.len() / 1_000_000,
        evidence.uncompressed_size / 1_000_000
    );
    println!("| unpack a layer | time | of tar |\n|---|---|---|");
    println!("| plimsoll | {:.2} s | {:.2}x |", us.as_secs_f64(), us.as_secs_f64() / them.as_secs_f64());
    println!("| tar -xzf | {:.2} s | 1.00x |", them.as_secs_f64());
    ExitCode::SUCCESS
}

/// The number of files alone: a hostile layer, or a careless one.
fn many_files(dir: &Path) {
    let files = (0..300_000).map(|n| File::new(&format!("{}/{n}", n / 1000), 0o644, "")).collect();
    let packed = Pack::new(Platform::host()).layer(files).build().expect("the names are short");
    let found = image::inspect(&packed, packed.top(), &Platform::host(), Caps::default(), &mut |_| None).expect("it is a good image");
    let cache = LayerCache::with_limit(dir.join("many"), 0);
    let began = Instant::now();
    let lease = cache.ensure(&packed, &found.layers[0], &Caps::default()).expect("it unpacks");
    let unpacked = began.elapsed();
    drop(lease);
    let removed = began.elapsed() - unpacked;
    println!("300,000 empty files: unpacked in {:.2} s, removed in {:.2} s", unpacked.as_secs_f64(), removed.as_secs_f64());
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
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
    let plain = (TRANSFERRED as f64 * 1.68) as u64;
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
