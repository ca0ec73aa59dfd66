//! What can go wrong: [`ImageProblem`] is the image's fault and becomes a finding, [`Error`] kept us from looking and never does.

use std::{io, path::PathBuf};

use model::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::{evidence::LayerProblem, platform::Platform};

/// Why an image, or a part of it, could not be read or unpacked by us.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of ours or of the layout could not be used.
    #[error("cannot {action} {}: {source}", .path.display())]
    File {
        /// `open`, `read`, `make`...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A blob could not be read to its end.
    #[error("cannot read blob {digest}: {source}")]
    Blob {
        /// Which.
        digest: Digest,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The source has no such blob.
    #[error("blob {digest} is missing in {place}; the image is incomplete, save or push it again")]
    BlobMissing {
        /// Which.
        digest: Digest,
        /// Where it was looked for.
        place: String,
    },
    /// A blob is larger than what is read into memory at once.
    #[error("blob {digest} has {size} bytes, more than the limit of {limit}")]
    BlobTooLarge {
        /// Which.
        digest: Digest,
        /// Its size.
        size: u64,
        /// The cap.
        limit: u64,
    },
    /// The text names no image.
    #[error("{text:?} names no image; write oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:TAG]")]
    Transport {
        /// As typed.
        text: String,
    },
    /// An image in a registry.
    #[error("images are not read straight from a registry; save it first: skopeo copy {text} oci-archive:image.tar")]
    Unsupported {
        /// As typed.
        text: String,
    },
    /// The file or folder is no image layout.
    #[error("{} is not {expected}: {reason}", .path.display())]
    Layout {
        /// The file or folder.
        path: PathBuf,
        /// Such as `an OCI archive`.
        expected: &'static str,
        /// What is missing or malformed in it.
        reason: String,
    },
    /// The whole archive is compressed and cannot be read in place.
    #[error("{} is compressed with {compression}; unpack it first: {command} {}", .path.display(), .path.display())]
    CompressedArchive {
        /// The file.
        path: PathBuf,
        /// Such as `gzip`.
        compression: &'static str,
        /// Such as `gunzip`.
        command: &'static str,
    },
    /// No image with that tag, or several images and no tag.
    #[error("{} holds {found}; name one of them, like {example}", .path.display())]
    Tag {
        /// The file or folder.
        path: PathBuf,
        /// What it holds, in words.
        found: String,
        /// How to write it.
        example: String,
    },
    /// A layer is broken and cannot be unpacked.
    #[error("layer {digest} cannot be unpacked: {problem}")]
    BrokenLayer {
        /// Which.
        digest: Digest,
        /// What is wrong with it.
        problem: LayerProblem,
    },
    /// A blob changed between two reads.
    #[error("blob {digest} changed while it was used: its content no longer has that digest")]
    BlobChanged {
        /// Which.
        digest: Digest,
    },
    /// A member of a layer could not be written to disk.
    #[error("cannot unpack {path:?} of layer {digest}: {source}")]
    Unpack {
        /// Which layer.
        digest: Digest,
        /// Path in the image.
        path: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file could not be put into a layer that is being made.
    #[error("cannot put {path:?} into a layer: {source}")]
    Pack {
        /// Path in the image.
        path: String,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// A hard link names a file that its layer does not contain.
    #[error("cannot unpack layer {digest}: the hard link {path:?} names {target:?}, which the same layer does not contain")]
    LinkTarget {
        /// Which layer.
        digest: Digest,
        /// The link.
        path: String,
        /// Its target.
        target: String,
    },
}

/// Why an image cannot be tested: its own fault, told to its developer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "problem", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ImageProblem {
    /// The manifest or index is no JSON, or lacks what every manifest has.
    #[error("the image manifest {digest} is malformed: {reason}")]
    Manifest {
        /// Which.
        digest: Digest,
        /// What is wrong.
        reason: String,
    },
    /// The image config is no JSON, or lacks what every config has.
    #[error("the image config {digest} is malformed: {reason}")]
    Config {
        /// Which.
        digest: Digest,
        /// What is wrong.
        reason: String,
    },
    /// A manifest, index or config is larger than the cap.
    #[error("{what} {digest} has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// `manifest`, `config` or `blob`.
        what: String,
        /// Which.
        digest: Digest,
        /// Its size.
        size: u64,
        /// The cap.
        limit: u64,
    },
    /// No image for the wanted platform.
    #[error("the image is for {}, this gate runs {wanted}; build it with --platform {wanted}", .found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Platform {
        /// What the gate runs.
        wanted: Platform,
        /// What the image offers, in its own order, without repetitions.
        found: Vec<Platform>,
    },
    /// Something else than a container image: a chart, a signature, an attestation...
    #[error("{media_type:?} is not a container image; push an image built with docker, podman or buildah")]
    NotAnImage {
        /// What it says it is.
        media_type: String,
    },
    /// An index with nothing in it.
    #[error("the image index {digest} names no image")]
    EmptyIndex {
        /// Which.
        digest: Digest,
    },
    /// Indexes inside indexes, too deep.
    #[error("image indexes are nested more than {limit} deep; push the image itself")]
    TooDeep {
        /// The cap.
        limit: usize,
    },
    /// More layers than the cap.
    #[error("the image has {count} layers, more than the limit of {limit}; merge some of them")]
    TooManyLayers {
        /// How many.
        count: usize,
        /// The cap.
        limit: usize,
    },
    /// A blob is not what its digest says.
    #[error("blob {digest} is not what its digest says: its content has {actual}")]
    Digest {
        /// As named in the manifest.
        digest: Digest,
        /// What it is.
        actual: Digest,
    },
    /// A blob is not as long as its descriptor says.
    #[error("blob {digest} has {actual} bytes, the manifest says {size}")]
    Size {
        /// Which.
        digest: Digest,
        /// As named in the manifest.
        size: u64,
        /// What it is.
        actual: u64,
    },
    /// A blob the manifest names is not there.
    #[error("the image is incomplete: blob {digest} is missing; save or push it again")]
    BlobMissing {
        /// Which.
        digest: Digest,
    },
}

