//! What a manifest says: the standard's image manifest and index, Docker's schema 2 and its list, and the artifact manifest.
//! Any other type is kept as it is and refers to nothing. Pure; the bytes come from outside.

use std::collections::{BTreeMap, HashSet};

use model::digest::Digest;
use serde::Deserialize;
use serde_json::Value;

/// The media type of the standard's index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Most descriptors in one manifest.
const MAX_DESCRIPTORS: usize = 10_000;

/// A manifest, as far as a registry cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Media type without parameters.
    pub media_type: String,
    /// What it says it is: `artifactType`, or else the media type of its config, as the standard has it for lists of referrers.
    pub artifact_type: Option<String>,
    /// The manifest it speaks about.
    pub subject: Option<Digest>,
    /// Its annotations that are texts, as a JSON object, when it has a subject in whose list they are shown.
    pub annotations: Option<String>,
    /// Config and layers, each once.
    pub blobs: Vec<Digest>,
    /// Manifests of an index, each once.
    pub manifests: Vec<Digest>,
}

/// Why a text is no manifest we can keep.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DocumentError {
    /// Not JSON, or too deep, or a field of the wrong type.
    #[error("the manifest cannot be read: {0}")]
    Json(String),
    /// Neither header nor document name a type.
    #[error("the manifest's type is unknown: send it as Content-Type, such as application/vnd.oci.image.manifest.v1+json")]
    NoType,
    /// Header and document differ.
    #[error("Content-Type says {header}, but the manifest's mediaType says {document}; they must be the same")]
    TypeDiffers {
        /// From the header.
        header: String,
        /// From the document.
        document: String,
    },
    /// Docker's first format.
    #[error("{0} is Docker's schema 1, which carries no digests of its config; push with Docker 1.10 or newer")]
    Schema1(String),
    /// `schemaVersion` is not 2.
    #[error("schemaVersion must be 2")]
    Version,
    /// A required part is missing.
    #[error("a manifest of type {media_type} needs {field}")]
    Missing {
        /// The type.
        media_type: String,
        /// The field.
        field: &'static str,
    },
    /// Image and index at once: two readers could see two different images in it.
    #[error("a manifest must not have both layers and manifests")]
    Ambiguous,
    /// A descriptor without a usable digest.
    #[error("the manifest names {digest:?}: {why}")]
    Digest {
        /// As written.
        digest: String,
        /// What a digest looks like.
        why: String,
    },
    /// Too many descriptors.
    #[error("the manifest has {0} descriptors, at most {MAX_DESCRIPTORS} are taken")]
    TooMany(usize),
}

#[derive(Deserialize)]
struct Descriptor {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    digest: String,
}

impl Descriptor {
    /// Layers of this kind live elsewhere and are never pushed.
    fn is_foreign(&self) -> bool {
        self.media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
            || self.media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<i64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<Annotations>,
}

/// What should be an object of texts. Anything else in it is left out: it would spoil the list for clients that are strict.
#[derive(Deserialize)]
#[serde(untagged)]
enum Annotations {
    Some(BTreeMap<String, Value>),
    Odd(serde::de::IgnoredAny),
}

impl Annotations {
    fn into_json(self) -> Option<String> {
        let Self::Some(all) = self else { return None };
        let texts: BTreeMap<String, Value> = all.into_iter().filter(|(_, value)| value.is_string()).collect();
        if texts.is_empty() { None } else { serde_json::to_string(&texts).ok() }
    }
}

/// One entry of an index that is itself a list of referrers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is.
    pub digest: Digest,
    /// Its type as the list has it.
    pub artifact_type: Option<String>,
    /// Its annotations as the list has them, a JSON object.
    pub annotations: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawListed {
    digest: String,
    artifact_type: Option<String>,
    annotations: Option<Annotations>,
}

/// The entries of an index, each once; nothing when it is no index or cannot be read.
pub fn listed(media_type: &str, bytes: &[u8]) -> Vec<Listed> {
    #[derive(Deserialize)]
    struct RawIndex {
        manifests: Vec<RawListed>,
    }
    if kind(media_type) != Ok(Kind::Index) {
        return Vec::new();
    }
    let Ok(index) = serde_json::from_slice::<RawIndex>(bytes) else { return Vec::new() };
    let mut seen = HashSet::new();
    let entries = index.manifests.into_iter().take(MAX_DESCRIPTORS).filter_map(|raw| {
        let digest: Digest = raw.digest.parse().ok()?;
        let artifact_type = raw.artifact_type.filter(|text| !text.is_empty());
        Some(Listed { digest, artifact_type, annotations: raw.annotations.and_then(Annotations::into_json) })
    });
    entries.filter(|one| seen.insert(one.digest.clone())).collect()
}

/// The kinds whose inside we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Image,
    Index,
    Artifact,
    Opaque,
}

