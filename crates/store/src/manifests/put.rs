//! Storing a manifest, moving its tags and telling of the push, in one transaction.
//!
//! Everybody who writes waits for the one writer, and most of what a statement costs is the way to the database's thread and back. So
//! whatever pushes are waiting share a transaction, there is one look at all that must be known of a push, and one script of all that is
//! written. A push that is refused has written nothing, so it does not touch the others.

use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use bytes::Bytes;
use model::{
    digest::Digest,
    name::{RepoName, Tag},
};
use serde_json::{Value, json};
use sqlx::{FromRow, SqliteConnection};
use tokio::sync::oneshot;

use crate::{
    Db,
    error::Error,
    grouped::Grouped,
    held_tags::{self, Hold},
    repositories,
    usage::Usage,
};

/// Most pushes in one transaction.
const TOGETHER: usize = 16;

/// A manifest to store. What it says has been read and found well formed by the caller.
#[derive(Clone, Debug)]
pub struct NewManifest {
    /// Where.
    pub repository: RepoName,
    /// The tags to move. A push under a tag is told in the outbox, once for each; a push by digest alone is a part of another.
    pub tags: Vec<Tag>,
    /// Digest of `bytes`, compared.
    pub digest: Digest,
    /// As in its Content-Type.
    pub media_type: String,
    /// What an artifact says it is, as a list of referrers shows it.
    pub artifact_type: Option<String>,
    /// The manifest it speaks about; need not be there yet.
    pub subject: Option<Digest>,
    /// Its annotations, a JSON object, when a list of referrers may have to show them.
    pub annotations: Option<String>,
    /// The exact bytes.
    pub bytes: Bytes,
    /// Blobs that the repository must hold.
    pub blobs: Vec<Digest>,
    /// Manifests it names. An index may be sparse: they need not be there.
    pub manifests: Vec<Digest>,
    /// Who pushed.
    pub account: String,
    /// Milliseconds since 1970.
    pub now: i64,
    /// Most bytes of an organization that has no quota of its own; 0: no limit.
    pub quota: u64,
}

/// What became of a [`NewManifest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// Stored; with the id of the push under each tag.
    Stored(Vec<i64>),
    /// Nothing was stored, because the repository lacks these blobs, in the order asked.
    Missing(Vec<Digest>),
    /// Nothing was stored, because a tag must go on naming what it names.
    Held(Hold),
}

/// Stores a manifest, moves its tags and writes the pushes into the outbox, or does nothing of it.
///
/// # Errors
/// [`Error::OverQuota`], [`Error::Database`].
pub async fn put(db: &Db, new: NewManifest) -> Result<Put, Error> {
    let (answer, answered) = oneshot::channel();
    if db.queue().join(Waiting { new, answer }) {
        tokio::spawn(work(db.clone()));
    }
    let put = answered.await.map_err(|_| Error::Interrupted)??;
    if matches!(put, Put::Stored(_)) {
        db.log().sync().await?;
    }
    Ok(put)
}

/// A push and who waits for it.
#[derive(Debug)]
struct Waiting {
    new: NewManifest,
    answer: oneshot::Sender<Result<Put, Error>>,
}

/// Pushes that wait for the writer.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Somebody works until nobody waits.
    working: bool,
}

impl Queue {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// True when whoever joined has to see to it that somebody works.
    fn join(&self, waiting: Waiting) -> bool {
        self.with(|state| {
            state.waiting.push_back(waiting);
            !std::mem::replace(&mut state.working, true)
        })
    }

    /// Whether there is more to do; after false nobody works.
    fn goes_on(&self) -> bool {
        self.with(|state| {
            state.working = !state.waiting.is_empty();
            state.working
        })
    }

    fn take(&self) -> Vec<Waiting> {
        self.with(|state| {
            let some = state.waiting.len().min(TOGETHER);
            state.waiting.drain(..some).collect()
        })
    }
}

/// Ends the work also when it is broken off: whoever waits then is told, and the next push begins anew.
struct Working {
    queue: Arc<Queue>,
    /// Nobody waited any more. From then on the queue may be somebody else's to work on.
    ended: bool,
}

impl Working {
    fn goes_on(&mut self) -> bool {
        self.ended = !self.queue.goes_on();
        !self.ended
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if !self.ended {
            self.queue.with(|state| *state = State::default());
        }
    }
}

async fn work(db: Db) {
    let mut working = Working { queue: Arc::clone(db.queue()), ended: false };
    while working.goes_on() {
        match db.write_grouped().await {
            // Taken only now: more have come while the writer was busy.
            Ok(tx) => together(&db, tx, working.queue.take()).await,
            Err(error) => {
                if let Some(first) = working.queue.with(|state| state.waiting.pop_front()) {
                    let _ = first.answer.send(Err(error));
                }
            }
        }
    }
}

