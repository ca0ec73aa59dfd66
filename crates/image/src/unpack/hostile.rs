//! What a layer may try against the machine that unpacks it.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use flate2::{Compression as Level, write::GzEncoder};

use super::*;
use crate::LayerReader;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A folder that costs no disk: these tests make more files than all others together.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").expect("this test needs /dev/shm")
}

/// A member of a file of this size, without its content.
fn file_of(path: &str, size: u64) -> Vec<u8> {
    member(tar::EntryType::Regular, path, |header| header.set_size(size))
}

/// What is read of a layer, and unpacked from it although it was judged by nobody.
fn unjudged(bytes: Vec<u8>, caps: &Caps) -> (LayerEvidence, tempfile::TempDir, Result<PathBuf, Error>) {
    let mut reader = LayerReader::new(caps.clone());
    bytes.chunks(64 << 10).for_each(|chunk| reader.write(chunk));
    let found = reader.finish();
    let (dir, source) = (tempfile::tempdir().unwrap(), Blob(bytes));
    let believed = LayerEvidence { problems: Vec::new(), diff_id: Some(Digest::of(b"believed")), ..found.clone() };
    let path = LayerCache::new(dir.path()).ensure(&source, &believed, caps).map(path_of);
    (found, dir, path)
}

struct Blob(Vec<u8>);

impl BlobSource for Blob {
    fn open(&self, _: &Digest) -> Result<Box<dyn Read + Send>, Error> {
        Ok(Box::new(std::io::Cursor::new(self.0.clone())))
    }

    fn size(&self, _: &Digest) -> Result<u64, Error> {
        Ok(self.0.len() as u64)
    }
}

