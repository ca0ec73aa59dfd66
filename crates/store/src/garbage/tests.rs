use std::collections::{BTreeMap, BTreeSet};

use model::{digest::Digest, name::Tag};
use proptest::prelude::*;

use super::*;
use crate::{
    manifests::{self, NewManifest, Put},
    pushes,
    repositories::{self, add_blob, mount_blob},
};

const GRACE: i64 = 100;

struct World {
    _dir: tempfile::TempDir,
    db: Db,
    now: i64,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("p.db")).await.unwrap();
        Self { _dir: dir, db, now: 1 }
    }

    async fn blob(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        add_blob(&self.db, &repository.parse().unwrap(), &digest, content.len() as u64, self.now, 0).await.unwrap();
        digest
    }

    async fn manifest(
        &self,
        repository: &str,
        content: &[u8],
        tag: Option<&str>,
        blobs: &[Digest],
        manifests: &[Digest],
        subject: Option<&Digest>,
    ) -> bool {
        let new = NewManifest {
            repository: repository.parse().unwrap(),
            tags: tag.map(|tag| tag.parse::<Tag>().unwrap()).into_iter().collect(),
            digest: Digest::of(content),
            media_type: "m".into(),
            artifact_type: None,
            subject: subject.cloned(),
            annotations: None,
            bytes: content.to_vec().into(),
            blobs: blobs.to_vec(),
            manifests: manifests.to_vec(),
            account: "ann".into(),
            now: self.now,
            quota: 0,
        };
        matches!(manifests::put(&self.db, new).await.unwrap(), Put::Stored(_))
    }

    /// The pushes so far were acted on.
    async fn handled(&self) {
        let mut tx = self.db.write().await.unwrap();
        for push in pushes::unhandled(&self.db, 1000).await.unwrap() {
            pushes::mark_handled(&mut tx, &[push.id]).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn collect(&self, grace: i64) -> Vec<Digest> {
        let times = Times { now: self.now, grace };
        let told = find(&self.db, times, true).await.unwrap();
        mark(&self.db, self.now).await.unwrap();
        let manifests = remove_manifests(&self.db, times).await.unwrap();
        mark(&self.db, self.now).await.unwrap();
        let links = remove_links(&self.db, times).await.unwrap();
        let mut gone = Vec::new();
        loop {
            let page = remove_blobs(&self.db).await.unwrap();
            if page.is_empty() {
                break;
            }
            gone.extend(page);
        }
        let mut blobs = Amount::default();
        gone.iter().for_each(|(_, size)| blobs.add(*size));
        assert_eq!((told.manifests, told.links, told.blobs), (manifests, links, blobs), "the look tells what the deed then does");
        gone.into_iter().map(|(digest, _)| digest).collect()
    }

    async fn rows(&self) -> (BTreeSet<(String, String)>, BTreeSet<(String, String)>, BTreeSet<String>) {
        let manifests: Vec<(String, String)> =
            sqlx::query_as("SELECT r.name, m.digest FROM manifests m JOIN repositories r ON r.id = m.repository_id")
                .fetch_all(self.db.read())
                .await
                .unwrap();
        let links: Vec<(String, String)> =
            sqlx::query_as("SELECT r.name, l.digest FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id")
                .fetch_all(self.db.read())
                .await
                .unwrap();
        let blobs: Vec<String> = sqlx::query_scalar("SELECT digest FROM blobs").fetch_all(self.db.read()).await.unwrap();
        (manifests.into_iter().collect(), links.into_iter().collect(), blobs.into_iter().collect())
    }

    async fn holds(&self, repository: &str, content: &[u8]) -> bool {
        let reference = model::name::Reference::Digest(Digest::of(content));
        manifests::get(&self.db, &repository.parse().unwrap(), &reference).await.unwrap().is_some()
    }
}

#[tokio::test]
async fn what_is_uploaded_waits_for_its_manifest() {
    let mut world = World::new().await;
    let digest = world.blob("1/a", b"layer").await;
    assert_eq!(world.collect(GRACE).await, []);
    world.now += GRACE - 1;
    assert_eq!(world.collect(GRACE).await, []);
    // A client asks whether it is here, and then does not send it.
    want_blob(&world.db, &"1/a".parse().unwrap(), &digest).await.unwrap();
    world.now += 1;
    assert_eq!(world.collect(GRACE).await, []);
    assert!(world.manifest("1/a", b"image", Some("v1"), std::slice::from_ref(&digest), &[], None).await);
    world.now += GRACE;
    assert_eq!(world.collect(GRACE).await, []);
    manifests::delete(&world.db, &"1/a".parse().unwrap(), &Digest::of(b"image")).await.unwrap();
    world.now += 1;
    assert_eq!(world.collect(GRACE).await, [], "its grace time begins when it was seen unneeded");
    world.now += GRACE;
    assert_eq!(world.collect(GRACE).await, [digest]);
}

#[tokio::test]
async fn indexes_keep_their_parts_and_subjects_their_referrers() {
    let mut world = World::new().await;
    let (image, index, sbom) = (Digest::of(b"image"), Digest::of(b"index"), Digest::of(b"sbom"));
    assert!(world.manifest("1/a", b"image", None, &[], &[], None).await);
    assert!(world.manifest("1/a", b"index", Some("v1"), &[], std::slice::from_ref(&image), None).await);
    assert!(world.manifest("1/a", b"sbom", None, &[], &[], Some(&image)).await);
    assert!(world.manifest("1/a", b"signature of the sbom", None, &[], &[], Some(&sbom)).await);
    assert!(world.manifest("1/a", b"of something that never came", None, &[], &[], Some(&Digest::of(b"never"))).await);
    world.handled().await;
    for _ in 0..3 {
        world.now += GRACE;
        world.collect(GRACE).await;
    }
    for kept in [b"image".as_slice(), b"index", b"sbom", b"signature of the sbom"] {
        assert!(world.holds("1/a", kept).await, "{}", String::from_utf8_lossy(kept));
    }
    assert!(!world.holds("1/a", b"of something that never came").await);
    repositories::delete_tag(&world.db, &"1/a".parse().unwrap(), &"v1".parse().unwrap()).await.unwrap();
    world.collect(GRACE).await;
    want_manifest(&world.db, &"1/a".parse().unwrap(), &index).await.unwrap();
    world.now += GRACE;
    world.collect(GRACE).await;
    assert!(world.holds("1/a", b"signature of the sbom").await, "what a wanted index needs waits with it");
    world.now += GRACE;
    world.collect(GRACE).await;
    assert_eq!(world.rows().await.0, BTreeSet::new());
}

#[tokio::test]
async fn builds_and_open_pushes_keep_their_images() {
    let mut world = World::new().await;
    for image in [b"build".as_slice(), b"open", b"deleted"] {
        assert!(world.manifest("1/a", image, Some("latest"), &[], &[], None).await);
        if image == b"build" {
            world.handled().await;
        }
    }
    let mut tx = world.db.write().await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO organizations (id, name, created_at) VALUES (1, 'one', 0);
         INSERT INTO engines (id, organization_id, name, description, category, deployment_model, extra, created_by, created_at, modified_at)
             VALUES ('e', 1, 'e', '', 'keyword', 'x', '{}', 'ann', 0, 0);",
    )
    .execute(&mut *tx)
    .await
    .unwrap();
    for (n, status, image) in [(1, "available", b"build".as_slice()), (2, "deleted", b"deleted")] {
        sqlx::query(
            "INSERT INTO builds (id, engine_id, version, status, repository, tag, digest, manifest, pushed_by, pushed_at, created_at,
                 modified_at) VALUES ($1, 'e', $1, $2, '1/a', 'v', $3, '{}', 'ann', 0, 0, 0)",
        )
        .bind(n)
        .bind(status)
        .bind(Digest::of(image).to_string())
        .execute(&mut *tx)
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    repositories::delete_tag(&world.db, &"1/a".parse().unwrap(), &"latest".parse().unwrap()).await.unwrap();
    for _ in 0..2 {
        world.now += GRACE;
        world.collect(GRACE).await;
    }
    let kept = [world.holds("1/a", b"build").await, world.holds("1/a", b"open").await, world.holds("1/a", b"deleted").await];
    assert_eq!(kept, [true, true, true], "an open push may still become a build");
    world.handled().await;
    for _ in 0..2 {
        world.now += GRACE;
        world.collect(GRACE).await;
    }
    let kept = [world.holds("1/a", b"build").await, world.holds("1/a", b"open").await, world.holds("1/a", b"deleted").await];
    assert_eq!(kept, [true, false, false]);
}

