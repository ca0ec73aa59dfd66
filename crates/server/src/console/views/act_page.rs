//! The page before an action: what it does, what runs now, and the button.

use askama::Template;
use model::{
    build::{BuildStatus, Event},
    id::BuildId,
};
use store::{builds::Build, engine_use::Use, engines::Engine};

use super::{
    shell::Shell,
    words::{When, count},
};
use crate::instances::Health;

/// What runs now for the engine.
pub struct Live {
    /// Its build.
    pub id: BuildId,
    /// Number of the build.
    pub version: i64,
    /// Since when, epoch milliseconds.
    pub since: Option<i64>,
    /// Who made it live.
    pub by: String,
    /// How it is.
    pub health: Health,
    /// Who used it lately, and what it is doing.
    pub used: Use,
}

/// What is acted on.
pub enum Subject<'a> {
    /// A build.
    Build {
        /// Which.
        build: &'a Build,
        /// How.
        event: Event,
        /// Whether it is possible for whoever looks.
        possible: bool,
    },
    /// An engine.
    Engine {
        /// How: disable, enable, delete, undelete, rollback.
        action: &'a str,
        /// Whether it is possible for whoever looks.
        possible: bool,
        /// The build that a rollback leads to.
        back_to: Option<i64>,
    },
}

/// The page.
#[derive(Template)]
#[template(path = "act.html")]
pub struct ActPage {
    shell: Shell,
    engine_id: String,
    engine_name: String,
    heading: String,
    button: &'static str,
    is_grave: bool,
    consequences: Vec<String>,
    now: Option<(String, Option<When>)>,
    used: Option<(String, Option<When>)>,
    back: String,
    action: String,
    seen: String,
    possible: bool,
    status: String,
    /// Whether a reason is asked for, and whether it must be there.
    reason: Option<bool>,
    asks_days: bool,
    entered: String,
    problem: Option<String>,
}

impl ActPage {
    /// Puts it together.
    pub fn new(
        shell: Shell,
        engine: &Engine,
        subject: Subject<'_>,
        live: Option<Live>,
        entered: String,
        problem: Option<String>,
        now: i64,
    ) -> Self {
        let engine_id = engine.id.to_string();
        let (heading, button, is_grave, consequences) = match &subject {
            Subject::Build { build, event, .. } => of_build(build, *event, engine, live.as_ref()),
            Subject::Engine { action, back_to, .. } => of_engine(action, engine, live.as_ref(), *back_to),
        };
        let (back, seen, possible, status, reason, asks_days) = match &subject {
            Subject::Build { build, event, possible } => {
                let is_override = *event == Event::Approve && (build.status == BuildStatus::Disapproved || build.life.unproven.is_some());
                let reason = match event {
                    Event::Disapprove => Some(true),
                    Event::Approve => Some(is_override),
                    Event::Invalidate => Some(false),
                    _ => None,
                };
                (format!("/builds/{}", build.id), build.status.to_string(), *possible, build.status.to_string(), reason, is_override)
            }
            Subject::Engine { possible, .. } => (format!("/engines/{engine_id}"), String::new(), *possible, String::new(), None, false),
        };
        let word = match &subject {
            Subject::Build { event, .. } => event.as_str(),
            Subject::Engine { action, .. } => action,
        };
        Self {
            shell,
            engine_name: engine.name.clone(),
            engine_id,
            heading,
            button,
            is_grave,
            consequences,
            used: live.as_ref().map(|live| (used(&live.used), live.used.last_at.map(|at| When::new(at, now)))),
            now: live.map(|live| (running(&live), live.since.map(|at| When::new(at, now)))),
            action: format!("{back}/act/{word}"),
            back,
            seen,
            possible,
            status,
            reason,
            asks_days,
            entered,
            problem,
        }
    }
}

