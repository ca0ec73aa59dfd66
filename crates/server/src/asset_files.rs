//! The content of files of recordings: taken in piece by piece, kept by digest, read again, and given out at `/v3/assets/{id}/file`, with ranges, to
//! whoever may see the recording or has an address that is signed for a while.

mod holds;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use harness::Md5Sum;
pub use holds::{Hold, Holds};
use model::{digest::Digest, name::RepoName};
use registry::range::{self, Wanted};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use store::{
    assets::{self, Asset, Content},
    blobs::Blobs,
    tasks, tdos,
    uploads::{self, Upload},
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    auth::permission::Permission,
    clock,
    error::{Problem, chain},
    http::party,
};

/// Largest file, bytes (GraphQL contract §1).
pub const FILE_MAX: u64 = 100 << 20;

/// How long content that nothing names is kept: longer than it takes to write down what names it.
const GRACE: Duration = Duration::from_secs(24 * 3_600);

/// Content that is durable. Drop it when something names the content.
#[derive(Debug)]
pub struct Kept {
    /// Its digest.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    _hold: Hold,
}

/// A file on its way in. Dropped before it is kept, it leaves nothing behind.
pub struct Incoming {
    upload: Option<Upload>,
    hash: Sha256,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // What cannot be removed now goes with the next sweep.
        let _ = self.upload.take().map(Upload::remove);
    }
}

/// Uploads are bound to a repository; these have none.
fn nowhere() -> Result<RepoName, Problem> {
    "1/assets".parse().map_err(|error| Problem::internal(&error))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, store::Error> + Send + 'static) -> Result<T, Problem> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(&error))??)
}