/// Stores all in one transaction. When the database refuses, each is tried by itself, so that the error meets whose it is.
async fn together(db: &Db, tx: Grouped, all: Vec<Waiting>) {
    if let Some(puts) = in_one(tx, &all).await {
        for (waiting, put) in all.into_iter().zip(puts) {
            let _ = waiting.answer.send(put);
        }
        return;
    }
    for waiting in all {
        let put = alone(db, &waiting.new).await;
        let _ = waiting.answer.send(put);
    }
}

async fn in_one(mut tx: Grouped, all: &[Waiting]) -> Option<Vec<Result<Put, Error>>> {
    let all: Vec<&NewManifest> = all.iter().map(|waiting| &waiting.new).collect();
    let puts = put_all(&mut tx, &all).await.ok()?;
    tx.publish().await.ok()?;
    Some(puts)
}

async fn alone(db: &Db, new: &NewManifest) -> Result<Put, Error> {
    let mut tx = db.write_grouped().await?;
    let put = put_all(&mut tx, &[new]).await?.pop().ok_or(Error::Interrupted)??;
    tx.publish().await?;
    Ok(put)
}

/// Looks at all, then stores one after the other. Of an error of the database it is not known whose it is.
async fn put_all(tx: &mut SqliteConnection, all: &[&NewManifest]) -> Result<Vec<Result<Put, Error>>, Error> {
    let mut found = look(tx, all).await?;
    let (mut rest, mut known) = (all, found.as_mut_slice());
    let mut puts = Vec::with_capacity(all.len());
    while let (Some((new, later)), Some((seen, of_later))) = (rest.split_first(), std::mem::take(&mut known).split_first_mut()) {
        let put = match put_in(tx, new, seen).await {
            Err(error) if !matches!(error, Error::OverQuota { .. }) => return Err(error),
            put => put,
        };
        if matches!(put, Ok(Put::Stored(_))) {
            let added = if seen.media_type.is_none() { new.bytes.len() as i64 } else { 0 };
            later.iter().zip(&mut *of_later).for_each(|(later, seen)| seen.follows(new, added, later));
        }
        puts.push(put);
        (rest, known) = (later, of_later);
    }
    Ok(puts)
}

/// All that can refuse comes before all that is written.
async fn put_in(tx: &mut SqliteConnection, new: &NewManifest, known: &Known) -> Result<Put, Error> {
    if known.absent {
        return Ok(Put::Missing(missing(tx, known.repository, &array(&new.blobs)).await?));
    }
    if known.held {
        for tag in &new.tags {
            if let Some(hold) = held_tags::on_tag(tx, &new.repository, tag, Some(&new.digest)).await? {
                return Ok(Put::Held(hold));
            }
        }
    }
    if known.media_type.is_none() {
        known.usage().admit(new.repository.organization(), new.bytes.len() as u64, new.quota)?;
    }
    let repository = match known.repository {
        Some(id) => id,
        None => repositories::ensure(tx, &new.repository, new.now).await?,
    };
    let change = match &known.media_type {
        None => Change::New,
        Some(media_type) if *media_type == new.media_type => Change::Tags,
        Some(_) => Change::Type,
    };
    Ok(Put::Stored(write(tx, repository, new, change).await?))
}

fn array(digests: &[Digest]) -> String {
    json!(digests.iter().map(Digest::to_string).collect::<Vec<_>>()).to_string()
}

/// What must be known before something is written.
#[derive(FromRow)]
struct Known {
    repository: Option<i64>,
    /// Under which type the manifest is there already.
    media_type: Option<String>,
    /// Whether the repository lacks a blob.
    absent: bool,
    /// Whether anybody holds one of the tags, be it against this move or not.
    held: bool,
    /// Bytes that the organization keeps.
    used: i64,
    own_quota: Option<i64>,
}

impl Known {
    fn usage(&self) -> Usage {
        Usage::of_row(self.used, self.own_quota)
    }

    /// What is known of `later` once `earlier`, which added so many bytes, was stored in the same transaction.
    fn follows(&mut self, earlier: &NewManifest, added: i64, later: &NewManifest) {
        if earlier.repository.organization() == later.repository.organization() {
            self.used = self.used.saturating_add(added);
        }
        if (&earlier.repository, &earlier.digest) == (&later.repository, &later.digest) {
            self.media_type = Some(earlier.media_type.clone());
        }
    }
}

/// Looks at all of them at once: each way to the database's thread and back costs as much as what it does there.
async fn look(tx: &mut SqliteConnection, all: &[&NewManifest]) -> Result<Vec<Known>, Error> {
    let wanted = all.iter().map(|new| {
        let blobs: Vec<String> = new.blobs.iter().map(Digest::to_string).collect();
        let tags: Vec<&str> = new.tags.iter().map(Tag::as_str).collect();
        json!({
            "repository": new.repository.as_str(), "organization": new.repository.organization().0,
            "digest": new.digest.to_string(), "blobs": blobs, "tags": tags,
        })
    });
    let known = sqlx::query_as(
        "SELECT r.id AS repository, m.media_type, ifnull(u.bytes, 0) AS used, u.quota AS own_quota,
             EXISTS (SELECT 1 FROM json_each(n.value, '$.blobs') w
                 LEFT JOIN repository_blobs b ON b.repository_id = r.id AND b.digest = w.value WHERE b.digest IS NULL) AS absent,
             EXISTS (SELECT 1 FROM json_each(n.value, '$.tags') w
                 JOIN held_tags h ON h.repository = n.value ->> 'repository' AND h.tag = w.value) AS held
         FROM json_each($1) n
             LEFT JOIN repositories r ON r.name = n.value ->> 'repository'
             LEFT JOIN manifests m ON m.repository_id = r.id AND m.digest = n.value ->> 'digest'
             LEFT JOIN organization_usage u ON u.organization_id = n.value ->> 'organization'
         ORDER BY n.key",
    )
    .bind(Value::from_iter(wanted).to_string())
    .fetch_all(tx)
    .await?;
    Ok(known)
}

