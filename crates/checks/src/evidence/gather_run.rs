//! Unpacks the image and runs the engine once. Never fails: what kept us from running it is part of the evidence.

use std::{
    error::Error as _,
    sync::Arc,
    time::{Duration, Instant},
};

use harness::{Caps, Command, Job, Pace, Registration, samples};
use image::{BlobSource, ImageConfig, Inspection, LayerCache, Lease};
use model::{
    capability::Capability,
    engine::DeploymentModel,
    id::{EngineId, OrganizationId},
    manifest::Manifest,
    run::Limits,
};
use sandbox::{LogSink, Rootfs, Sandbox};

use super::{
    ManifestEvidence, Refusal, RunEvidence, StaticEvidence, Terms,
    gather_static::{chain, fault_of},
    network_policy,
};

/// The organization of an engine that has none, on a laptop.
const NOBODY: OrganizationId = OrganizationId(1);

/// With less time than this nothing is started.
const LEAST: Duration = Duration::from_millis(100);

/// What a run needs of whoever wants it.
pub struct RunSetup {
    /// Where the engine runs.
    pub sandbox: Arc<dyn Sandbox>,
    /// Where its layers are unpacked to.
    pub layers: Arc<LayerCache>,
    /// Where its layers come from.
    pub source: Arc<dyn BlobSource>,
    /// Name of the run: `[a-z0-9-]`, at most 64 characters.
    pub run_id: String,
    /// Receives each log line as it comes.
    pub log: LogSink,
    /// Randomness; never used twice.
    pub seed: [u8; 32],
    /// Now.
    pub started_at: jiff::Timestamp,
    /// Pauses and waits of the run.
    pub pace: Pace,
    /// What is left of the time for scanning, unpacking and running together: [`RunSetup::WALL`], less what is spent.
    pub wall: Duration,
    /// An input of the engine's own, in place of the samples of its category.
    pub sample: Option<OwnSample>,
    /// Whether the engine's root file system is read-only, as the policy wants it.
    pub read_only_root: bool,
}

/// An input that was given with the registration of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnSample {
    /// Its name.
    pub file_name: String,
    /// Its MIME type.
    pub mime_type: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl RunSetup {
    /// The time for scanning, unpacking and running together.
    pub const WALL: Duration = Duration::from_secs(600);
}

/// Runs the engine of an image. Ends within the limits of the run, plus the time it takes to unpack the layers.
pub async fn gather_run(fixed: &StaticEvidence, terms: &Terms, setup: RunSetup) -> RunEvidence {
    let job = match prepare(fixed, terms, setup).await {
        Ok(job) => job,
        Err(evidence) => return evidence,
    };
    match harness::certify(job).await {
        Ok(outcome) => RunEvidence::Done(Box::new(outcome)),
        Err(error) => RunEvidence::Refused(refusal_of(&error)),
    }
}

/// What came of placing an engine that is to stay.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Placement {
    /// It was started.
    Placed(harness::Placed),
    /// It could not take place because of a fault of the image; with the reason.
    Prevented(String),
    /// We could not start it.
    Refused(Refusal),
}

/// Starts the engine of an image under the limits of production and leaves it running.
pub async fn place(fixed: &StaticEvidence, terms: &Terms, setup: RunSetup) -> Placement {
    let job = match prepare(fixed, terms, setup).await {
        Ok(job) => job,
        Err(evidence) => return unprepared(evidence).map_or_else(Placement::Refused, Placement::Prevented),
    };
    let limits = Limits::production(job.manifest.cluster_size, job.manifest.min_memory_required);
    match harness::place(Job { limits, ..job }).await {
        Ok(placed) => Placement::Placed(placed),
        Err(error) => Placement::Refused(refusal_of(&error)),
    }
}

