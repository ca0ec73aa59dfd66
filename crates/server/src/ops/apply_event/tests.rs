use model::{
    capability::Capability,
    digest::Digest,
    engine::DeploymentModel,
    id::{BuildId, EngineId, OrganizationId},
    name::{Reference, RepoName, Tag},
};
use store::{
    Db, accounts,
    engines::{self, Engine},
    manifests::{self, NewManifest, Put},
    repositories::{self, Removal},
};

use super::*;

const REVIEWER: Acting<'static> = Acting { actor: Actor::Reviewer, name: "rev@example.org" };
const DEVELOPER: Acting<'static> = Acting { actor: Actor::Developer, name: "dev@example.org" };

fn repository() -> RepoName {
    "1/words".parse().unwrap()
}

async fn push(db: &Db, tag: &str, bytes: &[u8]) -> Put {
    let new = NewManifest {
        repository: repository(),
        tags: vec![tag.parse::<Tag>().unwrap()],
        digest: Digest::of(bytes),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        artifact_type: None,
        subject: None,
        annotations: None,
        bytes: bytes.to_vec().into(),
        blobs: vec![],
        manifests: vec![],
        account: "dev@example.org".into(),
        now: 1,
        quota: 0,
    };
    manifests::put(db, new).await.unwrap()
}

async fn pushed_build(db: &Db) -> Build {
    assert!(matches!(push(db, "v1", b"one").await, Put::Stored(_)));
    let engine = Engine {
        id: EngineId(clock::new_id()),
        organization: OrganizationId(1),
        name: "Words".into(),
        description: String::new(),
        category: Capability::Keyword,
        deployment_model: DeploymentModel::FullyNetworkIsolated,
        extra: serde_json::json!({}),
        disabled: false,
        deleted: false,
        last_version: 1,
        created_by: "dev@example.org".into(),
        created_at: 0,
        modified_at: 0,
    };
    let build = Build {
        id: BuildId(clock::new_id()),
        engine: engine.id,
        version: 1,
        status: BuildStatus::Available,
        repository: repository().to_string(),
        tag: "v1".into(),
        digest: Digest::of(b"one"),
        manifest: serde_json::json!({}),
        pushed_by: "dev@example.org".into(),
        pushed_at: 0,
        created_at: 0,
        modified_at: 0,
        life: Life::default(),
    };
    let mut tx = db.write().await.unwrap();
    accounts::insert_organization(&mut tx, OrganizationId(1), "First", 0).await.unwrap();
    engines::insert(&mut tx, &engine).await.unwrap();
    builds::insert(&mut tx, &build).await.unwrap();
    tx.commit().await.unwrap();
    build
}

async fn move_build(db: &Db, build: &mut Build, event: Event, acting: Acting<'_>) {
    let circumstances = Circumstances { attempts_left: true, ..Circumstances::default() };
    let mut tx = db.write().await.unwrap();
    build.status = apply_event(&mut tx, build, event, acting, &circumstances, "because").await.unwrap();
    tx.commit().await.unwrap();
}

async fn opened() -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("p.db")).await.unwrap();
    (dir, db)
}

#[tokio::test]
async fn the_tag_of_a_submitted_build_stays_until_the_build_is_gone() {
    let (_dir, db) = opened().await;
    let mut build = pushed_build(&db).await;
    assert!(matches!(push(&db, "v1", b"two").await, Put::Stored(_)), "nobody has decided anything yet");
    assert!(matches!(push(&db, "v1", b"one").await, Put::Stored(_)));

    move_build(&db, &mut build, Event::Submit, DEVELOPER).await;
    assert_eq!(build.status, BuildStatus::Pending);
    let Put::Held(hold) = push(&db, "v1", b"two").await else { panic!("the tag was moved") };
    assert_eq!(
        hold.reason,
        "it names build 1 of engine Words, which is pending; push under another tag, which makes a new build, or delete that build first"
    );
    assert_eq!(hold.page, format!("/builds/{}", build.id));
    assert!(matches!(push(&db, "v1", b"one").await, Put::Stored(_)), "the same image again moves nothing");
    for tag in ["v2", "latest"] {
        assert!(matches!(push(&db, tag, b"two").await, Put::Stored(_)), "{tag}");
    }
    let v1: Tag = "v1".parse().unwrap();
    assert!(matches!(repositories::delete_tag(&db, &repository(), &v1).await.unwrap(), Removal::Held(_)));
    assert!(matches!(manifests::delete(&db, &repository(), &build.digest).await.unwrap(), Removal::Held(_)));

    move_build(&db, &mut build, Event::Delete, DEVELOPER).await;
    assert_eq!(build.status, BuildStatus::Deleted);
    assert!(matches!(push(&db, "v1", b"two").await, Put::Stored(_)));
    let now = manifests::get(&db, &repository(), &Reference::Tag(v1)).await.unwrap().unwrap();
    assert_eq!(now.bytes, b"two");
}

#[tokio::test]
async fn a_refused_build_gives_its_tag_back() {
    let (_dir, db) = opened().await;
    let mut build = pushed_build(&db).await;
    move_build(&db, &mut build, Event::Submit, DEVELOPER).await;
    assert!(matches!(push(&db, "v1", b"two").await, Put::Held(_)));
    move_build(&db, &mut build, Event::PhaseFail, SYSTEM).await;
    assert_eq!(build.status, BuildStatus::Disapproved);
    assert!(matches!(push(&db, "v1", b"two").await, Put::Stored(_)));
}

#[tokio::test]
async fn a_change_that_is_not_committed_holds_nothing() {
    let (_dir, db) = opened().await;
    let build = pushed_build(&db).await;
    let mut tx = db.write().await.unwrap();
    apply_event(&mut tx, &build, Event::Submit, DEVELOPER, &Circumstances::default(), "").await.unwrap();
    drop(tx);
    assert!(matches!(push(&db, "v1", b"two").await, Put::Stored(_)));
    // Somebody else was faster: nothing is moved, and nothing is held.
    let stale = Build { status: BuildStatus::Paused, ..build };
    let mut tx = db.write().await.unwrap();
    let refused = apply_event(&mut tx, &stale, Event::Disapprove, REVIEWER, &Circumstances::default(), "no").await;
    assert!(matches!(refused, Err(NotApplied::Raced)), "{refused:?}");
}

#[test]
fn what_people_decide_about_stays_named() {
    let holding: Vec<BuildStatus> = BuildStatus::ALL.into_iter().filter(|status| holds_tag(*status)).collect();
    assert_eq!(
        holding,
        [
            BuildStatus::Pending,
            BuildStatus::Approved,
            BuildStatus::Deploying,
            BuildStatus::Deployed,
            BuildStatus::DeployFailed,
            BuildStatus::Paused
        ]
    );
}
