//! Blobs on their way out.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use model::{digest::Digest, name::RepoName};
use serde_json::json;
use store::repositories::{self, Unlinked};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    Inner,
    range::{self, Wanted},
    refusal::{Code, Refusal},
    request::Asking,
    scope::Action,
    sessions::WriteError,
    uploads::{CONTENT_DIGEST, empty},
};

/// What is read ahead for one download.
const READ_BYTES: u64 = 512 << 10;

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
        let (blobs, digest) = (inner.blobs.clone(), digest.clone());
        let file = spawn_blocking(move || blobs.open_blob(&digest)).await.map_err(WriteError::from)??;
        *response.body_mut() = Body::from_stream(outgoing(file, first, count));
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

/// A file and the bytes of it still to send.
struct Rest {
    file: File,
    left: u64,
}

impl Rest {
    fn read(mut self) -> io::Result<(Bytes, Self)> {
        let want = self.left.min(READ_BYTES);
        let mut buffer = Vec::with_capacity(usize::try_from(want).unwrap_or(0));
        let read = (&self.file).take(want).read_to_end(&mut buffer)? as u64;
        if read < want {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a blob's file is shorter than its row says"));
        }
        self.left -= read;
        Ok((buffer.into(), self))
    }
}

type Reading = JoinHandle<io::Result<(Bytes, Rest)>>;

/// Reads the file one piece ahead of the connection.
fn outgoing(mut file: File, first: u64, count: u64) -> impl Stream<Item = io::Result<Bytes>> {
    let start: Reading = spawn_blocking(move || {
        file.seek(SeekFrom::Start(first))?;
        Rest { file, left: count }.read()
    });
    stream::try_unfold((count > 0).then_some(start), |reading| async move {
        let Some(reading) = reading else { return Ok(None) };
        let (bytes, rest) =
            reading.await.map_err(io::Error::other)?.inspect_err(|error| tracing::error!(%error, "a blob could not be read to its end"))?;
        let next: Option<Reading> = (rest.left > 0).then(|| spawn_blocking(move || rest.read()));
        Ok(Some((bytes, next)))
    })
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    async fn read(content: &[u8], first: u64, count: u64) -> io::Result<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, content).unwrap();
        let pieces: Vec<Bytes> = outgoing(File::open(path).unwrap(), first, count).try_collect().await?;
        Ok(pieces.concat())
    }

    #[tokio::test]
    async fn any_part_of_a_file_is_read() {
        let content: Vec<u8> = (0..READ_BYTES * 2 + 7).map(|n| (n % 251) as u8).collect();
        let size = content.len() as u64;
        assert_eq!(read(&content, 0, size).await.unwrap(), content);
        assert_eq!(read(&content, 5, READ_BYTES).await.unwrap(), content[5..5 + READ_BYTES as usize]);
        assert_eq!(read(&content, size - 1, 1).await.unwrap(), content[content.len() - 1..]);
        assert_eq!(read(b"", 0, 0).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn a_file_that_is_too_short_is_an_error() {
        assert_eq!(read(b"abc", 0, 4).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn entity_tags() {
        for good in ["\"a\"", "W/\"a\"", "\"x\", \"a\"", "*"] {
            assert!(matches(good, "\"a\""), "{good}");
        }
        assert!(!matches("\"x\"", "\"a\""));
    }
}
