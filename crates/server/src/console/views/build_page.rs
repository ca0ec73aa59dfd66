//! The page of one build.

use askama::Template;
use model::{
    build::{BuildStatus, Event},
    report::{Report, Verdict},
    run::LogLine,
};
use store::{
    build_life::Note,
    builds::{Build, HistoryLine},
    engines::Engine,
};

use super::{
    badge::{self, Badge},
    build_facts::{self, Fact, Figures, HistoryRow},
    engine_page::Place,
    finding::{self, CheckFindings, CheckRow},
    log::LogView,
    network::{self, NetworkView},
    review::{self, ActionLink, Review},
    shell::Shell,
    verdict::{self, Step},
    words::When,
};

/// Everything the page is made from.
pub struct BuildInput<'a> {
    /// The engine it belongs to.
    pub engine: &'a Engine,
    /// The build.
    pub build: &'a Build,
    /// Whether there is a report to download.
    pub has_report: bool,
    /// The newest report, if this version can read it.
    pub report: Option<Report>,
    /// Its history, oldest first.
    pub history: &'a [HistoryLine],
    /// Whether its packages are listed.
    pub has_sbom: bool,
    /// Its log.
    pub log: &'a [LogLine],
    /// Where images are.
    pub place: Place<'a>,
    /// Where to listen for news, for as long as there is some to come.
    pub events: String,
    /// What was written in the review.
    pub notes: &'a [Note],
    /// What whoever looks may do with it.
    pub actions: &'a [Event],
    /// Whether they may decide, and whether they may answer as a developer.
    pub parts: (bool, bool),
    /// Now, epoch milliseconds.
    pub now: i64,
}

/// The page of one build.
#[derive(Template)]
#[template(path = "build.html")]
pub struct BuildPage {
    shell: Shell,
    engine_id: String,
    engine_name: String,
    id: String,
    version: i64,
    tag: String,
    badge: Badge,
    sentence: String,
    pushed: When,
    pushed_by: String,
    steps: Vec<Step>,
    events: Option<String>,
    not_checked: Vec<String>,
    checks: Vec<CheckRow>,
    groups: Vec<CheckFindings>,
    fetch: String,
    reproduce: String,
    figures: Option<Figures>,
    network: Option<NetworkView>,
    log: LogView,
    facts: Vec<Fact>,
    history: Vec<HistoryRow>,
    manifest: String,
    has_report: bool,
    has_sbom: bool,
    vulnerabilities: Option<String>,
    worsened: Option<String>,
    unreadable: bool,
    actions: Vec<ActionLink>,
    review: Review,
}

/// Whether the page of a build in this status changes by itself.
pub fn is_moving(status: BuildStatus) -> bool {
    matches!(status, BuildStatus::Uploaded | BuildStatus::Fetching | BuildStatus::Pending | BuildStatus::Deploying)
}

impl BuildPage {
    /// Puts the page together.
    pub fn new(shell: Shell, input: BuildInput<'_>) -> Self {
        let BuildInput { engine, build, history, now, .. } = input;
        // While gate A is at work, a final report can only be that of an earlier attempt.
        let stale = |report: &Report| build.status == BuildStatus::Fetching && report.verdict != Verdict::Running;
        let unreadable = input.has_report && input.report.is_none();
        let report = input.report.filter(|report| !stale(report));
        let report = report.as_ref();
        let repository = format!("{}/{}", input.place.host, build.repository);
        let by_digest = format!("{repository}@{}", build.digest);
        // A push by digest has no tag.
        let reference = if build.tag.is_empty() { by_digest.clone() } else { format!("{repository}:{}", build.tag) };
        Self {
            shell,
            engine_id: engine.id.to_string(),
            engine_name: engine.name.clone(),
            id: build.id.to_string(),
            version: build.version,
            tag: build.tag.clone(),
            badge: badge::of_build(build.status),
            sentence: match (build.status, build.life.phase) {
                (BuildStatus::Pending, Some(phase)) => verdict::pending(phase).to_owned(),
                _ => verdict::sentence(build.status, report, history),
            },
            pushed: When::new(build.pushed_at, now),
            pushed_by: build.pushed_by.clone(),
            steps: verdict::steps(build.status, report),
            events: is_moving(build.status).then_some(input.events),
            not_checked: report.map(verdict::not_checked).unwrap_or_default(),
            checks: report.map(finding::table).unwrap_or_default(),
            groups: report.map(finding::groups).unwrap_or_default(),
            fetch: fetch(&by_digest, input.place.plain_http),
            reproduce: reproduce(engine, report),
            figures: report.and_then(build_facts::figures),
            network: report.and_then(network::view),
            log: LogView::new(input.log),
            facts: build_facts::facts(build, report, &reference),
            history: build_facts::history(history, now),
            manifest: serde_json::to_string_pretty(&build.manifest).unwrap_or_default(),
            has_report: input.has_report,
            has_sbom: input.has_sbom,
            vulnerabilities: report.and_then(verdict::vulnerabilities),
            worsened: verdict::worsened(history),
            unreadable,
            actions: review::actions(input.actions, build.status),
            review: Review::new(build, input.notes, input.parts, report, now),
        }
    }
}

