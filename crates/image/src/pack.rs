//! Writes images: an OCI layout, as a folder or as one file. The same input gives the same bytes, so an image has the same digest wherever and
//! whenever it is made. What makes an image wrong on purpose is in [`broken`] alone.

pub mod broken;
mod layout;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Cursor, Read, Write},
};

use model::digest::Digest;
use serde_json::{Value, json};

use crate::{
    caps::Caps, error::Error, evidence::Compression, layer::LayerReader, manifest::Descriptor, platform::Platform, source::BlobSource,
};
use broken::Fault;

/// The time in everything that is written.
const CREATED: &str = "1970-01-01T00:00:00Z";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A file of a layer, owned by root unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path in the image, with or without a leading slash.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What it is.
    pub content: Content,
}

/// What a [`File`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A regular file.
    Bytes(Vec<u8>),
    /// A symbolic link to this target.
    Symlink(String),
    /// Another name for this path of the same layer.
    Hardlink(String),
    /// A directory.
    Dir,
}

impl File {
    /// A regular file.
    pub fn new(path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Self::made(path, mode, Content::Bytes(bytes.into()))
    }

    /// A directory. Directories above a file need not be listed; they are made with mode 0755.
    pub fn dir(path: &str, mode: u32) -> Self {
        Self::made(path, mode, Content::Dir)
    }

    /// A symbolic link.
    pub fn symlink(path: &str, target: &str) -> Self {
        Self::made(path, 0o777, Content::Symlink(target.to_owned()))
    }

    /// Another name for a file listed before it.
    pub fn hardlink(path: &str, target: &str) -> Self {
        Self::made(path, 0o644, Content::Hardlink(target.to_owned()))
    }

    /// Removes `path` of the layers below.
    pub fn whiteout(path: &str) -> Self {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        Self::new(&format!("{above}/.wh.{name}"), 0o644, "")
    }

    /// Gives it an owner.
    #[must_use]
    pub fn owned_by(self, uid: u32, gid: u32) -> Self {
        Self { uid, gid, ..self }
    }

    fn made(path: &str, mode: u32, content: Content) -> Self {
        Self { path: path.trim_start_matches('/').to_owned(), mode, uid: 0, gid: 0, content }
    }
}

/// An image being put together.
#[derive(Clone, Debug)]
pub struct Pack {
    platform: Platform,
    layers: Vec<Layer>,
    compression: Compression,
    config: serde_json::Map<String, Value>,
    tag: Option<String>,
    faults: Vec<Fault>,
}

#[derive(Clone, Debug)]
enum Layer {
    Files(Vec<File>),
    Raw { bytes: Vec<u8>, media_type: String },
}

impl Pack {
    /// An image for `platform`, without layers, with an empty config.
    pub fn new(platform: Platform) -> Self {
        Self { platform, layers: Vec::new(), compression: Compression::Gzip, config: serde_json::Map::new(), tag: None, faults: Vec::new() }
    }

    /// Adds a layer on top.
    #[must_use]
    pub fn layer(mut self, files: Vec<File>) -> Self {
        self.layers.push(Layer::Files(files));
        self
    }

    /// Adds a layer on top, byte for byte.
    #[must_use]
    pub fn with_raw_layer(mut self, bytes: impl Into<Vec<u8>>, media_type: &str) -> Self {
        self.layers.push(Layer::Raw { bytes: bytes.into(), media_type: media_type.to_owned() });
        self
    }

    /// How layers are compressed; gzip unless this is called.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// ENTRYPOINT, in exec form.
    #[must_use]
    pub fn entrypoint<S: AsRef<str>>(self, words: impl IntoIterator<Item = S>) -> Self {
        self.set("Entrypoint", list(words))
    }

    /// CMD, in exec form.
    #[must_use]
    pub fn cmd<S: AsRef<str>>(self, words: impl IntoIterator<Item = S>) -> Self {
        self.set("Cmd", list(words))
    }

