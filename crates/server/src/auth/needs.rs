//! What whoever asks must be. Every route and every field of the API has one [`Need`]: routes where they are made (`crate::routes`), fields
//! in the list below, which counts before the resolver does anything. `docs/permissions.md` is written from both.

use std::fmt;

use super::{
    Caller,
    permission::{Permission, Role},
};
use crate::error::Problem;

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Also somebody without an account.
    Anybody,
    /// Whoever has an account, or a token of it.
    Account,
    /// The same, but not with a token: a person who gave their password.
    Person,
}

/// What is needed to use a route or a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    who: Who,
    /// One of these is enough; an empty list asks for nothing more.
    rights: &'static [Permission],
}

/// Nothing: open to everybody.
pub const OPEN: Need = Need { who: Who::Anybody, rights: &[] };
/// An account, whatever its roles.
pub const ACCOUNT: Need = Need { who: Who::Account, rights: &[] };
/// An account, and no token.
pub const PERSON: Need = Need { who: Who::Person, rights: &[] };
/// To act on builds: which of both depends on the action.
pub const ACT: Need = right(&[Permission::ApproveBuilds, Permission::WriteEngines]);
/// To decide about builds.
pub const DECIDE: Need = right(&[Permission::ApproveBuilds]);
/// To manage the organization.
pub const MANAGE: Need = right(&[Permission::ManageOrganization]);
/// To pull images.
pub const PULL: Need = right(&[Permission::PullImages]);
/// To push images.
pub const PUSH: Need = right(&[Permission::PushImages]);
/// To see engines and builds.
pub const READ: Need = right(&[Permission::ReadEngines]);
/// To see jobs and recordings.
pub const READ_TASKS: Need = right(&[Permission::ReadTasks]);
/// To make jobs and recordings, and hand in files and results.
pub const RUN_TASKS: Need = right(&[Permission::RunTasks]);
/// To answer for vulnerabilities.
pub const WAIVE: Need = right(&[Permission::WaiveVulnerabilities]);
/// To register and change engines.
pub const WRITE: Need = right(&[Permission::WriteEngines]);

/// One of these rights.
pub const fn right(rights: &'static [Permission]) -> Need {
    Need { who: Who::Account, rights }
}

/// One of these rights, of a person without a token.
pub const fn person(rights: &'static [Permission]) -> Need {
    Need { who: Who::Person, rights }
}

impl Need {
    /// # Errors
    /// [`Problem::NotAllowed`] with what is missing.
    pub fn check(&self, caller: &Caller) -> Result<(), Problem> {
        caller.require_one(self.rights)?;
        if self.who == Who::Person { caller.require_person() } else { Ok(()) }
    }

    /// True when nobody has to say who they are.
    pub fn is_open(&self) -> bool {
        self.who == Who::Anybody
    }

    /// True when a token is not enough.
    pub fn wants_person(&self) -> bool {
        self.who == Who::Person
    }

    /// Whether somebody with this role alone may.
    pub fn is_met_by(&self, role: Role) -> bool {
        self.rights.is_empty() || self.rights.iter().any(|right| right.granted_to().contains(&role))
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rights: Vec<&str> = self.rights.iter().map(|right| right.what()).collect();
        f.write_str(match (self.who, rights.is_empty()) {
            (Who::Anybody, _) => "nothing",
            (Who::Account, true) => "an account",
            (Who::Person, true) => "an account, no token",
            (Who::Account, false) => "",
            (Who::Person, false) => "no token; ",
        })?;
        f.write_str(&rights.join(" or "))
    }
}

/// What each field of `Query` and `Mutation` needs, by name. A field that is not here is refused to everybody.
pub const FIELDS: &[(&str, Need)] = &[
    ("acceptInvitation", OPEN),
    ("auditLog", right(&[Permission::ReadAudit])),
    ("cancelJob", RUN_TASKS),
    ("changePassword", PERSON),
    ("createApiToken", PERSON),
    ("createAsset", RUN_TASKS),
    // A remark; other kinds of notes need deciding about builds, or changing them.
    ("createBuildNote", READ),
    ("createEngine", WRITE),
    ("createEngineBuild", WRITE),
    ("createJob", RUN_TASKS),
    ("createOrganization", person(&[Permission::CreateOrganizations])),
    ("createRobotToken", person(&[Permission::MakeRobots])),
    ("createStructuredData", RUN_TASKS),
    ("createTDO", RUN_TASKS),
    ("createTDOWithAsset", RUN_TASKS),
    ("createTaskLog", RUN_TASKS),
    ("createWaiver", WAIVE),
    ("deleteEngine", WRITE),
    ("deleteEngineBuild", ACT),
    ("engine", READ),
    ("engineBuild", READ),
    ("engineCategories", READ),
    ("engineCategory", READ),
    ("engineResults", READ_TASKS),
    ("engineWorkflow", WRITE),
    ("engines", READ),
    ("getEngineJWT", RUN_TASKS),
    ("importVex", WAIVE),
    ("invitations", MANAGE),
    ("inviteUser", person(&[Permission::ManageOrganization])),
    ("job", READ_TASKS),
    ("jobs", READ_TASKS),
    ("launchSingleEngineJob", RUN_TASKS),
    ("me", ACCOUNT),
    ("myRights", ACCOUNT),
    ("organization", ACCOUNT),
    ("organizationSettings", READ),
    ("pollTask", RUN_TASKS),
    ("recheckEngineBuild", DECIDE),
    ("refreshToken", OPEN),
    ("removeUser", person(&[Permission::ManageOrganization])),
    ("repositories", READ),
    ("reviewQueue", READ),
    ("revokeInvitation", MANAGE),
    ("revokeToken", PERSON),
    ("revokeWaiver", WAIVE),
    ("rollbackEngine", ACT),
    ("setRepositoryPublic", person(&[Permission::PublishRepositories])),
    ("setUserRoles", person(&[Permission::ManageOrganization])),
    ("structuredData", READ_TASKS),
    ("task", READ_TASKS),
    ("tasks", READ_TASKS),
    ("temporalDataObject", READ_TASKS),
    ("temporalDataObjects", READ_TASKS),
    ("tokens", ACCOUNT),
    ("unclaimedPushes", READ),
    ("undeleteEngine", WRITE),
    ("updateEngine", WRITE),
    ("updateEngineBuild", ACT),
    ("updateOrganization", MANAGE),
    ("updateTDO", RUN_TASKS),
    ("updateTask", RUN_TASKS),
    ("uploadEngineResult", RUN_TASKS),
    ("userLogin", OPEN),
    ("userLogout", ACCOUNT),
    ("users", MANAGE),
    ("validateEngineOutput", ACCOUNT),
    ("validateToken", OPEN),
    ("verifyJWT", READ_TASKS),
    ("waivers", READ),
];

