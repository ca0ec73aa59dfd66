//! Who is asking and what they may do, as the server tells us with each request: we know accounts by name and
//! organizations by number, and nothing else about people.

use model::{id::OrganizationId, name::RepoName};
use store::repositories::Among;

use crate::scope::{Action, Actions, Kind, Scope};

/// What the server found out about the sender of a request. The server puts it into the request's extensions;
/// without it the sender is anonymous.
#[derive(Clone, Debug)]
pub enum Caller {
    /// No credentials.
    Anonymous,
    /// Good credentials.
    Known(Access),
    /// Nobody in particular, with a token for what everybody may see. Asked for more, or who they are, they are told to log in.
    Guest(Access),
    /// Credentials that are wrong, expired or withdrawn, with the sentence to show.
    Refused(String),
}

/// Where a right holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// All repositories of an organization.
    Organization(OrganizationId),
    /// One repository.
    Repository(RepoName),
    /// The list of repositories. With [`Action::Pull`] there, an account may list those it may pull from.
    Catalog,
}

impl Place {
    fn covers(&self, repository: &RepoName) -> bool {
        match self {
            Self::Organization(id) => *id == repository.organization(),
            Self::Repository(name) => name == repository,
            Self::Catalog => false,
        }
    }

    fn organization(&self) -> Option<OrganizationId> {
        match self {
            Self::Organization(id) => Some(*id),
            Self::Repository(name) => Some(name.organization()),
            Self::Catalog => None,
        }
    }
}

/// A right of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Where.
    pub place: Place,
    /// What.
    pub actions: Actions,
}

/// An account and its rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who, as pushes are to be recorded.
    pub account: String,
    /// What the account may do at all.
    pub grants: Vec<Grant>,
    /// What the token of this request was issued for; `None` when there is no such limit (a password was sent).
    pub scopes: Option<Vec<Scope>>,
}

/// Why something is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// The account may never do it; the sentence says why.
    Denied(String),
    /// The account may, but this token was not issued for it: fetch another.
    Scope,
}

impl Access {
    /// Everything the account may do to a repository, whatever the token.
    fn granted(&self, repository: &RepoName) -> Actions {
        self.grants.iter().filter(|grant| grant.place.covers(repository)).fold(Actions::NONE, |set, grant| set.union(grant.actions))
    }

    /// Whether `action` is allowed.
    ///
    /// # Errors
    /// [`Forbidden`], with the sentence for the person.
    pub fn may(&self, repository: &RepoName, action: Action) -> Result<(), Forbidden> {
        if !self.granted(repository).contains(action) {
            return Err(Forbidden::Denied(self.denial(repository, action)));
        }
        let in_scope =
            |scope: &Scope| scope.kind == Kind::Repository && scope.name == repository.as_str() && scope.actions.contains(action);
        match &self.scopes {
            Some(scopes) if !scopes.iter().any(in_scope) => Err(Forbidden::Scope),
            _ => Ok(()),
        }
    }

    fn denial(&self, repository: &RepoName, action: Action) -> String {
        let (organization, word) = (repository.organization(), action.as_str());
        if self.grants.iter().any(|grant| grant.place.organization() == Some(organization)) {
            return format!(
                "{} may not {word} in {repository}; ask an administrator of organization {organization} for the right",
                self.account
            );
        }
        let preposition = if action == Action::Push { "to" } else { "from" };
        match self.home(action) {
            Some(home) => format!("organization {organization} is not yours; {word} {preposition} {home}/{}", repository.image()),
            None => format!("organization {organization} is not yours, and {} has the right to {word} nowhere", self.account),
        }
    }

    /// An organization in which the account may do `action`.
    pub(crate) fn home(&self, action: Action) -> Option<OrganizationId> {
        self.grants.iter().filter(|grant| grant.actions.contains(action)).find_map(|grant| grant.place.organization())
    }

    /// Whether the account has the right, whatever the token: a token says which repositories a client wants to work on, and where a
    /// blob that it pushes may be taken from is a matter of the account.
    pub(crate) fn has(&self, repository: &RepoName, action: Action) -> bool {
        self.granted(repository).contains(action)
    }

