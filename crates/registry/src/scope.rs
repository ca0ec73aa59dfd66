//! Scopes as the token protocol writes them: `repository:1/name:pull,push`. Pure.

use std::{fmt, str::FromStr};

/// Longest text of scopes read, bytes.
const MAX_BYTES: usize = 8 << 10;

/// Most scopes in one text.
const MAX_SCOPES: usize = 64;

/// Something one may do to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read.
    Pull,
    /// Add.
    Push,
    /// Remove.
    Delete,
}

impl Action {
    const ALL: [Self; 3] = [Self::Pull, Self::Push, Self::Delete];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Pull => 1,
            Self::Push => 2,
            Self::Delete => 4,
        }
    }
}

/// A set of [`Action`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actions(u8);

impl Actions {
    /// No action.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(7);

    /// These actions.
    pub fn of(actions: &[Action]) -> Self {
        Self(actions.iter().fold(0, |bits, action| bits | action.bit()))
    }

    /// Reads words joined by commas, as scopes have them. `*` is all; words we do not know are left out.
    pub fn parse(words: &str) -> Self {
        words.split(',').fold(Self::NONE, |set, word| match word {
            "pull" => set.union(Self::of(&[Action::Pull])),
            "push" => set.union(Self::of(&[Action::Push])),
            "delete" => set.union(Self::of(&[Action::Delete])),
            "*" => Self::ALL,
            _ => set,
        })
    }

    /// Whether the set holds `action`.
    pub fn contains(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in both.
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The actions in it, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |action| self.contains(*action))
    }
}

impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.iter().map(Action::as_str).collect();
        f.write_str(&words.join(","))
    }
}

/// What a scope is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A repository.
    Repository,
    /// The registry itself, such as its catalogue.
    Registry,
    /// Something we do not have; nobody is granted anything of it.
    Other(String),
}

impl Kind {
    fn as_str(&self) -> &str {
        match self {
            Self::Repository => "repository",
            Self::Registry => "registry",
            Self::Other(word) => word,
        }
    }
}

/// What a client asks to be allowed, or a token allows. The name is as the client wrote it: it may break the grammar of
/// repositories, which the request that uses it will be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// What it is about.
    pub kind: Kind,
    /// Which one.
    pub name: String,
    /// What to do with it; words we do not know are left out.
    pub actions: Actions,
}

/// Why a text is no scope.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScopeError {
    /// Not of the form `type:name:actions`.
    #[error("scope {0:?} must look like repository:1/my-engine:pull,push")]
    Form(String),
    /// Too much of it.
    #[error("at most {MAX_SCOPES} scopes in {MAX_BYTES} bytes can be asked for at once")]
    TooMany,
}

impl Scope {
    /// A scope of a repository.
    pub fn repository(name: impl Into<String>, actions: Actions) -> Self {
        Self { kind: Kind::Repository, name: name.into(), actions }
    }

    /// The scope of the list of repositories, as clients know it.
    pub fn catalog() -> Self {
        Self { kind: Kind::Registry, name: "catalog".into(), actions: Actions::ALL }
    }

    /// Reads scopes separated by spaces, as `scope=` may hold them. Clients also repeat the parameter: chain the lists.
    ///
    /// # Errors
    /// [`ScopeError`].
    pub fn parse_list(text: &str) -> Result<Vec<Self>, ScopeError> {
        if text.len() > MAX_BYTES {
            return Err(ScopeError::TooMany);
        }
        let mut scopes = Vec::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            if scopes.len() == MAX_SCOPES {
                return Err(ScopeError::TooMany);
            }
            scopes.push(word.parse()?);
        }
        Ok(scopes)
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    /// The name may itself hold a colon (a host and port in front), so the first and the last colon count.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let form = || ScopeError::Form(text.chars().take(80).collect());
        let (kind, rest) = text.split_once(':').ok_or_else(form)?;
        let (name, actions) = rest.rsplit_once(':').ok_or_else(form)?;
        // A class in brackets, as in repository(plugin), says what is inside; it makes no difference to rights.
        let kind = kind.split_once('(').map_or(kind, |(word, _class)| word);
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if !kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) || kind.is_empty() || !plain(name) || text.len() > MAX_BYTES
        {
            return Err(form());
        }
        let kind = match kind {
            "repository" => Kind::Repository,
            "registry" => Kind::Registry,
            other => Kind::Other(other.to_owned()),
        };
        let actions = Actions::parse(actions);
        Ok(Self { kind, name: name.to_owned(), actions })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The registry itself is not pulled or pushed: clients know all that can be done to it as a star.
        if self.kind == Kind::Registry && self.actions == Actions::ALL {
            return write!(f, "registry:{}:*", self.name);
        }
        write!(f, "{}:{}:{}", self.kind.as_str(), self.name, self.actions)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_clients_send() {
        let scopes = Scope::parse_list("repository:1/a:pull,push repository:host:5000/b:pull  registry:catalog:*").unwrap();
        assert_eq!(scopes[0], Scope::repository("1/a", Actions::of(&[Action::Pull, Action::Push])));
        assert_eq!((scopes[1].name.as_str(), scopes[1].actions), ("host:5000/b", Actions::of(&[Action::Pull])));
        assert_eq!(scopes[2], Scope::catalog());
        assert_eq!(scopes[2].to_string(), "registry:catalog:*");
        assert_eq!("repository(plugin):1/a:push,fly".parse(), Ok(Scope::repository("1/a", Actions::of(&[Action::Push]))));
        assert_eq!("repository:1/a:".parse(), Ok(Scope::repository("1/a", Actions::NONE)));
        assert_eq!(Scope::parse_list(""), Ok(vec![]));
    }

    #[test]
    fn refuses_what_is_no_scope() {
        for bad in
            ["", "a", "repository:1/a", ":a:pull", "Repository:a:pull", "repository::pull", "repository:\"a:pull", "repository:a b:pull"]
        {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
        assert_eq!(Scope::parse_list(&"a:b:pull ".repeat(65)), Err(ScopeError::TooMany));
        assert_eq!(Scope::parse_list(&"a".repeat(9000)), Err(ScopeError::TooMany));
    }

    proptest! {
        #[test]
        fn a_scope_prints_as_it_was_read(kind in 0..3u8, name in "[0-9a-z:/._-]{1,40}", bits in 0..8u8) {
            let kind = match kind { 0 => Kind::Repository, 1 => Kind::Registry, _ => Kind::Other("plugin".into()) };
            let scope = Scope { kind, name, actions: Actions(bits) };
            prop_assert_eq!(scope.to_string().parse::<Scope>(), Ok(scope));
        }

        #[test]
        fn never_panics(text in ".{0,100}") {
            if let Ok(scopes) = Scope::parse_list(&text) {
                for scope in scopes {
                    prop_assert_eq!(scope.to_string().parse::<Scope>(), Ok(scope));
                }
            }
        }
    }
}