fn kind(media_type: &str) -> Result<Kind, DocumentError> {
    Ok(match media_type {
        "application/vnd.oci.image.manifest.v1+json" | "application/vnd.docker.distribution.manifest.v2+json" => Kind::Image,
        OCI_INDEX | "application/vnd.docker.distribution.manifest.list.v2+json" => Kind::Index,
        "application/vnd.oci.artifact.manifest.v1+json" => Kind::Artifact,
        old if old.starts_with("application/vnd.docker.distribution.manifest.v1+") => return Err(DocumentError::Schema1(old.to_owned())),
        _ => Kind::Opaque,
    })
}

/// Reads a manifest sent with this `Content-Type`.
///
/// # Errors
/// [`DocumentError`], a sentence for whoever made the manifest.
pub fn read(content_type: Option<&str>, bytes: &[u8]) -> Result<Document, DocumentError> {
    let header = content_type.map(plain).filter(|text| !text.is_empty());
    // A type we do not know is kept whatever its bytes are; one we know must be read.
    if let Some(media_type) = &header
        && kind(media_type)? == Kind::Opaque
        && media_type != "application/json"
    {
        return Ok(Document { media_type: media_type.clone(), ..Document::default() });
    }
    let raw: Raw = serde_json::from_slice(bytes).map_err(|error| DocumentError::Json(error.to_string()))?;
    let media_type = agreed_type(header.filter(|text| text != "application/json"), raw.media_type.as_deref().map(plain))?;
    let kind = kind(&media_type)?;
    if kind != Kind::Artifact && raw.schema_version != Some(2) {
        return Err(DocumentError::Version);
    }
    if raw.manifests.is_some() && (raw.layers.is_some() || raw.config.is_some()) {
        return Err(DocumentError::Ambiguous);
    }
    references(kind, media_type, raw)
}

fn references(kind: Kind, media_type: String, raw: Raw) -> Result<Document, DocumentError> {
    let missing = |field| DocumentError::Missing { media_type: media_type.clone(), field };
    let mut artifact_type = raw.artifact_type.filter(|text| !text.is_empty());
    let (blobs, manifests) = match kind {
        Kind::Image => {
            let config = raw.config.ok_or_else(|| missing("config"))?;
            artifact_type = artifact_type.or_else(|| Some(config.media_type.clone()).filter(|text| !text.is_empty()));
            (std::iter::once(config).chain(raw.layers.unwrap_or_default()).collect(), Vec::new())
        }
        Kind::Index => (Vec::new(), raw.manifests.ok_or_else(|| missing("manifests"))?),
        Kind::Artifact => (raw.blobs.unwrap_or_default(), Vec::new()),
        Kind::Opaque => (Vec::new(), Vec::new()),
    };
    let count = blobs.len() + manifests.len();
    if count > MAX_DESCRIPTORS {
        return Err(DocumentError::TooMany(count));
    }
    let subject = raw.subject.as_ref().map(digest).transpose()?;
    Ok(Document {
        artifact_type,
        annotations: raw.annotations.filter(|_| subject.is_some()).and_then(Annotations::into_json),
        subject,
        blobs: digests(&blobs)?,
        manifests: digests(&manifests)?,
        media_type,
    })
}

