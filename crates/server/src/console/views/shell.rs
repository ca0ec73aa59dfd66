//! What stands around every page.

/// The part of the console a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Engines and their builds.
    Engines,
    /// Pushes that became no build.
    Unclaimed,
    /// What waits for a decision.
    Review,
    /// People and rules of the organization.
    People,
    /// Tokens for programs.
    Tokens,
    /// The pages of the checks.
    Checks,
    /// The validation tool.
    Tools,
    /// None of them.
    Elsewhere,
}

/// Who is looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// Somebody who is not logged in.
    Stranger,
    /// Somebody logged in, by e-mail.
    Known(String),
    /// Not looked up, as on error pages.
    Unasked,
}

/// Title, navigation and account of a page.
#[derive(Clone, Debug)]
pub struct Shell {
    /// Title of the window, without the name of the product.
    pub title: String,
    /// Which navigation entry is lit.
    pub section: Section,
    /// Who is looking.
    pub account: Account,
    /// Whether they manage the organization.
    pub manages: bool,
}

impl Shell {
    /// The shell of a page.
    pub fn new(title: impl Into<String>, section: Section, account: Account) -> Self {
        Self { title: title.into(), section, account, manages: false }
    }

    /// `aria-current` of a navigation entry.
    fn current(&self, section: Section) -> &'static str {
        if self.section == section { "page" } else { "false" }
    }

    /// `aria-current` of the engines.
    pub fn in_engines(&self) -> &'static str {
        self.current(Section::Engines)
    }

    /// `aria-current` of the unclaimed pushes.
    pub fn in_unclaimed(&self) -> &'static str {
        self.current(Section::Unclaimed)
    }

    /// `aria-current` of the review.
    pub fn in_review(&self) -> &'static str {
        self.current(Section::Review)
    }

    /// `aria-current` of the people.
    pub fn in_people(&self) -> &'static str {
        self.current(Section::People)
    }

    /// `aria-current` of the tokens.
    pub fn in_tokens(&self) -> &'static str {
        self.current(Section::Tokens)
    }

    /// `aria-current` of the check pages.
    pub fn in_checks(&self) -> &'static str {
        self.current(Section::Checks)
    }

    /// `aria-current` of the validation tool.
    pub fn in_tools(&self) -> &'static str {
        self.current(Section::Tools)
    }

    /// E-mail of whoever is logged in.
    pub fn email(&self) -> Option<&str> {
        match &self.account {
            Account::Known(email) => Some(email),
            Account::Stranger | Account::Unasked => None,
        }
    }

    /// Whether whoever looks is known not to be logged in.
    pub fn is_stranger(&self) -> bool {
        self.account == Account::Stranger
    }

    /// Whether to offer the way in; the way in itself does not.
    pub fn offers_login(&self) -> bool {
        self.is_stranger() && self.section != Section::Elsewhere
    }
}