/// The command that fetches the image into a file. By digest: a tag may name another image by then.
fn fetch(reference: &str, plain_http: bool) -> String {
    let insecure = if plain_http { "--src-tls-verify=false " } else { "" };
    format!("skopeo copy {insecure}docker://{reference} oci-archive:engine.tar")
}

/// The command that shows the same findings on a laptop: under the same deployment model and category.
fn reproduce(engine: &Engine, report: Option<&Report>) -> String {
    let model = report.and_then(|report| report.deployment_model.as_deref()).unwrap_or(engine.deployment_model.as_str());
    let scanned = if report.is_some_and(|report| report.scan.is_some()) { " --advisories advisories.db" } else { "" };
    format!("plimsoll check oci-archive:engine.tar --deployment-model {model} --category {}{scanned}", engine.category)
}

#[cfg(test)]
pub(crate) mod tests {
    use model::{
        capability::Capability,
        digest::Digest,
        engine::DeploymentModel,
        id::{BuildId, EngineId, OrganizationId},
        report::{CheckResult, CheckStatus, RequestSummary, Stats},
        run::{FilesWritten, Stream, WrittenFile},
    };
    use uuid::Uuid;

    use super::*;
    use crate::console::views::{Account, Section, finding};

    /// An engine.
    pub fn engine() -> Engine {
        Engine {
            id: EngineId(Uuid::from_u128(1)),
            organization: OrganizationId(1),
            name: "Word list".into(),
            description: "Finds the words that matter.".into(),
            category: Capability::Keyword,
            deployment_model: DeploymentModel::FullyNetworkIsolated,
            extra: serde_json::json!({}),
            disabled: false,
            deleted: false,
            last_version: 3,
            created_by: "dev@example.org".into(),
            created_at: 0,
            modified_at: 0,
        }
    }

    /// A build of it.
    pub fn build(status: BuildStatus) -> Build {
        Build {
            id: BuildId(Uuid::from_u128(3)),
            engine: engine().id,
            version: 3,
            status,
            repository: "1/word-list".into(),
            tag: "rc3".into(),
            digest: Digest::of(b"image"),
            manifest: serde_json::json!({"engineId": Uuid::from_u128(1), "category": "keyword"}),
            pushed_by: "dev@example.org".into(),
            pushed_at: 1_716_200_000_000,
            created_at: 1_716_200_000_000,
            modified_at: 1_716_200_000_000,
            life: store::build_life::Life::default(),
        }
    }

    /// A report with one check of each kind.
    pub fn report(verdict: Verdict) -> Report {
        let check = |id: &str, title: &str, status, reason: Option<&str>, findings| CheckResult {
            id: id.into(),
            title: title.into(),
            status,
            reason: reason.map(Into::into),
            findings,
            attempts: None,
        };
        let mut warning = finding::tests::full();
        warning.severity = model::finding::Severity::Warning;
        warning.code = "manifest.unknown".into();
        warning.title = "Manifest has the unknown field intialConcurrency".into();
        Report {
            engine_id: Some(engine().id),
            build: Some(BuildId(Uuid::from_u128(3))),
            upload_time: 1_716_200_000_000,
            user: "dev@example.org".into(),
            image: "gate.example.org/1/word-list:rc3".into(),
            inspect: vec![],
            vulnerabilities: vec![],
            vulnerability_counts: std::collections::BTreeMap::new(),
            scan: None,
            test_log: vec![],
            success: false,
            errors: vec!["Output check: .object[3] should have required property 'label'".into()],
            schema_version: 1,
            gate: "compliance".into(),
            verdict,
            version: Some(3),
            image_digest: Some(Digest::of(b"image")),
            platform: Some("linux/amd64".into()),
            image_size_bytes: 50_647_000,
            manifest: None,
            deployment_model: Some("FullyNetworkIsolated".into()),
            policy: serde_json::json!({}),
            checks: vec![
                check("entrypoint", "The image says what to start", CheckStatus::Passed, None, vec![]),
                check("manifest", "The manifest is complete", CheckStatus::Warned, None, vec![warning]),
                check("output", "Results keep their contract", CheckStatus::Failed, None, vec![finding::tests::full()]),
                check("security", "No known vulnerability blocks", CheckStatus::Error, Some("no advisory database is loaded"), vec![]),
                check("exit", "A batch engine ends well", CheckStatus::Skipped, Some("this is a webhook engine"), vec![]),
            ],
            warnings: vec!["unknown field".into()],
            benchmark: None,
            stats: Some(Stats {
                wall_ms: 8_350,
                cpu_ms: 1_900,
                peak_memory_bytes: 190 << 20,
                peak_pids: Some(9),
                read_bytes: Some(3 << 20),
                written_bytes: Some(20_000),
                files_written: FilesWritten {
                    count: 1,
                    bytes: 700,
                    first: vec![WrittenFile { path: "/tmp/<cache>".into(), bytes: 700 }],
                    more_below: false,
                },
                ready_ms: Some(1_240),
                result_bytes: 4_812,
                requests: vec![
                    RequestSummary { sample: "keyword-1".into(), attempt: 1, status: Some(200), duration_ms: 41, result_bytes: 4_812 },
                    RequestSummary { sample: "keyword-2".into(), attempt: 1, status: None, duration_ms: 30_000, result_bytes: 0 },
                ],
                ..Stats::default()
            }),
            timed_out: false,
            findings_hash: Digest::of(b""),
            basis: None,
            reused: None,
        }
    }

