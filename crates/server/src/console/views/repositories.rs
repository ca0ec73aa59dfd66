//! Repositories in a list.

use askama::Template;
use store::repositories::Listed;

use super::{paging::Paging, shell::Shell, words::When};

struct Row {
    name: String,
    is_public: bool,
    made: When,
}

/// The list, with a switch in each row for who may use it.
#[derive(Template)]
#[template(path = "repositories.html")]
pub struct RepositoriesPage {
    shell: Shell,
    rows: Vec<Row>,
    paging: Paging,
    may_publish: bool,
    problem: Option<String>,
}

impl RepositoriesPage {
    /// One page of the list.
    pub fn new(shell: Shell, rows: Vec<Listed>, paging: Paging, may_publish: bool, problem: Option<String>, now: i64) -> Self {
        let row = |one: Listed| Row { name: one.name, is_public: one.public, made: When::new(one.created_at, now) };
        Self { shell, rows: rows.into_iter().map(row).collect(), paging, may_publish, problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::views::{Account, Section};

    #[test]
    fn only_who_may_has_the_switch() {
        let html = |may_publish| {
            let rows = vec![
                Listed { name: "1/words".into(), public: false, created_at: 0 },
                Listed { name: "1/open".into(), public: true, created_at: 0 },
            ];
            let shell = Shell::new("Repositories", Section::Tokens, Account::Known("dev@example.org".into()));
            RepositoriesPage::new(shell, rows, Paging::asked("/repositories", None), may_publish, None, 60_000).render().unwrap()
        };
        let shown = html(true);
        assert_eq!((shown.matches("value=\"yes\"").count(), shown.matches("value=\"no\"").count()), (1, 1), "{shown}");
        assert!(html(false).contains("1/words") && !html(false).contains("method=\"post\" action=\"/repositories\""));
    }
}
