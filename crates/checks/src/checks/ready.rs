//! `ready`: a webhook engine answers its ready hook with 200 in time (engine contract §1.2).

use model::{
    finding::{Finding, Severity},
    run::{EngineKind, EngineRun, Exit, NotStarted, Outcome, Ready},
};

use super::{
    ending::{self, Ending, ending},
    ran,
};
use crate::{
    evidence::{Evidence, RunEvidence},
    judge::{Check, Draft, Judge, Judgement, Needs},
    last_words::last_words,
    wording::{clip, list, quoted},
};

pub(super) const CHECK: Check = Check {
    id: "ready",
    title: "The engine gets ready in time",
    help: include_str!("../../../../docs/checks/ready.md"),
    needs: Needs::Run,
    judge: Judge::Evidence(judge),
};

const WHY: &str = "Work is sent to an engine only after its ready hook has answered 200.";

fn judge(evidence: &Evidence) -> Judgement {
    if let RunEvidence::Done(outcome) = &evidence.run
        && let Outcome::NotStarted(why) = outcome.as_ref()
        && let Some(finding) = no_hook(why)
    {
        return Judgement::Judged(vec![finding.into()]);
    }
    let run = match ran(evidence) {
        Ok(run) => run,
        Err(judgement) => return judgement,
    };
    if run.kind != EngineKind::Webhook {
        return Judgement::Skipped("a batch engine has no ready hook".to_owned());
    }
    if matches!(ending(run), Ending::Memory | Ending::Time) && !matches!(run.ready, Some(Ready::Ready { .. })) {
        return Judgement::Skipped("memory or time ran out before it was ready; see check run".to_owned());
    }
    let finding = match &run.ready {
        Some(Ready::Ready { .. }) => return Judgement::Judged(address(run).map(Draft::from).into_iter().collect()),
        Some(Ready::NotInTime { waited_ms, last }) => late(*waited_ms, last, run),
        Some(Ready::GaveUp { said }) => gave_up(said, run),
        Some(Ready::ProcessEnded) | None => ended(run),
    };
    Judgement::Judged(vec![finding.into()])
}

/// It is not known where the engine listens.
fn no_hook(why: &NotStarted) -> Option<Finding> {
    let fix = "Set both in the Dockerfile: ENV VERITONE_WEBHOOK_READY=http://0.0.0.0:8080/ready VERITONE_WEBHOOK_PROCESS=http://0.0.0.0:8080/process.";
    let finding = match why {
        NotStarted::NoHook => Finding::new("ready.hook", Severity::Error, "The image does not say where the engine listens", WHY, fix)
            .message("Need a valid VERITONE_WEBHOOK_READY"),
        NotStarted::BadHook { variable, value, problem } => {
            Finding::new("ready.hook", Severity::Error, format!("{variable}={} is not usable", clip(value, 35)), WHY, fix)
                .message(format!("invalid {variable}: {}", clip(problem, 200)))
                .quote(format!("{variable}={}: {problem}", quoted(value, 200)))
        }
        NotStarted::NoCommand | NotStarted::DriverWithoutCommand { .. } => return None,
    };
    Some(finding.at("image config, Env"))
}

/// It is ready, at an address that will not do everywhere.
fn address(run: &EngineRun) -> Option<Finding> {
    let listening = run.listening.as_ref()?;
    let (code, severity, fact, why) = match listening {
        listening if listening.ipv6_only => (
            "ready.ipv6",
            Severity::Warning,
            "Engine listens on IPv6 alone",
            "Many networks of containers know IPv4 only; there the engine would never get ready.",
        ),
        listening if listening.loopback_only == Some(true) => (
            "ready.loopback",
            Severity::Info,
            "Engine listens on the loopback address alone",
            "Here it is called from inside its own network. Wherever it is called from outside, as under Docker, nobody would reach it.",
        ),
        _ => return None,
    };
    let finding = Finding::new(code, severity, fact, why, "Listen on 0.0.0.0, all addresses of the container.");
    Some(finding.message(format!("Engine ready, but: {}", fact.replacen("Engine ", "it ", 1))).at(format!("port {}", listening.port)))
}