    /// Adds a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        let variables = self.config.entry("Env").or_insert_with(|| json!([]));
        if let Value::Array(variables) = variables {
            variables.push(json!(format!("{name}={value}")));
        }
        self
    }

    /// WORKDIR.
    #[must_use]
    pub fn working_dir(self, path: &str) -> Self {
        self.set("WorkingDir", json!(path))
    }

    /// USER.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        self.set("User", json!(user))
    }

    /// Adds an exposed port, such as `8080/tcp`.
    #[must_use]
    pub fn expose(self, port: &str) -> Self {
        self.put("ExposedPorts", port, json!({}))
    }

    /// Adds a label.
    #[must_use]
    pub fn label(self, name: &str, value: &str) -> Self {
        self.put("Labels", name, json!(value))
    }

    /// The tag it gets in a layout.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tag = Some(tag.to_owned());
        self
    }

    fn set(mut self, key: &str, value: Value) -> Self {
        self.config.insert(key.to_owned(), value);
        self
    }

    fn put(mut self, map: &str, key: &str, value: Value) -> Self {
        if let Value::Object(map) = self.config.entry(map).or_insert_with(|| json!({})) {
            map.insert(key.to_owned(), value);
        }
        self
    }

    /// Makes all blobs. Fails when a path cannot be written into an archive.
    pub fn build(self) -> Result<Packed, Error> {
        let mut blobs = BTreeMap::new();
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        for layer in &self.layers {
            let (bytes, media_type) = match layer {
                Layer::Raw { bytes, media_type } => (bytes.clone(), media_type.clone()),
                Layer::Files(files) => compress(&archive(files)?, self.compression).map_err(packing("the layer"))?,
            };
            let mut reader = LayerReader::new(Caps::default());
            reader.write(&bytes);
            let evidence = reader.finish();
            diff_ids.push(evidence.diff_id.unwrap_or_else(|| evidence.digest.clone()));
            layers.push(descriptor(&media_type, &bytes));
            blobs.insert(evidence.digest, bytes);
        }
        let mut config = json!({
            "created": CREATED,
            "architecture": self.platform.architecture,
            "os": self.platform.os,
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": layers.iter().map(|_| json!({ "created": CREATED, "created_by": "plimsoll" })).collect::<Vec<_>>(),
        });
        if let (Some(variant), Value::Object(fields)) = (&self.platform.variant, &mut config) {
            fields.insert("variant".to_owned(), json!(variant));
        }
        let config = broken::spoil_config(&self.faults, config);
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_CONFIG, &config), "layers": layers });
        let manifest = broken::spoil_manifest(&self.faults, manifest).to_string().into_bytes();
        blobs.insert(Digest::of(&config), config);
        let mut top = descriptor(OCI_MANIFEST, &manifest);
        blobs.insert(top.digest.clone(), manifest);
        broken::spoil_blobs(&self.faults, &mut blobs, &layers);
        top.platform = Some(self.platform);
        Ok(Packed { blobs, top, tag: self.tag })
    }
}

fn list<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Value {
    words.into_iter().map(|word| json!(word.as_ref())).collect()
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
    Descriptor { media_type: media_type.to_owned(), digest, size, platform: None, annotations: BTreeMap::new() }
}

fn packing(path: &str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Pack { path: path.to_owned(), source }
}

/// A tar of the files in the given order, each behind the directories above it.
fn archive(files: &[File]) -> Result<Vec<u8>, Error> {
    let mut builder = tar::Builder::new(Vec::new());
    let listed: BTreeSet<&str> = files.iter().map(|file| file.path.trim_end_matches('/')).collect();
    let mut made = BTreeSet::new();
    for file in files {
        for above in crate::path::ancestors(&file.path) {
            if !listed.contains(above) && made.insert(above) {
                append(&mut builder, &File::dir(above, 0o755)).map_err(packing(&file.path))?;
            }
        }
        append(&mut builder, file).map_err(packing(&file.path))?;
    }
    builder.into_inner().map_err(packing("the end of the layer"))
}

fn append(builder: &mut tar::Builder<Vec<u8>>, file: &File) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(file.mode);
    header.set_uid(file.uid.into());
    header.set_gid(file.gid.into());
    header.set_mtime(0);
    header.set_size(0);
    match &file.content {
        Content::Bytes(bytes) => {
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, &file.path, &bytes[..])
        }
        Content::Dir => {
            header.set_entry_type(tar::EntryType::Directory);
            builder.append_data(&mut header, format!("{}/", file.path.trim_end_matches('/')), io::empty())
        }
        Content::Symlink(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            builder.append_link(&mut header, &file.path, target)
        }
        Content::Hardlink(target) => {
            header.set_entry_type(tar::EntryType::Link);
            builder.append_link(&mut header, &file.path, target.trim_start_matches('/'))
        }
    }
}

