//! Whoever guesses has to wait, wherever they knock, and is told how long.

use super::world::{Answer, EMAIL, PASSWORD, World, basic, bearer};

#[track_caller]
fn waits(answer: &Answer, place: &str) {
    assert_eq!(answer.status, 429, "{place}: {answer:?}");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1, "{place}");
    assert!(answer.body.contains("Too many attempts; try again in "), "{place}: {answer:?}");
}

async fn knock_everywhere(world: &World, password: &str) -> Vec<(&'static str, Answer)> {
    let oauth = [("grant_type", "password"), ("service", "plimsoll"), ("client_id", "x"), ("username", EMAIL), ("password", password)];
    let login = format!("mutation {{ userLogin(input: {{userName: {EMAIL:?}, password: {password:?}}}) {{ token }} }}");
    let console = serde_urlencoded::to_string([("email", EMAIL), ("password", password)]).unwrap();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    vec![
        ("registry", world.get("/v2/", &basic(EMAIL, password)).await),
        ("token endpoint", world.token(&basic(EMAIL, password), "").await),
        ("token endpoint, POST", world.post_token(&oauth).await),
        ("API", world.graphql("", &login).await),
        ("console", world.send("POST", "/login", &form, console).await),
    ]
}

#[tokio::test]
async fn failures_count_wherever_they_happen() {
    let world = World::new().await;
    for (place, answer) in knock_everywhere(&world, "a wrong one").await {
        assert_ne!(answer.status, 429, "{place}: the first five cost nothing");
    }
    for (place, answer) in knock_everywhere(&world, PASSWORD).await {
        waits(&answer, place);
    }
    let refresh = [("grant_type", "refresh_token"), ("service", "plimsoll"), ("client_id", "x"), ("refresh_token", "y")];
    waits(&world.post_token(&refresh).await, "refresh tokens");
    let unknown = format!("plimsoll-api-{}", "0".repeat(64));
    waits(&world.get("/v2/", &basic("token", &unknown)).await, "API tokens at the registry");
    waits(&world.graphql(&bearer(&unknown), "{ me { id } }").await, "API tokens at the API");
}

#[tokio::test]
async fn what_was_found_good_goes_on() {
    let world = World::new().await;
    world.get("/v2/", &basic(EMAIL, PASSWORD)).await.is(200);
    let unknown = format!("plimsoll-robot-{}", "0".repeat(64));
    for _ in 0..5 {
        world.get("/v2/", &basic("robot", &unknown)).await.is(401);
    }
    waits(&world.get("/v2/", &basic("robot", &unknown)).await, "robots");
    world.get("/v2/", &basic(EMAIL, PASSWORD)).await.is(200);
}