/// It listens, but not where its hook says.
fn elsewhere(run: &EngineRun, seconds: u64) -> Option<Finding> {
    let listening = run.listening.as_ref().filter(|listening| !listening.elsewhere.is_empty())?;
    let ports = list(&listening.elsewhere.iter().map(u16::to_string).collect::<Vec<_>>(), "and");
    let wanted = listening.port;
    let finding = Finding::new(
        "ready.port",
        Severity::Error,
        format!("Engine listens on port {}, not on {wanted} as its hook says", clip(&ports, 30)),
        WHY,
        format!("Listen on port {wanted}, or name the right port in VERITONE_WEBHOOK_READY and VERITONE_WEBHOOK_PROCESS."),
    );
    let finding = finding.message(format!("Engine not ready after {seconds} s")).at("GET of the ready hook");
    Some(finding.quote(format!("{wanted} | nothing listens there")).quote(format!("{ports} | open")))
}

fn late(waited_ms: u64, last: &str, run: &EngineRun) -> Finding {
    if let Some(finding) = elsewhere(run, waited_ms / 1000) {
        return finding;
    }
    let seconds = waited_ms / 1000;
    let listens = last.starts_with("503");
    let fix = if listens {
        "Load the model faster, or smaller; put it into the image instead of fetching it at the start."
    } else {
        "Let the engine listen on the port of VERITONE_WEBHOOK_READY on 0.0.0.0, and answer 503 until it is ready, then 200."
    };
    let mut finding =
        Finding::new("ready.late", Severity::Error, format!("Engine was not ready after {seconds} s: {}", clip(last, 45)), WHY, fix);
    finding = finding
        .message(format!("Engine not ready after {seconds} s"))
        .at("GET of the ready hook")
        .quote(format!("last answer | {}", clip(last, 240)));
    finding.evidence.extend(last_words(&run.record.log).lines);
    finding
}

fn gave_up(said: &str, run: &EngineRun) -> Finding {
    let words = last_words(&run.record.log);
    let shown = if said.trim().is_empty() { "without a word" } else { said };
    let mut finding = Finding::new(
        "ready.gave_up",
        Severity::Error,
        format!("Ready hook answered HTTP 500: {}", clip(shown, 55)),
        "500 from the ready hook means that the engine gives up: it is ended at once. While it is still loading it should answer 503.",
        "Mend what the engine reports; while it is loading, answer 503.",
    );
    finding = finding.message("Engine not ready: the ready hook answered HTTP 500").quote(format!("answer | {}", clip(shown, 240)));
    finding.place = words.place.or_else(|| Some("GET of the ready hook".to_owned()));
    finding.evidence.extend(words.lines);
    finding
}

/// It ended before it was ready.
fn ended(run: &EngineRun) -> Finding {
    let exit = &run.record.exit;
    let how = ending::words(exit).unwrap_or_else(|| "no exit code".to_owned());
    let words = last_words(&run.record.log);
    let program = run.args.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let program_said = words.cause.as_deref().map(|cause| clip(cause, 54));
    let fix = ending::hint(exit).map_or_else(|| default_fix(exit, words.place.as_deref()), str::to_owned);
    let title = match program_said {
        Some(cause) => format!("Engine ended before it was ready: {cause}"),
        None => format!("Engine ended with {how} before it was ready"),
    };
    let mut finding = Finding::new(
        "ready.exited",
        Severity::Error,
        title,
        "A webhook engine has to keep running and answer; one that ends can take no work.",
        fix,
    );
    finding = finding.message(format!("Error running container: {how}"));
    finding.place = Some(words.place.unwrap_or_else(|| format!("process {}", clip(&program, 120))));
    finding.evidence = words.lines;
    if finding.evidence.is_empty() {
        finding.evidence.push(format!("{} wrote nothing before it ended", clip(&program, 120)));
    }
    finding
}

