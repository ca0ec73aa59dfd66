//! Calls that succeed, fail, are repeated, refused and cut off.

use model::run::{Exit, Phase};

use super::*;
use crate::{
    checks::fixtures::Fixture,
    evidence::tests::{Builder, batch, webhook},
};

const TRACEBACK: &str =
    "Traceback (most recent call last):\n  File \"/app/engine.py\", line 12, in process\n    word[\"lable\"]\nKeyError: 'lable'";

fn crashed() -> Builder {
    webhook().exit(Exit::Exited { code: 1 }).exchange("keyword-2", |exchange| {
        exchange.status = None;
        exchange.error = Some("the connection was closed before an answer came".into());
        exchange.process_ended = true;
    })
}

fn answers(builder: Builder, sample: &str, status: u16, body: &str) -> Builder {
    builder.exchange(sample, |exchange| {
        exchange.status = Some(status);
        exchange.body_excerpt = body.to_owned();
    })
}

fn later(later: Later) -> Builder {
    webhook().exchange("keyword-1", |exchange| exchange.later = Some(later.clone()))
}

pub(crate) fn fixtures() -> Vec<Fixture> {
    let timeout = |sample: &str, builder: Builder| {
        builder.exchange(sample, |exchange| {
            exchange.status = None;
            exchange.error = Some("no complete answer within 9000 ms".into());
        })
    };
    vec![
        Fixture::pass("three calls", webhook()),
        Fixture::pass("a chunk ignored", answers(webhook(), "keyword-2", 204, "")),
        Fixture::fail("a server error", answers(webhook(), "keyword-1", 500, "KeyError: 'lable'").stderr(TRACEBACK), "process.failed"),
        Fixture::fail("a wrong path", answers(webhook(), "keyword-1", 404, "not found"), "process.failed"),
        Fixture::fail("no answer", timeout("keyword-1", webhook()), "process.failed"),
        Fixture::fail("a crash", crashed(), "process.crash"),
        Fixture::fail("an end between two calls", webhook().exit(Exit::Exited { code: 0 }), "process.crash"),
        Fixture::fail("silence", later(Later::Silent { silent_ms: 60_000 }), "process.silent"),
        Fixture::fail("a reported failure", later(Later::Failed { after_ms: 5 }), "process.reported"),
        Fixture::warn("a second attempt", webhook().retried("keyword-1", 503), "process.retried"),
        Fixture::warn("an unlisted type taken", answers(webhook(), "unsupported", 200, "{}"), "process.refusal"),
        Fixture::fail("an unlisted type hangs", timeout("unsupported", webhook()), "process.refusal"),
        Fixture::skip("time", timeout("unsupported", webhook()).ran_out(Phase::Process), "see check run"),
        Fixture::skip("memory", crashed().exit(Exit::OutOfMemory), "see check run"),
        Fixture::skip("not ready", webhook().ready(Ready::ProcessEnded).exit(Exit::Exited { code: 1 }), "see check ready"),
        Fixture::skip("batch", batch(), "batch engine"),
        Fixture::could_not("no sandbox", webhook().refused(), None),
    ]
}

fn findings(builder: Builder) -> Vec<Finding> {
    match judge(&builder.evidence()) {
        Judgement::Judged(drafts) => drafts.into_iter().map(|draft| draft.finding).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_failure_of_two_samples_is_one_finding() {
    let both = answers(answers(webhook(), "keyword-1", 500, "\n boom \nmore"), "keyword-2", 500, "boom");
    let found = findings(both);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].message, "Process call failed: HTTP 500: boom");
    assert_eq!(found[0].title, "/process answered HTTP 500: boom");
    let different = answers(answers(webhook(), "keyword-1", 500, "a"), "keyword-2", 500, "b");
    assert_eq!(findings(different).len(), 2);
    assert_eq!(found[0].place.as_deref(), Some("POST of the process hook with keyword-1 and keyword-2, 1 attempt"));
    assert_eq!(found[0].evidence, ["answer | boom", "answer | more"]);
    let silent = findings(answers(webhook(), "keyword-1", 502, ""));
    assert_eq!(silent[0].title, "/process answered HTTP 502 for keyword-1");
    assert_eq!(silent[0].message, "Process call failed: HTTP 502");
}

#[test]
fn a_failure_names_the_line_of_the_engine() {
    let found = findings(answers(webhook(), "keyword-1", 500, "KeyError").stderr(TRACEBACK));
    assert_eq!(found[0].place.as_deref(), Some("/app/engine.py line 12, in process, POST of the process hook with keyword-1, 1 attempt"));
    assert_eq!(found[0].title, "/process answered HTTP 500: KeyError: 'lable'");
    assert!(found[0].evidence.iter().any(|line| line.contains("word[\"lable\"]")));
}

#[test]
fn a_crash_is_told_once_and_not_also_as_a_failed_call() {
    let found = findings(crashed().stderr(TRACEBACK));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].message, "Error running container: exit code 1");
    assert_eq!(found[0].place.as_deref(), Some("/app/engine.py line 12, in process, during the call with keyword-2 (text/plain)"));
    assert_eq!(found[0].sample.as_deref(), Some("keyword-2"));
}

#[test]
fn a_crash_over_an_unlisted_type_says_so() {
    let builder = webhook().exit(Exit::Signaled { signal: 11 }).exchange("unsupported", |exchange| {
        exchange.status = None;
        exchange.error = Some("closed".into());
        exchange.process_ended = true;
    });
    let found = findings(builder);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].title, "Engine ended with signal 11 (SIGSEGV) when it was sent image/png");
}

#[test]
fn what_succeeded_in_the_end_is_a_warning_with_the_first_answer() {
    let found = findings(webhook().retried("keyword-1", 503));
    assert_eq!((found[0].severity, found[0].message.as_str()), (Severity::Warning, "Process call repeated: keyword-1"));
    assert_eq!(found[0].evidence[0], "attempt 1 | HTTP 503");
}
