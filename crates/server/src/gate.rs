//! Where the server meets the checks: pushed images become evidence, evidence becomes reports. The checks themselves know nothing of us.

use std::{sync::Arc, time::Duration};

use checks::{
    CHECKS, Evidence, Needs, RunEvidence, Stage, StaticEvidence, Terms,
    benchmark::{Baseline, Truth},
    evidence::{
        ImageEvidence, ManifestEvidence, OwnSample, Performance, Placement, RunSetup, SecurityEvidence, Unfetched, gather_run,
        gather_static, place, platform,
    },
};
use harness::{Pace, samples};
use image::LayerEvidence;
use model::{
    build::BuildStatus,
    digest::Digest,
    finding::{Finding, Severity},
    id::{EngineId, OrganizationId},
    name::RepoName,
    report::{Basis, Report, Reused, Verdict},
    waiver::Waiver,
};
use serde_json::Value;
use store::{
    builds::{self, Build},
    engine_files::{self, EngineFile, Kind},
    engines::Engine,
};

use crate::{
    app::App,
    clock,
    fetch::{Caps, fetch},
    ops::{
        keep_sample::{keep_sample, sample_url},
        take_push::Unclaimed,
    },
    pushed_image::{PushedImage, keep_evidence, known_evidence},
};

/// A pushed image after a look at it.
pub struct Looked {
    source: Arc<PushedImage>,
    fixed: StaticEvidence,
    waivers: Vec<Waiver>,
    /// Host and repository.
    place: String,
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
    let place = app.image_place(repository.as_str());
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
        _ => Ok(Looked { source, fixed, waivers, place }),
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

/// The registration as the checks want it, for the image under a tag.
fn terms(engine: &Engine, looked: &Looked, tag: Option<&str>) -> Terms {
    let reference = tag.map_or_else(|| looked.place.clone(), |tag| format!("{}:{tag}", looked.place));
    let mut payload = defaults(engine);
    payload.extend(engine.extra.pointer("/certification/payload").and_then(Value::as_object).cloned().unwrap_or_default());
    Terms {
        organization: Some(engine.organization),
        engine: Some(engine.id),
        engine_name: engine.name.clone(),
        capability: Some(engine.category),
        deployment_model: Some(engine.deployment_model),
        payload,
        waivers: looked.waivers.clone(),
        image: looked.fixed.image_names(vec![reference]),
        truth: None,
        unfetched: None,
    }
}

/// The default values of the engine's custom fields, as an application would send them.
fn defaults(engine: &Engine) -> serde_json::Map<String, Value> {
    let fields = engine.extra.get("fields").and_then(Value::as_array).into_iter().flatten();
    let default = |field: &Value| {
        let name = field["name"].as_str()?.to_owned();
        let number = |text: &str| text.parse::<f64>().ok().filter(|_| field["type"] == "Number").and_then(serde_json::Number::from_f64);
        let value = match (&field["defaultValues"], field["defaultValue"].as_str()) {
            (Value::Array(values), _) if !values.is_empty() => Value::Array(values.clone()),
            (_, Some(text)) => number(text).map_or_else(|| text.into(), Value::Number),
            _ => return None,
        };
        Some((name, value))
    };
    fields.filter_map(default).collect()
}

/// The builds this one is compared with, as far as they were measured.
async fn baselines(app: &App, build: &Build) -> Vec<Baseline> {
    #[derive(serde::Deserialize)]
    struct Measured {
        benchmark: Option<model::report::Benchmark>,
    }
    let Ok(builds) = builds::list(app.db.read(), build.engine, &[], 0, COMPARED).await else { return Vec::new() };
    let (mut found, mut previous) = (Vec::new(), false);
    for other in builds.into_iter().filter(|other| other.version < build.version) {
        let with = match other.status {
            BuildStatus::Deployed => "deployed",
            _ if !previous => "previous",
            _ => continue,
        };
        let report = builds::report(app.db.read(), other.id).await.ok().flatten();
        let measured = report.and_then(|text| serde_json::from_str::<Measured>(&text).ok()?.benchmark);
        if let Some(benchmark) = measured {
            previous |= with == "previous";
            found.push(Baseline { with: with.to_owned(), version: other.version, benchmark });
        }
    }
    found
}

/// Builds looked at for a comparison, newest first.
const COMPARED: i64 = 50;

fn report(app: &App, build: &Build, evidence: &Evidence, stage: Stage, baselines: Vec<Baseline>) -> Report {
    let results = checks::judge(evidence, &app.policy, stage);
    let meta = checks::ReportMeta {
        engine_id: Some(build.engine),
        build: Some(build.id),
        version: Some(build.version),
        upload_time: build.pushed_at,
        user: build.pushed_by.clone(),
        image: app.image_reference(&build.repository, &build.tag),
        baselines,
    };
    let mut report = checks::report(&meta, evidence, results, &app.policy);
    report.basis = Some(basis(app, build, evidence, &report));
    report
}

/// What the results depend on.
fn basis(app: &App, build: &Build, evidence: &Evidence, report: &Report) -> Basis {
    let formats = evidence.manifest().map(samples::formats_of).unwrap_or_default();
    let mut sent = Vec::new();
    for sample in samples::for_capability(evidence.capability(), &formats) {
        sent.extend_from_slice(format!("{} {} {}\n", sample.id, sample.mime_type, Digest::of(&sample.bytes)).as_bytes());
    }
    let terms = &evidence.terms;
    let settings = serde_json::json!([terms.capability.map(|capability| capability.as_str()), terms.deployment_model, terms.payload]);
    Basis {
        image: build.digest.clone(),
        advisories: report.scan.as_ref().and_then(|scan| scan.pointer("/database/id")).and_then(Value::as_str).map(str::to_owned),
        policy: app.policy.id(),
        samples: Digest::of(&sent),
        settings: Digest::of(settings.to_string().as_bytes()),
    }
}

/// The report before the run: what the image alone tells.
pub fn static_report(app: &App, build: &Build, engine: &Engine, looked: &Looked) -> Report {
    report(app, build, &looked.fixed.with(terms(engine, looked, Some(&build.tag)), RunEvidence::Pending), Stage::Static, Vec::new())
}

/// The first of the findings that block an image before it has run, under the tag it is to have.
pub fn first_blocking(app: &App, engine: &Engine, looked: &Looked, tag: Option<&str>) -> Option<Finding> {
    let results = checks::judge(&looked.fixed.with(terms(engine, looked, tag), RunEvidence::Pending), &app.policy, Stage::Static);
    results.into_iter().flat_map(|result| result.findings).find(|finding| finding.severity == Severity::Error)
}

/// The report of a build whose certification was lost too often: the gate is at fault, and says so.
pub fn lost_report(app: &App, build: &Build, engine: &Engine, looked: &Looked) -> Report {
    let refusal = checks::evidence::Refusal {
        reason: "internal_error: the certification was lost too often".into(),
        details: Vec::new(),
        mend: "Run the intake again with the action upload; if it is lost again, tell the operator.".into(),
    };
    report(
        app,
        build,
        &looked.fixed.with(terms(engine, looked, Some(&build.tag)), RunEvidence::Refused(refusal)),
        Stage::Complete,
        Vec::new(),
    )
}

/// What a run needs besides the image.
pub struct Lane {
    /// Name of the run: `[a-z0-9-]`, at most 64 characters.
    pub run_id: String,
    /// Receives each log line.
    pub log: sandbox::LogSink,
    /// How much of the time of the run is spent.
    pub spent: Duration,
}

impl Lane {
    fn setup(self, app: &App, source: Arc<PushedImage>) -> RunSetup {
        RunSetup {
            sandbox: app.sandbox.clone(),
            layers: app.layers.clone(),
            source,
            run_id: self.run_id,
            log: self.log,
            seed: clock::random(),
            started_at: jiff::Timestamp::from_millisecond(clock::now_ms()).unwrap_or_default(),
            pace: Pace::default(),
            wall: RunSetup::WALL.saturating_sub(self.spent),
            sample: None,
            read_only_root: app.policy.read_only_root,
        }
    }
}

/// Runs the engine and judges everything.
pub async fn certify(app: &App, build: &Build, engine: &Engine, looked: Looked, lane: Lane) -> Report {
    let mut terms = terms(engine, &looked, Some(&build.tag));
    let mut own = OwnFiles::of(app, engine).await;
    terms.unfetched = own.fetch(app, engine, &lane.log).await;
    let digest = own.digest();
    // What was read when it was given is read again.
    terms.truth = own.truth.and_then(|file| Truth::read(&file.bytes).ok());
    let sample = own.sample.map(|file| OwnSample { file_name: file.name, mime_type: file.mime_type, bytes: file.bytes });
    let setup = RunSetup { sample, ..lane.setup(app, looked.source) };
    let evidence = gather_run(&looked.fixed, &terms, setup).await;
    let baselines = baselines(app, build).await;
    let mut report = report(app, build, &looked.fixed.with(terms, evidence), Stage::Complete, baselines);
    if let Some(basis) = &mut report.basis {
        tested_with(basis, digest.as_ref());
    }
    report
}

/// What an engine is tested with besides the samples of its category.
struct OwnFiles {
    sample: Option<EngineFile>,
    truth: Option<EngineFile>,
}

impl OwnFiles {
    async fn of(app: &App, engine: &Engine) -> Self {
        let file = async |kind| {
            engine_files::get(app.db.read(), engine.id, kind).await.unwrap_or_else(|error| {
                tracing::error!(engine = %engine.id, error = crate::error::chain(&error), "a file of the engine cannot be read");
                None
            })
        };
        let sample = file(Kind::Sample).await.filter(|file| file.url.is_none() || file.url.as_deref() == sample_url(engine));
        Self { sample, truth: file(Kind::Truth).await }
    }