/// Why an inspection ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The image is at fault.
    #[error(transparent)]
    Image(#[from] ImageProblem),
    /// We could not read it.
    #[error(transparent)]
    Read(#[from] Error),
}

impl InspectError {
    /// Tells a blob that is not there or too large (the image's fault) from one that could not be read.
    pub(crate) fn from_source(error: Error) -> Self {
        match error {
            Error::BlobMissing { digest, .. } => Self::Image(ImageProblem::BlobMissing { digest }),
            Error::BlobTooLarge { digest, size, limit } => {
                Self::Image(ImageProblem::TooLarge { what: "blob".to_owned(), digest, size, limit })
            }
            other => Self::Read(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_huge_blob_is_the_images_fault() {
        let digest = Digest::of(b"");
        let error = InspectError::from_source(Error::BlobMissing { digest: digest.clone(), place: "x".into() });
        assert!(matches!(error, InspectError::Image(ImageProblem::BlobMissing { .. })));
        let error = InspectError::from_source(Error::BlobTooLarge { digest: digest.clone(), size: 2, limit: 1 });
        assert!(matches!(error, InspectError::Image(ImageProblem::TooLarge { size: 2, limit: 1, .. })));
        let error = InspectError::from_source(Error::Blob { digest, source: io::ErrorKind::PermissionDenied.into() });
        assert!(matches!(error, InspectError::Read(Error::Blob { .. })));
    }

    #[test]
    fn a_wrong_platform_is_named() {
        let found = vec![Platform::new("windows", "amd64"), Platform::new("linux", "arm64")];
        let problem = ImageProblem::Platform { wanted: Platform::new("linux", "amd64"), found };
        assert_eq!(
            problem.to_string(),
            "the image is for windows/amd64, linux/arm64, this gate runs linux/amd64; build it with --platform linux/amd64"
        );
    }

    #[test]
    fn problems_keep_their_words_in_json() {
        let problem = ImageProblem::NotAnImage { media_type: "application/vnd.cncf.helm.config.v1+json".into() };
        let text = serde_json::to_string(&problem).unwrap();
        assert_eq!(text, r#"{"problem":"notAnImage","mediaType":"application/vnd.cncf.helm.config.v1+json"}"#);
        assert_eq!(serde_json::from_str::<ImageProblem>(&text).unwrap(), problem);
    }
}
