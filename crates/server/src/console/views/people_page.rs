//! The people and the rules of an organization, its audit log, and the page on which somebody joins.

use askama::Template;
use model::organization::Settings;
use store::{accounts::User, audit::AuditLine, invitations::Invitation};

use super::{
    log::plain,
    paging::Paging,
    shell::{Account, Section, Shell},
    words::When,
};

/// The roles, and what they are for.
const ROLES: [(&str, &str); 4] = [
    ("developer", "registers engines, pushes, submits and deploys builds"),
    ("reviewer", "decides about builds"),
    ("admin", "manages people, rules and tokens"),
    ("operator", "manages the gate and its organizations"),
];

struct Tick {
    role: &'static str,
    hint: &'static str,
    ticked: bool,
}

struct Person {
    id: String,
    name: String,
    email: String,
    roles: Vec<Tick>,
}

struct Open {
    id: String,
    email: String,
    roles: String,
    by: String,
    made: When,
    ends: String,
}

/// The people and the rules.
#[derive(Template)]
#[template(path = "people.html")]
pub struct PeoplePage {
    shell: Shell,
    people: Vec<Person>,
    open: Vec<Open>,
    blank: Vec<Tick>,
    paging: Paging,
    name: String,
    settings: Settings,
    link: Option<String>,
    problem: Option<String>,
}

fn ticks(roles: &str) -> Vec<Tick> {
    let has = |role: &str| roles.split(',').any(|one| one == role);
    ROLES.into_iter().map(|(role, hint)| Tick { role, hint, ticked: has(role) }).collect()
}

impl PeoplePage {
    /// One page of the people, with everything else.
    pub fn new(shell: Shell, users: Vec<User>, open: Vec<Invitation>, paging: Paging, name: String, settings: Settings, now: i64) -> Self {
        let person = |user: User| Person { id: user.id.to_string(), roles: ticks(&user.roles), name: user.name, email: user.email };
        let row = |one: Invitation| Open {
            id: one.id.to_string(),
            email: one.email,
            roles: one.roles.replace(',', ", "),
            by: one.invited_by,
            made: When::new(one.created_at, now),
            ends: When::new(one.expires_at, now).iso.chars().take(10).collect(),
        };
        Self {
            shell,
            people: users.into_iter().map(person).collect(),
            open: open.into_iter().map(row).collect(),
            blank: ticks("developer"),
            paging,
            name,
            settings,
            link: None,
            problem: None,
        }
    }

    /// With what a form led to.
    #[must_use]
    pub fn with(mut self, link: Option<String>, problem: Option<String>) -> Self {
        (self.link, self.problem) = (link, problem);
        self
    }
}

struct Line {
    when: When,
    actor: String,
    action: String,
    object: String,
    detail: String,
}

/// The audit log.
#[derive(Template)]
#[template(path = "audit.html")]
pub struct AuditPage {
    shell: Shell,
    lines: Vec<Line>,
    paging: Paging,
}

impl AuditPage {
    /// One page of it.
    pub fn new(shell: Shell, lines: Vec<AuditLine>, paging: Paging, now: i64) -> Self {
        let line = |line: AuditLine| Line {
            when: When::new(line.at, now),
            actor: line.actor,
            action: line.action,
            object: line.object,
            detail: plain(&line.detail),
        };
        Self { shell, lines: lines.into_iter().map(line).collect(), paging }
    }
}

/// Where somebody accepts an invitation.
#[derive(Template)]
#[template(path = "join.html")]
pub struct JoinPage {
    shell: Shell,
    name: String,
    problem: Option<String>,
}

impl JoinPage {
    /// With the name that was typed before.
    pub fn new(name: String, problem: Option<String>) -> Self {
        Self { shell: Shell::new("Join", Section::Elsewhere, Account::Stranger), name, problem }
    }
}

#[cfg(test)]
mod tests {
    use model::id::{OrganizationId, UserId};

    use super::*;

    #[test]
    fn people_have_their_roles_ticked_and_a_link_is_shown_once() {
        let user = User {
            id: UserId(uuid::Uuid::from_u128(4)),
            organization: OrganizationId(1),
            email: "<rev>@example.org".into(),
            name: "Rev".into(),
            password_hash: "secret-hash".into(),
            roles: "reviewer,admin".into(),
        };
        let shell = Shell::new("People", Section::People, Account::Unasked);
        let page = PeoplePage::new(shell, vec![user], vec![], Paging::asked("/people", None), "First".into(), Settings::default(), 0);
        let html = page.with(Some("https://gate.test/join#abc".into()), None).render().unwrap();
        for part in ["&#60;rev&#62;@example.org", "name=\"reviewer\" value=\"yes\" checked", "https://gate.test/join#abc", "value=\"72\""] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
        assert!(!html.contains("secret-hash"));
    }
}
