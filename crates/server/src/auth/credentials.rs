//! Passwords and tokens. Passwords are hashed with argon2id and verified off the async threads. What was found good is remembered for a
//! short time under a keyed hash, because registry clients send it with every request; failures make the next attempt wait.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use hmac::{Hmac, KeyInit, Mac};
use model::{
    id::{TokenId, UserId},
    name::RepoName,
};
use sha2::Sha256;
use store::{
    accounts::{self, User},
    repositories,
    tokens::{self, TokenKind},
};

use super::{Caller, fresh::Fresh, secret, throttle::Throttle};
use crate::{clock, error::Problem};

/// How long a verified password is remembered, milliseconds.
const REMEMBER_MS: i64 = 60_000;

/// Passwords remembered at one time.
const CAPACITY: usize = 1_000;

/// Memory of one password hash. With [`PASSES`] it is one of the settings that OWASP's Password Storage Cheat Sheet calls equally strong
/// (19 MiB and 2 passes is another); less memory leaves more to the images that arrive meanwhile.
const MEMORY_KIB: u32 = 7 << 10;

/// Passes over the memory.
const PASSES: u32 = 5;

/// Longest password accepted, bytes; hashing more is work for nothing.
const LONGEST: usize = 512;

/// How exactly it is known when a token was last used, milliseconds; each time it is written down.
const USED_MS: i64 = 10 * 60_000;

/// A refresh token that is not used for so long is no longer good, milliseconds.
pub const REFRESH_MS: i64 = 90 * 24 * 3_600_000;

/// Verifies passwords and tokens, and knows whose they are.
pub struct Credentials {
    key: [u8; 32],
    verified: Mutex<HashMap<[u8; 32], (i64, String)>>,
    /// By what was sent.
    known: Fresh<[u8; 32], Arc<Caller>>,
    /// By what a token of the registry names.
    owners: Fresh<(UserId, Option<TokenId>), Option<Arc<Caller>>>,
    public: Fresh<RepoName, bool>,
    throttle: Throttle,
    /// Verified in place of a hash that does not exist, so that an unknown account takes as long as a known one.
    decoy: String,
    /// Argon2 needs [`MEMORY_KIB`] at a time; more than a few at once would be a way to fill the memory.
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
    sandbox::memory::give_back_free();
    let hash = Params::new(MEMORY_KIB, PASSES, 1, None)
        .map(|params| Argon2::new(Algorithm::Argon2id, Version::default(), params))
        .map_err(|error| error.to_string())?
        .hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| format!("the password could not be hashed: {error}"))
}

