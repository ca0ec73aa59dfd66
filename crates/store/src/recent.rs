//! Answers that are good until the next commit. Whoever asks the same again before anything was written gets the same answer without
//! asking the database; a commit by anybody, also by another process, ends all of them. So there is nothing to invalidate, and nothing
//! that could be forgotten when a new kind of change is added.

use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Length of the header of the WAL index. It is at the front of the file `-shm`, twice (SQLite's "WAL-mode File Format", 2.1).
const HEADER: usize = 48;

/// Memory for the answers. When it is used up, all are forgotten: those that matter come again.
const MOST_BYTES: usize = 4 << 20;

/// The state of the database: the header has a counter of commits, the number of frames in the log and their checksum.
type Version = [u8; HEADER];

/// Answers by question, and the state of the database they were given in.
#[derive(Debug)]
pub(crate) struct Recent<A> {
    index: PathBuf,
    known: Mutex<Known<A>>,
}

#[derive(Debug)]
struct Known<A> {
    version: Option<Version>,
    answers: HashMap<String, A>,
    bytes: usize,
}

impl<A: Clone> Recent<A> {
    /// Remembers answers of the database in this file.
    pub(crate) fn of(database: &Path) -> Self {
        let mut index = database.as_os_str().to_owned();
        index.push("-shm");
        Self { index: index.into(), known: Mutex::new(Known { version: None, answers: HashMap::new(), bytes: 0 }) }
    }

    /// The answer to `question`, by `ask` if it is not known; `weight` tells its bytes.
    pub(crate) async fn answer<E>(
        &self,
        question: String,
        weight: impl Fn(&A) -> usize,
        ask: impl Future<Output = Result<A, E>>,
    ) -> Result<A, E> {
        // Looked at before the database is asked: the answer is at least as new as this.
        let version = self.version();
        if let Some(known) = version.and_then(|version| self.known(version, &question)) {
            return Ok(known);
        }
        let answer = ask.await?;
        if let Some(version) = version {
            let bytes = weight(&answer) + question.len() + 128;
            self.keep(version, question, answer.clone(), bytes);
        }
        Ok(answer)
    }

    fn known(&self, version: Version, question: &str) -> Option<A> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.version == Some(version) { known.answers.get(question).cloned() } else { None }
    }

    fn keep(&self, version: Version, question: String, answer: A, bytes: usize) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.version != Some(version) || known.bytes + bytes > MOST_BYTES {
            *known = Known { version: Some(version), answers: HashMap::new(), bytes: 0 };
        }
        if bytes <= MOST_BYTES / 16 && known.answers.insert(question, answer).is_none() {
            known.bytes += bytes;
        }
    }

    /// `None` while a commit is just changing it, or when there is none.
    fn version(&self) -> Option<Version> {
        let mut both = [0; 2 * HEADER];
        // Opened anew each time: SQLite may have put another file in its place.
        File::open(&self.index).and_then(|file| file.read_exact_at(&mut both, 0)).ok()?;
        let (first, second) = both.split_at(HEADER);
        // SQLite writes the second copy first, then the first.
        if first == second { first.try_into().ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, convert::Infallible};

    use super::*;
    use crate::Db;

    async fn asked(recent: &Recent<Vec<u8>>, question: &str, answer: Vec<u8>) -> (Vec<u8>, bool) {
        let was_asked = Cell::new(false);
        let ask = async {
            was_asked.set(true);
            Ok::<_, Infallible>(answer)
        };
        let answer = recent.answer(question.into(), Vec::len, ask).await.unwrap();
        (answer, was_asked.get())
    }

    async fn commit(db: &Db, name: &str) {
        let mut tx = db.write().await.unwrap();
        let insert = sqlx::query("INSERT INTO repositories (name, organization_id, created_at) VALUES ($1, 1, 0)");
        insert.bind(name).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_is_good_until_the_next_commit_of_anybody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.db");
        let (db, other) = (Db::open(&path).await.unwrap(), Db::open(&path).await.unwrap());
        let recent = Recent::of(&path);
        commit(&db, "1/a").await;
        for writer in [&db, &other] {
            assert_eq!(asked(&recent, "q", vec![1]).await, (vec![1], true));
            assert_eq!(asked(&recent, "q", vec![2]).await, (vec![1], false));
            assert_eq!(asked(&recent, "another", vec![3]).await, (vec![3], true));
            commit(writer, if std::ptr::eq(writer, &db) { "1/b" } else { "1/c" }).await;
            // What is dropped was never written and ends nothing.
            assert_eq!(asked(&recent, "q", vec![1]).await, (vec![1], true));
            drop(writer.write().await.unwrap());
            assert_eq!(asked(&recent, "q", vec![2]).await, (vec![1], false));
            commit(writer, if std::ptr::eq(writer, &db) { "1/d" } else { "1/e" }).await;
        }
    }

    #[tokio::test]
    async fn a_commit_while_the_database_is_asked_leaves_nothing_old_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.db");
        let db = Db::open(&path).await.unwrap();
        commit(&db, "1/a").await;
        let recent = Recent::of(&path);
        let late = async {
            commit(&db, "1/b").await;
            Ok::<_, Infallible>(vec![1])
        };
        assert_eq!(recent.answer("q".into(), Vec::len, late).await.unwrap(), [1]);
        assert_eq!(asked(&recent, "q", vec![2]).await, (vec![2], true));
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.db");
        let db = Db::open(&path).await.unwrap();
        commit(&db, "1/a").await;
        let recent = Recent::of(&path);
        for n in 0..1000 {
            asked(&recent, &n.to_string(), vec![0; 100_000]).await;
            assert!(recent.known.lock().unwrap().bytes <= MOST_BYTES);
        }
        asked(&recent, "huge", vec![0; MOST_BYTES]).await;
        assert!(asked(&recent, "huge", vec![0; 1]).await.1, "what is huge is not kept");
    }

    #[tokio::test]
    async fn without_an_index_nothing_is_kept() {
        let recent = Recent::of(Path::new("/nonexistent/p.db"));
        assert!(asked(&recent, "q", vec![1]).await.1);
        assert!(asked(&recent, "q", vec![1]).await.1);
    }
}
