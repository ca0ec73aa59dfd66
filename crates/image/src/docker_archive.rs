//! What `docker save` and `podman save` write: `manifest.json`, a config, and one tar per layer. It has no image manifest, so one is made here
//! from the digests of what is there: the rest of the crate sees an image like any other.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read},
    path::Path,
};

use model::digest::{Algorithm, Digest, Hasher};
use serde::Deserialize;
use serde_json::json;

use crate::{
    archive::Archive,
    config::CONFIG_LIMIT,
    error::Error,
    manifest::{DOCKER_CONFIG, DOCKER_MANIFEST, LAYER_LIMIT, MANIFEST_LIMIT},
    oci_layout::listed,
    source::{BlobSource, read_capped},
};

const EXPECTED: &str = "a docker archive";

/// Blobs of one image of an archive.
pub(crate) struct DockerArchive {
    archive: Archive,
    blobs: BTreeMap<Digest, Blob>,
}

enum Blob {
    Made(Vec<u8>),
    Member { name: String, size: u64 },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

impl Item {
    fn tags(&self) -> &[String] {
        self.repo_tags.as_deref().unwrap_or_default()
    }
}

/// Finds the image with `tag`, or the only one, and hashes its layers.
pub(crate) fn open(path: &Path, tag: Option<&str>) -> Result<(DockerArchive, Digest, Option<String>), Error> {
    let archive = Archive::open(path, EXPECTED)?;
    let malformed = |reason: String| Error::Layout { path: path.to_owned(), expected: EXPECTED, reason };
    let Some(bytes) = small(&archive, "manifest.json", MANIFEST_LIMIT)? else {
        let other = archive.member("index.json").is_some();
        let hint = if other { "; it is an OCI archive, write oci-archive: in front of it" } else { "" };
        return Err(malformed(format!("it has no manifest.json{hint}")));
    };
    let items: Vec<Item> = serde_json::from_slice(&bytes).map_err(|error| malformed(format!("its manifest.json is malformed: {error}")))?;
    let item = choose(&items, tag).ok_or_else(|| which(path, &items, tag))?;
    let layers = item.layers.as_deref().unwrap_or_default();
    if layers.len() > LAYER_LIMIT {
        return Err(malformed(format!("the image has {} layers, more than the limit of {LAYER_LIMIT}", layers.len())));
    }
    let name = normal(&item.config);
    let config = small(&archive, &name, CONFIG_LIMIT)?.ok_or_else(|| malformed(format!("its config {name:?} is missing")))?;
    let mut source = DockerArchive { archive, blobs: BTreeMap::new() };
    let top = source.make_manifest(config, layers)?;
    Ok((source, top, item.tags().first().cloned()))
}

/// A member as a whole. `None` if it is not there.
fn small(archive: &Archive, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    let Some(section) = archive.member(name) else { return Ok(None) };
    let path = archive.path();
    if section.size() > limit {
        let reason = format!("its {name:?} has {} bytes, more than the limit of {limit}", section.size());
        return Err(Error::Layout { path: path.to_owned(), expected: EXPECTED, reason });
    }
    read_capped(section, limit).map(Some).map_err(|source| Error::File { action: "read", path: path.to_owned(), source })
}

fn choose<'a>(items: &'a [Item], tag: Option<&str>) -> Option<&'a Item> {
    match (tag, items) {
        (Some(tag), _) => items.iter().find(|item| item.tags().iter().any(|other| familiar(other) == familiar(tag))),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
}

/// A reference as people write it: docker's defaults left out in front, `latest` added behind.
fn familiar(reference: &str) -> String {
    let short =
        ["docker.io/library/", "docker.io/", "localhost/"].iter().find_map(|prefix| reference.strip_prefix(prefix)).unwrap_or(reference);
    let tagged = short.rsplit('/').next().is_some_and(|last| last.contains(':'));
    if tagged { short.to_owned() } else { format!("{short}:latest") }
}

