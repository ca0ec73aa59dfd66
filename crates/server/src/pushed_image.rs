//! A pushed image as `image` wants to read it: manifests from the database, everything else from the blobs, layer evidence from the pass
//! that stored the layer.

use std::{
    collections::HashMap,
    io::{Cursor, Read},
    sync::Arc,
};

use image::{ANALYSER_VERSION, BlobSource, Caps, LayerEvidence, LayerReader};
use model::{
    digest::{Algorithm, Digest},
    name::{Reference, RepoName},
};
use registry::{Tap, TapFactory};
use serde::Deserialize;
use store::{Db, blobs::Blobs, evidence::EvidenceFiles, manifests};

use crate::error::chain;

/// Manifests fetched for one push: an index, and what it names.
const MAX_MANIFESTS: usize = 200;

/// What is read of an image while its client waits: configs, and layers no larger than that, bytes.
const SMALL: u64 = 1 << 20;

/// Indexes inside indexes.
const MAX_DEPTH: usize = 3;

/// The blobs of one pushed image.
pub struct PushedImage {
    blobs: Blobs,
    manifests: HashMap<Digest, Vec<u8>>,
    /// Larger blobs are not read.
    largest: u64,
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Child>,
}

#[derive(Deserialize)]
struct Child {
    digest: Digest,
}

impl PushedImage {
    /// Fetches the manifest `top` and those it names, as far as the repository has them.
    ///
    /// # Errors
    /// The database refused.
    pub async fn load(db: &Db, blobs: &Blobs, repository: &RepoName, top: &Digest) -> Result<Self, store::Error> {
        let mut found = HashMap::new();
        gather(db, repository, vec![top.clone()], &mut found).await?;
        Ok(Self { blobs: blobs.clone(), manifests: found, largest: u64::MAX })
    }

    /// The same for a manifest that is not stored yet. Its layers are not read here: that would keep the client waiting.
    ///
    /// # Errors
    /// The database refused.
    pub async fn arriving(db: &Db, blobs: &Blobs, repository: &RepoName, top: &Digest, bytes: &[u8]) -> Result<Self, store::Error> {
        let mut found = HashMap::from([(top.clone(), bytes.to_vec())]);
        gather(db, repository, children(bytes), &mut found).await?;
        Ok(Self { blobs: blobs.clone(), manifests: found, largest: SMALL })
    }
}

/// Digests that an index names.
fn children(bytes: &[u8]) -> Vec<Digest> {
    let index: Index = serde_json::from_slice(bytes).unwrap_or(Index { manifests: Vec::new() });
    index.manifests.into_iter().map(|child| child.digest).collect()
}

async fn gather(db: &Db, repository: &RepoName, mut level: Vec<Digest>, found: &mut HashMap<Digest, Vec<u8>>) -> Result<(), store::Error> {
    for _ in 0..=MAX_DEPTH {
        let mut next = Vec::new();
        for digest in level {
            if found.len() >= MAX_MANIFESTS || found.contains_key(&digest) {
                continue;
            }
            let Some(manifest) = manifests::get(db, repository, &Reference::Digest(digest.clone())).await? else { continue };
            next.extend(children(&manifest.bytes));
            found.insert(digest, manifest.bytes);
        }
        level = next;
    }
    Ok(())
}

impl BlobSource for PushedImage {
    fn open(&self, digest: &Digest) -> Result<Box<dyn Read + Send>, image::Error> {
        if let Some(bytes) = self.manifests.get(digest) {
            return Ok(Box::new(Cursor::new(bytes.clone())));
        }
        if self.largest < u64::MAX && self.size(digest)? > self.largest {
            return Err(image::Error::BlobMissing { digest: digest.clone(), place: "what was read while it arrived".into() });
        }
        match self.blobs.reader(digest) {
            Ok(reader) => Ok(reader),
            Err(store::Error::BlobLost { .. }) => Err(missing(digest)),
            Err(error) => Err(unreadable(digest, &error)),
        }
    }

    fn size(&self, digest: &Digest) -> Result<u64, image::Error> {
        if let Some(bytes) = self.manifests.get(digest) {
            return Ok(bytes.len() as u64);
        }
        match self.blobs.size(digest) {
            Ok(size) => size.ok_or_else(|| missing(digest)),
            Err(error) => Err(unreadable(digest, &error)),
        }
    }
}

fn missing(digest: &Digest) -> image::Error {
    image::Error::BlobMissing { digest: digest.clone(), place: "this registry".into() }
}

/// The place of the blobs has a fault: that is ours, not the image's.
fn unreadable(digest: &Digest, error: &store::Error) -> image::Error {
    let error = chain(error);
    tracing::error!(%digest, error, "a blob cannot be read");
    image::Error::File { action: "read", path: digest.to_string().into(), source: std::io::Error::other(error) }
}

/// Evidence kept from the pass that stored a layer; `None` where it must be read again.
pub fn known_evidence(files: &EvidenceFiles, digest: &Digest) -> Option<Arc<LayerEvidence>> {
    let bytes = files.get(digest, ANALYSER_VERSION)?;
    let evidence = LayerEvidence::from_bytes(&bytes).ok()?;
    (evidence.digest == *digest).then(|| Arc::new(evidence))
}

/// Keeps the evidence of a layer that had to be read.
pub fn keep_evidence(files: &EvidenceFiles, evidence: &LayerEvidence) {
    let kept = evidence
        .to_bytes()
        .map_err(|error| error.to_string())
        .and_then(|bytes| files.put(&evidence.digest, ANALYSER_VERSION, &bytes).map_err(|error| chain(&error)));
    if let Err(error) = kept {
        tracing::warn!(digest = %evidence.digest, error, "evidence could not be kept; the layer will be read again when it is needed");
    }
}

/// Analyses each blob while the registry stores it.
struct LayerTap {
    reader: LayerReader,
    files: EvidenceFiles,
}

impl Tap for LayerTap {
    fn write(&mut self, chunk: &[u8]) {
        self.reader.write(chunk);
    }

    fn finish(self: Box<Self>, digest: &Digest) {
        // A blob of another algorithm, or one that is no layer at all, is read again if a manifest ever names it as a layer.
        if digest.algorithm() != Algorithm::Sha256 {
            return;
        }
        let evidence = self.reader.finish_as(digest.clone());
        if evidence.diff_id.is_some() {
            keep_evidence(&self.files, &evidence);
        }
    }
}

/// The tap the registry gives every upload to.
pub fn tap(files: EvidenceFiles) -> TapFactory {
    Arc::new(move || Box::new(LayerTap { reader: LayerReader::unhashed(Caps::default()), files: files.clone() }))
}
