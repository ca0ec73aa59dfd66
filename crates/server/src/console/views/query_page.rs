//! The page for queries by hand.

use askama::Template;

use super::shell::{Account, Section, Shell};

/// The page.
#[derive(Template)]
#[template(path = "graphiql.html")]
pub struct QueryPage {
    shell: Shell,
}

impl QueryPage {
    /// The page, for whoever comes.
    pub fn new() -> Self {
        Self { shell: Shell::new("API", Section::Elsewhere, Account::Unasked) }
    }
}
