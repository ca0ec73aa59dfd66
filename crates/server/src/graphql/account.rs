//! People, invitations, the rules of an organization and its audit log, as the API shows them.

use async_graphql::{ID, InputObject, Object, SimpleObject};
use model::organization::Settings;
use secrecy::ExposeSecret;
use store::{accounts::User as UserRow, audit::AuditLine, invitations::Invitation as Row};

use super::scalars::DateTime;
use crate::{clock, ops::invite_user::Invited};

/// Somebody of the organization.
pub struct OrganizationUser(pub UserRow);

/// An open invitation, without its secret.
pub struct Invitation(pub Row);

/// An invitation that was just made.
pub struct NewInvitation {
    pub invited: Invited,
    pub public_url: String,
}

/// Rules of an organization.
#[derive(SimpleObject)]
pub struct OrganizationSettings {
    /// Reviewers may approve what they pushed themselves.
    self_approval: bool,
    /// Builds that keep the automatic rule are approved without a person.
    auto_approve: bool,
    /// Within how many hours a submitted build should be decided.
    target_hours: u32,
    /// For how many days an approval against the gate is good when its maker does not say.
    override_days: u32,
    /// The deployment model of an engine never changes after its registration.
    deployment_model_immutable: bool,
}

/// A change of an organization; absent parts stay.
#[derive(InputObject)]
pub struct UpdateOrganization {
    pub name: Option<String>,
    self_approval: Option<bool>,
    auto_approve: Option<bool>,
    target_hours: Option<u32>,
    override_days: Option<u32>,
    deployment_model_immutable: Option<bool>,
}

/// Another organization.
#[derive(InputObject)]
pub struct CreateOrganization {
    /// Its number, the first part of its repositories; the next free one if absent.
    pub id: Option<i64>,
    pub name: String,
    /// Who gets the invitation to be its first admin.
    pub admin_email: String,
}

/// Somebody to be asked to join.
#[derive(InputObject)]
pub struct InviteUser {
    pub email: String,
    /// developer, reviewer, admin or operator.
    pub roles: Vec<String>,
}

/// The answer to an invitation.
#[derive(InputObject)]
pub struct AcceptInvitation {
    /// The last part of the link.
    pub token: String,
    pub name: String,
    pub password: String,
}

/// One line of the audit log.
#[derive(SimpleObject)]
pub struct AuditEntry {
    id: ID,
    time: DateTime,
    actor: String,
    action: String,
    object: String,
    detail: String,
}

impl From<AuditLine> for AuditEntry {
    fn from(line: AuditLine) -> Self {
        let AuditLine { id, at, actor, action, object, detail } = line;
        Self { id: id.into(), time: DateTime(at), actor, action, object, detail }
    }
}

impl From<Settings> for OrganizationSettings {
    fn from(settings: Settings) -> Self {
        let Settings { self_approval, auto_approve, target_hours, override_days, deployment_model_immutable } = settings;
        Self { self_approval, auto_approve, target_hours, override_days, deployment_model_immutable }
    }
}

impl UpdateOrganization {
    /// The settings as they are after the change.
    pub fn apply(&self, old: Settings) -> Settings {
        Settings {
            self_approval: self.self_approval.unwrap_or(old.self_approval),
            auto_approve: self.auto_approve.unwrap_or(old.auto_approve),
            target_hours: self.target_hours.unwrap_or(old.target_hours),
            override_days: self.override_days.unwrap_or(old.override_days),
            deployment_model_immutable: self.deployment_model_immutable.unwrap_or(old.deployment_model_immutable),
        }
    }
}

#[Object]
impl OrganizationUser {
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    async fn name(&self) -> &str {
        &self.0.name
    }

    async fn email(&self) -> &str {
        &self.0.email
    }

    async fn roles(&self) -> Vec<&str> {
        self.0.roles.split(',').filter(|role| !role.is_empty()).collect()
    }
}

#[Object]
impl Invitation {
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    async fn email(&self) -> &str {
        &self.0.email
    }

    async fn roles(&self) -> Vec<&str> {
        self.0.roles.split(',').collect()
    }

    async fn invited_by(&self) -> &str {
        &self.0.invited_by
    }

    async fn created_date_time(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    async fn expires_date_time(&self) -> DateTime {
        DateTime(self.0.expires_at)
    }

    async fn is_over(&self) -> bool {
        self.0.expires_at <= clock::now_ms()
    }
}

#[Object]
impl NewInvitation {
    /// The link to send. It cannot be seen again.
    async fn link(&self) -> String {
        format!("{}/join#{}", self.public_url, self.invited.secret.expose_secret())
    }

    /// The secret of the link, for `acceptInvitation`.
    async fn token(&self) -> &str {
        self.invited.secret.expose_secret()
    }

    /// What is kept of it.
    async fn record(&self) -> Invitation {
        Invitation(self.invited.invitation.clone())
    }
}
