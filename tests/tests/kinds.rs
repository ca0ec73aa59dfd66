//! Every kind of engine, good and bad, as a real image in the real sandbox, judged by the real checks. Ends with one table, which `scripts/test` prints.
//!
//! The gate is called as the laptop calls it, with shorter waits; that the server comes to the same findings, `gate.rs` holds.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking, in its helpers too")]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use checks::{
    Policy, ReportMeta, Stage, Terms,
    evidence::{RunSetup, gather_run, gather_static, platform},
};
use e2e::{built, engine, plimsoll};
use harness::Pace;
use image::{
    Compression, LayerCache, Platform,
    pack::{File, Pack},
};
use model::{
    digest::Digest,
    engine::DeploymentModel,
    finding::Severity,
    report::{Report, Verdict},
};
use sandbox::local::{Helper, Local};
use serde_json::{Value, json};

const READY: &str = "VERITONE_WEBHOOK_READY";
const PROCESS: &str = "VERITONE_WEBHOOK_PROCESS";

/// A row of the table.
struct Row {
    kind: &'static str,
    /// What the engine does.
    variant: &'static str,
    /// The argument of the program.
    how: &'static str,
    /// Verdict and codes.
    expected: &'static str,
    manifest: Value,
    env: Vec<(&'static str, &'static str)>,
    entrypoint: Option<Vec<&'static str>>,
    /// The image holds a driver that looks for its controller and does nothing.
    driver: bool,
    /// The whole time of the run, if it is not the usual one, milliseconds.
    wall_ms: Option<u64>,
}

fn row(kind: &'static str, variant: &'static str, how: &'static str, expected: &'static str) -> Row {
    let mode = match kind {
        "webhook, stream" => "stream",
        "webhook, batch" | "batch" | "adapter" => "batch",
        _ => "chunk",
    };
    let webhook = ["webhook", "driver", "media out"].iter().any(|word| kind.starts_with(word));
    let env = if webhook { vec![(READY, "http://0.0.0.0:8080/ready"), (PROCESS, "http://0.0.0.0:8080/process")] } else { Vec::new() };
    let category = if kind == "adapter" { "pull" } else { "keyword" };
    Row {
        kind,
        variant,
        how,
        expected,
        manifest: json!({ "engineMode": mode, "category": category }),
        env,
        entrypoint: None,
        driver: false,
        wall_ms: None,
    }
}

impl Row {
    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.manifest[key] = value.into();
        self
    }

    /// Makes files of a type out of files of that type.
    fn makes(self, mime_type: &str) -> Self {
        let of = self.with("category", "transcode").with("preferredInputFormat", mime_type);
        of.with("supportedInputFormats", json!([mime_type])).with("outputFormats", json!([mime_type]))
    }

    fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value));
        self
    }

    fn starts(mut self, words: &[&'static str]) -> Self {
        self.entrypoint = Some(words.to_vec());
        self
    }

    fn with_driver(mut self) -> Self {
        self.driver = true;
        self
    }

    fn within(mut self, wall_ms: u64) -> Self {
        self.wall_ms = Some(wall_ms);
        self
    }

    fn pack(&self, engine: &[u8]) -> Pack {
        let mut manifest = json!({
            "engineId": "6a2f4f0e-6d0e-4a57-9c11-2f6c0b0f8f10", "preferredInputFormat": "text/plain", "supportedInputFormats": ["text/plain"],
            "outputFormats": ["application/json"], "clusterSize": "small",
        });
        manifest.as_object_mut().unwrap().extend(self.manifest.as_object().unwrap().clone());
        let words = self.entrypoint.clone().unwrap_or_else(|| vec!["/engine", self.how]);
        let pack =
            Pack::new(Platform::new("linux", "amd64")).compression(Compression::None).layer(vec![File::new("engine", 0o755, engine)]);
        let pack = pack.layer(vec![File::new("var/manifest.json", 0o644, manifest.to_string())]).entrypoint(words);
        let pack = if self.driver { pack.layer(vec![File::new("opt/aiware/engine", 0o755, engine)]) } else { pack };
        self.env.iter().fold(pack, |pack, (name, value)| pack.env(name, value))
    }
}

