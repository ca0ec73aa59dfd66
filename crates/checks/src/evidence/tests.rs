//! Evidence for tests: a good engine of each kind, changed by one thing at a time.

use std::collections::BTreeMap;

use image::{Descriptor, LayerProblem};
use model::network::{NetworkEvent, NetworkRecord};
use model::run::{
    DeniedCall, EngineKind, EngineOutput, Exchange, Exit, FilesWritten, LimitHit, LogLine, NotStarted, NotTestable, Phase, Ready,
    RunRecord, Stream, TaskState, Transferred, WrittenFile,
};
use serde_json::json;

use super::*;

/// The engine of all tests.
pub(crate) const ENGINE: &str = "6a2f4f0e-6d0e-4a57-9c11-2f6c0b0f8f10";

/// A keyword document with nothing to say about it.
pub(crate) const KEYWORDS: &str =
    r#"{"validationContracts": ["keyword"], "object": [{"type": "keyword", "label": "harbour", "confidence": 0.9}]}"#;

/// What a good manifest says; `null` in a patch removes a key.
fn good_manifest(mode: &str) -> Value {
    json!({
        "engineId": ENGINE, "category": "keyword", "engineMode": mode, "preferredInputFormat": "text/plain",
        "supportedInputFormats": ["text/plain"], "outputFormats": ["application/json"], "clusterSize": "small",
    })
}

/// Evidence being made.
#[derive(Clone)]
pub(crate) struct Builder {
    evidence: Evidence,
    manifest: Value,
    run: EngineRun,
    /// The run is not the one of `run`.
    other_run: Option<RunEvidence>,
}

/// A webhook engine that does everything right.
pub(crate) fn webhook() -> Builder {
    let answer = |sample: &str| EngineOutput {
        sample: sample.into(),
        via: "response".into(),
        content_type: "application/json".into(),
        body: KEYWORDS.into(),
        truncated: false,
    };
    let run = EngineRun {
        kind: EngineKind::Webhook,
        args: vec!["/engine".into()],
        ready: Some(Ready::Ready { after_ms: 120, polls: 3 }),
        exchanges: vec![
            exchange("keyword-1", "text/plain", 200),
            exchange("keyword-2", "text/plain", 200),
            Exchange { expect_refusal: true, ..exchange("unsupported", "image/png", 400) },
        ],
        outputs: vec![answer("keyword-1"), answer("keyword-2")],
        task: TaskState::default(),
        ran_out_in: None,
        wall_ms: 600_000,
        listening: None,
        repeats: Vec::new(),
        record: record(Exit::Stopped),
    };
    Builder::new(good_manifest("chunk"), run)
}

/// A batch engine that does everything right.
pub(crate) fn batch() -> Builder {
    let output = EngineOutput {
        sample: "keyword-1".into(),
        via: "uploadEngineResult".into(),
        content_type: "application/json".into(),
        body: KEYWORDS.into(),
        truncated: false,
    };
    let run = EngineRun {
        kind: EngineKind::Batch,
        args: vec!["/engine".into()],
        ready: None,
        exchanges: Vec::new(),
        outputs: vec![output],
        task: TaskState { statuses: vec!["running".into(), "complete".into()], api_calls: 4, ..TaskState::default() },
        ran_out_in: None,
        wall_ms: 600_000,
        listening: None,
        repeats: Vec::new(),
        record: record(Exit::Exited { code: 0 }),
    };
    Builder::new(good_manifest("batch"), run)
}

fn exchange(sample: &str, mime_type: &str, status: u16) -> Exchange {
    Exchange {
        sample: sample.into(),
        mime_type: mime_type.into(),
        attempt: 1,
        status: Some(status),
        duration_ms: 12,
        content_type: Some("application/json".into()),
        body_bytes: 100,
        ..Exchange::default()
    }
}

fn record(exit: Exit) -> RunRecord {
    let line = |text: &str| LogLine { at_ms: 1, stream: Stream::Stdout, text: text.to_owned() };
    RunRecord {
        exit,
        wall_ms: 1_500,
        cpu_ms: 300,
        cpu_user_ms: 250,
        cpu_system_ms: 50,
        peak_memory_bytes: 40 << 20,
        peak_pids: Some(3),
        transferred: Some(Transferred { read_bytes: 5 << 20, written_bytes: 300 << 10 }),
        files_written: FilesWritten {
            count: 1,
            bytes: 2048,
            first: vec![WrittenFile { path: "/tmp/words.cache".to_owned(), bytes: 2048 }],
            more_below: false,
        },
        log: vec![line("listening on 8080")],
        log_truncated: false,
        limits_hit: Vec::new(),
        denied: Some(Vec::new()),
        deaf_to_sigterm: false,
        not_recorded: Vec::new(),
        network: Some(NetworkRecord::default()),
    }
}

