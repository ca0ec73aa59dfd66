//! What holds for every report, whatever the evidence.

use image::LayerProblem;
use model::{engine::DeploymentModel, run::NotTestable};
use serde_json::json;

use super::*;
use crate::{
    checks::fixtures,
    evidence::tests::{Builder, batch, webhook},
    judge::{Stage, judge},
};

pub(crate) fn meta() -> ReportMeta {
    ReportMeta {
        engine_id: None,
        build: None,
        version: None,
        upload_time: 1_716_200_000_000,
        user: "dev@example.org".into(),
        baselines: Vec::new(),
        image: "oci-archive:engine.tar".into(),
    }
}

/// The report of evidence under the default policy.
pub(crate) fn of(evidence: &Evidence) -> Report {
    under(evidence, &Policy::default())
}

fn under(evidence: &Evidence, policy: &Policy) -> Report {
    let stage = if matches!(evidence.run, RunEvidence::Pending) { Stage::Static } else { Stage::Complete };
    report(&meta(), evidence, judge(evidence, policy, stage), policy)
}

fn every_fixture() -> Vec<Evidence> {
    let fixtures = crate::CHECKS.iter().flat_map(|check| fixtures::of(check.id));
    fixtures.map(|fixture| fixture.evidence.evidence()).collect()
}