/// With the settings that stand in the hash: older ones stay good.
fn verify(password: &str, hash: &str) -> bool {
    sandbox::memory::give_back_free();
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

impl Credentials {
    /// With a key of this process only.
    pub fn new(key: [u8; 32]) -> Self {
        let decoy = hash("a password nobody has").unwrap_or_default();
        Self {
            key,
            verified: Mutex::default(),
            known: Fresh::default(),
            owners: Fresh::default(),
            public: Fresh::default(),
            throttle: Throttle::default(),
            decoy,
            hashing: tokio::sync::Semaphore::new(2),
        }
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

    /// Checks a login: the e-mail and password of a person, or a token instead of the password. `address` is where it comes from.
    ///
    /// # Errors
    /// [`Problem::LoginFailed`], [`Problem::RateLimited`] after too many failures, [`Problem::Internal`].
    pub async fn check(&self, db: &store::Db, login: &str, password: &str, address: &str) -> Result<Arc<Caller>, Problem> {
        let (version, now) = (db.rights_version(), clock::now_ms());
        let login: String = login.chars().take(320).collect::<String>().to_lowercase();
        let tag = self.remembered_as(&login, password);
        if let Some(caller) = self.known.get(&tag, version, now).filter(|caller| !caller.has_expired(now)) {
            return Ok(caller);
        }
        let keys = [format!("account {login}"), format!("address {address}")];
        let found = match secret::kind(password) {
            None => self.by_password(db, &login, password, &tag, &keys, now).await?,
            Some(kind) => {
                self.not_blocked(&keys, now)?;
                // The token says whose it is. Any word will do for a name, but not the e-mail of somebody else.
                let caller = self.by_token(db, password, kind, now).await?.filter(|caller| !login.contains('@') || caller.email == login);
                self.judged(&keys, caller.filter(|_| kind != TokenKind::Refresh), now)?
            }
        };
        let caller = Arc::new(found);
        self.known.keep(tag, caller.clone(), version, now);
        Ok(caller)
    }

    /// Checks a token that was sent without a name.
    ///
    /// # Errors
    /// As [`Credentials::check`].
    pub async fn check_token(&self, db: &store::Db, token: &str, address: &str, kind: TokenKind) -> Result<Arc<Caller>, Problem> {
        let (version, now) = (db.rights_version(), clock::now_ms());
        let tag = self.remembered_as(kind.as_str(), token);
        if let Some(caller) = self.known.get(&tag, version, now).filter(|caller| !caller.has_expired(now)) {
            return Ok(caller);
        }
        let keys = [format!("address {address}")];
        self.not_blocked(&keys, now)?;
        let caller = if secret::kind(token) == Some(kind) { self.by_token(db, token, kind, now).await? } else { None };
        let caller = Arc::new(self.judged(&keys, caller, now)?);
        self.known.keep(tag, caller.clone(), version, now);
        Ok(caller)
    }

    /// Whoever a token of the registry was issued to, with the rights of this moment; `None` when the account, or the token it was issued
    /// for, is gone.
    ///
    /// # Errors
    /// [`Problem::Internal`].
    pub async fn owner(&self, db: &store::Db, user: UserId, via: Option<TokenId>) -> Result<Option<Arc<Caller>>, Problem> {
        let (version, now) = (db.rights_version(), clock::now_ms());
        let fresh = |caller: &Arc<Caller>| !caller.has_expired(now);
        if let Some(caller) = self.owners.get(&(user, via), version, now) {
            return Ok(caller.filter(fresh));
        }
        let caller = match via {
            None => accounts::user_by_id(db.read(), user).await?.map(Caller::from),
            Some(id) => tokens::by_id(db.read(), id).await?.filter(|owned| owned.owner.id == user).map(Caller::with_token),
        };
        let caller = caller.map(Arc::new);
        self.owners.keep((user, via), caller.clone(), version, now);
        Ok(caller.filter(fresh))
    }

    /// Whether anybody may pull from a repository.
    ///
    /// # Errors
    /// [`Problem::Internal`].
    pub async fn is_public(&self, db: &store::Db, repository: &RepoName) -> Result<bool, Problem> {
        let (version, now) = (db.rights_version(), clock::now_ms());
        if let Some(public) = self.public.get(repository, version, now) {
            return Ok(public);
        }
        let public = repositories::is_public(db, repository).await?;
        self.public.keep(repository.clone(), public, version, now);
        Ok(public)
    }

    fn not_blocked(&self, keys: &[String], now: i64) -> Result<(), Problem> {
        match keys.iter().filter_map(|key| self.throttle.blocked(key, now)).max() {
            Some(retry_after) => Err(Problem::RateLimited { retry_after }),
            None => Ok(()),
        }
    }

    /// Counts an attempt.
    fn judged(&self, keys: &[String], found: Option<Caller>, now: i64) -> Result<Caller, Problem> {
        keys.iter().for_each(|key| self.throttle.record(key, found.is_some(), now));
        found.ok_or(Problem::LoginFailed)
    }

    async fn by_token(&self, db: &store::Db, token: &str, kind: TokenKind, now: i64) -> Result<Option<Caller>, Problem> {
        let found = tokens::by_hash(db.read(), &secret::hash(token)).await?;
        let good = |owned: &tokens::Owned| owned.token.kind == kind && owned.token.expires_at.is_none_or(|at| now < at);
        let Some(owned) = found.filter(good) else { return Ok(None) };
        if owned.token.used_at.is_none_or(|at| now - at >= USED_MS) {
            let mut tx = db.write().await?;
            let until = (kind == TokenKind::Refresh).then_some(now + REFRESH_MS);
            tokens::touch(&mut tx, owned.token.id, now, until).await?;
            tx.commit().await?;
        }
        Ok(Some(Caller::with_token(owned)))
    }

    async fn by_password(
        &self,
        db: &store::Db,
        email: &str,
        password: &str,
        tag: &[u8; 32],
        keys: &[String],
        now: i64,
    ) -> Result<Caller, Problem> {
        let user = accounts::user_by_email(db.read(), email).await?;
        if let Some(user) = user.as_ref().filter(|user| self.is_remembered(tag, user, now)) {
            return Ok(user.clone().into());
        }
        self.not_blocked(keys, now)?;
        let _permit = self.hashing.acquire().await.map_err(|error| Problem::internal(&error))?;
        // Many guesses may have waited here together: what became of the first counts for the rest.
        self.not_blocked(keys, clock::now_ms())?;
        let good = self.verify_slowly(user.as_ref(), password).await?;
        let user = user.filter(|_| good);
        if let Some(user) = &user {
            self.remember(*tag, user, now);
        }
        self.judged(keys, user.map(Caller::from), clock::now_ms())
    }

    async fn verify_slowly(&self, user: Option<&User>, password: &str) -> Result<bool, Problem> {
        if password.len() > LONGEST {
            return Ok(false);
        }
        let (hash, password) = (user.map_or_else(|| self.decoy.clone(), |user| user.password_hash.clone()), password.to_owned());
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

    #[test]
    fn a_hash_says_its_settings_and_one_with_others_stays_good() {
        let now = hash("correct horse").unwrap();
        assert!(now.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{now}");
        let before = Argon2::default().hash_password(b"correct horse").unwrap().to_string();
        for hash in [now, before] {
            assert!(verify("correct horse", &hash) && !verify("correct hors", &hash), "{hash}");
        }
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

    #[tokio::test]
    async fn what_is_remembered_asks_the_database_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let db = db(dir.path()).await;
        let credentials = Credentials::new([1; 32]);
        let repository = "1/a".parse().unwrap();
        let caller = credentials.check(&db, "dev@example.org", "correct horse", "here").await.unwrap();
        assert_eq!(credentials.owner(&db, caller.user, None).await.unwrap(), Some(caller.clone()));
        assert!(!credentials.is_public(&db, &repository).await.unwrap());
        db.close().await;
        assert_eq!(credentials.check(&db, "dev@example.org", "correct horse", "here").await, Ok(caller.clone()));
        assert_eq!(credentials.owner(&db, caller.user, None).await, Ok(Some(caller.clone())));
        assert_eq!(credentials.is_public(&db, &repository).await, Ok(false));
        let unknown = credentials.owner(&db, UserId(uuid::Uuid::from_u128(2)), None).await;
        assert!(matches!(unknown, Err(Problem::Internal { .. })), "everything else does: {unknown:?}");
    }

    #[test]
    fn short_and_long_passwords_are_refused() {
        assert!(hash("short").is_err());
        assert!(hash(&"x".repeat(600)).is_err());
        assert!(verify("correct horse", &hash("correct horse").unwrap()));
        assert!(!verify("correct horse", "no hash"));
    }
}
