//! A right that was taken away is gone for the next request, however a client shows who it is.

use model::id::UserId;
use store::accounts;

use super::world::{PASSWORD, World, basic};

const DEV: &str = "dev@example.org";
const UPLOADS: &str = "/v2/1/a/blobs/uploads/";

async fn start(world: &World, authorization: &str) -> u16 {
    world.send("POST", UPLOADS, &[("authorization", authorization)], "").await.status
}

async fn set_roles(world: &World, user: UserId, roles: &str) {
    let mut change = world.app.db.change_rights().await.unwrap();
    accounts::set_roles(&mut change, user, roles).await.unwrap();
    change.commit().await.unwrap();
}

#[tokio::test]
async fn roles_accounts_and_passwords() {
    let world = World::new().await;
    let user = world.person(DEV, 1, "developer").await;
    let password = basic(DEV, PASSWORD);
    let token = world.bearer(&password, "repository:1/a:pull,push").await;
    for round in 0..3 {
        for authorization in [&password, &token] {
            assert_eq!(start(&world, authorization).await, 202, "round {round}: remembered by now");
        }
        set_roles(&world, user, "reviewer").await;
        for authorization in [&password, &token] {
            assert_eq!(start(&world, authorization).await, 403, "round {round}");
        }
        set_roles(&world, user, "developer").await;
    }
    assert_eq!(start(&world, &token).await, 202);

    let mut change = world.app.db.change_rights().await.unwrap();
    accounts::set_password(&mut change, user, &crate::auth::credentials::hash("another one").unwrap()).await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(start(&world, &password).await, 401);
    assert_eq!(start(&world, &basic(DEV, "another one")).await, 202);

    let mut change = world.app.db.change_rights().await.unwrap();
    accounts::delete_user(&mut change, user).await.unwrap();
    change.commit().await.unwrap();
    for authorization in [&password, &token, &basic(DEV, "another one")] {
        assert_eq!(start(&world, authorization).await, 401);
    }
}

#[tokio::test]
async fn administrators_list_the_repositories_of_their_organization() {
    let world = World::new().await;
    world.image("1/a", "v1").await;
    let admin = basic(super::world::EMAIL, PASSWORD);
    let token = world.bearer(&admin, "registry:catalog:*").await;
    for authorization in [&admin, &token] {
        assert_eq!(world.get("/v2/_catalog", authorization).await.is(200).json()["repositories"], serde_json::json!(["1/a"]));
    }
    world.person("bob@example.org", 2, "admin").await;
    let other = world.get("/v2/_catalog", &basic("bob@example.org", PASSWORD)).await.is(200);
    assert_eq!(other.json()["repositories"], serde_json::json!([]));
    world.person(DEV, 1, "developer,reviewer").await;
    world.get("/v2/_catalog", &basic(DEV, PASSWORD)).await.refuses(403, "DENIED", &["may not list repositories"]);
    assert_eq!(world.token(&basic(DEV, PASSWORD), "registry:catalog:*").await.is(200).text("scope"), "");
    world.get("/v2/_catalog", "").await.is(401);
}
