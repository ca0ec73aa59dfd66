//! Manifests and tags, in and out.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use model::{
    digest::Digest,
    name::{Reference, RepoName},
};
use serde_json::{Value, json};
use store::{
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
    uploads::{CONTENT_DIGEST, empty},
};

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
    let reference: Reference = text.parse().map_err(|error: model::name::NameError| reference_invalid(&error, text))?;
    let bytes = receive(inner, asking, body).await?;
    let digest = match &reference {
        Reference::Digest(digest) if !digest.matches(&bytes) => return Err(Refusal::digest_mismatch(digest, &Digest::of(&bytes))),
        Reference::Digest(digest) => digest.clone(),
        Reference::Tag(_) => Digest::of(&bytes),
    };
    let document = document::read(asking.header(&header::CONTENT_TYPE), &bytes)
        .map_err(|error| Refusal::bad(Code::ManifestInvalid, error.to_string(), json!({ "reference": shortened(text) })))?;
    if let Some(door) = &inner.options.door {
        let arrival = Arrival {
            repository: repository.clone(),
            reference: reference.clone(),
            digest: digest.clone(),
            media_type: document.media_type.clone(),
            bytes: bytes.clone(),
        };
        door(arrival).await.map_err(|away| Refusal::turned_away(&away, asking.page(&away.page)))?;
    }
    let push = store(inner, asking, repository, &reference, &digest, &document, &bytes, &access.account).await?;
    let fields = [(header::LOCATION, format!("/v2/{repository}/manifests/{digest}")), (CONTENT_DIGEST, digest.to_string())];
    let mut response = empty(StatusCode::CREATED, fields);
    if let (Some(push), Some(remarks)) = (push, &inner.options.remarks) {
        for value in remarks(push).await.iter().filter_map(|remark| door::warning(remark)) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    Ok(response)
}

#[expect(clippy::too_many_arguments, reason = "the parts of one request")]
async fn store(
    inner: &Inner,
    asking: &Asking<'_>,
    repository: &RepoName,
    reference: &Reference,
    digest: &Digest,
    document: &Document,
    bytes: &[u8],
    account: &str,
) -> Result<Option<i64>, Refusal> {
    let tag = match reference {
        Reference::Tag(tag) => Some(tag),
        Reference::Digest(_) => None,
    };
    let new = NewManifest {
        repository,
        tag,
        digest,
        media_type: &document.media_type,
        artifact_type: document.artifact_type.as_deref(),
        subject: document.subject.as_ref(),
        bytes,
        blobs: &document.blobs,
        manifests: &document.manifests,
        account,
        now: inner.now(),
        quota: inner.options.limits.organization_bytes,
    };
    match manifests::put(&inner.db, &new).await? {
        Put::Missing { blobs, manifests } => Err(Refusal::manifest_needs(&blobs, &manifests)),
        Put::Held(hold) => Err(Refusal::held(repository, &hold, asking.page(&hold.page))),
        Put::Stored(push) => {
            if let Some(push) = push {
                tracing::info!(push, %repository, %reference, %digest, account, "a manifest was pushed");
                inner.options.pushed.notify_one();
            }
            Ok(push)
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

fn reference_invalid(error: &model::name::NameError, text: &str) -> Refusal {
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
    let page = inner.options.limits.tags_page;
    let wanted = match asking.query("n") {
        None => page,
        Some(text) => text
            .parse::<u64>()
            .map(|n| u32::try_from(n).unwrap_or(page).min(page))
            .map_err(|_| Refusal::bad(Code::Unsupported, "n must be a number: how many tags to list", json!({ "n": shortened(&text) })))?,
    };
    let last = asking.query("last");
    // One more than asked for tells whether there is a next page.
    let found = repositories::tags(&inner.db, repository, last.as_deref(), wanted.saturating_add(1)).await?;
    let mut names = found.ok_or_else(|| {
        let message = format!("repository {repository} is not known here; push something to it first");
        Refusal::not_found(Code::NameUnknown, message, json!({ "name": repository.as_str() }))
    })?;
    let more = names.len() > wanted as usize;
    names.truncate(wanted as usize);
    let next = names.last().filter(|_| more).map(|last| format!("</v2/{repository}/tags/list?n={wanted}&last={last}>; rel=\"next\""));
    let body = serde_json::to_vec(&json!({ "name": repository.as_str(), "tags": names })).map_err(|error| Refusal::internal(&error))?;
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(value) = next.and_then(|link| HeaderValue::from_str(&link).ok()) {
        response.headers_mut().insert(header::LINK, value);
    }
    Ok(response)
}
