#[path = "../tests/api/house.rs"]
#[allow(dead_code)]
mod house;
#[tokio::main]
async fn main() {
    let basic = std::env::args().nth(1).as_deref() != Some("bearer-only");
    let house = house::House::with(|o| { o.tap = None; o.challenge.basic = basic; }).await;
    println!("{}", house.serve().await);
    loop { house.pushed.notified().await; for p in store::pushes::unhandled(&house.db, 100).await.unwrap() { eprintln!("PUSH {p:?}"); let mut tx = house.db.write().await.unwrap(); store::pushes::mark_handled(&mut tx, p.id).await.unwrap(); tx.commit().await.unwrap(); } }
}
