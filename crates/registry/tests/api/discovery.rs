//! What there is: repositories.

use axum::body::Body;
use registry::{Access, Caller, Scope};
use serde_json::json;

use crate::house::{House, ann_listing, request};

#[tokio::test]
async fn repositories_are_listed_to_who_has_the_right() {
    let house = House::with(|options| options.limits.list_page = 3).await;
    for name in ["1/b", "1/a", "1/team/words", "1/c"] {
        house.image(name, "v1", b"layer").await;
    }
    house.blob("1/only-a-blob", b"x").await;
    let ask = async |path: &str| house.ask(Caller::Known(ann_listing()), request("GET", path, &[], Body::empty())).await;
    let page = ask("/v2/_catalog?n=2").await.ok(200);
    assert_eq!((page.json(), page.header("content-type")), (json!({ "repositories": ["1/a", "1/b"] }), "application/json"));
    assert_eq!(page.header("link"), "</v2/_catalog?n=2&last=1%2Fb>; rel=\"next\"");
    let rest = ask("/v2/_catalog?n=2&last=1%2Fb").await.ok(200);
    assert_eq!((rest.json(), rest.header("link")), (json!({ "repositories": ["1/c", "1/team/words"] }), ""));
    assert_eq!(ask("/v2/_catalog").await.json()["repositories"].as_array().unwrap().len(), 3);
    ask("/v2/_catalog?n=x").await.refused(400, "UNSUPPORTED");

    let message = house.get("/v2/_catalog").await.refused(403, "DENIED");
    assert!(message.contains("administrators"), "{message}");
    let anonymous = house.ask(Caller::Anonymous, request("GET", "/v2/_catalog", &[], Body::empty())).await;
    anonymous.refused(401, "UNAUTHORIZED");
    assert!(anonymous.header("www-authenticate").contains("scope=\"registry:catalog:*\""));
    let narrow = Access { scopes: Some(vec![Scope::repository("1/a", registry::Actions::ALL)]), ..ann_listing() };
    house.ask(Caller::Known(narrow), request("GET", "/v2/_catalog", &[], Body::empty())).await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn only_what_one_may_pull_is_listed() {
    let house = House::new().await;
    house.image("1/a", "v1", b"layer").await;
    let mut access = ann_listing();
    access.grants.retain(|grant| grant.place == registry::Place::Catalog);
    let answer = house.ask(Caller::Known(access), request("GET", "/v2/_catalog", &[], Body::empty())).await.ok(200);
    assert_eq!(answer.json(), json!({ "repositories": [] }));
}
