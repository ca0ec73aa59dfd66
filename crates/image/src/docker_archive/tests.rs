use std::io::Write;

use super::*;
use crate::{
    Caps, Compression, InspectError, Platform,
    inspection::{Inspection, inspect},
    pack::{File, Pack},
};

/// An image in the forms that `docker save` has had.
struct Saved {
    config: Vec<u8>,
    layers: Vec<Vec<u8>>,
}

fn saved() -> Saved {
    let packed = Pack::new(Platform::host())
        .compression(Compression::None)
        .layer(vec![File::new("a", 0o644, "below")])
        .layer(vec![File::new("var/manifest.json", 0o644, "{}")])
        .entrypoint(["/a"])
        .build()
        .unwrap();
    let found = inspect(&packed, packed.top(), &Platform::host(), Caps::default(), &mut |_| None).unwrap();
    let blob = |digest: &Digest| packed.blob(digest).unwrap().to_vec();
    Saved { config: blob(&found.image.config.digest), layers: found.image.layers.iter().map(|layer| blob(&layer.digest)).collect() }
}

enum Entry<'a> {
    File(&'a str, &'a [u8]),
    Link(&'a str, &'a str),
}

fn archive(entries: &[Entry]) -> tempfile::NamedTempFile {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        match entry {
            Entry::File(name, bytes) => {
                header.set_size(bytes.len() as u64);
                builder.append_data(&mut header, name, *bytes).unwrap();
            }
            Entry::Link(name, target) => {
                header.set_size(0);
                header.set_entry_type(tar::EntryType::Symlink);
                builder.append_link(&mut header, name, target).unwrap();
            }
        }
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&builder.into_inner().unwrap()).unwrap();
    file
}

fn look(file: &tempfile::NamedTempFile, tag: Option<&str>) -> Result<(Inspection, Option<String>), Error> {
    let (source, top, name) = open(file.path(), tag)?;
    match inspect(&source, &top, &Platform::host(), Caps::default(), &mut |_| None) {
        Ok(found) => Ok((found, name)),
        Err(InspectError::Read(error)) => Err(error),
        Err(InspectError::Image(problem)) => panic!("{problem}"),
    }
}

fn manifest(config: &str, tags: &str, layers: &[&str]) -> String {
    json!([{ "Config": config, "RepoTags": serde_json::from_str::<serde_json::Value>(tags).unwrap(), "Layers": layers }]).to_string()
}

#[test]
fn the_old_form_with_shared_layers() {
    let saved = saved();
    let text = manifest("abc.json", r#"["name:1"]"#, &["one/layer.tar", "two/layer.tar", "three/layer.tar"]);
    let file = archive(&[
        Entry::File("one/layer.tar", &saved.layers[0]),
        Entry::File("two/layer.tar", &saved.layers[1]),
        Entry::Link("three/layer.tar", "../one/layer.tar"),
        Entry::File("abc.json", &saved.config),
        Entry::File("manifest.json", text.as_bytes()),
    ]);
    let (found, name) = look(&file, None).unwrap();
    assert_eq!(name.as_deref(), Some("name:1"));
    assert_eq!((found.layers.len(), found.image.media_type.as_str()), (3, DOCKER_MANIFEST));
    assert_eq!(found.layers[0], found.layers[2]);
    assert_eq!(found.layers[1].diff_id, Some(Digest::of(&saved.layers[1])));
    assert_eq!(found.image.config.digest, Digest::of(&saved.config));
    let (source, ..) = open(file.path(), None).unwrap();
    assert_eq!(found.read_file(&source, "a", 10).unwrap().bytes, b"below");
    assert!(matches!(source.size(&Digest::of(b"x")), Err(Error::BlobMissing { .. })));
}

#[test]
fn the_new_form_keeps_compressed_layers() {
    let saved = saved();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&saved.layers[0]).unwrap();
    let gzip = encoder.finish().unwrap();
    let text = manifest("blobs/sha256/c", "null", &["blobs/sha256/a", "./blobs/sha256/b"]);
    let file = archive(&[
        Entry::File("blobs/sha256/a", &gzip),
        Entry::File("blobs/sha256/b", &saved.layers[1]),
        Entry::File("blobs/sha256/c", &saved.config),
        Entry::File("manifest.json", text.as_bytes()),
        Entry::File("index.json", b"{}"),
    ]);
    let (found, name) = look(&file, None).unwrap();
    assert_eq!(name, None);
    assert_eq!((found.layers[0].compression, found.layers[1].compression), (Compression::Gzip, Compression::None));
    assert_eq!(
        found.config.diff_ids.iter().map(Some).collect::<Vec<_>>(),
        found.layers.iter().map(|layer| layer.diff_id.as_ref()).collect::<Vec<_>>()
    );
    assert!(found.image.layers[0].media_type.ends_with("tar.gzip"));
}

