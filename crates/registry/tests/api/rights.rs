//! Who may do what, and how everybody else is told.

use axum::body::Body;
use registry::{Access, Caller, Scope};

use crate::house::{Answer, House, OCI_IMAGE, ann, bob, request};

fn challenges(answer: &Answer) -> Vec<String> {
    answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

fn with_token(scopes: &str) -> Caller {
    Caller::Known(Access { scopes: Some(Scope::parse_list(scopes).unwrap()), ..ann() })
}

#[tokio::test]
async fn the_base_always_challenges() {
    let house = House::new().await;
    for path in ["/v2/", "/v2"] {
        let answer = house.ask(Caller::Anonymous, request("GET", path, &[], Body::empty())).await;
        assert!(answer.refused(401, "UNAUTHORIZED").contains("docker login gate.test"));
        let expected = ["Bearer realm=\"http://gate.test/v2/token\",service=\"plimsoll\"", "Basic realm=\"plimsoll\""];
        assert_eq!(challenges(&answer), expected);
        assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
        assert_eq!(house.get(path).await.ok(200).json(), serde_json::json!({}));
    }
    let answer = house.ask(Caller::Refused("the token has expired".into()), request("GET", "/v2/", &[], Body::empty())).await;
    assert_eq!(answer.refused(401, "UNAUTHORIZED"), "the token has expired");
    assert!(challenges(&answer)[0].ends_with(",error=\"invalid_token\""));
}

#[tokio::test]
async fn nobody_without_credentials_learns_anything() {
    let house = House::new().await;
    house.image("1/a", "v1", b"layer").await;
    let digest = model::digest::Digest::of(b"layer");
    let location = house.start("1/a").await;
    for (method, path) in [
        ("GET", "/v2/1/a/tags/list".to_owned()),
        ("GET", "/v2/1/a/manifests/v1".to_owned()),
        ("PUT", "/v2/1/a/manifests/v1".to_owned()),
        ("DELETE", "/v2/1/a/manifests/v1".to_owned()),
        ("GET", format!("/v2/1/a/blobs/{digest}")),
        ("HEAD", format!("/v2/1/a/blobs/{digest}")),
        ("POST", "/v2/1/a/blobs/uploads/".to_owned()),
        ("GET", location.clone()),
        ("PATCH", location.clone()),
        ("PUT", format!("{location}?digest={digest}")),
        ("DELETE", location.clone()),
        ("GET", format!("/v2/1/a/referrers/{digest}")),
        ("GET", "/v2/UPPER/x/tags/list".to_owned()),
        ("GET", "/v2/_catalog".to_owned()),
    ] {
        let answer = house.ask(Caller::Anonymous, request(method, &path, &[], Body::empty())).await;
        assert_eq!((answer.status.as_u16(), challenges(&answer).len()), (401, 2), "{method} {path}");
    }
}

#[tokio::test]
async fn a_challenge_names_the_scope_that_would_do() {
    let house = House::new().await;
    let scope_of = async |caller: Caller, method: &str, path: &str| {
        let answer = house.ask(caller, request(method, path, &[], Body::empty())).await;
        answer.refused(401, "UNAUTHORIZED");
        challenges(&answer)[0].clone()
    };
    assert!(scope_of(Caller::Anonymous, "GET", "/v2/1/a/tags/list").await.ends_with("scope=\"repository:1/a:pull\""));
    assert!(scope_of(Caller::Anonymous, "POST", "/v2/1/a/blobs/uploads/").await.ends_with("scope=\"repository:1/a:pull,push\""));
    let narrow = with_token("repository:1/a:pull");
    let more = scope_of(narrow.clone(), "POST", "/v2/1/a/blobs/uploads/").await;
    assert!(more.ends_with("scope=\"repository:1/a:pull,push\",error=\"insufficient_scope\""), "{more}");
    house.ask(narrow, request("GET", "/v2/1/a/tags/list", &[], Body::empty())).await.refused(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn a_foreign_organization_is_named_with_the_right_one() {
    let house = House::new().await;
    for path in ["/v2/7/my-engine/blobs/uploads/", "/v2/2/my-engine/blobs/uploads/"] {
        let answer = house.send("POST", path, &[], Body::empty()).await;
        let message = answer.refused(403, "DENIED");
        assert!(message.starts_with("organization ") && message.ends_with("is not yours; push to 1/my-engine"), "{message}");
    }
    // The same with a token: another one would not help, so it is no 401.
    let refused = house
        .ask(with_token("repository:7/my-engine:pull,push"), request("POST", "/v2/7/my-engine/blobs/uploads/", &[], Body::empty()))
        .await;
    refused.refused(403, "DENIED");
    // Ann may read in 3, not push.
    let message = house.send("PUT", "/v2/3/b/manifests/v1", &[("content-type", OCI_IMAGE)], "{}").await.refused(403, "DENIED");
    assert!(message.contains("ask an administrator of organization 3"), "{message}");
    house.get("/v2/3/b/tags/list").await.refused(404, "NAME_UNKNOWN");
    assert_eq!(house.uploads(), 0);
}

/// Clients look with HEAD before they send. Its answer has no body, so a "no" there would reach the person without a reason.
#[tokio::test]
async fn a_look_is_answered_so_that_the_client_goes_on_to_the_reason() {
    let house = House::new().await;
    let digest = model::digest::Digest::of(b"x");
    for name in ["7/my-engine", "my-engine"] {
        house.send("HEAD", &format!("/v2/{name}/blobs/{digest}"), &[], Body::empty()).await.ok(404);
        house.send("HEAD", &format!("/v2/{name}/manifests/v1"), &[], Body::empty()).await.ok(404);
    }
    house.send("POST", "/v2/7/my-engine/blobs/uploads/", &[], Body::empty()).await.refused(403, "DENIED");
    let answer = house.ask(Caller::Anonymous, request("HEAD", &format!("/v2/1/a/blobs/{digest}"), &[], Body::empty())).await;
    assert_eq!(answer.status.as_u16(), 401);
}

#[tokio::test]
async fn content_of_others_cannot_be_read() {
    let house = House::new().await;
    house.image("1/a", "v1", b"layer").await;
    for path in ["/v2/1/a/manifests/v1".to_owned(), format!("/v2/1/a/blobs/{}", model::digest::Digest::of(b"layer"))] {
        house.ask(Caller::Known(bob()), request("GET", &path, &[], Body::empty())).await.refused(403, "DENIED");
    }
}

#[tokio::test]
async fn names_outside_the_grammar_say_what_a_name_is() {
    let house = House::new().await;
    for (path, says) in [
        ("/v2/my-engine/manifests/v1", "must start with the number of your organization"),
        ("/v2/library/my-engine/manifests/v1", "must start with the number of your organization"),
        ("/v2/1/manifests/v1", "needs an image name"),
        ("/v2/1/My-Engine/manifests/v1", "lower-case"),
        ("/v2/1/a/../b/manifests/v1", "lower-case"),
        ("/v2/1/a%2F..%2Fb/manifests/v1", "lower-case"),
        ("/v2/1/%C3%A9/manifests/v1", "lower-case"),
    ] {
        let message = house.get(path).await.refused(400, "NAME_INVALID");
        assert!(message.contains(says), "{path}: {message}");
    }
}

#[tokio::test]
async fn a_push_to_a_name_that_can_never_be_is_denied_at_once() {
    let house = House::new().await;
    let digest = model::digest::Digest::of(b"x");
    // Clients look before they send. HEAD has no body to say why, so they are led to the request that has.
    assert_eq!(house.send("HEAD", &format!("/v2/my-engine/blobs/{digest}"), &[], Body::empty()).await.status.as_u16(), 404);
    for (method, path, says) in [
        ("POST", "/v2/my-engine/blobs/uploads/", "\"my-engine\" must start with the number of your organization: push to 1/my-engine"),
        ("PUT", "/v2/team/words/manifests/v1", "push to 1/team/words"),
        ("POST", "/v2/1/My-Engine/blobs/uploads/", "lower-case"),
        ("DELETE", "/v2/my-engine/manifests/v1", "must start with the number"),
    ] {
        let message = house.send(method, path, &[], Body::empty()).await.refused(403, "DENIED");
        assert!(message.contains(says), "{path}: {message}");
    }
    house.ask(Caller::Anonymous, request("POST", "/v2/my-engine/blobs/uploads/", &[], Body::empty())).await.refused(401, "UNAUTHORIZED");
}