fn compress(plain: &[u8], compression: Compression) -> io::Result<(Vec<u8>, String)> {
    let media_type = "application/vnd.oci.image.layer.v1.tar";
    Ok(match compression {
        Compression::None => (plain.to_vec(), media_type.to_owned()),
        Compression::Zstd => (zstd::encode_all(plain, 3)?, format!("{media_type}+zstd")),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(plain)?;
            (encoder.finish()?, format!("{media_type}+gzip"))
        }
    })
}

/// A finished image, in memory: itself a source of its blobs.
#[derive(Clone, Debug)]
pub struct Packed {
    blobs: BTreeMap<Digest, Vec<u8>>,
    top: Descriptor,
    tag: Option<String>,
}

impl Packed {
    /// Digest of its manifest, or of the index above it.
    pub fn top(&self) -> &Digest {
        &self.top.digest
    }

    /// Media type of its manifest or index.
    pub fn media_type(&self) -> &str {
        &self.top.media_type
    }

    /// All its blobs, manifests included.
    pub fn blobs(&self) -> impl Iterator<Item = (&Digest, &[u8])> {
        self.blobs.iter().map(|(digest, bytes)| (digest, &bytes[..]))
    }

    /// A blob's bytes.
    pub fn blob(&self, digest: &Digest) -> Option<&[u8]> {
        self.blobs.get(digest).map(Vec::as_slice)
    }

    /// One index over several images, as for several platforms. It has the tag of the first.
    pub fn index(images: Vec<Self>) -> Self {
        let tag = images.first().and_then(|image| image.tag.clone());
        let manifests: Vec<Descriptor> = images.iter().map(|image| image.top.clone()).collect();
        let bytes = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests }).to_string().into_bytes();
        let top = descriptor(OCI_INDEX, &bytes);
        let mut blobs: BTreeMap<Digest, Vec<u8>> = images.into_iter().flat_map(|image| image.blobs).collect();
        blobs.insert(top.digest.clone(), bytes);
        Self { blobs, top, tag }
    }

    /// The image in an index, beside an attestation of where it comes from: what `docker buildx build --push` sends.
    pub fn attested(self) -> Self {
        let statement = json!({ "_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://slsa.dev/provenance/v0.2" });
        let layer = statement.to_string().into_bytes();
        let rootfs = json!({ "type": "layers", "diff_ids": [Digest::of(&layer)] });
        let config = json!({ "architecture": "unknown", "os": "unknown", "config": {}, "rootfs": rootfs }).to_string().into_bytes();
        let layers = [descriptor("application/vnd.in-toto+json", &layer)];
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_CONFIG, &config), "layers": layers });
        let manifest = manifest.to_string().into_bytes();
        let mut top = descriptor(OCI_MANIFEST, &manifest);
        top.platform = Some(Platform::new("unknown", "unknown"));
        top.annotations.insert("vnd.docker.reference.type".to_owned(), "attestation-manifest".to_owned());
        top.annotations.insert("vnd.docker.reference.digest".to_owned(), self.top.digest.to_string());
        let blobs = [layer, config, manifest].into_iter().map(|bytes| (Digest::of(&bytes), bytes)).collect();
        Self::index(vec![self, Self { blobs, top, tag: None }])
    }
}

impl BlobSource for Packed {
    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send>, Error> {
        let bytes = self.blobs.get(digest).ok_or_else(|| missing(digest))?;
        Ok(Box::new(Cursor::new(bytes.clone())))
    }

    fn size(&self, digest: &Digest) -> Result<u64, Error> {
        self.blobs.get(digest).map(|bytes| bytes.len() as u64).ok_or_else(|| missing(digest))
    }
}

fn missing(digest: &Digest) -> Error {
    Error::BlobMissing { digest: digest.clone(), place: "the packed image".to_owned() }
}

#[cfg(test)]
mod tests;
