//! Two organizations with everything in them, and somebody of every role.

use model::{build::BuildStatus, waiver::Waiver};
use store::accounts;

use super::{
    cells,
    world::{World, bearer},
};
use crate::{
    auth::{Caller, permission::Role, session},
    clock,
    ops::{create_api_token::create_api_token, create_waiver::create_waiver, invite_user::invite_user},
};

/// Somebody of organization 1 without a role.
pub const NO_ROLE: &str = "nobody@example.org";
/// Somebody of organization 1 with every role, and the same of organization 2.
pub const ALL: &str = "all@example.org";
pub const OTHER: &str = "other@example.org";

const ALL_ROLES: &str = "developer,reviewer,admin,operator";

/// A server that does not mind how often it is asked.
pub async fn world() -> World {
    let world = World::with(|config| (config.api.token_requests, config.api.organization_requests) = (0, 0)).await;
    world.person(NO_ROLE, 1, "").await;
    for role in Role::ALL {
        world.person(&address(role), 1, role.as_str()).await;
    }
    world.person(ALL, 1, ALL_ROLES).await;
    world.person(OTHER, 2, ALL_ROLES).await;
    world
}

pub fn address(role: Role) -> String {
    format!("{}@example.org", role.as_str())
}

pub async fn caller(world: &World, email: &str) -> Caller {
    accounts::user_by_email(world.app.db.read(), email).await.unwrap().unwrap().into()
}

/// A new session, since some deeds end the one they are done with.
pub async fn fresh(world: &World, email: &str) -> String {
    session::begin(&world.app.db, caller(world, email).await.user).await.unwrap()
}

/// What an organization has, each kind once: all that is named somewhere in the API.
pub async fn holdings(world: &World, owner: &str) -> Vec<(&'static str, String)> {
    let caller = caller(world, owner).await;
    let organization = caller.organization;
    let engine = cells::engine(world, organization.0).await;
    let build = cells::build(world, &engine, BuildStatus::Available, Default::default()).await;
    let mail = format!("guest{organization}@example.org");
    let invited = invite_user(&world.app, &caller, &mail, &["developer".to_owned()]).await.unwrap();
    let token = create_api_token(&world.app, &caller, "for a script", None).await.unwrap();
    let waiver = Waiver {
        vulnerability: "CVE-2026-1".into(),
        package: None,
        engine: None,
        image: None,
        reason: "not reachable".into(),
        author: String::new(),
        expires_at: clock::now_ms() + 86_400_000,
        until_fixed: false,
    };
    let waiver = create_waiver(&world.app, &caller, waiver).await.unwrap();
    let repository = format!("{organization}/words");
    let mut tx = world.app.db.write().await.unwrap();
    let insert = sqlx::query("INSERT INTO repositories (name, organization_id, created_at) VALUES ($1, $2, 0)");
    insert.bind(&repository).bind(organization.0).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let session = bearer(&fresh(world, owner).await);
    let recording = "mutation { createTDO(input: {startDateTime: 1, stopDateTime: 2}) { id } }";
    let recording = world.graphql(&session, recording).await.is(200).json();
    vec![
        ("engine", engine.id.to_string()),
        ("build", build.to_string()),
        ("user", world.person(&format!("more{organization}@example.org"), organization.0, "developer").await.to_string()),
        ("invitation", invited.invitation.id.to_string()),
        ("token", token.token.id.to_string()),
        ("waiver", waiver.id.to_string()),
        ("repository", repository),
        ("recording", recording["data"]["createTDO"]["id"].as_str().unwrap().to_owned()),
    ]
}