#[test]
fn a_bomb_stops_long_before_it_is_large() {
    // Ten gigabytes of zeros in ten megabytes: as many gzip members, because making them as one would take its time.
    let zeros = gzip(&vec![0; 64 << 20]);
    let mut bomb = gzip(&file_of("zeros", 10 << 30));
    (0..160).for_each(|_| bomb.extend_from_slice(&zeros));
    assert!(bomb.len() < 12 << 20, "{} bytes", bomb.len());
    let (found, dir, path) = unjudged(bomb, &Caps::default());
    assert_eq!(found.problems, [LayerProblem::Ratio { limit: 1000 }]);
    assert!(found.uncompressed_size < 200 << 20, "{}", found.uncompressed_size);
    let error = path.unwrap_err();
    assert!(matches!(error, Error::BrokenLayer { problem: LayerProblem::Ratio { .. }, .. }), "{error}");
    assert!(
        error
            .to_string()
            .ends_with("the layer inflates to more than 1000 times its size, as a decompression bomb would; unpacking stopped")
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn every_cap_ends_unpacking_too_and_leaves_nothing() {
    let many = |n: usize| (0..n).flat_map(|n| file_of(&format!("f{n}"), 0)).collect::<Vec<u8>>();
    let caps = Caps { entries: 50, names: 10_000, pax: 1000, uncompressed: 1 << 20, ..Caps::default() };
    let pax = |size: u64| [member(tar::EntryType::XHeader, "x", |header| header.set_size(size)), vec![b'a'; 4096]].concat();
    let long = (0..40).flat_map(|n| file_of(&format!("{n}{}", "x".repeat(90)), 0)).collect::<Vec<u8>>();
    for (bytes, words) in [
        (many(51), "the layer has more than 50 files; put fewer into one layer"),
        (long, "the path names of the layer exceed 1000 bytes together; put fewer files into one layer"),
        (pax(2000), "the extended header at byte 0 has 2000 bytes, more than the limit of 1000"),
        ([file_of("big", 2 << 20), vec![1; 2 << 20]].concat(), "the layer is larger than 1048576 bytes when unpacked; make it smaller"),
    ] {
        let caps = if words.contains("path names") { Caps { names: 1000, ..caps.clone() } } else { caps.clone() };
        let (found, dir, path) = unjudged(bytes, &caps);
        assert_eq!(found.problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [words]);
        assert!(path.unwrap_err().to_string().ends_with(words));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn paths_that_lead_out_or_down_too_far_are_left_out_and_told() {
    let deep = format!("{}bottom", "d/".repeat(40));
    let link = |header: &mut tar::Header| header.as_old_mut().linkname[..16].copy_from_slice(b"../../etc/passwd");
    let bytes = [
        file_of("../../escape", 0),
        file_of("/absolute", 0),
        file_of(&deep, 0),
        member(tar::EntryType::Link, "out", link),
        file_of("a/.wh...", 0),
    ]
    .concat();
    let caps = Caps { depth: 40, ..Caps::default() };
    let packed = Pack::new(Platform::host()).with_raw_layer(bytes, "application/vnd.oci.image.layer.v1.tar").build().unwrap();
    let found = inspect(&packed, packed.top(), &Platform::host(), caps.clone(), &mut |_| None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = LayerCache::new(dir.path()).ensure(&packed, &found.layers[0], &caps).map(path_of).unwrap();
    let names: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, ["absolute"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    let told: Vec<String> = found.layers[0].problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told[0], "\"../../escape\" leads out of the image and is ignored; use paths without \"..\"");
    assert!(told[1].starts_with("a path beginning with \"d/d/") && told[1].contains("use shorter names"), "{}", told[1]);
    assert!(told[2].starts_with("\"../../etc/passwd\" leads out of the image"), "{}", told[2]);
}

/// Exchanges a directory of the layer for a link to the outside, and back, whenever more of the layer is read.
struct Attacker {
    bytes: std::io::Cursor<Vec<u8>>,
    inside: PathBuf,
    outside: PathBuf,
    swaps: Arc<Mutex<usize>>,
}

impl Read for Attacker {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let aside = self.inside.with_extension("aside");
        if fs::symlink_metadata(&self.inside).is_ok_and(|metadata| metadata.is_dir()) && fs::rename(&self.inside, &aside).is_ok() {
            std::os::unix::fs::symlink(&self.outside, &self.inside)?;
            *self.swaps.lock().unwrap() += 1;
        } else if fs::remove_file(&self.inside).is_ok() {
            let _ = fs::rename(&aside, &self.inside);
        }
        let length = buffer.len().min(4096);
        self.bytes.read(&mut buffer[..length])
    }
}

struct Attacked(Mutex<Option<Attacker>>);

impl BlobSource for Attacked {
    fn open(&self, _: &Digest) -> Result<Box<dyn Read + Send>, Error> {
        Ok(Box::new(self.0.lock().unwrap().take().unwrap()))
    }

    fn size(&self, _: &Digest) -> Result<u64, Error> {
        Ok(0)
    }
}

#[test]
fn a_directory_exchanged_for_a_link_while_it_is_filled_leads_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("f0"), "precious").unwrap();
    fs::create_dir(outside.path().join("sub")).unwrap();
    let modes = || ["", "f0", "sub"].map(|name| fs::metadata(outside.path().join(name)).unwrap().mode());
    let before = modes();
    let files = (0..1000).map(|n| match n % 4 {
        0 => File::new(&format!("d/f{n}"), 0o777, vec![b'x'; 10_000]),
        1 => File::new(&format!("d/sub/f{n}"), 0o777, "x"),
        2 => File::hardlink(&format!("d/h{n}"), &format!("d/f{}", n - 2)),
        _ => File::whiteout(&format!("d/w{n}")),
    });
    // Not compressed: what is read is not far ahead of what is written.
    let pack = Pack::new(Platform::host()).compression(crate::Compression::None);
    let packed = pack.layer(std::iter::once(File::dir("d", 0o777)).chain(files).collect()).build().unwrap();
    let found = inspect(&packed, packed.top(), &Platform::host(), Caps::default(), &mut |_| None).unwrap();
    let layer = (*found.layers[0]).clone();
    let bytes = packed.blob(&layer.digest).unwrap().to_vec();
    let swaps = Arc::new(Mutex::new(0));
    let mut outcomes = [0, 0];
    for _ in 0..3 {
        let dir = in_memory();
        let inside = dir.path().join(format!(".unpacking-{}", layer.diff_id.as_ref().unwrap().hex())).join("d");
        let attacker =
            Attacker { bytes: std::io::Cursor::new(bytes.clone()), inside, outside: outside.path().to_owned(), swaps: swaps.clone() };
        let outcome = LayerCache::new(dir.path()).ensure(&Attacked(Mutex::new(Some(attacker))), &layer, &Caps::default());
        outcomes[usize::from(outcome.is_ok())] += 1;
    }
    assert!(*swaps.lock().unwrap() > 5, "nobody attacked: {outcomes:?}");
    assert_eq!(fs::read(outside.path().join("f0")).unwrap(), b"precious");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 2, "{outcomes:?}");
    assert_eq!(fs::read_dir(outside.path().join("sub")).unwrap().count(), 0);
    assert_eq!(modes(), before, "a mode outside was changed");
}

#[test]
fn thirty_thousand_files_are_unpacked_and_removed() {
    // Ten times as many are in the benchmark, where they take their time once.
    let mut bytes = Vec::with_capacity(30_000 * 512);
    for n in 0..30_000 {
        bytes.extend(file_of(&format!("{}/{n}", n / 1000), 0));
    }
    let mut reader = LayerReader::new(Caps::default());
    reader.write(&bytes);
    let found = reader.finish();
    assert_eq!((found.problems.len(), found.entries.len()), (0, 30_000));
    let dir = in_memory();
    let cache = LayerCache::with_limit(dir.path(), 0);
    let lease = cache.ensure(&Blob(bytes), &found, &Caps::default()).unwrap();
    let count = |path: &Path| fs::read_dir(path).unwrap().count();
    assert_eq!((count(lease.path()), count(&lease.path().join("29"))), (30, 1000));
    drop(lease);
    assert_eq!(count(dir.path()), 0);
}
