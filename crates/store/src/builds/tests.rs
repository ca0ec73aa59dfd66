use super::*;
use crate::{Db, accounts, engines};
use model::{capability::Capability, engine::DeploymentModel};

fn engine() -> engines::Engine {
    engines::Engine {
        id: EngineId(uuid::Uuid::from_u128(1)),
        organization: OrganizationId(1),
        name: "Word list".into(),
        description: String::new(),
        category: Capability::Keyword,
        deployment_model: DeploymentModel::FullyNetworkIsolated,
        extra: serde_json::json!({}),
        disabled: false,
        deleted: false,
        last_version: 0,
        created_by: "dev@example.org".into(),
        created_at: 1,
        modified_at: 1,
    }
}

fn build(n: u128, version: i64, digest: &[u8]) -> Build {
    Build {
        id: BuildId(uuid::Uuid::from_u128(n)),
        engine: engine().id,
        version,
        status: BuildStatus::Fetching,
        repository: "1/word-list".into(),
        tag: "latest".into(),
        digest: Digest::of(digest),
        manifest: serde_json::json!({"engineId": "x"}),
        pushed_by: "dev@example.org".into(),
        pushed_at: 1,
        created_at: 1,
        modified_at: 1,
        life: Life::default(),
    }
}

fn report_of(user: &str) -> Report {
    serde_json::from_value(serde_json::json!({
        "engineId": null, "build": null, "uploadTime": 1, "user": user, "image": "h/1/a:b", "inspect": [], "vulnerabilities": [],
        "vulnerabilityCounts": {}, "testLog": [], "success": true, "errors": [], "schemaVersion": 1, "gate": "compliance",
        "verdict": "available", "imageDigest": null, "platform": null, "imageSizeBytes": 0, "manifest": null,
        "deploymentModel": null, "policy": {}, "checks": [], "warnings": [], "stats": null, "timedOut": false,
        "findingsHash": Digest::of(b""),
    }))
    .unwrap()
}

async fn db(dir: &std::path::Path) -> Db {
    let db = Db::open(&dir.join("p.db")).await.unwrap();
    let mut tx = db.write().await.unwrap();
    accounts::insert_organization(&mut tx, OrganizationId(1), "First", 0).await.unwrap();
    engines::insert(&mut tx, &engine()).await.unwrap();
    tx.commit().await.unwrap();
    db
}

/// A database with so many builds, in the order of their ids.
pub(crate) async fn with_builds(dir: &std::path::Path, count: u128) -> (Db, Vec<BuildId>) {
    let db = db(dir).await;
    let mut tx = db.write().await.unwrap();
    for n in 1..=count {
        insert(&mut tx, &build(n, n as i64, &n.to_le_bytes())).await.unwrap();
    }
    tx.commit().await.unwrap();
    (db, (1..=count).map(|n| BuildId(uuid::Uuid::from_u128(n))).collect())
}

#[tokio::test]
async fn one_digest_is_one_build_until_it_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let db = db(dir.path()).await;
    let mut tx = db.write().await.unwrap();
    assert_eq!(engines::next_version(&mut tx, engine().id).await.unwrap(), 1);
    insert(&mut tx, &build(1, 1, b"a")).await.unwrap();
    assert!(insert(&mut tx, &build(2, 2, b"a")).await.is_err());
    assert_eq!(by_digest(&mut tx, engine().id, &Digest::of(b"a")).await.unwrap().unwrap().version, 1);
    assert!(set_status(&mut tx, build(1, 1, b"a").id, BuildStatus::Fetching, BuildStatus::Deleted, 2).await.unwrap());
    assert_eq!(engines::next_version(&mut tx, engine().id).await.unwrap(), 2);
    insert(&mut tx, &build(2, 2, b"a")).await.unwrap();
    tx.commit().await.unwrap();
    let listed = |statuses: &'static [BuildStatus]| {
        let db = db.clone();
        async move { list(db.read(), engine().id, statuses, 0, 30).await.unwrap().iter().map(|b| b.version).collect::<Vec<_>>() }
    };
    assert_eq!(listed(&[]).await, [2]);
    assert_eq!(listed(&[BuildStatus::Deleted]).await, [1]);
    assert_eq!(listed(&[BuildStatus::Deleted, BuildStatus::Fetching]).await, [2, 1]);
    assert_eq!(engines::by_id(db.read(), engine().id).await.unwrap().unwrap().last_version, 2);
}

#[tokio::test]
async fn the_first_to_move_a_build_wins() {
    let dir = tempfile::tempdir().unwrap();
    let db = db(dir.path()).await;
    let id = build(1, 1, b"a").id;
    let mut tx = db.write().await.unwrap();
    insert(&mut tx, &build(1, 1, b"a")).await.unwrap();
    assert!(set_status(&mut tx, id, BuildStatus::Fetching, BuildStatus::Available, 5).await.unwrap());
    assert!(!set_status(&mut tx, id, BuildStatus::Fetching, BuildStatus::Invalid, 6).await.unwrap());
    for (now, user) in ["one", "two"].iter().enumerate() {
        insert_report(&mut tx, id, &report_of(user), now as i64).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(by_id(db.read(), id).await.unwrap().unwrap().modified_at, 5);
    let newest: Report = serde_json::from_str(&report(db.read(), id).await.unwrap().unwrap()).unwrap();
    assert_eq!(newest, report_of("two"));
    assert_eq!(statuses(db.read(), engine().id).await.unwrap(), [BuildStatus::Available]);
    assert_eq!(organization(db.read(), id).await.unwrap(), Some(OrganizationId(1)));
    assert_eq!(
        engines::list(db.read(), OrganizationId(2), &engines::Filter::default(), engines::Order::default(), 0, 10).await.unwrap(),
        []
    );
}