#[tokio::test]
async fn many_pages_are_all_seen() {
    let mut world = World::new().await;
    for n in 0..PAGE as u32 + 50 {
        world.blob("1/a", &n.to_be_bytes()).await;
        world.manifest("1/b", &n.to_be_bytes(), None, &[], &[], None).await;
    }
    world.collect(GRACE).await;
    world.now += GRACE;
    assert_eq!(world.collect(GRACE).await.len(), PAGE as usize + 50);
    let (manifests, links, blobs) = world.rows().await;
    assert_eq!((manifests.len(), links.len(), blobs.len()), (0, 0, 0));
}

#[tokio::test]
async fn what_is_done_is_forgotten_after_a_while() {
    let mut world = World::new().await;
    world.manifest("1/a", b"one", Some("v1"), &[], &[], None).await;
    world.handled().await;
    world.now = 50;
    world.manifest("1/a", b"two", Some("v1"), &[], &[], None).await;
    assert_eq!(forget_done(&world.db, 100).await.unwrap(), 1);
    assert_eq!(pushes::unhandled(&world.db, 10).await.unwrap().len(), 1);
}

/// One step of somebody, or of time.
#[derive(Clone, Debug)]
enum Step {
    Blob {
        repository: u8,
        blob: u8,
    },
    Mount {
        from: u8,
        to: u8,
        blob: u8,
    },
    /// An image of two blobs, perhaps tagged, perhaps about another manifest.
    Image {
        repository: u8,
        image: u8,
        tag: Option<u8>,
        subject: Option<u8>,
    },
    /// An index of two manifests.
    Index {
        repository: u8,
        index: u8,
        children: [u8; 2],
        tag: Option<u8>,
    },
    DeleteManifest {
        repository: u8,
        manifest: u8,
    },
    DeleteTag {
        repository: u8,
        tag: u8,
    },
    Wait(i64),
    Collect,
}

