use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::PathBuf,
};

use model::digest::Digest;
use proptest::prelude::*;

use super::*;
use crate::{
    Entry, EntryKind, Inspection, LayerCache, Lease, Platform, Tree,
    inspection::inspect,
    pack::{File, Pack, Packed},
};

fn packed(layers: Vec<Vec<File>>) -> (Packed, Inspection) {
    let packed = layers.into_iter().fold(Pack::new(Platform::host()), Pack::layer).build().unwrap();
    let found = inspect(&packed, packed.top(), &Platform::host(), Caps::default(), &mut |_| None).unwrap();
    (packed, found)
}

fn raw(bytes: Vec<u8>) -> (Packed, Inspection) {
    let packed = Pack::new(Platform::host()).with_raw_layer(bytes, "application/vnd.oci.image.layer.v1.tar").build().unwrap();
    let found = inspect(&packed, packed.top(), &Platform::host(), Caps::default(), &mut |_| None).unwrap();
    (packed, found)
}

/// One layer, unpacked.
fn unpacked(files: Vec<File>) -> (tempfile::TempDir, Result<PathBuf, Error>) {
    let (packed, found) = packed(vec![files]);
    let dir = tempfile::tempdir().unwrap();
    let path = LayerCache::new(dir.path()).ensure(&packed, &found.layers[0], &Caps::default());
    (dir, path.map(path_of))
}

