//! Addresses below `/v2/`: never panics, and what is read prints as it was.

use model::name::{Reference, RepoName};
use registry::route::{self, Target};

/// One input.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    assert_eq!(route::decode(&route::encode(text)).as_deref(), Some(text));
    let Some(path) = route::decode(text) else { return };
    let Some((name, target)) = route::parse(&path) else { return };
    assert!(!name.is_empty() && path.starts_with(name));
    let rest = &path[name.len()..];
    match target {
        Target::Tags => assert_eq!(rest, "/tags/list"),
        Target::Manifest(reference) => assert_eq!(rest, format!("/manifests/{reference}")),
        Target::Blob(digest) => assert_eq!(rest, format!("/blobs/{digest}")),
        Target::Uploads => assert!(rest == "/blobs/uploads" || rest == "/blobs/uploads/"),
        Target::Upload(id) => assert_eq!(rest, format!("/blobs/uploads/{id}")),
        Target::Referrers(digest) => assert_eq!(rest, format!("/referrers/{digest}")),
    }
    if let Ok(repository) = name.parse::<RepoName>() {
        assert_eq!(repository.as_str(), name);
        assert!(!name.contains("..") && !name.contains('%'));
    }
    if let Target::Manifest(reference) = target
        && let Ok(parsed) = reference.parse::<Reference>()
    {
        assert_eq!(parsed.to_string(), reference);
    }
}
