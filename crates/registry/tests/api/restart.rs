//! What a new process finds.

use std::sync::atomic::Ordering;

use axum::body::Body;
use model::digest::Digest;

use crate::house::House;

#[tokio::test]
async fn what_was_acknowledged_is_there() {
    let house = House::new().await;
    let digest = house.image("1/a", "v1", b"layer").await;
    let house = house.restarted().await;
    assert_eq!(house.get("/v2/1/a/manifests/v1").await.ok(200).header("docker-content-digest"), digest.to_string());
    assert_eq!(house.get(&format!("/v2/1/a/blobs/{}", Digest::of(b"layer"))).await.ok(200).body, b"layer");
    assert_eq!(house.get("/v2/1/a/tags/list").await.json()["tags"][0], "v1");
}

#[tokio::test]
async fn an_upload_goes_on_and_its_tap_sees_it_from_the_start() {
    let house = House::new().await;
    let start = vec![3u8; (2 << 20) + 5];
    let location = house.start("1/a").await;
    house.send("PATCH", &location, &[], start.clone()).await.ok(202);
    let house = house.restarted().await;
    assert_eq!(house.get(&location).await.ok(204).header("range"), format!("0-{}", start.len() - 1));
    house.send("PATCH", &location, &[("content-range", "0-1")], "xy").await.refused(416, "BLOB_UPLOAD_INVALID");
    house.send("PATCH", &location, &[], "mid").await.ok(202);
    let house = house.restarted().await;
    let whole = [start.as_slice(), b"mid", b"end"].concat();
    let digest = Digest::of(&whole);
    house.send("PUT", &format!("{location}?digest={digest}"), &[], "end").await.ok(201);
    assert!(*house.seen.lock().unwrap() == [(digest.clone(), whole.clone())]);
    assert!(house.get(&format!("/v2/1/a/blobs/{digest}")).await.body == whole);
}

#[tokio::test]
async fn a_restarted_upload_stays_in_its_repository() {
    let house = House::new().await;
    let location = house.start("1/a").await;
    let house = house.restarted().await;
    house.get(&location.replace("1/a", "1/b")).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    house.get(&location).await.ok(204);
}

#[tokio::test]
async fn a_file_without_a_row_is_invisible() {
    let house = House::new().await;
    let digest = Digest::of(b"half");
    let shelf = house.dir.path().join("blobs/sha256").join(&digest.hex()[..2]);
    std::fs::create_dir_all(&shelf).unwrap();
    std::fs::write(shelf.join(digest.hex()), b"half").unwrap();
    let house = house.restarted().await;
    house.get(&format!("/v2/1/a/blobs/{digest}")).await.refused(404, "BLOB_UNKNOWN");
    house.blob("1/a", b"half").await;
    house.get(&format!("/v2/1/a/blobs/{digest}")).await.ok(200);
}

#[tokio::test]
async fn resting_uploads_leave_memory_and_expired_ones_the_disk() {
    let house = House::new().await;
    let location = house.start("1/a").await;
    house.send("PATCH", &location, &[], "hel").await.ok(202);
    house.clock.fetch_add(6 * 60 * 1000, Ordering::Relaxed);
    assert_eq!(house.registry.sweep().await.unwrap(), 0);
    house.send("PATCH", &location, &[], "lo").await.ok(202);
    let digest = Digest::of(b"hello");
    house.send("PUT", &format!("{location}?digest={digest}"), &[], Body::empty()).await.ok(201);
    assert_eq!(*house.seen.lock().unwrap(), [(digest, b"hello".to_vec())]);

    let abandoned = house.start("1/a").await;
    let house = house.restarted().await;
    house.clock.fetch_add(25 * 3600 * 1000, Ordering::Relaxed);
    assert_eq!(house.registry.sweep().await.unwrap(), 1);
    house.get(&abandoned).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(house.uploads(), 0);
}
