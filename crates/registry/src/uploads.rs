//! The ways a blob comes in: at once, in chunks, resumed, or from another repository (distribution-spec 1.1 "Pushing blobs").

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use model::{
    digest::{Algorithm, Digest},
    name::RepoName,
};
use serde_json::json;
use store::{blobs::Blobs, repositories, uploads::Upload};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::{
    Inner,
    access::Access,
    incoming::{Cut, Incoming},
    quota::Holding,
    range,
    receive::{End, Room, Stop, receive},
    refusal::{Code, Refusal},
    request::Asking,
    scope::Action,
    sessions::{Live, Session, Sessions, WriteError, Writing},
};

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Store(error) => error.into(),
            WriteError::Thread(error) => Self::internal(&error),
        }
    }
}

/// `POST .../blobs/uploads/`: begins an upload, or ends it at once.
pub(crate) async fn start(inner: &Inner, asking: &Asking<'_>, repository: &RepoName, body: &mut Incoming) -> Result<Response, Refusal> {
    let access = asking.permitted(repository, Action::Push)?;
    if let Some(mounted) = mount(inner, asking, access, repository).await? {
        return Ok(mounted);
    }
    make_room(inner)?;
    let holding = inner.quotas.holding(repository.organization());
    // At least one byte must be free.
    holding.grow(&inner.db, inner.options.limits.organization_bytes, asking.content_length().unwrap_or(0).max(1)).await?;
    let named = digest_of(asking)?;
    algorithm_of(asking)?;
    let id = (inner.options.ids)();
    let live = {
        let (blobs, repository, tap) = (inner.blobs.clone(), repository.clone(), inner.options.tap.clone());
        spawn_blocking(move || Live::create(&blobs, id, &repository, tap.as_ref())).await.map_err(WriteError::from)??
    };
    match named {
        // Some clients name the digest here and still send the bytes with a PUT.
        Some(digest) if asking.content_length() != Some(0) || digest.matches(b"") => {
            let done = at_once(inner, repository, live, &digest, &holding, body).await;
            if done.is_err() {
                // There is no session to come back to: whatever went wrong, nothing of it stays.
                let (blobs, repository) = (inner.blobs.clone(), repository.clone());
                spawn_blocking(move || Upload::find(&blobs, id, &repository)?.map_or(Ok(()), Upload::remove))
                    .await
                    .map_err(WriteError::from)??;
            }
            done
        }
        _ => {
            inner.sessions.insert(id, repository, 0, Some(live), holding, inner.now());
            Ok(progress(StatusCode::ACCEPTED, repository, id, 0))
        }
    }
}

/// When there are too many uploads, those that rest even for a moment go back to being files.
fn make_room(inner: &Inner) -> Result<(), Refusal> {
    let most = inner.options.limits.open_uploads;
    if inner.sessions.count() >= most {
        inner.sessions.evict(inner.now(), Duration::from_secs(1));
    }
    if inner.sessions.count() >= most {
        return Err(Refusal::too_many("too many uploads are open at once; wait for some to end", Duration::from_secs(10)));
    }
    Ok(())
}

async fn at_once(
    inner: &Inner,
    repository: &RepoName,
    live: Live,
    digest: &Digest,
    holding: &Holding,
    body: &mut Incoming,
) -> Result<Response, Refusal> {
    let (mut received, mut kept) = (0, Some(live));
    let done =
        receive(&mut kept, body, Room::new(inner, holding, inner.options.limits.blob_bytes), End::Held, &mut |len| received = len).await;
    match (done, kept) {
        (Ok(last), Some(live)) => finish(inner, repository, live, last, digest, holding).await.map_err(Unfinished::into_refusal),
        (Ok(_), None) => Err(lost()),
        (Err(Stop::Cut(cut)), _) => Err(cut_short(cut, received, None)),
        (Err(Stop::TooLarge), _) => Err(too_large(inner)),
        (Err(Stop::Full(refusal)), _) => Err(refusal),
        (Err(Stop::Write(error)), _) => Err(error.into()),
    }
}

/// A state that [`receive`] never leaves behind; it is told apart only so that nothing has to be assumed.
fn lost() -> Refusal {
    Refusal::internal(&std::io::Error::other("an upload lost its state"))
}

