//! Blobs in a bucket: `<prefix>/blobs/sha256/ab/<hex>`. The service makes a put durable and whole before it answers; an upload in parts
//! becomes an object only with its last request, so nothing half-sent is ever visible. Parts of an upload that was cut off by a crash
//! stay until the bucket's own rule removes them (`docs/configuration.md`).

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::Path as FilePath,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use model::digest::Digest;
use object_store::{
    ClientOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey},
    path::Path,
};
use tokio::{runtime::Handle, task::JoinHandle};

use super::{Stored, shelf};
use crate::error::Error;

/// A file up to this size is one request; a larger one is sent in parts of it.
const PART_BYTES: u64 = 8 << 20;

/// The service takes no more parts of one object.
const MOST_PARTS: u64 = 10_000;

/// Parts on their way at one time, of one upload.
const PARTS_AT_ONCE: usize = 2;

/// Bytes fetched with one request.
const FETCH_BYTES: u64 = 4 << 20;

/// Fetches on their way at one time, of one download.
const FETCHES_AT_ONCE: usize = 2;

/// How long one request may take, and how long a failing one is tried again. Clients wait as long.
const REQUEST_TIME: Duration = Duration::from_secs(60);
const RETRY_TIME: Duration = Duration::from_secs(20);

/// Which bucket, and how to reach it.
#[derive(Clone, Default)]
pub struct S3Options {
    /// Name of the bucket.
    pub bucket: String,
    /// Put before the names of all objects; may be empty.
    pub prefix: String,
    /// Address of the service, such as `http://127.0.0.1:9000`; Amazon's if empty.
    pub endpoint: String,
    /// Its region.
    pub region: String,
    /// Key id and secret; if empty, those of `environment`, else those of the machine's role.
    pub access_key_id: String,
    /// See `access_key_id`.
    pub secret_access_key: String,
    /// The variables of the environment that begin with `AWS_`, weaker than all above.
    pub environment: Vec<(String, String)>,
}

impl std::fmt::Debug for S3Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Options")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl S3Options {
    fn build(&self) -> Result<AmazonS3, object_store::Error> {
        let mut builder = AmazonS3Builder::new();
        for (name, value) in &self.environment {
            // Variables that are not of this library are not for us.
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        if !self.region.is_empty() {
            builder = builder.with_region(&self.region);
        }
        if !self.endpoint.is_empty() {
            builder = builder.with_endpoint(&self.endpoint);
        }
        if !self.access_key_id.is_empty() {
            builder = builder.with_access_key_id(&self.access_key_id).with_secret_access_key(&self.secret_access_key);
        }
        let client = ClientOptions::new().with_allow_http(self.endpoint.starts_with("http://")).with_timeout(REQUEST_TIME);
        let retry = RetryConfig { retry_timeout: RETRY_TIME, ..RetryConfig::default() };
        builder.with_bucket_name(&self.bucket).with_client_options(client).with_retry(retry).build()
    }
}

/// A bucket. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    store: Arc<AmazonS3>,
    root: Path,
    runtime: Handle,
}

impl Bucket {
    pub(super) fn open(options: &S3Options) -> Result<Self, Error> {
        let named = || format!("s3://{}", options.bucket);
        let store = options.build().map_err(|source| failed("use", named(), source))?;
        let root = Path::from_iter(options.prefix.split('/').filter(|part| !part.is_empty()).chain(["blobs"]));
        let bucket = Self { store: Arc::new(store), root, runtime: Handle::current() };
        // An empty object of a fixed name: writing, reading and listing are allowed, or the operator hears of it now.
        let probe = bucket.root.clone().join("probe");
        let asked = bucket.runtime.block_on(async {
            bucket.store.put(&probe, PutPayload::new()).await?;
            bucket.store.head(&probe).await?;
            bucket.store.list(Some(&bucket.root)).try_next().await
        });
        asked.map_err(|source| failed("use", named(), source))?;
        Ok(bucket)
    }

    fn key(&self, digest: &Digest) -> Path {
        Path::from_iter(self.root.parts().map(|part| part.as_ref().to_owned()).chain(shelf(digest).map(str::to_owned)))
    }

