//! The image config: OCI's and Docker's, which are the same document.

use std::collections::BTreeMap;

use model::digest::Digest;
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use serde_json::{Map, Value, json};

use crate::{error::ImageProblem, manifest::ImageRef, platform::Platform};

/// Bytes of a config.
pub const CONFIG_LIMIT: u64 = 8 << 20;
/// What stands in the place of a secret.
const MASK: &str = "***";

/// What an image says about itself. Unknown fields are ignored, `null` counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Processor, in Go's words; empty if absent.
    pub architecture: String,
    /// Operating system; empty if absent.
    pub os: String,
    /// Variant of the processor.
    pub variant: Option<String>,
    /// When it was built, as written.
    pub created: Option<String>,
    /// `NAME=value`, in order.
    pub env: Vec<String>,
    /// ENTRYPOINT.
    pub entrypoint: Option<Vec<String>>,
    /// CMD.
    pub cmd: Option<Vec<String>>,
    /// WORKDIR; empty if absent.
    pub working_dir: String,
    /// USER; empty if absent.
    pub user: String,
    /// EXPOSE, such as `8080/tcp`, sorted.
    pub exposed_ports: Vec<String>,
    /// LABEL.
    pub labels: BTreeMap<String, String>,
    /// VOLUME, sorted.
    pub volumes: Vec<String>,
    /// Signal that stops it.
    pub stop_signal: Option<String>,
    /// SHA-256 of the plain layers, bottom to top.
    pub diff_ids: Vec<Digest>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    architecture: Option<String>,
    os: Option<String>,
    variant: Option<String>,
    created: Option<String>,
    config: Option<Runtime>,
    rootfs: Option<Rootfs>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Runtime {
    env: Option<Vec<String>>,
    #[serde(deserialize_with = "words")]
    entrypoint: Option<Vec<String>>,
    #[serde(deserialize_with = "words")]
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
    exposed_ports: Option<BTreeMap<String, IgnoredAny>>,
    labels: Option<BTreeMap<String, Option<String>>>,
    volumes: Option<BTreeMap<String, IgnoredAny>>,
    stop_signal: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Rootfs {
    diff_ids: Option<Vec<Digest>>,
}

/// A command is a list; early versions of Docker wrote a single word as a text.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        One(String),
        Many(Vec<String>),
    }
    Ok(Option::deserialize(deserializer)?.map(|words| match words {
        Words::One(word) => vec![word],
        Words::Many(words) => words,
    }))
}

impl ImageConfig {
    /// Reads a config of at most 8 MiB. `digest` is its digest, for the message.
    pub fn parse(bytes: &[u8], digest: &Digest) -> Result<Self, ImageProblem> {
        if bytes.len() as u64 > CONFIG_LIMIT {
            let (what, size) = ("config".to_owned(), bytes.len() as u64);
            return Err(ImageProblem::TooLarge { what, digest: digest.clone(), size, limit: CONFIG_LIMIT });
        }
        let malformed = |reason: String| ImageProblem::Config { digest: digest.clone(), reason };
        // The parser would take a list for the fields of the document, in order.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(malformed("it is not a JSON object".to_owned()));
        }
        let document: Document = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        let runtime = document.config.unwrap_or_default();
        Ok(Self {
            architecture: document.architecture.unwrap_or_default(),
            os: document.os.unwrap_or_default(),
            variant: document.variant.filter(|variant| !variant.is_empty()),
            created: document.created,
            env: runtime.env.unwrap_or_default(),
            entrypoint: runtime.entrypoint.filter(|words| !words.is_empty()),
            cmd: runtime.cmd.filter(|words| !words.is_empty()),
            working_dir: runtime.working_dir.unwrap_or_default(),
            user: runtime.user.unwrap_or_default(),
            exposed_ports: keys(runtime.exposed_ports),
            labels: runtime.labels.unwrap_or_default().into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect(),
            volumes: keys(runtime.volumes),
            stop_signal: runtime.stop_signal,
            diff_ids: document.rootfs.unwrap_or_default().diff_ids.unwrap_or_default(),
        })
    }

    /// What it is for.
    pub fn platform(&self) -> Platform {
        Platform { os: self.os.clone(), architecture: self.architecture.clone(), variant: self.variant.clone() }
    }

    /// `ENTRYPOINT command` or `CMD command` (shell form): the command line handed to the shell. Looks at the entrypoint, or at the command
    /// when there is no entrypoint. The shell is the first process then, and the engine does not get its signals (engine contract §1.6).
    pub fn shell_form(&self) -> Option<&str> {
        match self.entrypoint.as_ref().or(self.cmd.as_ref())?.as_slice() {
            [shell, option, line] if option == "-c" => {
                let name = shell.rsplit('/').next().unwrap_or_default();
                matches!(name, "sh" | "bash" | "ash" | "dash" | "ksh" | "zsh").then_some(line)
            }
            _ => None,
        }
    }

    /// Entrypoint and command together: what a container of it runs.
    pub fn args(&self) -> Vec<String> {
        self.entrypoint.iter().chain(&self.cmd).flatten().cloned().collect()
    }

    /// A variable's value; the last one counts.
    pub fn env_value(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
    }
}

