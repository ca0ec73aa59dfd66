//! Scopes of tokens: never panics, prints as it was read, and cutting never adds a right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::id::OrganizationId;
use registry::{Access, Action, Actions, Grant, Place, Scope};

fuzz_target!(|text: &str| {
    let Ok(scopes) = Scope::parse_list(text) else { return };
    for scope in &scopes {
        assert_eq!(scope.to_string().parse::<Scope>().as_ref(), Ok(scope));
    }
    let grants = vec![Grant { place: Place::Organization(OrganizationId(1)), actions: Actions::of(&[Action::Pull]) }];
    for scope in (Access { account: "a".into(), grants, scopes: None }).cut(&scopes) {
        assert!(scope.name.starts_with("1/") && scope.actions == Actions::of(&[Action::Pull]));
    }
});
