//! Garbage collection beside pushes.

use std::{sync::atomic::Ordering, time::Duration};

use axum::body::Body;
use model::digest::Digest;
use registry::garbage::{Collected, Rules};

use crate::house::{House, OCI_IMAGE, image};

const GRACE: Duration = Duration::from_secs(100);
const RULES: Rules = Rules { grace: GRACE, untagged: true };

impl House {
    fn wait(&self, time: Duration) {
        self.clock.fetch_add(time.as_millis() as i64, Ordering::Relaxed);
    }

    async fn collect(&self) -> Collected {
        self.registry.collect(RULES).await.unwrap()
    }

    /// The server has made what it makes of the pushes so far.
    async fn handled(&self) {
        let mut tx = self.db.write().await.unwrap();
        for push in store::pushes::unhandled(&self.db, 1000).await.unwrap() {
            store::pushes::mark_handled(&mut tx, &[push.id]).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_deleted_image_goes_and_what_it_shared_stays() {
    let house = House::new().await;
    let gone = house.image("1/a", "v1", b"only here").await;
    house.image("1/a", "v2", b"elsewhere").await;
    house.image("1/b", "v1", b"elsewhere").await;
    house.handled().await;
    house.send("DELETE", &format!("/v2/1/a/manifests/{gone}"), &[], Body::empty()).await.ok(202);
    assert_eq!(house.collect().await.blobs.count, 0);
    house.wait(GRACE);
    let told = house.registry.look(RULES).await.unwrap();
    assert_eq!(house.blob_files(), 3, "a look changes nothing");
    let done = house.collect().await;
    assert_eq!((told.links, told.blobs), (done.links, done.blobs));
    assert_eq!((done.links.count, done.blobs.count, done.blobs.bytes), (1, 1, 9));
    assert_eq!(house.blob_files(), 2);
    house.get(&format!("/v2/1/a/blobs/{}", Digest::of(b"only here"))).await.refused(404, "BLOB_UNKNOWN");
    house.get(&format!("/v2/1/a/blobs/{}", Digest::of(b"elsewhere"))).await.ok(200);
    // It comes back like anything new.
    house.image("1/a", "v1", b"only here").await;
    house.get(&format!("/v2/1/a/blobs/{}", Digest::of(b"only here"))).await.ok(200);
}

#[tokio::test]
async fn what_a_client_is_told_is_here_is_here_when_its_manifest_comes() {
    let house = House::new().await;
    let (config, layer) = (house.blob("1/a", b"{}").await, house.blob("1/a", b"layer").await);
    house.collect().await;
    house.wait(GRACE);
    for digest in [&config, &layer] {
        house.send("HEAD", &format!("/v2/1/a/blobs/{digest}"), &[], Body::empty()).await.ok(200);
    }
    assert_eq!(house.collect().await.links.count, 0);
    house.manifest("1/a", "v1", OCI_IMAGE, &image(&config, &layer)).await.ok(201);
    house.wait(GRACE);
    house.collect().await;
    house.get(&format!("/v2/1/a/blobs/{layer}")).await.ok(200);
}

#[tokio::test]
async fn untagged_manifests_go_or_stay_as_the_rule_says() {
    let house = House::new().await;
    let first = house.image("1/a", "latest", b"one").await;
    house.image("1/a", "latest", b"two").await;
    house.handled().await;
    let keep = Rules { untagged: false, ..RULES };
    for _ in 0..3 {
        house.wait(GRACE);
        house.registry.collect(keep).await.unwrap();
    }
    house.get(&format!("/v2/1/a/manifests/{first}")).await.ok(200);
    // It was seen unneeded all that time.
    assert_eq!(house.collect().await.manifests.count, 1);
    house.get(&format!("/v2/1/a/manifests/{first}")).await.refused(404, "MANIFEST_UNKNOWN");
    house.wait(GRACE);
    assert_eq!(house.collect().await.blobs.count, 1);
    house.get("/v2/1/a/manifests/latest").await.ok(200);
}

#[tokio::test]
async fn files_without_a_row_and_abandoned_uploads_go() {
    let house = House::new().await;
    let digest = Digest::of(b"half");
    let shelf = house.dir.path().join("blobs/sha256").join(&digest.hex()[..2]);
    std::fs::create_dir_all(&shelf).unwrap();
    std::fs::write(shelf.join(digest.hex()), b"half").unwrap();
    house.image("1/a", "v1", b"layer").await;
    let resting = house.start("1/a").await;
    let told = house.registry.look(RULES).await.unwrap();
    assert_eq!((told.strays.count, told.strays.bytes, told.uploads.count), (1, 4, 0));
    assert_eq!(house.collect().await.strays.count, 1);
    assert_eq!((house.blob_files(), house.uploads()), (2, 1));
    house.wait(Duration::from_secs(25 * 3600));
    assert_eq!(house.registry.look(RULES).await.unwrap().uploads.count, 1);
    assert_eq!(house.uploads(), 1, "a look changes nothing");
    assert_eq!((house.collect().await.uploads.count, house.uploads()), (1, 0));
    house.get(&resting).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
}

/// Pushes and deletes of the same few blobs with collections between: whatever was acknowledged last is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pushing_while_collecting_loses_nothing() {
    let house = std::sync::Arc::new(House::new().await);
    let collecting = {
        let house = std::sync::Arc::clone(&house);
        tokio::spawn(async move {
            let mut removed = 0;
            loop {
                // Everything that is unneeded at this moment goes at once: the hardest case.
                removed += house.registry.collect(Rules { grace: Duration::ZERO, untagged: true }).await.unwrap().blobs.count;
                tokio::task::yield_now().await;
                if house.dir.path().join("enough").exists() {
                    return removed;
                }
            }
        })
    };
    let pushers: Vec<_> = (0..3u8)
        .map(|n| {
            let house = std::sync::Arc::clone(&house);
            tokio::spawn(async move {
                let mut stored = 0;
                for round in 0..60u8 {
                    // All three push the same layers to their own repository.
                    let (name, layer) = (format!("1/r{n}"), vec![round % 4; 64]);
                    let (config, layer) = (house.blob(&name, b"{}").await, house.blob(&name, &layer).await);
                    let answer = house.manifest(&name, "v1", OCI_IMAGE, &image(&config, &layer)).await;
                    // Without a grace time a blob may go before its manifest comes; then the client is told.
                    if answer.status != 201 {
                        answer.refused(400, "MANIFEST_BLOB_UNKNOWN");
                        continue;
                    }
                    stored += 1;
                    for digest in [&config, &layer] {
                        let answer = house.get(&format!("/v2/{name}/blobs/{digest}")).await.ok(200);
                        assert_eq!(Digest::of(&answer.body), *digest, "a row names a file that is gone");
                    }
                    let digest = answer.header("docker-content-digest").to_owned();
                    house.send("DELETE", &format!("/v2/{name}/manifests/{digest}"), &[], Body::empty()).await.ok(202);
                }
                stored
            })
        })
        .collect();
    let mut stored = 0;
    for pusher in pushers {
        stored += pusher.await.unwrap();
    }
    std::fs::write(house.dir.path().join("enough"), b"").unwrap();
    let removed = collecting.await.unwrap();
    assert!(stored > 0 && removed > 0, "nothing met: {stored} stored, {removed} removed");
    house.handled().await;
    house.registry.collect(Rules { grace: Duration::ZERO, untagged: true }).await.unwrap();
    assert_eq!(house.blob_files(), 0);
}