fn step() -> impl Strategy<Value = Step> {
    let (r, b, m, t) = (0..3u8, 0..6u8, 0..6u8, 0..3u8);
    let tag = || proptest::option::of(0..3u8);
    prop_oneof![
        4 => (r.clone(), b.clone()).prop_map(|(repository, blob)| Step::Blob { repository, blob }),
        2 => (r.clone(), r.clone(), b).prop_map(|(from, to, blob)| Step::Mount { from, to, blob }),
        6 => (r.clone(), m.clone(), tag(), proptest::option::weighted(0.3, 0..9u8))
            .prop_map(|(repository, image, tag, subject)| Step::Image { repository, image, tag, subject }),
        3 => (r.clone(), 6..9u8, [0..9u8, 0..9u8], tag())
            .prop_map(|(repository, index, children, tag)| Step::Index { repository, index, children, tag }),
        2 => (r.clone(), 0..9u8).prop_map(|(repository, manifest)| Step::DeleteManifest { repository, manifest }),
        3 => (r, t).prop_map(|(repository, tag)| Step::DeleteTag { repository, tag }),
        3 => (1..GRACE).prop_map(Step::Wait),
        4 => Just(Step::Collect),
    ]
}

#[derive(Clone, Debug, Default)]
struct Manifest {
    blobs: Vec<u8>,
    manifests: Vec<u8>,
    subject: Option<u8>,
}

