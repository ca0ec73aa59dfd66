//! One image, looked at whole: manifest, config, the evidence of each layer, the merged view.

use std::{collections::HashMap, io::Read, sync::Arc};

use model::digest::Digest;
use serde_json::Value;

use crate::{
    caps::Caps,
    config::{self, CONFIG_LIMIT, ImageConfig},
    error::{Error, ImageProblem, InspectError},
    evidence::{EntryKind, LayerEvidence},
    layer::LayerReader,
    manifest::{self, Descriptor, ImageRef, MANIFEST_LIMIT},
    platform::Platform,
    read_file::{self, FileContent, ReadFileError},
    source::{BlobSource, read_capped},
    tree::Tree,
};

/// An inspected image.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Which image.
    pub image: ImageRef,
    /// Its config.
    pub config: ImageConfig,
    /// Evidence of its layers, bottom to top.
    pub layers: Vec<Arc<LayerEvidence>>,
    /// What a container of it would see.
    pub tree: Tree,
}

/// Inspects the image at `top`. Only layers that `known` does not bring are read; size and digest of everything read are checked.
pub fn inspect(
    source: &dyn BlobSource,
    top: &Digest,
    platform: &Platform,
    caps: Caps,
    known: &mut dyn FnMut(&Digest) -> Option<Arc<LayerEvidence>>,
) -> Result<Inspection, InspectError> {
    let size = source.size(top).map_err(InspectError::from_source)?;
    if size > MANIFEST_LIMIT {
        return Err(manifest::too_large("manifest", top, size, MANIFEST_LIMIT));
    }
    let bytes = whole(source, top).map_err(InspectError::from_source)?;
    if !top.matches(&bytes) {
        return Err(ImageProblem::Digest { digest: top.clone(), actual: Digest::of(&bytes) }.into());
    }
    // Choosing the image reads its config already.
    let mut read: HashMap<Digest, Vec<u8>> = HashMap::new();
    let mut image = manifest::select(&bytes, platform, &mut |digest| {
        let bytes = whole(source, digest)?;
        read.insert(digest.clone(), bytes.clone());
        Ok(bytes)
    })?;
    if image.manifest_digest == image.top_digest {
        image.manifest_digest = top.clone();
    }
    image.top_digest = top.clone();
    let bytes = match read.remove(&image.config.digest) {
        Some(bytes) => bytes,
        None => whole(source, &image.config.digest).map_err(InspectError::from_source)?,
    };
    let config = ImageConfig::parse(&bytes, &image.config.digest)?;
    let layers = evidence(source, &image.layers, &caps, known)?;
    let tree = Tree::merge(&layers);
    Ok(Inspection { image, config, layers, tree })
}

/// A manifest or config. More than any of them may have is an error.
fn whole(source: &dyn BlobSource, digest: &Digest) -> Result<Vec<u8>, Error> {
    let size = source.size(digest)?;
    if size > CONFIG_LIMIT {
        return Err(Error::BlobTooLarge { digest: digest.clone(), size, limit: CONFIG_LIMIT });
    }
    read_capped(source.open(digest)?, CONFIG_LIMIT).map_err(|source| Error::Blob { digest: digest.clone(), source })
}

fn evidence(
    source: &dyn BlobSource,
    descriptors: &[Descriptor],
    caps: &Caps,
    known: &mut dyn FnMut(&Digest) -> Option<Arc<LayerEvidence>>,
) -> Result<Vec<Arc<LayerEvidence>>, InspectError> {
    // The empty layer often occurs more than once.
    let mut read: HashMap<&Digest, Arc<LayerEvidence>> = HashMap::new();
    let mut layers = Vec::with_capacity(descriptors.len());
    for descriptor in descriptors {
        let layer = match read.get(&descriptor.digest).cloned().or_else(|| known(&descriptor.digest)) {
            Some(layer) => layer,
            None => Arc::new(read_layer(source, descriptor, caps)?),
        };
        if layer.size != descriptor.size {
            return Err(wrong_size(descriptor, layer.size));
        }
        read.insert(&descriptor.digest, Arc::clone(&layer));
        layers.push(layer);
    }
    Ok(layers)
}

fn read_layer(source: &dyn BlobSource, descriptor: &Descriptor, caps: &Caps) -> Result<LayerEvidence, InspectError> {
    let digest = &descriptor.digest;
    let mut blob = source.open(digest).map_err(InspectError::from_source)?;
    let mut reader = LayerReader::with_algorithm(caps.clone(), digest.algorithm());
    let mut buffer = vec![0; 256 << 10];
    loop {
        match blob.read(&mut buffer) {
            Ok(0) => break,
            Ok(taken) => reader.write(&buffer[..taken]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::Blob { digest: digest.clone(), source }.into()),
        }
        if reader.bytes_seen() > descriptor.size {
            let actual = source.size(digest).unwrap_or(reader.bytes_seen());
            return Err(wrong_size(descriptor, actual));
        }
    }
    let layer = reader.finish();
    if layer.size != descriptor.size {
        return Err(wrong_size(descriptor, layer.size));
    }
    if layer.digest != *digest {
        return Err(ImageProblem::Digest { digest: digest.clone(), actual: layer.digest }.into());
    }
    Ok(layer)
}

fn wrong_size(descriptor: &Descriptor, actual: u64) -> InspectError {
    ImageProblem::Size { digest: descriptor.digest.clone(), size: descriptor.size, actual }.into()
}

impl Inspection {
    /// Reads a file as a process in the container would find it. `cap` is in bytes. The blob was checked when it was inspected, and is not
    /// checked again.
    pub fn read_file(&self, source: &dyn BlobSource, path: &str, cap: u64) -> Result<FileContent, ReadFileError> {
        read_file::read(self, source, path, cap)
    }

    /// Sum of the plain layers, bytes.
    pub fn uncompressed_size(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.uncompressed_size))
    }

    /// One object with the key names of `docker inspect` (build report §1). `tags` are full references such as `host/1/name:tag`.
    pub fn docker_inspect(&self, tags: &[String]) -> Value {
        config::inspect(&self.config, &self.image, tags, self.uncompressed_size())
    }

    /// The layers to lay over each other for a container, bottom to top: all of them, unless one empties the whole root. An overlay file
    /// system does not look for an opaque mark on its root, so what lies below must not be mounted at all.
    pub fn visible_layers(&self) -> &[Arc<LayerEvidence>] {
        let empties =
            |layer: &Arc<LayerEvidence>| layer.entries.iter().any(|entry| entry.kind == EntryKind::OpaqueDir && entry.path.is_empty());
        let first = self.layers.iter().rposition(empties).unwrap_or(0);
        &self.layers[first..]
    }
}

#[cfg(test)]
mod tests;