    fn shell() -> Shell {
        Shell::new("Word list, build 3", Section::Engines, Account::Known("dev@example.org".into()))
    }

    fn page(status: BuildStatus, report: Option<Report>) -> BuildPage {
        let history = [HistoryLine {
            at: 1_716_200_000_000,
            actor: "dev@example.org".into(),
            event: "start".into(),
            from_status: Some("uploaded".into()),
            to_status: "fetching".into(),
            reason: String::new(),
        }];
        let log = [LogLine { at_ms: 12, stream: Stream::Stdout, text: "listening on <8080>".into() }];
        let input = BuildInput {
            engine: &engine(),
            build: &build(status),
            has_report: report.is_some(),
            report,
            history: &history,
            has_sbom: true,
            log: &log,
            place: Place { url: "http://127.0.0.1:8080", host: "127.0.0.1:8080", plain_http: true },
            events: "/builds/3/events?from=17&seen=abc".into(),
            notes: &[],
            actions: &[],
            parts: (false, false),
            now: 1_716_200_060_000,
        };
        BuildPage::new(shell(), input)
    }

    #[test]
    fn a_hostile_finding_is_text() {
        let mut report = report(Verdict::Invalid);
        let finding = &mut report.checks[2].findings[0];
        let hostile = "<script>alert(1)</script>";
        finding.title = hostile.into();
        finding.place = Some(format!("\"'{hostile}"));
        finding.evidence = vec![hostile.into()];
        (finding.why, finding.fix, finding.code) = (hostile.into(), hostile.into(), format!("output.{hostile}"));
        report.checks[2].title = hostile.into();
        report.checks[2].id = "x\" onclick=\"alert(1)".into();
        report.checks[3].reason = Some(hostile.into());
        let html = page(BuildStatus::Invalid, Some(report)).render().unwrap();
        assert!(!html.contains("<script>alert") && !html.contains("\" onclick=\""), "{html}");
        assert!(html.matches("&#60;script&#62;alert(1)&#60;/script&#62;").count() >= 7);
        assert!(html.contains("listening on &#60;8080&#62;"));
    }

    #[test]
    fn a_refused_build_says_what_to_do() {
        let html = page(BuildStatus::Invalid, Some(report(Verdict::Invalid))).render().unwrap();
        for part in [
            "Not accepted: Result of keyword-1 has no label",
            "Not checked: No known vulnerability blocks (no advisory database is loaded)",
            "Result of keyword-1 has no label in 214 of 214 entries",
            "Write the keyword into object[].label.",
            "plimsoll check oci-archive:engine.tar --deployment-model FullyNetworkIsolated --category keyword",
            "skopeo copy --src-tls-verify=false docker://127.0.0.1:8080/1/word-list@sha256:6105d6cc76af",
            "<code>127.0.0.1:8080/1/word-list:rc3</code>",
            "href=\"/docs/checks/output\"",
            "href=\"/v3/builds/00000000-0000-0000-0000-000000000003/report\"",
            "190.0 MiB",
            "no answer",
            "no advisory database is loaded",
            "1 minute ago",
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
        assert!(!html.contains("data-events"));
    }

    #[test]
    fn a_build_in_progress_is_live_and_shows_no_old_report() {
        let html = page(BuildStatus::Fetching, Some(report(Verdict::Invalid))).render().unwrap();
        assert!(html.contains("data-events=\"/builds/3/events?from=17&#38;seen=abc\""), "{html}");
        assert!(html.contains("The gate is reading the image.") && !html.contains("has no label"));
        let html = page(BuildStatus::Fetching, Some(report(Verdict::Running))).render().unwrap();
        assert!(html.contains("1 blocking finding so far") && html.contains("has no label"));
        assert!(html.contains("href=\"/builds/00000000-0000-0000-0000-000000000003\""), "a way to reload without scripts");
    }

    #[test]
    fn statuses_that_move_are_watched() {
        let moving: Vec<_> = BuildStatus::ALL.into_iter().filter(|status| is_moving(*status)).collect();
        assert_eq!(moving, [BuildStatus::Uploaded, BuildStatus::Fetching, BuildStatus::Pending, BuildStatus::Deploying]);
    }
}