/// What came of a task for which an engine was started.
pub enum Performance {
    /// The engine was started and has ended.
    Done(Box<harness::task::Done>),
    /// It could not take place because of a fault of the image; with the reason.
    Prevented(String),
    /// We could not start it.
    Refused(Refusal),
}

/// Starts the engine of an image for one task and ends it.
pub async fn perform(fixed: &StaticEvidence, terms: &Terms, setup: RunSetup, work: &harness::task::Work) -> Performance {
    let job = match prepare(fixed, terms, setup).await {
        Ok(job) => job,
        Err(evidence) => return unprepared(evidence).map_or_else(Performance::Refused, Performance::Prevented),
    };
    match harness::task::perform(job, work).await {
        Ok(done) => Performance::Done(Box::new(done)),
        Err(error) => Performance::Refused(refusal_of(&error)),
    }
}

/// Why there is nothing to start: the reason, when it is the image's fault.
fn unprepared(evidence: RunEvidence) -> Result<String, Refusal> {
    match evidence {
        RunEvidence::Refused(refusal) => Err(refusal),
        RunEvidence::Prevented(reason) => Ok(reason),
        RunEvidence::Late(when) => Ok(format!("the time was over when {when}")),
        RunEvidence::Pending | RunEvidence::Done(_) => Ok("there is nothing to start".to_owned()),
    }
}

async fn prepare<'a>(fixed: &'a StaticEvidence, terms: &Terms, setup: RunSetup) -> Result<Job<'a>, RunEvidence> {
    let (inspection, manifest) = prerequisites(fixed)?;
    if setup.wall.is_zero() {
        return Err(RunEvidence::Late("the image was scanned".to_owned()));
    }
    let began = Instant::now();
    let (rootfs, leases) = unpack(inspection, &setup).await?;
    let left = setup.wall.saturating_sub(began.elapsed());
    if left < LEAST {
        return Err(RunEvidence::Late("the image was unpacked".to_owned()));
    }
    let capability = terms.capability.or_else(|| Capability::from_word(manifest.category.as_deref()?));
    Ok(Job {
        sandbox: setup.sandbox,
        run_id: setup.run_id,
        rootfs,
        command: Command {
            carries_driver: inspection.tree.resolve(harness::DRIVER_PATH.trim_start_matches('/')).is_ok(),
            ..command_of(&inspection.config)
        },
        manifest,
        registration: registration_of(terms, capability, manifest),
        network: network_policy(terms.deployment_model, Some(manifest)),
        read_only_root: setup.read_only_root,
        limits: Limits {
            wall_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            ..Limits::certification(manifest.cluster_size, manifest.min_memory_required)
        },
        samples: match &setup.sample {
            Some(own) => samples::own(&own.file_name, &own.mime_type, &own.bytes, capability, &samples::formats_of(manifest)),
            None => samples::for_capability(capability, &samples::formats_of(manifest)),
        },
        log: holding(leases, setup.log),
        seed: setup.seed,
        started_at: setup.started_at,
        pace: setup.pace,
        caps: Caps::default(),
    })
}

/// What a run cannot do without. A missing piece is always told by a static check.
fn prerequisites(fixed: &StaticEvidence) -> Result<(&Inspection, &Manifest), RunEvidence> {
    let prevented = |reason: &str| Err(RunEvidence::Prevented(reason.to_owned()));
    let Some(inspection) = &fixed.inspection else {
        return match &fixed.image {
            super::ImageEvidence::Unread(reason) => Err(RunEvidence::Refused(Refusal {
                reason: "the image could not be read".to_owned(),
                details: vec![reason.clone()],
                mend: "Mend what the details name, then check again.".to_owned(),
            })),
            _ => prevented("the image cannot be tested; see check image"),
        };
    };
    if inspection.layers.iter().any(|layer| layer.broken().is_some()) {
        return prevented("a layer is broken; see check layers");
    }
    match &fixed.manifest {
        ManifestEvidence::Found { manifest: Some(manifest), .. } => Ok((inspection, manifest)),
        ManifestEvidence::Unread(reason) => Err(RunEvidence::Refused(Refusal {
            reason: "the manifest could not be read".to_owned(),
            details: vec![reason.clone()],
            mend: "Mend what the details name, then check again.".to_owned(),
        })),
        _ => prevented("without a readable manifest it is not known how to run the engine; see check manifest"),
    }
}

