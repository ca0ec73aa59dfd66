//! Kinds of content: images, indexes, artifacts, referrers, with either digest function, as the standard's own program has them, and some
//! more that clients push.

use std::collections::BTreeMap;

use model::digest::{Algorithm, Digest, Hasher};
use serde_json::{Value, json};

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const EXAMPLE: &str = "application/vnd.example.artifact.v1";
const EXAMPLE_2: &str = "application/vnd.example.artifact.v2";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OLD_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";

/// A manifest of a set.
pub(crate) struct Manifest {
    pub digest: Digest,
    pub media_type: String,
    pub bytes: Vec<u8>,
    pub subject: Option<Digest>,
    pub tags: Vec<String>,
}

/// Content to push, find, pull and delete.
pub(crate) struct Set {
    pub name: &'static str,
    pub algorithm: Algorithm,
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    /// Children before what names them.
    pub manifests: Vec<Manifest>,
    /// For each subject the descriptors its list must have.
    pub referrers: BTreeMap<Digest, Vec<Value>>,
    /// Tags go with the push by digest.
    pub tag_param: bool,
}

/// Bytes that look random and are the same each time.
pub(crate) fn noise(seed: &str, len: usize) -> Vec<u8> {
    let blocks = (0u32..).flat_map(|n| Digest::of(format!("{seed} {n}").as_bytes()).hex().as_bytes().to_vec());
    blocks.take(len).collect()
}

pub(crate) fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

impl Set {
    fn new(name: &'static str) -> Self {
        Self::by(name, Algorithm::Sha256)
    }

    fn by(name: &'static str, algorithm: Algorithm) -> Self {
        Self { name, algorithm, blobs: BTreeMap::new(), manifests: Vec::new(), referrers: BTreeMap::new(), tag_param: false }
    }

    fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = digest_of(self.algorithm, &bytes);
        let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
        self.blobs.insert(digest, bytes);
        descriptor
    }

    fn layer(&mut self, n: usize) -> Value {
        let seed = format!("{} layer {n} of {}", self.name, self.manifests.len());
        self.blob(LAYER, noise(&seed, 1500 + n))
    }

    fn config(&mut self, architecture: &str) -> Value {
        let config = json!({ "architecture": architecture, "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] },
            "author": format!("{} {}", self.name, self.manifests.len()) });
        self.blob(CONFIG, config.to_string().into_bytes())
    }

    fn image(&mut self, architecture: &str) -> Value {
        let (config, layers) = (self.config(architecture), [self.layer(0), self.layer(1)]);
        json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers })
    }

    fn artifact(&mut self, artifact_type: &str) -> Value {
        let config = self.blob(EMPTY, b"{}".to_vec());
        let seed = format!("{} artifact {}", self.name, self.manifests.len());
        let layer = self.blob(artifact_type, noise(&seed, 700));
        json!({ "schemaVersion": 2, "mediaType": IMAGE, "artifactType": artifact_type, "config": config, "layers": [layer] })
    }

    /// Adds a manifest, and to the list of its subject what must be told of it. Returns its descriptor.
    fn manifest(&mut self, document: &Value, tags: &[&str]) -> Value {
        let bytes = serde_json::to_vec_pretty(document).unwrap();
        let digest = digest_of(self.algorithm, &bytes);
        let media_type = document["mediaType"].as_str().unwrap_or(IMAGE).to_owned();
        let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
        let subject: Option<Digest> = document["subject"]["digest"].as_str().map(|text| text.parse().unwrap());
        if let Some(subject) = &subject {
            let mut told = descriptor.clone();
            let own = document.get("artifactType").or_else(|| document["config"].get("mediaType"));
            for (key, value) in [("artifactType", own), ("annotations", document.get("annotations"))] {
                if let Some(value) = value {
                    told[key] = value.clone();
                }
            }
            self.referrers.entry(subject.clone()).or_default().push(told);
        }
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        self.manifests.push(Manifest { digest, media_type, bytes, subject, tags });
        descriptor
    }

    fn index_of(&mut self, children: Vec<Value>) -> Value {
        let architectures = ["amd64", "arm64"];
        let named = children.into_iter().zip(architectures.iter().cycle()).map(|(mut child, architecture)| {
            child["platform"] = json!({ "os": "linux", "architecture": architecture });
            child
        });
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": named.collect::<Vec<_>>() })
    }

    /// Two images and the index of both.
    fn index(&mut self) -> Value {
        let children = ["amd64", "arm64"].map(|architecture| {
            let image = self.image(architecture);
            self.manifest(&image, &[])
        });
        self.index_of(children.to_vec())
    }
}

