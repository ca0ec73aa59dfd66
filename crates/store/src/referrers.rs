//! Manifests that speak about another one: signatures, bills of materials, attestations. Listed in byte order of their digests.

use futures_util::TryStreamExt;
use model::{digest::Digest, name::RepoName};
use sqlx::{FromRow, QueryBuilder, Sqlite};

use crate::{Db, error::Error};

/// Variables per statement.
const PER_STATEMENT: usize = 500;

/// One manifest, as a list of referrers describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Digest of its bytes.
    pub digest: Digest,
    /// As it was pushed.
    pub media_type: String,
    /// Length of its bytes.
    pub size: u64,
    /// What it says it is.
    pub artifact_type: Option<String>,
    /// A JSON object of texts.
    pub annotations: Option<String>,
}

/// Which referrers are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The manifest they speak about; need not be there.
    pub subject: &'a Digest,
    /// Only those of this type.
    pub artifact_type: Option<&'a str>,
    /// Only those behind this digest.
    pub last: Option<&'a str>,
    /// At most so many.
    pub limit: u32,
    /// At most so many bytes of annotations, but always one entry.
    pub bytes: usize,
}

#[derive(FromRow)]
struct Row {
    digest: String,
    media_type: String,
    size: i64,
    artifact_type: Option<String>,
    annotations: Option<String>,
}

impl TryFrom<Row> for Referrer {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let digest = row.digest.parse().map_err(|_| Error::row("manifests", "digest", &row.digest))?;
        let Row { media_type, artifact_type, annotations, .. } = row;
        Ok(Self { digest, media_type, size: row.size.cast_unsigned(), artifact_type, annotations })
    }
}

const COLUMNS: &str = "m.digest, m.media_type, length(m.bytes) AS size, m.artifact_type, m.annotations";

/// The referrers that are wanted, and whether there are more behind them.
///
/// # Errors
/// [`Error::Database`], and [`Error::Row`] for a row that breaks its types.
pub async fn list(db: &Db, repository: &RepoName, wanted: &Wanted<'_>) -> Result<(Vec<Referrer>, bool), Error> {
    let mut select = QueryBuilder::<Sqlite>::new(format!(
        "SELECT {COLUMNS} FROM repositories r JOIN manifests m ON m.repository_id = r.id WHERE r.name = "
    ));
    select.push_bind(repository.as_str()).push(" AND m.subject = ").push_bind(wanted.subject.to_string());
    select.push(" AND m.digest > ").push_bind(wanted.last.unwrap_or_default());
    if let Some(artifact_type) = wanted.artifact_type {
        select.push(" AND m.artifact_type = ").push_bind(artifact_type);
    }
    select.push(" ORDER BY m.digest LIMIT ").push_bind(i64::from(wanted.limit) + 1);
    let mut rows = select.build_query_as::<Row>().fetch(db.read());
    let (mut found, mut bytes) = (Vec::new(), 0);
    // One by one: annotations may be as large as manifests, and many.
    while let Some(row) = rows.try_next().await? {
        bytes += row.annotations.as_ref().map_or(0, String::len);
        if found.len() >= wanted.limit as usize || (bytes > wanted.bytes && !found.is_empty()) {
            return Ok((found, true));
        }
        found.push(row.try_into()?);
    }
    Ok((found, false))
}

/// Those of `digests` that are manifests of this repository which name no subject themselves, without their annotations.
///
/// # Errors
/// [`Error::Database`], and [`Error::Row`] for a row that breaks its types.
pub async fn without_subject(db: &Db, repository: &RepoName, digests: &[Digest]) -> Result<Vec<Referrer>, Error> {
    let mut found = Vec::new();
    for some in digests.chunks(PER_STATEMENT) {
        let mut select = QueryBuilder::<Sqlite>::new(
            "SELECT m.digest, m.media_type, length(m.bytes) AS size, m.artifact_type, NULL AS annotations
             FROM repositories r JOIN manifests m ON m.repository_id = r.id WHERE m.subject IS NULL AND r.name = ",
        );
        select.push_bind(repository.as_str()).push(" AND m.digest IN (");
        let mut list = select.separated(", ");
        for digest in some {
            list.push_bind(digest.to_string());
        }
        select.push(")");
        for row in select.build_query_as::<Row>().fetch_all(db.read()).await? {
            found.push(row.try_into()?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::{self, NewManifest};

    async fn pushed(db: &Db, content: &str, subject: Option<&Digest>, artifact_type: &str, annotations: Option<&str>) -> Digest {
        let digest = Digest::of(content.as_bytes());
        let new = NewManifest {
            repository: "1/a".parse().unwrap(),
            tags: vec![],
            digest: digest.clone(),
            media_type: "m/t".into(),
            artifact_type: Some(artifact_type.into()),
            subject: subject.cloned(),
            annotations: annotations.map(Into::into),
            bytes: content.to_owned().into(),
            blobs: vec![],
            manifests: vec![],
            account: "ann".into(),
            now: 1,
            quota: 0,
        };
        manifests::put(db, new).await.unwrap();
        digest
    }

    async fn opened() -> (tempfile::TempDir, Db) {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        (dir, db)
    }

    #[tokio::test]
    async fn they_come_by_subject_type_and_page() {
        let (_dir, db) = opened().await;
        let (subject, name) = (Digest::of(b"subject"), "1/a".parse().unwrap());
        let mut all = Vec::new();
        for n in 0..7 {
            let kind = if n < 3 { "a/sig" } else { "a/sbom" };
            all.push(pushed(&db, &format!("m{n}"), Some(&subject), kind, Some("{\"k\":\"v\"}")).await);
        }
        let other = pushed(&db, "other", Some(&Digest::of(b"else")), "a/sig", None).await;
        let loose = pushed(&db, "loose", None, "a/sig", None).await;
        all.sort_by_key(Digest::to_string);
        let wanted = Wanted { subject: &subject, artifact_type: None, last: None, limit: 100, bytes: 1 << 20 };
        let (found, more) = list(&db, &name, &wanted).await.unwrap();
        assert_eq!((found.iter().map(|one| one.digest.clone()).collect::<Vec<_>>(), more), (all.clone(), false));
        assert_eq!((found[0].size, found[0].annotations.as_deref()), (2, Some("{\"k\":\"v\"}")));
        let (some, _) = list(&db, &name, &Wanted { artifact_type: Some("a/sig"), ..wanted }).await.unwrap();
        assert_eq!(some.len(), 3);
        let last = all[2].to_string();
        let (page, more) = list(&db, &name, &Wanted { last: Some(&last), limit: 2, ..wanted }).await.unwrap();
        assert_eq!((page.len(), &page[0].digest, more), (2, &all[3], true));
        let (page, more) = list(&db, &name, &Wanted { bytes: 10, ..wanted }).await.unwrap();
        assert_eq!((page.len(), more), (1, true), "annotations are bounded");
        assert!(list(&db, &"1/none".parse().unwrap(), &wanted).await.unwrap().0.is_empty());
        let free = without_subject(&db, &name, &[other, loose.clone(), Digest::of(b"gone")]).await.unwrap();
        assert_eq!(free.iter().map(|one| &one.digest).collect::<Vec<_>>(), [&loose]);
    }
}
