//! The one table of rights.

/// A part somebody plays in an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Registers engines, pushes and submits builds.
    Developer,
    /// Decides about builds.
    Reviewer,
    /// Manages the organization.
    Admin,
    /// Manages the gate.
    Operator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Developer, Self::Reviewer, Self::Admin, Self::Operator];

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Reviewer => "reviewer",
            Self::Admin => "admin",
            Self::Operator => "operator",
        }
    }

    /// Reads the word of the database.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word.trim())
    }
}

/// Something a caller may want to do inside their organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Approve, disapprove, invalidate.
    ApproveBuilds,
    /// Make another organization with its first admin.
    CreateOrganizations,
    /// List the repositories of the organization.
    ListRepositories,
    /// Change the organization, its people and their roles.
    ManageOrganization,
    /// Make tokens for programs that use one repository.
    MakeRobots,
    /// See and revoke everybody's tokens.
    ManageTokens,
    /// Let anybody pull from a repository.
    PublishRepositories,
    /// Pull from repositories.
    PullImages,
    /// Push to repositories.
    PushImages,
    /// See who changed and decided what.
    ReadAudit,
    /// See engines, builds, reports, unclaimed pushes.
    ReadEngines,
    /// See jobs, tasks, recordings and their files.
    ReadTasks,
    /// Make jobs and recordings, hand in files and results.
    RunTasks,
    /// Answer for known vulnerabilities.
    WaiveVulnerabilities,
    /// Register engines, act on builds.
    WriteEngines,
}

use Role::{Admin, Developer, Operator, Reviewer};

/// Who may do what.
pub const TABLE: &[(Permission, &str, &[Role])] = &[
    (Permission::ApproveBuilds, "deciding about builds", &[Reviewer, Operator]),
    (Permission::CreateOrganizations, "making organizations", &[Operator]),
    (Permission::ListRepositories, "listing repositories", &[Admin, Operator]),
    (Permission::MakeRobots, "making robot tokens", &[Developer, Admin]),
    (Permission::ManageOrganization, "changing the organization and its people", &[Admin]),
    (Permission::ManageTokens, "managing the tokens of others", &[Admin]),
    (Permission::PublishRepositories, "making repositories public or private", &[Admin]),
    (Permission::PullImages, "pulling images", &[Developer, Reviewer, Admin, Operator]),
    (Permission::PushImages, "pushing images", &[Developer]),
    (Permission::ReadAudit, "reading the audit log", &[Reviewer, Admin, Operator]),
    (Permission::ReadEngines, "reading engines", &[Developer, Reviewer, Admin, Operator]),
    (Permission::ReadTasks, "reading jobs and recordings", &[Developer, Reviewer, Admin, Operator]),
    (Permission::RunTasks, "making jobs and recordings", &[Developer, Admin]),
    (Permission::WaiveVulnerabilities, "waiving vulnerabilities", &[Reviewer, Admin, Operator]),
    (Permission::WriteEngines, "changing engines and builds", &[Developer]),
];

/// What a robot token leaves its maker of all that, and of that in one repository only.
pub const ROBOT: &[Permission] = &[Permission::PullImages, Permission::PushImages];

impl Permission {
    /// The roles that give it.
    pub fn granted_to(self) -> &'static [Role] {
        TABLE.iter().find(|row| row.0 == self).map_or(&[], |row| row.2)
    }

    /// What it is, for people.
    pub fn what(self) -> &'static str {
        TABLE.iter().find(|row| row.0 == self).map_or("this", |row| row.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_has_a_row_and_somebody_has_it() {
        for permission in [
            Permission::ApproveBuilds,
            Permission::CreateOrganizations,
            Permission::ListRepositories,
            Permission::MakeRobots,
            Permission::ManageOrganization,
            Permission::ManageTokens,
            Permission::PublishRepositories,
            Permission::PullImages,
            Permission::PushImages,
            Permission::ReadAudit,
            Permission::ReadEngines,
            Permission::ReadTasks,
            Permission::RunTasks,
            Permission::WaiveVulnerabilities,
            Permission::WriteEngines,
        ] {
            assert!(!permission.granted_to().is_empty(), "{permission:?}");
        }
        assert_eq!(Role::parse("reviewer"), Some(Role::Reviewer));
        assert_eq!(Role::parse("root"), None);
    }
}
