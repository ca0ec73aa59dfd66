//! The queue of what waits for a decision.

use std::collections::HashMap;

use askama::Template;
use model::id::EngineId;

use super::{
    badge::{self, Badge},
    paging::Paging,
    shell::Shell,
    words::{self, When},
};
use crate::{
    review_queue::{Turn, Waiting},
    standing::House,
};

struct Row {
    id: String,
    engine: String,
    version: i64,
    badge: Badge,
    pushed_by: String,
    waits: When,
    target: String,
    overdue: bool,
    turn: &'static str,
    estimate: String,
}

/// The page.
#[derive(Template)]
#[template(path = "review.html")]
pub struct ReviewPage {
    shell: Shell,
    rows: Vec<Row>,
    paging: Paging,
    target_hours: u32,
    is_alone: bool,
    auto_approve: bool,
}

impl ReviewPage {
    /// One page of the queue.
    pub fn new(shell: Shell, rows: Vec<Waiting>, names: &HashMap<EngineId, String>, house: &House, paging: Paging, now: i64) -> Self {
        let rows = rows.into_iter().map(|waiting| row(waiting, names, now)).collect();
        let settings = house.settings;
        Self { shell, rows, paging, target_hours: settings.target_hours, is_alone: house.is_alone, auto_approve: settings.auto_approve }
    }
}

fn row(waiting: Waiting, names: &HashMap<EngineId, String>, now: i64) -> Row {
    let left = |at: i64| {
        let ms = u64::try_from((at - now).abs()).unwrap_or(0);
        if ms < 60_000 { "less than a minute".to_owned() } else { words::duration(ms) }
    };
    let overdue = waiting.is_overdue(now);
    Row {
        id: waiting.build.id.to_string(),
        engine: names.get(&waiting.build.engine).cloned().unwrap_or_else(|| waiting.build.engine.to_string()),
        version: waiting.build.version,
        badge: badge::of_build(waiting.build.status),
        pushed_by: waiting.build.pushed_by.clone(),
        waits: When::new(waiting.since, now),
        target: if overdue { format!("{} over", left(waiting.due)) } else { format!("{} left", left(waiting.due)) },
        overdue,
        turn: match waiting.turn {
            Turn::Gate => "the gate",
            Turn::Reviewer => "a reviewer",
            Turn::Developer => "the developer",
        },
        estimate: match waiting.estimate {
            None => "no past decisions".to_owned(),
            Some(at) if at <= now => "any moment".to_owned(),
            Some(at) => format!("in about {}", left(at)),
        },
    }
}

#[cfg(test)]
mod tests {
    use model::{build::BuildStatus, organization::Settings};

    use super::*;
    use crate::console::views::{Account, Section, fixtures::build};

    #[test]
    fn the_queue_tells_age_target_turn_and_estimate() {
        let waiting = |turn, due, estimate| Waiting { build: build(BuildStatus::Pending), since: 0, due, turn, estimate };
        let rows = vec![waiting(Turn::Reviewer, 7_200_000, Some(7_000_000)), waiting(Turn::Developer, 1, None)];
        let names = HashMap::from([(build(BuildStatus::Pending).engine, "<Words>".to_owned())]);
        let house = House { settings: Settings::default(), self_approval: true, is_alone: true };
        let shell = Shell::new("Review", Section::Review, Account::Unasked);
        let html = ReviewPage::new(shell, rows, &names, &house, Paging::asked("/review", None), 3_600_000).render().unwrap();
        for part in [
            "&#60;Words&#62;",
            "1 hour ago",
            "1 h 0 min left",
            "a reviewer",
            "in about 56 min",
            "59 min 59 s over",
            "no past decisions",
            "only reviewer",
            "72 hours",
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
    }
}
