//! Reads the image and its manifest. Never fails: what could not be read is part of the evidence.

use std::sync::Arc;

use image::{BlobSource, Caps, EntryKind, ImageProblem, InspectError, Inspection, LayerEvidence, Platform, ReadFileError};
use model::{
    digest::Digest,
    manifest::{MANIFEST_MAX_BYTES, MANIFEST_PATH},
};

use super::{ImageEvidence, ImageFacts, LayerFacts, ManifestEvidence, SecurityEvidence, StaticEvidence};

/// Looks at the image `top` of a source. Layers whose evidence `known` brings are not read again. Blocks; call it on a thread that may.
pub fn gather_static(
    source: &dyn BlobSource,
    top: &Digest,
    platform: &Platform,
    known: &mut dyn FnMut(&Digest) -> Option<Arc<LayerEvidence>>,
) -> StaticEvidence {
    let inspection = match image::inspect(source, top, platform, Caps::default(), known) {
        Ok(inspection) => inspection,
        Err(InspectError::Image(problem)) => return without_image(top, ImageEvidence::AtFault(problem), ManifestEvidence::NoImage),
        Err(InspectError::Read(error)) => {
            let reason = chain(&error);
            return without_image(top, ImageEvidence::Unread(reason.clone()), ManifestEvidence::Unread(reason));
        }
    };
    let manifest = manifest_of(&inspection, source);
    let image = ImageEvidence::Read(Box::new(facts_of(&inspection)));
    StaticEvidence {
        top: top.clone(),
        image,
        manifest,
        security: SecurityEvidence::NoDatabase,
        inventory: None,
        inspection: Some(inspection),
    }
}

fn without_image(top: &Digest, image: ImageEvidence, manifest: ManifestEvidence) -> StaticEvidence {
    StaticEvidence { top: top.clone(), image, manifest, security: SecurityEvidence::NoDatabase, inventory: None, inspection: None }
}

/// What is in `/dev` is hidden by the sandbox's own, as it is everywhere.
fn devices(layer: &LayerEvidence) -> Vec<String> {
    let outside = layer.entries.iter().filter(|entry| entry.kind == EntryKind::Device && !entry.path.starts_with("dev/"));
    outside.take(LayerFacts::DEVICES).map(|entry| entry.path.clone()).collect()
}

fn facts_of(inspection: &Inspection) -> ImageFacts {
    let layer = |layer: &Arc<LayerEvidence>| LayerFacts {
        digest: layer.digest.clone(),
        diff_id: layer.diff_id.clone(),
        problems: layer.problems.clone(),
        devices: devices(layer),
    };
    ImageFacts {
        image: inspection.image.clone(),
        config: inspection.config.clone(),
        layers: inspection.layers.iter().map(layer).collect(),
        uncompressed_size: inspection.uncompressed_size(),
    }
}

fn manifest_of(inspection: &Inspection, source: &dyn BlobSource) -> ManifestEvidence {
    let broken = inspection.layers.iter().any(|layer| layer.broken().is_some());
    let unusable = ManifestEvidence::Unusable;
    match inspection.read_file(source, MANIFEST_PATH, MANIFEST_MAX_BYTES) {
        Ok(file) => ManifestEvidence::found(&file.path, file.bytes),
        // It may well be in the part of a layer that could not be read.
        Err(ReadFileError::Missing { .. }) if broken => ManifestEvidence::NoImage,
        Err(ReadFileError::Missing { path }) if path == MANIFEST_PATH.trim_start_matches('/') || !is_link(inspection) => {
            ManifestEvidence::Missing
        }
        Err(ReadFileError::Missing { path }) => unusable(format!("is a link that leads to /{path}, which is not in the image")),
        Err(ReadFileError::IsDir { .. }) => unusable("is a directory".to_owned()),
        Err(ReadFileError::NotAFile { .. }) => unusable("is not a regular file".to_owned()),
        Err(ReadFileError::TooLarge { size, limit, .. }) => unusable(format!("has {size} bytes, more than the limit of {limit}")),
        Err(ReadFileError::Loop { .. }) => unusable("leads through more than 40 symbolic links".to_owned()),
        Err(ReadFileError::Read(image::Error::BlobMissing { .. } | image::Error::BrokenLayer { .. })) => ManifestEvidence::NoImage,
        Err(ReadFileError::Read(error)) => ManifestEvidence::Unread(chain(&error)),
    }
}

/// Whether something stands at the manifest's path, be it a link to nowhere.
fn is_link(inspection: &Inspection) -> bool {
    inspection.tree.get(MANIFEST_PATH).is_some()
}

