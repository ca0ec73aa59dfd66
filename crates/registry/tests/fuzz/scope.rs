//! Scopes of tokens: never panics, prints as it was read, and cutting never adds a right.

use model::id::OrganizationId;
use registry::{Access, Action, Actions, Grant, Place, Scope};

/// One input.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(scopes) = Scope::parse_list(text) else { return };
    for scope in &scopes {
        assert_eq!(scope.to_string().parse::<Scope>().as_ref(), Ok(scope));
    }
    let grants = vec![Grant { place: Place::Organization(OrganizationId(1)), actions: Actions::of(&[Action::Pull]) }];
    let mut access = Access { account: "a".into(), grants, scopes: None };
    for scope in access.cut(&scopes) {
        assert!(scope.name.starts_with("1/") && scope.actions == Actions::of(&[Action::Pull]));
    }
    assert!(access.may_list().is_err());
    access.grants.push(Grant { place: Place::Catalog, actions: Actions::of(&[Action::Pull]) });
    let cut = access.cut(&scopes);
    assert_eq!(cut.contains(&Scope::catalog()), scopes.contains(&Scope::catalog()));
}
