//! Pushes an image from this machine to a registry, streaming: blobs first, then the manifests that name them.

use std::{collections::BTreeSet, io::Read, path::Path};

use anyhow::{Context, anyhow};
use image::{BlobSource, Opened};
use indicatif::ProgressBar;
use model::digest::Digest;
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol},
    secrets::RegistryAuth,
};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::progress;

/// Largest manifest pushed, bytes.
const MANIFEST_MAX: u64 = 4 << 20;

/// Bytes read at once.
const PIECE: usize = 256 << 10;

/// Where to push, and as whom.
pub struct Destination {
    /// `HOST/ORG/NAME:TAG`
    pub reference: Reference,
    /// Credentials.
    pub auth: RegistryAuth,
    /// Without TLS.
    pub plain_http: bool,
}

/// The parts of a manifest or index that name other content.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    media_type: Option<String>,
    config: Option<Named>,
    layers: Vec<Named>,
    manifests: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    digest: Digest,
}

/// Pushes the image; returns the digest of what was pushed.
///
/// # Errors
/// What could not be read or what the registry refused, with its own words.
pub async fn push(opened: Opened, to: &Destination) -> anyhow::Result<Digest> {
    let protocol = if to.plain_http { ClientProtocol::Http } else { ClientProtocol::Https };
    let client = Client::new(ClientConfig { protocol, use_monolithic_push: true, ..ClientConfig::default() });
    client.auth(&to.reference, &to.auth, oci_client::RegistryOperation::Push).await.context("the registry did not accept the login")?;
    client.store_auth_if_needed(to.reference.resolve_registry(), &to.auth).await;
    let source: std::sync::Arc<dyn BlobSource> = std::sync::Arc::from(opened.source);
    let mut done = BTreeSet::new();
    let mut waiting = vec![(opened.top.clone(), None)];
    // Children are pushed before whoever names them, so manifests are collected first and pushed in reverse.
    let mut manifests = Vec::new();
    while let Some((digest, parent)) = waiting.pop() {
        let bytes = read_small(&*source, &digest)?;
        let document: Document = serde_json::from_slice(&bytes).with_context(|| format!("manifest {digest} is no JSON"))?;
        for named in document.config.iter().chain(&document.layers) {
            if done.insert(named.digest.clone()) {
                push_blob(&client, to, &source, &named.digest).await?;
            }
        }
        // A child an archive does not carry (an attestation, another platform) cannot be pushed; the registry will say so.
        waiting.extend(document.manifests.into_iter().map(|child| (child.digest, Some(digest.clone()))));
        manifests.push((digest, parent.is_none(), document.media_type, bytes));
    }
    for (digest, top, media_type, bytes) in manifests.into_iter().rev() {
        let reference = if top { to.reference.clone() } else { to.reference.clone_with_digest(digest.to_string()) };
        let media_type = media_type.unwrap_or_else(|| "application/vnd.oci.image.manifest.v1+json".into());
        let pushed = client.push_manifest_raw(&reference, bytes, media_type.parse().context("the manifest's media type")?).await;
        pushed.with_context(|| format!("the registry refused manifest {digest}"))?;
    }
    Ok(opened.top)
}

fn read_small(source: &dyn BlobSource, digest: &Digest) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.open(digest)?.take(MANIFEST_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MANIFEST_MAX {
        return Err(anyhow!("manifest {digest} is larger than {MANIFEST_MAX} bytes"));
    }
    Ok(bytes)
}

async fn push_blob(client: &Client, to: &Destination, source: &std::sync::Arc<dyn BlobSource>, digest: &Digest) -> anyhow::Result<()> {
    let name = digest.to_string();
    if client.blob_exists(&to.reference, &name).await.unwrap_or(false) {
        return Ok(());
    }
    let size = source.size(digest)?;
    let bar = progress::bytes(size, digest.short());
    let (reader_source, reader_digest) = (source.clone(), digest.clone());
    let open = move || Ok(reader_source.open(&reader_digest)?);
    stream(&Target { client, to: &to.reference }, open, digest, size, &bar).await?;
    bar.finish_and_clear();
    Ok(())
}

/// Pushes a file as a blob, unless it is there.
///
/// # Errors
/// It cannot be read, or the registry refused it.
pub async fn push_file(client: &Client, to: &Reference, path: &Path, digest: &Digest, size: u64, bar: &ProgressBar) -> anyhow::Result<()> {
    if client.blob_exists(to, &digest.to_string()).await.unwrap_or(false) {
        return Ok(());
    }
    let path = path.to_owned();
    let open = move || -> anyhow::Result<Box<dyn Read + Send>> { Ok(Box::new(std::fs::File::open(&path)?)) };
    stream(&Target { client, to }, open, digest, size, bar).await
}

struct Target<'a> {
    client: &'a Client,
    to: &'a Reference,
}

async fn stream(
    target: &Target<'_>,
    open: impl FnOnce() -> anyhow::Result<Box<dyn Read + Send>> + Send + 'static,
    digest: &Digest,
    size: u64,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let (sender, receiver) = mpsc::channel(4);
    let counter = bar.clone();
    let reading = tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        let mut reader = open()?;
        loop {
            let mut piece = vec![0; PIECE];
            let read = reader.read(&mut piece)?;
            if read == 0 {
                return Ok(());
            }
            piece.truncate(read);
            counter.inc(read as u64);
            if sender.blocking_send(Ok(bytes::Bytes::from(piece))).is_err() {
                return Ok(());
            }
        }
    });
    let name = digest.to_string();
    let pushed = target.client.push_blob_stream(target.to, ReceiverStream::new(receiver), &name, Some(size)).await;
    reading.await.context("reading the blob")??;
    pushed.map(drop).with_context(|| format!("the registry refused blob {digest}"))
}