fn path_of(lease: Lease) -> PathBuf {
    lease.path().to_owned()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn is_opaque(path: &Path) -> bool {
    let name = if is_root() { "trusted.overlay.opaque" } else { "user.overlay.opaque" };
    let mut value = [0; 8];
    rustix::fs::lgetxattr(path, name, &mut value) == Ok(1)
}

fn is_whiteout(path: &Path) -> bool {
    let metadata = fs::symlink_metadata(path).unwrap();
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

#[test]
fn files_arrive_with_mode_owner_and_time_and_without_setuid() {
    let (_dir, path) = unpacked(vec![
        File::dir("bin", 0o2750),
        File::new("bin/su", 0o6755, "program").owned_by(0, 42),
        File::dir("tmp", 0o1777),
        File::dir("locked", 0o000),
        File::new("locked/in", 0o400, "x").owned_by(1000, 1000),
        File::symlink("link", "/etc/passwd"),
        File::hardlink("bin/same", "bin/su"),
    ]);
    let path = path.unwrap();
    let mode = |name: &str| fs::symlink_metadata(path.join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("bin"), mode("bin/su"), mode("tmp")), (0o750, 0o755, 0o1777));
    let su = fs::metadata(path.join("bin/su")).unwrap();
    assert_eq!((su.nlink(), su.len(), su.mtime()), (2, 7, 0));
    assert_eq!(fs::metadata(path.join("bin")).unwrap().mtime(), 0);
    assert_eq!(fs::read_link(path.join("link")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(mode("locked"), 0);
    if is_root() {
        assert_eq!((su.gid(), fs::metadata(path.join("locked/in")).unwrap().uid()), (42, 1000));
    } else {
        fs::set_permissions(path.join("locked"), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn whiteouts_become_what_an_overlay_understands() {
    let (_dir, path) = unpacked(vec![
        File::whiteout("gone"),
        File::new("emptied/.wh..wh..opq", 0o644, ""),
        File::new("emptied/new", 0o644, ""),
        File::whiteout("again"),
        File::new("again/file", 0o644, ""),
        File::new("before/file", 0o644, ""),
        File::whiteout("before"),
        File::new("stays", 0o644, "x"),
        File::whiteout("stays"),
        File::whiteout("back"),
        File::new("back", 0o644, "x"),
        File::dir("plain", 0o755),
    ]);
    let path = path.unwrap();
    assert!(is_whiteout(&path.join("gone")));
    for opaque in ["emptied", "again", "before"] {
        assert!(is_opaque(&path.join(opaque)), "{opaque}");
    }
    assert!(!is_opaque(&path.join("plain")));
    assert_eq!((fs::read(path.join("stays")).unwrap(), fs::read(path.join("back")).unwrap()), (b"x".to_vec(), b"x".to_vec()));
    assert!(path.join("before/file").is_file());
}

#[test]
fn the_last_member_of_a_path_counts() {
    let (_dir, path) = unpacked(vec![
        File::new("a/b/c", 0o644, "x"),
        File::new("a", 0o644, "file now"),
        File::new("f", 0o644, "1"),
        File::new("f", 0o600, "2"),
        File::symlink("s", "a"),
        File::new("s/inside", 0o644, "x"),
        File::dir("d", 0o700),
        File::dir("d", 0o711),
    ]);
    let path = path.unwrap();
    assert_eq!(fs::read(path.join("a")).unwrap(), b"file now");
    assert_eq!(fs::read(path.join("f")).unwrap(), b"2");
    assert!(fs::symlink_metadata(path.join("s")).unwrap().is_dir() && is_opaque(&path.join("s")));
    assert_eq!(fs::metadata(path.join("d")).unwrap().mode() & 0o777, 0o711);
}

#[test]
fn nothing_is_written_through_a_link() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    let (dir, path) = unpacked(vec![
        File::symlink("out", target),
        File::new("out/planted", 0o644, "x"),
        File::symlink("up", "../.."),
        File::new("up/planted", 0o644, "x"),
        File::symlink("file", &format!("{target}/planted")),
        File::new("file", 0o644, "x"),
        File::symlink("deep", target),
        File::new("deep/a/b/c", 0o644, "x"),
        File::symlink("w", target),
        File::whiteout("w/x"),
    ]);
    let path = path.unwrap();
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "the layer and its lock");
    assert_eq!(fs::read(path.join("out/planted")).unwrap(), b"x");
    assert!(fs::symlink_metadata(path.join("file")).unwrap().is_file());
}

#[test]
fn hard_links_stay_in_their_layer() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    let name = outside.path().to_str().unwrap();
    let attempts = [
        vec![File::hardlink("x", name)],
        vec![File::symlink("d", "/etc"), File::hardlink("x", "d/passwd")],
        vec![File::dir("d", 0o755), File::hardlink("x", "d")],
        vec![File::whiteout("w"), File::hardlink("x", "w")],
        vec![File::hardlink("x", "below")],
    ];
    for files in attempts {
        let (dir, path) = unpacked(files);
        assert!(matches!(path, Err(Error::LinkTarget { ref path, .. }) if path == "x"), "{path:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
    // A link to a symbolic link is the link itself, not what it points to.
    let (_dir, path) = unpacked(vec![File::symlink("s", name), File::hardlink("x", "s")]);
    assert!(fs::symlink_metadata(path.unwrap().join("x")).unwrap().is_symlink());
    assert_eq!(fs::metadata(outside.path()).unwrap().nlink(), 1);
}

fn member(kind: tar::EntryType, path: &str, change: impl FnOnce(&mut tar::Header)) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_size(0);
    header.set_mode(0o644);
    header.set_uid(u64::from(u32::MAX));
    header.set_gid(0);
    header.set_mtime(5);
    change(&mut header);
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn devices_are_not_made_and_hide_what_is_below() {
    let device = |header: &mut tar::Header| {
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
    };
    let bytes = [
        member(tar::EntryType::Char, "null", device),
        member(tar::EntryType::Block, "disk", device),
        member(tar::EntryType::Fifo, "pipe", |_| ()),
        member(tar::EntryType::Regular, "../escape", |_| ()),
    ]
    .concat();
    let (packed, found) = raw(bytes);
    let dir = tempfile::tempdir().unwrap();
    let path = LayerCache::new(dir.path().join("layers")).ensure(&packed, &found.layers[0], &Caps::default()).map(path_of).unwrap();
    assert!(is_whiteout(&path.join("null")) && is_whiteout(&path.join("disk")));
    let pipe = fs::metadata(path.join("pipe")).unwrap();
    assert!(pipe.file_type().is_fifo());
    assert_eq!(pipe.mtime(), 5);
    assert!(!is_root() || pipe.uid() == 65534);
    assert!(!dir.path().join("layers/escape").exists() && !dir.path().join("escape").exists());
}

#[test]
fn sparse_files_stay_sparse() {
    let octal = |field: &mut [u8], value: u64| field.copy_from_slice(format!("{value:011o}\0").as_bytes());
    let real = 64 << 20;
    let mut bytes = member(tar::EntryType::GNUSparse, "image.raw", |header| {
        header.set_size(4);
        let gnu = header.as_gnu_mut().unwrap();
        octal(&mut gnu.sparse[0].offset, 32 << 20);
        octal(&mut gnu.sparse[0].numbytes, 4);
        octal(&mut gnu.realsize, real);
    });
    bytes.extend_from_slice(b"data");
    bytes.resize(1024, 0);
    let (packed, found) = raw(bytes);
    assert_eq!(found.layers[0].problems, []);
    let dir = tempfile::tempdir().unwrap();
    let path = LayerCache::new(dir.path()).ensure(&packed, &found.layers[0], &Caps::default()).map(path_of).unwrap().join("image.raw");
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.len(), real);
    assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks", metadata.blocks());
    assert_eq!(&fs::read(&path).unwrap()[32 << 20..(32 << 20) + 4], b"data");
}

#[test]
fn a_broken_or_changed_layer_is_not_unpacked() {
    let (source, found) = raw(b"no archive".to_vec());
    let dir = tempfile::tempdir().unwrap();
    let cache = LayerCache::new(dir.path());
    let error = cache.ensure(&source, &found.layers[0], &Caps::default()).unwrap_err();
    assert!(matches!(error, Error::BrokenLayer { problem: LayerProblem::NotATar, .. }));
    // The same digest, another content: the blob was exchanged after it was judged.
    let (source, found) = packed(vec![vec![File::new("a", 0o644, "x")]]);
    let mut other = (*found.layers[0]).clone();
    other.diff_id = Some(Digest::of(b"judged"));
    assert!(matches!(cache.ensure(&source, &other, &Caps::default()), Err(Error::BlobChanged { .. })));
    let tight = Caps { uncompressed: 1000, ..Caps::default() };
    let error = cache.ensure(&source, &found.layers[0], &tight).unwrap_err();
    assert!(matches!(error, Error::BrokenLayer { problem: LayerProblem::TooLarge { limit: 1000 }, .. }));
    let few = Caps { entries: 0, ..Caps::default() };
    assert!(matches!(cache.ensure(&source, &found.layers[0], &few), Err(Error::BrokenLayer { .. })));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// What an overlay file system shows of unpacked layers: path, whether it is a directory, and the content of files and links.
fn overlaid(layers: &[PathBuf]) -> BTreeMap<String, (bool, Vec<u8>)> {
    let mut shown = BTreeMap::new();
    show(layers, "", &mut shown);
    shown
}

fn show(layers: &[PathBuf], path: &str, shown: &mut BTreeMap<String, (bool, Vec<u8>)>) {
    // The directories that merge here, from the top down, as the kernel finds them.
    let mut names: BTreeMap<String, ()> = BTreeMap::new();
    for layer in layers {
        for entry in fs::read_dir(layer.join(path)).unwrap() {
            names.insert(entry.unwrap().file_name().into_string().unwrap(), ());
        }
    }
    for name in names.into_keys() {
        let full = if path.is_empty() { name } else { format!("{path}/{name}") };
        let mut merging = Vec::new();
        for layer in layers.iter().rev() {
            let at = layer.join(&full);
            let Ok(metadata) = fs::symlink_metadata(&at) else { continue };
            if !metadata.is_dir() {
                if merging.is_empty() && !is_whiteout(&at) {
                    let content = if metadata.is_symlink() {
                        fs::read_link(&at).unwrap().into_os_string().into_encoded_bytes()
                    } else {
                        fs::read(&at).unwrap()
                    };
                    shown.insert(full.clone(), (false, content));
                }
                break;
            }
            merging.push(layer.clone());
            if is_opaque(&at) {
                break;
            }
        }
        if !merging.is_empty() {
            shown.insert(full.clone(), (true, Vec::new()));
            merging.reverse();
            show(&merging, &full, shown);
        }
    }
}

/// The same of the merged view.
fn merged(tree: &Tree, read: impl Fn(&Entry) -> Vec<u8>) -> BTreeMap<String, (bool, Vec<u8>)> {
    let view = |entry: &Entry| match &entry.kind {
        EntryKind::Dir => (true, Vec::new()),
        EntryKind::Symlink(target) => (false, target.clone().into_bytes()),
        _ => (false, read(entry)),
    };
    tree.iter().map(|node| (node.entry.path.clone(), view(node.entry))).collect()
}

fn any_file() -> impl Strategy<Value = File> {
    let path = "[ab](/[ab]){0,2}";
    prop_oneof![
        4 => (path, "[a-z]{0,5}").prop_map(|(path, content)| File::new(&path, 0o644, content)),
        2 => path.prop_map(|path| File::dir(&path, 0o755)),
        1 => (path, path).prop_map(|(path, target)| File::symlink(&path, &target)),
        1 => (path, path).prop_map(|(path, target)| File::hardlink(&path, &target)),
        2 => path.prop_map(|path| File::whiteout(&path)),
        1 => path.prop_map(|path| File::new(&format!("{path}/.wh..wh..opq"), 0o644, "")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// What was judged is what runs: the merged view and an overlay of the unpacked layers are the same tree.
    #[test]
    fn the_merged_view_is_what_an_overlay_shows(layers in proptest::collection::vec(proptest::collection::vec(any_file(), 0..7), 1..4)) {
        let (packed, found) = packed(layers);
        let dir = tempfile::tempdir().unwrap();
        let cache = LayerCache::new(dir.path());
        let paths: Result<Vec<PathBuf>, Error> = found.layers.iter().map(|layer| cache.ensure(&packed, layer, &Caps::default()).map(path_of)).collect();
        // A link to a file of a layer below is in the merged view, but such a layer cannot be unpacked alone.
        prop_assume!(!matches!(paths, Err(Error::LinkTarget { .. })));
        let paths = paths.unwrap();
        let read = |entry: &Entry| found.read_file(&packed, &entry.path, 100).unwrap().bytes;
        prop_assert_eq!(overlaid(&paths), merged(&found.tree, read));
    }
}

#[path = "hostile.rs"]
mod hostile;
