//! From an index or manifest to the one image to test: OCI image index and manifest, Docker manifest list and manifest v2 schema 2.

use std::collections::BTreeMap;

use model::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    config::{self, ImageConfig},
    error::{Error, ImageProblem, InspectError},
    platform::Platform,
};

/// Bytes of an index or manifest; the limit registries have too.
pub const MANIFEST_LIMIT: u64 = 4 << 20;
/// Layers of one image.
pub const LAYER_LIMIT: usize = 512;
/// Indexes inside indexes.
const DEPTH: usize = 3;
/// Manifests read while looking for the right one in an index that does not say what its manifests are for.
const TRIES: usize = 16;

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1";
/// Docker image manifest, version 2, schema 2.
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The config of a Docker image.
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYERS: [&str; 4] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
];

/// A reference to a blob, as every manifest writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type; empty if the manifest gives none.
    #[serde(default)]
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// In an index: what the image is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Free text by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The image that was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageRef {
    /// Digest of its manifest.
    pub manifest_digest: Digest,
    /// Digest of what was pushed or named: the same, or that of an index above it.
    pub top_digest: Digest,
    /// Media type of the manifest.
    pub media_type: String,
    /// Its config.
    pub config: Descriptor,
    /// Its layers, bottom to top.
    pub layers: Vec<Descriptor>,
    /// What its config says it is for.
    pub platform: Platform,
}

impl ImageRef {
    /// Sum of the layers as transferred, bytes.
    pub fn transferred_size(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
    }
}

/// What a manifest and an index may contain, together: which of them it is shows only then.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

/// Chooses the image for `platform` from an index, or checks that a single manifest is for it.
///
/// `get` brings a further blob (a nested manifest, the config); it is asked for at most a few, and its bytes are checked against size and
/// digest here. A blob it reports as [`Error::BlobMissing`] is the image's fault, any other error is ours.
pub fn select(
    top_bytes: &[u8],
    platform: &Platform,
    get: &mut dyn FnMut(&Digest) -> Result<Vec<u8>, Error>,
) -> Result<ImageRef, InspectError> {
    let top = Digest::of(top_bytes);
    let mut search = Search { top: top.clone(), platform, get, tries: 0 };
    search.look(top_bytes, &top, None, 0)
}

struct Search<'a> {
    top: Digest,
    platform: &'a Platform,
    get: &'a mut dyn FnMut(&Digest) -> Result<Vec<u8>, Error>,
    tries: usize,
}

