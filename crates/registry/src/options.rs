//! What whoever builds a registry may choose.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    door::{Door, Remarks},
    tap::TapFactory,
};

/// Milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Makes ids of uploads. They need not be secret: an upload can be used only by who may push to its repository.
pub type Ids = Arc<dyn Fn() -> Uuid + Send + Sync>;

/// How a registry works.
#[derive(Clone)]
pub struct Options {
    /// Reads every blob while it is stored.
    pub tap: Option<TapFactory>,
    /// Asked before a manifest is stored.
    pub door: Option<Door>,
    /// Asked, after a push is in the outbox, what to tell whoever pushed.
    pub remarks: Option<Remarks>,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub ids: Ids,
    /// Told after every push that is in the outbox. It keeps one permit, so a push between two looks is not missed.
    pub pushed: Arc<Notify>,
    /// Caps.
    pub limits: Limits,
    /// How clients are asked to show who they are.
    pub challenge: Challenge,
}

impl Options {
    /// The defaults, with no tap.
    pub fn new(clock: Clock, ids: Ids) -> Self {
        Self {
            tap: None,
            door: None,
            remarks: None,
            clock,
            ids,
            pushed: Arc::default(),
            limits: Limits::default(),
            challenge: Challenge::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("tap", &self.tap.is_some())
            .field("door", &self.door.is_some())
            .field("remarks", &self.remarks.is_some())
            .field("limits", &self.limits)
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}

/// Caps on what a client may send and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest manifest, bytes.
    pub manifest_bytes: usize,
    /// Longest time for a manifest to arrive.
    pub manifest_time: Duration,
    /// Largest blob, bytes.
    pub blob_bytes: u64,
    /// Most bytes an organization may keep that has no quota of its own; 0: no limit.
    pub organization_bytes: u64,
    /// Longest silence while a body arrives.
    pub body_idle: Duration,
    /// How long a request waits for another one that is writing to the same upload.
    pub session_wait: Duration,
    /// After this time without a request an upload leaves memory; it can still be taken up from its file.
    pub session_idle: Duration,
    /// After this time without a request an upload is forgotten.
    pub upload_expiry: Duration,
    /// Most uploads in memory at one time. Each holds an open file, of which a process often has 1024.
    pub open_uploads: usize,
    /// Most tags, repositories or referrers in one answer; the rest is behind its `Link`.
    pub list_page: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 << 20,
            manifest_time: Duration::from_secs(60),
            blob_bytes: 64 << 30,
            organization_bytes: 0,
            body_idle: Duration::from_secs(60),
            session_wait: Duration::from_secs(1),
            session_idle: Duration::from_secs(5 * 60),
            upload_expiry: Duration::from_secs(24 * 3600),
            open_uploads: 256,
            list_page: 10_000,
        }
    }
}

/// The challenge in a 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Address of the token endpoint. `None`: `http://` and the host the client used and `/v2/token`, right as long as no
    /// TLS is in front.
    pub token_url: Option<String>,
    /// Name of this service, as tokens carry it. No quotes or backslashes.
    pub service: String,
    /// Also offer Basic. Docker then sends the password with every request instead of a token, and cannot pull without one.
    pub basic: bool,
}

impl Default for Challenge {
    fn default() -> Self {
        Self { token_url: None, service: "plimsoll".into(), basic: true }
    }
}
