//! Manifests and tags, in and out.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use model::{
    digest::{Digest, Hasher},
    name::{NameError, Reference, RepoName, Tag},
};
use serde_json::{Value, json};
use store::{
    garbage,
    manifests::{self, NewManifest, Put},
    repositories::{self, Removal},
};

use crate::{
    Inner,
    blobs::matches,
    document::{self, Document},
    door::{self, Arrival},
    incoming::{Cut, Incoming},
    refusal::{Code, Refusal, shortened},
    request::Asking,
    scope::Action,
    uploads::{CONTENT_DIGEST, digest_of, empty},
};

/// The manifest that a pushed one speaks about: tells clients that they need not keep a list of referrers themselves.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// A tag that a push by digest has moved.
const TAG: HeaderName = HeaderName::from_static("oci-tag");

/// Most tags in one push by digest; the standard wants at least ten.
const MAX_TAGS: usize = 100;

/// `GET` and `HEAD .../manifests/<reference>`.
pub(crate) async fn get(
    inner: &Inner,
    asking: &Asking<'_>,
    repository: &RepoName,
    text: &str,
    with_body: bool,
) -> Result<Response, Refusal> {
    asking.permitted(repository, Action::Pull)?;
    let unknown = || Refusal::manifest_unknown(repository.as_str(), text);
    let reference: Reference = text.parse().map_err(|_| unknown())?;
    let manifest = manifests::get(&inner.db, repository, &reference).await?.ok_or_else(unknown)?;
    if matches!(reference, Reference::Digest(_)) && !with_body && asking.permitted(repository, Action::Push).is_ok() {
        // Whoever may push asks in order not to send it again.
        garbage::want_manifest(&inner.db, repository, &manifest.digest).await?;
    }
    let etag = format!("\"{}\"", manifest.digest);
    if asking.header(&header::IF_NONE_MATCH).is_some_and(|known| matches(known, &etag)) {
        return Ok(empty(StatusCode::NOT_MODIFIED, [(header::ETAG, etag), (CONTENT_DIGEST, manifest.digest.to_string())]));
    }
    let fields = [
        (header::CONTENT_TYPE, manifest.media_type),
        (header::CONTENT_LENGTH, manifest.bytes.len().to_string()),
        (header::ETAG, etag),
        (CONTENT_DIGEST, manifest.digest.to_string()),
    ];
    let mut response = empty(StatusCode::OK, fields);
    if with_body {
        *response.body_mut() = Body::from(manifest.bytes);
    }
    Ok(response)
}

/// `PUT .../manifests/<reference>`: the last request of a push.
pub(crate) async fn put(
    inner: &Inner,
    asking: &Asking<'_>,
    repository: &RepoName,
    text: &str,
    body: &mut Incoming,
) -> Result<Response, Refusal> {
    let access = asking.permitted(repository, Action::Push)?;
    let named = Named::read(asking, text)?;
    let bytes = receive(inner, asking, body).await?;
    let digest = match named.digest {
        Some(digest) if !digest.matches(&bytes) => return Err(Refusal::digest_mismatch(&digest, &digest_like(&digest, &bytes))),
        Some(digest) => digest,
        None => Digest::of(&bytes),
    };
    let document = document::read(asking.header(&header::CONTENT_TYPE), &bytes)
        .map_err(|error| Refusal::bad(Code::ManifestInvalid, error.to_string(), json!({ "reference": shortened(text) })))?;
    ask_the_door(inner, asking, repository, &named.tags, &digest, &document, &bytes).await?;
    let pushes = store(inner, asking, repository, &named.tags, &digest, &document, &bytes, &access.account).await?;
    let fields = [(header::LOCATION, format!("/v2/{repository}/manifests/{digest}")), (CONTENT_DIGEST, digest.to_string())];
    let mut response = empty(StatusCode::CREATED, fields);
    let subject = document.subject.map(|subject| subject.to_string());
    let told = subject.iter().map(|text| (SUBJECT, text.as_str())).chain(named.tags.iter().map(|tag| (TAG, tag.as_str())));
    for (name, value) in told {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().append(name, value);
        }
    }
    // What is said of one is said of all: they name the same content.
    if let (Some(push), Some(remarks)) = (pushes.first(), &inner.options.remarks) {
        for value in remarks(*push).await.iter().filter_map(|remark| door::warning(remark)) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    Ok(response)
}