fn default_fix(exit: &Exit, place: Option<&str>) -> String {
    match (exit, place) {
        (_, Some(place)) => format!("Mend {place}, and try it: docker run --rm --network none IMAGE."),
        (Exit::Exited { code: 0 }, None) => {
            "Keep the server in the foreground: the first process must not end while the engine works.".to_owned()
        }
        _ => "Mend what the quoted lines say, and try it: docker run --rm --network none IMAGE.".to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        checks::fixtures::Fixture,
        evidence::tests::{batch, webhook},
    };

    const TRACEBACK: &str = "Traceback (most recent call last):\n  File \"/app/engine.py\", line 4, in <module>\n    import nmupy\nModuleNotFoundError: No module named 'nmupy'";

    pub(crate) fn fixtures() -> Vec<Fixture> {
        let late = Ready::NotInTime { waited_ms: 120_003, last: "nothing listens on 127.0.0.1:8080".into() };
        let dead = || webhook().ready(Ready::ProcessEnded);
        vec![
            Fixture::pass("ready", webhook()),
            Fixture::fail("late", webhook().ready(late.clone()), "ready.late"),
            Fixture::fail(
                "on another port",
                webhook().ready(late.clone()).changed(listening(|found| found.elsewhere = vec![9090])),
                "ready.port",
            ),
            Fixture::warn("on IPv6 alone", webhook().changed(listening(|found| found.ipv6_only = true)), "ready.ipv6"),
            Fixture::note("on loopback alone", webhook().changed(listening(|found| found.loopback_only = Some(true))), "ready.loopback"),
            Fixture::pass("on all addresses", webhook().changed(listening(|found| found.loopback_only = Some(false)))),
            Fixture::fail("gave up", webhook().ready(Ready::GaveUp { said: "no model".into() }), "ready.gave_up"),
            Fixture::fail("ended", dead().exit(Exit::Exited { code: 1 }).stderr(TRACEBACK), "ready.exited"),
            Fixture::fail("ended silently", dead().exit(Exit::Exited { code: 0 }), "ready.exited"),
            Fixture::fail("killed", dead().exit(Exit::Signaled { signal: 11 }), "ready.exited"),
            Fixture::fail("no hook", webhook().not_started(NotStarted::NoHook), "ready.hook"),
            Fixture::fail("a hook elsewhere", webhook().not_started(bad_hook()), "ready.hook"),
            Fixture::skip("memory", dead().exit(Exit::OutOfMemory), "see check run"),
            Fixture::skip("batch", batch(), "batch engine"),
            Fixture::skip("nothing to start", webhook().not_started(NotStarted::NoCommand), "see check entrypoint"),
            Fixture::skip("a broken image", webhook().prevented("a layer is broken; see check layers"), "see check layers"),
            Fixture::could_not("no sandbox", webhook().refused(), None),
        ]
    }

    fn listening(change: impl FnOnce(&mut model::run::Listening)) -> impl FnOnce(&mut EngineRun) {
        let mut found = model::run::Listening { port: 8080, ..Default::default() };
        change(&mut found);
        move |run| run.listening = Some(found)
    }

    fn bad_hook() -> NotStarted {
        NotStarted::BadHook {
            variable: "VERITONE_WEBHOOK_READY".into(),
            value: "http://example.com/".into(),
            problem: "its host is not this container".into(),
        }
    }

    fn only(evidence: &Evidence) -> Finding {
        match judge(evidence) {
            Judgement::Judged(mut drafts) if drafts.len() == 1 => drafts.remove(0).finding,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_traceback_names_file_line_and_cause() {
        let finding = only(&webhook().ready(Ready::ProcessEnded).exit(Exit::Exited { code: 1 }).stderr(TRACEBACK).evidence());
        assert_eq!(finding.message, "Error running container: exit code 1");
        assert_eq!(finding.place.as_deref(), Some("/app/engine.py line 4, in <module>"));
        assert!(finding.title.contains("ModuleNotFoundError"), "{}", finding.title);
        assert!(finding.evidence.iter().any(|line| line.contains("import nmupy")));
        assert!(finding.fix.contains("/app/engine.py line 4"));
    }

    #[test]
    fn times_are_told_in_whole_seconds() {
        let finding = only(&webhook().ready(Ready::NotInTime { waited_ms: 120_987, last: "503 Service Unavailable".into() }).evidence());
        assert_eq!(finding.message, "Engine not ready after 120 s");
        assert!(finding.fix.contains("Load the model"));
    }
}
