//! Other people on the same server: reviewers by invitation, and a second organization. There is no command that makes one yet, so it is written where the server keeps them.

use model::id::{OrganizationId, UserId};
use store::{
    Db,
    accounts::{self, User},
};

use serde_json::{Value, json};

use crate::{
    api::Api,
    server::{EMAIL, PASSWORD, Server},
    web,
};

/// Somebody of the first organization who reviews.
pub const REVIEWER: &str = "reviewer@example.org";
/// The password of whoever was invited.
pub const INVITED: &str = "a password of the reviewer";

/// A reviewer of the first organization, by an invitation; returns their API.
///
/// # Panics
/// When the invitation is not good.
#[track_caller]
pub fn invited(server: &Server, admin: &Api, email: &str) -> Api {
    let invite = "mutation($input: InviteUser!) { inviteUser(input: $input) { link token } }";
    let made = admin.ask(invite, json!({ "input": { "email": email, "roles": ["reviewer"] } }));
    let secret = &made["inviteUser"]["token"];
    let link = made["inviteUser"]["link"].as_str().unwrap();
    assert!(link.contains(&format!("#{}", secret.as_str().unwrap())), "the secret is in no request's address");
    // Whoever was invited has no account yet, and so no session.
    let join = "mutation($input: AcceptInvitation!) { acceptInvitation(input: $input) { email } }";
    let input = json!({ "input": { "token": secret, "name": "Rev", "password": INVITED } });
    let body = json!({ "query": join, "variables": input });
    let answer: Value = web::client().post(server.url("/v3/graphql")).json(&body).send().unwrap().json().unwrap();
    assert_eq!(answer["data"]["acceptInvitation"]["email"], email, "{answer:#}");
    Api::login(server.address(), email, INVITED)
}

/// Its number.
pub const ORGANIZATION: i64 = 2;
/// The account in it.
pub const EMAIL_OF_BOB: &str = "bob@example.org";

/// Adds the organization with one person, who has the rights and the password of the first; returns their API.
///
/// # Panics
/// When the database refuses.
#[track_caller]
pub fn move_in(server: &Server) -> Api {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let db = Db::open(&server.data().join("plimsoll.db")).await.unwrap();
        let ann = accounts::user_by_email(db.read(), EMAIL).await.unwrap().unwrap();
        let (organization, id) = (OrganizationId(ORGANIZATION), UserId(uuid::Uuid::from_u128(2)));
        let bob = User { id, organization, email: EMAIL_OF_BOB.into(), name: "Bob".into(), ..ann };
        let mut tx = db.write().await.unwrap();
        accounts::insert_organization(&mut tx, organization, "Neighbours", 0).await.unwrap();
        accounts::insert_user(&mut tx, &bob, 0).await.unwrap();
        tx.commit().await.unwrap();
        db.close().await;
    });
    Api::login(server.address(), EMAIL_OF_BOB, PASSWORD)
}
