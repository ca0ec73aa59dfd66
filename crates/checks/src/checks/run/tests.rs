//! Limits, ends of batch engines, and runs that did not take place.

use model::run::Exit;

use super::*;
use crate::{
    checks::fixtures::Fixture,
    evidence::tests::{batch, webhook},
};

fn hit(limit: &str, allowed: u64) -> LimitHit {
    LimitHit { limit: limit.into(), allowed, peak: allowed }
}

pub(crate) fn fixtures() -> Vec<Fixture> {
    let statuses = |statuses: &[&str]| batch().task(|task| task.statuses = statuses.iter().map(|status| (*status).to_owned()).collect());
    vec![
        Fixture::pass("webhook", webhook()),
        Fixture::pass("batch", batch()),
        Fixture::fail("memory", webhook().exit(Exit::OutOfMemory).limit_hit(hit("memory_bytes", 512 << 20)), "run.memory"),
        Fixture::fail("time", webhook().ran_out(Phase::Process), "run.timeout"),
        Fixture::fail("time of a batch engine", batch().exit(Exit::TimedOut).ran_out(Phase::Batch), "run.timeout"),
        Fixture::fail("time before the run", webhook().late("the image was unpacked"), "run.timeout"),
        Fixture::fail("exit code", batch().exit(Exit::Exited { code: 2 }).stderr("no model\n"), "run.exit"),
        Fixture::fail("signal", batch().exit(Exit::Signaled { signal: 31 }), "run.exit"),
        Fixture::fail("task failed", statuses(&["running", "failed"]), "run.task"),
        Fixture::fail("task left running", statuses(&["running"]), "run.task"),
        Fixture::fail("task never touched", statuses(&[]), "run.task"),
        Fixture::fail("nothing handed in", batch().outputs(vec![]), "run.result"),
        Fixture::warn("paused", statuses(&["running", "paused"]), "run.paused"),
        Fixture::warn(
            "a sample that is not there",
            webhook().unfetched("https://files.example.com/a.wav", "the answer was 404"),
            "run.sample_url",
        ),
        Fixture::warn("processes", webhook().limit_hit(hit("pids", 1024)), "run.pids"),
        Fixture::warn("memory reached and survived", webhook().limit_hit(hit("memory_bytes", 512 << 20)), "run.memory"),
        Fixture::warn("much log", webhook().limit_hit(hit("log_bytes", 1 << 20)).log_truncated(), "run.log"),
        Fixture::warn("log cut without a word", webhook().log_truncated(), "run.log"),
        Fixture::warn("a large file", webhook().limit_hit(hit("file_bytes", 2 << 30)), "run.files"),
        Fixture::warn("many files", webhook().limit_hit(hit("files", 200_000)), "run.files"),
        Fixture::warn("a full disk", webhook().limit_hit(hit("writable_bytes", 384 << 20)), "run.files"),
        Fixture::warn("a limit of tomorrow", webhook().limit_hit(hit("gpu_seconds", 5)), "run.limit"),
        Fixture::warn(
            "refused calls",
            webhook().task(|task| task.refused_calls = vec!["deleteEngine: not_allowed".into()]),
            "run.refused_calls",
        ),
        Fixture::fail("deeds on engines", webhook().task(|task| task.forbidden_calls = vec!["deleteEngine".into()]), "run.forbidden_calls"),
        Fixture::fail(
            "another task's heartbeat",
            webhook().task(|task| task.foreign_calls = vec!["heartbeat of keyword-1: taskId x".into()]),
            "run.foreign_task",
        ),
        Fixture::fail("uploads without end", webhook().task(|task| task.overflow = Some(("createAsset".into(), 900))), "run.uploads"),
        Fixture::pass("an adapter", adapter(|_| {})),
        Fixture::fail("an adapter that brings nothing", adapter(|run| run.task.recordings.clear()), "run.adapter"),
        Fixture::fail("an adapter without media", adapter(|run| run.task.recordings[0].assets.clear()), "run.adapter"),
        Fixture::warn("an adapter that does not name it", adapter(|run| run.outputs.clear()), "run.recording_id"),
        Fixture::fail("an adapter that forgets its task", adapter(|run| run.task.statuses.clear()), "run.task"),
        Fixture::could_not("a push adapter", webhook().not_testable(NotTestable::Push), Some("run.push")),
        Fixture::could_not("no sandbox", webhook().refused(), Some("run.host")),
        Fixture::could_not("an unreadable image", webhook().unread(), None),
        Fixture::could_not("queue", webhook().not_testable(NotTestable::Queue), Some("run.queue")),
        Fixture::could_not(
            "no sample",
            webhook().not_testable(NotTestable::NoSample { formats: vec!["video/mp4".into()] }),
            Some("run.no_sample"),
        ),
        Fixture::skip("a broken layer", webhook().prevented("a layer is broken; see check layers"), "see check layers"),
        Fixture::skip("pending", webhook().still_to_come(), "still to come"),
    ]
}