/// Asks under each name the manifest would have.
async fn ask_the_door(
    inner: &Inner,
    asking: &Asking<'_>,
    repository: &RepoName,
    tags: &[Tag],
    digest: &Digest,
    document: &Document,
    bytes: &Bytes,
) -> Result<(), Refusal> {
    let Some(door) = &inner.options.door else { return Ok(()) };
    let by_digest = tags.is_empty().then(|| Reference::Digest(digest.clone()));
    for reference in by_digest.into_iter().chain(tags.iter().cloned().map(Reference::Tag)) {
        let (repository, digest, media_type) = (repository.clone(), digest.clone(), document.media_type.clone());
        let arrival = Arrival { repository, reference, digest, media_type, bytes: bytes.clone() };
        door(arrival).await.map_err(|away| Refusal::turned_away(&away, asking.page(&away.page)))?;
    }
    Ok(())
}

/// How a pushed manifest is to be known: under a digest it must have, and under tags.
struct Named {
    digest: Option<Digest>,
    tags: Vec<Tag>,
}

impl Named {
    /// By tag (`?digest=` may say which digest), or by digest (`?tag=` may name tags).
    fn read(asking: &Asking<'_>, text: &str) -> Result<Self, Refusal> {
        let reference: Reference = text.parse().map_err(|error: NameError| reference_invalid(&error, text))?;
        let digest = match reference {
            Reference::Tag(tag) => return Ok(Self { digest: digest_of(asking)?, tags: vec![tag] }),
            Reference::Digest(digest) => digest,
        };
        let mut tags: Vec<Tag> = Vec::new();
        for text in asking.queries("tag") {
            let tag = text.parse().map_err(|error: NameError| reference_invalid(&error, &text))?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
            if tags.len() > MAX_TAGS {
                let message =
                    format!("at most {MAX_TAGS} tags can be moved by one push; move the others by another push of the same manifest");
                return Err(Refusal::new(StatusCode::URI_TOO_LONG, Code::Unsupported, message, json!({ "limit": MAX_TAGS })));
            }
        }
        Ok(Self { digest: Some(digest), tags })
    }
}

/// The digest of `bytes` by the function that `like` uses.
fn digest_like(like: &Digest, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(like.algorithm());
    hasher.update(bytes);
    hasher.finish()
}

#[expect(clippy::too_many_arguments, reason = "the parts of one request")]
async fn store(
    inner: &Inner,
    asking: &Asking<'_>,
    repository: &RepoName,
    tags: &[Tag],
    digest: &Digest,
    document: &Document,
    bytes: &Bytes,
    account: &str,
) -> Result<Vec<i64>, Refusal> {
    let new = NewManifest {
        repository: repository.clone(),
        tags: tags.to_vec(),
        digest: digest.clone(),
        media_type: document.media_type.clone(),
        artifact_type: document.artifact_type.clone(),
        subject: document.subject.clone(),
        annotations: document.annotations.clone(),
        bytes: bytes.clone(),
        blobs: document.blobs.clone(),
        manifests: document.manifests.clone(),
        account: account.to_owned(),
        now: inner.now(),
        quota: inner.options.limits.organization_bytes,
    };
    match manifests::put(&inner.db, new).await? {
        Put::Missing(blobs) => Err(Refusal::manifest_needs(&blobs)),
        Put::Held(hold) => Err(Refusal::held(repository, &hold, asking.page(&hold.page))),
        Put::Stored(pushes) => {
            for (push, tag) in pushes.iter().zip(tags) {
                tracing::info!(push, %repository, %tag, %digest, account, "a manifest was pushed");
            }
            if !pushes.is_empty() {
                inner.options.pushed.notify_one();
            }
            Ok(pushes)
        }
    }
}