fn noted(mut document: Value, note: &str) -> Value {
    document["annotations"] = json!({ "org.example.note": note, "org.example.same": "for all" });
    document
}

fn about(mut document: Value, subject: &Value) -> Value {
    document["subject"] = subject.clone();
    document
}

/// All of them.
pub(crate) fn sets() -> Vec<Set> {
    let mut all = images();
    all.extend(indexes());
    all.extend(artifacts());
    all.extend(referring());
    all.extend(by_digest());
    all.extend(of_other_kinds());
    all
}

fn single(name: &'static str, make: impl FnOnce(&mut Set) -> Value) -> Set {
    let mut set = Set::new(name);
    let document = make(&mut set);
    set.manifest(&document, &[name]);
    set
}

fn images() -> Vec<Set> {
    vec![
        single("image", |set| set.image("amd64")),
        single("image-gzip", |set| {
            let mut image = set.image("amd64");
            let layer = set.blob(&format!("{LAYER}+gzip"), noise("gzip", 900));
            image["layers"] = json!([layer]);
            image
        }),
        single("large-manifest", |set| {
            let mut image = set.image("amd64");
            let large = (0..390).map(|n| (format!("large-annotation-{n}"), json!("A".repeat(10_000))));
            image["annotations"] = Value::Object(large.collect());
            image
        }),
        single("data-field", |set| {
            let mut image = set.image("amd64");
            image["config"]["data"] = json!("e30=");
            image
        }),
        single("non-distributable-layers", |set| {
            let mut image = set.image("amd64");
            for kind in ["tar", "tar+gzip"] {
                let digest = digest_of(Algorithm::Sha256, kind.as_bytes());
                let layer = json!({ "mediaType": format!("application/vnd.oci.image.layer.nondistributable.v1.{kind}"), "digest": digest,
                    "size": 123_456, "urls": ["https://store.example.com/layer"] });
                image["layers"].as_array_mut().unwrap().push(layer);
            }
            image
        }),
        single("custom-fields", |set| {
            let mut image = set.image("amd64");
            image["ours"] = json!({ "deep": [1, { "er": null }] });
            image["config"]["ours"] = json!(true);
            image["layers"][0]["ours"] = json!("too");
            image
        }),
        single("no-layers", |set| {
            let mut image = set.image("amd64");
            image["layers"] = json!([]);
            set.blobs.retain(|digest, _| image["config"]["digest"] == digest.to_string());
            image
        }),
    ]
}

fn indexes() -> Vec<Set> {
    vec![
        single("index", Set::index),
        single("nested-index", |set| {
            let children = [0, 1].map(|_| {
                let index = set.index();
                set.manifest(&index, &[])
            });
            set.index_of(children.to_vec())
        }),
        single("empty-index", |set| set.index_of(vec![])),
        single("custom-fields-index", |set| {
            let mut index = set.index();
            index["ours"] = json!([1, 2]);
            index["manifests"][0]["ours"] = json!("too");
            index
        }),
        single("sparse-index", |set| {
            let image = set.image("amd64");
            let child = set.manifest(&image, &[]);
            let gone = json!({ "mediaType": IMAGE, "digest": digest_of(Algorithm::Sha256, b"never pushed"), "size": 1024 });
            set.index_of(vec![child, gone])
        }),
    ]
}