/// Takes a blob over from another repository the account may read, from any of them when the client names none. `None` when the client has to upload it after all.
async fn mount(inner: &Inner, asking: &Asking<'_>, access: &Access, to: &RepoName) -> Result<Option<Response>, Refusal> {
    let Some(text) = asking.query("mount") else { return Ok(None) };
    let digest: Digest = text.parse().map_err(|error| Refusal::digest_syntax(&text, &error))?;
    let (db, now, quota) = (&inner.db, inner.now(), inner.options.limits.organization_bytes);
    let mounted = match asking.query("from").map(|name| name.parse::<RepoName>()) {
        None => repositories::mount_blob_from_any(db, &access.among(Action::Pull), to, &digest, now, quota).await?,
        Some(Ok(from)) if access.has(&from, Action::Pull) => repositories::mount_blob(db, &from, to, &digest, now, quota).await?,
        Some(_) => false,
    };
    Ok(mounted.then(|| created(to, &digest)))
}

/// `PATCH .../blobs/uploads/<id>`: adds bytes.
pub(crate) async fn add(
    inner: &Inner,
    asking: &Asking<'_>,
    repository: &RepoName,
    id: &str,
    body: &mut Incoming,
) -> Result<Response, Refusal> {
    asking.permitted(repository, Action::Push)?;
    let mut open = Open::find(inner, repository, id).await?;
    let live = open.resume(inner).await?;
    let (live, _) = open.receive(inner, asking, live, End::Written, body).await?;
    let received = live.len();
    *open.writing = Some(live);
    Ok(progress(StatusCode::ACCEPTED, repository, open.id, received))
}

/// `PUT .../blobs/uploads/<id>?digest=`: adds the last bytes, if any, and makes the upload a blob.
pub(crate) async fn complete(
    inner: &Inner,
    asking: &Asking<'_>,
    repository: &RepoName,
    id: &str,
    body: &mut Incoming,
) -> Result<Response, Refusal> {
    asking.permitted(repository, Action::Push)?;
    let digest = digest_of(asking)?.ok_or_else(|| {
        Refusal::bad(Code::DigestInvalid, "the end of an upload needs ?digest= with the digest of the whole blob", json!({ "upload": id }))
    })?;
    let mut open = Open::find(inner, repository, id).await?;
    let live = open.resume(inner).await?;
    let (live, last) = open.receive(inner, asking, live, End::Held, body).await?;
    match finish(inner, repository, live, last, &digest, &open.session.holding).await {
        Err(Unfinished::Fault(refusal)) => {
            Sessions::measure(&open.session, &inner.blobs, open.id, None, inner.now()).await?;
            Err(refusal)
        }
        Err(Unfinished::Mismatch(refusal)) => {
            inner.sessions.forget(open.id);
            Err(refusal)
        }
        Ok(response) => {
            inner.sessions.forget(open.id);
            Ok(response)
        }
    }
}

/// `GET .../blobs/uploads/<id>`: how far it is.
pub(crate) async fn status(inner: &Inner, asking: &Asking<'_>, repository: &RepoName, id: &str) -> Result<Response, Refusal> {
    asking.permitted(repository, Action::Push)?;
    let (id, session) = find(inner, repository, id).await?;
    Ok(progress(StatusCode::NO_CONTENT, repository, id, session.received()))
}

/// `DELETE .../blobs/uploads/<id>`: forgets it.
pub(crate) async fn cancel(inner: &Inner, asking: &Asking<'_>, repository: &RepoName, id: &str) -> Result<Response, Refusal> {
    asking.permitted(repository, Action::Push)?;
    let mut open = Open::find(inner, repository, id).await?;
    let live = open.resume(inner).await?;
    spawn_blocking(move || live.remove()).await.map_err(WriteError::from)??;
    inner.sessions.forget(open.id);
    Ok(empty(StatusCode::NO_CONTENT, []))
}

/// A session that this request alone may write to.
struct Open<'r> {
    id: Uuid,
    repository: &'r RepoName,
    session: Arc<Session>,
    writing: Writing,
}

