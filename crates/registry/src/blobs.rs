//! Blobs on their way out.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use model::{digest::Digest, name::RepoName};
use serde_json::json;
use store::{
    blobs::Pieces,
    garbage,
    repositories::{self, Unlinked},
};

use crate::{
    Inner,
    range::{self, Wanted},
    refusal::{Code, Refusal},
    request::Asking,
    scope::Action,
    uploads::{CONTENT_DIGEST, empty},
};

/// `GET` and `HEAD .../blobs/<digest>`.
pub(crate) async fn get(
    inner: &Inner,
    asking: &Asking<'_>,
    repository: &RepoName,
    text: &str,
    with_body: bool,
) -> Result<Response, Refusal> {
    asking.permitted(repository, Action::Pull)?;
    let digest: Digest = text.parse().map_err(|error| Refusal::digest_syntax(text, &error))?;
    let size = repositories::blob_size(&inner.db, repository, &digest).await?;
    let size = size.ok_or_else(|| Refusal::blob_unknown(repository.as_str(), &digest))?;
    if !with_body && asking.permitted(repository, Action::Push).is_ok() {
        // Whoever may push asks in order not to send it again.
        garbage::want_blob(&inner.db, repository, &digest).await?;
    }
    let etag = format!("\"{digest}\"");
    if asking.header(&header::IF_NONE_MATCH).is_some_and(|known| matches(known, &etag)) {
        return Ok(empty(StatusCode::NOT_MODIFIED, [(header::ETAG, etag), (CONTENT_DIGEST, digest.to_string())]));
    }
    // A range is a matter of GET alone, and of the very blob that If-Range names.
    let same = asking.header(&header::IF_RANGE).is_none_or(|known| known.trim() == etag);
    let (status, first, count) = match range::wanted(asking.header(&header::RANGE).filter(|_| with_body && same), size) {
        Wanted::All => (StatusCode::OK, 0, size),
        Wanted::Part { first, last } => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Wanted::Unsatisfiable => {
            let message = format!("blob {digest} has {size} bytes, and the range asks for none of them");
            let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, Code::SizeInvalid, message, json!({ "size": size }));
            return Err(refusal.header(header::CONTENT_RANGE, &format!("bytes */{size}")));
        }
    };
    let mut response =
        empty(status, [(header::CONTENT_LENGTH, count.to_string()), (header::ETAG, etag), (CONTENT_DIGEST, digest.to_string())]);
    if with_body {
        *response.body_mut() = Body::from_stream(outgoing(inner.blobs.pieces(&digest, first, count).await?));
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Content never changes under its digest, but only who may read it here may keep it.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable"));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = HeaderValue::from_str(&format!("bytes {first}-{}/{size}", first + count - 1))
    {
        headers.insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

/// `DELETE .../blobs/<digest>`: this repository no longer holds it. Refused while one of its manifests needs it: an image that cannot
/// be pulled helps nobody.
pub(crate) async fn delete(inner: &Inner, asking: &Asking<'_>, repository: &RepoName, text: &str) -> Result<Response, Refusal> {
    asking.permitted(repository, Action::Delete)?;
    let digest: Digest = text.parse().map_err(|error| Refusal::digest_syntax(text, &error))?;
    match repositories::remove_blob(&inner.db, repository, &digest).await? {
        Unlinked::Gone => Ok(empty(StatusCode::ACCEPTED, [])),
        Unlinked::Unknown => Err(Refusal::blob_unknown(repository.as_str(), &digest)),
        Unlinked::Needed(manifest) => Err(Refusal::blob_needed(&digest, &manifest)),
    }
}

/// Whether one of the entity tags in `If-None-Match` is this one.
pub(crate) fn matches(header: &str, etag: &str) -> bool {
    header.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// The pieces as a body takes them. The client has its status already: a fault can only end the connection, so the log must tell of it.
fn outgoing(pieces: Pieces) -> impl Stream<Item = Result<Bytes, store::Error>> {
    stream::try_unfold(pieces, |mut pieces| async move {
        let piece = pieces.next().await.inspect_err(|error| {
            let error: &(dyn std::error::Error + 'static) = error;
            tracing::error!(error, "a blob could not be read to its end");
        })?;
        Ok(piece.map(|piece| (piece, pieces)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags() {
        for good in ["\"a\"", "W/\"a\"", "\"x\", \"a\"", "*"] {
            assert!(matches(good, "\"a\""), "{good}");
        }
        assert!(!matches("\"x\"", "\"a\""));
    }
}