fn artifacts() -> Vec<Set> {
    vec![
        single("artifact", |set| set.artifact(EXAMPLE)),
        single("artifact-index", |set| {
            let children = [0, 1].map(|_| {
                let artifact = set.artifact(EXAMPLE);
                set.manifest(&artifact, &[])
            });
            let mut index = set.index_of(children.to_vec());
            index["artifactType"] = json!(EXAMPLE);
            index
        }),
        single("artifact-without-layers", |set| {
            let empty = set.blob(EMPTY, b"{}".to_vec());
            json!({ "schemaVersion": 2, "mediaType": IMAGE, "artifactType": EXAMPLE, "config": empty, "layers": [empty] })
        }),
    ]
}

fn referring() -> Vec<Set> {
    let mut with_subject = Set::new("artifacts-with-subject");
    let image = with_subject.image("amd64");
    let subject = with_subject.manifest(&image, &["with-subject"]);
    let plain = with_subject.image("arm64");
    with_subject.manifest(&about(plain, &subject), &[]);
    for (artifact_type, tag) in [(EXAMPLE, "tagged-artifact1"), (EXAMPLE_2, "tagged-artifact2")] {
        let artifact = noted(with_subject.artifact(artifact_type), tag);
        with_subject.manifest(&about(artifact, &subject), &[tag]);
    }

    let mut index = Set::new("index-with-subject");
    let top = index.index();
    let subject = index.manifest(&top, &["index-subject"]);
    let mut second = noted(index.index(), "an index about an index");
    second["artifactType"] = json!(EXAMPLE);
    index.manifest(&about(second, &subject), &["index-about-index"]);

    let mut missing = Set::new("missing-subject");
    let gone = json!({ "mediaType": IMAGE, "digest": digest_of(Algorithm::Sha256, b"missing content"), "size": 123 });
    let artifact = noted(missing.artifact(EXAMPLE), "about nothing yet");
    missing.manifest(&about(artifact, &gone), &["about-missing"]);

    let mut wide = Set::by("sha512-subject", Algorithm::Sha512);
    let image = wide.image("amd64");
    let subject = wide.manifest(&image, &[]);
    let artifact = noted(wide.artifact(EXAMPLE), "by the other function");
    wide.manifest(&about(artifact, &subject), &[]);
    vec![with_subject, index, missing, wide]
}

fn by_digest() -> Vec<Set> {
    let mut sets = vec![];
    for (name, algorithm, tag_param) in
        [("sha512", Algorithm::Sha512, false), ("tag-param-sha256", Algorithm::Sha256, true), ("tag-param-sha512", Algorithm::Sha512, true)]
    {
        let mut set = Set::by(name, algorithm);
        let index = set.index();
        let tags: &[&str] = if tag_param { &[name, "more-than-one"] } else { &[] };
        set.manifest(&index, tags);
        set.tag_param = tag_param;
        for (n, manifest) in set.manifests.iter_mut().enumerate().filter(|_| tag_param) {
            manifest.tags.push(format!("{name}-{n}"));
        }
        sets.push(set);
    }
    sets
}

fn of_other_kinds() -> Vec<Set> {
    vec![
        single("docker-image", |set| {
            let mut image = set.image("amd64");
            image["mediaType"] = json!(DOCKER);
            image["config"]["mediaType"] = json!("application/vnd.docker.container.image.v1+json");
            image
        }),
        single("docker-list", |set| {
            let mut list = set.index();
            list["mediaType"] = json!(DOCKER_LIST);
            list
        }),
        single("old-artifact-manifest", |set| {
            let blob = set.blob(EXAMPLE, noise("old artifact", 300));
            let gone = json!({ "mediaType": IMAGE, "digest": digest_of(Algorithm::Sha256, b"subject of an old artifact"), "size": 1 });
            about(json!({ "mediaType": OLD_ARTIFACT, "artifactType": EXAMPLE, "blobs": [blob], "annotations": { "a": "b" } }), &gone)
        }),
        single("unknown-media-type", |_| json!({ "mediaType": "application/vnd.example.unheard-of.v7+json", "layers": "of onions" })),
    ]
}
