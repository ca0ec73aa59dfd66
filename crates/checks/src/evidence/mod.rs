//! What is known of an image and of its run: plain data, gathered by [`gather_static`] and [`gather_run`], which do all the I/O of this crate.
//!
//! Everything in here says whose fault a gap is: the image's, which becomes a finding, or ours, which becomes the status `error`.

mod gather_run;
mod gather_static;
mod security;

use std::sync::Arc;

use image::{ImageConfig, ImageProblem, ImageRef, Inspection, LayerProblem, Platform};
use model::{
    capability::Capability,
    digest::Digest,
    engine::DeploymentModel,
    finding::Finding,
    id::{EngineId, OrganizationId},
    manifest::Manifest,
    network::{HostRule, NetworkPolicy},
    run::{EngineRun, Limits, Outcome},
    waiver::Waiver,
};
use scan::Inventory;
use serde_json::{Map, Value};

pub use gather_run::{OwnSample, Performance, Placement, RunSetup, gather_run, perform, place};
pub use gather_static::gather_static;
pub use security::{Scanned, SecurityEvidence};

use crate::{Policy, benchmark::Truth, contract, standing::ImageNames};

/// All evidence of one image.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Digest of the manifest or index that was pushed or named.
    pub top: Digest,
    /// The image.
    pub image: ImageEvidence,
    /// Its `/var/manifest.json`.
    pub manifest: ManifestEvidence,
    /// What is known to be wrong with its packages.
    pub security: SecurityEvidence,
    /// Under which conditions it is tested.
    pub terms: Terms,
    /// The test run.
    pub run: RunEvidence,
}

/// What the registration of the engine says, or what a laptop assumes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// Owner; `None` on a laptop.
    pub organization: Option<OrganizationId>,
    /// The engine as registered; `None` on a laptop.
    pub engine: Option<EngineId>,
    /// Name of the engine, for people.
    pub engine_name: String,
    /// What it can do, from the registered category. `None`: the manifest's category says.
    pub capability: Option<Capability>,
    /// What it may reach. `None`: not known, and rules about it are not judged.
    pub deployment_model: Option<DeploymentModel>,
    /// Custom fields of the test payload.
    pub payload: Map<String, Value>,
    /// What somebody answers for, whether it still holds or not.
    pub waivers: Vec<Waiver>,
    /// The names of the image, for waivers that name one.
    pub image: ImageNames,
    /// What the result of the first sample should be, for the benchmark.
    pub truth: Option<Truth>,
    /// The sample that the registration names by its address and that could not be fetched.
    pub unfetched: Option<Unfetched>,
}

/// A sample that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfetched {
    /// Where it should be.
    pub url: String,
    /// Why it could not be fetched, as the end of a sentence.
    pub reason: String,
}

/// The image.
#[derive(Clone, Debug)]
pub enum ImageEvidence {
    /// It was read; broken layers are among its facts.
    Read(Box<ImageFacts>),
    /// It is not an image we can test.
    AtFault(ImageProblem),
    /// We could not read it; with the reason.
    Unread(String),
}

/// What checks look at in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageFacts {
    /// Which image.
    pub image: ImageRef,
    /// Its config.
    pub config: ImageConfig,
    /// Its layers, bottom to top.
    pub layers: Vec<LayerFacts>,
    /// Sum of the plain layers, bytes.
    pub uncompressed_size: u64,
}

/// What checks look at in a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerFacts {
    /// Digest as transferred.
    pub digest: Digest,
    /// Digest of the plain tar, if it could be inflated.
    pub diff_id: Option<Digest>,
    /// What is wrong with it.
    pub problems: Vec<LayerProblem>,
    /// Device nodes outside `/dev`, at most [`LayerFacts::DEVICES`] of them.
    pub devices: Vec<String>,
}

impl LayerFacts {
    /// Device nodes remembered of a layer.
    pub const DEVICES: usize = 6;
}

/// The engine manifest inside the image.
#[derive(Clone, Debug, PartialEq)]
pub enum ManifestEvidence {
    /// The file is there.
    Found {
        /// Where it really is, links followed.
        path: String,
        /// Its content, at most 1 MiB.
        bytes: Arc<[u8]>,
        /// What we use of it; `None` if it is not a JSON object.
        manifest: Option<Box<Manifest>>,
    },
    /// There is nothing at its path.
    Missing,
    /// What is at its path is no file we read; with the end of a sentence that begins with "it".
    Unusable(String),
    /// The image, or the part of it where the file would be, could not be read because of a fault of the image.
    NoImage,
    /// We could not read it; with the reason.
    Unread(String),
}

impl ManifestEvidence {
    /// A file that was found. `path` without a leading slash.
    pub fn found(path: &str, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let manifest = contract::manifest::normalise(&bytes).map(Box::new);
        Self::Found { path: path.to_owned(), bytes, manifest }
    }
}

/// The test run.
#[derive(Clone, Debug)]
pub enum RunEvidence {
    /// It is still to come.
    Pending,
    /// It could not take place because of a fault of the image that a static check tells; with the reason.
    Prevented(String),
    /// The time of the whole test was over before the engine could be started; with what was being done, after "while".
    Late(String),
    /// We could not run it.
    Refused(Refusal),
    /// Whatever the engine did, or why there is nothing to start or to test.
    Done(Box<Outcome>),
}

