//! `GET .../referrers/<digest>`: what speaks about a manifest, as an image index. A manifest that is not there may have referrers too.
//!
//! Clients of registries without this address keep such a list themselves, as an index under a tag made of the digest. It stays the
//! ordinary tag it is, and what it names is shown here as well, as far as this repository holds it and it does not say itself what it
//! speaks about.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use model::{
    digest::Digest,
    name::{Reference, RepoName},
};
use serde::Serialize;
use serde_json::Value;
use store::{
    manifests as stored,
    referrers::{self, Referrer, Wanted},
};

use crate::{
    Inner,
    document::{self, Listed},
    manifests::with_link,
    paging::Page,
    refusal::Refusal,
    request::Asking,
    scope::Action,
};

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Most bytes of annotations in one answer: clients take no more than 4 MiB of an index.
const PAGE_BYTES: usize = 2 << 20;

/// Entries of a client's own list that are looked at.
const MAX_LISTED: usize = 1000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Descriptor<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Value>,
}

impl<'a> From<&'a Referrer> for Descriptor<'a> {
    fn from(one: &'a Referrer) -> Self {
        let annotations = one.annotations.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let artifact_type = one.artifact_type.as_deref();
        Self { media_type: &one.media_type, digest: &one.digest, size: one.size, artifact_type, annotations }
    }
}

/// `GET .../referrers/<digest>`.
pub(crate) async fn list(inner: &Inner, asking: &Asking<'_>, repository: &RepoName, text: &str) -> Result<Response, Refusal> {
    asking.permitted(repository, Action::Pull)?;
    let subject: Digest = text.parse().map_err(|error| Refusal::digest_syntax(text, &error))?;
    let filter = asking.query("artifactType").filter(|text| !text.is_empty());
    let page = asking.paging(inner.options.limits.list_page)?;
    let wanted =
        Wanted { subject: &subject, artifact_type: filter.as_deref(), last: page.last.as_deref(), limit: page.limit, bytes: PAGE_BYTES };
    let own = referrers::list(&inner.db, repository, &wanted).await?;
    let mut others = listed_by_clients(inner, repository, &subject).await?;
    others.retain(|one| filter.is_none() || one.artifact_type == filter);
    others.retain(|one| page.last.as_ref().is_none_or(|last| one.digest.to_string() > *last));
    let (entries, more) = merge(own, others, &page);
    let manifests = entries.iter().map(Descriptor::from).collect();
    let index = Index { schema_version: 2, media_type: document::OCI_INDEX, manifests };
    let mut response = Response::new(Body::from(serde_json::to_vec(&index).map_err(|error| Refusal::internal(&error))?));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(document::OCI_INDEX));
    if filter.is_some() {
        headers.insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    let others: Vec<(&str, &str)> = filter.iter().map(|text| ("artifactType", text.as_str())).collect();
    let path = format!("/v2/{repository}/referrers/{subject}");
    with_link(&mut response, entries.last().filter(|_| more).map(|last| page.link(&path, &last.digest.to_string(), &others)));
    Ok(response)
}

/// The tag under which clients keep their own list: the digest with a dash, in bounds.
fn own_tag(subject: &Digest) -> String {
    format!("{}-{}", subject.algorithm().as_str(), subject.hex().get(..64).unwrap_or(subject.hex()))
}

/// What clients have listed themselves: entries that this repository holds and that name no subject, so that nothing speaks against them.
async fn listed_by_clients(inner: &Inner, repository: &RepoName, subject: &Digest) -> Result<Vec<Referrer>, Refusal> {
    let Ok(tag) = own_tag(subject).parse() else { return Ok(Vec::new()) };
    let Some(index) = stored::get(&inner.db, repository, &Reference::Tag(tag)).await? else { return Ok(Vec::new()) };
    let mut listed = document::listed(&index.media_type, &index.bytes);
    listed.truncate(MAX_LISTED);
    let digests: Vec<Digest> = listed.iter().map(|one| one.digest.clone()).collect();
    let mut held = referrers::without_subject(&inner.db, repository, &digests).await?;
    for one in &mut held {
        if let Some(Listed { artifact_type, annotations, .. }) = listed.iter().find(|listed| listed.digest == one.digest) {
            one.artifact_type = artifact_type.clone().or(one.artifact_type.take());
            one.annotations.clone_from(annotations);
        }
    }
    Ok(held)
}

/// One page of both lists in the order of their digests, and whether there is more. `own` is in order and knows whether it was cut.
fn merge((own, cut): (Vec<Referrer>, bool), others: Vec<Referrer>, page: &Page) -> (Vec<Referrer>, bool) {
    // What stands behind the last of a list that was cut belongs to a later page.
    let end = own.last().filter(|_| cut).map(|one| one.digest.to_string());
    let (others, later): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|one| end.as_ref().is_none_or(|end| one.digest.to_string() <= *end));
    let mut all = own;
    all.extend(others);
    all.sort_by_cached_key(|one| one.digest.to_string());
    let (mut bytes, total) = (0, all.len());
    let mut entries = Vec::new();
    for one in all.into_iter().take(page.limit as usize) {
        bytes += one.annotations.as_ref().map_or(0, String::len);
        if bytes > PAGE_BYTES && !entries.is_empty() {
            break;
        }
        entries.push(one);
    }
    let more = !entries.is_empty() && (cut || entries.len() < total || !later.is_empty());
    (entries, more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(hex: char) -> Referrer {
        let digest = format!("sha256:{}", String::from(hex).repeat(64)).parse().unwrap();
        Referrer { digest, media_type: "m/t".into(), size: 1, artifact_type: None, annotations: None }
    }

    fn merged(own: &str, cut: bool, others: &str, limit: u32) -> (String, bool) {
        let list = |text: &str| text.chars().map(one).collect();
        let (entries, more) = merge((list(own), cut), list(others), &Page { limit, last: None });
        (entries.iter().map(|one| one.digest.hex().chars().next().unwrap()).collect(), more)
    }

    #[test]
    fn two_lists_are_one_in_order() {
        assert_eq!(merged("ace", false, "db", 10), ("abcde".into(), false));
        assert_eq!(merged("ac", true, "db", 10), ("abc".into(), true), "d may stand behind what was cut off");
        assert_eq!(merged("ac", false, "db", 3), ("abc".into(), true));
        assert_eq!(merged("", false, "b", 0), (String::new(), false));
        assert_eq!(merged("a", false, "", 1), ("a".into(), false));
    }

    #[test]
    fn annotations_of_a_page_are_bounded() {
        let heavy = |hex| Referrer { annotations: Some(format!("{{\"k\":\"{}\"}}", "v".repeat(PAGE_BYTES * 2 / 3))), ..one(hex) };
        let (entries, more) = merge((vec![], false), vec![heavy('a'), heavy('b')], &Page { limit: 10, last: None });
        assert_eq!((entries.len(), more), (1, true));
    }

    #[test]
    fn the_tag_of_a_digest() {
        assert_eq!(own_tag(&one('a').digest), format!("sha256-{}", "a".repeat(64)));
        let wide: Digest = format!("sha512:{}", "b".repeat(128)).parse().unwrap();
        assert_eq!(own_tag(&wide), format!("sha512-{}", "b".repeat(64)));
    }
}