impl Incoming {
    /// Begins one.
    ///
    /// # Errors
    /// [`Problem::Internal`].
    pub async fn begin(app: &App) -> Result<Self, Problem> {
        let (blobs, repository) = (app.assets.clone(), nowhere()?);
        let upload = blocking(move || Upload::create(&blobs, clock::new_id(), &repository)).await?;
        Ok(Self { upload: Some(upload), hash: Sha256::new() })
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.upload.as_ref().map_or(0, Upload::len)
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// [`Problem::Internal`].
    pub async fn add(&mut self, piece: Bytes) -> Result<(), Problem> {
        let Some(upload) = self.upload.take() else { return Ok(()) };
        // Whoever goes away meanwhile leaves the file to its own drop.
        let mut moved = Self { upload: Some(upload), hash: std::mem::take(&mut self.hash) };
        let mut moved = blocking(move || {
            if let Some(upload) = &mut moved.upload {
                upload.append(&piece)?;
            }
            moved.hash.update(&piece);
            Ok(moved)
        })
        .await?;
        (self.upload, self.hash) = (moved.upload.take(), std::mem::take(&mut moved.hash));
        Ok(())
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// [`Problem::Internal`].
    pub async fn keep(mut self, app: &App) -> Result<Kept, Problem> {
        let Some(upload) = self.upload.take() else { return keep(app, Bytes::new()).await };
        let digest = Digest::from_sha256(std::mem::take(&mut self.hash).finalize().into());
        let (blobs, size, named, _hold) = (app.assets.clone(), upload.len(), digest.clone(), app.holds.hold(&digest));
        blocking(move || upload.publish(&blobs, &named)).await?;
        Ok(Kept { digest, size, _hold })
    }
}

/// A file that came with a request. Whichever field wants it takes it, once.
pub struct Sent {
    /// As the client calls it.
    pub name: Option<String>,
    /// As the client says.
    pub content_type: Option<String>,
    content: Mutex<Option<Incoming>>,
}

impl Sent {
    /// A file that has come to its end.
    pub fn new(name: Option<String>, content_type: Option<String>, content: Incoming) -> Self {
        Self { name, content_type, content: Mutex::new(Some(content)) }
    }

    /// Its content; `None` when a field of the same request has it already.
    pub fn take(&self) -> Option<Incoming> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Keeps bytes that are at hand.
///
/// # Errors
/// [`Problem::Internal`].
pub async fn keep(app: &App, bytes: Bytes) -> Result<Kept, Problem> {
    let (blobs, repository, holds) = (app.assets.clone(), nowhere()?, Arc::clone(&app.holds));
    blocking(move || {
        let mut upload = Upload::create(&blobs, clock::new_id(), &repository)?;
        upload.append(&bytes)?;
        let digest = Digest::of(&bytes);
        let kept = Kept { size: bytes.len() as u64, _hold: holds.hold(&digest), digest };
        upload.publish(&blobs, &kept.digest)?;
        Ok(kept)
    })
    .await
}

/// Reads content of a size that the database says.
///
/// # Errors
/// [`store::Error`].
pub async fn read(blobs: &Blobs, digest: &Digest, size: u64) -> Result<Bytes, store::Error> {
    let mut pieces = blobs.pieces(digest, 0, size).await?;
    let mut bytes = BytesMut::with_capacity(usize::try_from(size).unwrap_or(0));
    while let Some(piece) = pieces.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

/// Compares content with the MD5 sum that was given with it.
///
/// # Errors
/// [`Problem::InvalidInput`], [`Problem::Internal`].
pub async fn check(blobs: &Blobs, digest: &Digest, size: u64, mut sum: Md5Sum) -> Result<(), Problem> {
    let mut pieces = blobs.pieces(digest, 0, size).await?;
    while let Some(piece) = pieces.next().await? {
        sum = sum.with(&piece);
    }
    sum.check().map_err(Problem::invalid)
}

/// The beginning of content as text.
///
/// # Errors
/// [`Problem::Internal`].
pub async fn beginning(app: &App, digest: &Digest, most: u64) -> Result<String, Problem> {
    let (blobs, named) = (app.assets.clone(), digest.clone());
    let size = blocking(move || blobs.size(&named)).await?.unwrap_or(0);
    let bytes = read(&app.assets, digest, size.min(most)).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where the content of an asset is fetched, without the address of the server.
pub fn path_of(asset: &str) -> String {
    format!("/v3/assets/{asset}/file")
}

/// Where the log of a task is fetched.
pub fn log_path_of(task: &str) -> String {
    format!("/v3/tasks/{task}/log")
}

/// A whole address that is good for a while, for whoever has it.
pub fn signed(app: &App, path: &str) -> String {
    let until = clock::now_ms() + i64::try_from(app.config.tasks.signed_seconds).unwrap_or(0) * 1000;
    format!("{}{}", app.public_url, app.signatures.sign(path, until))
}

/// The asset behind an address of ours, signed or not, if there is one there.
pub fn asset_of<'a>(app: &App, uri: &'a str) -> Option<&'a str> {
    let path = uri.strip_prefix(app.public_url.as_str())?.split('?').next()?;
    path.strip_prefix("/v3/assets/")?.strip_suffix("/file")
}

/// The end and the signature of an address.
#[derive(Debug, Default, Deserialize)]
pub struct Signed {
    until: Option<i64>,
    signature: Option<String>,
}

impl Signed {
    fn is_good(&self, app: &App, path: &str) -> bool {
        let (Some(until), Some(signature)) = (self.until, &self.signature) else { return false };
        app.signatures.is_good(path, until, signature, clock::now_ms())
    }

    fn refusal(&self) -> Option<Problem> {
        let why = "the signature of this address is not good, or its time is over; ask for signedUri again";
        self.signature.is_some().then(|| Problem::NotAllowed(why.to_owned()))
    }
}

/// `GET` and `HEAD /v3/assets/{id}/file`.
pub async fn get(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(id): Path<String>,
    Query(address): Query<Signed>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let missing = || Problem::NotFound { object: "Asset", id: id.chars().take(80).collect() };
    let asset = if address.is_good(&app, &path_of(&id)) {
        assets::signed(app.db.read(), &id).await?.ok_or_else(missing)?
    } else if let Some(refusal) = address.refusal() {
        return Err(refusal);
    } else {
        seen_by_party(&app, peer, &headers, &id).await?.ok_or_else(missing)?
    };
    match &asset.content {
        Content::Blob(digest) => serve(&app, digest, asset.size, &asset.content_type, &headers).await,
        Content::Uri(_) => Err(Problem::invalid("the content of this asset is somewhere else: its uri says where")),
    }
}

async fn seen_by_party(app: &App, peer: SocketAddr, headers: &HeaderMap, id: &str) -> Result<Option<Asset>, Problem> {
    let party = party(app, peer, headers).await?;
    party.require(Permission::ReadTasks)?;
    let Some(asset) = assets::by_id(app.db.read(), party.organization(), id).await? else { return Ok(None) };
    let mut db = app.db.read().acquire().await?;
    if let Some(tdo) = tdos::by_id(&mut db, party.organization(), asset.tdo).await? {
        party.own_tdo(&tdo)?;
    }
    Ok(Some(asset))
}

/// `GET` and `HEAD /v3/tasks/{id}/log`.
pub async fn get_log(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(id): Path<String>,
    Query(address): Query<Signed>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let missing = || Problem::NotFound { object: "TaskLog", id: id.chars().take(80).collect() };
    let log = if address.is_good(&app, &log_path_of(&id)) {
        tasks::signed_log(app.db.read(), &id).await?
    } else if let Some(refusal) = address.refusal() {
        return Err(refusal);
    } else {
        let party = party(&app, peer, &headers).await?;
        party.require(Permission::ReadTasks)?;
        let task = tasks::task(&mut *app.db.read().acquire().await?, party.organization(), &id).await?.ok_or_else(missing)?;
        party.own_task(&task)?;
        task.log
    };
    let digest = log.ok_or_else(missing)?;
    let (blobs, named) = (app.assets.clone(), digest.clone());
    let size = blocking(move || blobs.size(&named)).await?.ok_or_else(missing)?;
    serve(&app, &digest, size, "text/plain; charset=utf-8", &headers).await
}

/// The content, or the part of it that is asked for.
async fn serve(app: &App, digest: &Digest, size: u64, content_type: &str, asked: &HeaderMap) -> Result<Response, Problem> {
    let range = asked.get(header::RANGE).and_then(|value| value.to_str().ok());
    let (status, first, count) = match range::wanted(range, size) {
        Wanted::All => (StatusCode::OK, 0, size),
        Wanted::Part { first, last } => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Wanted::Unsatisfiable => {
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{size}"))]).into_response());
        }
    };
    let pieces = app.assets.pieces(digest, first, count).await?;
    let outgoing = stream::try_unfold(pieces, |mut pieces| async move {
        let piece =
            pieces.next().await.inspect_err(|error| tracing::error!(error = chain(error), "a file could not be read to its end"))?;
        Ok::<_, store::Error>(piece.map(|piece| (piece, pieces)))
    });
    let mut response = (status, Body::from_stream(outgoing)).into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_str(content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CONTENT_LENGTH, count.into());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // What somebody gave is not shown in our name: browsers save it, and run nothing of it.
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = HeaderValue::from_str(&format!("bytes {first}-{}/{size}", first + count - 1))
    {
        headers.insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

/// Removes from time to time what a process that was killed has left: content that nothing names.
pub async fn sweep(app: Arc<App>, stop: CancellationToken) {
    loop {
        match collect(&app, GRACE).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "files that nothing names were removed"),
            Err(problem) => tracing::warn!(?problem, "files that nothing names could not be removed; they are tried again"),
        }
        tokio::select! {
            () = tokio::time::sleep(GRACE) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Removes content that nothing names and nobody is about to name, and uploads that were given up; says how much content.
#[expect(clippy::disallowed_methods, reason = "the age of files is measured by the clock of the system that dates them")]
pub(crate) async fn collect(app: &App, grace: Duration) -> Result<usize, Problem> {
    let blobs = app.assets.clone();
    let old = blocking(move || {
        let now = std::time::SystemTime::now();
        uploads::sweep(&blobs, now, grace, true)?;
        let mut old = Vec::new();
        blobs.each(|stored| {
            if now.duration_since(stored.modified).is_ok_and(|age| age >= grace) {
                old.push(stored.digest);
            }
        })?;
        Ok(old)
    })
    .await?;
    let mut removed = 0;
    for digest in old {
        if !app.holds.doom(&digest) {
            continue;
        }
        if assets::is_needed(app.db.read(), &digest).await? {
            app.holds.spare(&digest);
            continue;
        }
        let (blobs, holds) = (app.assets.clone(), Arc::clone(&app.holds));
        let gone = blocking(move || holds.remove(&digest, || blobs.remove(&digest)).transpose()).await?;
        removed += usize::from(gone.unwrap_or(false));
    }
    Ok(removed)
}