/// Why we could not run an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In a few words, the same on every host with the same trouble.
    pub reason: String,
    /// The details, one per line: probes that failed, the chain of causes.
    pub details: Vec<String>,
    /// What to do.
    pub mend: String,
}

/// The part of the evidence that needs no run.
#[derive(Clone, Debug)]
pub struct StaticEvidence {
    /// Digest of the manifest or index that was pushed or named.
    pub top: Digest,
    /// The image.
    pub image: ImageEvidence,
    /// Its manifest.
    pub manifest: ManifestEvidence,
    /// What is known to be wrong with its packages, once [`StaticEvidence::scan`] has looked.
    pub security: SecurityEvidence,
    /// Its packages, once [`StaticEvidence::scan`] has looked; `None` if it could not be read.
    pub inventory: Option<Arc<Inventory>>,
    /// The image as read, for the run and for whoever keeps the evidence of its layers.
    pub inspection: Option<Inspection>,
}

impl StaticEvidence {
    /// Lists the packages and looks them up in a database of advisories, at a time (epoch milliseconds). Without a database nothing is known,
    /// and the evidence says so.
    #[must_use]
    pub fn scan(mut self, database: Option<&scan::Database>, policy: &Policy, at: i64) -> Self {
        self.inventory = self.inspection.as_ref().map(|inspection| Arc::new(scan::inventory::inventory(inspection)));
        self.security = SecurityEvidence::gather(self.inventory.as_deref(), database, &policy.vulnerabilities, at);
        self
    }

    /// The image's names: the references under which it is known, and its digests.
    pub fn image_names(&self, references: Vec<String>) -> ImageNames {
        let mut digests = vec![self.top.clone()];
        if let ImageEvidence::Read(facts) = &self.image {
            digests.push(facts.image.config.digest.clone());
        }
        ImageNames { references, digests, architecture: platform().architecture }
    }

    /// All evidence together.
    pub fn with(&self, terms: Terms, run: RunEvidence) -> Evidence {
        let Self { top, image, manifest, security, inventory: _, inspection: _ } = self;
        Evidence { top: top.clone(), image: image.clone(), manifest: manifest.clone(), security: security.clone(), terms, run }
    }

    /// The engine this image says it is, or the finding that says why it says none: the reason of an unclaimed push.
    ///
    /// # Errors
    /// The worst finding of the static checks that keeps the engine from being known.
    pub fn claimed_engine(&self) -> Result<EngineId, Box<Finding>> {
        if let ManifestEvidence::Found { manifest: Some(manifest), .. } = &self.manifest
            && let Some(engine) = manifest.engine_id
        {
            return Ok(engine);
        }
        let evidence = self.with(Terms::default(), RunEvidence::Pending);
        Err(Box::new(crate::checks::unclaimed_reason(&evidence)))
    }
}

impl Evidence {
    /// The image, if it was read.
    pub fn facts(&self) -> Option<&ImageFacts> {
        if let ImageEvidence::Read(facts) = &self.image { Some(facts) } else { None }
    }

    /// The manifest, if it is a JSON object.
    pub fn manifest(&self) -> Option<&Manifest> {
        if let ManifestEvidence::Found { manifest, .. } = &self.manifest { manifest.as_deref() } else { None }
    }

    /// What the engine can do: as registered, or else as its manifest says.
    pub fn capability(&self) -> Option<Capability> {
        self.terms.capability.or_else(|| Capability::from_word(self.manifest()?.category.as_deref()?))
    }

    /// The run, if the engine was started.
    pub fn engine_run(&self) -> Option<&EngineRun> {
        match &self.run {
            RunEvidence::Done(outcome) => match outcome.as_ref() {
                Outcome::Ran(run) => Some(run),
                Outcome::NotStarted(_) | Outcome::NotTestable(_) => None,
            },
            _ => None,
        }
    }

    /// What its run may reach.
    pub fn network_policy(&self) -> NetworkPolicy {
        network_policy(self.terms.deployment_model, self.manifest())
    }

    /// The limits of its run.
    pub fn limits(&self) -> Limits {
        let manifest = self.manifest();
        let size = manifest.map(|manifest| manifest.cluster_size).unwrap_or_default();
        Limits::certification(size, manifest.and_then(|manifest| manifest.min_memory_required))
    }
}

/// What an engine may reach in its run: nothing if it is registered as isolated, otherwise the hosts it declares. Where it is not known how it
/// is registered, what it declares decides.
pub(crate) fn network_policy(model: Option<DeploymentModel>, manifest: Option<&Manifest>) -> NetworkPolicy {
    let calls = manifest.map(|manifest| manifest.external_calls.as_slice()).unwrap_or_default();
    match model {
        Some(DeploymentModel::FullyNetworkIsolated) => NetworkPolicy::Isolated,
        None if calls.is_empty() => NetworkPolicy::Isolated,
        _ => NetworkPolicy::Declared(calls.iter().filter_map(|call| HostRule::parse(call)).collect()),
    }
}

/// The platform images are tested on, wherever: that of this machine.
pub fn platform() -> Platform {
    Platform::host()
}

#[cfg(test)]
pub(crate) mod tests;
