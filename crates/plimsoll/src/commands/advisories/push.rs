//! `plimsoll advisories push`: keeps a database in a registry, for others to fetch.

use std::path::PathBuf;

use anyhow::Context;
use model::digest::{Digest, Hasher};
use oci_client::{
    Client, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
};
use scan::{Database, advisories::ARTIFACT_TYPE};
use serde_json::json;

use crate::{
    log,
    login::{Login, reference},
    progress,
    push::push_file,
};

const EMPTY: &[u8] = b"{}";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

#[derive(clap::Args)]
pub struct Args {
    /// The database
    file: PathBuf,
    /// HOST/ORG/NAME:TAG
    to: String,
    #[command(flatten)]
    login: Login,
}

/// Pushes a database that is whole.
pub fn push(args: &Args) -> anyhow::Result<()> {
    let database = Database::open(&args.file)?;
    database.verify().context("the database must not be used")?;
    crate::commands::runtime()?.block_on(send(args, &database))
}

async fn send(args: &Args, database: &Database) -> anyhow::Result<()> {
    let to = reference(&args.to)?;
    let protocol = if args.login.is_plain(&to) { ClientProtocol::Http } else { ClientProtocol::Https };
    let client = Client::new(ClientConfig { protocol, use_monolithic_push: true, ..ClientConfig::default() });
    client.auth(&to, &args.login.auth()?, RegistryOperation::Push).await.context("the registry did not accept the login")?;
    let config = Digest::of(EMPTY);
    client.push_blob(&to, EMPTY, &config.to_string()).await.context("the registry refused the config")?;
    let digest = digest_of(&args.file)?;
    let bar = progress::bytes(database.size(), "advisories");
    push_file(&client, &to, &args.file, &digest, database.size(), &bar).await?;
    bar.finish_and_clear();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": EMPTY.len() },
        "layers": [{
            "mediaType": ARTIFACT_TYPE,
            "digest": digest,
            "size": database.size(),
            "annotations": { "org.opencontainers.image.title": "advisories.db" },
        }],
        "annotations": { "dev.plimsoll.advisories.id": database.id(), "dev.plimsoll.advisories.newest": database.meta().newest },
    });
    let media_type = MANIFEST_TYPE.parse().context("the manifest's media type")?;
    client.push_manifest_raw(&to, manifest.to_string().into_bytes(), media_type).await.context("the registry refused the manifest")?;
    log::say(format!("pushed {} to {to}", args.file.display()));
    Ok(())
}

fn digest_of(path: &std::path::Path) -> anyhow::Result<Digest> {
    let mut file = std::fs::File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut hasher = Hasher::new(model::digest::Algorithm::Sha256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).with_context(|| format!("{} cannot be read", path.display()))? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}