/// Webhook engines that do their work, each in its way.
fn webhooks() -> Vec<Row> {
    let (chunk, stream, batch) = ("webhook, chunk", "webhook, stream", "webhook, batch");
    vec![
        row(chunk, "answers with its result", "good", "available"),
        row(chunk, "ignores all it gets (204)", "ignores", "invalid output.missing"),
        row(chunk, "refuses an unlisted type by 204", "unlisted-204", "available"),
        row(chunk, "fetches its input (HEAD, Range, GET)", "reads-cache", "available").env("VERITONE_DISABLE_CHUNK_DOWNLOAD", "true"),
        row(chunk, "keeps values for its task", "key-values", "available"),
        row(chunk, "promises its result and sends it by the hook", "async", "available"),
        row(chunk, "sends its result as a form with a file", "async-form", "available"),
        row(chunk, "asks to be polled, then answers", "poll", "available"),
        row(chunk, "needs a second attempt (503)", "retried", "available process.retried"),
        row(chunk, "names only the process hook", "good", "available").env(READY, ""),
        row(chunk, "another result each time", "differs", "available process.differs"),
        row(stream, "acknowledges, heartbeats, result, complete", "stream-ack", "available"),
        row(stream, "answers with an estimate", "stream-estimate", "available"),
        row(stream, "answers at once", "good", "available"),
        row(batch, "reports by heartbeats and hooks", "stream-estimate", "available"),
        row("driver", "is stepped over", "good", "available").starts(&["/opt/aiware/engine", "/engine", "good"]),
        row("driver", "the older path", "good", "available").starts(&["/app/engine", "/engine", "good"]),
        row("driver", "is called by the image's own program", "calls-driver", "available").with_driver(),
        row("driver", "starts nothing", "good", "invalid entrypoint.driver").starts(&["/opt/aiware/engine"]),
        row("driver", "no hook is named", "good", "invalid ready.hook")
            .starts(&["/opt/aiware/engine", "/engine", "good"])
            .env(READY, "")
            .env(PROCESS, ""),
        row("driver", "announces test mode", "good", "available entrypoint.test_mode").env("VERITONE_TESTMODE", "true"),
        row("media out", "makes a file of a clip", "media-copies", "available").makes("video/mp4"),
        row("media out", "calls text a clip", "media-lies", "invalid output.unreadable").makes("video/mp4"),
        row(chunk, "category pull by mistake", "good", "invalid manifest.engineMode.adapter").with("category", "pull"),
    ]
}

/// Engines that are started with a task, and adapters.
fn tasks() -> Vec<Row> {
    let (batch, adapter) = ("batch", "adapter");
    vec![
        row(batch, "introspection, asset, signedUri, result, complete", "batch-good", "available"),
        row(batch, "no engineMode at all", "batch-good", "available").with("engineMode", "legacy"),
        row(batch, "ends with exit code 1", "batch-exits", "invalid run.exit"),
        row(batch, "sets its task to failed", "batch-fails", "invalid run.task"),
        row(batch, "completes and hands in nothing", "batch-nothing", "invalid run.result"),
        row(batch, "forgets to complete its task", "batch-forgets", "invalid run.task"),
        row(batch, "pauses its task and tells nobody where", "batch-pauses", "available run.paused"),
        row(batch, "pauses its task, is called back and goes on", "batch-wakes", "available"),
        row(batch, "never ends", "batch-hangs", "invalid run.timeout").within(3_000),
        row(batch, "uploads assets without end", "batch-endless", "invalid run.uploads"),
        row(adapter, "createTDO, createAsset", "pull-tdo", "available"),
        row(adapter, "createTDOWithAsset", "pull-with-asset", "available"),
        row(adapter, "createStructuredData", "pull-data", "available"),
        row(adapter, "brings nothing in", "pull-nothing", "invalid run.adapter"),
        row(adapter, "sets its task to failed", "pull-fails", "invalid run.task"),
        row(adapter, "push", "pull-tdo", "not testable run.push").with("category", "push"),
        row(adapter, "reads a queue", "pull-tdo", "not testable run.queue").with("engineMode", "stream"),
        row("queue", "reads chunks from a queue", "good", "not testable run.queue"),
        row("queue", "reads a stream from a queue", "good", "not testable run.queue").with("engineMode", "stream"),
        row(batch, "takes a type nobody has a sample of", "batch-good", "not testable run.no_sample")
            .with("preferredInputFormat", "message/rfc822")
            .with("supportedInputFormats", json!(["message/rfc822"])),
    ]
}