fn keys(map: Option<BTreeMap<String, IgnoredAny>>) -> Vec<String> {
    map.unwrap_or_default().into_keys().collect()
}

/// The beginning of a text from an image, for a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

/// One object with the key names of `docker inspect` (build report §1). Values of variables that look secret are masked.
///
/// `tags` are full references such as `host/1/name:tag`; `size` is the sum of the plain layers, bytes.
pub fn inspect(config: &ImageConfig, image: &ImageRef, tags: &[String], size: u64) -> Value {
    let set = |names: &[String]| match names {
        [] => Value::Null,
        names => Value::Object(names.iter().map(|name| (name.clone(), json!({}))).collect::<Map<_, _>>()),
    };
    let mut value = json!({
        "Id": image.config.digest,
        "RepoTags": tags,
        "Created": config.created,
        "Config": {
            "User": config.user,
            "ExposedPorts": set(&config.exposed_ports),
            "Env": config.env.iter().map(|variable| masked(variable)).collect::<Vec<_>>(),
            "Entrypoint": config.entrypoint,
            "Cmd": config.cmd,
            "Volumes": set(&config.volumes),
            "WorkingDir": config.working_dir,
            "Labels": config.labels,
            "StopSignal": config.stop_signal,
        },
        "Architecture": image.platform.architecture,
        "Variant": image.platform.variant,
        "Os": image.platform.os,
        "Size": size,
        "RootFS": { "Type": "layers", "Layers": config.diff_ids },
    });
    // docker leaves these out when they are empty, and keeps the others as null.
    for (object, key) in [("/Config", "ExposedPorts"), ("/Config", "StopSignal"), ("", "Variant")] {
        if let Some(Value::Object(fields)) = value.pointer_mut(object)
            && fields.get(key).is_some_and(Value::is_null)
        {
            fields.shift_remove(key);
        }
    }
    value
}

/// `NAME=***` for a variable whose name looks secret, `scheme://user:***@host` for a password inside an address.
fn masked(variable: &str) -> String {
    let Some((name, value)) = variable.split_once('=') else { return variable.to_owned() };
    if value.is_empty() {
        return variable.to_owned();
    }
    if looks_secret(name) {
        return format!("{name}={MASK}");
    }
    let password = value.split_once("://").and_then(|(scheme, rest)| {
        let authority = rest.split(['/', '?', '#']).next()?;
        let (user, host) = authority.rsplit_once('@')?;
        let (user, _) = user.split_once(':')?;
        Some(format!("{name}={scheme}://{user}:{MASK}@{host}{}", &rest[authority.len()..]))
    });
    password.unwrap_or_else(|| variable.to_owned())
}

fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let anywhere = ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "APIKEY", "PRIVATEKEY", "ACCESSKEY"];
    let word = |wanted: &[&str]| name.split(['_', '-', '.']).any(|word| wanted.contains(&word));
    anywhere.iter().any(|part| name.contains(part)) || word(&["PASS", "PWD", "KEY", "AUTH", "SALT", "DSN"]) && name != "PWD"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Descriptor;

    fn parse(text: &str) -> Result<ImageConfig, ImageProblem> {
        ImageConfig::parse(text.as_bytes(), &Digest::of(b""))
    }

    const DOCKER: &str = r#"{"architecture":"amd64","os":"linux","created":"2024-05-20T10:00:00Z","docker_version":"28","container":"x",
        "config":{"Hostname":"","Env":["PATH=/bin","API_TOKEN=abc","DB=postgres://u:pw@db/x?y"],"Entrypoint":["/app"],"Cmd":null,"User":"",
        "WorkingDir":"/w","ExposedPorts":{"9000/tcp":{},"8080/tcp":{}},"Labels":{"a":"b","n":null},"Volumes":null,"OnBuild":null,"Image":"z"},
        "history":[{"created":"x","empty_layer":true}],
        "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}"#;

    #[test]
    fn reads_a_config_of_docker() {
        let config = parse(DOCKER).unwrap();
        assert_eq!(config.platform().to_string(), "linux/amd64");
        assert_eq!(config.exposed_ports, ["8080/tcp", "9000/tcp"]);
        assert_eq!((config.entrypoint.as_deref(), config.cmd.as_deref()), (Some(&["/app".to_owned()][..]), None));
        assert_eq!(config.labels["n"], "");
        assert_eq!(config.env_value("PATH"), Some("/bin"));
        assert_eq!(config.diff_ids, [Digest::of(b"")]);
        assert_eq!(config.args(), ["/app"]);
    }

    #[test]
    fn tolerates_what_is_absent_and_refuses_what_is_wrong() {
        assert_eq!(parse("{}").unwrap(), ImageConfig::default());
        assert_eq!(parse(r#"{"config":null,"rootfs":null,"variant":""}"#).unwrap(), ImageConfig::default());
        assert_eq!(parse(r#"{"config":{"Cmd":"run"}}"#).unwrap().cmd.unwrap(), ["run"]);
        for bad in ["", "[]", r#"{"os":1}"#, r#"{"config":{"Env":[1]}}"#, r#"{"rootfs":{"diff_ids":["x"]}}"#, &"[".repeat(1000)] {
            assert!(matches!(parse(bad), Err(ImageProblem::Config { .. })), "{bad}");
        }
        let large = vec![b' '; CONFIG_LIMIT as usize + 1];
        assert!(matches!(ImageConfig::parse(&large, &Digest::of(b"")), Err(ImageProblem::TooLarge { .. })));
    }

    #[test]
    fn tells_shell_form_from_exec_form() {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let form = |entrypoint, cmd| ImageConfig { entrypoint, cmd, ..ImageConfig::default() }.shell_form().map(str::to_owned);
        assert_eq!(form(words(&["/bin/sh", "-c", "python app.py"]), None).as_deref(), Some("python app.py"));
        assert_eq!(form(None, words(&["bash", "-c", "x"])).as_deref(), Some("x"));
        assert_eq!(form(words(&["/app"]), words(&["/bin/sh", "-c", "x"])), None);
        assert_eq!(form(words(&["/bin/sh", "start.sh"]), None), None);
        assert_eq!(form(None, None), None);
    }

    #[test]
    fn inspects_in_the_words_of_docker_without_secrets() {
        let config = parse(DOCKER).unwrap();
        let descriptor =
            Descriptor { media_type: String::new(), digest: Digest::of(b"c"), size: 1, platform: None, annotations: BTreeMap::new() };
        let image = ImageRef {
            manifest_digest: Digest::of(b"m"),
            top_digest: Digest::of(b"t"),
            media_type: String::new(),
            config: descriptor,
            layers: vec![],
            platform: config.platform(),
        };
        let value = inspect(&config, &image, &["host/1/a:b".to_owned()], 42);
        assert_eq!(value["Id"], Digest::of(b"c").to_string());
        assert_eq!(value["RepoTags"], json!(["host/1/a:b"]));
        assert_eq!(value["Config"]["Env"], json!(["PATH=/bin", "API_TOKEN=***", "DB=postgres://u:***@db/x?y"]));
        assert_eq!(value["Config"]["ExposedPorts"], json!({"8080/tcp": {}, "9000/tcp": {}}));
        assert_eq!(value["Config"]["Cmd"], Value::Null);
        assert_eq!((&value["Size"], &value["Os"]), (&json!(42), &json!("linux")));
        assert_eq!(value["RootFS"]["Layers"], json!([Digest::of(b"")]));
        assert!(value.get("Variant").is_none() && value["Config"].get("StopSignal").is_none());
    }

    #[test]
    fn secret_looking_names() {
        for name in ["DB_PASSWORD", "github_token", "AWS_SECRET_ACCESS_KEY", "API_KEY", "MyApiKey", "BASIC_AUTH", "REDIS_PASS"] {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["PATH", "PWD", "KEYBOARD", "PYTHON_VERSION", "GPG", "AUTHOR", "MONKEY_HOME"] {
            assert!(!looks_secret(name), "{name}");
        }
        assert_eq!(masked("TOKEN="), "TOKEN=");
        assert_eq!(masked("URL=https://user@host/x"), "URL=https://user@host/x");
    }
}