    /// Where the account may do `action`, whatever the token.
    pub(crate) fn among(&self, action: Action) -> Among<'_> {
        let mut among = Among::default();
        for grant in self.grants.iter().filter(|grant| grant.actions.contains(action)) {
            match &grant.place {
                Place::Organization(id) => among.organizations.push(*id),
                Place::Repository(name) => among.repositories.push(name),
                Place::Catalog => {}
            }
        }
        among
    }

    fn lists(&self) -> bool {
        self.grants.iter().any(|grant| grant.place == Place::Catalog && grant.actions.contains(Action::Pull))
    }

    /// Whether the list of repositories may be read.
    ///
    /// # Errors
    /// [`Forbidden`], with the sentence for the person.
    pub fn may_list(&self) -> Result<(), Forbidden> {
        if !self.lists() {
            let sentence = format!(
                "{} may not list repositories, which administrators may; the tags of one are listed at /v2/1/my-engine/tags/list",
                self.account
            );
            return Err(Forbidden::Denied(sentence));
        }
        let catalog = Scope::catalog();
        match &self.scopes {
            Some(scopes) if !scopes.contains(&catalog) => Err(Forbidden::Scope),
            _ => Ok(()),
        }
    }

    /// Cuts what a client asks for down to what the account may do: the content of a token. Scopes of which nothing is left are gone.
    pub fn cut(&self, wanted: &[Scope]) -> Vec<Scope> {
        let mut cut: Vec<Scope> = Vec::new();
        if self.lists() && wanted.contains(&Scope::catalog()) {
            cut.push(Scope::catalog());
        }
        for scope in wanted.iter().filter(|scope| scope.kind == Kind::Repository) {
            let Ok(repository) = scope.name.parse::<RepoName>() else { continue };
            let actions = scope.actions.intersection(self.granted(&repository));
            match cut.iter_mut().find(|known| known.name == scope.name) {
                Some(known) => known.actions = known.actions.union(actions),
                None if actions.is_empty() => {}
                None => cut.push(Scope::repository(scope.name.clone(), actions)),
            }
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        let grants = vec![
            Grant { place: Place::Organization(OrganizationId(1)), actions: Actions::of(&[Action::Pull, Action::Push]) },
            Grant { place: Place::Repository("2/shared".parse().unwrap()), actions: Actions::of(&[Action::Pull]) },
        ];
        Access { account: "ann@example.com".into(), grants, scopes: None }
    }

    fn repo(name: &str) -> RepoName {
        name.parse().unwrap()
    }

    fn denied(sentence: &str) -> Result<(), Forbidden> {
        Err(Forbidden::Denied(sentence.into()))
    }

    #[test]
    fn rights_by_place() {
        let access = access();
        assert_eq!(access.may(&repo("1/a"), Action::Push), Ok(()));
        assert_eq!(access.may(&repo("2/shared"), Action::Pull), Ok(()));
        assert_eq!(access.may(&repo("7/a"), Action::Push), denied("organization 7 is not yours; push to 1/a"));
        assert_eq!(
            access.may(&repo("2/shared"), Action::Push),
            denied("ann@example.com may not push in 2/shared; ask an administrator of organization 2 for the right")
        );
        assert_eq!(
            access.may(&repo("7/a"), Action::Delete),
            denied("organization 7 is not yours, and ann@example.com has the right to delete nowhere")
        );
    }

    #[test]
    fn a_token_allows_no_more_than_its_scopes() {
        let mut access = access();
        access.scopes = Some("repository:1/a:pull repository:7/a:push".split(' ').map(|text| text.parse().unwrap()).collect());
        assert_eq!(access.may(&repo("1/a"), Action::Pull), Ok(()));
        assert_eq!(access.may(&repo("1/a"), Action::Push), Err(Forbidden::Scope));
        assert_eq!(access.may(&repo("1/b"), Action::Pull), Err(Forbidden::Scope));
        assert!(matches!(access.may(&repo("7/a"), Action::Push), Err(Forbidden::Denied(_))), "a scope gives no right");
    }

    #[test]
    fn a_wish_is_cut_to_the_rights() {
        let wanted = Scope::parse_list(
            "repository:1/a:pull,push,delete repository:1/a:pull repository:2/shared:pull,push repository:7/x:pull repository:UPPER:pull registry:catalog:*",
        )
        .unwrap();
        let cut: Vec<String> = access().cut(&wanted).iter().map(Scope::to_string).collect();
        assert_eq!(cut, ["repository:1/a:pull,push", "repository:2/shared:pull"]);
    }

    #[test]
    fn listing_repositories_is_a_right_of_its_own() {
        let mut access = access();
        let wanted = Scope::parse_list("registry:catalog:* registry:catalog:pull registry:other:* repository:catalog:*").unwrap();
        assert!(matches!(access.may_list(), Err(Forbidden::Denied(_))));
        assert_eq!(access.cut(&wanted), []);
        access.grants.push(Grant { place: Place::Catalog, actions: Actions::of(&[Action::Pull]) });
        assert_eq!(access.may_list(), Ok(()));
        assert_eq!(access.cut(&wanted), [Scope::catalog()]);
        access.scopes = Some(vec![Scope::repository("1/a", Actions::ALL)]);
        assert_eq!(access.may_list(), Err(Forbidden::Scope));
        access.scopes = Some(vec![Scope::catalog()]);
        assert_eq!(access.may_list(), Ok(()));
        assert!(access.may(&repo("1/a"), Action::Pull).is_err(), "it is no right to anything else");
    }

    #[test]
    fn where_blobs_may_be_taken_from() {
        let mut access = access();
        access.scopes = Some(vec![Scope::repository("1/a", Actions::ALL)]);
        assert!(access.has(&repo("1/b"), Action::Pull) && !access.has(&repo("7/a"), Action::Pull));
        let among = access.among(Action::Pull);
        assert_eq!((among.organizations, among.repositories), (vec![OrganizationId(1)], vec![&repo("2/shared")]));
        assert!(access.among(Action::Push).repositories.is_empty());
    }
}