/// Webhook engines that do something wrong.
fn bad() -> Vec<Row> {
    let (chunk, stream) = ("webhook, chunk", "webhook, stream");
    vec![
        row(chunk, "listens on the wrong port", "wrong-port", "invalid ready.port"),
        row(chunk, "listens on IPv6 alone", "ipv6", "available ready.ipv6"),
        row(chunk, "listens on loopback alone", "loopback", "available ready.loopback"),
        row(chunk, "never gets ready (503)", "never-ready", "invalid ready.late"),
        row(chunk, "ready hook redirects", "ready-redirects", "invalid ready.late"),
        row(chunk, "gives up while getting ready (500)", "gives-up", "invalid ready.gave_up"),
        row(chunk, "ends before it is ready", "exits", "invalid ready.exited"),
        row(chunk, "fails every call", "fails", "invalid process.failed"),
        row(chunk, "answers in pieces, too long", "pieces", "available process.pieces"),
        row(chunk, "closes before the answer", "closes-early", "invalid process.failed"),
        row(chunk, "closes in the middle of the body", "cuts-body", "invalid process.failed"),
        row(chunk, "chunked without end", "endless-chunks", "invalid process.failed"),
        row(chunk, "a body of 10 GB", "ten-gigabytes", "invalid process.failed"),
        row(chunk, "does not speak HTTP", "not-http", "invalid process.failed"),
        row(chunk, "HTTP/1.0", "http10", "available process.http10"),
        row(chunk, "redirects outside", "redirects", "invalid process.redirect"),
        row(chunk, "wrong content type", "wrong-type", "invalid output.content_type"),
        row(chunk, "an empty answer", "empty", "invalid output.missing"),
        row(chunk, "invalid UTF-8", "not-utf8", "invalid output.not_json"),
        row(chunk, "a misspelt key", "lable", "invalid output.schema"),
        row(chunk, "a language that is no tag", "language-name", "available output.language"),
        row(chunk, "sure of everything", "sure", "available output.confidence"),
        row(chunk, "confidence in percent", "percent", "invalid output.schema"),
        row(chunk, "names no contract", "unnamed", "available output.contract.missing"),
        row(chunk, "crashes on an unlisted type", "crashes-on-unlisted", "invalid process.crash"),
        row(chunk, "takes an unlisted type", "takes-everything", "available process.refusal"),
        row(chunk, "fails when it is asked again", "tired", "available process.repeat"),
        row(chunk, "promises a result and goes silent", "async-silent", "invalid process.silent"),
        row(chunk, "reports that it failed", "async-fails", "invalid process.reported"),
        row(chunk, "completes without a result", "async-nothing", "invalid output.missing"),
        row(stream, "result and heartbeat after complete", "async-late", "available process.late"),
        row(chunk, "result with another task's context", "async-context", "invalid process.silent run.foreign_task"),
        row(chunk, "heartbeat with another task's id", "foreign-heartbeat", "invalid run.foreign_task"),
        row(chunk, "deleteEngine with its token", "deletes-engine", "invalid run.forbidden_calls"),
        row(chunk, "reads another task", "asks-for-others", "available run.refused_calls"),
    ]
}

/// The waits of the contract, shortened where an engine makes us wait in vain.
fn pace() -> Pace {
    Pace {
        ready_limit: Duration::from_secs(2),
        retries: vec![Duration::ZERO, Duration::ZERO],
        silence: Duration::from_secs(1),
        stall: Duration::from_millis(800),
        pieces: Duration::from_millis(500),
        repeat_limit: Duration::from_millis(100),
        ..Pace::default()
    }
}

/// What all runs share.
struct Gate {
    sandbox: Arc<Local>,
    layers: Arc<LayerCache>,
    program: Vec<u8>,
    folder: tempfile::TempDir,
}

