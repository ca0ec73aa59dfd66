use super::*;
use crate::{manifests, pushes};

async fn opened() -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("p.db")).await.unwrap();
    (dir, db)
}

fn new(number: usize, blobs: Vec<Digest>) -> NewManifest {
    let bytes = Bytes::from(format!("{{\"n\":{number}}}"));
    NewManifest {
        repository: "1/a".parse().unwrap(),
        tags: vec![format!("t{number}").parse().unwrap()],
        digest: Digest::of(&bytes),
        media_type: "m".into(),
        artifact_type: None,
        subject: None,
        annotations: None,
        bytes,
        blobs,
        manifests: vec![],
        account: "ann".into(),
        now: 1,
        quota: 40,
    }
}

/// All at the same time, while the writer is busy: so they share transactions.
async fn at_once(db: &Db, all: Vec<NewManifest>) -> Vec<Result<Put, Error>> {
    let busy = db.write().await.unwrap();
    let puts = all.into_iter().map(|new| {
        let db = db.clone();
        tokio::spawn(async move { put(&db, new).await })
    });
    let puts: Vec<_> = puts.collect();
    tokio::task::yield_now().await;
    drop(busy);
    let mut answers = Vec::new();
    for put in puts {
        answers.push(put.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn one_that_is_refused_does_not_touch_the_others() {
    let (_dir, db) = opened().await;
    let gone = Digest::of(b"gone");
    // Seven bytes each: the sixth is one too many, the second lacks a blob.
    let all = (0..7).map(|number| new(number, if number == 1 { vec![gone.clone()] } else { vec![] })).collect();
    let answers = at_once(&db, all).await;
    for (number, answer) in answers.into_iter().enumerate() {
        match (number, answer) {
            (1, Ok(Put::Missing(blobs))) => assert_eq!(blobs, std::slice::from_ref(&gone)),
            (6, Err(Error::OverQuota { used: 35, needs: 7, .. })) => {}
            (0 | 2..=5, Ok(Put::Stored(ids))) => assert_eq!(ids.len(), 1),
            (number, other) => panic!("{number}: {other:?}"),
        }
    }
    let told: Vec<String> = pushes::unhandled(&db, 99).await.unwrap().into_iter().map(|push| push.tag.to_string()).collect();
    assert_eq!(told, ["t0", "t2", "t3", "t4", "t5"]);
    assert!(!db.queue().with(|state| state.working));
}

#[tokio::test]
async fn what_one_stores_is_known_of_those_behind_it() {
    let (_dir, db) = opened().await;
    // One manifest under three tags, the last time as another type, in a repository that the first makes: its seven bytes count once.
    let same = |number: usize, media_type: &str| NewManifest {
        tags: vec![format!("s{number}").parse().unwrap()],
        media_type: media_type.into(),
        manifests: vec![Digest::of(media_type.as_bytes())],
        ..new(0, vec![])
    };
    let mut all = vec![same(0, "m"), same(1, "m"), same(2, "x")];
    all.extend((1..6).map(|number| new(number, vec![])));
    let answers = at_once(&db, all).await;
    let stored: Vec<bool> = answers.iter().map(|answer| matches!(answer, Ok(Put::Stored(ids)) if ids.len() == 1)).collect();
    assert_eq!(stored, [true, true, true, true, true, true, true, false], "{answers:?}");
    assert!(matches!(answers.last(), Some(Err(Error::OverQuota { used: 35, .. }))));
    for number in 0..3 {
        let tag = format!("s{number}").parse().unwrap();
        let found = manifests::get(&db, &"1/a".parse().unwrap(), &tag).await.unwrap().unwrap();
        assert_eq!((found.media_type.as_str(), found.digest), ("x", new(0, vec![]).digest));
    }
    let named: Vec<String> = sqlx::query_scalar("SELECT digest FROM manifest_references").fetch_all(db.read()).await.unwrap();
    assert_eq!(named, [Digest::of(b"x").to_string()]);
}

#[tokio::test]
async fn an_error_of_the_database_meets_only_whose_it_is() {
    let (_dir, db) = opened().await;
    let mut tx = db.write().await.unwrap();
    sqlx::query("CREATE TRIGGER no_t2 BEFORE INSERT ON tags WHEN NEW.name = 't2' BEGIN SELECT raise(ABORT, 'not this one'); END")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let answers = at_once(&db, (0..5).map(|number| new(number, vec![])).collect()).await;
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_err(), number == 2, "{number}: {answer:?}");
    }
    for number in 0..5 {
        let found = manifests::get(&db, &"1/a".parse().unwrap(), &format!("t{number}").parse().unwrap()).await.unwrap();
        assert_eq!(found.is_some(), number != 2, "{number}");
    }
}

#[tokio::test]
async fn whoever_goes_away_does_not_stop_the_others() {
    let (_dir, db) = opened().await;
    let busy = db.write().await.unwrap();
    let (gone, waiting) = ((0, db.clone()), (1, db.clone()));
    let [gone, waiting] = [gone, waiting].map(|(number, db)| tokio::spawn(async move { put(&db, new(number, vec![])).await }));
    tokio::task::yield_now().await;
    gone.abort();
    drop(busy);
    assert!(matches!(waiting.await.unwrap(), Ok(Put::Stored(_))));
}

#[test]
fn whoever_has_ended_takes_nothing_from_who_works_next() {
    let queue = Arc::<Queue>::default();
    let join = || {
        let (answer, answered) = oneshot::channel();
        (queue.join(Waiting { new: new(0, vec![]), answer }), answered)
    };
    let (first, _answered) = join();
    let mut working = Working { queue: Arc::clone(&queue), ended: false };
    assert!(first && working.goes_on());
    drop(queue.take());
    assert!(!working.goes_on());
    // Between the end of the work and its clearing up somebody comes.
    let (second, mut answered) = join();
    drop(working);
    assert!(second && queue.with(|state| state.working) && queue.take().len() == 1);

    // Broken off: those who wait are told by their channel, and the next begins anew.
    let (_, mut lost) = join();
    drop(Working { queue: Arc::clone(&queue), ended: false });
    assert!(lost.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
    assert!(answered.try_recv().is_err() && join().0);
}
