//! Tokens for programs.

use askama::Template;
use model::id::OrganizationId;
use secrecy::{ExposeSecret, SecretString};
use store::tokens::{Token, TokenKind};

use super::{paging::Paging, shell::Shell, words::When};

struct Row {
    id: String,
    name: String,
    kind: &'static str,
    scope: Option<String>,
    owner: String,
    made: When,
    used: Option<When>,
    ends: Option<String>,
    is_over: bool,
}

/// What was typed into a form that was not accepted.
#[derive(Debug, Default)]
pub struct Entry {
    /// Which of the forms.
    pub is_robot: bool,
    /// For people.
    pub name: String,
    /// Of a robot.
    pub repository: String,
}

/// What a form led to.
#[derive(Debug)]
pub enum Shown {
    /// No form was sent.
    Nothing,
    /// It was not accepted.
    Problem(String),
    /// A token, to be seen only now.
    Secret {
        /// The token.
        text: SecretString,
        /// Its name.
        name: String,
        /// The user name that goes with it, for a robot.
        login: &'static str,
    },
}

impl Shown {
    /// A token that was just made.
    pub fn secret(secret: &SecretString, token: &Token) -> Self {
        let login = if token.kind == TokenKind::Robot { "robot" } else { "token" };
        Self::Secret { text: secret.clone(), name: token.name.clone(), login }
    }
}

struct Secret {
    text: SecretString,
    name: String,
    login: String,
}

impl Secret {
    fn text(&self) -> &str {
        self.text.expose_secret()
    }
}

/// The page.
#[derive(Template)]
#[template(path = "tokens.html")]
pub struct TokensPage {
    shell: Shell,
    rows: Vec<Row>,
    paging: Paging,
    may_make_robots: bool,
    organization: OrganizationId,
    host: String,
    entry: Entry,
    problem: Option<String>,
    secret: Option<Secret>,
}

impl TokensPage {
    /// One page of the list, with the forms.
    pub fn new(
        shell: Shell,
        tokens: Vec<(Token, String)>,
        paging: Paging,
        may_make_robots: bool,
        organization: OrganizationId,
        host: &str,
        now: i64,
    ) -> Self {
        let rows = tokens.into_iter().map(|(token, owner)| row(token, owner, now)).collect();
        let host = host.to_owned();
        Self { shell, rows, paging, may_make_robots, organization, host, entry: Entry::default(), problem: None, secret: None }
    }

    /// With what a form led to.
    #[must_use]
    pub fn with(mut self, entry: Entry, shown: Shown) -> Self {
        self.entry = entry;
        match shown {
            Shown::Nothing => {}
            Shown::Problem(problem) => self.problem = Some(problem),
            Shown::Secret { text, name, login } => {
                let login = format!("docker login --username {login} --password-stdin {}", self.host);
                self.secret = Some(Secret { text, name, login });
            }
        }
        self
    }

    /// The name typed into one of the forms.
    fn name(&self, is_robot: bool) -> &str {
        if self.entry.is_robot == is_robot { &self.entry.name } else { "" }
    }
}

fn row(token: Token, owner: String, now: i64) -> Row {
    let kind = match token.kind {
        TokenKind::Api => "API token",
        TokenKind::Robot => "Robot",
        TokenKind::Refresh => "Client logged in",
    };
    let actions = token.actions.unwrap_or_default().replace(',', ", ");
    Row {
        id: token.id.to_string(),
        name: token.name,
        kind,
        scope: token.repository.map(|repository| format!("{repository}: {actions}")),
        owner,
        made: When::new(token.created_at, now),
        used: token.used_at.map(|at| When::new(at, now)),
        ends: token.expires_at.map(|at| When::new(at, now).iso.chars().take(10).collect()),
        is_over: token.expires_at.is_some_and(|at| at <= now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::views::{Account, Section};
    use model::id::{TokenId, UserId};

    fn token(kind: TokenKind, expires_at: Option<i64>) -> (Token, String) {
        let robot = kind == TokenKind::Robot;
        let token = Token {
            id: TokenId(uuid::Uuid::from_u128(5)),
            kind,
            name: "<ci>".into(),
            user: UserId(uuid::Uuid::from_u128(1)),
            organization: OrganizationId(1),
            repository: robot.then(|| "1/words".into()),
            actions: robot.then(|| "pull,push".into()),
            service: None,
            created_at: 0,
            expires_at,
            used_at: Some(30_000),
        };
        (token, "dev@example.org".into())
    }

    fn html(rows: Vec<(Token, String)>, may_make_robots: bool, entry: Entry, shown: Shown) -> String {
        let shell = Shell::new("Tokens", Section::Tokens, Account::Known("dev@example.org".into()));
        let page = TokensPage::new(shell, rows, Paging::asked("/tokens", None), may_make_robots, OrganizationId(1), "gate.test", 60_000);
        page.with(entry, shown).render().unwrap()
    }

    #[test]
    fn tokens_are_listed_with_what_they_may() {
        let rows = vec![token(TokenKind::Robot, Some(90_000)), token(TokenKind::Api, None), token(TokenKind::Refresh, Some(1))];
        let html = html(rows, true, Entry::default(), Shown::Nothing);
        for part in [
            "&#60;ci&#62;",
            "1/words: pull, push",
            "1970-01-01",
            "30 seconds ago",
            "never",
            "expired",
            "action=\"/tokens/00000000-0000-0000-0000-000000000005/revoke\"",
            "value=\"robot\"",
            "aria-current=\"page\">Tokens",
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
    }

    #[test]
    fn a_secret_is_shown_with_how_to_use_it_and_a_problem_keeps_what_was_typed() {
        let secret = SecretString::from("plimsoll-robot-abc".to_owned());
        let shown = html(vec![], true, Entry::default(), Shown::secret(&secret, &token(TokenKind::Robot, None).0));
        for part in ["plimsoll-robot-abc", "docker login --username robot --password-stdin gate.test", "role=\"status\"", "No tokens yet"] {
            assert!(shown.contains(part), "{part} is missing in {shown}");
        }
        let entry = Entry { is_robot: true, name: "ci".into(), repository: "2/x".into() };
        let refused = html(vec![], true, entry, Shown::Problem("organization 2 is not yours".into()));
        assert!(refused.contains("value=\"2/x\"") && refused.contains("role=\"alert\"") && refused.matches("value=\"ci\"").count() == 1);
        assert!(!html(vec![], false, Entry::default(), Shown::Nothing).contains("value=\"robot\""));
    }
}