/// What must be kept, by the words of the rule rather than by SQL.
#[derive(Clone, Debug, Default)]
struct Model {
    manifests: BTreeMap<(u8, u8), Manifest>,
    tags: BTreeMap<(u8, u8), u8>,
    /// When a blob was last sent to a repository.
    sent: BTreeMap<(u8, u8), i64>,
}

impl Model {
    /// Manifests that tags reach.
    fn needed(&self) -> BTreeSet<(u8, u8)> {
        let mut open: Vec<(u8, u8)> = self.tags.iter().map(|((repository, _), manifest)| (*repository, *manifest)).collect();
        let mut seen = BTreeSet::new();
        while let Some(place) = open.pop() {
            let Some(manifest) = self.manifests.get(&place).filter(|_| seen.insert(place)) else { continue };
            open.extend(manifest.manifests.iter().map(|child| (place.0, *child)));
            let about = |(key, other): (&(u8, u8), &Manifest)| (key.0 == place.0 && other.subject == Some(place.1)).then_some(*key);
            open.extend(self.manifests.iter().filter_map(about));
        }
        seen
    }
}

fn repository(n: u8) -> String {
    // Two of one organization, one of another.
    format!("{}/r{n}", 1 + n / 2)
}

fn blob(n: u8) -> Vec<u8> {
    format!("blob {n}").into_bytes()
}

fn digest(manifest: u8) -> Digest {
    Digest::of(&content(manifest))
}

fn content(manifest: u8) -> Vec<u8> {
    format!("manifest {manifest}").into_bytes()
}

async fn take(world: &mut World, model: &mut Model, step: &Step) {
    match step {
        Step::Blob { repository: r, blob: b } => {
            world.blob(&repository(*r), &blob(*b)).await;
            model.sent.insert((*r, *b), world.now);
        }
        Step::Mount { from, to, blob: b } => {
            let (source, target) = (repository(*from).parse().unwrap(), repository(*to).parse().unwrap());
            if mount_blob(&world.db, &source, &target, &Digest::of(&blob(*b)), world.now, 0).await.unwrap() {
                model.sent.insert((*to, *b), world.now);
            }
        }
        Step::Image { repository: r, image, tag, subject } => {
            let blobs = vec![*image % 6, (*image + 1) % 6];
            let manifest = Manifest { blobs, manifests: vec![], subject: subject.filter(|subject| subject != image) };
            put(world, model, *r, *image, manifest, *tag).await;
        }
        Step::Index { repository: r, index, children, tag } => {
            // A manifest cannot name what has its digest from it: only smaller ones.
            let manifests = children.iter().copied().filter(|child| child < index).collect();
            put(world, model, *r, *index, Manifest { blobs: vec![], manifests, subject: None }, *tag).await;
        }
        Step::DeleteManifest { repository: r, manifest } => {
            let removal = manifests::delete(&world.db, &repository(*r).parse().unwrap(), &digest(*manifest)).await.unwrap();
            if removal == repositories::Removal::Gone {
                model.manifests.remove(&(*r, *manifest));
                model.tags.retain(|(place, _), named| (*place, *named) != (*r, *manifest));
            }
        }
        Step::DeleteTag { repository: r, tag } => {
            let tag_name = format!("t{tag}").parse().unwrap();
            repositories::delete_tag(&world.db, &repository(*r).parse().unwrap(), &tag_name).await.unwrap();
            model.tags.remove(&(*r, *tag));
        }
        Step::Wait(time) => world.now += time,
        Step::Collect => {
            world.collect(GRACE).await;
        }
    }
}

