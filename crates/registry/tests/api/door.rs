//! What somebody else decides: manifests that are turned away, remarks about pushes, tags that are held, guests.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use registry::{Access, Caller, Grant, Place, Scope, TurnedAway};
use store::held_tags::{self, Hold};

use crate::house::{Answer, House, OCI_IMAGE, image, request};

#[tokio::test]
async fn who_is_turned_away_reads_why_and_nothing_is_stored() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&seen);
    let house = House::with(|options| {
        options.door = Some(Arc::new(move |arrival| {
            asked.lock().unwrap().push((arrival.reference.to_string(), arrival.media_type.clone()));
            let away =
                TurnedAway { code: "not-today".into(), sentence: "we are closed; come back tomorrow.".into(), page: "/hours".into() };
            let open = arrival.reference.to_string() != "v1";
            Box::pin(async move { if open { Ok(()) } else { Err(away) } })
        }));
    })
    .await;
    let (config, layer) = (house.blob("1/a", b"{}").await, house.blob("1/a", b"layer").await);
    let answer = house.manifest("1/a", "v1", OCI_IMAGE, &image(&config, &layer)).await;
    let message = answer.refused(403, "DENIED");
    assert_eq!(message, "not-today: we are closed; come back tomorrow. See http://gate.test/hours");
    let detail = &answer.json()["errors"][0]["detail"];
    assert_eq!((detail["reason"].as_str(), detail["page"].as_str()), (Some("not-today"), Some("http://gate.test/hours")));
    house.get("/v2/1/a/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
    assert!(store::pushes::unhandled(&house.db, 10).await.unwrap().is_empty());
    house.manifest("1/a", "v2", OCI_IMAGE, &image(&config, &layer)).await.ok(201);
    assert_eq!(*seen.lock().unwrap(), [("v1".to_owned(), OCI_IMAGE.to_owned()), ("v2".to_owned(), OCI_IMAGE.to_owned())]);
    // What is no manifest does not come as far as the door.
    house.send("PUT", "/v2/1/a/manifests/v1", &[("content-type", OCI_IMAGE)], "{").await.refused(400, "MANIFEST_INVALID");
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn remarks_come_with_the_answer_to_a_push_by_tag() {
    let house = House::with(|options| {
        options.remarks = Some(Arc::new(|push| Box::pin(async move { vec![format!("push {push} looks \"odd\""), String::new()] })));
    })
    .await;
    let (config, layer) = (house.blob("1/a", b"{}").await, house.blob("1/a", b"layer").await);
    let answer = house.manifest("1/a", "v1", OCI_IMAGE, &image(&config, &layer)).await.ok(201);
    let told: Vec<_> = answer.headers.get_all("warning").iter().collect();
    assert_eq!(told, ["299 - \"push 1 looks \\\"odd\\\"\""]);
    let digest = answer.header("docker-content-digest").to_owned();
    let answer = house.manifest("1/a", &digest, OCI_IMAGE, &image(&config, &layer)).await.ok(201);
    assert!(!answer.headers.contains_key("warning"));
}

#[tokio::test]
async fn a_held_tag_and_what_it_names_stay() {
    let house = House::new().await;
    let digest = house.image("1/a", "v1", b"layer").await;
    let hold = Hold { tag: "v1".into(), digest: digest.clone(), reason: "it is on show; push to v2".into(), page: "/show".into() };
    let mut tx = house.db.write().await.unwrap();
    held_tags::hold(&mut tx, "museum", &"1/a".parse().unwrap(), &hold).await.unwrap();
    tx.commit().await.unwrap();
    let says = |answer: Answer| {
        let message = answer.refused(403, "DENIED");
        assert!(message.starts_with("TAG_IMMUTABLE: 1/a:v1 can be neither moved nor deleted"), "{message}");
        assert!(message.ends_with("it is on show; push to v2. See http://gate.test/show"), "{message}");
    };
    let (config, layer) = (house.blob("1/a", b"{}").await, house.blob("1/a", b"other").await);
    says(house.manifest("1/a", "v1", OCI_IMAGE, &image(&config, &layer)).await);
    for path in ["/v2/1/a/manifests/v1".to_owned(), format!("/v2/1/a/manifests/{digest}")] {
        says(house.send("DELETE", &path, &[], Body::empty()).await);
        house.get(&path).await.ok(200);
    }
    house.image("1/a", "v1", b"layer").await;
    house.image("1/a", "v2", b"other").await;
}

#[tokio::test]
async fn a_guest_sees_what_everybody_may_and_is_told_to_log_in_for_the_rest() {
    let house = House::new().await;
    house.image("1/a", "v1", b"layer").await;
    house.image("1/b", "v1", b"layer").await;
    let pull: Scope = "repository:1/a:pull".parse().unwrap();
    let grants = vec![Grant { place: Place::Repository("1/a".parse().unwrap()), actions: pull.actions }];
    let both = Scope::parse_list("repository:1/a:pull,push repository:1/b:pull").unwrap();
    let guest = || Caller::Guest(Access { account: "anonymous".into(), grants: grants.clone(), scopes: Some(both.clone()) });
    let ask = async |method: &str, path: &str| house.ask(guest(), request(method, path, &[], Body::empty())).await;
    ask("GET", "/v2/1/a/manifests/v1").await.ok(200);
    ask("GET", "/v2/1/a/tags/list").await.ok(200);
    for (method, path) in [("GET", "/v2/"), ("GET", "/v2/1/b/manifests/v1"), ("POST", "/v2/1/a/blobs/uploads/"), ("GET", "/v2/x")] {
        let answer = ask(method, path).await;
        assert_eq!(answer.refused(401, "UNAUTHORIZED"), "log in first: docker login gate.test", "{method} {path}");
        assert!(answer.headers.contains_key("www-authenticate"));
    }
}