/// What everybody has who can come by a value of a type, by name: what a field of it shows needs nothing more.
pub const TYPES: &[(&str, Need)] = &[
    ("Asset", READ_TASKS),
    ("AssetList", READ_TASKS),
    ("AuditEntry", right(&[Permission::ReadAudit])),
    ("AuditLog", right(&[Permission::ReadAudit])),
    ("Build", READ),
    ("BuildList", READ),
    ("BuildNote", READ),
    ("CancelJob", RUN_TASKS),
    ("DeletePayload", ACCOUNT),
    ("Engine", READ),
    ("EngineCategory", READ),
    ("EngineCategoryList", READ),
    ("EngineField", READ),
    ("EngineFieldOption", READ),
    ("EngineJWT", READ_TASKS),
    ("EngineList", READ),
    ("EngineResult", READ_TASKS),
    ("EngineResultList", READ_TASKS),
    ("EngineUsage", READ),
    ("HistoryEntry", READ),
    ("Invitation", right(&[Permission::CreateOrganizations, Permission::ManageOrganization])),
    ("Job", READ_TASKS),
    ("JobList", READ_TASKS),
    // Whoever logged in with a password, or showed a token.
    ("LoginInfo", OPEN),
    ("NewInvitation", right(&[Permission::CreateOrganizations, Permission::ManageOrganization])),
    ("NewToken", ACCOUNT),
    ("Organization", OPEN),
    ("OrganizationSettings", READ),
    // Who accepts an invitation sees themselves.
    ("OrganizationUser", OPEN),
    ("Repository", READ),
    ("RepositoryList", READ),
    ("ReviewItem", READ),
    ("ReviewQueue", READ),
    ("RightsListing", ACCOUNT),
    ("StructuredData", READ_TASKS),
    ("TDOList", READ_TASKS),
    ("Task", READ_TASKS),
    ("TaskList", READ_TASKS),
    ("TaskLog", READ_TASKS),
    ("TaskStep", READ_TASKS),
    ("TemporalDataObject", READ_TASKS),
    ("Token", ACCOUNT),
    ("UnclaimedPush", READ),
    ("UnclaimedPushList", READ),
    ("User", OPEN),
    ("UserList", MANAGE),
    ("Vulnerability", READ),
    ("VulnerabilityList", READ),
    ("WaivedBy", READ),
    ("Waiver", READ),
    ("WaiverList", READ),
    ("WorsenedVulnerability", READ),
    ("Worsening", READ),
];

/// What the distribution API needs. A public repository gives pulling to everybody.
pub const REGISTRY: &[(&str, &str, Need)] = &[
    ("GET", "/v2/", ACCOUNT),
    ("GET", "/v2/_catalog", right(&[Permission::ListRepositories])),
    ("POST", "/v2/{name}/blobs/uploads/", PUSH),
    ("DELETE", "/v2/{name}/blobs/uploads/{id}", PUSH),
    ("GET", "/v2/{name}/blobs/uploads/{id}", PUSH),
    ("PATCH", "/v2/{name}/blobs/uploads/{id}", PUSH),
    ("PUT", "/v2/{name}/blobs/uploads/{id}", PUSH),
    ("DELETE", "/v2/{name}/blobs/{digest}", PUSH),
    ("GET", "/v2/{name}/blobs/{digest}", PULL),
    ("DELETE", "/v2/{name}/manifests/{reference}", PUSH),
    ("GET", "/v2/{name}/manifests/{reference}", PULL),
    ("PUT", "/v2/{name}/manifests/{reference}", PUSH),
    ("GET", "/v2/{name}/referrers/{digest}", PULL),
    ("GET", "/v2/{name}/tags/list", PULL),
];

/// What a field of `Query` or `Mutation` needs.
pub fn of_field(name: &str) -> Option<Need> {
    FIELDS.binary_search_by_key(&name, |row| row.0).ok().map(|at| FIELDS[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_in_order() {
        assert!(FIELDS.is_sorted_by(|a, b| a.0 < b.0), "FIELDS is searched by halves; keep it in the order of bytes");
        assert!(TYPES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(REGISTRY.is_sorted_by_key(|row| row.1));
        assert_eq!(of_field("updateEngineBuild"), Some(ACT));
        assert_eq!(of_field("dropDatabase"), None);
    }
}