async fn receive(inner: &Inner, asking: &Asking<'_>, body: &mut Incoming) -> Result<Bytes, Refusal> {
    let limit = inner.options.limits.manifest_bytes;
    let too_large = || {
        let message = format!("a manifest may have at most {limit} bytes; big content belongs into blobs that it names");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Code::ManifestInvalid, message, json!({ "limit": limit }))
    };
    if asking.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let late = |_| {
        Refusal::new(StatusCode::REQUEST_TIMEOUT, Code::ManifestInvalid, "the manifest took too long to arrive; send it again", Value::Null)
    };
    match tokio::time::timeout(inner.options.limits.manifest_time, body.whole(limit)).await.unwrap_or(Err(Cut::Silent)) {
        Ok(bytes) => bytes.ok_or_else(too_large),
        Err(Cut::Silent) => Err(late(())),
        Err(Cut::Broken) => {
            Err(Refusal::bad(Code::ManifestInvalid, "the connection broke before the manifest was complete; send it again", Value::Null))
        }
    }
}

fn reference_invalid(error: &NameError, text: &str) -> Refusal {
    match text.contains(':').then(|| text.parse::<Digest>()) {
        Some(Err(error)) => Refusal::digest_syntax(text, &error),
        _ => Refusal::bad(Code::TagInvalid, error.to_string(), json!({ "tag": shortened(text) })),
    }
}

/// `DELETE .../manifests/<reference>`: by digest the manifest and its tags, by tag only the tag.
pub(crate) async fn delete(inner: &Inner, asking: &Asking<'_>, repository: &RepoName, text: &str) -> Result<Response, Refusal> {
    asking.permitted(repository, Action::Delete)?;
    let unknown = || Refusal::manifest_unknown(repository.as_str(), text);
    let removal = match text.parse::<Reference>().map_err(|_| unknown())? {
        Reference::Digest(digest) => manifests::delete(&inner.db, repository, &digest).await?,
        Reference::Tag(tag) => repositories::delete_tag(&inner.db, repository, &tag).await?,
    };
    match removal {
        Removal::Gone => Ok(empty(StatusCode::ACCEPTED, [])),
        Removal::Unknown => Err(unknown()),
        Removal::Held(hold) => Err(Refusal::held(repository, &hold, asking.page(&hold.page))),
    }
}

/// `GET .../tags/list`: in byte order, `n` at a time behind `last`.
pub(crate) async fn tags(inner: &Inner, asking: &Asking<'_>, repository: &RepoName) -> Result<Response, Refusal> {
    asking.permitted(repository, Action::Pull)?;
    let page = asking.paging(inner.options.limits.list_page)?;
    // One more than asked for tells whether there is a next page.
    let found = repositories::tags(&inner.db, repository, page.last.as_deref(), page.limit.saturating_add(1)).await?;
    let mut names = found.ok_or_else(|| {
        let message = format!("repository {repository} is not known here; push something to it first");
        Refusal::not_found(Code::NameUnknown, message, json!({ "name": repository.as_str() }))
    })?;
    let more = page.cut(&mut names);
    let next = names.last().filter(|_| more).map(|last| page.link(&format!("/v2/{repository}/tags/list"), last, &[]));
    let mut response = json_response(&json!({ "name": repository.as_str(), "tags": names }))?;
    with_link(&mut response, next);
    Ok(response)
}

/// A list of ours.
pub(crate) fn json_response(list: &Value) -> Result<Response, Refusal> {
    let body = serde_json::to_vec(list).map_err(|error| Refusal::internal(&error))?;
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Says where a list goes on.
pub(crate) fn with_link(response: &mut Response, next: Option<String>) {
    if let Some(value) = next.and_then(|link| HeaderValue::from_str(&link).ok()) {
        response.headers_mut().insert(header::LINK, value);
    }
}
