//! Chunks: in order, out of order, cut off, at the same time.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use model::digest::Digest;
use registry::Caller;

use crate::house::{House, ann, request, until};

#[tokio::test]
async fn a_chunk_must_begin_where_the_upload_ends() {
    let house = House::new().await;
    let location = house.start("1/a").await;
    house.send("PATCH", &location, &[("content-range", "0-2"), ("content-length", "3")], "hel").await.ok(202);
    for (range, body) in [("0-2", "hel"), ("4-4", "o"), ("0-4", "hello")] {
        let refused = house.send("PATCH", &location, &[("content-range", range)], body).await;
        refused.refused(416, "BLOB_UPLOAD_INVALID");
        assert_eq!((refused.header("range"), refused.header("location")), ("0-2", location.as_str()));
    }
    let status = house.get(&location).await.ok(204);
    assert_eq!((status.header("range"), status.header("location")), ("0-2", location.as_str()));
    house.send("PATCH", &location, &[("content-range", "3-4")], "lo").await.ok(202);
    house.send("PUT", &format!("{location}?digest={}", Digest::of(b"hello")), &[], Body::empty()).await.ok(201);
}

#[tokio::test]
async fn a_put_out_of_order_is_refused_and_the_upload_goes_on() {
    let house = House::new().await;
    let location = house.start("1/a").await;
    house.send("PATCH", &location, &[], "hel").await.ok(202);
    let end = format!("{location}?digest={}", Digest::of(b"hello"));
    house.send("PUT", &end, &[("content-range", "4-4")], "o").await.refused(416, "BLOB_UPLOAD_INVALID");
    house.send("PUT", &end, &[("content-range", "3-4")], "lo").await.ok(201);
}

#[tokio::test]
async fn a_chunk_has_the_size_it_says() {
    let house = House::new().await;
    let location = house.start("1/a").await;
    let message =
        house.send("PATCH", &location, &[("content-range", "0-9"), ("content-length", "3")], "hel").await.refused(400, "SIZE_INVALID");
    assert!(message.contains("10 bytes") && message.contains('3'), "{message}");
    house.send("PATCH", &location, &[("content-range", "nonsense")], "hel").await.refused(400, "BLOB_UPLOAD_INVALID");
    let short = house.send("PATCH", &location, &[("content-range", "0-3")], "hel").await;
    short.refused(400, "SIZE_INVALID");
    assert_eq!(short.header("range"), "0-2");
    let long = house.send("PATCH", &location, &[("content-range", "3-3")], "lo").await;
    long.refused(400, "SIZE_INVALID");
    assert_eq!(long.header("range"), "0-3");
    house.send("PUT", &format!("{location}?digest={}", Digest::of(b"hello")), &[], "o").await.ok(201);
}

#[tokio::test]
async fn what_came_before_a_broken_connection_is_kept() {
    let house = House::new().await;
    let location = house.start("1/a").await;
    let big = vec![7u8; 3 << 20];
    let pieces = [Ok(Bytes::from(big.clone())), Ok(Bytes::from_static(b"hel")), Err(std::io::Error::other("gone"))];
    let cut = house.send("PATCH", &location, &[], Body::from_stream(stream::iter(pieces))).await;
    cut.refused(400, "BLOB_UPLOAD_INVALID");
    let status = house.get(&location).await.ok(204);
    assert_eq!(status.header("range"), format!("0-{}", big.len() + 2));
    house.send("PATCH", &location, &[], "lo").await.ok(202);
    let whole = [big.as_slice(), b"hello"].concat();
    house.send("PUT", &format!("{location}?digest={}", Digest::of(&whole)), &[], Body::empty()).await.ok(201);
    assert!(house.seen.lock().unwrap()[0].1 == whole, "the tap saw every byte once and in order");
}

#[tokio::test]
async fn a_broken_upload_in_one_request_leaves_nothing() {
    let house = House::new().await;
    let pieces = [Ok(Bytes::from_static(b"hel")), Err(std::io::Error::other("gone"))];
    let path = format!("/v2/1/a/blobs/uploads/?digest={}", Digest::of(b"hello"));
    house.send("POST", &path, &[], Body::from_stream(stream::iter(pieces))).await.refused(400, "BLOB_UPLOAD_INVALID");
    assert_eq!((house.uploads(), house.blob_files()), (0, 0));
}

#[tokio::test]
async fn silence_ends_a_request_but_not_the_upload() {
    let house = House::with(|options| options.limits.body_idle = Duration::from_millis(20)).await;
    let location = house.start("1/a").await;
    let pieces = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"hel"))]).chain(stream::pending());
    let late = house.send("PATCH", &location, &[], Body::from_stream(pieces)).await;
    late.refused(408, "BLOB_UPLOAD_INVALID");
    assert_eq!(late.header("range"), "0-2");
    house.send("PUT", &format!("{location}?digest={}", Digest::of(b"hello")), &[], "lo").await.ok(201);
}

#[tokio::test]
async fn of_two_writers_one_wins() {
    let house = House::with(|options| options.limits.session_wait = Duration::from_millis(20)).await;
    let location = house.start("1/a").await;
    let (feed, pieces) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let pieces = stream::unfold(pieces, |mut pieces| async { pieces.recv().await.map(|piece| (piece, pieces)) });
    let first = request("PATCH", &location, &[], Body::from_stream(pieces));
    let writing = async { house.ask(Caller::Known(ann()), first).await };
    let meanwhile = async {
        // The first piece is taken from the channel only by a writer that is at work.
        feed.send(Ok(Bytes::from_static(b"hel"))).await.unwrap();
        feed.send(Ok(Bytes::from_static(b"lo"))).await.unwrap();
        feed.reserve().await.unwrap();
        for (method, path) in
            [("PATCH", location.clone()), ("PUT", format!("{location}?digest={}", Digest::of(b"x"))), ("DELETE", location.clone())]
        {
            let message = house.send(method, &path, &[], "x").await.refused(409, "BLOB_UPLOAD_INVALID");
            assert!(message.contains("another request"), "{message}");
        }
        drop(feed);
    };
    let (first, ()) = tokio::join!(writing, meanwhile);
    assert_eq!(first.ok(202).header("range"), "0-4");
    house.send("PUT", &format!("{location}?digest={}", Digest::of(b"hello")), &[], Body::empty()).await.ok(201);
}

#[tokio::test]
async fn a_request_whose_client_is_gone_still_ends_well() {
    let house = House::new().await;
    let location = house.start("1/a").await;
    let (feed, pieces) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let pieces = stream::unfold(pieces, |mut pieces| async { pieces.recv().await.map(|piece| (piece, pieces)) });
    let request = request("PATCH", &location, &[], Body::from_stream(pieces));
    {
        let abandoned = house.ask(Caller::Known(ann()), request);
        let sent = async {
            feed.send(Ok(Bytes::from_static(b"hel"))).await.unwrap();
            feed.reserve().await.unwrap();
        };
        tokio::select! { biased; answer = abandoned => panic!("answered {}", answer.status), () = sent => {} }
    }
    drop(feed);
    until(async || house.get(&location).await.header("range") == "0-2").await;
    house.send("PUT", &format!("{location}?digest={}", Digest::of(b"hello")), &[], "lo").await.ok(201);
}