/// What a push changes beside its tags.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The manifest is not there yet.
    New,
    /// It is there under another type.
    Type,
    /// Nothing.
    Tags,
}

/// Forgets what a manifest names that comes under another type.
const FORGET: &str =
    "DELETE FROM manifest_references WHERE manifest_id = (SELECT id FROM manifests WHERE repository_id = $1 AND digest = $2);";

/// Stores the manifest and what it names.
const STORE: &str = "INSERT INTO manifests (repository_id, digest, media_type, artifact_type, subject, annotations, bytes, created_at)
        VALUES ($1, $2, $7, $8, $9, $10, $11, $3)
        ON CONFLICT (repository_id, digest) DO UPDATE SET media_type = excluded.media_type, artifact_type = excluded.artifact_type,
            subject = excluded.subject, annotations = excluded.annotations;
    INSERT INTO manifest_references (manifest_id, kind, digest)
        SELECT m.id, w.kind, w.value FROM manifests m,
            (SELECT 'blob' AS kind, value FROM json_each($12) UNION ALL SELECT 'manifest', value FROM json_each($13)) w
        WHERE m.repository_id = $1 AND m.digest = $2
        ON CONFLICT DO NOTHING;";

/// Says of a manifest that was there already that it is needed.
const NEED: &str = "UPDATE manifests SET unneeded_since = NULL WHERE repository_id = $1 AND digest = $2 AND unneeded_since IS NOT NULL;";

/// Moves the tags and writes a push for each into the outbox.
const MOVE_TAGS: &str =
    "INSERT INTO tags (repository_id, name, digest, updated_at) SELECT $1, w.value, $2, $3 FROM json_each($4) w WHERE true
        ON CONFLICT (repository_id, name) DO UPDATE SET digest = excluded.digest, updated_at = excluded.updated_at;
    INSERT INTO push_events (repository, tag, digest, account, pushed_at)
        SELECT $5, w.value, $2, $6, $3 FROM json_each($4) w ORDER BY w.key RETURNING id";

/// All that a push changes, by one script. Returns the ids of the pushes, in the order of the tags.
async fn write(tx: &mut SqliteConnection, repository: i64, new: &NewManifest, change: Change) -> Result<Vec<i64>, Error> {
    static NEW: LazyLock<String> = LazyLock::new(|| format!("{STORE} {MOVE_TAGS}"));
    static TYPE: LazyLock<String> = LazyLock::new(|| format!("{FORGET} {STORE} {NEED} {MOVE_TAGS}"));
    static TAGS: LazyLock<String> = LazyLock::new(|| format!("{NEED} {MOVE_TAGS}"));
    let script = match change {
        Change::New => &NEW,
        Change::Type => &TYPE,
        Change::Tags => &TAGS,
    };
    let told = sqlx::query_scalar(script.as_str())
        .bind(repository)
        .bind(new.digest.to_string())
        .bind(new.now)
        .bind(json!(new.tags.iter().map(Tag::as_str).collect::<Vec<_>>()).to_string())
        .bind(new.repository.as_str())
        .bind(&new.account);
    if change == Change::Tags {
        return Ok(told.fetch_all(tx).await?);
    }
    let told = told
        .bind(&new.media_type)
        .bind(&new.artifact_type)
        .bind(new.subject.as_ref().map(Digest::to_string))
        .bind(&new.annotations)
        .bind(&new.bytes[..])
        .bind(array(&new.blobs))
        .bind(array(&new.manifests));
    Ok(told.fetch_all(tx).await?)
}

/// Those of the wanted blobs, a JSON array of digests, that the repository does not hold, in their order.
async fn missing(tx: &mut SqliteConnection, repository: Option<i64>, wanted: &str) -> Result<Vec<Digest>, Error> {
    let absent: Vec<String> = sqlx::query_scalar(
        "SELECT w.value FROM json_each($2) w LEFT JOIN repository_blobs b ON b.repository_id = $1 AND b.digest = w.value
         WHERE b.digest IS NULL ORDER BY w.key",
    )
    .bind(repository)
    .bind(wanted)
    .fetch_all(tx)
    .await?;
    absent.iter().map(|text| text.parse().map_err(|_| Error::row("repository_blobs", "digest", text))).collect()
}

#[cfg(test)]
mod tests;
