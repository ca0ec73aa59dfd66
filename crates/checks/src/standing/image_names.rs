//! Which image a waiver means: by digest, by name, or by a package URL (`pkg:oci/...`, `pkg:docker/...`). What cannot be told means no image:
//! then nothing is waived.

use model::digest::Digest;

/// The names under which an image is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageNames {
    /// References such as `gate.example.org/1/reader:v1`, or as much of them as is known.
    pub references: Vec<String>,
    /// Digest of what was pushed or named, and that of its config, which docker calls its id.
    pub digests: Vec<Digest>,
    /// What it runs on, in the spelling of OCI: `amd64`.
    pub architecture: String,
}

impl ImageNames {
    /// Whether a text means this image.
    pub fn are_meant_by(&self, text: &str) -> bool {
        let meant = match text.strip_prefix("pkg:oci/").or_else(|| text.strip_prefix("pkg:docker/")) {
            Some(rest) => of_purl(rest),
            None => of_reference(text.strip_prefix("docker://").unwrap_or(text)),
        };
        if meant.architecture.as_ref().is_some_and(|architecture| *architecture != self.architecture) {
            return false;
        }
        match &meant.by {
            By::Digest(digest) => self.digests.iter().any(|known| known.to_string() == *digest),
            By::Name { path, tag } => self.references.iter().any(|known| is_named(known, path, tag.as_deref())),
        }
    }
}

/// Whether a text can only mean an image, never a package inside of one.
pub fn is_of_an_image(text: &str) -> bool {
    !text.starts_with("pkg:") || text.starts_with("pkg:oci/") || text.starts_with("pkg:docker/")
}

struct Meant {
    by: By,
    architecture: Option<String>,
}

enum By {
    Digest(String),
    /// The end of its path, or all of it, and its tag if that matters.
    Name {
        path: String,
        tag: Option<String>,
    },
}

fn is_digest(text: &str) -> bool {
    text.starts_with("sha256:") || text.starts_with("sha512:")
}

/// `[HOST/]PATH[:TAG][@DIGEST]`, or a digest alone. The digest decides where there is one.
fn of_reference(text: &str) -> Meant {
    let by = match text.rsplit_once('@') {
        _ if is_digest(text) => By::Digest(text.to_owned()),
        Some((_, digest)) => By::Digest(digest.to_owned()),
        None => {
            let (path, tag) = split_tag(text);
            By::Name { path: path.to_owned(), tag: tag.map(str::to_owned) }
        }
    };
    Meant { by, architecture: None }
}

/// `NAME@DIGEST?repository_url=HOST/PATH&tag=TAG&arch=amd64`, or docker's `[NAMESPACE/]NAME@TAG?repository_url=HOST`, without its type.
fn of_purl(text: &str) -> Meant {
    let text = text.split('#').next().unwrap_or_default();
    let (named, qualifiers) = text.split_once('?').unwrap_or((text, ""));
    let qualifier = |key: &str| {
        let of = |pair: &str| pair.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| plain(value));
        qualifiers.split('&').find_map(of).filter(|value| !value.is_empty())
    };
    let architecture = qualifier("arch");
    let (name, version) = named.rsplit_once('@').map_or((named, None), |(name, version)| (name, Some(plain(version))));
    let name = plain(name.trim_matches('/'));
    if let Some(digest) = version.as_deref().filter(|version| is_digest(version)) {
        return Meant { by: By::Digest(digest.to_owned()), architecture };
    }
    let tag = version.filter(|version| !version.is_empty()).or_else(|| qualifier("tag"));
    let path = match qualifier("repository_url") {
        Some(url) => {
            let url = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).trim_matches('/').to_owned();
            // The name is part of the address, or stands below it.
            if ends_with(&url, &name) { url } else { format!("{url}/{name}") }
        }
        None => name,
    };
    Meant { by: By::Name { path, tag }, architecture }
}

/// A port is no tag.
fn split_tag(reference: &str) -> (&str, Option<&str>) {
    match reference.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (reference, None),
    }
}

