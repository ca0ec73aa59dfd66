//! Where the server meets the checks: pushed images become evidence, evidence becomes reports. The checks themselves know nothing of us.

use std::sync::Arc;

use checks::{
    Evidence, RunEvidence, Stage, StaticEvidence, Terms,
    evidence::{ImageEvidence, ManifestEvidence, RunSetup, SecurityEvidence, gather_run, gather_static, platform},
};
use harness::Pace;
use image::LayerEvidence;
use model::{
    digest::Digest,
    finding::{Finding, Severity},
    id::{EngineId, OrganizationId},
    name::RepoName,
    report::Report,
    waiver::Waiver,
};
use serde_json::Value;
use store::{builds::Build, engines::Engine};

use crate::{
    app::App,
    clock,
    ops::take_push::Unclaimed,
    pushed_image::{PushedImage, keep_evidence, known_evidence},
};

/// A pushed image after a look at it.
pub struct Looked {
    source: Arc<PushedImage>,
    fixed: StaticEvidence,
    waivers: Vec<Waiver>,
}

/// How long a waiver that ended is told of, milliseconds.
const ENDED: i64 = 90 * 86_400_000;

/// What can go wrong on our side.
type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Looks at a pushed image. Layers that were analysed while they arrived are not read again.
///
/// # Errors
/// Ours alone: what is wrong with the image is in the evidence.
pub async fn look(app: &Arc<App>, repository: &RepoName, digest: &Digest) -> Result<Looked, Broken> {
    let source = Arc::new(PushedImage::load(&app.db, &app.blobs, repository, digest).await?);
    look_into(app, repository, source, digest).await
}

/// Looks at an image whose manifest is not stored yet, as far as its layers were analysed while they arrived.
///
/// # Errors
/// Also when that is not far enough.
pub async fn look_at_arrival(app: &Arc<App>, arrival: &registry::Arrival) -> Result<Looked, Broken> {
    let (repository, digest) = (&arrival.repository, &arrival.digest);
    let source = PushedImage::arriving(&app.db, &app.blobs, repository, digest, &arrival.bytes).await?;
    look_into(app, repository, Arc::new(source), digest).await
}

async fn look_into(app: &Arc<App>, repository: &RepoName, source: Arc<PushedImage>, digest: &Digest) -> Result<Looked, Broken> {
    let waivers = waivers(app, repository.organization()).await?;
    let (app, reading, digest) = (app.clone(), source.clone(), digest.clone());
    let fixed = tokio::task::spawn_blocking(move || {
        let mut missed = Vec::new();
        let mut known = |layer: &Digest| {
            let found = known_evidence(&app.evidence, layer);
            if found.is_none() {
                missed.push(layer.clone());
            }
            found
        };
        let fixed = gather_static(&*reading, &digest, &platform(), &mut known).scan(
            app.advisories.current().as_ref(),
            &app.policy,
            clock::now_ms(),
        );
        let read_now = |layer: &&Arc<LayerEvidence>| missed.contains(&layer.digest);
        fixed
            .inspection
            .iter()
            .flat_map(|inspection| &inspection.layers)
            .filter(read_now)
            .for_each(|layer| keep_evidence(&app.evidence, layer));
        fixed
    })
    .await?;
    match (&fixed.image, &fixed.manifest) {
        (ImageEvidence::Unread(reason), _) | (_, ManifestEvidence::Unread(reason)) => Err(reason.clone().into()),
        _ => Ok(Looked { source, fixed, waivers }),
    }
}

/// What somebody of the organization answers for, with what ended lately.
///
/// # Errors
/// The database.
pub async fn waivers(app: &App, organization: OrganizationId) -> Result<Vec<Waiver>, store::Error> {
    store::waivers::standing(app.db.read(), organization, clock::now_ms() - ENDED).await
}

impl Looked {
    /// The packages of the image, if it could be read.
    pub fn inventory(&self) -> Option<&scan::Inventory> {
        self.fixed.inventory.as_deref()
    }