fn facts() -> ImageFacts {
    let descriptor =
        |digest: Digest| Descriptor { media_type: String::new(), digest, size: 1000, platform: None, annotations: BTreeMap::new() };
    let (lower, upper) = (Digest::of(b"lower"), Digest::of(b"upper"));
    let layer =
        |digest: &Digest| LayerFacts { digest: digest.clone(), diff_id: Some(digest.clone()), problems: Vec::new(), devices: Vec::new() };
    ImageFacts {
        image: ImageRef {
            manifest_digest: Digest::of(b"manifest"),
            top_digest: Digest::of(b"manifest"),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            config: descriptor(Digest::of(b"config")),
            layers: vec![descriptor(lower.clone()), descriptor(upper.clone())],
            platform: Platform::new("linux", "amd64"),
        },
        config: ImageConfig {
            architecture: "amd64".into(),
            os: "linux".into(),
            entrypoint: Some(vec!["/engine".into()]),
            env: vec!["PATH=/bin".into(), "API_TOKEN=secret".into()],
            diff_ids: vec![lower.clone(), upper.clone()],
            ..ImageConfig::default()
        },
        layers: vec![layer(&lower), layer(&upper)],
        uncompressed_size: 3000,
    }
}

impl Builder {
    fn new(manifest: Value, run: EngineRun) -> Self {
        let evidence = Evidence {
            top: Digest::of(b"manifest"),
            image: ImageEvidence::Read(Box::new(facts())),
            manifest: ManifestEvidence::found("var/manifest.json", manifest.to_string().into_bytes()),
            security: SecurityEvidence::NoDatabase,
            terms: Terms::default(),
            run: RunEvidence::Pending,
        };
        Self { evidence, manifest, run, other_run: None }
    }

    /// The evidence, with its run done.
    pub(crate) fn evidence(self) -> Evidence {
        let run = self.other_run.unwrap_or_else(|| RunEvidence::Done(Box::new(Outcome::Ran(self.run))));
        Evidence { run, ..self.evidence }
    }

    /// With what a look into a database gave.
    pub(crate) fn waivers(mut self, waivers: Vec<Waiver>) -> Self {
        self.evidence.terms.waivers = waivers;
        self
    }

    pub(crate) fn security(mut self, security: SecurityEvidence) -> Self {
        self.evidence.security = security;
        self
    }

    /// The evidence before the run.
    pub(crate) fn pending(self) -> Evidence {
        Evidence { run: RunEvidence::Pending, ..self.evidence }
    }

    /// The run alone.
    pub(crate) fn run(self) -> EngineRun {
        self.run
    }

    fn facts(mut self, change: impl FnOnce(&mut ImageFacts)) -> Self {
        if let ImageEvidence::Read(facts) = &mut self.evidence.image {
            change(facts);
        }
        self
    }

    pub(crate) fn entrypoint(self, words: &[&str]) -> Self {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        self.facts(|facts| facts.config.entrypoint = Some(words).filter(|words| !words.is_empty()))
    }

    pub(crate) fn cmd(self, words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        self.facts(|facts| facts.config.cmd = Some(words))
    }

    pub(crate) fn env(self, name: &str, value: &str) -> Self {
        self.facts(|facts| facts.config.env.push(format!("{name}={value}")))
    }

    pub(crate) fn layer_problem(self, problem: LayerProblem) -> Self {
        self.facts(|facts| facts.layers[0].problems.push(problem))
    }

    pub(crate) fn device(self, path: &str) -> Self {
        self.facts(|facts| facts.layers[0].devices.push(path.to_owned()))
    }

    pub(crate) fn diff_id(self, layer: usize, digest: Digest) -> Self {
        self.facts(|facts| facts.layers[layer].diff_id = Some(digest))
    }

    pub(crate) fn without_layer(self) -> Self {
        self.facts(|facts| drop(facts.layers.pop()))
    }

    pub(crate) fn at_fault(mut self, problem: ImageProblem) -> Self {
        self.evidence.image = ImageEvidence::AtFault(problem);
        self.evidence.manifest = ManifestEvidence::NoImage;
        self.other_run = Some(RunEvidence::Prevented("the image cannot be tested; see check image".into()));
        self
    }