#[test]
fn success_means_no_errors_and_every_finding_is_in_one_list() {
    let all = every_fixture();
    assert!(all.len() > 100);
    let strict: Policy = serde_json::from_str(r#"{"mode": "strict", "blocks": "warnings"}"#).unwrap();
    let tolerant: Policy =
        serde_json::from_value(json!({"severities": crate::CHECKS.iter().map(|check| (check.id, "info")).collect::<BTreeMap<_, _>>()}))
            .unwrap();
    for evidence in all {
        for policy in [&Policy::default(), &strict, &tolerant] {
            let report = under(&evidence, policy);
            assert_eq!(report.success, report.errors.is_empty());
            let findings: Vec<&Finding> = report.checks.iter().flat_map(|check| &check.findings).collect();
            for finding in findings {
                let list = if finding.severity == Severity::Error { &report.errors } else { &report.warnings };
                assert!(list.contains(&finding.message), "{finding:#?}");
            }
            let failed = report.checks.iter().any(|check| check.status == CheckStatus::Failed);
            assert_eq!(failed, report.verdict == Verdict::Invalid || (report.verdict == Verdict::Running && failed));
            if report.verdict == Verdict::Available {
                assert!(report.success && evidence.engine_run().is_some());
            }
            let for_a_person = matches!(&evidence.run, RunEvidence::Done(outcome) if matches!(outcome.as_ref(), Outcome::NotTestable(_)));
            if matches!(report.verdict, Verdict::Invalid | Verdict::NotTestable) && !for_a_person {
                assert!(!report.success, "{report:#?}");
            }
        }
    }
}

#[test]
fn every_field_of_the_contract_is_there() {
    let evidence = webhook().deployment_model(DeploymentModel::FullyNetworkIsolated).evidence();
    let value = serde_json::to_value(of(&evidence)).unwrap();
    for key in [
        "engineId",
        "build",
        "uploadTime",
        "user",
        "image",
        "inspect",
        "vulnerabilities",
        "vulnerabilityCounts",
        "testLog",
        "success",
        "errors",
    ] {
        assert!(value.get(key).is_some(), "{key}");
    }
    let inspect = &value["inspect"][0];
    for key in ["Id", "RepoTags", "Created", "Architecture", "Os", "Size", "RootFS"] {
        assert!(inspect.get(key).is_some(), "inspect {key}");
    }
    assert_eq!(inspect["Config"]["Env"], json!(["PATH=/bin", "API_TOKEN=***"]));
    assert_eq!(
        (&value["engineId"], &value["success"], &value["verdict"]),
        (&json!(crate::evidence::tests::ENGINE), &json!(true), &json!("available"))
    );
    assert_eq!(
        (&value["platform"], &value["imageSizeBytes"], &value["deploymentModel"]),
        (&json!("linux/amd64"), &json!(2000), &json!("FullyNetworkIsolated"))
    );
    assert_eq!((&value["policy"]["capability"], &value["policy"]["mode"]), (&json!("keyword"), &json!("lenient")));
    assert_eq!(value["policy"]["id"], json!(Policy::default().id()));
    assert_eq!((&value["stats"]["readyMs"], &value["stats"]["requests"][0]["sample"]), (&json!(120), &json!("keyword-1")));
    assert_eq!(value["testLog"], json!(["listening on 8080"]));
    let read: Report = serde_json::from_value(value).unwrap();
    assert_eq!(read, of(&evidence));
}

#[test]
fn the_verdict_keeps_apart_what_failed_and_what_could_not_be_run() {
    let verdict = |builder: Builder| of(&builder.evidence()).verdict;
    assert_eq!(verdict(webhook()), Verdict::Available);
    assert_eq!(verdict(batch()), Verdict::Available);
    assert_eq!(verdict(webhook().exit(Exit::OutOfMemory)), Verdict::Invalid);
    assert_eq!(verdict(webhook().refused()), Verdict::NotTestable);
    assert_eq!(verdict(webhook().refused().manifest(json!({"clusterSize": null}))), Verdict::Invalid);
    assert_eq!(verdict(webhook().unread()), Verdict::NotTestable);
    assert_eq!(of(&webhook().pending()).verdict, Verdict::Running);
    let late = of(&webhook().ran_out(model::run::Phase::Process).evidence());
    assert!(late.timed_out && late.errors.contains(&"Test timed out after 600 s".to_owned()));
}

#[test]
fn what_no_gate_can_test_is_for_a_person_and_never_invalid() {
    for why in [NotTestable::Queue, NotTestable::Push, NotTestable::NoSample { formats: vec!["video/mp4".into()] }] {
        let report = of(&webhook().not_testable(why.clone()).evidence());
        assert_eq!((report.verdict, report.success), (Verdict::NotTestable, true), "{why:?}");
        assert!(report.warnings.iter().any(|warning| warning.contains("could not be tested")), "{report:#?}");
        let broken = of(&webhook().not_testable(why).manifest(json!({"clusterSize": null})).evidence());
        assert_eq!((broken.verdict, broken.success), (Verdict::Invalid, false));
    }
}

#[test]
fn a_policy_cannot_pass_what_was_not_run() {
    let policy: Policy = serde_json::from_str(r#"{"severities": {"layers": "info"}}"#).unwrap();
    let evidence = webhook().layer_problem(LayerProblem::NotATar).prevented("a layer is broken; see check layers").evidence();
    let report = under(&evidence, &policy);
    assert_eq!((report.verdict, report.success), (Verdict::NotTestable, false));
    assert_eq!(report.errors, ["The engine was not run: a layer is broken; see check layers"]);
}

#[test]
fn the_same_image_has_the_same_hash_wherever_it_comes_from() {
    let here = webhook().layer_problem(LayerProblem::CorruptStream { compression: image::Compression::Gzip, offset: 7 }).stderr("a");
    let there = webhook().layer_problem(LayerProblem::CorruptStream { compression: image::Compression::Zstd, offset: 9 }).stderr("b");
    let slower = there.exchange_all(|exchange| exchange.duration_ms = 999).evidence();
    let mut pushed = meta();
    pushed.image = "gate.example.org/1/a:b".into();
    let policy = Policy::default();
    let there = report(&pushed, &slower, judge(&slower, &policy, Stage::Complete), &policy);
    assert_eq!(of(&here.evidence()).findings_hash, there.findings_hash);
    assert_ne!(of(&webhook().evidence()).findings_hash, there.findings_hash);
}

#[test]
fn an_unknown_key_in_a_result_has_both_its_sentences() {
    let body = r#"{"validationContracts": ["keyword"], "object": [{"type": "keyword", "label": "a", "found": 1}]}"#;
    let report = of(&webhook().answer("keyword-1", "application/json", body).evidence());
    assert_eq!(report.errors, ["Output check: .object[0] should NOT have additional properties", "json: unknown field \"found\""]);
}

#[test]
fn the_log_has_standard_output_alone_and_is_cut_with_a_mark() {
    let line = |stream, text: &str| LogLine { at_ms: 0, stream, text: text.to_owned() };
    let log = vec![line(Stream::Gate, "starting"), line(Stream::Stdout, "a"), line(Stream::Stderr, "b"), line(Stream::Stdout, "c")];
    assert_eq!(test_log(&log, false), ["a", "c"]);
    assert_eq!(test_log(&log, true), ["a", "c", "[... further lines were left out ...]"]);
    let many = vec![line(Stream::Stdout, "x"); LOG_LINES + 3];
    let kept = test_log(&many, false);
    assert_eq!((kept.len(), kept[LOG_LINES].as_str()), (LOG_LINES + 1, "[... 3 lines were left out ...]"));
    let wide = vec![line(Stream::Stdout, &"x".repeat(300 << 10)); 5];
    let kept = test_log(&wide, true);
    assert_eq!((kept.len(), kept[3].as_str()), (4, "[... 2 more lines were left out ...]"));
    let report = of(&webhook().log(many).evidence());
    assert_eq!(report.test_log.len(), LOG_LINES + 1);
}