/// What runs now, in a sentence.
fn running(live: &Live) -> String {
    let by = if live.by.is_empty() { String::new() } else { format!(", last touched by {}", live.by) };
    let health = match live.health {
        Health::Runs { ready_ms } => format!("its engine runs and was ready after {ready_ms} ms"),
        Health::PerTask => "its engine is started for every task".to_owned(),
        Health::Ended => "its engine has ended by itself and is started again".to_owned(),
        Health::Absent => "its engine is being started".to_owned(),
    };
    format!("Build {} is live{by}; {health}.", live.version)
}

/// Who used it lately and what it is doing, in two sentences.
fn used(used: &Use) -> String {
    let lately = match used.lately_by.as_slice() {
        [] => "Nobody asked for a task within the last seven days".to_owned(),
        names => format!("{} within the last seven days, by {}", count(used.lately.unsigned_abs(), "task"), names.join(", ")),
    };
    let now = match (used.running, used.waiting) {
        (0, 0) => "It works on nothing now".to_owned(),
        (running, 0) => format!("It works on {} now, which is done to its end", count(running.unsigned_abs(), "task")),
        (0, waiting) => format!("{} for it now", waiting_words(waiting)),
        (running, waiting) => {
            format!(
                "It works on {} now, which is done to its end, and {} for it",
                count(running.unsigned_abs(), "task"),
                waiting_words(waiting)
            )
        }
    };
    format!("{lately}. {now}.")
}

fn waiting_words(waiting: i64) -> String {
    format!("{} wait{}", count(waiting.unsigned_abs(), "task"), if waiting == 1 { "s" } else { "" })
}