async fn find(inner: &Inner, repository: &RepoName, text: &str) -> Result<(Uuid, Arc<Session>), Refusal> {
    let id = Uuid::try_parse(text).map_err(|_| Refusal::upload_unknown(text))?;
    let session = inner.sessions.find(&inner.blobs, &inner.quotas, id, repository, inner.now()).await?;
    Ok((id, session.ok_or_else(|| Refusal::upload_unknown(text))?))
}

impl<'r> Open<'r> {
    async fn find(inner: &Inner, repository: &'r RepoName, text: &str) -> Result<Self, Refusal> {
        let (id, session) = find(inner, repository, text).await?;
        let writing = session.write(inner.options.limits.session_wait).await.ok_or_else(|| {
            let message =
                format!("another request is writing to upload {id}; wait for it, then ask for the progress with GET and go on from there");
            Refusal::new(StatusCode::CONFLICT, Code::BlobUploadInvalid, message, json!({ "upload": id.to_string() }))
        })?;
        Ok(Self { id, repository, session, writing })
    }

    async fn resume(&mut self, inner: &Inner) -> Result<Live, Refusal> {
        let tap = inner.options.tap.as_ref();
        let live = inner.sessions.resume(&mut self.writing, &inner.blobs, self.id, self.repository, tap).await?;
        live.ok_or_else(|| {
            inner.sessions.forget(self.id);
            Refusal::upload_unknown(&self.id.to_string())
        })
    }

    /// Adds the body of a PATCH or PUT, when it belongs where the upload ends. Whatever is refused, the upload can go on.
    /// With the upload come the bytes that were held back.
    async fn receive(
        &mut self,
        inner: &Inner,
        asking: &Asking<'_>,
        live: Live,
        end: End,
        body: &mut Incoming,
    ) -> Result<(Live, Vec<Bytes>), Refusal> {
        let start = live.len();
        let mut kept = Some(live);
        self.session.advance(start, inner.now());
        let taken = self.take(inner, asking, &mut kept, (start, end), body).await;
        match (taken, kept) {
            (Ok(last), Some(live)) => Ok((live, last)),
            (Ok(_), None) => Err(lost()),
            (Err(refusal), kept) if self.session.holding.is_full() => {
                // No client goes on after this; what it has sent so far gives back its room.
                if let Some(live) = kept {
                    spawn_blocking(move || live.remove()).await.map_err(WriteError::from)??;
                }
                inner.sessions.forget(self.id);
                Err(refusal)
            }
            (Err(refusal), kept) => {
                if kept.is_none() {
                    // Half a request would keep a full disk full until it expires.
                    let keep = (refusal.status() == StatusCode::INSUFFICIENT_STORAGE).then_some(start);
                    Sessions::measure(&self.session, &inner.blobs, self.id, keep, inner.now()).await?;
                }
                *self.writing = kept;
                Err(refusal)
            }
        }
    }

    async fn take(
        &mut self,
        inner: &Inner,
        asking: &Asking<'_>,
        live: &mut Option<Live>,
        (start, end): (u64, End),
        body: &mut Incoming,
    ) -> Result<Vec<Bytes>, Refusal> {
        let declared = self.declared(asking, start)?;
        let coming = declared.or(asking.content_length()).unwrap_or(0);
        self.session.holding.grow(&inner.db, inner.options.limits.organization_bytes, start.saturating_add(coming)).await?;
        let room = inner.options.limits.blob_bytes.saturating_sub(start);
        let session = Arc::clone(&self.session);
        // What was declared is compared with what is written.
        let end = if declared.is_some() { End::Written } else { end };
        let done = receive(live, body, Room::new(inner, &self.session.holding, declared.unwrap_or(room).min(room)), end, &mut |len| {
            session.advance(len, inner.now())
        })
        .await;
        let received = self.session.received().saturating_sub(start);
        match (done, declared) {
            (Err(Stop::Cut(cut)), _) => Err(cut_short(cut, start + received, Some((self.repository, self.id)))),
            (Err(Stop::Write(error)), _) => Err(error.into()),
            (Err(Stop::Full(refusal)), _) => Err(refusal),
            (Err(Stop::TooLarge), Some(declared)) if declared <= room => Err(self.wrong_size(declared, "more")),
            (Err(Stop::TooLarge), _) => Err(too_large(inner)),
            (Ok(_), Some(declared)) if received < declared => Err(self.wrong_size(declared, "fewer")),
            (Ok(last), _) => Ok(last),
        }
    }