/// An error with all its causes, each once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let further = error.to_string();
        if !text.contains(&further) {
            text = format!("{text}: {further}");
        }
        cause = error.source();
    }
    text
}

/// The image's own fault behind an error of reading, if it is one.
pub(super) fn fault_of(error: &image::Error) -> Option<String> {
    match error {
        image::Error::BrokenLayer { problem, .. } => Some(problem.to_string()),
        image::Error::LinkTarget { path, target, .. } => {
            Some(format!("the hard link {path:?} names {target:?}, which its layer does not contain"))
        }
        image::Error::BlobMissing { digest, .. } => Some(ImageProblem::BlobMissing { digest: digest.clone() }.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use image::pack::{File, Pack, broken::Fault};
    use model::manifest::EngineMode;

    use super::*;

    fn pack() -> Pack {
        Pack::new(Platform::new("linux", "amd64")).entrypoint(["/engine"])
    }

    fn gather(pack: Pack) -> StaticEvidence {
        let packed = pack.build().unwrap();
        let top = packed.top().clone();
        gather_static(&packed, &top, &Platform::new("linux", "amd64"), &mut |_| None)
    }

    fn manifest(files: Vec<File>) -> ManifestEvidence {
        gather(pack().layer(files)).manifest
    }

    #[test]
    fn the_manifest_of_the_top_layer_is_read_through_links() {
        let lower = vec![File::new("var/manifest.json", 0o644, "{}")];
        let upper = vec![File::symlink("var/manifest.json", "../opt/m.json"), File::new("opt/m.json", 0o644, r#"{"engineMode": "chunk"}"#)];
        let evidence = gather(pack().layer(lower).layer(upper));
        let ManifestEvidence::Found { path, manifest: Some(manifest), .. } = evidence.manifest else { panic!("{:?}", evidence.manifest) };
        assert_eq!((path.as_str(), manifest.engine_mode), ("opt/m.json", EngineMode::Chunk));
        let ImageEvidence::Read(facts) = evidence.image else { panic!() };
        assert_eq!((facts.layers.len(), facts.config.entrypoint), (2, Some(vec!["/engine".to_owned()])));
    }

    #[test]
    fn each_unusable_manifest_says_why() {
        assert_eq!(manifest(vec![File::new("a", 0o644, "")]), ManifestEvidence::Missing);
        let why = |files| match manifest(files) {
            ManifestEvidence::Unusable(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(vec![File::dir("var/manifest.json", 0o755)]), "is a directory");
        assert_eq!(
            why(vec![File::symlink("var/manifest.json", "/gone/m.json")]),
            "is a link that leads to /gone, which is not in the image"
        );
        assert_eq!(why(vec![File::symlink("var/manifest.json", "/var/manifest.json")]), "leads through more than 40 symbolic links");
        // Ten characters again and again: of one alone the layer would be too good to be true.
        let large = b"{\"a\": [1,]".repeat(20_000_000);
        assert_eq!(why(vec![File::new("var/manifest.json", 0o644, large)]), "has 200000000 bytes, more than the limit of 1048576");
    }

    #[test]
    fn a_broken_layer_hides_the_manifest_and_is_the_images_fault() {
        let evidence = gather(pack().with_raw_layer("no archive", "application/vnd.oci.image.layer.v1.tar"));
        assert_eq!(evidence.manifest, ManifestEvidence::NoImage);
        let ImageEvidence::Read(facts) = evidence.image else { panic!() };
        assert_eq!(facts.layers[0].problems, [image::LayerProblem::NotATar]);
        let missing = gather(pack().layer(vec![File::new("a", 0o644, "x")]).broken(Fault::MissingLayer(0)));
        assert!(matches!(missing.image, ImageEvidence::AtFault(ImageProblem::BlobMissing { .. })));
    }

    #[test]
    fn what_we_cannot_read_is_not_the_images_fault() {
        struct Unreadable;
        impl BlobSource for Unreadable {
            fn open(&self, digest: &Digest) -> Result<Box<dyn std::io::Read + Send>, image::Error> {
                Err(image::Error::Blob { digest: digest.clone(), source: std::io::Error::other("the disk is on fire") })
            }
            fn size(&self, _: &Digest) -> Result<u64, image::Error> {
                Ok(10)
            }
        }
        let evidence = gather_static(&Unreadable, &Digest::of(b"x"), &Platform::host(), &mut |_| None);
        let ImageEvidence::Unread(reason) = evidence.image else { panic!() };
        assert!(reason.ends_with("the disk is on fire"), "{reason}");
        assert!(matches!(evidence.manifest, ManifestEvidence::Unread(_)));
    }
}