/// Whatever holds the log of a run holds its layers: the sandbox lets go of the log when everything of the run is gone, also of one that nobody
/// waits for any more.
fn holding(leases: Vec<Lease>, log: LogSink) -> LogSink {
    Arc::new(move |line| {
        let _used = &leases;
        log(line);
    })
}

async fn unpack(inspection: &Inspection, setup: &RunSetup) -> Result<(Rootfs, Vec<Lease>), RunEvidence> {
    let layers = inspection.visible_layers().to_vec();
    let (cache, source) = (Arc::clone(&setup.layers), Arc::clone(&setup.source));
    let unpacking = tokio::task::spawn_blocking(move || {
        let caps = image::Caps::default();
        layers.iter().map(|layer| cache.ensure(source.as_ref(), layer, &caps)).collect::<Result<Vec<_>, _>>()
    });
    match unpacking.await {
        Ok(Ok(leases)) => {
            let lower = leases.iter().map(|lease| lease.path().to_owned()).collect();
            Ok((Rootfs { lower }, leases))
        }
        Ok(Err(error)) => match fault_of(&error) {
            Some(fault) => Err(RunEvidence::Prevented(format!("the image cannot be unpacked: {fault}; see check layers"))),
            None => Err(RunEvidence::Refused(Refusal {
                reason: "the image could not be unpacked".to_owned(),
                details: vec![chain(&error)],
                mend: "Free space where layers are unpacked, check its rights, then check again.".to_owned(),
            })),
        },
        Err(error) => Err(RunEvidence::Refused(Refusal {
            reason: "the image could not be unpacked".to_owned(),
            details: vec![error.to_string()],
            mend: "Check again; if it happens again, report it with these details.".to_owned(),
        })),
    }
}

/// What the config says about starting it, without any interpretation.
pub(crate) fn command_of(config: &ImageConfig) -> Command {
    let pair = |variable: &String| match variable.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (variable.clone(), String::new()),
    };
    Command {
        entrypoint: config.entrypoint.clone().unwrap_or_default(),
        cmd: config.cmd.clone().unwrap_or_default(),
        env: config.env.iter().map(pair).collect(),
        working_dir: config.working_dir.clone(),
        user: config.user.clone(),
        carries_driver: false,
    }
}

fn registration_of(terms: &Terms, capability: Option<Capability>, manifest: &Manifest) -> Registration {
    Registration {
        organization: terms.organization.unwrap_or(NOBODY),
        engine: terms.engine.or(manifest.engine_id).unwrap_or(EngineId(Default::default())),
        engine_name: terms.engine_name.clone(),
        capability,
        deployment_model: terms.deployment_model.unwrap_or(DeploymentModel::FullyNetworkIsolated),
        payload: terms.payload.clone(),
    }
}

fn refusal_of(error: &harness::Error) -> Refusal {
    let sandbox = error.source().and_then(|source| source.downcast_ref::<sandbox::Error>());
    match sandbox {
        Some(sandbox::Error::HostNotReady(failures)) => Refusal {
            reason: "this host cannot run untrusted images safely".to_owned(),
            details: failures.iter().map(|failure| format!("{}: {}; {}", failure.id, failure.detail, failure.mend)).collect(),
            mend: "Run `plimsoll doctor`, mend what it names, then check again.".to_owned(),
        },
        _ => Refusal {
            reason: "the sandbox did not work".to_owned(),
            details: vec![chain(error)],
            mend: "Run `plimsoll doctor`, then check again; if it happens again, report it with these details.".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
