//! What every handler, op and job shares.

use std::sync::{Arc, LazyLock};

use checks::Policy;
use image::LayerCache;
use model::id::BuildId;
use sandbox::{Outside, Sandbox};
use store::{Db, blobs::Blobs, build_logs::BuildLogs, evidence::EvidenceFiles};
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use crate::{
    advisories::Advisories,
    asset_files::Holds,
    auth::{access_token::AccessTokens, credentials::Credentials, engine_token::EngineTokens, signature::Signatures, windows::Windows},
    config::Config,
    graphql::GateSchema,
    instances::Instances,
    runs::Runs,
    told::Told,
};

/// The running server, as its parts see it.
pub struct App {
    /// Settings.
    pub config: Config,
    /// The address people and clients use, without a slash at the end.
    pub public_url: String,
    /// The database.
    pub db: Db,
    /// The blobs.
    pub blobs: Blobs,
    /// The files of recordings.
    pub assets: Blobs,
    /// Those that nothing names yet.
    pub holds: Arc<Holds>,
    /// Layer evidence.
    pub evidence: EvidenceFiles,
    /// Build logs.
    pub logs: BuildLogs,
    /// Unpacked layers.
    pub layers: Arc<LayerCache>,
    /// Engines that run for live builds.
    pub instances: Instances,
    /// Where engines run.
    pub sandbox: Arc<dyn Sandbox>,
    /// From where samples are fetched that a registration names by their address.
    pub outside: Outside,
    /// Advisories, if a database is configured.
    pub advisories: Advisories,
    /// What blocks.
    pub policy: Policy,
    /// Passwords and tokens.
    pub credentials: Credentials,
    /// Tokens that the registry issues.
    pub tokens: AccessTokens,
    /// Tokens of engines.
    pub engine_tokens: EngineTokens,
    /// Addresses that are good for a while.
    pub signatures: Signatures,
    /// Tasks in progress.
    pub runs: Runs,
    /// How much everybody asks of the API.
    pub windows: Windows,
    /// The API; made for the first query.
    pub schema: LazyLock<GateSchema>,
    /// Wakes the workers.
    pub work: Notify,
    /// Wakes whoever takes pushes.
    pub pushed: Arc<Notify>,
    /// What became of the latest pushes.
    pub told: Told,
    /// The server is about to end: whoever waits for news stops waiting.
    pub stop: CancellationToken,
    /// Tells of builds that changed or have new log lines.
    pub news: broadcast::Sender<BuildId>,
    /// Tells of builds that changed.
    pub moved: broadcast::Sender<BuildId>,
}

impl App {
    /// `host/org/name:tag`, as a client writes it.
    pub fn image_reference(&self, repository: &str, tag: &str) -> String {
        format!("{}:{tag}", self.image_place(repository))
    }

    /// The same without a tag.
    pub fn image_place(&self, repository: &str) -> String {
        let host = self.public_url.split_once("://").map_or(self.public_url.as_str(), |(_, host)| host);
        format!("{host}/{repository}")
    }

    /// Tells everybody who watches this build that it changed.
    pub fn tell(&self, build: BuildId) {
        // Nobody watching is no error.
        let _ = self.moved.send(build);
        self.tell_line(build);
    }

    /// Tells everybody who watches this build that its log has a new line.
    pub fn tell_line(&self, build: BuildId) {
        let _ = self.news.send(build);
    }
}