/// A pull adapter that does everything right, changed in one place.
fn adapter(change: impl FnOnce(&mut EngineRun)) -> crate::evidence::tests::Builder {
    let done = |run: &mut EngineRun| {
        let media = ("media".to_owned(), "text/plain".to_owned(), 9);
        run.task.recordings = vec![model::run::Recording { id: "123".into(), assets: vec![media] }];
        run.outputs[0].via = "updateTask".into();
        run.outputs[0].body = br#"{"recordingId": "123"}"#.to_vec();
        change(run);
    };
    batch().capability(Capability::Adapter).manifest(serde_json::json!({"category": "pull"})).changed(done)
}

fn only(builder: crate::evidence::tests::Builder) -> Finding {
    match judge(&builder.evidence()) {
        Judgement::Judged(mut drafts) if drafts.len() == 1 => drafts.remove(0).finding,
        other => panic!("{other:?}"),
    }
}

#[test]
fn documented_sentences_are_kept() {
    assert_eq!(only(webhook().ran_out(Phase::Process)).message, "Test timed out after 600 s");
    let signed = only(webhook().unfetched("https://files.example.com/a.wav?sig=secret#x", "the answer was 404"));
    assert_eq!(signed.place.as_deref(), Some("https://files.example.com/a.wav"));
    let shortened = |wall_ms| only(webhook().ran_out(Phase::Process).wall(wall_ms));
    assert_eq!(shortened(587_000).title, "Time of the test run (587 s) was over in the call with unsupported");
    assert_eq!(shortened(587_000).message, "Test timed out after 600 s");
    assert_eq!(shortened(587_000).evidence[0], "time | 587 s were left of the 600 s for scanning, unpacking and running together");
    assert_eq!(shortened(2_500).message, "Test timed out after 2.5 s");
    assert_eq!(only(batch().exit(Exit::Exited { code: 7 })).message, "Error running container: exit code 7");
    let memory = only(webhook().exit(Exit::OutOfMemory));
    assert_eq!(memory.message, "Error running container: out of memory (512 MiB)");
    assert!(memory.fix.contains("medium"));
}

#[test]
fn a_failed_exit_is_not_also_told_as_an_unfinished_task() {
    let finding = only(batch().exit(Exit::Exited { code: 1 }).outputs(vec![]).task(|task| {
        task.statuses = vec!["running".into(), "failed".into()];
        task.failure_message = Some("no model".into());
    }));
    assert_eq!(finding.code, "run.exit");
    assert!(finding.evidence.contains(&"task failed | no model".to_owned()));
}

#[test]
fn messages_have_no_measured_values() {
    let found = only(webhook().limit_hit(LimitHit { limit: "pids".into(), allowed: 1024, peak: 1037 }));
    assert_eq!(found.message, "Limit reached: Engine reached its limit of 1024 processes and threads");
    assert!(found.evidence[0].contains("1037"));
}