#[test]
fn the_same_archive_has_the_same_digest() {
    let saved = saved();
    let make = |name: &str| {
        let text = manifest("c.json", "[]", &[name]);
        archive(&[Entry::File(name, &saved.layers[0]), Entry::File("c.json", &saved.config), Entry::File("manifest.json", text.as_bytes())])
    };
    assert_eq!(open(make("x.tar").path(), None).unwrap().1, open(make("y/layer.tar").path(), None).unwrap().1);
}

#[test]
fn the_tag_chooses_as_docker_would() {
    let saved = saved();
    let item = |config: &str, tag: &str| json!({ "Config": config, "RepoTags": [tag], "Layers": [] });
    let text = json!([item("a", "docker.io/library/one:latest"), item("b", "host:5000/two:v2")]).to_string();
    let file = archive(&[Entry::File("a", &saved.config), Entry::File("b", b"{}"), Entry::File("manifest.json", text.as_bytes())]);
    assert!(look(&file, Some("one")).is_ok());
    assert!(look(&file, Some("one:latest")).is_ok());
    assert_eq!(open(file.path(), Some("host:5000/two:v2")).unwrap().2.as_deref(), Some("host:5000/two:v2"));
    let shown = |tag| open(file.path(), tag).err().unwrap().to_string().replace(&file.path().display().to_string(), "FILE");
    let both = "2 images (docker.io/library/one:latest, host:5000/two:v2)";
    let example = "name one of them, like docker-archive:FILE:docker.io/library/one:latest";
    assert_eq!(shown(None), format!("FILE holds {both}; {example}"));
    assert_eq!(shown(Some("three")), format!("FILE holds no image \"three\", only {both}; {example}"));
}

#[test]
fn what_is_incomplete_says_what_is_missing() {
    let reason = |entries: &[Entry]| {
        let file = archive(entries);
        let error = open(file.path(), None).err().unwrap().to_string();
        error.split_once("is not a docker archive: ").unwrap().1.to_owned()
    };
    assert_eq!(reason(&[Entry::File("x", b"")]), "it has no manifest.json");
    assert_eq!(
        reason(&[Entry::File("index.json", b"")]),
        "it has no manifest.json; it is an OCI archive, write oci-archive: in front of it"
    );
    let file = archive(&[Entry::File("manifest.json", b"[]")]);
    let as_oci = crate::open(&crate::Transport::OciArchive { file: file.path().to_owned(), tag: None }).err().unwrap();
    assert!(as_oci.to_string().ends_with("it has no index.json; it is a docker archive, write docker-archive: in front of it"));
    let text = manifest("c.json", "[]", &["l.tar"]);
    assert_eq!(reason(&[Entry::File("manifest.json", text.as_bytes())]), "its config \"c.json\" is missing");
    let without_layer = reason(&[Entry::File("manifest.json", text.as_bytes()), Entry::File("c.json", b"{}")]);
    assert_eq!(without_layer, "its layer \"l.tar\" is missing; save the image again");
    assert!(reason(&[Entry::File("manifest.json", b"{}")]).starts_with("its manifest.json is malformed"));
}