type Words = (String, &'static str, bool, Vec<String>);

fn of_build(build: &Build, event: Event, engine: &Engine, live: Option<&Live>) -> Words {
    let (n, name) = (build.version, &engine.name);
    let other = live.filter(|live| live.id != build.id);
    let replaced = other.map(|live| format!("Build {} is live now. It is paused at the same moment, without a gap.", live.version));
    let stops = "Its engine ends when the task it works on is done. No other build is live then: tasks that wait go on waiting, and new ones are refused.".to_owned();
    let mut say = Vec::new();
    let (verb, button, is_grave) = match event {
        Event::Submit => {
            say.push("The gate looks at it again with today's advisories and policy, then it is approved by rule or by a reviewer.".into());
            say.push("Its tag cannot be moved to another image any more.".into());
            ("Submit", "Submit for approval", false)
        }
        Event::Upload => {
            say.push("The same image is tested from the beginning.".into());
            ("Test", "Test it again", false)
        }
        Event::Approve => {
            say.push("It may be deployed then; that is a step of its own.".into());
            if build.status == BuildStatus::Disapproved {
                say.push(
                    "It was disapproved: your approval is an override, kept with your reason, and it ends on the day you choose.".into(),
                );
            }
            if let Some(what) = &build.life.unproven {
                say.push(format!("The gate could not check: {what}. Your approval is an override, kept with your reason and an end."));
            }
            ("Approve", "Approve", false)
        }
        Event::Disapprove => {
            say.push("It cannot be deployed. Whoever pushed it reads your reason and may appeal.".into());
            ("Disapprove", "Disapprove", true)
        }
        Event::Invalidate => {
            say.push("It counts as failed and must be tested again before it can be submitted.".into());
            ("Declare invalid:", "Declare invalid", true)
        }
        Event::Deploy if build.status == BuildStatus::Deployed => {
            say.push("It is deployed again if the settings of the engine changed; otherwise nothing happens.".into());
            ("Deploy again:", "Deploy again", false)
        }
        Event::Deploy => {
            say.push("Its engine is started and must answer one sample. Only then it is live.".into());
            say.push(replaced.unwrap_or_else(|| "No build is live now.".into()));
            say.push("If it does not start, everything stays as it is now.".into());
            ("Deploy", "Deploy", false)
        }
        Event::Pause => {
            say.push(stops);
            ("Pause", "Pause", true)
        }
        Event::Unpause => {
            say.push("It is live at once, with the settings it had.".into());
            say.extend(replaced);
            ("Unpause", "Unpause", false)
        }
        _ => {
            say.push("It disappears from all lists. Its number is never used again.".into());
            if build.status == BuildStatus::Deployed {
                say.push(stops);
            }
            ("Delete", "Delete", true)
        }
    };
    (format!("{verb} build {n} of {name}"), button, is_grave, say)
}

fn of_engine(action: &str, engine: &Engine, live: Option<&Live>, back_to: Option<i64>) -> Words {
    let name = &engine.name;
    let pauses = live
        .map(|live| format!("Build {} is live and is paused; tasks that wait go on waiting until a build is live again.", live.version));
    match action {
        "disable" => {
            let mut say: Vec<String> = pauses.into_iter().collect();
            say.push("Nothing can be deployed until the engine is enabled again. Pushes and reviews go on.".into());
            (format!("Disable {name}"), "Disable", true, say)
        }
        "enable" => {
            let say = vec!["Builds can be deployed again. A paused build stays paused until somebody unpauses it.".into()];
            (format!("Enable {name}"), "Enable", false, say)
        }
        "undelete" => (format!("Take {name} back"), "Take it back", false, vec!["Its builds stay deleted.".into()]),
        "rollback" => {
            let say = match (back_to, live) {
                (Some(build), Some(live)) => {
                    vec![format!("Build {build} is live at once and build {} is paused, without a gap.", live.version)]
                }
                (Some(build), None) => vec![format!("Build {build} is live at once.")],
                (None, _) => vec!["There is no build to go back to: no paused build of this engine was live before.".into()],
            };
            (format!("Go back to the last good build of {name}"), "Go back", false, say)
        }
        _ => {
            let say = vec![
                "The engine and all its builds are deleted, whatever is live is ended, and pushes for it are unclaimed.".into(),
                "The engine can be taken back, its builds cannot.".into(),
            ];
            (format!("Delete {name}"), "Delete the engine", true, say)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::views::{
        Account, Section,
        fixtures::{build, engine},
    };

    fn html(status: BuildStatus, event: Event, possible: bool, live: Option<Live>) -> String {
        let shell = Shell::new("x", Section::Engines, Account::Unasked);
        let build = build(status);
        let subject = Subject::Build { build: &build, event, possible };
        ActPage::new(shell, &engine(), subject, live, "<b>".into(), None, 10_000).render().unwrap()
    }

    fn other() -> Live {
        Live {
            id: BuildId(uuid::Uuid::from_u128(77)),
            version: 2,
            since: Some(0),
            by: "dev@example.org".into(),
            health: Health::Runs { ready_ms: 40 },
            used: Use {
                last_at: Some(5_000),
                last_by: Some("app@example.org".into()),
                lately_by: vec!["app@example.org".into()],
                lately: 3,
                running: 1,
                waiting: 2,
            },
        }
    }

    #[test]
    fn a_deploy_says_what_runs_now_and_what_becomes_of_it() {
        let html = html(BuildStatus::Approved, Event::Deploy, true, Some(other()));
        for part in [
            "Build 2 is live, last touched by dev@example.org",
            "3 tasks within the last seven days, by app@example.org",
            "It works on 1 task now, which is done to its end, and 2 tasks wait for it.",
            "It is paused at the same moment",
            "everything stays as it is now",
            "name=\"seen\" value=\"approved\"",
            "/act/deploy\"",
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
    }

    #[test]
    fn a_refusal_needs_a_reason_and_an_override_an_end() {
        let refusal = html(BuildStatus::Pending, Event::Disapprove, true, None);
        assert!(refusal.contains("required") && refusal.contains("&#60;b&#62;"), "{refusal}");
        let cleared = html(BuildStatus::Disapproved, Event::Approve, true, None);
        assert!(cleared.contains("name=\"days\"") && cleared.contains("override"), "{cleared}");
        assert!(!html(BuildStatus::Approved, Event::Deploy, true, None).contains("<textarea"));
    }

    #[test]
    fn what_is_not_possible_has_no_button() {
        let html = html(BuildStatus::Available, Event::Deploy, false, None);
        assert!(!html.contains("type=\"submit\">Deploy") && html.contains("not possible"), "{html}");
    }
}
