//! What is refused when a manifest arrives. By default only what can never become a build; the settings can ask for more, as far as it can be
//! known from what is already here. Manifests by digest are parts of something and always let in, and so is what speaks about an image:
//! signatures, lists of contents, attestations.

use std::sync::Arc;

use model::name::Reference;
use registry::{Arrival, Door, TurnedAway};
use serde::Deserialize;

use crate::{
    app::App,
    config::DoorRule,
    error::chain,
    gate,
    ops::take_push::{Unclaimed, bind},
};

/// The page about pushing.
const PAGE: &str = "/docs/pushing";

/// What a manifest pushed under a tag is to the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An image or an index: it may become a build.
    Image,
    /// It speaks about an image, or is a list of what does: no build, and no mistake either.
    Attachment,
    /// Something else, with the type it says it has.
    Other(String),
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "mediaType", default)]
    media_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    config: Option<Config>,
    artifact_type: Option<String>,
    subject: Option<serde::de::IgnoredAny>,
}

/// The tags under which clients keep what speaks about `sha256:<hex>` when a registry has no list of it, or always: `sha256-<hex>`, with
/// `.sig` and the like behind it.
fn is_about_a_digest(tag: &str) -> bool {
    let digest = tag.split_once('.').map_or(tag, |(digest, _)| digest);
    let Some((algorithm, hex)) = digest.split_once('-') else { return false };
    matches!((algorithm, hex.len()), ("sha256", 64) | ("sha512", 128)) && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Types of packages that have registries of their own. The standard lets a registry keep any artifact, so by default only these are refused:
/// whoever pushes one here has mistaken the address.
const PACKAGES: [&str; 8] = [
    "application/vnd.cncf.flux.",
    "application/vnd.cncf.helm.",
    "application/vnd.docker.compose.",
    "application/vnd.docker.plugin.",
    "application/vnd.module.wasm.",
    "application/vnd.sylabs.sif.",
    "application/vnd.unknown.",
    "application/vnd.wasm.",
];

fn is_package(says: &str) -> bool {
    PACKAGES.iter().any(|start| says.starts_with(start))
}

/// What a manifest is, by its tag, its type and its text.
pub fn kind(tag: &str, media_type: &str, bytes: &[u8]) -> Kind {
    if is_about_a_digest(tag) {
        return Kind::Attachment;
    }
    let manifest = serde_json::from_slice::<Manifest>(bytes).ok();
    let speaks_of = manifest.as_ref().is_some_and(|manifest| manifest.subject.is_some());
    let named = manifest.as_ref().and_then(|manifest| manifest.artifact_type.clone()).filter(|name| !name.is_empty());
    let config = manifest.and_then(|manifest| manifest.config).map(|config| config.media_type).unwrap_or_default();
    let (is_image, says) = match media_type {
        "application/vnd.oci.image.index.v1+json" | "application/vnd.docker.distribution.manifest.list.v2+json" => {
            (!(speaks_of && named.is_some()), named)
        }
        "application/vnd.oci.image.manifest.v1+json" | "application/vnd.docker.distribution.manifest.v2+json" => {
            let images = ["", "application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
            (images.contains(&config.as_str()), named.or(Some(config)))
        }
        other => (false, named.or_else(|| Some(other.to_owned()))),
    };
    match says {
        _ if is_image => Kind::Image,
        // A database of advisories, kept for others to fetch.
        Some(says) if says == scan::advisories::ARTIFACT_TYPE => Kind::Attachment,
        _ if speaks_of => Kind::Attachment,
        says => Kind::Other(says.unwrap_or_default().chars().take(120).collect()),
    }
}

/// The door with the rules of the settings.
pub fn door(app: &Arc<App>) -> Door {
    let app = app.clone();
    Arc::new(move |arrival| {
        let app = app.clone();
        Box::pin(async move { decide(&app, &arrival).await })
    })
}

async fn decide(app: &Arc<App>, arrival: &Arrival) -> Result<(), TurnedAway> {
    let Reference::Tag(tag) = &arrival.reference else { return Ok(()) };
    let rules = &app.config.registry.door.refuse;
    match kind(tag.as_str(), &arrival.media_type, &arrival.bytes) {
        Kind::Attachment => Ok(()),
        Kind::Other(says) if rules.contains(&DoorRule::NotAnImage) => Err(not_an_image(&says)),
        Kind::Other(says) if rules.contains(&DoorRule::Package) && is_package(&says) => Err(not_an_image(&says)),
        Kind::Other(_) => Ok(()),
        Kind::Image if rules.contains(&DoorRule::Unclaimed) || rules.contains(&DoorRule::Invalid) => inside(app, arrival, rules).await,
        Kind::Image => Ok(()),
    }
}

fn not_an_image(says: &str) -> TurnedAway {
    let sentence = format!(
        "{says:?} is no container image, and only images become builds; push an image built with docker, podman or buildah, or attach this \
         to one as a referrer (with \"subject\")"
    );
    TurnedAway { code: "not-an-image".into(), sentence, page: PAGE.into() }
}

/// What the layers tell, as far as they were read while they arrived. What cannot be known now is judged later.
async fn inside(app: &Arc<App>, arrival: &Arrival, rules: &[DoorRule]) -> Result<(), TurnedAway> {
    let looked = match gate::look_at_arrival(app, arrival).await {
        Ok(looked) => looked,
        Err(error) => {
            tracing::debug!(repository = %arrival.repository, error = chain(&*error), "the door cannot see inside; the gate will");
            return Ok(());
        }
    };
    let tag = if let Reference::Tag(tag) = &arrival.reference { Some(tag.as_str()) } else { None };
    let bound = match bind(app, &arrival.repository, &looked).await {
        Ok(bound) => bound,
        Err(error) => {
            tracing::warn!(error = chain(&error), "the door could not ask the database; the gate will");
            return Ok(());
        }
    };
    match bound {
        Err(unclaimed) if rules.contains(&DoorRule::Unclaimed) => Err(unclaimed_push(unclaimed)),
        Ok(engine) if rules.contains(&DoorRule::Invalid) => match gate::first_blocking(app, &engine, &looked, tag) {
            Some(finding) => {
                let sentence = format!("{}; {}", finding.message.trim_end_matches('.'), finding.fix);
                Err(TurnedAway { page: page_of(&finding.code), code: finding.code, sentence })
            }
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn unclaimed_push(unclaimed: Unclaimed) -> TurnedAway {
    let sentence = format!("{}; {}", unclaimed.reason.trim_end_matches('.'), unclaimed.fix);
    TurnedAway { page: page_of(&unclaimed.code), code: unclaimed.code, sentence }
}

/// Where a rule is explained.
pub fn page_of(code: &str) -> String {
    let check = model::finding::check_of(code);
    if checks::explain::page(check).is_some() { format!("/docs/checks/{check}") } else { PAGE.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    fn of(tag: &str, media_type: &str, document: &Value) -> Kind {
        kind(tag, media_type, &serde_json::to_vec(document).unwrap())
    }

    fn with_config(media_type: &str) -> Value {
        json!({ "schemaVersion": 2, "config": { "mediaType": media_type }, "layers": [] })
    }

    #[test]
    fn images_and_indexes_may_become_builds() {
        for config in ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json", ""] {
            assert_eq!(of("v1", IMAGE, &with_config(config)), Kind::Image);
            assert_eq!(of("v1", "application/vnd.docker.distribution.manifest.v2+json", &with_config(config)), Kind::Image);
        }
        let attested = json!({ "schemaVersion": 2, "manifests": [
            { "platform": { "os": "linux", "architecture": "amd64" } }, { "platform": { "os": "unknown", "architecture": "unknown" } }] });
        assert_eq!(of("v1", INDEX, &attested), Kind::Image);
        // An image stays one when it says what it was made from.
        let mut image = with_config("application/vnd.oci.image.config.v1+json");
        image["subject"] = json!({ "digest": "x" });
        assert_eq!(of("v1", IMAGE, &image), Kind::Image);
    }

    #[test]
    fn what_speaks_about_an_image_is_let_in() {
        let mut sbom = with_config("application/vnd.oci.empty.v1+json");
        sbom["subject"] = json!({ "digest": "x" });
        sbom["artifactType"] = json!("application/spdx+json");
        assert_eq!(of("sbom", IMAGE, &sbom), Kind::Attachment);
        let hex = "a".repeat(64);
        for tag in
            [format!("sha256-{hex}"), format!("sha256-{hex}.sig"), format!("sha256-{hex}.att"), format!("sha512-{}", "0".repeat(128))]
        {
            assert_eq!(of(&tag, INDEX, &json!({ "schemaVersion": 2, "manifests": [] })), Kind::Attachment, "{tag}");
        }
        for tag in ["sha256-abc", "sha256", "v1.sig", &format!("md5-{hex}")] {
            assert_eq!(of(tag, INDEX, &json!({ "schemaVersion": 2, "manifests": [] })), Kind::Image, "{tag}");
        }
    }

    #[test]
    fn charts_and_other_artifacts_are_no_images() {
        let chart = "application/vnd.cncf.helm.config.v1+json";
        assert_eq!(of("1.0.0", IMAGE, &with_config(chart)), Kind::Other(chart.into()));
        let mut artifact = with_config("application/vnd.oci.empty.v1+json");
        artifact["artifactType"] = json!("application/x-model");
        assert_eq!(of("v1", IMAGE, &artifact), Kind::Other("application/x-model".into()));
        assert_eq!(kind("v1", "application/x-thing", b"\x00"), Kind::Other("application/x-thing".into()));
        assert!(is_package(chart) && is_package("application/vnd.unknown.artifact.v1"));
        for kept in ["application/x-model", "application/vnd.oci.empty.v1+json", "application/spdx+json", ""] {
            assert!(!is_package(kept), "{kept}");
        }
        let away = not_an_image(chart);
        assert!(away.sentence.contains(chart) && away.sentence.contains("push an image"), "{away:?}");
    }

    #[test]
    fn a_rule_leads_to_its_page() {
        assert_eq!(page_of("manifest.engineId"), "/docs/checks/manifest");
        assert_eq!(page_of("nonsense.rule"), PAGE);
    }
}