/// Whether a reference has this end, part by part, and this tag.
fn is_named(known: &str, path: &str, tag: Option<&str>) -> bool {
    let known = known.split_once('@').map_or(known, |(name, _)| name);
    let (known, known_tag) = split_tag(known);
    let same_tag = tag.is_none_or(|tag| known_tag == Some(tag));
    !path.is_empty() && same_tag && ends_with(&in_full(known), &path.replacen("index.docker.io/", "docker.io/", 1))
}

/// Docker leaves its own registry out.
fn in_full(path: &str) -> String {
    match path.split_once('/') {
        None => format!("docker.io/library/{path}"),
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => path.to_owned(),
        Some(_) => format!("docker.io/{path}"),
    }
}

fn ends_with(path: &str, end: &str) -> bool {
    let path: Vec<&str> = path.split('/').collect();
    let end: Vec<&str> = end.split('/').collect();
    path.len().checked_sub(end.len()).is_some_and(|at| path[at..].iter().zip(&end).all(|(a, b)| a.eq_ignore_ascii_case(b)))
}

/// Without percent-encoding.
fn plain(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let mut ahead = bytes.clone();
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(references: &[&str]) -> ImageNames {
        let references = references.iter().map(|&reference| reference.to_owned()).collect();
        ImageNames { references, digests: vec![Digest::of(b"manifest"), Digest::of(b"config")], architecture: "amd64".into() }
    }

    #[test]
    fn an_image_is_meant_by_its_digest_or_its_name_in_every_spelling() {
        let pushed = names(&["gate.example.org:8080/1/reader:v1"]);
        let digest = Digest::of(b"manifest").to_string();
        let escaped = digest.replace(':', "%3A");
        let other = Digest::of(b"other").to_string();
        for (text, expected) in [
            (digest.clone(), true),
            (Digest::of(b"config").to_string(), true),
            (format!("anything@{digest}"), true),
            (format!("1/reader:v1@{other}"), false),
            (format!("pkg:oci/reader@{digest}"), true),
            (format!("pkg:oci/reader@{escaped}?repository_url=gate.example.org:8080/1/reader&tag=v9"), true),
            (format!("pkg:oci/reader@{other}"), false),
            ("pkg:oci/reader".into(), true),
            ("pkg:oci/Reader?arch=amd64".into(), true),
            ("pkg:oci/reader?arch=arm64".into(), false),
            ("pkg:oci/reader?tag=v1".into(), true),
            ("pkg:oci/reader?tag=v2".into(), false),
            ("pkg:oci/reader?repository_url=gate.example.org%3A8080%2F1%2Freader".into(), true),
            ("pkg:oci/reader?repository_url=https://gate.example.org:8080/1/".into(), true),
            ("pkg:oci/reader?repository_url=other.example.org/1/reader".into(), false),
            ("pkg:oci/other".into(), false),
            ("pkg:oci/ader".into(), false),
            ("pkg:oci/".into(), false),
            ("pkg:docker/1/reader@v1?repository_url=gate.example.org:8080".into(), true),
            ("pkg:docker/reader@v2".into(), false),
            ("reader".into(), true),
            ("1/reader".into(), true),
            ("1/reader:v1".into(), true),
            ("2/reader".into(), false),
            ("gate.example.org:8080/1/reader".into(), true),
            ("docker://gate.example.org:8080/1/reader:v1".into(), true),
            ("gate.example.org/1/reader".into(), false),
            ("far/gate.example.org:8080/1/reader".into(), false),
            ("%zz%".into(), false),
            (String::new(), false),
        ] {
            assert_eq!(pushed.are_meant_by(&text), expected, "{text}");
        }
    }

    #[test]
    fn dockers_own_registry_may_be_left_out() {
        for text in ["reader", "library/reader", "docker.io/library/reader:v1", "pkg:docker/reader@v1", "index.docker.io/library/reader"] {
            assert!(names(&["reader:v1"]).are_meant_by(text), "{text}");
            assert!(!names(&[]).are_meant_by(text), "{text}");
        }
        assert!(names(&["team/reader"]).are_meant_by("docker.io/team/reader"));
        assert!(!names(&["gate.example.org/1/reader"]).are_meant_by("docker.io/library/reader"));
    }

    #[test]
    fn packages_are_no_images() {
        assert!(is_of_an_image("pkg:oci/x") && is_of_an_image("1/x:v1") && !is_of_an_image("pkg:deb/debian/openssl"));
    }
}