    pub(super) fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let key = self.key(digest);
        match self.runtime.block_on(self.store.head(&key)) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("look at", key.to_string(), error)),
        }
    }

    /// Sends a file, and returns when the service has it.
    pub(super) fn put(&self, file: &File, from: &FilePath, digest: &Digest) -> Result<(), Error> {
        let unread = |source| Error::file("read", from, source);
        let (key, size) = (self.key(digest), file.metadata().map_err(unread)?.len());
        if size <= PART_BYTES {
            let bytes = part_of(file, 0, size).map_err(unread)?;
            let sent = self.runtime.block_on(self.store.put(&key, bytes.into()));
            return sent.map(drop).map_err(|source| failed("write", key.to_string(), source));
        }
        let mut upload =
            self.runtime.block_on(self.store.put_multipart(&key)).map_err(|source| failed("write", key.to_string(), source))?;
        let step = PART_BYTES.max(size.div_ceil(MOST_PARTS));
        let mut on_their_way: VecDeque<JoinHandle<object_store::Result<()>>> = VecDeque::new();
        let mut at = 0;
        let sent = loop {
            if on_their_way.len() >= PARTS_AT_ONCE || at >= size {
                let Some(oldest) = on_their_way.pop_front() else { break Ok(()) };
                let arrived = self.runtime.block_on(oldest).map_err(object_store::Error::from).flatten();
                if let Err(source) = arrived {
                    break Err(failed("write", key.to_string(), source));
                }
                continue;
            }
            let want = step.min(size - at);
            match part_of(file, at, want) {
                Ok(bytes) => on_their_way.push_back(self.runtime.spawn(upload.put_part(bytes.into()))),
                Err(source) => break Err(unread(source)),
            }
            at += want;
        };
        on_their_way.iter().for_each(JoinHandle::abort);
        match sent {
            Ok(()) => self.runtime.block_on(upload.complete()).map(drop).map_err(|source| failed("write", key.to_string(), source)),
            Err(error) => {
                // What cannot be taken back now is left to the bucket's rule for unfinished uploads.
                let _ = self.runtime.block_on(upload.abort());
                Err(error)
            }
        }
    }

    pub(super) fn object(&self, digest: &Digest, first: u64, count: u64) -> Object {
        Object {
            bucket: self.clone(),
            digest: digest.clone(),
            key: self.key(digest),
            at: first,
            left: count,
            on_their_way: VecDeque::new(),
        }
    }

    pub(super) fn reader(&self, digest: &Digest) -> Result<Reader, Error> {
        let size = self.size(digest)?.ok_or_else(|| self.lost(digest))?;
        Ok(Reader { object: self.object(digest, 0, size), piece: Bytes::new() })
    }

    fn lost(&self, digest: &Digest) -> Error {
        Error::BlobLost { digest: digest.clone(), path: self.key(digest).to_string().into() }
    }

    pub(super) fn remove(&self, digest: &Digest) -> Result<bool, Error> {
        // The service answers a delete of nothing like any other.
        if self.size(digest)?.is_none() {
            return Ok(false);
        }
        let key = self.key(digest);
        match self.runtime.block_on(self.store.delete(&key)) {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed("remove", key.to_string(), error)),
        }
    }

    pub(super) fn each(&self, mut show: impl FnMut(Stored)) -> Result<(), Error> {
        let listing = self.store.list(Some(&self.root)).try_for_each(|meta| {
            if let Some(stored) = self.stored(&meta) {
                show(stored);
            }
            std::future::ready(Ok(()))
        });
        self.runtime.block_on(listing).map_err(|source| failed("list", self.root.to_string(), source))
    }

    fn stored(&self, meta: &ObjectMeta) -> Option<Stored> {
        let parts: Vec<String> = meta.location.prefix_match(&self.root)?.map(|part| part.as_ref().to_owned()).collect();
        let [algorithm, _, hex] = parts.as_slice() else { return None };
        let digest = format!("{algorithm}:{hex}").parse().ok()?;
        Some(Stored { digest, size: meta.size, modified: meta.last_modified.into() })
    }
}

fn part_of(file: &File, at: u64, want: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(want).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

/// Names what was being done; a service that cannot be reached may be there again in a moment.
fn failed(doing: &'static str, what: String, source: object_store::Error) -> Error {
    let passing = matches!(source, object_store::Error::Generic { .. } | object_store::Error::JoinError { .. });
    Error::Bucket { doing, what, passing, source: Box::new(source) }
}

/// An object and which bytes of it are still wanted. It is fetched by ranges, so that a slow reader holds no connection to the service
/// and a broken one is mended by asking again.
#[derive(Debug)]
pub(super) struct Object {
    bucket: Bucket,
    digest: Digest,
    key: Path,
    at: u64,
    left: u64,
    on_their_way: VecDeque<JoinHandle<object_store::Result<Bytes>>>,
}

impl Object {
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while self.left > 0 && self.on_their_way.len() < FETCHES_AT_ONCE {
            let end = self.at + self.left.min(FETCH_BYTES);
            let (store, key, range) = (Arc::clone(&self.bucket.store), self.key.clone(), self.at..end);
            self.on_their_way.push_back(self.bucket.runtime.spawn(async move { store.get_range(&key, range).await }));
            self.left -= end - self.at;
            self.at = end;
        }
        let Some(first) = self.on_their_way.pop_front() else { return Ok(None) };
        match first.await.map_err(object_store::Error::from).flatten() {
            Ok(bytes) if bytes.is_empty() => Err(self.bucket.lost(&self.digest)),
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Err(self.bucket.lost(&self.digest)),
            Err(error) => Err(failed("read", self.key.to_string(), error)),
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.on_their_way.iter().for_each(JoinHandle::abort);
    }
}

/// An object for whoever may block.
pub(super) struct Reader {
    object: Object,
    piece: Bytes,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            let runtime = self.object.bucket.runtime.clone();
            self.piece = runtime.block_on(self.object.next()).map_err(io::Error::other)?.unwrap_or_default();
        }
        let some = self.piece.len().min(buffer.len());
        buffer.get_mut(..some).unwrap_or_default().copy_from_slice(&self.piece.split_to(some));
        Ok(some)
    }
}
