//! Who is calling, and what may they do. Passwords, tokens and keys are handled here and nowhere else.

pub mod credentials;
pub mod permission;
pub mod registry;
pub mod session;
pub mod throttle;

use model::id::{OrganizationId, UserId};
use permission::{Permission, Role};

use crate::error::Problem;

/// A caller whose identity was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub user: UserId,
    /// Its login name.
    pub email: String,
    /// For people.
    pub name: String,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its roles.
    pub roles: Vec<Role>,
}

impl Caller {
    /// True when one of the roles gives the permission.
    pub fn may(&self, permission: Permission) -> bool {
        permission.granted_to().iter().any(|role| self.roles.contains(role))
    }

    /// # Errors
    /// [`Problem::NotAllowed`] naming the roles that would do.
    pub fn require(&self, permission: Permission) -> Result<(), Problem> {
        if self.may(permission) {
            return Ok(());
        }
        let roles: Vec<&str> = permission.granted_to().iter().map(|role| role.as_str()).collect();
        Err(Problem::NotAllowed(format!("{} needs the role {}; ask an admin of your organization", permission.what(), roles.join(" or "))))
    }

    /// The actor this caller is in the state machine.
    pub fn actor(&self) -> model::build::Actor {
        if self.may(Permission::ApproveBuilds) { model::build::Actor::Reviewer } else { model::build::Actor::Developer }
    }
}

impl From<store::accounts::User> for Caller {
    fn from(user: store::accounts::User) -> Self {
        let roles = user.roles.split(',').filter_map(Role::parse).collect();
        Self { user: user.id, email: user.email, name: user.name, organization: user.organization, roles }
    }
}
