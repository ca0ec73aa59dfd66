//! Passwords: hashed with argon2id, verified off the async threads, and remembered for a short time under a keyed hash,
//! because registry clients send them with every request.

use std::{collections::HashMap, sync::Mutex};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use store::accounts::{self, User};

use super::{Caller, throttle::Throttle};
use crate::{clock, error::Problem};

/// How long a verified password is remembered, milliseconds.
const REMEMBER_MS: i64 = 60_000;

/// Passwords remembered at one time.
const CAPACITY: usize = 1_000;

/// Longest password accepted, bytes; hashing more is work for nothing.
const LONGEST: usize = 512;

/// Verifies passwords.
pub struct Credentials {
    key: [u8; 32],
    verified: Mutex<HashMap<[u8; 32], (i64, String)>>,
    throttle: Throttle,
    /// Verified in place of a hash that does not exist, so that an unknown account takes as long as a known one.
    decoy: String,
    /// Argon2 needs 19 MiB at a time; more than a few at once would be a way to fill the memory.
    hashing: tokio::sync::Semaphore,
}

/// Hashes a password.
///
/// # Errors
/// A sentence for the person who chose it.
pub fn hash(password: &str) -> Result<String, String> {
    if password.len() < 8 {
        return Err("the password needs at least 8 characters".into());
    }
    if password.len() > LONGEST {
        return Err(format!("the password may have at most {LONGEST} bytes"));
    }
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| format!("the password could not be hashed: {error}"))
}

fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

impl Credentials {
    /// With a key of this process only.
    pub fn new(key: [u8; 32]) -> Self {
        let decoy = hash("a password nobody has").unwrap_or_default();
        Self { key, verified: Mutex::default(), throttle: Throttle::default(), decoy, hashing: tokio::sync::Semaphore::new(2) }
    }

    fn remembered_as(&self, email: &str, password: &str) -> [u8; 32] {
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.key) {
            Ok(mac) => mac,
            Err(_) => return [0; 32],
        };
        for part in [email.as_bytes(), password.as_bytes()] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// A remembered password is good only as long as the account still has the hash it was checked against.
    fn is_remembered(&self, tag: &[u8; 32], user: &User, now: i64) -> bool {
        let verified = self.verified.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        verified.get(tag).is_some_and(|(until, hash)| now < *until && *hash == user.password_hash)
    }

    fn remember(&self, tag: [u8; 32], user: &User, now: i64) {
        let mut verified = self.verified.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if verified.len() >= CAPACITY {
            verified.clear();
        }
        verified.insert(tag, (now + REMEMBER_MS, user.password_hash.clone()));
    }

    /// Checks a login. `address` is where it comes from.
    ///
    /// # Errors
    /// [`Problem::LoginFailed`], [`Problem::RateLimited`] after too many failures, [`Problem::Internal`].
    pub async fn check(&self, db: &store::Db, email: &str, password: &str, address: &str) -> Result<Caller, Problem> {
        let now = clock::now_ms();
        let email: String = email.chars().take(320).collect::<String>().to_lowercase();
        let user = accounts::user_by_email(db.read(), &email).await?;
        let tag = self.remembered_as(&email, password);
        if let Some(user) = user.as_ref().filter(|user| self.is_remembered(&tag, user, now)) {
            return Ok(user.clone().into());
        }
        let keys = [format!("account {email}"), format!("address {address}")];
        if let Some(retry_after) = keys.iter().filter_map(|key| self.throttle.blocked(key, now)).max() {
            return Err(Problem::RateLimited { retry_after });
        }
        let good = self.verify_slowly(user.as_ref(), password).await?;
        keys.iter().for_each(|key| self.throttle.record(key, good, now));
        match user.filter(|_| good) {
            Some(user) => {
                self.remember(tag, &user, now);
                Ok(user.into())
            }
            None => Err(Problem::LoginFailed),
        }
    }

    async fn verify_slowly(&self, user: Option<&User>, password: &str) -> Result<bool, Problem> {
        if password.len() > LONGEST {
            return Ok(false);
        }
        let (hash, password) = (user.map_or_else(|| self.decoy.clone(), |user| user.password_hash.clone()), password.to_owned());
        let _permit = self.hashing.acquire().await.map_err(|error| Problem::internal(&error))?;
        tokio::task::spawn_blocking(move || verify(&password, &hash)).await.map_err(|error| Problem::internal(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::id::{OrganizationId, UserId};

    async fn db(dir: &std::path::Path) -> store::Db {
        let db = store::Db::open(&dir.join("p.db")).await.unwrap();
        let mut tx = db.write().await.unwrap();
        accounts::insert_organization(&mut tx, OrganizationId(1), "First", 0).await.unwrap();
        let user = User {
            id: UserId(uuid::Uuid::from_u128(1)),
            organization: OrganizationId(1),
            email: "dev@example.org".into(),
            name: "Dev".into(),
            password_hash: hash("correct horse").unwrap(),
            roles: "developer".into(),
        };
        accounts::insert_user(&mut tx, &user, 0).await.unwrap();
        tx.commit().await.unwrap();
        db
    }

    #[tokio::test]
    async fn a_changed_password_ends_what_was_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let db = db(dir.path()).await;
        let credentials = Credentials::new([1; 32]);
        let user = credentials.check(&db, "Dev@example.org", "correct horse", "here").await.unwrap();
        assert_eq!(credentials.verified.lock().unwrap().len(), 1);
        credentials.check(&db, "dev@example.org", "correct horse", "here").await.unwrap();
        let mut change = db.change_rights().await.unwrap();
        accounts::set_password(&mut change, user.user, &hash("another one").unwrap()).await.unwrap();
        change.commit().await.unwrap();
        assert_eq!(credentials.check(&db, "dev@example.org", "correct horse", "here").await, Err(Problem::LoginFailed));
    }

    #[tokio::test]
    async fn guessing_is_slowed_down() {
        let dir = tempfile::tempdir().unwrap();
        let db = db(dir.path()).await;
        let credentials = Credentials::new([1; 32]);
        for n in 0..5 {
            assert_eq!(credentials.check(&db, "nobody@example.org", &format!("guess {n}"), "here").await, Err(Problem::LoginFailed));
        }
        let blocked = credentials.check(&db, "dev@example.org", "correct horse", "here").await;
        assert!(matches!(blocked, Err(Problem::RateLimited { .. })), "{blocked:?}");
        assert!(credentials.check(&db, "dev@example.org", "correct horse", "elsewhere").await.is_ok());
    }

    #[test]
    fn short_and_long_passwords_are_refused() {
        assert!(hash("short").is_err());
        assert!(hash(&"x".repeat(600)).is_err());
        assert!(verify("correct horse", &hash("correct horse").unwrap()));
        assert!(!verify("correct horse", "no hash"));
    }
}
