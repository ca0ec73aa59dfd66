//! The first start on an empty data folder: one organization and one person who may do everything in it.

use model::id::{OrganizationId, UserId};
use secrecy::{ExposeSecret, SecretString};
use store::{
    Db,
    accounts::{self, User},
};

use crate::{
    auth::{credentials, permission::Role},
    clock,
    error::chain,
};

/// What the operator chose; read from `PLIMSOLL_ORG_ID`, `PLIMSOLL_ADMIN_EMAIL`, `PLIMSOLL_ADMIN_PASSWORD`.
#[derive(Debug)]
pub struct FirstStart {
    /// Number of the organization; 1 if not chosen.
    pub organization: Option<i64>,
    /// Login name; `admin@localhost` if not chosen.
    pub email: Option<String>,
    /// Password; random if not chosen.
    pub password: Option<SecretString>,
}

impl FirstStart {
    /// Reads the environment.
    ///
    /// # Errors
    /// A sentence when the organization is no positive number.
    pub fn from_environment() -> anyhow::Result<Self> {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let organization = var("PLIMSOLL_ORG_ID").map(|text| text.parse::<i64>().ok().filter(|n| *n > 0).ok_or(text)).transpose();
        Ok(Self {
            organization: organization
                .map_err(|text| anyhow::anyhow!("PLIMSOLL_ORG_ID is {text:?}; it must be a positive number, such as 1"))?,
            email: var("PLIMSOLL_ADMIN_EMAIL"),
            password: var("PLIMSOLL_ADMIN_PASSWORD").map(Into::into),
        })
    }
}

/// The account that was made, to be shown once.
pub struct Made {
    /// Login name.
    pub email: String,
    /// Its password, if we chose it.
    pub password: Option<SecretString>,
    /// Its organization.
    pub organization: OrganizationId,
}

/// Makes organization and admin if there is no account yet; `None` when there is.
///
/// # Errors
/// The password is too short, or the database refused.
pub async fn first_start(db: &Db, wanted: &FirstStart) -> anyhow::Result<Option<Made>> {
    let broken = |error: store::Error| anyhow::anyhow!("{}", chain(&error));
    if accounts::count_users(db.read()).await.map_err(broken)? > 0 {
        return Ok(None);
    }
    let random = SecretString::from(hex::encode(clock::random::<10>()));
    let password = wanted.password.as_ref().unwrap_or(&random);
    let email = wanted.email.clone().unwrap_or_else(|| "admin@localhost".into()).to_lowercase();
    let organization = OrganizationId(wanted.organization.unwrap_or(1));
    let hashed = credentials::hash(password.expose_secret()).map_err(|why| anyhow::anyhow!("PLIMSOLL_ADMIN_PASSWORD: {why}"))?;
    let user = User {
        id: UserId(clock::new_id()),
        organization,
        email: email.clone(),
        name: "Admin".into(),
        password_hash: hashed,
        roles: Role::ALL.map(Role::as_str).join(","),
    };
    let now = clock::now_ms();
    let mut tx = db.write().await.map_err(broken)?;
    accounts::insert_organization(&mut tx, organization, &format!("Organization {organization}"), now).await.map_err(broken)?;
    accounts::insert_user(&mut tx, &user, now).await.map_err(broken)?;
    tx.commit().await?;
    Ok(Some(Made { email, password: wanted.password.is_none().then_some(random), organization }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_an_empty_folder_gets_an_account() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        let wanted = FirstStart { organization: Some(1201), email: Some("Ann@example.org".into()), password: None };
        let made = first_start(&db, &wanted).await.unwrap().unwrap();
        assert_eq!((made.email.as_str(), made.organization), ("ann@example.org", OrganizationId(1201)));
        assert_eq!(made.password.unwrap().expose_secret().len(), 20);
        assert!(first_start(&db, &wanted).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_weak_password_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        let wanted = FirstStart { organization: None, email: None, password: Some("short".to_owned().into()) };
        assert!(first_start(&db, &wanted).await.is_err());
        assert_eq!(accounts::count_users(db.read()).await.unwrap(), 0);
    }
}
