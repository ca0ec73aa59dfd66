//! The build report: one JSON document per build. Field names and types of the first ten are fixed (build report §1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    digest::Digest,
    finding::{Finding, Severity},
    id::{BuildId, EngineId},
    network::NetworkEvent,
    run::{Exit, FilesWritten},
};

/// How one check ended. `Error` means that we could not run it: never shown as "you failed".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// Nothing blocks, nothing to say.
    Passed,
    /// Nothing blocks, something to say.
    Warned,
    /// At least one blocking finding.
    Failed,
    /// Its evidence could not be gathered.
    Error,
    /// It does not apply to this kind of engine or image.
    Skipped,
}

impl CheckStatus {
    /// The word on every wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}

/// One check in a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    /// Id of the check, as in `/docs/checks/{id}`.
    pub id: String,
    /// Title of the check.
    pub title: String,
    /// How it ended.
    pub status: CheckStatus,
    /// Why it was skipped or could not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its findings, worst first.
    pub findings: Vec<Finding>,
    /// What the engine tried to reach: at the check `network`, if it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<Attempt>>,
}

/// One attempt, or several that differ in time and size only (build report §4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The first one, milliseconds after the start of the engine.
    pub time: u64,
    /// How often.
    pub count: u64,
    /// Protocol.
    pub protocol: String,
    /// Name meant, if known.
    pub host: Option<String>,
    /// Destination address; one of 198.18.0.0/15 and fd00:5e7::/64 stands for the name.
    pub address: String,
    /// Destination port, where there is one.
    pub port: Option<u16>,
    /// Bytes both ways.
    pub bytes: u64,
    /// Bytes from the engine.
    pub sent: u64,
    /// Whether it was let through.
    pub allowed: bool,
    /// What decided.
    pub rule: String,
    /// What a DNS query asked for, where the name does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The name a TLS client asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Program and process number inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
}

impl From<&NetworkEvent> for Attempt {
    fn from(event: &NetworkEvent) -> Self {
        Self {
            time: event.at_ms,
            count: event.count,
            protocol: event.protocol.clone(),
            host: event.host.clone(),
            address: event.address.clone(),
            port: event.port,
            bytes: event.sent.saturating_add(event.received),
            sent: event.sent,
            allowed: event.allowed,
            rule: event.rule.words(),
            question: event.question.clone(),
            server_name: event.server_name.clone(),
            process: event.process.as_ref().map(|process| format!("{} (pid {})", process.name, process.pid)),
        }
    }
}

/// The outcome of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Static checks are judged, the run is still going on.
    Running,
    /// Gate A passed.
    Available,
    /// Gate A failed.
    Invalid,
    /// The gate itself could not finish; the build is not to blame.
    NotTestable,
    /// Gate B passed: it may be approved.
    ApprovedCandidate,
    /// Gate B failed.
    Disapproved,
}

/// A request of the test run, as the report shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestSummary {
    /// Id of the sample.
    pub sample: String,
    /// 1 for the first try.
    pub attempt: u32,
    /// HTTP status.
    pub status: Option<u16>,
    /// Milliseconds.
    pub duration_ms: u64,
    /// Bytes.
    pub result_bytes: u64,
}

/// Measured figures of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stats {
    /// Wall time of the process, milliseconds.
    pub wall_ms: u64,
    /// How the first process ended.
    pub exit: Option<Exit>,
    /// CPU time, milliseconds.
    pub cpu_ms: u64,
    /// The part of it spent in the programs themselves, milliseconds.
    pub cpu_user_ms: u64,
    /// The part of it spent in the kernel, milliseconds.
    pub cpu_system_ms: u64,
    /// Peak memory, bytes.
    pub peak_memory_bytes: u64,
    /// Highest number of processes and threads, where the host counts it.
    pub peak_pids: Option<u64>,
    /// Bytes read by system calls, where the host counts them.
    pub read_bytes: Option<u64>,
    /// Bytes written by system calls, where the host counts them.
    pub written_bytes: Option<u64>,
    /// Files left behind in the root file system.
    pub files_written: FilesWritten,
    /// Process start to the first 200 of `/ready`, milliseconds.
    pub ready_ms: Option<u64>,
    /// Sum of result bytes.
    pub result_bytes: u64,
    /// Calls of `/process`.
    pub requests: Vec<RequestSummary>,
    /// What this host or its runtime could not record, each a sentence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_recorded: Vec<String>,
}

