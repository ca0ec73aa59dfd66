//! `plimsoll check IMAGE`: the gate on a laptop, with the same crates and the same findings.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

use anyhow::Context;
use checks::{
    Policy, RunEvidence, Stage, StaticEvidence, Terms,
    benchmark::Truth,
    evidence::{ImageEvidence, ManifestEvidence, OwnSample, RunSetup, gather_run, gather_static, platform},
    output,
    standing::ImageNames,
};
use harness::Pace;
use image::{BlobSource, LayerCache, Transport};
use model::{
    capability::Capability,
    engine::DeploymentModel,
    report::{CheckStatus, Report, Verdict},
    run::{LogLine, Stream},
    waiver::Waiver,
};
use sandbox::local::Local;
use scan::sbom::{Format, Subject, render};

use crate::{log, progress};

/// Other images named to who gave waivers for them.
const TOLD: usize = 5;

#[derive(clap::Args)]
pub struct Args {
    /// oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:TAG]
    image: Transport,
    /// text, json, sarif or junit
    #[arg(long, default_value = "text")]
    format: output::Format,
    /// Write the report to this file instead of standard output
    #[arg(long)]
    output: Option<PathBuf>,
    /// What the engine may reach: FullyNetworkIsolated, MostlyNetworkIsolated, NonNetworkIsolated or HumanReview
    #[arg(long)]
    deployment_model: Option<DeploymentModel>,
    /// What the engine is registered for, such as keyword or transcription [default: what its manifest says]
    #[arg(long, value_parser = category)]
    category: Option<Capability>,
    /// Database of advisories, made by "plimsoll advisories build"
    #[arg(long, value_name = "FILE")]
    advisories: Option<PathBuf>,
    /// Keep unpacked layers in this folder and use them again; a server's own will do [default: a temporary folder]
    #[arg(long)]
    layers: Option<PathBuf>,
    /// Send this file to the engine in place of the samples of its category; its type is --sample-type
    #[arg(long, value_name = "FILE")]
    sample: Option<PathBuf>,
    /// MIME type of --sample [default: the engine's preferred one]
    #[arg(long, value_name = "TYPE", requires = "sample")]
    sample_type: Option<String>,
    /// Custom fields of the test payload, as a JSON object or @FILE
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
    /// What the result for the first sample should be: a text, or JSON with text, objects or labels
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Policy file (JSON) [default: built in]
    #[arg(long)]
    policy: Option<PathBuf>,
    /// Configuration file (TOML) of a server, for its `sandbox.runtime` and `sandbox.host_clocks`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write the list of packages to this file: SPDX 2.3 if its name ends in .spdx.json, else CycloneDX 1.6
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    /// File of waivers, or an OpenVEX document; may be given several times
    #[arg(long, value_name = "FILE")]
    waivers: Vec<PathBuf>,
}

fn category(word: &str) -> Result<Capability, String> {
    Capability::from_word(word).ok_or_else(|| {
        let known: Vec<&str> = Capability::all().map(Capability::as_str).collect();
        format!("no such category; known are {}", known.join(", "))
    })
}

/// Judges the image: 0 passed, 1 blocking findings, 3 it could not be run.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    log::start("error");
    let policy = match &args.policy {
        None => Policy::default(),
        Some(path) => {
            let text = std::fs::read(path).with_context(|| format!("the policy {} cannot be read", path.display()))?;
            serde_json::from_slice(&text).with_context(|| format!("the policy {} is wrong", path.display()))?
        }
    };
    let waivers = waivers(&args.waivers, &policy)?;
    let report = super::runtime()?.block_on(judge(&args, &policy, waivers))?;
    let text = args.format.render(&report)?;
    match &args.output {
        Some(path) => std::fs::write(path, text).with_context(|| format!("the report cannot be written to {}", path.display()))?,
        None => log::say(text.trim_end()),
    }
    Ok(exit_code(&report))
}

/// A check that failed is the image's fault; one that could not run is not, and must not look like either.
fn exit_code(report: &Report) -> ExitCode {
    let any = |status: CheckStatus| report.checks.iter().any(|check| check.status == status);
    if any(CheckStatus::Failed) {
        ExitCode::from(1)
    } else if report.success && report.verdict == Verdict::Available {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::COULD_NOT_RUN)
    }
}

fn write_sbom(path: &Path, image: &str, fixed: &StaticEvidence) -> anyhow::Result<()> {
    let (ImageEvidence::Read(facts), Some(inventory)) = (&fixed.image, &fixed.inventory) else {
        anyhow::bail!("no list of packages is written to {}, because the image cannot be read", path.display());
    };
    let format = if path.to_string_lossy().ends_with(".spdx.json") { Format::Spdx } else { Format::CycloneDx };
    // The transport is no part of the name.
    let name = image.split_once(':').map_or(image, |(_, name)| name).rsplit('/').next().unwrap_or_default();
    let subject = Subject { name, digest: &fixed.top, created: facts.config.created.as_deref() };
    let text = render(format, &subject, inventory);
    std::fs::write(path, text).with_context(|| format!("the list of packages cannot be written to {}", path.display()))
}

fn waivers(files: &[PathBuf], policy: &Policy) -> anyhow::Result<Vec<Waiver>> {
    let mut all = Vec::new();
    for path in files {
        let text = std::fs::read(path).with_context(|| format!("the waivers {} cannot be read", path.display()))?;
        let read = checks::waivers::read(&text, policy.vulnerabilities.vex_days);
        let read = read.with_context(|| format!("the waivers {} are wrong", path.display()))?;
        read.left_out.iter().for_each(|what| log::tell(format!("{}, {what}; it waives nothing", path.display())));
        all.extend(read.waivers);
    }
    Ok(all)
}

