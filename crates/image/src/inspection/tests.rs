use std::{
    fmt::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::{
    evidence::{Compression, LayerProblem},
    pack::{File, Pack, Packed, broken::Fault},
    source::{Transport, open},
};

fn host() -> Platform {
    Platform::new("linux", "amd64")
}

fn sample() -> Pack {
    Pack::new(host())
        .layer(vec![
            File::new("etc/passwd", 0o644, "root:x:0:0::/:/bin/sh"),
            File::new("opt/data", 0o644, vec![7; 200_000]),
            File::new("old", 0o644, "1"),
        ])
        .layer(vec![
            File::symlink("var/manifest.json", "../opt/real.json"),
            File::new("opt/real.json", 0o644, r#"{"engineId":"x"}"#),
            File::hardlink("opt/second", "opt/real.json"),
            File::whiteout("old"),
        ])
        .entrypoint(["/app"])
        .env("SECRET_KEY", "abc")
}

fn look(packed: &Packed) -> Result<Inspection, InspectError> {
    inspect(packed, packed.top(), &host(), Caps::default(), &mut |_| None)
}

fn problem(pack: Pack) -> ImageProblem {
    match look(&pack.build().unwrap()) {
        Err(InspectError::Image(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_image_is_seen_whole() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let packed = sample().compression(compression).build().unwrap();
        let found = look(&packed).unwrap();
        let diff_ids: Vec<_> = found.layers.iter().map(|layer| layer.diff_id.clone().unwrap()).collect();
        assert_eq!(diff_ids, found.config.diff_ids);
        assert!(found.layers.iter().all(|layer| layer.problems.is_empty() && layer.compression == compression));
        assert!(found.tree.get("old").is_none());
        let read = |path: &str| found.read_file(&packed, path, 1 << 20).unwrap();
        assert_eq!(read("/var/manifest.json").bytes, br#"{"engineId":"x"}"#);
        assert_eq!((read("var/manifest.json").path.as_str(), read("var/manifest.json").layer), ("opt/real.json", 1));
        assert_eq!(read("opt/second").bytes, br#"{"engineId":"x"}"#);
        assert_eq!(read("opt/data").bytes, [7; 200_000]);
        assert_eq!(read("etc/passwd").bytes, b"root:x:0:0::/:/bin/sh");
        let text = found.docker_inspect(&[]);
        assert_eq!(text["Config"]["Env"][0], "SECRET_KEY=***");
        assert_eq!(text["Size"], found.uncompressed_size());
    }
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let packed = sample().build().unwrap();
    let found = look(&packed).unwrap();
    let error = |path: &str| found.read_file(&packed, path, 100).unwrap_err();
    assert!(matches!(error("nothing"), ReadFileError::Missing { .. }));
    assert!(matches!(error("opt"), ReadFileError::IsDir { .. }));
    assert!(matches!(error("opt/data/x"), ReadFileError::NotAFile { .. }));
    assert!(matches!(error("opt/data"), ReadFileError::TooLarge { size: 200_000, limit: 100, .. }));
}

#[test]
fn a_path_given_twice_in_a_layer_reads_as_the_member_that_counts() {
    let packed = Pack::new(host())
        .layer(vec![
            File::new("etc/passwd", 0o644, "first"),
            File::hardlink("first", "etc/passwd"),
            File::new("etc/passwd", 0o644, "second"),
        ])
        .build()
        .unwrap();
    let found = look(&packed).unwrap();
    let read = |path: &str| found.read_file(&packed, path, 100).unwrap().bytes;
    assert_eq!((read("etc/passwd"), read("first")), (b"second".to_vec(), b"first".to_vec()));
}

#[test]
fn known_layers_are_not_read_again() {
    struct Counting<'a>(&'a Packed, AtomicUsize);
    impl BlobSource for Counting<'_> {
        fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send>, Error> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.open(digest)
        }
        fn size(&self, digest: &Digest) -> Result<u64, Error> {
            self.0.size(digest)
        }
    }
    let twice = vec![File::new("same", 0o644, "x")];
    let packed = sample().layer(twice.clone()).layer(twice).build().unwrap();
    let source = Counting(&packed, AtomicUsize::new(0));
    let first = inspect(&source, packed.top(), &host(), Caps::default(), &mut |_| None).unwrap();
    // Manifest, config, and three layers that differ.
    assert_eq!((first.layers.len(), source.1.swap(0, Ordering::Relaxed)), (4, 5));
    let mut known = |digest: &Digest| first.layers.iter().find(|layer| layer.digest == *digest).cloned();
    let again = inspect(&source, packed.top(), &host(), Caps::default(), &mut known).unwrap();
    assert_eq!(source.1.load(Ordering::Relaxed), 2);
    assert_eq!(again.tree, first.tree);
}

#[test]
fn a_blob_that_is_not_what_the_manifest_says_is_the_images_fault() {
    assert!(matches!(problem(sample().broken(Fault::MissingLayer(1))), ImageProblem::BlobMissing { .. }));
    assert!(matches!(problem(sample().broken(Fault::ChangedLayer(0))), ImageProblem::Digest { .. }));
    let ImageProblem::Size { size, actual, .. } = problem(sample().broken(Fault::LayerSize(0))) else { panic!() };
    assert_eq!(size, actual + 1);
    assert!(matches!(problem(sample().broken(Fault::Config(b"nonsense".to_vec()))), ImageProblem::Config { .. }));
    let absent = Digest::of(b"absent");
    let error = inspect(&sample().build().unwrap(), &absent, &host(), Caps::default(), &mut |_| None).unwrap_err();
    assert!(matches!(error, InspectError::Image(ImageProblem::BlobMissing { digest }) if digest == absent));
}

#[test]
fn what_the_config_gets_wrong_is_left_to_whoever_judges() {
    let found = look(&sample().broken(Fault::DiffId(1)).broken(Fault::ExtraDiffId).build().unwrap()).unwrap();
    assert_eq!((found.config.diff_ids.len(), found.layers.len()), (3, 2));
    assert_eq!(Some(&found.config.diff_ids[0]), found.layers[0].diff_id.as_ref());
    assert_ne!(Some(&found.config.diff_ids[1]), found.layers[1].diff_id.as_ref());
}

#[test]
fn a_broken_layer_does_not_hide_the_others() {
    let pack = sample().with_raw_layer("this is no archive", "application/vnd.oci.image.layer.v1.tar");
    let found = look(&pack.build().unwrap()).unwrap();
    assert_eq!(found.layers[2].problems, [LayerProblem::NotATar]);
    assert!(found.tree.get("etc/passwd").is_some());
}

#[test]
fn what_lies_below_an_emptied_root_is_not_mounted() {
    let pack = sample().layer(vec![File::new(".wh..wh..opq", 0o644, ""), File::new("only", 0o644, "x")]);
    let found = look(&pack.build().unwrap()).unwrap();
    assert_eq!((found.tree.len(), found.visible_layers().len()), (1, 1));
    assert_eq!(look(&sample().build().unwrap()).unwrap().visible_layers().len(), 2);
}

#[test]
fn an_index_keeps_both_digests() {
    let plain = sample().build().unwrap();
    let index = plain.clone().attested();
    let found = look(&index).unwrap();
    assert_eq!((&found.image.manifest_digest, &found.image.top_digest), (plain.top(), index.top()));
}

#[test]
fn layouts_on_disk_read_like_memory() {
    let dir = tempfile::tempdir().unwrap();
    let packed = sample().tag("v1").build().unwrap();
    let expected = look(&packed).unwrap();
    packed.write_oci_dir(&dir.path().join("layout")).unwrap();
    packed.write_oci_archive(&dir.path().join("image.tar")).unwrap();
    for name in ["oci:layout", "oci:layout:v1", "oci-archive:image.tar", "oci-archive:image.tar:v1"] {
        let (transport, rest) = name.split_once(':').unwrap();
        let mut text = String::new();
        write!(text, "{transport}:{}/{rest}", dir.path().display()).unwrap();
        let opened = open(&text.parse::<Transport>().unwrap()).unwrap();
        assert_eq!((&opened.top, opened.reference.as_str()), (packed.top(), "v1"), "{name}");
        let found = inspect(&*opened.source, &opened.top, &host(), Caps::default(), &mut |_| None).unwrap();
        assert_eq!((&found.image, &found.tree, &found.layers), (&expected.image, &expected.tree, &expected.layers));
        assert_eq!(found.read_file(&*opened.source, "opt/data", 1 << 20).unwrap().bytes, [7; 200_000]);
    }
}