    /// The size that `Content-Range` promises, after looking whether the chunk begins where the upload ends.
    fn declared(&self, asking: &Asking<'_>, start: u64) -> Result<Option<u64>, Refusal> {
        let Some(text) = asking.header(&header::CONTENT_RANGE) else { return Ok(None) };
        let invalid =
            |message: String| Refusal::bad(Code::BlobUploadInvalid, message, json!({ "contentRange": crate::refusal::shortened(text) }));
        let chunk = range::chunk(text).ok_or_else(|| invalid("Content-Range must be first-last, such as 0-1048575".to_owned()))?;
        if chunk.first != start {
            let message = format!("upload {} has {start} bytes, so the next chunk begins at {start}, not at {}", self.id, chunk.first);
            let detail = json!({ "expected": start, "actual": chunk.first });
            let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, Code::BlobUploadInvalid, message, detail);
            return Err(self.with_progress(refusal, start));
        }
        let size = chunk.size().ok_or_else(|| invalid("Content-Range is larger than any blob".to_owned()))?;
        match asking.content_length() {
            Some(length) if length != size => {
                let message = format!("Content-Range {text} has {size} bytes, but Content-Length says {length}; make them agree");
                Err(Refusal::bad(Code::SizeInvalid, message, json!({ "contentRange": size, "contentLength": length })))
            }
            _ => Ok(Some(size)),
        }
    }

    fn wrong_size(&self, declared: u64, than: &str) -> Refusal {
        let received = self.session.received();
        let message = format!(
            "the chunk had {than} bytes than the {declared} its Content-Range says; the upload has {received} now, go on from there or cancel it"
        );
        self.with_progress(Refusal::bad(Code::SizeInvalid, message, json!({ "declared": declared, "received": received })), received)
    }

    fn with_progress(&self, refusal: Refusal, received: u64) -> Refusal {
        refusal.header(header::LOCATION, &location(self.repository, self.id)).header(header::RANGE, &so_far(received))
    }
}

/// Why an upload that had all its bytes is no blob.
enum Unfinished {
    /// It is not what the client said, and gone.
    Mismatch(Refusal),
    /// We failed; if its file is still there the client may try again.
    Fault(Refusal),
}

impl Unfinished {
    fn into_refusal(self) -> Refusal {
        match self {
            Self::Mismatch(refusal) | Self::Fault(refusal) => refusal,
        }
    }
}

