//! A second organization on the same server. There is no command that makes one yet, so it is written where the server keeps them.

use model::id::{OrganizationId, UserId};
use store::{
    Db,
    accounts::{self, User},
};

use crate::{
    api::Api,
    server::{EMAIL, PASSWORD, Server},
};

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
