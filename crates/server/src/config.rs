//! Configuration: defaults, a file, the environment, the command line, in that order. Unknown keys are errors.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Shortest life of a token of the registry, seconds.
const SHORTEST_TOKEN: u64 = 60;

/// Everything that can be set. Every key has an environment form `PLIMSOLL_SECTION__KEY`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder that holds everything that survives a restart.
    pub data: PathBuf,
    /// Address of the one port.
    pub listen: SocketAddr,
    /// Address people and clients see, such as `https://gate.example.org`; the listening address if empty.
    pub public_url: String,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Advisories.
    pub advisories: Advisories,
    /// The API.
    pub api: Api,
    /// The gate.
    pub gate: Gate,
    /// Connections.
    pub http: Http,
    /// The registry.
    pub registry: Registry,
    /// Where engines run.
    pub sandbox: Sandbox,
    /// Where blobs are kept.
    pub storage: Storage,
    /// Jobs of engines.
    pub tasks: Tasks,
    /// The tool that validates results.
    pub validate: Validate,
}

/// Settings of the tool that validates results.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Validate {
    /// What becomes of keys that the standard does not list; at the gate they are always errors.
    pub unknown_fields: checks::contract::output::UnknownFields,
    /// HTTP status of the answer to an invalid document.
    pub invalid_status: u16,
}

impl Default for Validate {
    fn default() -> Self {
        Self { unknown_fields: Default::default(), invalid_status: 400 }
    }
}

/// Settings of the jobs of engines.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tasks {
    /// Tasks at one time; an engine does one after the other anyway. 0: none are done here.
    pub concurrent: usize,
    /// Longest time for one task, seconds.
    pub seconds: u64,
    /// Most tasks of an organization that are not over.
    pub open: u64,
    /// Largest payload of a task, bytes of JSON.
    pub payload_bytes: usize,
    /// Largest output of a task, bytes of JSON; results that are larger are files.
    pub output_bytes: usize,
    /// Most bytes an organization may keep in files of recordings; 0: no limit.
    pub asset_bytes: u64,
    /// How long the signed address of a file is good, seconds.
    pub signed_seconds: u64,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            concurrent: 4,
            seconds: 600,
            open: 1_000,
            payload_bytes: 1 << 20,
            output_bytes: 1 << 20,
            asset_bytes: 20 << 30,
            signed_seconds: 900,
        }
    }
}

/// Settings of the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Requests of one token within ten seconds; 0: no limit. Whoever has no token counts by address.
    pub token_requests: u32,
    /// Requests of one organization within ten seconds; 0: no limit.
    pub organization_requests: u32,
}

impl Default for Api {
    fn default() -> Self {
        Self { token_requests: 2_000, organization_requests: 10_000 }
    }
}

/// Settings of connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Connections at one time.
    pub max_connections: usize,
    /// A client that takes longer to send the head of a request, or rests longer between two, loses its connection, seconds.
    pub header_seconds: u64,
}

/// What becomes of manifests that no tag, build, index or subject needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Untagged {
    /// They are garbage.
    Remove,
    /// They stay until somebody deletes them.
    Keep,
}

/// Where the knowledge of vulnerabilities is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Advisories {
    /// Database made by `plimsoll advisories build` or `update`; nothing is scanned if empty.
    pub path: PathBuf,
    /// Where `plimsoll advisories update` fetches from, unless it is told. The server itself never fetches.
    pub source: String,
    /// What it fetches of an export.
    pub ecosystems: Vec<String>,
}

impl Default for Advisories {
    fn default() -> Self {
        Self { path: PathBuf::new(), source: String::new(), ecosystems: scan::Ecosystem::names().map(str::to_owned).collect() }
    }
}

/// Settings of the gate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// Certifications at one time.
    pub workers: usize,
    /// Policy file (JSON); the built-in policy if empty.
    pub policy: PathBuf,
}

