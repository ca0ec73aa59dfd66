//! The OCI image layout: `oci-layout`, `index.json`, `blobs/`; as a folder, or the same in one tar file.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Cursor, Read},
    path::{Path, PathBuf},
};

use model::digest::Digest;
use serde::Deserialize;

use crate::{
    archive::Archive,
    error::Error,
    manifest::{Descriptor, MANIFEST_LIMIT},
    source::{BlobSource, read_capped},
};

/// Annotation with the tag of an image in a layout.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Annotation with the full name, as containerd and docker write it.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An open file and its size in bytes.
type Stream = (Box<dyn Read + Send>, u64);

/// Where the files of a layout are.
pub(crate) enum Folder {
    Directory(PathBuf),
    Archive(Archive),
}

impl Folder {
    pub fn path(&self) -> &Path {
        match self {
            Self::Directory(path) => path,
            Self::Archive(archive) => archive.path(),
        }
    }

    pub fn expected(&self) -> &'static str {
        match self {
            Self::Directory(_) => "an OCI image layout",
            Self::Archive(_) => "an OCI archive",
        }
    }

    /// Opens a file by its path in the layout, and says its size. `None` if there is none.
    fn file(&self, name: &str) -> Result<Option<Stream>, Error> {
        let directory = match self {
            Self::Archive(archive) => {
                return Ok(archive.member(name).map(|section| {
                    let size = section.size();
                    (Box::new(section) as Box<dyn Read + Send>, size)
                }));
            }
            Self::Directory(directory) => directory,
        };
        let path = directory.join(name);
        let failed = |source| Error::File { action: "open", path: path.clone(), source };
        // Looked at before it is opened: opening a named pipe would wait for ever.
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(Some((Box::new(File::open(&path).map_err(failed)?), metadata.len()))),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn malformed(&self, reason: impl Into<String>) -> Error {
        Error::Layout { path: self.path().to_owned(), expected: self.expected(), reason: reason.into() }
    }
}

/// Blobs of a layout.
pub(crate) struct OciLayout {
    folder: Folder,
    /// `index.json` itself, when it is the image's index.
    index: BTreeMap<Digest, Vec<u8>>,
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// Finds the image with `tag`, or the only one.
pub(crate) fn open(folder: Folder, tag: Option<&str>) -> Result<(OciLayout, Digest, Option<String>), Error> {
    let Some((file, size)) = folder.file("index.json")? else {
        let other = matches!(&folder, Folder::Archive(archive) if archive.member("manifest.json").is_some());
        let hint = if other { "; it is a docker archive, write docker-archive: in front of it" } else { "" };
        return Err(folder.malformed(format!("it has no index.json{hint}")));
    };
    if size > MANIFEST_LIMIT {
        return Err(folder.malformed(format!("its index.json has {size} bytes, more than the limit of {MANIFEST_LIMIT}")));
    }
    let path = folder.path().join("index.json");
    let bytes = read_capped(file, MANIFEST_LIMIT).map_err(|source| Error::File { action: "read", path, source })?;
    let index: Index = serde_json::from_slice(&bytes).map_err(|error| folder.malformed(format!("its index.json is malformed: {error}")))?;
    let (top, name) = match choose(&index.manifests, tag) {
        Choice::One(descriptor) => (descriptor.digest.clone(), name_of(descriptor)),
        Choice::Whole => (Digest::of(&bytes), None),
        Choice::None => return Err(which(&folder, &index.manifests, tag)),
    };
    let layout = OciLayout { folder, index: BTreeMap::from([(Digest::of(&bytes), bytes)]) };
    Ok((layout, top, name))
}

enum Choice<'a> {
    One(&'a Descriptor),
    /// One image for several platforms, listed without an index of its own.
    Whole,
    None,
}

fn choose<'a>(manifests: &'a [Descriptor], tag: Option<&str>) -> Choice<'a> {
    let tagged = |descriptor: &&Descriptor| {
        let named = |key| descriptor.annotations.get(key).map(String::as_str) == tag;
        named(REF_NAME) || named(CONTAINERD_NAME)
    };
    match (tag, manifests) {
        (Some(_), _) => manifests.iter().find(tagged).map_or(Choice::None, Choice::One),
        (None, [only]) => Choice::One(only),
        (None, [_, ..]) if manifests.iter().all(|descriptor| descriptor.platform.is_some() && name_of(descriptor).is_none()) => {
            Choice::Whole
        }
        (None, _) => Choice::None,
    }
}

fn name_of(descriptor: &Descriptor) -> Option<String> {
    let value = |key| descriptor.annotations.get(key).map(|name| name.chars().take(300).collect());
    value(CONTAINERD_NAME).or_else(|| value(REF_NAME))
}