/// What the image calls itself, if it does.
fn own_names(asked: &Transport, found: &str) -> Vec<String> {
    // One without a name is told by its place on this machine.
    Some(found.to_owned()).filter(|found| *found != asked.to_string()).into_iter().collect()
}

/// Whoever gave waivers for an image that this one is not wonders why they waive nothing.
fn tell_of_others(waivers: &[Waiver], image: &ImageNames) {
    let meant: BTreeSet<&str> = waivers.iter().filter_map(|waiver| waiver.image.as_deref()).collect();
    for other in meant.into_iter().filter(|meant| !image.are_meant_by(meant)).take(TOLD) {
        let names: Vec<String> = image.references.iter().cloned().chain(image.digests.iter().map(ToString::to_string)).collect();
        log::tell(format!("what is said of {other} waives nothing here: this image is known as {}", names.join(", ")));
    }
}

fn payload(text: Option<&str>) -> anyhow::Result<serde_json::Map<String, serde_json::Value>> {
    let Some(text) = text else { return Ok(serde_json::Map::new()) };
    let text = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("the payload {path} cannot be read"))?,
        None => text.to_owned(),
    };
    serde_json::from_str(&text).context("the payload is not a JSON object")
}

fn truth(path: &Path) -> anyhow::Result<Truth> {
    let bytes = std::fs::read(path).with_context(|| format!("the truth {} cannot be read", path.display()))?;
    Truth::read(&bytes).with_context(|| format!("{} cannot be used", path.display()))
}

fn own_sample(path: &Path, mime_type: Option<&str>, fixed: &StaticEvidence) -> anyhow::Result<OwnSample> {
    let bytes = std::fs::read(path).with_context(|| format!("the sample {} cannot be read", path.display()))?;
    let preferred = || match &fixed.manifest {
        ManifestEvidence::Found { manifest, .. } => manifest.as_ref()?.preferred_input_format.clone(),
        _ => None,
    };
    let mime_type = mime_type.map(str::to_owned).or_else(preferred);
    let mime_type = mime_type.context("the manifest names no preferred type; say what the sample is with --sample-type")?;
    let file_name = path.file_name().map_or_else(|| "sample".to_owned(), |name| name.to_string_lossy().into_owned());
    Ok(OwnSample { file_name, mime_type, bytes })
}

async fn judge(args: &Args, policy: &Policy, waivers: Vec<Waiver>) -> anyhow::Result<Report> {
    let began = Instant::now();
    let opened = image::open(&args.image)?;
    let source: Arc<dyn BlobSource> = Arc::from(opened.source);
    let database = args.advisories.as_deref().map(scan::Database::open).transpose()?;
    let bar = progress::spinner("reading the image");
    let (reading, top) = (source.clone(), opened.top.clone());
    let (rules, now) = (policy.clone(), server::clock::now_ms());
    let look = move || gather_static(&*reading, &top, &platform(), &mut |_| None).scan(database.as_ref(), &rules, now);
    let fixed = tokio::task::spawn_blocking(look).await?;
    if let Some(path) = &args.sbom {
        write_sbom(path, &args.image.to_string(), &fixed)?;
    }
    bar.set_message("running the engine");
    let image = fixed.image_names(own_names(&args.image, &opened.reference));
    bar.suspend(|| tell_of_others(&waivers, &image));
    let terms = Terms {
        deployment_model: args.deployment_model,
        capability: args.category,
        payload: payload(args.payload.as_deref())?,
        truth: args.truth.as_deref().map(truth).transpose()?,
        waivers,
        image,
        ..Terms::default()
    };
    let sample = args.sample.as_deref().map(|path| own_sample(path, args.sample_type.as_deref(), &fixed)).transpose()?;
    let scratch = tempfile::tempdir().context("no folder for temporary files could be made; set TMPDIR")?;
    let config = server::config::Config::load(args.config.as_deref(), &server::config::Overrides::default())?;
    let sandbox = Local::new(scratch.path().join("runs"), sandbox::local::Helper::default());
    let sandbox = Arc::new(sandbox.run_by(super::serve::runtime(&config)?).with_host_clocks(config.sandbox.host_clocks));
    let kept = args.layers.clone().unwrap_or_else(|| scratch.path().join("layers"));
    let layers = LayerCache::with_limit(kept, server::config::Sandbox::default().cache_bytes);
    layers.sweep()?;
    let shown = bar.clone();
    let setup = RunSetup {
        sandbox,
        layers: Arc::new(layers),
        source,
        run_id: format!("check-{}", std::process::id()),
        log: Arc::new(move |line: LogLine| {
            if line.stream == Stream::Gate {
                shown.set_message(line.text);
            }
        }),
        seed: server::clock::random(),
        started_at: jiff::Timestamp::from_millisecond(server::clock::now_ms()).unwrap_or_default(),
        pace: Pace::default(),
        wall: RunSetup::WALL.saturating_sub(began.elapsed()),
        sample,
        read_only_root: policy.read_only_root,
    };
    let run: RunEvidence = gather_run(&fixed, &terms, setup).await;
    bar.finish_and_clear();
    let evidence = fixed.with(terms, run);
    let results = checks::judge(&evidence, policy, Stage::Complete);
    let meta = checks::ReportMeta {
        engine_id: evidence.manifest().and_then(|manifest| manifest.engine_id),
        build: None,
        version: None,
        upload_time: server::clock::now_ms(),
        user: String::new(),
        image: args.image.to_string(),
        baselines: Vec::new(),
    };
    Ok(checks::report(&meta, &evidence, results, policy))
}