/// Settings of the registry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registry {
    /// Life of a token from `/v2/token`, seconds.
    pub token_seconds: u64,
    /// A client that sends nothing for so long loses its connection, seconds.
    pub idle_seconds: u64,
    /// Largest blob taken, bytes.
    pub max_blob_bytes: u64,
    /// Most bytes an organization may keep that has no quota of its own; 0: no limit.
    pub quota_bytes: u64,
    /// An upload nobody has gone on with for so long is forgotten, seconds.
    pub upload_expiry_seconds: u64,
    /// How often garbage is collected, seconds; 0: only by `plimsoll gc`.
    pub gc_interval_seconds: u64,
    /// How long something must have been unneeded before it is garbage, seconds.
    pub gc_grace_seconds: u64,
    /// Whether unneeded manifests are garbage.
    pub gc_untagged: Untagged,
    /// How long the answer to a push waits for the first findings, to tell them in a `Warning` header, milliseconds; 0 for never.
    pub tell_ms: u64,
    /// What is refused when a manifest arrives.
    pub door: Door,
}

/// What is refused when a manifest arrives, beside what the standard and the rights forbid.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Door {
    /// The reasons to refuse.
    pub refuse: Vec<DoorRule>,
}

/// A reason to refuse a manifest that arrives under a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoorRule {
    /// It is a package of another kind that is pushed here by mistake: a chart, a plug-in, a module. It can never become a build.
    Package,
    /// It is no image and speaks about none, whatever it is.
    NotAnImage,
    /// It says no engine of the organization.
    Unclaimed,
    /// Its static findings block it.
    Invalid,
}

impl Default for Door {
    fn default() -> Self {
        Self { refuse: vec![DoorRule::Package] }
    }
}

/// Settings of the sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// Unpacked layers kept for the next run, bytes; layers in use may take more.
    pub cache_bytes: u64,
    /// OCI runtime that runs the containers, a name or a path; the built-in one if empty.
    pub runtime: String,
    /// Engines may learn how long this host has been up, where its kernel has no time namespaces. Each record says so.
    pub host_clocks: bool,
}

/// Where blobs are kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// `s3://bucket/prefix`; the data folder if empty.
    pub url: String,
    /// Address of the S3 service; Amazon's if empty.
    pub endpoint: String,
    /// Its region.
    pub region: String,
    /// Key of the account that may use the bucket; if empty, from the variables `AWS_*` or the role of the machine.
    pub access_key_id: String,
    /// Its secret. Never written anywhere.
    #[serde(skip_serializing)]
    pub secret_access_key: SecretString,
}

impl Storage {
    /// Name of the bucket and the prefix within it; `None` for the data folder.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`] for any other kind of address.
    pub fn bucket(&self) -> Result<Option<(&str, &str)>, ConfigError> {
        if self.url.is_empty() {
            return Ok(None);
        }
        let rest = self.url.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, "")));
        match rest {
            Some((bucket, prefix)) if !bucket.is_empty() && !bucket.contains(['@', ':']) => Ok(Some((bucket, prefix.trim_matches('/')))),
            _ => Err(ConfigError::Wrong("storage.url: must be empty or s3://bucket/prefix, without a password in it".into())),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "plimsoll-data".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: String::new(),
            trusted_proxies: Vec::new(),
            advisories: Advisories::default(),
            api: Api::default(),
            gate: Gate::default(),
            http: Http::default(),
            registry: Registry::default(),
            sandbox: Sandbox::default(),
            storage: Storage::default(),
            tasks: Tasks::default(),
            validate: Validate::default(),
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self { workers: 2, policy: PathBuf::new() }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self { max_connections: 512, header_seconds: 30 }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            token_seconds: 300,
            idle_seconds: 60,
            max_blob_bytes: 64 << 30,
            quota_bytes: 0,
            upload_expiry_seconds: 24 * 3600,
            gc_interval_seconds: 3600,
            gc_grace_seconds: 24 * 3600,
            gc_untagged: Untagged::Remove,
            tell_ms: 150,
            door: Door::default(),
        }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self { cache_bytes: 20 << 30, runtime: String::new(), host_clocks: false }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The named file is not there.
    #[error("the configuration file {0} is not there; check the path given to --config")]
    Missing(PathBuf),
    /// Keys or values are wrong; each line names one and where it came from.
    #[error("the configuration is wrong: {0}; see the list of keys in docs/configuration.md")]
    Wrong(String),
}

/// What the command line says, stronger than file and environment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overrides {
    /// `--data`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// `--listen`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
}

/// Environment variables with the prefix that are no configuration: of the first start, of the command line, of the tests.
const NOT_CONFIGURATION: [&str; 8] = ["org_id", "admin_email", "admin_password", "log", "user", "password", "test_cache", "write_schema"];

