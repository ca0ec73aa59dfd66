//! Attaches the lists of packages to the image in the registry, as referrers: whoever lists what speaks about the image finds them. They are
//! pushed by digest, so no tag moves and nothing is told in the outbox.

use model::{digest::Digest, name::RepoName};
use scan::sbom::{Format, render};
use serde_json::json;
use store::{
    builds::Build,
    manifests::{self, NewManifest, Put},
    repositories,
    uploads::Upload,
};

use crate::{app::App, clock, gate::Looked, sbom};

/// What an empty config is (OCI image specification).
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Attaches both formats to the image of a build. The same list gives the same content, so doing it again changes nothing.
///
/// # Errors
/// The store; also when the organization has no room left.
pub async fn attach_sbom(app: &App, build: &Build, looked: &Looked) -> Result<(), store::Error> {
    let Some(inventory) = looked.inventory() else { return Ok(()) };
    let Ok(repository) = build.repository.parse::<RepoName>() else { return Ok(()) };
    let Some(subject) = manifests::get(&app.db, &repository, &model::name::Reference::Digest(build.digest.clone())).await? else {
        // It was deleted meanwhile; there is nothing to speak about.
        return Ok(());
    };
    let config = keep(app, &repository, EMPTY).await?;
    for format in Format::ALL {
        let text = render(format, &sbom::subject(build, looked.created()), inventory);
        let layer = keep(app, &repository, text.as_bytes()).await?;
        let document = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": format.media_type(),
            "config": { "mediaType": EMPTY_TYPE, "digest": config, "size": EMPTY.len() },
            "layers": [{
                "mediaType": format.media_type(),
                "digest": layer,
                "size": text.len(),
                "annotations": { "org.opencontainers.image.title": format!("sbom.{}.json", format.as_str()) },
            }],
            "subject": { "mediaType": subject.media_type, "digest": subject.digest, "size": subject.bytes.len() },
        });
        let bytes = document.to_string().into_bytes();
        let new = NewManifest {
            repository: repository.clone(),
            tags: Vec::new(),
            digest: Digest::of(&bytes),
            media_type: MANIFEST_TYPE.to_owned(),
            artifact_type: Some(format.media_type().to_owned()),
            subject: Some(subject.digest.clone()),
            annotations: None,
            bytes: bytes.into(),
            blobs: vec![config.clone(), layer],
            manifests: Vec::new(),
            account: build.pushed_by.clone(),
            now: clock::now_ms(),
            quota: app.config.registry.quota_bytes,
        };
        if let Put::Missing(_) | Put::Held(_) = manifests::put(&app.db, new).await? {
            tracing::warn!(build = %build.id, "the list of packages could not be attached; it is attached when the build is tested again");
        }
    }
    Ok(())
}

/// Makes bytes a blob of the repository: on the disk first, then the row.
async fn keep(app: &App, repository: &RepoName, bytes: &[u8]) -> Result<Digest, store::Error> {
    let digest = Digest::of(bytes);
    let (blobs, to, named, content) = (app.blobs.clone(), repository.clone(), digest.clone(), bytes.to_vec());
    let writing = tokio::task::spawn_blocking(move || {
        let mut upload = Upload::create(&blobs, clock::new_id(), &to)?;
        upload.append(&content)?;
        upload.publish(&blobs, &named)
    });
    writing.await.map_err(|_| store::Error::Interrupted)??;
    repositories::add_blob(&app.db, repository, &digest, bytes.len() as u64, clock::now_ms(), app.config.registry.quota_bytes).await?;
    Ok(digest)
}