    /// Fetches the sample that the registration names by its address, unless it is here; it is kept for the runs that follow.
    async fn fetch(&mut self, app: &App, engine: &Engine, log: &sandbox::LogSink) -> Option<Unfetched> {
        let url = sample_url(engine).filter(|_| self.sample.is_none())?;
        let said = |text: String| log(model::run::LogLine { at_ms: 0, stream: model::run::Stream::Gate, text });
        said("fetching the sample that the registration names".to_owned());
        match fetch(&app.outside, url, Caps::default()).await {
            Ok(fetched) => {
                said(format!("fetched {} bytes of {}", fetched.bytes.len(), fetched.mime_type));
                self.sample = keep_sample(app, engine.id, url, fetched).await.unwrap_or_else(|error| {
                    tracing::error!(engine = %engine.id, error = crate::error::chain(&error), "a fetched sample cannot be kept");
                    None
                });
                None
            }
            Err(reason) => {
                said(format!("the sample was not fetched: {reason}"));
                Some(Unfetched { url: url.to_owned(), reason })
            }
        }
    }

    /// `None` when there is none.
    fn digest(&self) -> Option<Digest> {
        let said = |file: &EngineFile| serde_json::json!([file.name, file.mime_type, Digest::of(&file.bytes).to_string()]);
        let both = [&self.sample, &self.truth].map(|file| file.as_ref().map(said));
        both.iter().any(Option::is_some).then(|| Digest::of(serde_json::json!(both).to_string().as_bytes()))
    }
}

/// Other files of the engine's own make another test run.
fn tested_with(basis: &mut Basis, own: Option<&Digest>) {
    if let Some(own) = own {
        basis.samples = Digest::of(format!("{} {own}", basis.samples).as_bytes());
    }
}

/// Starts the engine so that it stays.
pub async fn deploy(app: &App, engine: &Engine, looked: Looked, lane: Lane) -> Placement {
    place(&looked.fixed, &terms(engine, &looked, None), lane.setup(app, looked.source)).await
}

/// Starts the engine for one task of at most `wall`, and ends it.
pub async fn perform(app: &App, engine: &Engine, looked: Looked, lane: Lane, work: &harness::task::Work, wall: Duration) -> Performance {
    let setup = RunSetup { wall, ..lane.setup(app, looked.source.clone()) };
    checks::evidence::perform(&looked.fixed, &terms(engine, &looked, None), setup, work).await
}

/// Whether a check looks at the image alone.
pub fn is_static(id: &str) -> bool {
    CHECKS.iter().any(|check| check.id == id && check.needs == Needs::Static)
}

/// Gate B, first phase: what the image alone tells today, put into the report of gate A.
pub fn review_static(app: &App, build: &Build, engine: &Engine, looked: &Looked, stored: &Report) -> Report {
    let fresh = static_report(app, build, engine, looked);
    let mut report = checks::merge(stored, &fresh, is_static);
    if let (Some(basis), Some(old)) = (&mut report.basis, &fresh.basis) {
        // The run is still that of the stored report.
        basis.advisories.clone_from(&old.advisories);
    }
    of_gate_b(report)
}

/// Gate B, second phase: everything that may have changed since the test run of `stored`, whose static part is of today.
pub async fn review_run(app: &App, build: &Build, engine: &Engine, looked: Looked, stored: &Report, lane: Lane) -> Report {
    let mut today = static_report(app, build, engine, &looked).basis;
    if let Some(basis) = &mut today {
        tested_with(basis, OwnFiles::of(app, engine).await.digest().as_ref());
    }
    let same_run = matches!((&stored.basis, &today), (Some(old), Some(new)) if old.same_run(new));
    if !same_run || stored.verdict == Verdict::NotTestable {
        return of_gate_b(certify(app, build, engine, looked, lane).await);
    }
    let checks = stored.checks.iter().map(|check| check.id.clone()).filter(|id| !is_static(id)).collect();
    let because = "the image, the policy, the samples and the settings of the engine are those of the earlier test run".to_owned();
    (lane.log)(model::run::LogLine {
        at_ms: 0,
        stream: model::run::Stream::Gate,
        text: format!("the test run is not repeated: {because}"),
    });
    of_gate_b(Report { reused: Some(Reused { checks, because }), ..stored.clone() })
}

/// One check anew, everything else as it stands in `stored`.
pub async fn recheck(app: &App, build: &Build, engine: &Engine, looked: Looked, stored: &Report, check: &str, lane: Lane) -> Report {
    let fresh = if is_static(check) { static_report(app, build, engine, &looked) } else { certify(app, build, engine, looked, lane).await };
    of_gate_b(checks::merge(stored, &fresh, |id| id == check))
}

fn of_gate_b(mut report: Report) -> Report {
    report.gate = "certification".to_owned();
    report.verdict = match report.verdict {
        Verdict::Available => Verdict::ApprovedCandidate,
        Verdict::Invalid => Verdict::Disapproved,
        other => other,
    };
    report
}