impl Gate {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let helper = Helper { program: plimsoll(), args: vec!["sandbox-helper".to_owned()] };
        let layers = LayerCache::with_limit(folder.path().join("layers"), 1 << 30);
        layers.sweep().unwrap();
        Self {
            sandbox: Arc::new(Local::new(folder.path().join("runs"), helper)),
            layers: Arc::new(layers),
            program: fs::read(engine::kinds()).unwrap(),
            folder,
        }
    }

    async fn report(&self, number: usize, row: &Row) -> Report {
        let packed = Arc::new(row.pack(&self.program).build().unwrap());
        let fixed = gather_static(&*packed, &packed.top().clone(), &platform(), &mut |_| None);
        let terms = Terms { deployment_model: Some(DeploymentModel::FullyNetworkIsolated), ..Terms::default() };
        let setup = RunSetup {
            sandbox: self.sandbox.clone(),
            layers: self.layers.clone(),
            source: packed,
            run_id: format!("kinds-{}-{number}", std::process::id()),
            log: Arc::new(|_| ()),
            seed: *Digest::of(&number.to_le_bytes()).hex().as_bytes().first_chunk::<32>().unwrap(),
            started_at: "2026-01-02T03:04:05Z".parse().unwrap(),
            read_only_root: false,
            pace: pace(),
            wall: row.wall_ms.map_or(Duration::from_secs(60), Duration::from_millis),
            sample: None,
        };
        let run = gather_run(&fixed, &terms, setup).await;
        let evidence = fixed.with(terms, run);
        let results = checks::judge(&evidence, &Policy::default(), Stage::Complete);
        let meta = ReportMeta {
            engine_id: None,
            build: None,
            version: None,
            upload_time: 0,
            user: String::new(),
            image: row.how.to_owned(),
            ..ReportMeta::default()
        };
        checks::report(&meta, &evidence, results, &Policy::default())
    }
}

/// Verdict and codes; remarks only where one is expected.
fn actual(report: &Report, expected: &str) -> String {
    let verdict = match report.verdict {
        Verdict::Available => "available",
        Verdict::Invalid => "invalid",
        Verdict::NotTestable => "not testable",
        Verdict::Running => "running",
        Verdict::ApprovedCandidate | Verdict::Disapproved => "of another gate",
    };
    let findings = report.checks.iter().filter(|check| check.id != "security").flat_map(|check| &check.findings);
    let told = findings.filter(|finding| finding.severity > Severity::Info || expected.contains(&finding.code));
    let codes: BTreeSet<&str> = told.map(|finding| finding.code.as_str()).collect();
    [verdict].into_iter().chain(codes).collect::<Vec<_>>().join(" ")
}

/// The finding that counts, in its own words.
fn words(report: &Report, expected: &str) -> String {
    let findings = report.checks.iter().filter(|check| check.id != "security").flat_map(|check| &check.findings);
    findings.filter(|finding| expected.contains(&finding.code)).map(|finding| finding.title.clone()).collect::<Vec<_>>().join("; ")
}

#[test]
fn every_kind_of_engine_gets_the_verdict_it_deserves() {
    let gate = Gate::new();
    let rows: Vec<Row> = webhooks().into_iter().chain(tasks()).chain(bad()).collect();
    assert!(rows.len() >= 40);
    let (next, reports) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    // Most of the time goes by waiting, so a few runs go on at the same time.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
                while let Some((number, row)) =
                    Some(next.fetch_add(1, Ordering::SeqCst)).and_then(|number| Some((number, rows.get(number)?)))
                {
                    let report = runtime.block_on(gate.report(number, row));
                    reports.lock().unwrap().push((number, report));
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap();
    reports.sort_by_key(|(number, _)| *number);
    let mut table = String::from("| engine | variant | expected | actual | what the finding says |\n|---|---|---|---|---|\n");
    let mut problems = Vec::new();
    for (row, (_, report)) in rows.iter().zip(&reports) {
        let actual = actual(report, row.expected);
        writeln!(table, "| {} | {} | {} | {actual} | {} |", row.kind, row.variant, row.expected, words(report, row.expected)).unwrap();
        if actual != row.expected {
            let findings: Vec<_> = report.checks.iter().flat_map(|check| &check.findings).collect();
            problems.push(format!(
                "{}, {}: expected {}, got {actual}\n{findings:#?}\n{:#?}",
                row.kind, row.variant, row.expected, report.test_log
            ));
        }
    }
    println!("{table}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    fs::write(built().parent().unwrap().join("kinds.md"), table).unwrap();
    drop(gate.folder);
}