    /// What is known to be wrong with them.
    pub fn security(&self) -> &SecurityEvidence {
        &self.fixed.security
    }

    /// When the image says it was made.
    pub fn created(&self) -> Option<&str> {
        if let ImageEvidence::Read(facts) = &self.fixed.image { facts.config.created.as_deref() } else { None }
    }

    /// The engine the image says it is.
    ///
    /// # Errors
    /// Why it says none.
    pub fn engine_id(&self) -> Result<EngineId, Unclaimed> {
        self.fixed.claimed_engine().map_err(|finding| {
            let place = finding.place.filter(|place| !finding.message.contains(place.as_str()));
            let reason = place.map_or_else(|| finding.message.clone(), |place| format!("{} ({place})", finding.message));
            Unclaimed { code: finding.code, reason, fix: finding.fix }
        })
    }

    /// The manifest as it stands in the image; `null` if it is no JSON.
    pub fn manifest_document(&self) -> Value {
        match &self.fixed.manifest {
            ManifestEvidence::Found { manifest: Some(manifest), .. } => manifest.raw.clone(),
            _ => Value::Null,
        }
    }
}

/// The registration as the checks want it.
fn terms(engine: &Engine, looked: &Looked) -> Terms {
    let payload = engine.extra.pointer("/certification/payload").and_then(Value::as_object).cloned().unwrap_or_default();
    Terms {
        organization: Some(engine.organization),
        engine: Some(engine.id),
        engine_name: engine.name.clone(),
        capability: Some(engine.category),
        deployment_model: Some(engine.deployment_model),
        payload,
        waivers: looked.waivers.clone(),
    }
}

fn report(app: &App, build: &Build, evidence: &Evidence, stage: Stage) -> Report {
    let results = checks::judge(evidence, &app.policy, stage);
    let meta = checks::ReportMeta {
        engine_id: Some(build.engine),
        build: Some(build.id),
        version: Some(build.version),
        upload_time: build.pushed_at,
        user: build.pushed_by.clone(),
        image: app.image_reference(&build.repository, &build.tag),
    };
    checks::report(&meta, evidence, results, &app.policy)
}

/// The report before the run: what the image alone tells.
pub fn static_report(app: &App, build: &Build, engine: &Engine, looked: &Looked) -> Report {
    report(app, build, &looked.fixed.with(terms(engine, looked), RunEvidence::Pending), Stage::Static)
}

/// The first of the findings that block an image before it has run.
pub fn first_blocking(app: &App, engine: &Engine, looked: &Looked) -> Option<Finding> {
    let results = checks::judge(&looked.fixed.with(terms(engine, looked), RunEvidence::Pending), &app.policy, Stage::Static);
    results.into_iter().flat_map(|result| result.findings).find(|finding| finding.severity == Severity::Error)
}

/// The report of a build whose certification was lost too often: the gate is at fault, and says so.
pub fn lost_report(app: &App, build: &Build, engine: &Engine, looked: &Looked) -> Report {
    let refusal = checks::evidence::Refusal {
        reason: "internal_error: the certification was lost too often".into(),
        details: Vec::new(),
        mend: "Run the intake again with the action upload; if it is lost again, tell the operator.".into(),
    };
    report(app, build, &looked.fixed.with(terms(engine, looked), RunEvidence::Refused(refusal)), Stage::Complete)
}

/// Runs the engine and judges everything.
pub async fn certify(app: &App, build: &Build, engine: &Engine, looked: Looked, run_id: String, log: sandbox::LogSink) -> Report {
    let terms = terms(engine, &looked);
    let setup = RunSetup {
        sandbox: app.sandbox.clone(),
        layers: app.layers.clone(),
        source: looked.source,
        run_id,
        log,
        seed: clock::random(),
        started_at: jiff::Timestamp::from_millisecond(clock::now_ms()).unwrap_or_default(),
        pace: Pace::default(),
    };
    let run = gather_run(&looked.fixed, &terms, setup).await;
    report(app, build, &looked.fixed.with(terms, run), Stage::Complete)
}