    pub(crate) fn not_an_image(self) -> Self {
        self.at_fault(ImageProblem::NotAnImage { media_type: "application/vnd.cncf.helm.config.v1+json".into() })
    }

    pub(crate) fn unread(mut self) -> Self {
        self.evidence.image = ImageEvidence::Unread("input/output error".into());
        self.evidence.manifest = ManifestEvidence::Unread("input/output error".into());
        self.refused()
    }

    pub(crate) fn manifest_evidence(mut self, manifest: ManifestEvidence) -> Self {
        self.evidence.manifest = manifest;
        self
    }

    pub(crate) fn manifest_text(self, text: &str) -> Self {
        self.manifest_evidence(ManifestEvidence::found("var/manifest.json", text.as_bytes().to_vec()))
    }

    /// Changes keys of the manifest; `null` removes one.
    pub(crate) fn manifest(mut self, patch: Value) -> Self {
        let members = self.manifest.as_object_mut().unwrap();
        for (key, value) in patch.as_object().unwrap() {
            match value {
                Value::Null => drop(members.shift_remove(key)),
                value => drop(members.insert(key.clone(), value.clone())),
            }
        }
        let text = self.manifest.to_string();
        self.manifest_text(&text)
    }

    pub(crate) fn capability(mut self, capability: Capability) -> Self {
        self.evidence.terms.capability = Some(capability);
        self
    }

    pub(crate) fn unfetched(mut self, url: &str, reason: &str) -> Self {
        self.evidence.terms.unfetched = Some(Unfetched { url: url.to_owned(), reason: reason.to_owned() });
        self
    }

    pub(crate) fn deployment_model(mut self, model: DeploymentModel) -> Self {
        self.evidence.terms.deployment_model = Some(model);
        self
    }

    pub(crate) fn ready(mut self, ready: Ready) -> Self {
        self.run.ready = Some(ready);
        self
    }

    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.run.record.exit = exit;
        self
    }

    pub(crate) fn wall(mut self, wall_ms: u64) -> Self {
        self.run.wall_ms = wall_ms;
        self
    }

    pub(crate) fn ran_out(mut self, phase: Phase) -> Self {
        self.run.ran_out_in = Some(phase);
        self
    }

    pub(crate) fn stderr(mut self, text: &str) -> Self {
        let lines = text.lines().map(|text| LogLine { at_ms: 2, stream: Stream::Stderr, text: text.to_owned() });
        self.run.record.log.extend(lines);
        self
    }

    pub(crate) fn log(mut self, log: Vec<LogLine>) -> Self {
        self.run.record.log = log;
        self
    }

    pub(crate) fn exchange(mut self, sample: &str, change: impl Fn(&mut Exchange)) -> Self {
        self.run.exchanges.iter_mut().filter(|exchange| exchange.sample == sample).for_each(change);
        self
    }

    pub(crate) fn exchange_all(mut self, change: impl Fn(&mut Exchange)) -> Self {
        self.run.exchanges.iter_mut().for_each(change);
        self
    }

    /// The first attempt was answered with `status`.
    pub(crate) fn retried(mut self, sample: &str, status: u16) -> Self {
        let at = self.run.exchanges.iter().position(|exchange| exchange.sample == sample).unwrap();
        self.run.exchanges[at].attempt = 2;
        self.run.exchanges.insert(at, exchange(sample, "text/plain", status));
        self
    }

    pub(crate) fn answer(mut self, sample: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        for output in self.run.outputs.iter_mut().filter(|output| output.sample == sample) {
            output.content_type = content_type.to_owned();
            output.body.clone_from(&body);
        }
        self
    }

    pub(crate) fn truncated(mut self, sample: &str) -> Self {
        self.run.outputs.iter_mut().filter(|output| output.sample == sample).for_each(|output| output.truncated = true);
        self
    }

    pub(crate) fn outputs(mut self, outputs: Vec<EngineOutput>) -> Self {
        self.run.outputs = outputs;
        self
    }

    pub(crate) fn task(mut self, change: impl FnOnce(&mut TaskState)) -> Self {
        change(&mut self.run.task);
        self
    }

    /// Anything of the run.
    pub(crate) fn changed(mut self, change: impl FnOnce(&mut EngineRun)) -> Self {
        change(&mut self.run);
        self
    }

    pub(crate) fn limit_hit(mut self, hit: LimitHit) -> Self {
        self.run.record.limits_hit.push(hit);
        self
    }

    pub(crate) fn denied(mut self, calls: &[&str]) -> Self {
        let denied = |call: &&str| DeniedCall { call: (*call).to_owned(), process: "engine".into(), at_ms: 7, count: 2 };
        self.run.record.denied = Some(calls.iter().map(denied).collect());
        self
    }

    pub(crate) fn unwatched(mut self) -> Self {
        self.run.record.denied = None;
        self
    }

    pub(crate) fn deaf(mut self) -> Self {
        self.run.record.deaf_to_sigterm = true;
        self
    }

    /// The engine tried these.
    pub(crate) fn tried(mut self, events: Vec<NetworkEvent>) -> Self {
        self.run.record.network.get_or_insert_default().events.extend(events);
        self
    }

    /// More attempts than were written down.
    pub(crate) fn attempts_dropped(mut self, dropped: u64) -> Self {
        self.run.record.network.get_or_insert_default().dropped = dropped;
        self
    }

    pub(crate) fn network_unrecorded(mut self) -> Self {
        self.run.record.network = None;
        self
    }

    pub(crate) fn log_truncated(mut self) -> Self {
        self.run.record.log_truncated = true;
        self
    }

    pub(crate) fn not_started(mut self, why: NotStarted) -> Self {
        self.other_run = Some(RunEvidence::Done(Box::new(Outcome::NotStarted(why))));
        self
    }

    pub(crate) fn not_testable(mut self, why: NotTestable) -> Self {
        self.other_run = Some(RunEvidence::Done(Box::new(Outcome::NotTestable(why))));
        self
    }

    pub(crate) fn late(mut self, doing: &str) -> Self {
        self.other_run = Some(RunEvidence::Late(doing.to_owned()));
        self
    }

    pub(crate) fn prevented(mut self, reason: &str) -> Self {
        self.other_run = Some(RunEvidence::Prevented(reason.to_owned()));
        self
    }

    pub(crate) fn refused(mut self) -> Self {
        self.other_run = Some(RunEvidence::Refused(Refusal {
            reason: "this host cannot run untrusted images safely".into(),
            details: vec!["cgroup.memory: no memory controller; mount it".into()],
            mend: "Run `plimsoll doctor`, mend what it names, then check again.".into(),
        }));
        self
    }

    pub(crate) fn still_to_come(mut self) -> Self {
        self.other_run = Some(RunEvidence::Pending);
        self
    }
}