/// What was measured of a webhook engine by sending it the first sample again and again, and what it compares with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Benchmark {
    /// Id of the sample.
    pub sample: String,
    /// Time of each call, from request to result, shortest first, microseconds.
    pub micros: Vec<u64>,
    /// Half of the calls took no longer, milliseconds.
    pub p50_ms: f64,
    /// 19 of 20 calls took no longer, milliseconds.
    pub p95_ms: f64,
    /// The longest call, milliseconds.
    pub max_ms: f64,
    /// Calls per second, one after the other.
    pub calls_per_second: f64,
    /// Process start to the first 200 of the ready hook, milliseconds.
    pub ready_ms: Option<u64>,
    /// CPU time of the whole run, seconds.
    pub cpu_seconds: f64,
    /// Peak memory, bytes.
    pub peak_memory_bytes: u64,
    /// Size of one result, bytes.
    pub result_bytes: u64,
    /// How right the result is, if there is a truth to hold it against.
    pub accuracy: Vec<Accuracy>,
    /// The same figures of other builds.
    pub compared: Vec<Comparison>,
}

/// One measure of how right a result is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accuracy {
    /// Such as `wordErrorRate`, `precision`, `recall`, `exactMatch`.
    pub metric: String,
    /// From 0 to 1; a word error rate may be above.
    pub value: f64,
}

/// The figures of another build beside those of this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// `previous` or `deployed`.
    pub with: String,
    /// Its number.
    pub version: i64,
    /// Line by line.
    pub metrics: Vec<Compared>,
}

/// One figure of two builds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// Such as `p50Ms`.
    pub metric: String,
    /// Of the other build.
    pub before: f64,
    /// Of this one.
    pub now: f64,
    /// What it means.
    pub change: Change,
}

/// How a figure has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Better than noise explains.
    Better,
    /// Within the noise.
    Same,
    /// Worse than noise explains.
    Worse,
}

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Engine the build belongs to; `null` on a laptop when the manifest names none.
    pub engine_id: Option<EngineId>,
    /// Build; `null` on a laptop.
    pub build: Option<BuildId>,
    /// Time of the push, epoch milliseconds.
    pub upload_time: i64,
    /// E-mail of the account that pushed.
    pub user: String,
    /// Full reference `host/org/name:tag`.
    pub image: String,
    /// One object with the key names of `docker inspect`.
    pub inspect: Vec<Value>,
    /// Known vulnerabilities, Clair's key names.
    pub vulnerabilities: Vec<Value>,
    /// Only severities that occur.
    pub vulnerability_counts: BTreeMap<String, u64>,
    /// What was scanned and with which database; absent when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<Value>,
    /// Standard output of the test run.
    pub test_log: Vec<String>,
    /// Equals `errors.is_empty()`.
    pub success: bool,
    /// Sentences of the blocking findings.
    pub errors: Vec<String>,
    /// 1.
    pub schema_version: u32,
    /// `compliance` at push.
    pub gate: String,
    /// Outcome.
    pub verdict: Verdict,
    /// Build number within the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Digest of the manifest that was pushed.
    pub image_digest: Option<Digest>,
    /// Such as `linux/amd64`.
    pub platform: Option<String>,
    /// Sum of the layers as transferred, bytes.
    pub image_size_bytes: u64,
    /// The manifest as read from the image.
    pub manifest: Option<Value>,
    /// Deployment model under which it was tested.
    pub deployment_model: Option<String>,
    /// The policy, its identity, and the capability by which samples and contract were chosen.
    pub policy: Value,
    /// All checks, in their fixed order.
    pub checks: Vec<CheckResult>,
    /// Sentences of findings that do not block.
    pub warnings: Vec<String>,
    /// Figures of the run, if there was one.
    pub stats: Option<Stats>,
    /// Figures of repeated calls, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub benchmark: Option<Benchmark>,
    /// The ten minutes ran out.
    pub timed_out: bool,
    /// [`crate::finding::canonical_hash`] over all findings.
    pub findings_hash: Digest,
    /// What the results depend on; equal bases give equal results. Absent on a laptop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// What was not run again because nothing it depends on had changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused: Option<Reused>,
}

/// What the results of a gate depend on, each as an identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Basis {
    /// The image.
    pub image: Digest,
    /// The advisories; `None` without any.
    pub advisories: Option<String>,
    /// Rules and policy.
    pub policy: Digest,
    /// The sample inputs.
    pub samples: Digest,
    /// Deployment model and test payload of the engine.
    pub settings: Digest,
}

impl Basis {
    /// Whether a test run under this basis would be the same under the other one. Advisories do not matter for it.
    pub fn same_run(&self, other: &Self) -> bool {
        (&self.image, &self.policy, &self.samples, &self.settings) == (&other.image, &other.policy, &other.samples, &other.settings)
    }
}

/// Results taken over from an earlier gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reused {
    /// Ids of the checks.
    pub checks: Vec<String>,
    /// Why, in a sentence.
    pub because: String,
}

impl Report {
    /// How many findings have this severity. One finding may have several sentences in `errors` or `warnings`.
    pub fn count(&self, severity: Severity) -> usize {
        self.checks.iter().flat_map(|check| &check.findings).filter(|finding| finding.severity == severity).count()
    }
}