fn which(path: &Path, items: &[Item], tag: Option<&str>) -> Error {
    let tags: Vec<String> = items.iter().flat_map(Item::tags).cloned().collect();
    let found = match (tag, items.len()) {
        (_, 0) => "no image".to_owned(),
        (Some(tag), count) => format!("no image {tag:?}, only {}", listed(&tags, count)),
        (None, count) => listed(&tags, count),
    };
    let example = format!("docker-archive:{}:{}", path.display(), tags.first().map_or("NAME:TAG", String::as_str));
    Error::Tag { path: path.to_owned(), found, example }
}

fn normal(name: &str) -> String {
    name.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

impl DockerArchive {
    fn make_manifest(&mut self, config: Vec<u8>, layers: &[String]) -> Result<Digest, Error> {
        let mut descriptors = Vec::new();
        let mut hashed: BTreeMap<String, (Digest, &str)> = BTreeMap::new();
        for name in layers.iter().map(|name| normal(name)) {
            if !hashed.contains_key(&name) {
                let found = self.hash(&name)?;
                hashed.insert(name.clone(), found);
            }
            if let Some((digest, media_type)) = hashed.get(&name) {
                let size = self.size(digest)?;
                descriptors.push(json!({ "mediaType": media_type, "size": size, "digest": digest }));
            }
        }
        let config_digest = Digest::of(&config);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": { "mediaType": DOCKER_CONFIG, "size": config.len(), "digest": config_digest },
            "layers": descriptors,
        });
        let bytes = manifest.to_string().into_bytes();
        let top = Digest::of(&bytes);
        self.blobs.insert(config_digest, Blob::Made(config));
        self.blobs.insert(top.clone(), Blob::Made(bytes));
        Ok(top)
    }

    /// Digest and media type of a layer. Newer dockers keep layers compressed, so the first bytes decide what it is.
    fn hash(&mut self, name: &str) -> Result<(Digest, &'static str), Error> {
        let path = self.archive.path();
        let Some(mut section) = self.archive.member(name) else {
            let reason = format!("its layer {name:?} is missing; save the image again");
            return Err(Error::Layout { path: path.to_owned(), expected: EXPECTED, reason });
        };
        let size = section.size();
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut media_type = None;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let taken = match section.read(&mut buffer) {
                Ok(0) => break,
                Ok(taken) => taken,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::File { action: "read", path: path.to_owned(), source }),
            };
            media_type.get_or_insert(match &buffer[..taken] {
                [0x1f, 0x8b, ..] => "application/vnd.docker.image.rootfs.diff.tar.gzip",
                [0x28, 0xb5, 0x2f, 0xfd, ..] => "application/vnd.docker.image.rootfs.diff.tar.zstd",
                _ => "application/vnd.docker.image.rootfs.diff.tar",
            });
            hasher.update(&buffer[..taken]);
        }
        let digest = hasher.finish();
        self.blobs.insert(digest.clone(), Blob::Member { name: name.to_owned(), size });
        Ok((digest, media_type.unwrap_or("application/vnd.docker.image.rootfs.diff.tar")))
    }

    fn missing(&self, digest: &Digest) -> Error {
        Error::BlobMissing { digest: digest.clone(), place: self.archive.path().display().to_string() }
    }
}

impl BlobSource for DockerArchive {
    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send>, Error> {
        match self.blobs.get(digest) {
            Some(Blob::Made(bytes)) => Ok(Box::new(Cursor::new(bytes.clone()))),
            Some(Blob::Member { name, .. }) => Ok(Box::new(self.archive.member(name).ok_or_else(|| self.missing(digest))?)),
            None => Err(self.missing(digest)),
        }
    }

    fn size(&self, digest: &Digest) -> Result<u64, Error> {
        match self.blobs.get(digest) {
            Some(Blob::Made(bytes)) => Ok(bytes.len() as u64),
            Some(Blob::Member { size, .. }) => Ok(*size),
            None => Err(self.missing(digest)),
        }
    }
}

#[cfg(test)]
mod tests;