#[test]
fn the_registered_capability_counts_before_the_manifest() {
    assert_eq!(webhook().evidence().capability(), Some(Capability::Keyword));
    assert_eq!(webhook().capability(Capability::Entity).evidence().capability(), Some(Capability::Entity));
    assert_eq!(webhook().manifest(json!({"category": null})).evidence().capability(), None);
}

#[test]
fn an_unclaimed_push_has_the_reason_that_counts() {
    let claim = |builder: Builder| {
        let Evidence { top, image, manifest, .. } = builder.evidence();
        StaticEvidence { top, image, manifest, security: SecurityEvidence::NoDatabase, inventory: None, inspection: None }
            .claimed_engine()
            .map_err(|finding| finding.code)
    };
    assert_eq!(claim(webhook()).unwrap().to_string(), ENGINE);
    let broken = || webhook().layer_problem(LayerProblem::NotATar);
    for (builder, code) in [
        (webhook().not_an_image(), "image.not_an_image"),
        (broken().manifest_evidence(ManifestEvidence::NoImage), "layers.unreadable"),
        (webhook().manifest_evidence(ManifestEvidence::Missing), "manifest.missing"),
        (webhook().manifest_evidence(ManifestEvidence::Unusable("is a directory".into())), "manifest.unusable"),
        (webhook().manifest_text("{"), "manifest.json"),
        (webhook().manifest(json!({"engineId": "YOUR-ENGINE-ID", "clusterSize": null})), "manifest.engineId.placeholder"),
        (webhook().manifest(json!({"engineId": null})), "manifest.engineId.missing"),
        (webhook().unread(), "image.unread"),
        (webhook().manifest_evidence(ManifestEvidence::Unread("disk".into())), "manifest.unread"),
    ] {
        assert_eq!(claim(builder).unwrap_err(), code);
    }
    // A broken layer does not keep an engine from being known whose manifest was found all the same.
    assert_eq!(claim(broken()).unwrap().to_string(), ENGINE);
}