impl Config {
    /// Reads file, environment and command line over the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] names the key and where it came from.
    pub fn load(file: Option<&std::path::Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(path) = file {
            if !path.is_file() {
                return Err(ConfigError::Missing(path.into()));
            }
            figment = figment.merge(Toml::file_exact(path));
        }
        let environment = Env::prefixed("PLIMSOLL_").ignore(&NOT_CONFIGURATION).split("__");
        let figment = figment.merge(environment).merge(Serialized::defaults(overrides));
        let config: Self = figment.extract().map_err(|error| ConfigError::Wrong(in_words(error)))?;
        if config.registry.token_seconds < SHORTEST_TOKEN {
            // The token specification: clients that know no other life use a token for that long.
            return Err(ConfigError::Wrong(format!("registry.token_seconds: at least {SHORTEST_TOKEN} seconds are needed")));
        }
        if !matches!(config.validate.invalid_status, 200 | 400..=499) {
            return Err(ConfigError::Wrong("validate.invalid_status: must be 200 or from 400 to 499".into()));
        }
        Ok(config)
    }

    /// The address people and clients see, without a slash at the end.
    pub fn public_url(&self, bound: SocketAddr) -> String {
        if self.public_url.is_empty() { format!("http://{bound}") } else { self.public_url.trim_end_matches('/').to_owned() }
    }
}

/// Key, fault and origin of each mistake; the library alone spells keys of the environment in capitals and without their section.
fn in_words(error: figment::Error) -> String {
    let one = |error: figment::Error| {
        let origin = error.metadata.as_ref().map_or_else(String::new, |metadata| format!(" (from {})", metadata.name));
        let key = if error.path.is_empty() { String::new() } else { format!("{}: ", error.path.join(".")) };
        format!("{key}{}{origin}", error.kind)
    };
    error.into_iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_named_and_its_secret_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.toml");
        std::fs::write(&file, "[storage]\nurl = \"s3://plimsoll/eu/gate/\"\nsecret_access_key = \"hush\"\n").unwrap();
        let config = Config::load(Some(&file), &Overrides::default()).unwrap();
        assert_eq!(config.storage.bucket().unwrap(), Some(("plimsoll", "eu/gate")));
        assert_eq!(secrecy::ExposeSecret::expose_secret(&config.storage.secret_access_key), "hush");
        assert!(!format!("{config:?}").contains("hush"));
        assert_eq!(Storage::default().bucket().unwrap(), None);
        for wrong in ["file:///x", "s3://", "s3:///x", "s3://id:secret@bucket"] {
            let storage = Storage { url: wrong.into(), ..Storage::default() };
            assert!(storage.bucket().unwrap_err().to_string().contains("storage.url"), "{wrong}");
        }
    }

    #[test]
    fn unknown_keys_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.toml");
        std::fs::write(&file, "[gate]\nworker = 3\n").unwrap();
        let error = Config::load(Some(&file), &Overrides::default()).unwrap_err().to_string();
        assert!(error.contains("worker"), "{error}");
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\n[gate]\nworkers = 3\n").unwrap();
        let config = Config::load(Some(&file), &Overrides { data: Some("d".into()), listen: None }).unwrap();
        assert_eq!((config.gate.workers, config.data, config.listen.port()), (3, "d".into(), 1));
        std::fs::write(&file, "[registry.door]\nrefuse = [\"not-an-image\", \"unclaimed\"]\n").unwrap();
        let config = Config::load(Some(&file), &Overrides::default()).unwrap();
        assert_eq!(config.registry.door.refuse, [DoorRule::NotAnImage, DoorRule::Unclaimed]);
        for (wrong, says) in [
            ("[registry.door]\nrefuse = [\"ugly\"]\n", "ugly"),
            ("[registry]\ntoken_seconds = 59\n", "at least 60"),
            ("[validate]\ninvalid_status = 500\n", "400 to 499"),
            ("[validate]\nunknown_fields = \"keep\"\n", "keep"),
        ] {
            std::fs::write(&file, wrong).unwrap();
            let error = Config::load(Some(&file), &Overrides::default()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(Config::load(Some(&dir.path().join("none")), &Overrides::default()).is_err());
    }
}
