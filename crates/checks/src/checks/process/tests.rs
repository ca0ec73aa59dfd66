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
        Fixture::fail(
            "a redirect",
            webhook().exchange("keyword-1", |exchange| {
                exchange.status = Some(302);
                exchange.remarks = vec![Remark::Redirect { to: "http://example.com/".into() }];
            }),
            "process.redirect",
        ),
        Fixture::warn("HTTP/1.0", webhook().exchange_all(|exchange| exchange.remarks = vec![Remark::Http10]), "process.http10"),
        Fixture::warn(
            "an answer in pieces",
            webhook().exchange("keyword-2", |exchange| exchange.remarks = vec![Remark::Pieces { ms: 61_000 }]),
            "process.pieces",
        ),
        Fixture::warn("too late", webhook().task(|task| task.late_calls = vec!["result of keyword-1: 9 bytes".into()]), "process.late"),
        Fixture::warn("once and never again", webhook().changed(|run| run.repeats = vec![repeat(Some(500), &[])]), "process.repeat"),
        Fixture::pass("the same again", webhook().changed(|run| run.repeats = vec![repeat(Some(200), &[]); 20])),
        Fixture::note("not the same", webhook().changed(|run| run.repeats = vec![repeat(Some(200), &["/a: 1 | 2"])]), "process.differs"),
        Fixture::warn("an unlisted type taken", answers(webhook(), "unsupported", 200, "{}"), "process.refusal"),
        Fixture::fail("an unlisted type hangs", timeout("unsupported", webhook()), "process.refusal"),
        Fixture::skip("time", timeout("unsupported", webhook()).ran_out(Phase::Process), "see check run"),
        Fixture::skip("memory", crashed().exit(Exit::OutOfMemory), "see check run"),
        Fixture::skip("not ready", webhook().ready(Ready::ProcessEnded).exit(Exit::Exited { code: 1 }), "see check ready"),
        Fixture::skip("batch", batch(), "batch engine"),
        Fixture::could_not("no sandbox", webhook().refused(), None),
    ]
}

fn repeat(status: Option<u16>, differences: &[&str]) -> model::run::Repeat {
    let differences = differences.iter().map(|line| (*line).to_owned()).collect();
    model::run::Repeat { sample: "keyword-1".into(), micros: 900, status, result_bytes: 80, differences }
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
fn what_was_heard_instead_of_an_answer_is_told_without_its_figures() {
    let builder = webhook().exchange("keyword-1", |exchange| exchange.error = Some("the body stopped after 117 bytes".into()));
    let found = findings(builder);
    assert_eq!(found[0].title, "/process, keyword-1: the body stopped after 117 bytes");
    assert_eq!(found[0].message, "Process call failed: no complete answer: the body stopped after N bytes");
    assert_eq!(found[0].evidence, ["call | the body stopped after 117 bytes"]);
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
