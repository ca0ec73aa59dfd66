//! The list of engines.

use askama::Template;
use model::{build::BuildStatus, engine::EngineState};
use store::{builds::Build, engines::Engine};

use super::{
    badge::{self, Badge},
    paging::Paging,
    shell::Shell,
    words::{self, When},
};

/// An engine with what its row needs besides.
pub struct EngineInput {
    /// The engine.
    pub engine: Engine,
    /// Statuses of its builds.
    pub statuses: Vec<BuildStatus>,
    /// Its newest build.
    pub latest: Option<Build>,
}

struct Latest {
    id: String,
    version: i64,
    badge: Badge,
    when: When,
}

struct Row {
    id: String,
    name: String,
    category: String,
    state: Badge,
    latest: Option<Latest>,
}

/// The list of engines.
#[derive(Template)]
#[template(path = "engines.html")]
pub struct EngineList {
    shell: Shell,
    rows: Vec<Row>,
    paging: Paging,
    may_register: bool,
    unclaimed: Option<String>,
}

/// More unclaimed pushes than this are not counted.
const COUNTED: usize = 99;

impl EngineList {
    /// How many unclaimed pushes to read for the count.
    pub const UNCLAIMED_LIMIT: i64 = COUNTED as i64 + 1;

    /// One page of the list; `unclaimed` is the number of pushes that became no build, counted up to [`Self::UNCLAIMED_LIMIT`].
    pub fn new(shell: Shell, engines: Vec<EngineInput>, paging: Paging, may_register: bool, unclaimed: usize, now: i64) -> Self {
        let row = |input: EngineInput| Row {
            id: input.engine.id.to_string(),
            category: words::label(input.engine.category.as_str()),
            state: badge::of_engine(EngineState::derive(input.engine.deleted, input.engine.disabled, input.statuses)),
            latest: input.latest.map(|build| Latest {
                id: build.id.to_string(),
                version: build.version,
                badge: badge::of_build(build.status),
                when: When::new(build.pushed_at, now),
            }),
            name: input.engine.name,
        };
        let unclaimed = match unclaimed {
            0 => None,
            n if n > COUNTED => Some(format!("More than {COUNTED} pushes became no build")),
            n => Some(format!("{} became no build", if n == 1 { "1 push".to_owned() } else { format!("{n} pushes") })),
        };
        Self { shell, rows: engines.into_iter().map(row).collect(), paging, may_register, unclaimed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::views::{Account, Section, build_page::tests};

    fn list(engines: Vec<EngineInput>, unclaimed: usize, may_register: bool) -> String {
        let shell = Shell::new("Engines", Section::Engines, Account::Known("dev@example.org".into()));
        EngineList::new(shell, engines, Paging::asked("/engines", None), may_register, unclaimed, 1_716_200_060_000).render().unwrap()
    }

    #[test]
    fn nothing_yet_explains_the_next_step() {
        let html = list(vec![], 0, true);
        assert!(html.contains("No engines yet") && html.contains("href=\"/engines/new\"") && !html.contains("<table"), "{html}");
        let html = list(vec![], 0, false);
        assert!(!html.contains("href=\"/engines/new\"") && html.contains("developer"), "{html}");
    }

    #[test]
    fn a_row_has_state_and_latest_build() {
        let input = EngineInput {
            engine: store::engines::Engine { name: "<b>Word</b>".into(), ..tests::engine() },
            statuses: vec![BuildStatus::Deployed],
            latest: Some(tests::build(BuildStatus::Invalid)),
        };
        let html = list(vec![input], 0, true);
        for part in ["&#60;b&#62;Word", "active", "invalid", "Keyword", "1 minute ago", "/builds/00000000-0000-0000-0000-000000000003"] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
    }

    #[test]
    fn unclaimed_pushes_are_counted() {
        assert!(list(vec![], 1, true).contains("1 push became no build"));
        assert!(list(vec![], 3, true).contains("3 pushes became no build"));
        assert!(list(vec![], 100, true).contains("More than 99 pushes"));
        assert!(!list(vec![], 0, true).contains("became no build"));
    }
}