fn which(folder: &Folder, manifests: &[Descriptor], tag: Option<&str>) -> Error {
    let tags: Vec<String> = manifests.iter().filter_map(|descriptor| descriptor.annotations.get(REF_NAME)).cloned().collect();
    let count = manifests.len();
    let found = match (tag, count) {
        (_, 0) => "no image".to_owned(),
        (Some(tag), _) => format!("no image with the tag {tag:?}, only {}", listed(&tags, count)),
        (None, _) => listed(&tags, count),
    };
    let transport = if matches!(folder, Folder::Directory(_)) { "oci" } else { "oci-archive" };
    let example = format!("{transport}:{}:{}", folder.path().display(), tags.first().map_or("TAG", String::as_str));
    Error::Tag { path: folder.path().to_owned(), found, example }
}

/// `2 images (a, b)`
pub(crate) fn listed(names: &[String], count: usize) -> String {
    let noun = if count == 1 { "image" } else { "images" };
    let mut shown: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
    if names.len() > shown.len() {
        shown.push("...");
    }
    if shown.is_empty() { format!("{count} {noun} without a tag") } else { format!("{count} {noun} ({})", shown.join(", ")) }
}

impl OciLayout {
    fn blob(&self, digest: &Digest) -> Result<Stream, Error> {
        if let Some(bytes) = self.index.get(digest) {
            return Ok((Box::new(Cursor::new(bytes.clone())), bytes.len() as u64));
        }
        let name = format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex());
        let missing = || Error::BlobMissing { digest: digest.clone(), place: self.folder.path().display().to_string() };
        self.folder.file(&name)?.ok_or_else(missing)
    }
}

impl BlobSource for OciLayout {
    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send>, Error> {
        Ok(self.blob(digest)?.0)
    }

    fn size(&self, digest: &Digest) -> Result<u64, Error> {
        Ok(self.blob(digest)?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(index: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("index.json"), index).unwrap();
        dir
    }

    fn descriptor(content: &str, more: &str) -> String {
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":1{more}}}"#,
            Digest::of(content.as_bytes())
        )
    }

    fn top(index: &str, tag: Option<&str>) -> Result<Digest, String> {
        let dir = layout(index);
        let opened = open(Folder::Directory(dir.path().to_owned()), tag);
        opened.map(|(_, top, _)| top).map_err(|error| error.to_string().replace(&dir.path().display().to_string(), "DIR"))
    }

    #[test]
    fn the_tag_chooses() {
        let tagged = |content, tag: &str| descriptor(content, &format!(r#","annotations":{{"{REF_NAME}":"{tag}"}}"#));
        let index = format!(r#"{{"manifests":[{},{}]}}"#, tagged("a", "one"), tagged("b", "two"));
        assert_eq!(top(&index, Some("two")), Ok(Digest::of(b"b")));
        assert_eq!(top(&index, None).unwrap_err(), "DIR holds 2 images (one, two); name one of them, like oci:DIR:one");
        let error = top(&index, Some("x")).unwrap_err();
        assert_eq!(error, "DIR holds no image with the tag \"x\", only 2 images (one, two); name one of them, like oci:DIR:one");
        let only = format!(r#"{{"manifests":[{}]}}"#, tagged("a", "one"));
        assert_eq!(top(&only, None), Ok(Digest::of(b"a")));
    }

    #[test]
    fn an_image_for_several_platforms_without_a_tag_is_one_image() {
        let on = |content, arch: &str| descriptor(content, &format!(r#","platform":{{"os":"linux","architecture":"{arch}"}}"#));
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{},{}]}}"#, on("a", "amd64"), on("b", "arm64"));
        let dir = layout(&index);
        let (source, top, _) = open(Folder::Directory(dir.path().to_owned()), None).unwrap();
        assert_eq!(top, Digest::of(index.as_bytes()));
        assert_eq!(source.size(&top).unwrap(), index.len() as u64);
    }

    #[test]
    fn what_is_no_layout_says_why() {
        assert_eq!(top("{", None).unwrap_err().split(':').nth(1), Some(" its index.json is malformed"));
        assert!(top(r#"{"manifests":[]}"#, None).unwrap_err().starts_with("DIR holds no image"));
        let empty = tempfile::tempdir().unwrap();
        let error = open(Folder::Directory(empty.path().to_owned()), None).err().unwrap();
        assert!(error.to_string().ends_with("is not an OCI image layout: it has no index.json"));
    }

    #[test]
    fn a_missing_blob_is_named() {
        let dir = layout(&format!(r#"{{"manifests":[{}]}}"#, descriptor("a", "")));
        let (source, top, _) = open(Folder::Directory(dir.path().to_owned()), None).unwrap();
        assert!(matches!(source.open(&top).err(), Some(Error::BlobMissing { digest, .. }) if digest == top));
        assert!(matches!(source.size(&top), Err(Error::BlobMissing { .. })));
    }
}