impl<E: Into<Refusal>> From<E> for Unfinished {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// What the thread that ends an upload has made of it.
enum Ended {
    Mismatch(Digest),
    Done,
    /// There is a blob of this content and size. Whether it counts is for the database to say.
    There(Live),
}

/// Writes the last bytes and compares the digest; what is new is made durable. `known`: whether the database has the blob, if it was asked.
fn end(mut live: Live, last: &[Bytes], blobs: &Blobs, wanted: &Digest, known: Option<bool>) -> Result<Ended, store::Error> {
    live.take(last)?;
    let found = live.digest(wanted.algorithm())?;
    if found != *wanted {
        live.remove()?;
        return Ok(Ended::Mismatch(found));
    }
    if known != Some(false) && blobs.size(wanted)? == Some(live.len()) {
        return Ok(Ended::There(live));
    }
    live.publish(blobs, wanted)?;
    Ok(Ended::Done)
}

/// Compares the digest, makes the bytes durable, then visible.
async fn finish(
    inner: &Inner,
    repository: &RepoName,
    live: Live,
    last: Vec<Bytes>,
    digest: &Digest,
    holding: &Holding,
) -> Result<Response, Unfinished> {
    // From before the bytes stand under their name until the row is there, garbage collection keeps away.
    let _kept = inner.holds.keep(digest).await;
    let size = live.len() + last.iter().map(|piece| piece.len() as u64).sum::<u64>();
    // A look into a folder costs less than a question to the database, and most blobs are new. A bucket is far.
    let known = if inner.blobs.is_near() { None } else { Some(repositories::blob_exists(&inner.db, digest).await?) };
    let (blobs, wanted) = (inner.blobs.clone(), digest.clone());
    match spawn_blocking(move || end(live, &last, &blobs, &wanted, known)).await.map_err(WriteError::from)?? {
        Ended::Mismatch(found) => return Err(Unfinished::Mismatch(Refusal::digest_mismatch(digest, &found))),
        Ended::Done => {}
        Ended::There(live) => {
            let counts = repositories::blob_exists(&inner.db, digest).await?;
            let (blobs, wanted) = (inner.blobs.clone(), digest.clone());
            let ended = spawn_blocking(move || if counts { live.remove() } else { live.publish(&blobs, &wanted) });
            ended.await.map_err(WriteError::from)??;
        }
    }
    // The transaction counts for itself; held here as well, the bytes would count twice for a moment.
    holding.release();
    repositories::add_blob(&inner.db, repository, digest, size, inner.now(), inner.options.limits.organization_bytes).await?;
    Ok(created(repository, digest))
}

/// The digest that `?digest=` names.
pub(crate) fn digest_of(asking: &Asking<'_>) -> Result<Option<Digest>, Refusal> {
    let Some(text) = asking.query("digest") else { return Ok(None) };
    text.parse().map(Some).map_err(|error| Refusal::digest_syntax(&text, &error))
}

/// `?digest-algorithm=` announces by which function the digest at the end will be; one we do not have is refused before any byte is sent.
fn algorithm_of(asking: &Asking<'_>) -> Result<Algorithm, Refusal> {
    let Some(word) = asking.query("digest-algorithm") else { return Ok(Algorithm::Sha256) };
    [Algorithm::Sha256, Algorithm::Sha512].into_iter().find(|known| known.as_str() == word).ok_or_else(|| {
        let message = format!("digests by {:?} are not taken here; use sha256 or sha512", crate::refusal::shortened(&word));
        Refusal::bad(Code::DigestInvalid, message, json!({ "algorithm": crate::refusal::shortened(&word) }))
    })
}

fn cut_short(cut: Cut, received: u64, resumable: Option<(&RepoName, Uuid)>) -> Refusal {
    let what = match cut {
        Cut::Broken => "the connection broke",
        Cut::Silent => "nothing came for too long",
    };
    let next = if resumable.is_some() {
        "they are kept: ask for the progress with GET and go on from there"
    } else {
        "nothing is kept: send it again"
    };
    let message = format!("{what} after {received} bytes; {next}");
    let status = if cut == Cut::Silent { StatusCode::REQUEST_TIMEOUT } else { StatusCode::BAD_REQUEST };
    let refusal = Refusal::new(status, Code::BlobUploadInvalid, message, json!({ "received": received }));
    match resumable {
        Some((repository, id)) => refusal.header(header::LOCATION, &location(repository, id)).header(header::RANGE, &so_far(received)),
        None => refusal,
    }
}

fn too_large(inner: &Inner) -> Refusal {
    let limit = inner.options.limits.blob_bytes;
    let message = format!("a blob may have at most {limit} bytes; make the layer smaller or split it");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Code::SizeInvalid, message, json!({ "limit": limit }))
}

fn location(repository: &RepoName, id: Uuid) -> String {
    format!("/v2/{repository}/blobs/uploads/{id}")
}

/// As the standard writes what was received; with nothing received it has no form, and `0-0` is what clients know.
fn so_far(received: u64) -> String {
    format!("0-{}", received.saturating_sub(1))
}

fn progress(status: StatusCode, repository: &RepoName, id: Uuid, received: u64) -> Response {
    let fields = [(header::LOCATION, location(repository, id)), (header::RANGE, so_far(received)), (UPLOAD_ID, id.to_string())];
    empty(status, fields)
}

fn created(repository: &RepoName, digest: &Digest) -> Response {
    let fields = [(header::LOCATION, format!("/v2/{repository}/blobs/{digest}")), (CONTENT_DIGEST, digest.to_string())];
    empty(StatusCode::CREATED, fields)
}

/// An answer without a body. Our own names and numbers always fit into headers.
pub(crate) fn empty<const N: usize>(status: StatusCode, fields: [(HeaderName, String); N]) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
