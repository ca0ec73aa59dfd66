//! Never two live builds, never none without need: many deploys at once, and deploys that are cut off anywhere.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::join_all;
use model::{
    build::{BuildStatus, MAX_ATTEMPTS},
    id::EngineId,
};
use store::{builds, jobs};

use super::{
    journey::started,
    webhook_engine::{image, sandbox},
    world::{EMAIL, World},
};
use crate::{clock, jobs::run_deploy};

const ALL: usize = 64;

async fn set_status(world: &World, id: &str, status: BuildStatus) {
    let mut tx = world.app.db.write().await.unwrap();
    sqlx::query("UPDATE builds SET status = $2, phase = NULL WHERE id = $1")
        .bind(id)
        .bind(status.as_str())
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn statuses(world: &World, engine: &str) -> BTreeMap<String, usize> {
    let rows = builds::list(world.app.db.read(), engine.parse().unwrap(), &[], 0, 1000).await.unwrap();
    let mut found = BTreeMap::new();
    for row in rows {
        *found.entry(row.status.to_string()).or_default() += 1;
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_deploys_at_once_one_is_live_at_every_instant() {
    let (world, engine) = started().await;
    for n in 0..ALL {
        world.push(&image(&engine, &format!("v{n}"), &[]), "1/words", &format!("v{n}")).await.is(201);
    }
    let mut ids = Vec::new();
    for _ in 0..2_000 {
        let builds = world.builds(&engine, "id status").await;
        let done = builds.len() == ALL && builds.iter().all(|build| build["status"] == "available");
        ids = builds.iter().map(|build| build["id"].as_str().unwrap().to_owned()).collect();
        if done {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for id in &ids {
        set_status(&world, id, BuildStatus::Approved).await;
    }
    assert_eq!(statuses(&world, &engine).await, BTreeMap::from([("approved".into(), ALL)]));
    world.act(EMAIL, &engine, &ids[0], "deploy").await;

    let world = Arc::new(world);
    let (over, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let watching = {
        let (world, engine, over, looks) = (world.clone(), engine.clone(), over.clone(), looks.clone());
        tokio::spawn(async move {
            while !over.load(Ordering::SeqCst) {
                let found = statuses(&world, &engine).await;
                assert_eq!(found.get("deployed"), Some(&1), "{found:?}");
                looks.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        })
    };
    let session = world.session(EMAIL).await;
    let deploys = ids[1..].iter().map(|id| {
        let (world, session) = (world.clone(), session.clone());
        let query =
            format!("mutation {{ updateEngineBuild(input: {{id: \"{id}\", engineId: \"{engine}\", action: deploy}}) {{ status }} }}");
        async move { world.graphql(&session, &query).await.is(200).json() }
    });
    for answer in join_all(deploys).await {
        assert!(answer["errors"].is_null(), "{answer}");
    }
    for id in &ids {
        let build = world.settled(id).await;
        assert!(["deployed", "paused"].contains(&build["status"].as_str().unwrap()), "{build:#}");
    }
    over.store(true, Ordering::SeqCst);
    watching.await.unwrap();
    assert_eq!(statuses(&world, &engine).await, BTreeMap::from([("deployed".into(), 1), ("paused".into(), ALL - 1)]));
    assert!(looks.load(Ordering::SeqCst) > ALL, "it was hardly looked at");
}

/// Gives up a future after so many polls, as a killed process does.
struct CutOff<F> {
    work: Pin<Box<F>>,
    polls: usize,
}

impl<F: Future> Future for CutOff<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        if self.polls == 0 {
            // Cut off also when nothing wakes it any more.
            cx.waker().wake_by_ref();
        }
        self.work.as_mut().poll(cx).map(Some)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_cut_off_anywhere_agrees_with_itself_and_goes_on() {
    let (world, engine) = started().await;
    let one = world.approved(&engine, "v1", &[]).await;
    let two = world.approved(&engine, "v2", &[]).await;
    world.act(EMAIL, &engine, &one, "deploy").await;
    let (mut live, mut next) = (one, two);
    let (mut polls, mut ended) = (1, false);
    while !ended {
        let (took, job) = cut_off(&world, &engine, &next, polls).await;
        ended = took;
        let found = statuses(&world, &engine).await;
        assert_eq!(found.get("deployed"), Some(&1), "after {polls} polls: {found:?}");
        let id: EngineId = engine.parse().unwrap();
        let now = builds::live(world.app.db.read(), id).await.unwrap().unwrap();
        assert!([&live, &next].contains(&&now.id.to_string()));
        // Whoever comes after the kill finds the job and finishes.
        jobs::release(&world.app.db, job, "cut").await.unwrap();
        world.app.work.notify_one();
        assert_eq!(world.settled(&next).await["status"], "deployed", "after {polls} polls");
        assert_eq!(world.settled(&live).await["status"], "paused", "after {polls} polls");
        std::mem::swap(&mut live, &mut next);
        polls += 1 + polls / 4;
    }
    assert!(polls > 8, "the deploy ended before it was cut off anywhere");
}

/// Begins a deploy as a worker that dies after so many polls; true when it was done before.
async fn cut_off(world: &World, engine: &str, build: &str, polls: usize) -> (bool, model::id::JobId) {
    // Taken in the transaction that makes it, so that no other worker is faster.
    let mut tx = world.app.db.write().await.unwrap();
    let now = clock::now_ms();
    let row = builds::lock(&mut tx, build.parse().unwrap()).await.unwrap().unwrap();
    assert!(builds::set_status(&mut tx, row.id, row.status, BuildStatus::Deploying, now).await.unwrap());
    let life = store::build_life::Life { attempts: 0, ..row.life };
    store::build_life::set(&mut tx, row.id, &life).await.unwrap();
    let id = model::id::JobId(clock::new_id());
    assert!(jobs::enqueue(&mut tx, id, crate::jobs::DEPLOY_BUILD, engine, now).await.unwrap());
    sqlx::query("UPDATE jobs SET state = 'running', worker = 'cut', lease_until = $2, attempts = 1 WHERE id = $1")
        .bind(id.to_string())
        .bind(now + 600_000)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let job = jobs::Job { id, kind: crate::jobs::DEPLOY_BUILD.into(), subject: engine.into(), attempts: 1 };
    let work = Box::pin(run_deploy(world.app.clone(), job, "cut".into()));
    let done = CutOff { work, polls }.await;
    (done.is_some(), id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_restarted_loses_no_attempt() {
    let (mut world, engine) = started().await;
    let hold = world.dir.path().join("hold");
    let build = world.approved(&engine, "v1", &[("HOLD", hold.to_str().unwrap())]).await;
    std::fs::write(&hold, "").unwrap();
    let deploy =
        format!("mutation {{ updateEngineBuild(input: {{id: \"{build}\", engineId: \"{engine}\", action: deploy}}) {{ status }} }}");
    world.as_person(EMAIL, &deploy).await;
    // More often than attempts may be lost.
    for round in 0..MAX_ATTEMPTS + 2 {
        let begun = async || builds::by_id(world.app.db.read(), build.parse().unwrap()).await.unwrap().unwrap();
        for _ in 0..2_000 {
            if begun().await.life.attempts == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let row = begun().await;
        assert_eq!((row.status, row.life.attempts), (BuildStatus::Deploying, 1), "round {round}");
        world = world.restarted(sandbox()).await;
    }
    std::fs::remove_file(&hold).unwrap();
    let live = world.settled(&build).await;
    assert_eq!(live["status"], "deployed", "{live:#}");
    let lost = live["history"].as_array().unwrap().iter().filter(|line| line["event"] == "lost").count();
    assert_eq!(lost, 0, "{live:#}");
}