async fn put(world: &World, model: &mut Model, r: u8, n: u8, manifest: Manifest, tag: Option<u8>) {
    // Content is what its digest says: the first description of a manifest is the only one.
    let known = model.manifests.iter().find(|((_, name), _)| *name == n).map(|(_, known)| known.clone());
    let manifest = known.unwrap_or(manifest);
    let blobs: Vec<Digest> = manifest.blobs.iter().map(|n| Digest::of(&blob(*n))).collect();
    let children: Vec<Digest> = manifest.manifests.iter().map(|n| digest(*n)).collect();
    let subject = manifest.subject.map(digest);
    let tag_name = tag.map(|tag| format!("t{tag}"));
    let stored = world.manifest(&repository(r), &content(n), tag_name.as_deref(), &blobs, &children, subject.as_ref()).await;
    world.handled().await;
    if stored {
        model.manifests.insert((r, n), manifest);
        if let Some(tag) = tag {
            model.tags.insert((r, tag), n);
        }
    }
}

/// Nothing needed is lost, and nothing young.
async fn compare(world: &World, model: &Model) {
    let (manifests, links, blobs) = world.rows().await;
    for (r, n) in model.needed() {
        assert!(manifests.contains(&(repository(r), digest(n).to_string())), "manifest {n} of repository {r} is lost");
        for b in &model.manifests[&(r, n)].blobs {
            assert!(links.contains(&(repository(r), Digest::of(&blob(*b)).to_string())), "blob {b} of manifest {n} is lost");
        }
    }
    for ((r, b), sent) in &model.sent {
        let there = links.contains(&(repository(*r), Digest::of(&blob(*b)).to_string()));
        assert!(there || world.now - sent >= GRACE, "blob {b} of repository {r} is lost before its time");
    }
    assert!(links.iter().all(|(_, digest)| blobs.contains(digest)), "a repository holds content that is gone");
}

/// What is counted for quotas is what is there.
async fn counted(world: &World) {
    for organization in [1, 2] {
        let real: i64 = sqlx::query_scalar(
            "SELECT (SELECT coalesce(sum(size), 0) FROM blobs WHERE digest IN (SELECT l.digest FROM repository_blobs l
                 JOIN repositories r ON r.id = l.repository_id WHERE r.organization_id = $1))
             + (SELECT coalesce(sum(length(m.bytes)), 0) FROM manifests m JOIN repositories r ON r.id = m.repository_id
                 WHERE r.organization_id = $1)",
        )
        .bind(organization)
        .fetch_one(world.db.read())
        .await
        .unwrap();
        let usage = crate::usage::of(world.db.read(), model::id::OrganizationId(organization)).await.unwrap();
        assert_eq!(usage.bytes, real as u64);
    }
}

async fn play(steps: Vec<Step>) {
    let mut world = World::new().await;
    let mut model = Model::default();
    for step in steps {
        take(&mut world, &mut model, &step).await;
        if matches!(step, Step::Collect) {
            // The model forgets what may be gone: what is not needed and is not there.
            let (manifests, links, _) = world.rows().await;
            let needed = model.needed();
            model.manifests.retain(|(r, n), _| needed.contains(&(*r, *n)) || manifests.contains(&(repository(*r), digest(*n).to_string())));
            compare(&world, &model).await;
            model.sent.retain(|(r, b), _| links.contains(&(repository(*r), Digest::of(&blob(*b)).to_string())));
        }
        counted(&world).await;
    }
    // Left alone, everything that is not needed goes: manifests first, then what they named.
    for _ in 0..3 {
        world.collect(GRACE).await;
        world.now += GRACE;
    }
    compare(&world, &model).await;
    let (manifests, links, blobs) = world.rows().await;
    let needed = model.needed();
    let names = |place: &(u8, u8)| (repository(place.0), digest(place.1).to_string());
    assert_eq!(manifests, needed.iter().map(names).collect(), "only what is needed stays");
    let wanted: BTreeSet<(String, String)> = needed
        .iter()
        .flat_map(|place| model.manifests[place].blobs.iter().map(|b| (repository(place.0), Digest::of(&blob(*b)).to_string())))
        .collect();
    assert_eq!(links, wanted);
    assert_eq!(blobs, links.into_iter().map(|(_, digest)| digest).collect());
    counted(&world).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn nothing_needed_is_lost_and_everything_else_goes(steps in proptest::collection::vec(step(), 1..60)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(play(steps));
    }
}
