//! One pass over a layer against its parts: `cargo bench -p image`.
//!
//! The layer has 2,000 files of 32 KiB, text and something like machine code, and gzip makes about half of it. `of_transferred` counts the
//! bytes that come over the wire, `of_plain` the bytes after decompression, for the same work.

use std::{
    io::{self, Write},
    sync::{Arc, LazyLock},
};

use divan::{Bencher, black_box, counter::BytesCount};
use image::{
    Caps, Compression, LayerCache, LayerEvidence, LayerReader, Platform, Tree,
    pack::{File, Pack, Packed},
};
use model::digest::{Algorithm, Digest, Hasher};

const FILES: usize = 2_000;
const FILE: usize = 32 << 10;

fn main() {
    divan::main();
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// Small numbers far more often than large ones.
    fn skewed(&mut self, end: u64) -> u64 {
        (self.next() % end) * (self.next() % end) / end
    }
}

fn file(number: usize, words: &[Vec<u8>], numbers: &mut Numbers) -> File {
    let mut bytes = Vec::with_capacity(FILE + 16);
    while bytes.len() < FILE {
        if number.is_multiple_of(2) {
            bytes.extend_from_slice(&words[numbers.skewed(words.len() as u64) as usize]);
            bytes.push(b' ');
        } else {
            bytes.extend([0x48, 0x8b, numbers.skewed(256) as u8, numbers.skewed(64) as u8]);
        }
    }
    File::new(&format!("usr/lib/package{}/module{number}.py", number / 40), 0o644, bytes)
}

struct Sample {
    packed: Packed,
    digest: Digest,
    evidence: LayerEvidence,
}

impl Sample {
    fn new(compression: Compression) -> Self {
        let mut numbers = Numbers(1);
        let words: Vec<Vec<u8>> =
            (0..4_000).map(|_| (0..3 + numbers.next() % 9).map(|_| b'a' + numbers.skewed(26) as u8).collect()).collect();
        let files = (0..FILES).map(|number| file(number, &words, &mut numbers)).collect();
        let packed = Pack::new(Platform::host()).compression(compression).layer(files).build().expect("the names are short");
        let (digest, _) = packed.blobs().max_by_key(|(_, bytes)| bytes.len()).expect("there is a layer");
        let digest = digest.clone();
        let evidence = pass(packed.blob(&digest).unwrap_or_default());
        Self { packed, digest, evidence }
    }

    fn bytes(&self) -> &[u8] {
        self.packed.blob(&self.digest).unwrap_or_default()
    }
}

static PLAIN: LazyLock<Sample> = LazyLock::new(|| Sample::new(Compression::None));
static GZIP: LazyLock<Sample> = LazyLock::new(|| Sample::new(Compression::Gzip));
static ZSTD: LazyLock<Sample> = LazyLock::new(|| Sample::new(Compression::Zstd));

/// As a registry does it: in pieces, as they come from a socket.
fn pass(bytes: &[u8]) -> LayerEvidence {
    let mut reader = LayerReader::new(Caps::default());
    bytes.chunks(16 << 10).for_each(|piece| reader.write(piece));
    reader.finish()
}

fn hash(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    bytes.chunks(16 << 10).for_each(|piece| hasher.update(piece));
    hasher.finish()
}

fn gunzip(bytes: &[u8]) {
    let mut decoder = flate2::write::GzDecoder::new(io::sink());
    bytes.chunks(16 << 10).for_each(|piece| decoder.write_all(piece).expect("it was made by us"));
    decoder.finish().expect("it is complete");
}

#[divan::bench_group(sample_count = 10, sample_size = 1)]
mod of_transferred {
    use super::*;

    #[divan::bench]
    fn sha256_alone(bencher: Bencher) {
        bencher.counter(BytesCount::of_slice(GZIP.bytes())).bench(|| hash(black_box(GZIP.bytes())));
    }

    #[divan::bench]
    fn gunzip_alone(bencher: Bencher) {
        bencher.counter(BytesCount::of_slice(GZIP.bytes())).bench(|| gunzip(black_box(GZIP.bytes())));
    }

    #[divan::bench]
    fn full_pass_gzip(bencher: Bencher) {
        bencher.counter(BytesCount::of_slice(GZIP.bytes())).bench(|| pass(black_box(GZIP.bytes())));
    }

    #[divan::bench]
    fn full_pass_zstd(bencher: Bencher) {
        bencher.counter(BytesCount::of_slice(ZSTD.bytes())).bench(|| pass(black_box(ZSTD.bytes())));
    }
}

#[divan::bench_group(sample_count = 10, sample_size = 1)]
mod of_plain {
    use super::*;

    #[divan::bench]
    fn sha256_alone(bencher: Bencher) {
        bencher.counter(BytesCount::of_slice(PLAIN.bytes())).bench(|| hash(black_box(PLAIN.bytes())));
    }

    #[divan::bench]
    fn gunzip_alone(bencher: Bencher) {
        bencher.counter(BytesCount::new(GZIP.evidence.uncompressed_size)).bench(|| gunzip(black_box(GZIP.bytes())));
    }

    #[divan::bench]
    fn full_pass_plain(bencher: Bencher) {
        bencher.counter(BytesCount::of_slice(PLAIN.bytes())).bench(|| pass(black_box(PLAIN.bytes())));
    }

    #[divan::bench]
    fn full_pass_gzip(bencher: Bencher) {
        bencher.counter(BytesCount::new(GZIP.evidence.uncompressed_size)).bench(|| pass(black_box(GZIP.bytes())));
    }

    #[divan::bench]
    fn full_pass_zstd(bencher: Bencher) {
        bencher.counter(BytesCount::new(ZSTD.evidence.uncompressed_size)).bench(|| pass(black_box(ZSTD.bytes())));
    }

    #[divan::bench]
    fn unpack_gzip(bencher: Bencher) {
        bencher
            .counter(BytesCount::new(GZIP.evidence.uncompressed_size))
            .with_inputs(|| tempfile::tempdir().expect("a temporary folder"))
            .bench_values(|dir| {
                drop(LayerCache::new(dir.path()).ensure(&GZIP.packed, &GZIP.evidence, &Caps::default()).expect("it unpacks"));
                dir
            });
    }
}

#[divan::bench]
fn merge_three_times(bencher: Bencher) {
    let layer = Arc::new(GZIP.evidence.clone());
    let layers = vec![layer; 3];
    bencher.bench(|| Tree::merge(black_box(&layers)));
}

#[divan::bench]
fn store_evidence(bencher: Bencher) {
    bencher.bench(|| black_box(&GZIP.evidence).to_bytes());
}
