use std::io::Write;

use model::digest::Digest;
use proptest::prelude::*;

use super::*;
use crate::pack::{File, Pack};

fn tar_of(files: Vec<File>) -> Vec<u8> {
    let packed = Pack::new(crate::Platform::host()).compression(Compression::None).layer(files).build().unwrap();
    packed.blobs().map(|(_, bytes)| bytes.to_vec()).max_by_key(Vec::len).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn evidence_with(bytes: &[u8], piece: usize, caps: &Caps) -> LayerEvidence {
    let mut reader = LayerReader::new(caps.clone());
    let mut told = LayerReader::unhashed(caps.clone());
    for chunk in bytes.chunks(piece) {
        reader.write(chunk);
        told.write(chunk);
    }
    assert_eq!(reader.bytes_seen(), bytes.len() as u64);
    let found = reader.finish();
    assert_eq!(told.finish_as(Digest::of(bytes)), found, "whoever hashes");
    found
}

fn evidence(bytes: &[u8]) -> LayerEvidence {
    evidence_with(bytes, usize::MAX, &Caps::default())
}

fn sample() -> Vec<u8> {
    tar_of(vec![
        File::new("var/manifest.json", 0o644, r#"{"engineId":"x"}"#),
        File::new("app/main", 0o4755, vec![7; 100_000]).owned_by(1000, 100),
        File::symlink("app/link", "main"),
        File::hardlink("app/same", "app/main"),
        File::whiteout("etc/shadow"),
        File::new("opt/.wh..wh..opq", 0o644, ""),
    ])
}

#[test]
fn one_pass_says_everything_in_every_compression() {
    let plain = sample();
    let zstd = zstd::encode_all(&plain[..], 1).unwrap();
    for (bytes, compression) in [(plain.clone(), Compression::None), (gzip(&plain), Compression::Gzip), (zstd, Compression::Zstd)] {
        let found = evidence(&bytes);
        assert_eq!((found.compression, found.size, found.uncompressed_size), (compression, bytes.len() as u64, plain.len() as u64));
        assert_eq!((found.digest, found.diff_id), (Digest::of(&bytes), Some(Digest::of(&plain))));
        assert_eq!(found.problems, []);
        assert_eq!(found.files["var/manifest.json"], KeptFile { bytes: br#"{"engineId":"x"}"#.to_vec(), truncated: false });
        let listed: Vec<(&str, &EntryKind)> = found.entries.iter().map(|entry| (entry.path.as_str(), &entry.kind)).collect();
        assert_eq!(
            listed,
            [
                ("var", &EntryKind::Dir),
                ("var/manifest.json", &EntryKind::File),
                ("app", &EntryKind::Dir),
                ("app/main", &EntryKind::File),
                ("app/link", &EntryKind::Symlink("main".into())),
                ("app/same", &EntryKind::Hardlink("app/main".into())),
                ("etc", &EntryKind::Dir),
                ("etc/shadow", &EntryKind::Whiteout),
                ("opt", &EntryKind::Dir),
                ("opt", &EntryKind::OpaqueDir),
            ]
        );
        let main = &found.entries[3];
        assert_eq!((main.mode, main.uid, main.gid, main.size), (0o4755, 1000, 100, 100_000));
    }
}

#[test]
fn a_layer_named_by_sha512_has_a_sha256_diff_id() {
    let plain = sample();
    let mut reader = LayerReader::with_algorithm(Caps::default(), Algorithm::Sha512);
    reader.write(&plain);
    let found = reader.finish();
    assert!(found.digest.matches(&plain));
    assert_eq!((found.digest.algorithm(), found.diff_id), (Algorithm::Sha512, Some(Digest::of(&plain))));
}

#[test]
fn a_config_blob_is_cheap_and_no_archive() {
    let found = evidence(br#"{"architecture":"amd64","os":"linux"}"#);
    assert_eq!((found.problems, found.diff_id, found.entries.len()), (vec![LayerProblem::NotATar], None, 0));
    let compressed = evidence(&gzip(b"{}"));
    assert_eq!((compressed.problems, compressed.diff_id), (vec![LayerProblem::NotATar], Some(Digest::of(b"{}"))));
}

#[test]
fn empty_layers_are_fine() {
    for bytes in [vec![], vec![0; 1024], gzip(&[0; 1024]), gzip(b"")] {
        let found = evidence(&bytes);
        assert_eq!((found.problems, found.entries), (vec![], vec![]));
        assert_eq!(found.digest, Digest::of(&bytes));
        assert!(found.diff_id.is_some());
    }
}

#[test]
fn hashing_goes_on_after_a_damaged_header() {
    let mut plain = sample();
    plain[512] ^= 1;
    let bytes = gzip(&plain);
    let found = evidence(&bytes);
    assert_eq!(found.problems, [LayerProblem::BadChecksum { offset: 512 }]);
    assert_eq!((found.digest, found.diff_id), (Digest::of(&bytes), Some(Digest::of(&plain))));
}

#[test]
fn a_cut_stream_keeps_what_came_before() {
    let whole = gzip(&sample());
    let bytes = &whole[..whole.len() - 4];
    let found = evidence(bytes);
    assert_eq!(found.problems, [LayerProblem::TruncatedStream { compression: Compression::Gzip, offset: bytes.len() as u64 }]);
    assert_eq!((found.digest, found.diff_id), (Digest::of(bytes), None));
    assert_eq!(found.files.len(), 1);
}

#[test]
fn a_cut_archive_in_a_whole_stream() {
    let plain = sample();
    let found = evidence(&gzip(&plain[..3000]));
    assert_eq!(found.problems, [LayerProblem::Truncated { offset: 3000 }]);
    assert_eq!(found.diff_id, Some(Digest::of(&plain[..3000])));
}

#[test]
fn bytes_behind_the_stream_are_named_and_ignored() {
    let bytes = [gzip(&sample()), vec![0; 10]].concat();
    let found = evidence(&bytes);
    assert_eq!(found.problems, [LayerProblem::TrailingGarbage { compression: Compression::Gzip, bytes: 10 }]);
    assert_eq!(found.diff_id, Some(Digest::of(&sample())));
    assert_eq!(found.broken(), None);
}

#[test]
fn caps_stop_inflating_and_not_hashing() {
    let bytes = gzip(&sample());
    let found = evidence_with(&bytes, 1000, &Caps { uncompressed: 5000, ..Caps::default() });
    assert_eq!(found.problems, [LayerProblem::TooLarge { limit: 5000 }]);
    assert_eq!((found.digest, found.diff_id, found.uncompressed_size), (Digest::of(&bytes), None, 5000));
    let bomb = gzip(&tar_of(vec![File::new("zeros", 0o644, vec![0; 1 << 20])]));
    let found = evidence_with(&bomb, 1000, &Caps { ratio: 50, ratio_after: 1000, ..Caps::default() });
    assert_eq!((found.problems, found.digest), (vec![LayerProblem::Ratio { limit: 50 }], Digest::of(&bomb)));
}

#[test]
fn kept_files_are_cut_at_their_cap_and_the_last_one_counts() {
    let large = vec![b'x'; (1 << 20) + 1];
    let found = evidence(&tar_of(vec![File::new("var/manifest.json", 0o644, large)]));
    let kept = &found.files["var/manifest.json"];
    assert_eq!((kept.bytes.len(), kept.truncated), (1 << 20, true));
    let twice = vec![File::new("var/manifest.json", 0o644, "1"), File::new("./var//manifest.json", 0o644, "2")];
    assert_eq!(evidence(&tar_of(twice)).files["var/manifest.json"].bytes, b"2");
    let replaced = vec![File::new("var/manifest.json", 0o644, "1"), File::symlink("var/manifest.json", "x")];
    assert!(evidence(&tar_of(replaced)).files.is_empty());
}

fn member(kind: tar::EntryType, path: &str, link: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_size(0);
    header.set_mode(0o644);
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn hostile_members_are_named_and_ignored() {
    use tar::EntryType as T;
    let bytes = [
        member(T::Regular, "../../etc/passwd", ""),
        member(T::Link, "shadow", "../../etc/shadow"),
        member(T::Char, "dev/null", ""),
        member(T::new(b'Q'), "odd", ""),
        member(T::Regular, "/absolute", ""),
    ]
    .concat();
    let found = evidence(&bytes);
    assert_eq!(
        found.problems,
        [
            LayerProblem::PathEscapes { path: "../../etc/passwd".into() },
            LayerProblem::PathEscapes { path: "../../etc/shadow".into() },
            LayerProblem::UnknownType { path: "odd".into(), flag: 'Q' },
        ]
    );
    let paths: Vec<&str> = found.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["dev/null", "absolute"]);
    assert_eq!(found.broken(), None);
}

#[test]
fn members_behind_links_and_links_to_nothing_are_named_once() {
    use tar::EntryType as T;
    let bytes = [
        member(T::Symlink, "lib", "usr/lib"),
        member(T::Regular, "lib/one", ""),
        member(T::Regular, "lib/two", ""),
        member(T::Symlink, "gone", "x"),
        member(T::Directory, "gone", ""),
        member(T::Regular, "gone/file", ""),
        member(T::Link, "early", "late"),
        member(T::Regular, "late", ""),
        member(T::Link, "again", "late"),
    ]
    .concat();
    assert_eq!(
        evidence(&bytes).problems,
        [
            LayerProblem::BehindSymlink { path: "lib/one".into(), link: "lib".into() },
            LayerProblem::LinkTargetMissing { path: "early".into(), target: "late".into() },
        ]
    );
}

#[test]
fn problems_are_counted_beyond_their_cap() {
    let bytes: Vec<u8> = (0..20).flat_map(|_| member(tar::EntryType::Regular, "..", "")).collect();
    let found = evidence_with(&bytes[..bytes.len() - 1], usize::MAX, &Caps { problems: 3, ..Caps::default() });
    assert_eq!(found.problems.len(), 5);
    assert_eq!(found.problems[3..], [LayerProblem::More { count: 16 }, LayerProblem::Truncated { offset: 10239 }]);
}

#[test]
fn a_reader_may_go_to_another_thread() {
    let bytes = sample();
    let mut reader = LayerReader::new(Caps::default());
    reader.write(&bytes);
    let found = std::thread::spawn(move || reader.finish()).join().unwrap();
    assert_eq!(found, evidence(&bytes));
}

fn any_file() -> impl Strategy<Value = File> {
    let path = "[ab]{1,2}(/[ab]{1,2}){0,2}";
    prop_oneof![
        3 => (path, proptest::collection::vec(any::<u8>(), 0..2000)).prop_map(|(path, bytes)| File::new(&path, 0o644, bytes)),
        1 => path.prop_map(|path| File::dir(&path, 0o700)),
        1 => (path, path).prop_map(|(path, target)| File::symlink(&path, &target)),
        1 => (path, path).prop_map(|(path, target)| File::hardlink(&path, &target)),
        1 => path.prop_map(|path| File::whiteout(&path)),
        1 => Just(File::new("var/manifest.json", 0o644, "{}")),
    ]
}

proptest! {
    #[test]
    fn evidence_does_not_depend_on_the_pieces(
        files in proptest::collection::vec(any_file(), 0..6),
        compression in 0usize..3,
        cut in any::<prop::sample::Index>(),
        whole: bool,
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
        piece in 1usize..3000,
    ) {
        let plain = tar_of(files);
        let mut bytes = match compression {
            0 => plain,
            1 => gzip(&plain),
            _ => zstd::encode_all(&plain[..], 1).unwrap(),
        };
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Some((at, byte)) = damage.filter(|_| !bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let found = evidence_with(&bytes, piece, &Caps::default());
        prop_assert_eq!(&found, &evidence(&bytes));
        prop_assert_eq!(&found.digest, &Digest::of(&bytes));
        prop_assert_eq!(&LayerEvidence::from_bytes(&found.to_bytes().unwrap()).unwrap(), &found);
        prop_assert!(found.diff_id.is_some() || found.broken().is_some());
    }
}