impl Search<'_> {
    /// `hint` is what the index above says the image is for.
    fn look(&mut self, bytes: &[u8], digest: &Digest, hint: Option<&Platform>, depth: usize) -> Result<ImageRef, InspectError> {
        let malformed = |reason: String| InspectError::Image(ImageProblem::Manifest { digest: digest.clone(), reason });
        let not_an_image = |media_type: &str| InspectError::Image(ImageProblem::NotAnImage { media_type: config::shown(media_type) });
        if bytes.len() as u64 > MANIFEST_LIMIT {
            return Err(too_large("manifest", digest, bytes.len() as u64, MANIFEST_LIMIT));
        }
        let document: Document = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        let media_type = document.media_type.as_deref().unwrap_or_default();
        if document.fs_layers.is_some() || document.schema_version == Some(1) || media_type.starts_with(DOCKER_SCHEMA_1) {
            return Err(not_an_image("Docker image manifest, schema 1"));
        }
        if document.manifests.is_some() && (document.layers.is_some() || document.config.is_some()) {
            return Err(malformed("it is an index and a manifest at the same time".to_owned()));
        }
        match (media_type, document.manifests, document.config, document.layers) {
            (OCI_INDEX | DOCKER_LIST | "", Some(manifests), _, _) => self.choose(manifests, digest, depth),
            (OCI_MANIFEST | DOCKER_MANIFEST | "", _, Some(config), Some(layers)) => {
                let media_type = if media_type.is_empty() { OCI_MANIFEST } else { media_type };
                let artifact = document.artifact_type.as_deref();
                self.image(digest, media_type, artifact, config, layers, hint)
            }
            (OCI_INDEX | DOCKER_LIST, ..) => Err(malformed("an index needs \"manifests\"".to_owned())),
            (OCI_MANIFEST | DOCKER_MANIFEST | "", ..) => Err(malformed("a manifest needs \"config\" and \"layers\"".to_owned())),
            (other, ..) => Err(not_an_image(other)),
        }
    }

    fn choose(&mut self, manifests: Vec<Descriptor>, digest: &Digest, depth: usize) -> Result<ImageRef, InspectError> {
        if depth == DEPTH {
            return Err(ImageProblem::TooDeep { limit: DEPTH }.into());
        }
        let images: Vec<Descriptor> = manifests.into_iter().filter(|descriptor| !is_attestation(descriptor)).collect();
        if images.is_empty() {
            return Err(ImageProblem::EmptyIndex { digest: digest.clone() }.into());
        }
        let fits = |descriptor: &&Descriptor| descriptor.platform.as_ref().is_some_and(|platform| platform.runs_on(self.platform));
        // A variant may ask for a processor newer than the host's, so an image without one comes first.
        let plain =
            images.iter().filter(fits).find(|descriptor| descriptor.platform.as_ref().is_some_and(|platform| platform.variant.is_none()));
        if let Some(chosen) = plain.or_else(|| images.iter().find(fits)) {
            return self.follow(chosen, depth);
        }
        let mut found: Vec<Platform> = images.iter().filter_map(|descriptor| descriptor.platform.clone()).collect();
        let mut last = None;
        for descriptor in images.iter().filter(|descriptor| descriptor.platform.is_none()) {
            self.tries += 1;
            if self.tries > TRIES {
                break;
            }
            match self.follow(descriptor, depth) {
                Err(InspectError::Image(ImageProblem::Platform { found: further, .. })) => found.extend(further),
                Err(InspectError::Image(problem @ ImageProblem::NotAnImage { .. })) => last = Some(problem),
                outcome => return outcome,
            }
        }
        match last {
            Some(problem) if found.is_empty() => Err(problem.into()),
            _ => Err(wrong_platform(self.platform, found)),
        }
    }

    fn follow(&mut self, descriptor: &Descriptor, depth: usize) -> Result<ImageRef, InspectError> {
        let bytes = self.bring("manifest", descriptor, MANIFEST_LIMIT)?;
        self.look(&bytes, &descriptor.digest, descriptor.platform.as_ref(), depth + 1)
    }

    fn image(
        &mut self,
        digest: &Digest,
        media_type: &str,
        artifact: Option<&str>,
        config: Descriptor,
        layers: Vec<Descriptor>,
        hint: Option<&Platform>,
    ) -> Result<ImageRef, InspectError> {
        let not_an_image = |media_type: &str| Err(ImageProblem::NotAnImage { media_type: config::shown(media_type) }.into());
        if !matches!(config.media_type.as_str(), OCI_CONFIG | DOCKER_CONFIG | "") {
            return not_an_image(artifact.filter(|artifact| !artifact.is_empty()).unwrap_or(&config.media_type));
        }
        if let Some(other) = layers.iter().find(|layer| !is_layer(&layer.media_type)) {
            return not_an_image(&other.media_type);
        }
        if layers.len() > LAYER_LIMIT {
            return Err(ImageProblem::TooManyLayers { count: layers.len(), limit: LAYER_LIMIT }.into());
        }
        let bytes = self.bring("config", &config, config::CONFIG_LIMIT)?;
        let stated = ImageConfig::parse(&bytes, &config.digest)?.platform();
        let platform = match hint {
            Some(hint) if stated.os.is_empty() && stated.architecture.is_empty() => hint.clone(),
            _ => stated,
        };
        if !platform.runs_on(self.platform) {
            return Err(wrong_platform(self.platform, vec![platform]));
        }
        let (manifest_digest, top_digest) = (digest.clone(), self.top.clone());
        Ok(ImageRef { manifest_digest, top_digest, media_type: media_type.to_owned(), config, layers, platform })
    }

    fn bring(&mut self, what: &str, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, InspectError> {
        if descriptor.size > limit {
            return Err(too_large(what, &descriptor.digest, descriptor.size, limit));
        }
        let bytes = (self.get)(&descriptor.digest).map_err(InspectError::from_source)?;
        check(descriptor, &bytes)?;
        Ok(bytes)
    }
}

/// Holds bytes against the descriptor that names them.
pub(crate) fn check(descriptor: &Descriptor, bytes: &[u8]) -> Result<(), ImageProblem> {
    let (digest, size, actual) = (descriptor.digest.clone(), descriptor.size, bytes.len() as u64);
    if size != actual {
        return Err(ImageProblem::Size { digest, size, actual });
    }
    if !digest.matches(bytes) {
        return Err(ImageProblem::Digest { actual: Digest::of(bytes), digest });
    }
    Ok(())
}

pub(crate) fn too_large(what: &str, digest: &Digest, size: u64, limit: u64) -> InspectError {
    ImageProblem::TooLarge { what: what.to_owned(), digest: digest.clone(), size, limit }.into()
}

fn wrong_platform(wanted: &Platform, found: Vec<Platform>) -> InspectError {
    let mut named: Vec<Platform> = Vec::new();
    for platform in found {
        if named.len() < 20 && !named.contains(&platform) {
            named.push(platform);
        }
    }
    ImageProblem::Platform { wanted: wanted.clone(), found: named }.into()
}

/// What buildx adds next to an image: provenance and package lists, as manifests for no platform.
fn is_attestation(descriptor: &Descriptor) -> bool {
    descriptor.platform.as_ref().is_some_and(Platform::is_unknown)
        || descriptor.annotations.get("vnd.docker.reference.type").is_some_and(|kind| kind == "attestation-manifest")
}

/// Whether a media type is that of a file system layer, however compressed. An absent one is decided by the bytes.
fn is_layer(media_type: &str) -> bool {
    let known = |base: &str| media_type.strip_prefix(base).is_some_and(|rest| matches!(rest, "" | ".gzip" | ".zstd" | "+gzip" | "+zstd"));
    media_type.is_empty() || LAYERS.iter().any(|base| known(base))
}

#[cfg(test)]
mod tests;
