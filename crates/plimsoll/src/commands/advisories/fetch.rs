//! Where advisories come from, and bringing them here. Only `advisories update` does this; a check never does.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol},
    manifest::OciManifest,
};

use crate::{
    login::{self, Login},
    progress,
};

/// Largest file fetched, bytes. The whole export of osv.dev has less than 2 GB.
const LARGEST: u64 = 8 << 30;
/// A server that sends nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(60);

/// Where from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An export: below this address, each ecosystem has an `all.zip`.
    Export(String),
    /// One file of the web.
    Web(String),
    /// A file or folder of this machine.
    Local(PathBuf),
    /// An artifact in a registry.
    Registry(String),
}

impl Source {
    /// What an address or a path means.
    pub fn read(from: &str) -> Self {
        if let Some(reference) = from.strip_prefix("oci://") {
            return Self::Registry(reference.to_owned());
        }
        if !from.starts_with("http://") && !from.starts_with("https://") {
            return Self::Local(from.into());
        }
        let path = from.split(['?', '#']).next().unwrap_or_default();
        let is_file = Path::new(path).extension().is_some_and(|kind| kind == "zip" || kind == "db" || kind == "json");
        if is_file { Self::Web(from.to_owned()) } else { Self::Export(from.trim_end_matches('/').to_owned()) }
    }
}

/// What was brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// A ready database.
    Database(PathBuf),
    /// Advisories to compile.
    Sources(Vec<PathBuf>),
}

/// Brings advisories into `folder`, or says where they are on this machine.
pub async fn fetch(source: &Source, ecosystems: &[String], login: &Login, folder: &Path) -> anyhow::Result<Fetched> {
    match source {
        Source::Export(base) => {
            let mut sources = Vec::new();
            for (at, ecosystem) in ecosystems.iter().enumerate() {
                let url = format!("{base}/{}/all.zip", ecosystem.replace(' ', "%20"));
                let to = folder.join(format!("{at}.zip"));
                download(&url, &to, ecosystem).await.with_context(|| {
                    format!("the advisories of {ecosystem} cannot be fetched; choose ecosystems with --ecosystem or advisories.ecosystems")
                })?;
                sources.push(to);
            }
            Ok(Fetched::Sources(sources))
        }
        Source::Web(url) => {
            let path = url.split(['?', '#']).next().unwrap_or_default();
            let to = folder.join(path.rsplit('/').next().unwrap_or("file"));
            download(url, &to, "advisories").await?;
            Ok(sorted(to))
        }
        Source::Local(path) => {
            anyhow::ensure!(path.exists(), "{} is not there; name a file, a folder or an address with --from", path.display());
            if sorted(path.clone()) == Fetched::Database(path.clone()) {
                // It must not be moved away from where it is.
                let to = folder.join("copy.db");
                std::fs::copy(path, &to).with_context(|| format!("{} cannot be copied", path.display()))?;
                return Ok(Fetched::Database(to));
            }
            Ok(Fetched::Sources(vec![path.clone()]))
        }
        Source::Registry(reference) => Ok(Fetched::Database(artifact(reference, login, folder).await?)),
    }
}

/// By its name: an archive or a record is to be compiled, everything else says itself whether it is a database.
fn sorted(path: PathBuf) -> Fetched {
    let compiles = path.is_dir() || path.extension().is_some_and(|kind| kind == "zip" || kind == "json");
    if compiles { Fetched::Sources(vec![path]) } else { Fetched::Database(path) }
}

/// One file from an address, or where it is on this machine.
pub async fn file(from: &str, to: &Path) -> anyhow::Result<PathBuf> {
    match Source::read(from) {
        Source::Local(path) => Ok(path),
        _ => {
            download(from, to, "a list").await?;
            Ok(to.to_owned())
        }
    }
}

async fn download(url: &str, to: &Path, what: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().connect_timeout(SILENCE).read_timeout(SILENCE).build().context("no connection can be made")?;
    let failed = || format!("{url} cannot be fetched");
    let mut response = client.get(url).send().await.with_context(failed)?.error_for_status().with_context(failed)?;
    let total = response.content_length();
    anyhow::ensure!(total.unwrap_or(0) <= LARGEST, "{url} has more than {LARGEST} bytes; that is no export of advisories");
    let bar = progress::bytes(total.unwrap_or(0), what);
    let mut file = std::fs::File::create(to).with_context(|| format!("{} cannot be written", to.display()))?;
    let mut read = 0;
    while let Some(piece) = response.chunk().await.with_context(failed)? {
        read += piece.len() as u64;
        anyhow::ensure!(read <= LARGEST, "{url} has more than {LARGEST} bytes; that is no export of advisories");
        file.write_all(&piece).with_context(|| format!("{} cannot be written", to.display()))?;
        bar.inc(piece.len() as u64);
    }
    bar.finish_and_clear();
    anyhow::ensure!(total.is_none_or(|total| total == read), "{url} was cut off; try again");
    Ok(())
}

async fn artifact(text: &str, login: &Login, folder: &Path) -> anyhow::Result<PathBuf> {
    let reference: Reference = login::reference(text)?;
    let auth = login.auth()?;
    let protocol = if login.is_plain(&reference) { ClientProtocol::Http } else { ClientProtocol::Https };
    let client = Client::new(ClientConfig { protocol, read_timeout: Some(SILENCE), ..ClientConfig::default() });
    client.auth(&reference, &auth, oci_client::RegistryOperation::Pull).await.context("the registry did not accept the login")?;
    let (manifest, _) = client.pull_manifest(&reference, &auth).await.with_context(|| format!("{text} cannot be pulled"))?;
    let OciManifest::Image(manifest) = manifest else { anyhow::bail!("{text} is an index of images, no database of advisories") };
    let of_type = |kind: Option<&str>| kind == Some(scan::advisories::ARTIFACT_TYPE);
    let layer = match manifest.layers.as_slice() {
        [layer] if of_type(manifest.artifact_type.as_deref()) || of_type(Some(&layer.media_type)) => layer,
        _ => anyhow::bail!("{text} is no database of advisories; push one there with: plimsoll advisories push FILE {text}"),
    };
    anyhow::ensure!(layer.size.unsigned_abs() <= LARGEST, "{text} has more than {LARGEST} bytes; that is no database of advisories");
    let to = folder.join("pulled.db");
    let bar = progress::spinner("pulling advisories");
    let file = tokio::fs::File::create(&to).await.with_context(|| format!("{} cannot be written", to.display()))?;
    client.pull_blob(&reference, layer, file).await.with_context(|| format!("{text} cannot be pulled"))?;
    bar.finish_and_clear();
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_it_is() {
        for (from, expected) in [
            ("https://h/export", Source::Export("https://h/export".into())),
            ("https://h/export/", Source::Export("https://h/export".into())),
            ("https://h.example.org", Source::Export("https://h.example.org".into())),
            ("http://h/PyPI/all.zip", Source::Web("http://h/PyPI/all.zip".into())),
            ("http://h/a.db?x=1", Source::Web("http://h/a.db?x=1".into())),
            ("oci://h/1/a:b", Source::Registry("h/1/a:b".into())),
            ("/srv/osv", Source::Local("/srv/osv".into())),
            ("all.zip", Source::Local("all.zip".into())),
        ] {
            assert_eq!(Source::read(from), expected, "{from}");
        }
    }
}