fn agreed_type(header: Option<String>, document: Option<String>) -> Result<String, DocumentError> {
    match (header, document.filter(|text| !text.is_empty())) {
        (Some(header), Some(document)) if header != document => Err(DocumentError::TypeDiffers { header, document }),
        (Some(media_type), _) | (None, Some(media_type)) => Ok(media_type),
        (None, None) => Err(DocumentError::NoType),
    }
}

/// A media type without its parameters, in lower case, shortened to what a header can hold.
fn plain(text: &str) -> String {
    let bare = text.split_once(';').map_or(text, |(bare, _)| bare).trim();
    bare.chars().filter(char::is_ascii_graphic).take(255).collect::<String>().to_ascii_lowercase()
}

fn digest(descriptor: &Descriptor) -> Result<Digest, DocumentError> {
    descriptor.digest.parse().map_err(|why: model::digest::DigestError| DocumentError::Digest {
        digest: descriptor.digest.chars().take(160).collect(),
        why: why.to_string(),
    })
}

fn digests(descriptors: &[Descriptor]) -> Result<Vec<Digest>, DocumentError> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for descriptor in descriptors.iter().filter(|descriptor| !descriptor.is_foreign()) {
        let digest = digest(descriptor)?;
        if seen.insert(digest.clone()) {
            all.push(digest);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
    const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    fn read_json(content_type: Option<&str>, document: &Value) -> Result<Document, DocumentError> {
        read(content_type, &serde_json::to_vec(document).unwrap())
    }

    fn part(content: &[u8]) -> Value {
        json!({ "mediaType": "x/y", "digest": Digest::of(content), "size": content.len() })
    }

    #[test]
    fn an_image_needs_its_config_and_layers_each_once() {
        let document = json!({ "schemaVersion": 2, "config": part(b"c"), "layers": [part(b"l"), part(b"m"), part(b"l")] });
        for media_type in [IMAGE, DOCKER] {
            let read = read_json(Some(media_type), &document).unwrap();
            assert_eq!(read.blobs, [Digest::of(b"c"), Digest::of(b"l"), Digest::of(b"m")]);
            assert_eq!((read.media_type.as_str(), read.manifests.len()), (media_type, 0));
        }
    }

    #[test]
    fn an_index_needs_its_manifests() {
        let document = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [part(b"a"), part(b"b")], "subject": part(b"s"), "artifactType": "a/b" });
        let read = read_json(None, &document).unwrap();
        assert_eq!((read.manifests.len(), read.blobs.len()), (2, 0));
        assert_eq!((read.subject, read.artifact_type.as_deref()), (Some(Digest::of(b"s")), Some("a/b")));
    }

    #[test]
    fn artifacts_and_unknown_types_are_kept() {
        let zero = json!({ "schemaVersion": 2, "config": part(b"{}"), "layers": [], "unknown": { "x": 1 } });
        assert_eq!(read_json(Some(IMAGE), &zero).unwrap().blobs.len(), 1);
        let artifact = json!({ "mediaType": "application/vnd.oci.artifact.manifest.v1+json", "blobs": [part(b"b")] });
        assert_eq!(read_json(Some("application/vnd.oci.artifact.manifest.v1+json"), &artifact).unwrap().blobs, [Digest::of(b"b")]);
        let opaque = read(Some("application/x-thing; q=1"), b"\x00not json").unwrap();
        assert_eq!((opaque.media_type.as_str(), opaque.blobs.len()), ("application/x-thing", 0));
    }

    #[test]
    fn layers_that_live_elsewhere_are_not_asked_for() {
        let mut foreign = part(b"windows");
        foreign["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
        let document = json!({ "schemaVersion": 2, "config": part(b"c"), "layers": [foreign] });
        assert_eq!(read_json(Some(DOCKER), &document).unwrap().blobs, [Digest::of(b"c")]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let image = json!({ "schemaVersion": 2, "config": part(b"c"), "layers": [] });
        let with = |key: &str, value: Value| {
            let mut document = image.clone();
            document[key] = value;
            document
        };
        let missing = |field| DocumentError::Missing { media_type: if field == "config" { IMAGE } else { INDEX }.into(), field };
        assert_eq!(read_json(Some(IMAGE), &json!({ "schemaVersion": 2 })), Err(missing("config")));
        assert_eq!(read_json(Some(INDEX), &json!({ "schemaVersion": 2 })), Err(missing("manifests")));
        assert_eq!(read_json(None, &image), Err(DocumentError::NoType));
        assert_eq!(read_json(Some(IMAGE), &with("schemaVersion", json!(1))), Err(DocumentError::Version));
        assert_eq!(read_json(Some(IMAGE), &with("manifests", json!([]))), Err(DocumentError::Ambiguous));
        assert_eq!(
            read_json(Some(IMAGE), &with("mediaType", json!(DOCKER))),
            Err(DocumentError::TypeDiffers { header: IMAGE.into(), document: DOCKER.into() })
        );
        let error = read_json(Some(IMAGE), &with("layers", json!([{ "digest": "md5:00" }]))).unwrap_err();
        assert!(error.to_string().contains("md5:00"), "{error}");
        let many = json!(vec![json!({ "digest": Digest::of(b"") }); MAX_DESCRIPTORS + 1]);
        assert_eq!(read_json(Some(IMAGE), &with("layers", many)), Err(DocumentError::TooMany(MAX_DESCRIPTORS + 2)));
        assert!(matches!(read(Some("application/vnd.docker.distribution.manifest.v1+prettyjws"), b"{}"), Err(DocumentError::Schema1(_))));
        assert!(matches!(read(Some(IMAGE), b"{"), Err(DocumentError::Json(_))));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(read(Some(IMAGE), format!("{{\"config\":{deep}}}").as_bytes()), Err(DocumentError::Json(_))));
        assert_eq!(read(Some(IMAGE), format!("{{\"ours\":false,\"x\":{deep}}}").as_bytes()), Err(DocumentError::Version));
    }

    #[test]
    fn what_a_list_of_referrers_shows() {
        let mut signature = json!({ "schemaVersion": 2, "config": part(b"{}"), "layers": [], "subject": part(b"s"),
            "annotations": { "a": "b", "odd": 1 } });
        let read = read_json(Some(IMAGE), &signature).unwrap();
        assert_eq!((read.artifact_type.as_deref(), read.annotations.as_deref()), (Some("x/y"), Some("{\"a\":\"b\"}")));
        signature["artifactType"] = json!("a/sig");
        assert_eq!(read_json(Some(IMAGE), &signature).unwrap().artifact_type.as_deref(), Some("a/sig"));
        for odd in [json!(null), json!([1]), json!("text"), json!({}), json!({ "n": 1 })] {
            signature["annotations"] = odd;
            assert_eq!(read_json(Some(IMAGE), &signature).unwrap().annotations, None);
        }
        let index = json!({ "schemaVersion": 2, "manifests": [], "subject": part(b"s") });
        assert_eq!(read_json(Some(INDEX), &index).unwrap().artifact_type, None);
    }

    #[test]
    fn a_list_that_clients_keep_is_read() {
        let mut entry = part(b"a");
        entry["artifactType"] = json!("a/sig");
        entry["annotations"] = json!({ "k": "v" });
        let index = json!({ "schemaVersion": 2, "manifests": [entry, entry, part(b"b"), { "digest": "odd" }] });
        let bytes = serde_json::to_vec(&index).unwrap();
        let entries = listed(INDEX, &bytes);
        let first = Listed { digest: Digest::of(b"a"), artifact_type: Some("a/sig".into()), annotations: Some("{\"k\":\"v\"}".into()) };
        assert_eq!(entries, [first, Listed { digest: Digest::of(b"b"), artifact_type: None, annotations: None }]);
        assert!(listed(IMAGE, &bytes).is_empty() && listed(INDEX, b"{").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(content_type in proptest::option::of(".{0,60}"), bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = read(content_type.as_deref(), &bytes);
            let _ = read(Some(IMAGE), &bytes);
        }
    }
}
